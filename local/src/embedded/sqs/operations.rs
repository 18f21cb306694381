//! Each operation of the protocol: request in, answer out.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::super::{ACCOUNT_ID, Outside};
use super::engine::{Engine, Sent, check_batch, check_batch_size, in_range};
use super::fault::{Fault, Kind};
use super::queue::{Delivery, QueueCounts};
use super::settings::{VISIBILITY_MAX_S, WAIT_MAX_S};
use super::wire::{
    Batch, ChangeVisibility, CreateQueue, DeleteMessage, GetQueueAttributes, ListQueues,
    NewMessage, QueueName, QueueUrl, Receipt, ReceiveMessage, SendMessage, SetQueueAttributes,
    Visibility, attributes_md5, message,
};

/// A receive brings at most so many messages.
const RECEIVE_MAX: i64 = 10;

/// The operations, on the engine behind them.
#[derive(Debug)]
pub(super) struct Operations {
    addr: SocketAddr,
    outside: Outside,
    engine: Engine,
    closed: AtomicBool,
}

impl Operations {
    pub(super) fn new(addr: SocketAddr, outside: Outside) -> Self {
        Self {
            addr,
            engine: Engine::new(outside.clone()),
            outside,
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn queue_url(&self, name: &str) -> String {
        format!("http://{}/{ACCOUNT_ID}/{name}", self.addr)
    }

    pub(super) fn counts(&self, name: &str) -> Option<QueueCounts> {
        self.engine.counts(name).ok()
    }

    /// Ends every receive that waits; none waits from now on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.engine.wake_all();
    }

    pub(super) async fn run(&self, operation: &str, body: &[u8]) -> Result<Value, Fault> {
        match operation {
            "ReceiveMessage" => self.receive(read(body)?).await,
            "SendMessage" => self.send(read(body)?),
            "SendMessageBatch" => self.send_batch(read(body)?),
            "DeleteMessage" => {
                let DeleteMessage {
                    queue_url,
                    receipt_handle,
                } = read(body)?;
                self.engine.delete(name_in(&queue_url)?, &receipt_handle)?;
                Ok(json!({}))
            }
            "DeleteMessageBatch" => {
                let batch: Batch<Receipt> = read(body)?;
                each(batch, |name, receipt| {
                    self.engine.delete(name, &receipt.receipt_handle)?;
                    Ok(Map::new())
                })
            }
            "ChangeMessageVisibility" => {
                let ChangeVisibility { queue_url, change } = read(body)?;
                self.change_visibility(name_in(&queue_url)?, &change)?;
                Ok(json!({}))
            }
            "ChangeMessageVisibilityBatch" => {
                let batch: Batch<Visibility> = read(body)?;
                each(batch, |name, change| {
                    self.change_visibility(name, &change)?;
                    Ok(Map::new())
                })
            }
            _ => self.run_on_queues(operation, body),
        }
    }

    fn run_on_queues(&self, operation: &str, body: &[u8]) -> Result<Value, Fault> {
        match operation {
            "CreateQueue" => {
                let request: CreateQueue = read(body)?;
                self.engine
                    .create(&request.queue_name, &request.attributes)?;
                Ok(json!({"QueueUrl": self.queue_url(&request.queue_name)}))
            }
            "GetQueueUrl" => {
                let QueueName { queue_name } = read(body)?;
                self.engine.exists(&queue_name)?;
                Ok(json!({"QueueUrl": self.queue_url(&queue_name)}))
            }
            "ListQueues" => {
                let ListQueues { queue_name_prefix } = read(body)?;
                let names = self.engine.names(&queue_name_prefix.unwrap_or_default());
                let urls = names.iter().map(|name| self.queue_url(name));
                Ok(json!({"QueueUrls": urls.collect::<Vec<_>>()}))
            }
            "DeleteQueue" => {
                let QueueUrl { queue_url } = read(body)?;
                self.engine.delete_queue(name_in(&queue_url)?)?;
                Ok(json!({}))
            }
            "PurgeQueue" => {
                let QueueUrl { queue_url } = read(body)?;
                self.engine.purge(name_in(&queue_url)?)?;
                Ok(json!({}))
            }
            "GetQueueAttributes" => {
                let request: GetQueueAttributes = read(body)?;
                let mut attributes = self.engine.attributes(name_in(&request.queue_url)?)?;
                let wanted = request.attribute_names;
                attributes.retain(|name, _| wanted.iter().any(|w| w == "All" || w == name));
                Ok(json!({"Attributes": attributes}))
            }
            "SetQueueAttributes" => {
                let request: SetQueueAttributes = read(body)?;
                let name = name_in(&request.queue_url)?;
                self.engine.set_attributes(name, &request.attributes)?;
                Ok(json!({}))
            }
            _ => Err(Fault::new(
                Kind::UnsupportedOperation,
                format!("The operation {operation} is not offered here."),
            )),
        }
    }

    fn send(&self, request: SendMessage) -> Result<Value, Fault> {
        let sent = self
            .engine
            .send(name_in(&request.queue_url)?, request.message)?;
        Ok(sent_answer(sent).into())
    }

    fn send_batch(&self, batch: Batch<NewMessage>) -> Result<Value, Fault> {
        // Before the size, so that a batch of nothing is called that.
        check_batch(&batch.entries)?;
        check_batch_size(&batch.entries)?;
        each(batch, |name, message| {
            self.engine.send(name, message).map(sent_answer)
        })
    }

    fn change_visibility(&self, name: &str, change: &Visibility) -> Result<(), Fault> {
        let seconds = in_range(
            "VisibilityTimeout",
            change.visibility_timeout,
            VISIBILITY_MAX_S,
        )?;
        self.engine
            .change_visibility(name, &change.receipt_handle, seconds)
    }

    async fn receive(&self, request: ReceiveMessage) -> Result<Value, Fault> {
        let name = name_in(&request.queue_url)?;
        let count_max = request.max_number_of_messages.unwrap_or(1);
        if !(1..=RECEIVE_MAX).contains(&count_max) {
            let reason = "Must be from 1 to 10.";
            return Err(Fault::invalid("MaxNumberOfMessages", count_max, reason));
        }
        let count_max = usize::try_from(count_max).unwrap_or(1);
        let visibility_s = request
            .visibility_timeout
            .map(|seconds| in_range("VisibilityTimeout", seconds, VISIBILITY_MAX_S))
            .transpose()?;
        let wait_s = request
            .wait_time_seconds
            .map(|seconds| in_range("WaitTimeSeconds", seconds, WAIT_MAX_S))
            .transpose()?;
        let deliveries = self
            .receive_or_wait(name, count_max, visibility_s, wait_s)
            .await?;
        if deliveries.is_empty() {
            return Ok(json!({}));
        }
        let messages = deliveries.into_iter();
        let messages: Vec<Value> = messages
            .map(|delivery| message(delivery, &request))
            .collect();
        Ok(json!({"Messages": messages}))
    }

    /// Waits until there is a message or the time is up. Nothing is taken from the queue by a receive
    /// whose client goes away while it waits: taking and returning happen without a pause between.
    async fn receive_or_wait(
        &self,
        name: &str,
        count_max: usize,
        visibility_s: Option<u64>,
        wait_s: Option<u64>,
    ) -> Result<Vec<Delivery>, Fault> {
        let (default_wait_s, ready) = self.engine.waiting(name)?;
        let patience_ms = wait_s.unwrap_or(default_wait_s).saturating_mul(1_000);
        let until_ms = self.engine.now_ms().saturating_add(patience_ms);
        loop {
            // Made before looking, so that what arrives in between wakes it.
            let mut woken = pin!(ready.notified());
            woken.as_mut().enable();
            let attempt = self.engine.receive(name, count_max, visibility_s)?;
            let now_ms = self.engine.now_ms();
            let closed = self.closed.load(Ordering::SeqCst);
            if !attempt.deliveries.is_empty() || now_ms >= until_ms || closed {
                return Ok(attempt.deliveries);
            }
            let pause_end_ms = attempt.next_at_ms.map_or(until_ms, |at| at.min(until_ms));
            let pause = Duration::from_millis(pause_end_ms.saturating_sub(now_ms));
            tokio::select! {
                () = woken => {}
                () = self.outside.clock.sleep(pause) => {}
            }
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| {
        Fault::new(
            Kind::MissingParameter,
            format!("The request is not of the expected form: {error}"),
        )
    })
}

/// The name of a queue is the last part of its URL; the host is whatever the client reached us by.
fn name_in(queue_url: &str) -> Result<&str, Fault> {
    queue_url
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Fault::invalid("QueueUrl", queue_url, "It must name a queue."))
}

fn sent_answer(sent: Sent) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("MessageId".to_owned(), sent.id.into());
    answer.insert("MD5OfMessageBody".to_owned(), sent.body_md5.into());
    if !sent.attributes.is_empty() {
        let md5 = attributes_md5(sent.attributes.iter());
        answer.insert("MD5OfMessageAttributes".to_owned(), md5.into());
    }
    answer
}

/// Does each entry of a batch by itself. A queue that does not exist fails the whole request, as
/// nothing in it could succeed.
fn each<T>(
    batch: Batch<T>,
    work: impl Fn(&str, T) -> Result<Map<String, Value>, Fault>,
) -> Result<Value, Fault> {
    check_batch(&batch.entries)?;
    let name = name_in(&batch.queue_url)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in batch.entries {
        match work(name, entry.content) {
            Ok(mut answer) => {
                answer.insert("Id".to_owned(), entry.id.into());
                successful.push(Value::from(answer));
            }
            Err(fault) if fault.is_missing_queue() => return Err(fault),
            Err(fault) => failed.push(json!({
                "Id": entry.id,
                "SenderFault": true,
                "Code": fault.query_code(),
                "Message": fault.message(),
            })),
        }
    }
    Ok(json!({"Successful": successful, "Failed": failed}))
}
