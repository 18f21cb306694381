//! Actions on batches and details: cancel, retry, take drafts on or drop them.
//!
//! What is wrong with a request is told in this order: who asks and their permission, the path and
//! the query, the type and the size of the body, the body, whether the batch is there for the caller,
//! the details.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use uuid::Uuid;
use weir_domain::{BatchAction, BatchStatus};
use weir_query::{BatchRow, Batches, DetailRow, Details, Listed};
use weir_runtime::CorrelationId;
use weir_settlement::TimeLimit;
use weir_settlement::actions::{
    ActionError, Actions, Asked, Meant, Named, NamedRefusal, check_status, read_detail,
};
use weir_store::Batch;

use crate::auth::Allowed;
use crate::auth::permission::BatchesWrite;
use crate::gateway::AnswerWithin;
use crate::path::PathIds;
use crate::resources::{answered, existing};
use crate::{Api, ApiError, IdempotentRun, ValidationError, body};

/// The largest body: a thousand ids, with room.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a request works on a whole batch, at most, before it leaves the rest to the queue.
const WORK_MAX: Duration = Duration::from_secs(20);
/// In how many seconds to try again while something is done to the whole batch.
const BUSY_SECONDS: u32 = 5;

/// `POST …/cancel`, `…/retry`, `…/confirm-drafts` and `…/cancel-drafts`, by what is done.
pub(crate) fn route(action: BatchAction) -> MethodRouter<Api> {
    post(
        move |state: State<Api>,
              allowed: Allowed<BatchesWrite>,
              path: PathIds,
              request: Request| act(action, state, allowed, path, request),
    )
}

async fn act(
    action: BatchAction,
    State(api): State<Api>,
    allowed: Allowed<BatchesWrite>,
    path: PathIds,
    request: Request,
) -> Result<Response, ApiError> {
    let (path, ()) = path.and(body::no_query(request.uri()))?;
    let asked = asked(&allowed, &request);
    let limit = api.limit(&request);
    let meant = read_body(request).await?;
    let meant = Meant::parse(action, &meant)?;
    let ask = api.ask(allowed.scope);
    let BatchRow(batch) = existing::<Batches>(&ask, &path).await?;
    let actions = api.actions();
    let acted = match meant {
        Meant::All(action) => actions.act_on_all(&batch, action, &asked, &limit).await,
        Meant::Named(named) => actions.act_on(&batch, action, &named, &asked).await,
    };
    let acted = acted.map_err(|error| not_done(action, error))?;
    tracing::info!(batch_id = %batch.id, %action, actor = asked.actor, "a batch was acted on");
    answered::<Batches>(&ask, BatchRow(acted)).await
}

/// `PUT …/batches/{batch_id}`: a batch that could not be taken is taken again; the errors of any other
/// are retried.
pub(crate) async fn put_batch(
    State(api): State<Api>,
    allowed: Allowed<BatchesWrite>,
    path: PathIds,
    request: Request,
) -> Result<Response, ApiError> {
    let (path, ()) = path.and(body::no_query(request.uri()))?;
    let asked = asked(&allowed, &request);
    let limit = api.limit(&request);
    check_status(&read_json(request).await?)?;
    let ask = api.ask(allowed.scope);
    let BatchRow(batch) = existing::<Batches>(&ask, &path).await?;
    let actions = api.actions();
    let acted = if is_untaken(&batch) {
        actions.retake(&batch, &asked).await
    } else {
        let action = BatchAction::Retry;
        actions.act_on_all(&batch, action, &asked, &limit).await
    };
    let acted = acted.map_err(|error| not_done(BatchAction::Retry, error))?;
    tracing::info!(batch_id = %batch.id, actor = asked.actor, "a batch is to be taken again");
    answered::<Batches>(&ask, BatchRow(acted)).await
}

