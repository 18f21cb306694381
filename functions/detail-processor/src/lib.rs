//! The `detail-processor` function: sends details to 3Rivers.
//!
//! Triggered by the details queue, with partial batch responses. A message names some details of one
//! batch (see [`weir_settlement::process`] for what is done with them), or a batch to whose whole
//! something is being done ([`weir_settlement::actions`]).

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;
use tracing::Instrument;
use weir_lambda::{BuildError, Deadline, DecodeError, Parts, SqsRecord, decode, run_batch};
use weir_runtime::telemetry::span;
use weir_runtime::{AwsClients, AwsOptions, Clock, CorrelationId, Http, HttpOptions, Reader};
use weir_settlement::TimeLimit;
use weir_settlement::actions::{ActionError, Actions};
use weir_settlement::credentials::{Credentials, KeySource};
use weir_settlement::process::{ProcessError, ProcessOptions, Processor};
use weir_store::{BatchTaskMessage, DetailsMessage, Names, Store};
use weir_three_rivers::{BreakerOptions, Breakers, CONNECT_TIMEOUT, Client, ClientOptions};

/// Messages that are worked on at the same time; the calls have a bound of their own.
const MESSAGES_AT_A_TIME: usize = 10;

/// What the function reads from its environment.
#[derive(Debug)]
pub struct Settings {
    aws: AwsOptions,
    names: Names,
    options: ProcessOptions,
    keys: KeySource,
    three_rivers: ClientOptions,
}

/// What lives from one invocation to the next.
#[derive(Debug, Clone)]
pub struct State {
    /// Sends details.
    pub processor: Processor,
    /// Carries on what is done to whole batches.
    pub actions: Actions,
    /// Time.
    pub clock: Clock,
}

/// Why a message was handed back.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Not a message of the details queue: it will end in the dead letters.
    #[error("not a details message of version {version}: {0}", version = DetailsMessage::VERSION)]
    Malformed(String),
    /// It could not be worked on.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A batch's task could not be gone on with.
    #[error(transparent)]
    Task(#[from] ActionError),
}

/// Reads the settings; problems are noted in the reader. `WEIR_THREE_RIVERS_URL` is where 3Rivers
/// is, without `/api/v2`.
pub fn read(reader: &mut Reader) -> Settings {
    let options = ProcessOptions::read(reader);
    let mut three_rivers = ClientOptions::new(reader.url("WEIR_THREE_RIVERS_URL"));
    three_rivers.call_timeout = options.call_timeout;
    Settings {
        aws: AwsOptions::read(reader),
        names: Names::read(reader),
        keys: KeySource::read(reader),
        options,
        three_rivers,
    }
}

/// Builds the state.
pub async fn build(settings: Settings, parts: Parts) -> Result<State, BuildError> {
    let clients = AwsClients::new(&settings.aws).await;
    let credentials = Credentials::new(
        settings.keys,
        clients.secrets(&settings.aws),
        parts.clock.clone(),
        parts.metrics.clone(),
    );
    let http = HttpOptions {
        connect_timeout: CONNECT_TIMEOUT,
        ..HttpOptions::default()
    };
    let http = Http::new(&http)?.with_clock(parts.clock.clone());
    let store = Store::new(
        clients,
        settings.names,
        parts.clock.clone(),
        parts.random.clone(),
    );
    let processor = Processor {
        store,
        platform: Client::new(http, parts.clock.clone(), settings.three_rivers)?,
        breakers: Breakers::new(BreakerOptions::default(), parts.random.clone()),
        credentials,
        clock: parts.clock.clone(),
        random: parts.random,
        metrics: parts.metrics,
        calls: Arc::new(Semaphore::new(settings.options.calls_max)),
        options: settings.options,
    };
    let actions = Actions {
        store: processor.store.clone(),
        clock: processor.clock.clone(),
        random: processor.random.clone(),
        metrics: processor.metrics.clone(),
    };
    Ok(State {
        processor,
        actions,
        clock: parts.clock,
    })
}

/// Deals with a batch of messages and answers with those that are to come again.
pub async fn handle(state: &State, event: Value, deadline: Deadline) -> Result<Value, DecodeError> {
    let records = decode(event)?;
    let limit = TimeLimit::after(deadline.usable(), &state.clock);
    let state = state.clone();
    let handle_one = move |record: SqsRecord| {
        let (state, limit) = (state.clone(), limit.clone());
        async move { message(&state, &record, &limit).await }
    };
    Ok(
        run_batch(records, &deadline, MESSAGES_AT_A_TIME, handle_one)
            .await
            .into_value(),
    )
}

async fn message(state: &State, record: &SqsRecord, limit: &TimeLimit) -> Result<(), MessageError> {
    if let Ok(task) = serde_json::from_str::<BatchTaskMessage>(&record.body) {
        check_version(task.v)?;
        state.actions.go_on(task.task_of, limit).await?;
        return Ok(());
    }
    let message: DetailsMessage = serde_json::from_str(&record.body)
        .map_err(|error| MessageError::Malformed(error.to_string()))?;
    check_version(message.v)?;
    let correlation_id = CorrelationId::new(message.correlation_id.as_str())
        .unwrap_or_else(|_| record.correlation_id.clone());
    let work = state.processor.process(&message, &correlation_id, limit);
    Ok(work.instrument(span(&correlation_id)).await?)
}

fn check_version(version: u32) -> Result<(), MessageError> {
    if version == DetailsMessage::VERSION {
        Ok(())
    } else {
        Err(MessageError::Malformed(format!(
            "it is of version {version}"
        )))
    }
}
