//! The functions on the parts, driven one step at a time.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::Message;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use serde_json::Value;
use tokio::sync::Semaphore;
use weir_domain::{BatchOrdinal, DetailStatus, FileId, FileStatus, LineNumber, ObjectIdentity};
use weir_lambda::Deadline;
use weir_runtime::CorrelationId;
use weir_settlement::TimeLimit;
use weir_settlement::actions::Actions;
use weir_settlement::credentials::Credentials;
use weir_settlement::process::{ProcessError, ProcessOptions, Processor};
use weir_settlement::sweep::{SweepOptions, Sweeper, Swept};
use weir_settlement::upload::{Progress, Uploader};
use weir_store::{
    Batch, BatchTaskMessage, Detail, DetailsMessage, File, Lease, LeaseOutcome, LeaseState, Store,
};
use weir_three_rivers::{ApiKey, BreakerOptions, Breakers, Client, ClientOptions};

use crate::counted::Counted;
use crate::delivery::sqs_event;
use crate::laws::{self, Books};
use crate::parts::{Network, Parts};
use crate::platform::API_KEY;

/// How long each function may run.
pub const FUNCTION_TIME: Duration = Duration::from_mins(5);

/// How the functions are set up.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Limits and pauses of processing.
    pub process: ProcessOptions,
    /// When something counts as standing still.
    pub sweep: SweepOptions,
    /// When calls pause.
    pub breaker: BreakerOptions,
}

/// The parts and the functions on them.
#[derive(Debug)]
pub struct Rig {
    /// The parts.
    pub parts: Parts,
    /// The upload function's state.
    pub upload: weir_settlement_upload::State,
    /// The processor function's state.
    pub process: weir_detail_processor::State,
    /// The sweeper function's state.
    pub sweep: weir_sweeper::State,
    /// What the functions have counted.
    pub counted: Counts,
}

/// What the functions of a rig have counted.
#[derive(Debug)]
pub struct Counts {
    /// The upload function.
    pub upload: Counted,
    /// The processor function, all of its processes together.
    pub process: Counted,
    /// The sweeper function.
    pub sweep: Counted,
}

impl Rig {
    /// Parts on which nothing has happened, and functions with the usual settings.
    pub async fn start() -> Self {
        Self::with(Settings::default(), 1).await
    }

    /// The same with other settings, and time that passes `times` times as fast.
    pub async fn with(settings: Settings, times: u32) -> Self {
        let network = Network::new().await;
        let parts = Parts::start(&network, 1, times).await;
        Self::on(parts, settings, network.aws).await
    }

    /// Functions that reach AWS through `http_client`.
    pub async fn on(parts: Parts, settings: Settings, http_client: SharedHttpClient) -> Self {
        let store = parts.store_through(http_client).await;
        let clock = parts.timeline.clock().clone();
        let counted = Counts {
            upload: Counted::of("settlement-upload", &clock),
            process: Counted::of("detail-processor", &clock),
            sweep: Counted::of("sweeper", &clock),
        };
        let uploader = Uploader {
            store: store.clone(),
            clock: clock.clone(),
            metrics: counted.upload.metrics.clone(),
        };
        let upload = weir_settlement_upload::State {
            uploader,
            clock: clock.clone(),
            random: parts.random.clone(),
        };
        let sweeper = Sweeper {
            store: store.clone(),
            clock: clock.clone(),
            random: parts.random.clone(),
            metrics: counted.sweep.metrics.clone(),
            options: settings.sweep.clone(),
        };
        let sweep = weir_sweeper::State {
            sweeper,
            clock: clock.clone(),
        };
        let actions = Actions {
            store: store.clone(),
            clock: clock.clone(),
            random: parts.random.clone(),
            metrics: counted.process.metrics.clone(),
        };
        let process = weir_detail_processor::State {
            processor: processor(&parts, store, &settings, &counted.process),
            actions,
            clock,
        };
        Self {
            parts,
            upload,
            process,
            sweep,
            counted,
        }
    }

