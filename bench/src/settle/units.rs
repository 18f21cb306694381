//! What a detail costs in DynamoDB.
//!
//! The two functions run one after the other on the embedded parts, each with its own store, whose
//! counts of consumed capacity are added up: exactly what the file's way through them consumed,
//! without the looks of whoever waits. The counts are those that DynamoDB reports with each call.

use serde_json::{Value, json};
use weir_lambda::{Deadline, Parts};
use weir_local::demo;
use weir_runtime::{AwsClients, AwsOptions, Reader};
use weir_store::{Names, Store};

use super::{Settlement, check, fresh_folder};
use crate::Setting;
use crate::measure::Values;
use crate::surroundings::{Surroundings, TIME, take};

/// Settles a file and counts.
pub(super) async fn measure(setting: &Setting) -> anyhow::Result<Values> {
    let folder = fresh_folder(setting)?;
    let (surroundings, parts) = Surroundings::start(&folder).await?;
    let settlement = Settlement::generate(setting.details)?;
    let (details, contents) = (settlement.details() as f64, settlement.contents);
    let (write, read) = settle(&surroundings, settlement, &parts).await?;
    check(&contents, &surroundings.made())?;
    surroundings.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(Values::from([
        ("settle.write_units_per_detail".to_owned(), write / details),
        ("settle.read_units_per_detail".to_owned(), read / details),
    ]))
}

/// Takes the file and processes every message until none is left; the units written and read.
async fn settle(
    surroundings: &Surroundings,
    settlement: Settlement,
    parts: &Parts,
) -> anyhow::Result<(f64, f64)> {
    let mut reader = Reader::new(surroundings.environment());
    let (aws, names) = (AwsOptions::read(&mut reader), Names::read(&mut reader));
    let upload = weir_settlement_upload::read(&mut reader);
    let process = weir_detail_processor::read(&mut reader);
    reader.finish()?;
    let clients = AwsClients::new(&aws).await;
    for queue in ["uploads", "details"] {
        clients.sqs.create_queue().queue_name(queue).send().await?;
    }
    let (clock, random) = (parts.clock.clone(), parts.random.clone());
    let store = Store::new(clients.clone(), names, clock, random);
    store.create_tables().await?;
    demo::seed(&store, &parts.clock, &parts.random).await?;
    let count = settlement.details();
    let object = settlement.put(&store).await?;
    let failed = |error: weir_lambda::BuildError| anyhow::anyhow!(error);
    let upload = weir_settlement_upload::build(upload, parts.clone())
        .await
        .map_err(failed)?;
    let process = weir_detail_processor::build(process, parts.clone())
        .await
        .map_err(failed)?;
    take(&upload.uploader, object, parts).await?;
    while settled(surroundings) < count {
        let url = surroundings.sqs.queue_url("details");
        invoke(&process, &clients.sqs, &url, parts).await?;
    }
    let (taken, processed) = (
        upload.uploader.store.capacity().total(),
        process.processor.store.capacity().total(),
    );
    Ok((taken.write + processed.write, taken.read + processed.read))
}

/// One invocation of the processor with the messages that are there; none may come back.
async fn invoke(
    state: &weir_detail_processor::State,
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    parts: &Parts,
) -> anyhow::Result<()> {
    let received = sqs
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10)
        .wait_time_seconds(20)
        .send()
        .await?;
    anyhow::ensure!(!received.messages().is_empty(), "no message is left");
    let records: Vec<Value> = received
        .messages()
        .iter()
        .map(|message| json!({"messageId": message.message_id(), "body": message.body()}))
        .collect();
    let deadline = Deadline::after(TIME, &parts.clock);
    let answer =
        weir_detail_processor::handle(state, json!({"Records": records}), deadline).await?;
    anyhow::ensure!(
        answer.pointer("/batchItemFailures/0").is_none(),
        "messages failed: {answer}"
    );
    Ok(())
}

fn settled(surroundings: &Surroundings) -> u64 {
    let made = surroundings.made();
    made.charges + made.refunds
}
