//! Makes the changes of an action: some details of one batch in one transaction, again and again
//! until it took effect or cannot.

use std::time::Duration;

use chrono::{DateTime, Utc};
use weir_domain::{BatchAction, DetailEvent, DetailId, DetailStatus, LineNumber};
use weir_runtime::Metric;
use weir_store::{
    Batch, ChangedBy, Detail, DetailChange, DetailsMessage, Event, Payload, ReadDetails, StoreError,
};

use super::step::{Reach, Refusal, Step, step};
use super::{ActionError, Actions, Asked, confirm};

/// How often a transaction is tried.
const TRIES_MAX: u32 = 20;
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// An action on details of a batch.
pub(super) struct Change<'a> {
    pub(super) batch: &'a Batch,
    pub(super) action: BatchAction,
    pub(super) reach: Reach,
    pub(super) asked: &'a Asked,
    pub(super) by: ChangedBy,
}

/// Whether an earlier run of the same request or task has changed the detail: another has nothing to
/// do, whatever has become of it since. A cancel is for whatever is not on its way.
pub(super) fn was_done(action: BatchAction, detail: &Detail, asked: &Asked) -> bool {
    let is_same = asked.id.is_some() && detail.changed_in == asked.id;
    is_same && (action != BatchAction::Cancel || detail.status == DetailStatus::Cancelled)
}

/// What became of some lines.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Those that were changed.
    pub(super) changed: Vec<LineNumber>,
    /// Those on which a call is under way, and until when.
    pub(super) on_their_way: Vec<(LineNumber, DateTime<Utc>)>,
    /// Those that the action is not for. Where details were named, nothing was changed then.
    pub(super) refused: Vec<(LineNumber, Refusal)>,
    /// Those of the changed whose call may have been taken and is not asked for any more.
    given_up: Vec<DetailId>,
}

impl Actions {
    /// Applies an action to at most [`DetailChange::TOGETHER_MAX`] lines.
    pub(super) async fn apply(
        &self,
        change: &Change<'_>,
        lines: &[LineNumber],
    ) -> Result<Applied, ActionError> {
        let mut unsure = Vec::new();
        let applied = self.apply_in_tries(change, lines, &mut unsure).await;
        if applied.is_err() {
            // It may have taken effect, and whoever comes next finds it done: rather told twice than
            // never.
            let mut maybe: Vec<_> = unsure.iter().filter_map(given_up).collect();
            maybe.sort_unstable();
            maybe.dedup();
            self.tell_given_up(&maybe);
        }
        applied
    }

    /// The same. What tries wrote whose answer did not come is left in `unsure`.
    async fn apply_in_tries(
        &self,
        change: &Change<'_>,
        lines: &[LineNumber],
        unsure: &mut Vec<DetailChange>,
    ) -> Result<Applied, ActionError> {
        let mut tries = 0;
        loop {
            let place = change.batch.place();
            let read = self.store.readable_details(&place, lines).await?;
            // Not before: what was read may have changed a moment ago.
            let now = self.clock.now();
            let (mut applied, changes) = self.steps(change, read, unsure, now).await?;
            let stop = change.reach != Reach::Whole && !applied.refused.is_empty();
            if changes.is_empty() || stop {
                self.tell_given_up(&applied.given_up);
                return Ok(applied);
            }
            if tries > 0 {
                self.check_guard(change).await?;
            }
            let write = self.write(change, &changes, now).await;
            match write {
                Ok(()) => {
                    applied.given_up.extend(changes.iter().filter_map(given_up));
                    self.tell_given_up(&applied.given_up);
                    applied.changed.extend(changes.iter().map(line));
                    return Ok(applied);
                }
                Err(error) => {
                    let is_transient = error.is_transient();
                    if is_transient {
                        unsure.extend(changes);
                    }
                    if !is_transient || tries + 1 == TRIES_MAX {
                        return Err(error.into());
                    }
                    self.pause_after(tries).await;
                    tries += 1;
                }
            }
        }
    }

    /// Tells of details that were given up because nobody knows what came of their calls.
    fn tell_given_up(&self, given_up: &[DetailId]) {
        for detail_id in given_up {
            self.metrics.count(Metric::OutcomeUnknown, 1);
            self.metrics.count(Metric::DetailsError, 1);
            tracing::error!(%detail_id, "nobody knows what came of a detail that was cancelled");
        }
    }

    /// A jittered pause between two tries.
    pub(super) async fn pause_after(&self, tries: u32) {
        let most = Duration::from_millis(20).saturating_mul(1 << tries.min(10));
        let pause = self.random.jitter(most.min(PAUSE_MAX));
        self.clock.sleep(pause).await;
    }

