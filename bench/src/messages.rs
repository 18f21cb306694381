//! Messages that bring reference data: how fast the function takes them off the queue, and what each
//! costs in DynamoDB.
//!
//! As a deployment does it with one invocation at a time: ten are received, handed to the function, and
//! deleted. Sending them is not measured. One in a hundred is poison, and fails.

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, SendMessageBatchRequestEntry};
use serde_json::{Value, json};
use uuid::Uuid;
use weir_lambda::{Deadline, Parts};
use weir_reference_sync::State;
use weir_runtime::{AwsClients, AwsOptions, Reader};
use weir_store::{Names, Store};

use crate::Setting;
use crate::measure::Values;
use crate::surroundings::{Surroundings, TIME};

/// A client and its program.
const PARENTS: u32 = 2;
/// So many messages about sellers of the program.
const MESSAGES: u32 = 10_000;
/// One in so many is poison.
const POISON_EVERY: u32 = 100;
const AT: &str = "2026-01-01T00:00:00Z";

/// The child's part. Nothing is logged: every piece of poison would be, and whatever else goes wrong ends
/// the measurement.
pub(crate) fn measure_here(setting: &Setting) -> anyhow::Result<Values> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().build()?.block_on(measure(setting))
}

/// Takes all messages, and tells the rate and the units.
async fn measure(setting: &Setting) -> anyhow::Result<Values> {
    let folder = setting.scratch.join("messages");
    std::fs::create_dir_all(&folder)?;
    let (surroundings, parts) = Surroundings::start(&folder).await?;
    let mut reader = Reader::new(surroundings.environment());
    let (aws, names) = (AwsOptions::read(&mut reader), Names::read(&mut reader));
    let settings = weir_reference_sync::read(&mut reader);
    reader.finish()?;
    let clients = AwsClients::new(&aws).await;
    let made = clients.sqs.create_queue().queue_name("messages").send();
    made.await?;
    let url = surroundings.sqs.queue_url("messages");
    let (clock, random) = (parts.clock.clone(), parts.random.clone());
    let store = Store::new(clients.clone(), names, clock, random);
    store.create_tables().await?;
    let state = weir_reference_sync::build(settings, parts.clone())
        .await
        .map_err(|error| anyhow::anyhow!(error))?;

    // What the others belong to is there before them, so that none has to wait.
    for parent in 0..PARENTS {
        send(&clients.sqs, &url, &[parent]).await?;
        invoke(&state, &clients.sqs, &url, &parts).await?;
    }
    let children: Vec<u32> = (PARENTS..PARENTS + MESSAGES).collect();
    send(&clients.sqs, &url, &children).await?;
    let before = state.synchronizer.store.capacity().total();
    let begun = parts.clock.monotonic();
    let mut taken = 0;
    while taken < MESSAGES {
        taken += invoke(&state, &clients.sqs, &url, &parts).await?;
    }
    let took = parts.clock.monotonic().saturating_sub(begun);
    let units = state.synchronizer.store.capacity().total();
    surroundings.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    let count = f64::from(MESSAGES);
    Ok(Values::from([
        ("messages.per_s".to_owned(), count / took.as_secs_f64()),
        (
            "messages.write_units_per_message".to_owned(),
            (units.write - before.write) / count,
        ),
        (
            "messages.read_units_per_message".to_owned(),
            (units.read - before.read) / count,
        ),
    ]))
}

/// A message by its number.
pub(crate) fn body(number: u32) -> Value {
    let id = |kind: u128, number: u32| {
        Uuid::from_u128(
            0x0190_a6a0_0000_7000_8000_0000_0000_0000 + (kind << 32) + u128::from(number),
        )
    };
    let (client, program) = (id(1, 0), id(2, 0));
    let told = |kind: &str, data: Value| json!({"type": format!("{kind}.created"), "occurred_at": AT, "data": data});
    match number {
        0 => told("client", json!({"id": client, "name": "Client"})),
        1 => told(
            "program",
            json!({
                "id": program, "client_id": client, "name": "Program", "status": "Active",
                "reply_to_email": "a@example.com", "support_email": "b@example.com",
                "sender_email": "c@example.com",
            }),
        ),
        number if number % POISON_EVERY == POISON_EVERY - 1 => json!({"type": "seller.created"}),
        number => told(
            "seller",
            json!({
                "id": id(3, number), "client_id": client, "program_id": program,
                "name": format!("Seller {number}"), "alternate_seller_id": format!("S-{number}"),
                "status": "Active",
            }),
        ),
    }
}

async fn send(sqs: &aws_sdk_sqs::Client, url: &str, numbers: &[u32]) -> anyhow::Result<()> {
    for together in numbers.chunks(10) {
        let mut request = sqs.send_message_batch().queue_url(url);
        for number in together {
            let entry = SendMessageBatchRequestEntry::builder().id(number.to_string());
            request = request.entries(entry.message_body(body(*number).to_string()).build()?);
        }
        let sent = request.send().await?;
        anyhow::ensure!(sent.failed().is_empty(), "a message was not sent");
    }
    Ok(())
}

/// One invocation with at most ten messages; gives how many of them are done with.
async fn invoke(
    state: &State,
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    parts: &Parts,
) -> anyhow::Result<u32> {
    let request = sqs.receive_message().queue_url(url).wait_time_seconds(20);
    let received = request.max_number_of_messages(10).send().await?;
    anyhow::ensure!(!received.messages().is_empty(), "messages were lost");
    let record = |message: &aws_sdk_sqs::types::Message| {
        json!({
            "messageId": message.message_id(),
            "body": message.body(),
            "attributes": {"ApproximateReceiveCount": "1"},
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:messages",
        })
    };
    let records: Vec<Value> = received.messages().iter().map(record).collect();
    let deadline = Deadline::after(TIME, &parts.clock);
    let answer = weir_reference_sync::handle(state, json!({"Records": records}), deadline).await?;
    anyhow::ensure!(
        answer.pointer("/batchItemFailures/0").is_none(),
        "messages came back: {answer}"
    );
    let mut request = sqs.delete_message_batch().queue_url(url);
    for (at, message) in received.messages().iter().enumerate() {
        let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string());
        let entry = entry.set_receipt_handle(message.receipt_handle().map(str::to_owned));
        request = request.entries(entry.build()?);
    }
    request.send().await?;
    Ok(u32::try_from(received.messages().len())?)
}
