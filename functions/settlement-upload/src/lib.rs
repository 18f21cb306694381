//! The `settlement-upload` function: takes uploaded files.
//!
//! Triggered by S3's object events through the uploads queue, or directly; and by its own
//! continuations on that queue. See [`weir_settlement::upload`] for what is done with a file.

mod event;

use serde_json::Value;
use weir_domain::{FileId, ObjectIdentity};
use weir_lambda::{BuildError, Deadline, DecodeError, Parts, SqsRecord, decode, run_batch};
use weir_runtime::{AwsClients, AwsOptions, Clock, CorrelationId, Random, Reader};
use weir_settlement::TimeLimit;
use weir_settlement::upload::{UploadError, Uploader};
use weir_store::{Names, Store};

pub use event::{EventError, Work};

/// Files that are worked on at the same time: one, because each wants all the time there is.
const FILES_AT_A_TIME: usize = 1;

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
    pub uploader: Uploader,
    /// Time.
    pub clock: Clock,
    /// New correlation ids.
    pub random: Random,
}

/// Why an event, or a message of one, was handed back.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// Neither SQS's nor S3's.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A message that is neither an object event nor a continuation.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The file could not be worked on.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

/// Reads the settings; problems are noted in the reader.
pub fn read(reader: &mut Reader) -> Settings {
    Settings {
        aws: AwsOptions::read(reader),
        names: Names::read(reader),
    }
}

/// Builds the state.
pub async fn build(settings: Settings, parts: Parts) -> Result<State, BuildError> {
    let clients = AwsClients::new(&settings.aws).await;
    let store = Store::new(
        clients,
        settings.names,
        parts.clock.clone(),
        parts.random.clone(),
    );
    let uploader = Uploader {
        store,
        clock: parts.clock.clone(),
        metrics: parts.metrics,
    };
    Ok(State {
        uploader,
        clock: parts.clock,
        random: parts.random,
    })
}

/// Deals with an event. Of a queue's it answers with the messages that are to come again; one that
/// S3 sends itself fails as a whole, and S3 sends it again.
pub async fn handle(state: &State, event: Value, deadline: Deadline) -> Result<Value, HandleError> {
    let limit = TimeLimit::after(deadline.usable(), &state.clock);
    if event::is_from_s3(&event) {
        let correlation_id = CorrelationId::generate(&state.random, &state.clock);
        work_on_all(state, event::read(&event)?, &correlation_id, &limit).await?;
        return Ok(Value::Null);
    }
    let records = decode(event)?;
    register_all(state, &records).await;
    let state = state.clone();
    let handle_one = move |record: SqsRecord| {
        let (state, limit) = (state.clone(), limit.clone());
        async move {
            let body = serde_json::from_str(&record.body).map_err(|_| EventError::NotJson)?;
            let works = event::read(&body)?;
            work_on_all(&state, works, &record.correlation_id, &limit).await
        }
    };
    Ok(run_batch(records, &deadline, FILES_AT_A_TIME, handle_one)
        .await
        .into_value())
}

/// Makes every object of a batch known before work on the first begins: should time run out, the
/// sweeper knows of the others. What fails here is tried again with its record.
async fn register_all(state: &State, records: &[SqsRecord]) {
    for record in records {
        let works = serde_json::from_str(&record.body)
            .ok()
            .and_then(|body| event::read(&body).ok());
        for work in works.unwrap_or_default() {
            if let Work::Object(object) = work
                && let Err(error) = registered(state, object, &record.correlation_id).await
            {
                tracing::warn!(%error, message_id = record.message_id, "a file is not known yet");
            }
        }
    }
}

async fn work_on_all(
    state: &State,
    works: Vec<Work>,
    correlation_id: &CorrelationId,
    limit: &TimeLimit,
) -> Result<(), HandleError> {
    for work in works {
        let id = match work {
            Work::Continue(id) => id,
            Work::Retake(id) => {
                state.uploader.retake(id, limit).await?;
                continue;
            }
            Work::Object(object) => registered(state, object, correlation_id).await?,
        };
        // Done, continued or somebody else's: in each case this message has served.
        state.uploader.work(id, limit).await?;
    }
    Ok(())
}

async fn registered(
    state: &State,
    object: ObjectIdentity,
    correlation_id: &CorrelationId,
) -> Result<FileId, UploadError> {
    Ok(state.uploader.register(object, correlation_id).await?.id)
}
