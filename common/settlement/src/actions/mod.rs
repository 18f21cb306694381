//! What people do to batches and their details: cancel, retry, take drafts on or drop them.
//!
//! Invariants:
//!
//! - A change is one transaction: the detail as it becomes, the event that tells who did it, the
//!   batch's counters. It takes effect on the version that was read, or not at all.
//! - A detail that shows Cancelled is not sent: cancel and lease are conditional writes of one item.
//! - Details that are named are looked at first, all of them: where one cannot be changed, none is.
//! - What is done to a whole batch is a task that is noted on the batch. While a cancel is noted, the
//!   processor begins no call of that batch, however many details are still to be turned; it looks no
//!   longer than a second before each call. While any task is noted, nothing else is done by hand.
//! - A task goes on after its request is over: a message on the details queue carries it on, and the
//!   sweeper does where the message is lost.

mod apply;
mod body;
mod confirm;
mod named;
mod step;
mod whole;

use uuid::Uuid;
use weir_domain::{BatchAction, BatchId, BatchStatus};
use weir_runtime::{Clock, Random};
use weir_store::{Batch, Store, StoreError};

pub(crate) use apply::{is_written, with_draft};
pub use body::{
    ACTION_BODY, DETAIL_BODY, Meant, Named, RETRY_BODY, STATUS_BODY, check_status, read_detail,
};
pub use step::{Reach, Refusal, Step, draft, step};
pub use whole::TaskProgress;

/// Most details that one request may name.
pub const NAMED_MAX: usize = 1_000;

/// The collaborators of actions. Clones share all of them.
#[derive(Debug, Clone)]
pub struct Actions {
    /// Tables and queues.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Ids and pauses.
    pub random: Random,
}

/// Who asks, and in which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who, as history shows it.
    pub actor: String,
    /// The correlation id of the request.
    pub correlation_id: String,
    /// The id of what is done, when the request has one that its repeats share: what an earlier run of
    /// it did is not done again.
    pub id: Option<Uuid>,
}

/// Why an action was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// Some of the named details cannot be changed, so none was.
    #[error("{} of the details cannot be changed; nothing was", .0.len())]
    Refused(Vec<(Uuid, NamedRefusal)>),
    /// Some changed while others of the same request were being changed.
    #[error("{changed} details were changed; {} changed meanwhile and were not", .refused.len())]
    PartlyRefused {
        /// How many were changed.
        changed: usize,
        /// Those that were not, and why.
        refused: Vec<(Uuid, NamedRefusal)>,
    },
    /// Something else is being done to the whole batch.
    #[error("{0} of the whole batch is going on")]
    Busy(BatchAction),
    /// The task that was to be gone on with is over.
    #[error("the task is over")]
    TaskOver,
    /// There is no such batch.
    #[error("there is no batch {0}")]
    NoBatch(BatchId),
    /// The tables or queues could not be reached, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a named detail cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NamedRefusal {
    /// It is not one of the batch's.
    #[error("it is not in this batch")]
    NotInBatch,
    /// It is, and the action is not for it.
    #[error(transparent)]
    Step(#[from] Refusal),
    /// Something was begun that is for the whole batch.
    #[error("{0} of the whole batch was begun meanwhile")]
    Busy(BatchAction),
}

impl Actions {
    /// The batch as it is now, ended when nothing of it is open any more.
    async fn settled(&self, id: BatchId) -> Result<Batch, ActionError> {
        loop {
            let batch = self.store.batch(id).await?;
            let batch = batch.ok_or(ActionError::NoBatch(id))?;
            if batch.status != BatchStatus::Unprocessed
                || batch.counters.unprocessed > 0
                || batch.task.is_some()
                || !self.store.complete_batch(&batch, self.clock.now()).await?
            {
                return Ok(batch);
            }
        }
    }
}