    /// What is to become of the details as they are.
    async fn steps(
        &self,
        change: &Change<'_>,
        read: ReadDetails,
        unsure: &[DetailChange],
        now: DateTime<Utc>,
    ) -> Result<(Applied, Vec<DetailChange>), StoreError> {
        let unreadable = read.unreadable.into_iter();
        let mut applied = Applied {
            refused: unreadable.map(|line| (line, Refusal::Unreadable)).collect(),
            ..Applied::default()
        };
        let mut changes = Vec::new();
        for before in read.details {
            let written = |change: &&DetailChange| is_written(&change.event.detail, &before);
            let written = unsure.iter().find(written);
            applied.given_up.extend(written.and_then(given_up));
            if written.is_some() || was_done(change.action, &before, change.asked) {
                applied.changed.push(before.line());
                continue;
            }
            match step(change.action, &before, change.reach, now) {
                Step::Becomes(after, event) => {
                    changes.push(noted(change, before, *after, event, now));
                }
                Step::OnItsWay(until) => applied.on_their_way.push((before.line(), until)),
                Step::Refused(why) => applied.refused.push((before.line(), why)),
            }
        }
        if change.action == BatchAction::ConfirmDrafts {
            let unreadable = confirm::take_records(&self.store, change.batch, &mut changes).await?;
            let refused = unreadable.into_iter();
            applied
                .refused
                .extend(refused.map(|line| (line, Refusal::DraftUnreadable)));
        }
        Ok((applied, changes))
    }

    async fn write(
        &self,
        change: &Change<'_>,
        changes: &[DetailChange],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if change.action == BatchAction::ConfirmDrafts {
            confirm::put_ways(&self.store, change.batch, changes).await?;
        }
        let (store, batch) = (&self.store, change.batch);
        store.change_details(batch, changes, &change.by, now).await
    }

    /// Refuses to go on when another task goes on with the batch, or this one does not any more.
    async fn check_guard(&self, change: &Change<'_>) -> Result<(), ActionError> {
        let batch = self.store.batch(change.batch.id).await?;
        let task = batch.and_then(|batch| batch.task);
        match (task, change.by.task) {
            (None, None) => Ok(()),
            (Some(task), Some(ours)) if task.id == ours => Ok(()),
            (Some(task), None) => Err(ActionError::Busy(task.action)),
            (_, Some(_)) => Err(ActionError::TaskOver),
        }
    }

    /// Has lines sent that are open again. Should it fail, the sweeper wakes them.
    pub(super) async fn wake(&self, batch: &Batch, lines: &[LineNumber], correlation_id: &str) {
        let mut lines = lines.to_vec();
        lines.sort_unstable();
        let group = batch
            .seller_id
            .map(|seller| seller.to_string())
            .unwrap_or_default();
        let messages: Vec<_> = DetailsMessage::for_lines(batch.id, &lines, correlation_id)
            .map(|message| (message, Duration::ZERO))
            .collect();
        if let Err(error) = self.store.send_details(&group, &messages).await {
            tracing::warn!(batch_id = %batch.id, %error, "details are left to the sweeper to wake");
        }
    }
}

/// Whether what is there is what an earlier try was to write.
pub(crate) fn is_written(after: &Detail, is: &Detail) -> bool {
    let millis = |time: Option<DateTime<Utc>>| time.map(|time| time.timestamp_millis());
    after.id == is.id
        && is.version >= after.version
        && is.events >= after.events
        && is.user_updated_by == after.user_updated_by
        && millis(is.user_updated_at) == millis(after.user_updated_at)
}

/// The detail that a change gives to a person: no other change of an open one leaves it in Error.
fn given_up(change: &DetailChange) -> Option<DetailId> {
    let (before, after) = (&change.before, &change.event.detail);
    (before.status.is_open() && after.status == DetailStatus::Error).then_some(after.id)
}

fn line(change: &DetailChange) -> LineNumber {
    change.before.line()
}

/// The change with its bookkeeping.
fn noted(
    change: &Change<'_>,
    before: Detail,
    after: Detail,
    event: DetailEvent,
    now: DateTime<Utc>,
) -> DetailChange {
    with_draft(change.asked, before, after, event, None, now)
}

/// The same, with the payload that becomes the detail's draft.
pub(crate) fn with_draft(
    asked: &Asked,
    before: Detail,
    mut after: Detail,
    event: DetailEvent,
    draft: Option<Payload>,
    now: DateTime<Utc>,
) -> DetailChange {
    // Clocks differ: history does not go back for that.
    let now = now.max(before.updated_at);
    after.version = before.version + 1;
    after.events = before.events + 1;
    after.updated_at = now;
    after.user_updated_at = Some(now);
    after.user_updated_by = Some(asked.actor.clone());
    after.changed_in = asked.id;
    DetailChange {
        before,
        event: Event {
            name: event.name().to_owned(),
            actor: Some(asked.actor.clone()),
            correlation_id: asked.correlation_id.clone(),
            calls: Vec::new(),
            detail: after,
        },
        draft,
    }
}
