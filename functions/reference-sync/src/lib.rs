//! The `reference-sync` function: applies the messages that bring reference data.
//!
//! Triggered by the messages queue, with partial batch responses; see [`weir_settlement::messages`]
//! for what is done with a message. It reads tables and bucket, and sends nothing to a queue.

use serde_json::Value;
use weir_lambda::{BuildError, Deadline, DecodeError, Parts, SqsRecord, decode, run_batch};
use weir_runtime::{AwsClients, AwsOptions, Reader};
use weir_settlement::messages::{Delivery, SyncError, SyncOptions, Synchronizer};
use weir_store::{Names, Store};

/// Messages that are worked on at the same time.
const MESSAGES_AT_A_TIME: usize = 10;

/// What the function reads from its environment.
#[derive(Debug)]
pub struct Settings {
    aws: AwsOptions,
    names: Names,
    options: SyncOptions,
}

/// What lives from one invocation to the next.
#[derive(Debug, Clone)]
pub struct State {
    /// The use case.
    pub synchronizer: Synchronizer,
}

/// Reads the settings; problems are noted in the reader.
pub fn read(reader: &mut Reader) -> Settings {
    Settings {
        aws: AwsOptions::read(reader),
        names: Names::read_tables_and_bucket(reader),
        options: SyncOptions::read(reader),
    }
}

/// Builds the state.
pub async fn build(settings: Settings, parts: Parts) -> Result<State, BuildError> {
    let clients = AwsClients::new(&settings.aws).await;
    let clock = parts.clock;
    let store = Store::new(clients, settings.names, clock.clone(), parts.random);
    let synchronizer = Synchronizer {
        store,
        clock,
        metrics: parts.metrics,
        options: settings.options,
    };
    Ok(State { synchronizer })
}

/// Deals with a batch of messages and answers with those that are to come again.
pub async fn handle(state: &State, event: Value, deadline: Deadline) -> Result<Value, DecodeError> {
    let records = decode(event)?;
    let synchronizer = state.synchronizer.clone();
    let handle_one = move |record: SqsRecord| {
        let synchronizer = synchronizer.clone();
        async move { message(&synchronizer, record).await }
    };
    Ok(
        run_batch(records, &deadline, MESSAGES_AT_A_TIME, handle_one)
            .await
            .into_value(),
    )
}

async fn message(synchronizer: &Synchronizer, record: SqsRecord) -> Result<(), SyncError> {
    let delivery = Delivery {
        message_id: record.message_id,
        body: record.body,
        attributes: record.attributes,
        message_attributes: record.message_attributes,
        queue_arn: record.queue_arn,
        receive_count: record.receive_count,
        correlation_id: record.correlation_id,
    };
    synchronizer.sync(&delivery).await?;
    Ok(())
}