/// `PUT …/details/{batch_detail_id}`: a retry of one detail.
pub(crate) async fn put_detail(
    State(api): State<Api>,
    allowed: Allowed<BatchesWrite>,
    path: PathIds,
    request: Request,
) -> Result<Response, ApiError> {
    let (path, ()) = path.and(body::no_query(request.uri()))?;
    let asked = asked(&allowed, &request);
    let looked_up = read_detail(&read_json(request).await?)?;
    let ask = api.ask(allowed.scope);
    let DetailRow { detail, batch, .. } = existing::<Details>(&ask, &path).await?;
    // Who asks for what it is already has it.
    if !detail.status.is_open() {
        let action = BatchAction::Retry;
        let named = Named {
            ids: vec![detail.id.uuid()],
            looked_up,
        };
        let acted = api.actions().act_on(&batch, action, &named, &asked).await;
        acted.map_err(|error| not_done(action, error))?;
        tracing::info!(detail_id = %detail.id, actor = asked.actor, "a detail is to be sent again");
    }
    let row = existing::<Details>(&ask, &path).await?;
    answered::<Details>(&ask, row).await
}

impl Api {
    pub(crate) fn actions(&self) -> Actions {
        Actions {
            store: self.store.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            metrics: self.uploader.metrics.clone(),
        }
    }

    /// Until when a request may work.
    fn limit(&self, request: &Request) -> TimeLimit {
        let within = request.extensions().get::<AnswerWithin>();
        let within = within.map_or(WORK_MAX, |AnswerWithin(within)| WORK_MAX.min(*within));
        TimeLimit::after(within, &self.clock)
    }
}

/// Who asks, as history shows it.
pub(crate) fn asked<P>(allowed: &Allowed<P>, request: &Request) -> Asked {
    let correlation_id = request.extensions().get::<CorrelationId>();
    let run = request.extensions().get::<IdempotentRun>();
    Asked {
        actor: allowed.who.shown(),
        correlation_id: correlation_id.map_or_else(String::new, |id| id.as_str().to_owned()),
        id: run.map(|run| run.seed),
    }
}

/// A body, which may be left out.
async fn read_body(request: Request) -> Result<bytes::Bytes, ApiError> {
    let (parts, sent) = request.into_parts();
    if parts.headers.contains_key(http::header::CONTENT_TYPE) {
        return body::read_json(&parts.headers, sent, BODY_BYTES_MAX).await;
    }
    let remedy = || format!("A body may have {BODY_BYTES_MAX} bytes.");
    let bytes = body::read(&parts.headers, sent, BODY_BYTES_MAX, remedy).await?;
    if bytes.is_empty() {
        Ok(bytes)
    } else {
        Err(ApiError::UnsupportedMediaType(
            "Send the body as application/json.",
        ))
    }
}

async fn read_json(request: Request) -> Result<bytes::Bytes, ApiError> {
    let (parts, sent) = request.into_parts();
    body::read_json(&parts.headers, sent, BODY_BYTES_MAX).await
}

fn is_untaken(batch: &Batch) -> bool {
    batch.counters.details == 0 && batch.status == BatchStatus::Error
}

fn not_done(action: BatchAction, error: ActionError) -> ApiError {
    let each = |refused: Vec<(Uuid, NamedRefusal)>| {
        let one = |(id, why): (Uuid, NamedRefusal)| {
            ValidationError::new("/batch_detail_ids", format!("{id}: {why}"))
        };
        refused.into_iter().map(one).collect::<Vec<_>>()
    };
    match error {
        ActionError::Refused(refused) => ApiError::InvalidParameter(each(refused)),
        ActionError::PartlyRefused { changed, refused } => ApiError::PartlyDone(
            format!(
                "{changed} details were changed. The others changed while the request was being \
                 carried out, and were left as they are."
            ),
            each(refused),
        ),
        ActionError::Busy(task) => busy(task),
        ActionError::NoBatch(_) => ApiError::no_such(Batches::RESOURCE.name),
        ActionError::Store(error) => error.into(),
        ActionError::TaskOver => {
            tracing::error!(%action, %error, "an action could not be carried out");
            ApiError::Internal
        }
    }
}

/// What is told while something is done to the whole batch.
pub(crate) fn busy(task: BatchAction) -> ApiError {
    let how = format!(
        "{} is going on for the whole batch: try again later.",
        words(task)
    );
    ApiError::Busy(how, BUSY_SECONDS)
}

/// What is going on, in words.
fn words(task: BatchAction) -> &'static str {
    match task {
        BatchAction::Cancel => "A cancel",
        BatchAction::Retry | BatchAction::Revive => "A retry",
        BatchAction::ConfirmDrafts => "A confirmation of drafts",
        BatchAction::CancelDrafts => "A cancel of drafts",
        BatchAction::Retake => "A new taking from the file",
    }
}
