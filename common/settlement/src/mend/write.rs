//! Writes the drafts that a table asks for.
//!
//! A draft is written with its detail and its event in one transaction, on the very version of the
//! detail that its row was judged by. A table of many drafts takes several transactions: should one
//! not take effect, the table is sent again, and what was drafted is unchanged then.

use std::time::Duration;

use chrono::{DateTime, Utc};
use weir_domain::{AskedAction, BatchAction, DetailId, LineNumber};
use weir_store::{Batch, ChangedBy, Detail, DetailChange, StoreError};

use super::{DraftWanted, Mended};
use crate::actions::{Actions, Asked, draft, is_written, with_draft};

/// How often a transaction is tried.
const TRIES_MAX: u32 = 10;
/// Most bytes of records and requests of one transaction, should nothing compress: DynamoDB takes 4 MB,
/// the details and events among them.
const TOGETHER_BYTES_MAX: usize = 3 << 20;
/// The pause after the first try; it doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Why not all drafts were written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WriteError {
    /// Some details changed after their rows had been judged.
    #[error("{} details changed meanwhile; {drafted} drafts were written", .ids.len())]
    Changed {
        /// How many drafts were written before.
        drafted: usize,
        /// Those that changed.
        ids: Vec<DetailId>,
    },
    /// Something is being done to the whole batch.
    #[error("{action} of the whole batch is going on; {drafted} drafts were written")]
    Busy {
        /// How many drafts were written before.
        drafted: usize,
        /// What is being done.
        action: BatchAction,
    },
    /// The tables cannot be reached, or refused. Some drafts may have been written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Mended {
    /// Writes the drafts; gives how many there are.
    ///
    /// # Errors
    /// See [`WriteError`]: nothing was written where it says that no draft was.
    pub async fn write(
        &self,
        actions: &Actions,
        batch: &Batch,
        asked: &Asked,
    ) -> Result<usize, WriteError> {
        let mut drafted = 0;
        if let Some(task) = batch.task.as_ref().filter(|_| !self.drafts.is_empty()) {
            let action = task.action;
            return Err(WriteError::Busy { drafted, action });
        }
        let now = actions.clock.now();
        let line = |draft: &DraftWanted| draft.before.line();
        let mut lines: Vec<LineNumber> = self.drafts.iter().map(line).collect();
        lines.sort_unstable();
        let mut by = ChangedBy {
            record: actions.record(batch, AskedAction::WriteDrafts, &lines, asked),
            task: None,
        };
        let mut groups = groups(&self.drafts).into_iter().peekable();
        while let Some(together) = groups.next() {
            if groups.peek().is_none() {
                by.record.ended_at = Some(now);
            }
            let changes = changes_of(together, asked, now);
            match write_together(actions, batch, &by, &changes?, now).await? {
                Written::All => drafted += together.len(),
                Written::Changed(ids) => return Err(WriteError::Changed { drafted, ids }),
                Written::Busy(action) => return Err(WriteError::Busy { drafted, action }),
            }
        }
        Ok(drafted)
    }
}

/// The drafts as they are written together: no more than a transaction takes, in number and in bytes.
fn groups(drafts: &[DraftWanted]) -> Vec<&[DraftWanted]> {
    let mut groups = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (place, draft) in drafts.iter().enumerate() {
        let own = draft.payload.xml.len() + draft.payload.request.len();
        let is_full =
            place - first == DetailChange::TOGETHER_MAX || bytes + own > TOGETHER_BYTES_MAX;
        if is_full && place > first {
            groups.extend(drafts.get(first..place));
            (first, bytes) = (place, 0);
        }
        bytes += own;
    }
    groups.extend(drafts.get(first..).filter(|rest| !rest.is_empty()));
    groups
}

/// What became of some drafts that are written together.
enum Written {
    All,
    Changed(Vec<DetailId>),
    Busy(BatchAction),
}

fn changes_of(
    drafts: &[DraftWanted],
    asked: &Asked,
    now: DateTime<Utc>,
) -> Result<Vec<DetailChange>, WriteError> {
    let change = |DraftWanted { before, payload }: &DraftWanted| {
        // It was so when its row was judged, by the same detail.
        let (after, event) = draft(before).map_err(|_| WriteError::Changed {
            drafted: 0,
            ids: vec![before.id],
        })?;
        let payload = Some(payload.clone());
        Ok(with_draft(
            asked,
            before.clone(),
            after,
            event,
            payload,
            now,
        ))
    };
    drafts.iter().map(change).collect()
}

async fn write_together(
    actions: &Actions,
    batch: &Batch,
    by: &ChangedBy,
    changes: &[DetailChange],
    now: DateTime<Utc>,
) -> Result<Written, StoreError> {
    let store = &actions.store;
    let mut pause = PAUSE_FIRST;
    for tries in 1.. {
        let error = match store.change_details(batch, changes, by, now).await {
            Ok(()) => return Ok(Written::All),
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(error),
        };
        // Its answer may have been lost, and then all of it is there; or somebody was faster.
        let lines: Vec<LineNumber> = changes.iter().map(|change| change.before.line()).collect();
        let found = store.details(&batch.place(), &lines).await?;
        let is_changed = |(change, is): &(&DetailChange, &Detail)| {
            is.version != change.before.version && !is_written(&change.event.detail, is)
        };
        let pairs = || changes.iter().zip(&found);
        let ids: Vec<DetailId> = pairs().filter(is_changed).map(|(_, is)| is.id).collect();
        if !ids.is_empty() {
            return Ok(Written::Changed(ids));
        }
        if pairs().all(|(change, is)| is_written(&change.event.detail, is)) {
            return Ok(Written::All);
        }
        let task = store.batch(batch.id).await?.and_then(|batch| batch.task);
        if let Some(task) = task {
            return Ok(Written::Busy(task.action));
        }
        if tries >= TRIES_MAX {
            return Err(error);
        }
        actions.clock.sleep(actions.random.jitter(pause)).await;
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }
    Ok(Written::Changed(Vec::new()))
}
