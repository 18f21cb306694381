//! What people do to batches and their details: cancel, retry, take drafts on or drop them.
//!
//! Invariants:
//!
//! - A change is one transaction: the detail as it becomes, the event that tells who did it, the
//!   batch's counters, the record of what was asked. It takes effect on the version that was read, or not at all.
//! - A detail that shows Cancelled is not sent: cancel and lease are conditional writes of one item.
//! - Details that are named are looked at first, all of them: where one cannot be changed, none is.
//! - What is done to a whole batch is a task that is noted on the batch. While a cancel is noted, the
//!   processor begins no call of that batch, however many details are still to be turned; it looks no
//!   longer than a second before each call. While any task is noted, nothing else is done by hand.
//! - What cannot be read is left out by a task, which ends all the same: it is counted, told with its id,
//!   and nothing is sent because of it.
//! - A task goes on after its request is over: a message on the details queue carries it on, and the
//!   sweeper does where the message is lost.

mod apply;
mod body;
mod confirm;
mod named;
mod step;
mod whole;

use std::fmt::Write as _;

use serde_json::json;
use uuid::Uuid;
use weir_domain::{AskedAction, BatchAction, BatchId, BatchStatus, LineNumber};
use weir_runtime::{Clock, Metric, Metrics, Random};
use weir_store::{AskedRecord, Batch, Store, StoreError};

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
    /// Counts.
    pub metrics: Metrics,
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
    /// The record of something that is asked of details that a request names.
    pub(crate) fn record(
        &self,
        batch: &Batch,
        action: AskedAction,
        lines: &[LineNumber],
        asked: &Asked,
    ) -> AskedRecord {
        let now = self.clock.now();
        let id = asked.id.unwrap_or_else(|| self.random.uuid_v7(now));
        let by = (asked.actor.as_str(), asked.correlation_id.as_str());
        AskedRecord {
            asked: json!({ "lines": ranges(lines) }).to_string(),
            detail_count: u64::try_from(lines.len()).unwrap_or(u64::MAX),
            ..AskedRecord::of_batch(batch, action, id, by, now)
        }
    }

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
            if batch.counters.error > 0 {
                self.metrics.count(Metric::BatchesError, 1);
            }
        }
    }
}

/// The longest text of lines that a record holds: a thousand lines, each by itself, have less.
const RANGES_BYTES_MAX: usize = 8_000;

/// Lines in their order, as a person reads them: `1-25,30`. What is too long for a record is cut, and
/// ends in `…`; the history of details has all of them.
fn ranges(lines: &[LineNumber]) -> String {
    let mut text = String::new();
    let mut lines = lines.iter().map(|line| line.get()).peekable();
    while let Some(first) = lines.next() {
        let mut last = first;
        while let Some(next) = lines.next_if(|next| *next == last.saturating_add(1)) {
            last = next;
        }
        if text.len() > RANGES_BYTES_MAX {
            text.push_str(",…");
            break;
        }
        let comma = if text.is_empty() { "" } else { "," };
        let _ = if first == last {
            write!(text, "{comma}{first}")
        } else {
            write!(text, "{comma}{first}-{last}")
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges_of(lines: impl IntoIterator<Item = u32>) -> String {
        let lines: Vec<_> = lines
            .into_iter()
            .map(|line| LineNumber::new(line).unwrap())
            .collect();
        ranges(&lines)
    }

    #[test]
    fn lines_are_told_in_ranges() {
        assert_eq!(ranges_of([]), "");
        assert_eq!(ranges_of([7]), "7");
        assert_eq!(ranges_of([1, 2, 3, 5, 7, 8]), "1-3,5,7-8");
    }

    #[test]
    fn a_thousand_lines_are_told_in_full_and_of_too_many_the_first() {
        let named = u32::try_from(NAMED_MAX).unwrap();
        let apart = |count: u32| (0..count).map(|place| 900_001 + 2 * place);
        let full = ranges_of(apart(named));
        assert_eq!(full.split(',').count(), NAMED_MAX);
        assert!(full.len() <= RANGES_BYTES_MAX, "{}", full.len());
        let cut = ranges_of(apart(5_000));
        assert!(
            cut.ends_with(",…") && cut.len() < RANGES_BYTES_MAX + 20,
            "{}",
            cut.len()
        );
    }
}