    /// Another process of the processor function: it shares the tables, but no breaker, no bound
    /// on calls.
    pub fn another_processor(&self, settings: &Settings) -> Processor {
        let store = self.process.processor.store.clone();
        processor(&self.parts, store, settings, &self.counted.process)
    }

    /// What a function may still take now.
    pub fn limit(&self) -> TimeLimit {
        TimeLimit::after(FUNCTION_TIME, self.parts.timeline.clock())
    }

    /// The deadline of an invocation that begins now.
    pub fn deadline(&self) -> Deadline {
        Deadline::after(FUNCTION_TIME, self.parts.timeline.clock())
    }

    /// Puts a file and takes it to its end; its details are then on the queue.
    pub async fn take(&self, name: &str, text: impl Into<bytes::Bytes>) -> FileId {
        let object = self.parts.put(name, text).await;
        self.take_object(object).await
    }

    /// Takes an object to its end.
    pub async fn take_object(&self, object: ObjectIdentity) -> FileId {
        let uploader = &self.upload.uploader;
        let file = uploader.register(object, &correlation()).await.unwrap();
        while uploader.work(file.id, &self.limit()).await.unwrap() != Progress::Done {}
        file.id
    }

    /// Hands the upload function an event.
    pub async fn upload_event(&self, event: Value) -> Value {
        let handled = weir_settlement_upload::handle(&self.upload, event, self.deadline());
        handled.await.unwrap()
    }

    /// Receives what can be received of the details queue, and deletes it. What carries on something
    /// that is done to a whole batch is carried on at once.
    pub async fn messages(&self) -> Vec<DetailsMessage> {
        let url = &self.parts.names.details_queue;
        let mut bodies = Vec::new();
        loop {
            let received = receive(&self.parts.queues, url).await;
            if received.is_empty() {
                return bodies;
            }
            for message in received {
                delete(&self.parts.queues, url, &message).await;
                let body = message.body().unwrap();
                if let Ok(task) = serde_json::from_str::<BatchTaskMessage>(body) {
                    let actions = &self.process.actions;
                    actions.go_on(task.task_of, &self.limit()).await.unwrap();
                } else {
                    bodies.push(serde_json::from_str(body).unwrap());
                }
            }
        }
    }

    /// Hands the upload function whatever can be received of its queue, until there is nothing.
    pub async fn upload_messages(&self) {
        let url = &self.parts.names.uploads_queue;
        loop {
            let received = receive(&self.parts.queues, url).await;
            if received.is_empty() {
                return;
            }
            let messages: Vec<_> = received.iter().collect();
            let answer = self.upload_event(sqs_event(&messages)).await;
            assert_eq!(answer["batchItemFailures"], serde_json::json!([]));
            for message in messages {
                delete(&self.parts.queues, url, message).await;
            }
        }
    }

    /// Processes one message.
    pub async fn process(&self, message: &DetailsMessage) -> Result<(), ProcessError> {
        let processor = &self.process.processor;
        processor
            .process(message, &correlation(), &self.limit())
            .await
    }

    /// Processes whatever can be received now, message by message, and tells how many there were.
    pub async fn process_messages(&self) -> usize {
        let messages = self.messages().await;
        for message in &messages {
            self.process(message).await.unwrap();
        }
        messages.len()
    }

    /// Processes messages, moving the time on to delayed ones, until there are none.
    pub async fn settle(&self) {
        loop {
            let count = self.process_messages().await;
            let counts = self.parts.counts(crate::parts::DETAILS);
            if count == 0 && counts.ready + counts.delayed + counts.in_flight == 0 {
                return;
            }
            if count == 0 {
                self.parts.timeline.jump(Duration::from_secs(1));
            }
        }
    }

    /// Sweeps once.
    pub async fn sweep(&self) -> Swept {
        self.sweep.sweeper.sweep(&self.limit()).await.unwrap()
    }

    /// A file.
    pub async fn file(&self, id: FileId) -> File {
        self.parts.store.file(id).await.unwrap().unwrap()
    }

    /// A batch of a file.
    pub async fn batch(&self, file: FileId, ordinal: u16) -> Batch {
        let id = file.batch(BatchOrdinal::new(ordinal.into()).unwrap());
        self.parts.store.batch(id).await.unwrap().unwrap()
    }

