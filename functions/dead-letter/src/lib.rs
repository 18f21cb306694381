//! The `dead-letter` function: keeps what its queues set aside.
//!
//! Triggered by every dead-letter queue, with partial batch responses; see
//! [`weir_settlement::dead_letters`] for what is done with a message.

use serde_json::Value;
use weir_lambda::{BuildError, Deadline, DecodeError, Parts, SqsRecord, decode, run_batch};
use weir_runtime::{AwsClients, AwsOptions, Reader};
use weir_settlement::dead_letters::DeadLetters;
use weir_settlement::messages::Delivery;
use weir_store::{Names, Store, StoreError};

/// Messages that are worked on at the same time.
const MESSAGES_AT_A_TIME: usize = 5;

/// What the function reads from its environment.
#[derive(Debug)]
pub struct Settings {
    aws: AwsOptions,
    names: Names,
}

/// What lives from one invocation to the next.
#[derive(Debug, Clone)]
pub struct State {
    /// The use case.
    pub dead_letters: DeadLetters,
}

/// Reads the settings; problems are noted in the reader.
pub fn read(reader: &mut Reader) -> Settings {
    Settings {
        aws: AwsOptions::read(reader),
        names: Names::read_tables_and_bucket(reader),
    }
}

/// Builds the state.
pub async fn build(settings: Settings, parts: Parts) -> Result<State, BuildError> {
    let clients = AwsClients::new(&settings.aws).await;
    let (clock, random) = (parts.clock, parts.random);
    let store = Store::new(clients, settings.names, clock.clone(), random.clone());
    let dead_letters = DeadLetters {
        store,
        clock,
        random,
        metrics: parts.metrics,
    };
    Ok(State { dead_letters })
}

/// Deals with a batch of messages and answers with those that are to come again.
pub async fn handle(state: &State, event: Value, deadline: Deadline) -> Result<Value, DecodeError> {
    let records = decode(event)?;
    let dead_letters = state.dead_letters.clone();
    let handle_one = move |record: SqsRecord| {
        let dead_letters = dead_letters.clone();
        async move { message(&dead_letters, record).await }
    };
    Ok(
        run_batch(records, &deadline, MESSAGES_AT_A_TIME, handle_one)
            .await
            .into_value(),
    )
}

async fn message(dead_letters: &DeadLetters, record: SqsRecord) -> Result<(), StoreError> {
    let delivery = Delivery {
        message_id: record.message_id,
        body: record.body,
        attributes: record.attributes,
        message_attributes: record.message_attributes,
        queue_arn: record.queue_arn,
        receive_count: record.receive_count,
        correlation_id: record.correlation_id,
    };
    dead_letters.keep(&delivery).await?;
    Ok(())
}
