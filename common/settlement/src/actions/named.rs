//! Actions on details that a request names.

use std::collections::BTreeSet;

use serde_json::json;
use uuid::Uuid;
use weir_domain::{BatchAction, DetailId, LineNumber};
use weir_store::{Batch, ChangedBy, DetailChange};

use super::apply::{Change, was_done};
use super::step::{Reach, Refusal, Step, step};
use super::{ActionError, Actions, Asked, Named, NamedRefusal, ranges};

/// What an earlier run of the same request did.
enum Before {
    /// All of it.
    All,
    /// The first so many lines.
    Some(usize),
}

impl Actions {
    /// Applies an action to some details of a batch, at most [`super::NAMED_MAX`], and gives the batch
    /// as it is then. A detail that is named twice counts once.
    ///
    /// # Errors
    /// [`ActionError::Refused`] where one of them is not in the batch or in a wrong state: nothing was
    /// changed. [`ActionError::PartlyRefused`] where more than [`DetailChange::TOGETHER_MAX`] are named
    /// and some changed after all had been looked at. [`ActionError::Busy`] while something is done to
    /// the whole batch.
    pub async fn act_on(
        &self,
        batch: &Batch,
        action: BatchAction,
        named: &Named,
        asked: &Asked,
    ) -> Result<Batch, ActionError> {
        if let Some(task) = &batch.task {
            return Err(ActionError::Busy(task.action));
        }
        let reach = named.reach();
        // Of an earlier run of the same request, which got so far: what others have done since is theirs.
        let done = match self.done_before(batch, action, asked).await? {
            Before::All => return self.settled(batch.id).await,
            Before::Some(done) => done,
        };
        let lines = self
            .look_at(batch, (action, reach), &named.ids, asked, done)
            .await?;
        let (before, left) = lines.split_at(done.min(lines.len()));
        if is_sending(action) && !before.is_empty() {
            self.wake(batch, before, &asked.correlation_id).await;
        }
        let mut record = self.record(batch, action.into(), &lines, asked);
        if named.looked_up {
            record.asked = json!({ "lines": ranges(&lines), "looked_up": true }).to_string();
        }
        let mut change = Change {
            batch,
            action,
            reach,
            asked,
            by: ChangedBy { record, task: None },
        };
        let mut changed = before.len();
        let mut groups = left.chunks(DetailChange::TOGETHER_MAX).peekable();
        while let Some(together) = groups.next() {
            if groups.peek().is_none() {
                change.by.record.ended_at = Some(self.clock.now());
            }
            let applied = match self.apply(&change, together).await {
                Err(ActionError::Busy(task)) if changed > 0 => {
                    let why = NamedRefusal::Busy(task);
                    let untouched = lines.iter().skip(changed);
                    let refused = untouched.map(|line| (batch.id.detail(*line).uuid(), why));
                    let refused = refused.collect();
                    return Err(ActionError::PartlyRefused { changed, refused });
                }
                applied => applied?,
            };
            changed += applied.changed.len();
            if is_sending(action) {
                self.wake(batch, &applied.changed, &asked.correlation_id)
                    .await;
            }
            if !applied.refused.is_empty() {
                let of = |(line, why): (LineNumber, Refusal)| {
                    (batch.id.detail(line).uuid(), NamedRefusal::Step(why))
                };
                let refused = applied.refused.into_iter().map(of).collect();
                return Err(if changed == 0 {
                    ActionError::Refused(refused)
                } else {
                    ActionError::PartlyRefused { changed, refused }
                });
            }
        }
        self.settled(batch.id).await
    }

    /// How far an earlier run of the same request got. Lines are changed in their order, and a group of
    /// them with the record in one transaction: what it counts are the first ones. A cancel is for
    /// whatever is not on its way, and so looks at all of them again until it was done.
    async fn done_before(
        &self,
        batch: &Batch,
        action: BatchAction,
        asked: &Asked,
    ) -> Result<Before, ActionError> {
        if asked.id.is_none() {
            return Ok(Before::Some(0));
        }
        let record = self.record(batch, action.into(), &[], asked);
        let Some(before) = self.store.asked_before(&record).await? else {
            return Ok(Before::Some(0));
        };
        if before.ended_at.is_some() {
            return Ok(Before::All);
        }
        let changed = match action {
            BatchAction::Cancel => 0,
            _ => usize::try_from(before.changed_count).unwrap_or(usize::MAX),
        };
        Ok(Before::Some(changed))
    }

    /// The lines of the details, in their order, when every one of them can be changed but the first
    /// `done`, which were.
    async fn look_at(
        &self,
        batch: &Batch,
        (action, reach): (BatchAction, Reach),
        ids: &[Uuid],
        asked: &Asked,
        done: usize,
    ) -> Result<Vec<LineNumber>, ActionError> {
        let line_of = |id: Uuid| {
            let id = DetailId::try_from(id).ok()?;
            let line = Some(id.line()).filter(|_| id.batch() == batch.id)?;
            (u64::from(line.get()) <= batch.counters.details).then_some(line)
        };
        let mut lines = Vec::with_capacity(ids.len());
        let mut refused: Vec<(Uuid, NamedRefusal)> = Vec::new();
        for id in ids.iter().copied().collect::<BTreeSet<Uuid>>() {
            match line_of(id) {
                Some(line) => lines.push(line),
                None => refused.push((id, NamedRefusal::NotInBatch)),
            }
        }
        lines.sort_unstable();
        let now = self.clock.now();
        let left = lines.get(done..).unwrap_or_default();
        let mut changed = lines.len() - left.len();
        let read = self.store.readable_details(&batch.place(), left).await?;
        for line in read.unreadable {
            let why = NamedRefusal::Step(Refusal::Unreadable);
            refused.push((batch.id.detail(line).uuid(), why));
        }
        for detail in read.details {
            if was_done(action, &detail, asked) {
                changed += 1;
                continue;
            }
            if let Step::Refused(why) = step(action, &detail, reach, now) {
                refused.push((detail.id.uuid(), why.into()));
            }
        }
        match (refused.is_empty(), changed) {
            (true, _) => Ok(lines),
            (false, 0) => Err(ActionError::Refused(refused)),
            (false, changed) => Err(ActionError::PartlyRefused { changed, refused }),
        }
    }
}

/// Whether an action has details sent.
pub(super) fn is_sending(action: BatchAction) -> bool {
    matches!(
        action,
        BatchAction::Retry | BatchAction::Revive | BatchAction::ConfirmDrafts
    )
}