    /// A detail of a file.
    pub async fn detail(&self, file: FileId, ordinal: u16, line: u32) -> Detail {
        let batch = self.batch(file, ordinal).await;
        let line = LineNumber::new(line).unwrap();
        let detail = self.parts.store.detail(&batch.place(), line).await;
        detail.unwrap().unwrap()
    }

    /// Changes a detail as somebody else might have, outside of any function.
    pub async fn change(
        &self,
        file: FileId,
        ordinal: u16,
        line: u32,
        change: impl FnOnce(&mut LeaseState),
    ) {
        let batch = self.batch(file, ordinal).await;
        let mut lease = Lease::of(&self.detail(file, ordinal, line).await);
        change(&mut lease.after);
        let answers = self
            .parts
            .store
            .change_leases(&batch.place(), &[lease])
            .await;
        assert_eq!(answers, [LeaseOutcome::Taken]);
    }

    /// How many requests 3Rivers has had, whatever became of them.
    pub fn requests(&self) -> u64 {
        self.parts.simulator.summary().requests
    }

    /// What 3Rivers does wrong from now on, as JSON.
    pub fn set_faults(&self, faults: Value) {
        let faults = serde_json::from_value(faults).unwrap();
        self.parts.simulator.set_faults(faults).unwrap();
    }

    /// The statuses of all details of a file, batch by batch.
    pub async fn statuses(&self, file: FileId) -> Vec<Vec<DetailStatus>> {
        let books = Books::of(&self.parts.store, file).await;
        let of = |(_, details): &(Batch, Vec<Detail>)| {
            details.iter().map(|detail| detail.status).collect()
        };
        books.batches.iter().map(of).collect()
    }

    /// Holds the files against every law of settled files.
    pub async fn audit(&self, files: &[FileId]) -> Vec<Books> {
        laws::audit(&self.parts.store, &self.parts.platform(), files).await
    }

    /// Asserts that nothing of a file exists: no batch, no detail, no message, no request.
    pub async fn assert_nothing_of(&self, id: FileId) {
        let file = self.file(id).await;
        assert_eq!(file.status, FileStatus::Error, "{}", file.name);
        laws::assert_nothing_of(&self.parts.store, id).await;
        let counts = self.parts.counts(crate::parts::DETAILS);
        assert_eq!(counts.ready + counts.delayed + counts.in_flight, 0);
        assert_eq!(self.parts.simulator.summary().requests, 0);
    }
}

fn processor(parts: &Parts, store: Store, settings: &Settings, counted: &Counted) -> Processor {
    let clock = parts.timeline.clock().clone();
    let http = parts.network.http.clone().with_clock(clock.clone());
    let mut options = ClientOptions::new(parts.simulator.base_url().parse().unwrap());
    options.call_timeout = settings.process.call_timeout;
    let key: ApiKey = API_KEY.parse().unwrap();
    Processor {
        store,
        platform: Client::new(http, clock.clone(), options).unwrap(),
        breakers: Breakers::new(settings.breaker.clone(), parts.random.clone()),
        credentials: Credentials::one(key),
        clock: clock.clone(),
        random: parts.random.clone(),
        metrics: counted.metrics.clone(),
        options: settings.process.clone(),
        calls: Arc::new(Semaphore::new(settings.process.calls_max)),
    }
}

/// The correlation id of everything that is done here.
pub fn correlation() -> CorrelationId {
    "test-run".parse().unwrap()
}

/// Receives at most ten messages, without waiting for any.
pub async fn receive(queues: &aws_sdk_sqs::Client, url: &str) -> Vec<Message> {
    let answer = queues
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10)
        .send()
        .await
        .unwrap();
    answer.messages.unwrap_or_default()
}

/// Deletes a message that was received.
pub async fn delete(queues: &aws_sdk_sqs::Client, url: &str, message: &Message) {
    let deleted = queues.delete_message().queue_url(url);
    let handle = message.receipt_handle().unwrap();
    deleted.receipt_handle(handle).send().await.unwrap();
}
