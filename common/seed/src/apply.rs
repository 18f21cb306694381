//! Makes what is kept what a file says.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use weir_store::{
    ApiKeyHash, ApiKeyRecord, Kept, Parent, Reference, ReferenceKind, ReferenceWrite, StoreError,
    Written,
};

use crate::compare::{differences, merged};
use crate::file::SeedKey;
use crate::plan::{Plan, Progress, Seeder, State, Step};

/// How far a clock elsewhere may be ahead of this one, as for requests to the API.
const CLOCKS_APART_MAX: TimeDelta = TimeDelta::seconds(1);
/// How often a write is tried.
const ATTEMPTS_MAX: u32 = 8;
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// What becomes of what differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Then nothing at all is changed.
    Refuse,
    /// It stays as it is, as does what cannot be made as it is wanted.
    Leave,
    /// It is changed.
    Update,
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// How many entries were created, keys included.
    pub created: usize,
    /// How many were changed.
    pub updated: usize,
    /// How many are as the file has them, or are keys that there were.
    pub unchanged: usize,
    /// How many differ and were left.
    pub left: usize,
    /// The keys that were made, with their secrets: to be given out now or never.
    pub keys: Vec<MadeKey>,
    /// Why it went no further. Doing it again goes on.
    pub stopped: Option<ApplyError>,
}

/// A key that was made.
#[derive(Clone)]
pub struct MadeKey {
    /// What is kept of it.
    pub record: ApiKeyRecord,
    /// The key itself.
    pub secret: String,
}

impl std::fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MadeKey({})", self.record.id)
    }
}

/// Why a file was not applied, or not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Something stands in the way, and nothing was changed; see [`Plan::obstacles`].
    #[error("the file does not fit what there is")]
    Obstacles,
    /// Something differs, and nothing was changed.
    #[error("some of it differs from what there is")]
    Differs,
    /// Somebody else changed it after it was read.
    #[error("the {0} {1} was changed meanwhile")]
    Meanwhile(ReferenceKind, Uuid),
    /// Somebody else deleted what it is to belong to.
    #[error("what the {0} {1} belongs to was deleted meanwhile")]
    Orphaned(ReferenceKind, Uuid),
    /// Somebody is about to delete what it is to belong to.
    #[error("what the {0} {1} belongs to is being deleted")]
    BeingDeleted(ReferenceKind, Uuid),
    /// Another seller of the program has come to have its alternate id.
    #[error("the seller {holder} has the alternate_seller_id of {seller}")]
    AlternateIdTaken {
        /// Which one is to have it.
        seller: Uuid,
        /// Which one has it.
        holder: Uuid,
    },
    /// What there is, is from a later time than this clock's.
    #[error("the {0} {1} was changed at a time that this clock has not reached")]
    Ahead(ReferenceKind, Uuid),
    /// The tables could not be reached, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of one write.
enum Outcome {
    Done,
    /// This seller has the alternate id, perhaps not for long.
    Taken(Uuid),
}

impl Seeder {
    /// Applies a plan as far as it goes. One write after the other: those under one parent would get in
    /// each other's way.
    pub async fn apply(&self, plan: &Plan, policy: Policy, progress: Progress<'_>) -> Applied {
        let mut applied = Applied {
            stopped: refused(plan, policy),
            ..Applied::default()
        };
        if applied.stopped.is_some() {
            return applied;
        }
        applied.stopped = self.references(plan, policy, &mut applied, progress).await;
        if applied.stopped.is_some() {
            return applied;
        }
        // Last, as a key that was made cannot be given out when something else fails.
        for step in &plan.keys {
            if step.is.is_some() {
                applied.unchanged += 1;
            } else {
                applied.stopped = self.make_key(&step.key, &mut applied).await.err();
                if applied.stopped.is_some() {
                    break;
                }
            }
            progress();
        }
        applied
    }

    async fn references(
        &self,
        plan: &Plan,
        policy: Policy,
        applied: &mut Applied,
        progress: Progress<'_>,
    ) -> Option<ApplyError> {
        let mut pending: VecDeque<&Step> = plan.steps.iter().collect();
        // How many in a row waited for an alternate id that another seller may give up.
        let mut waited = 0;
        while let Some(step) = pending.pop_front() {
            let count = match (&step.state, policy) {
                (State::Same, _) => &mut applied.unchanged,
                (State::Missing, _) => &mut applied.created,
                (State::Differs(_), Policy::Update) => &mut applied.updated,
                (State::Differs(_) | State::Blocked(_), _) => &mut applied.left,
            };
            let is_written = matches!(
                (&step.state, policy),
                (State::Missing, _) | (State::Differs(_), Policy::Update)
            );
            if is_written {
                match self.write(step).await {
                    Ok(Outcome::Done) => waited = 0,
                    Ok(Outcome::Taken(_)) if policy == Policy::Leave => {
                        applied.left += 1;
                        progress();
                        continue;
                    }
                    Ok(Outcome::Taken(holder)) if waited > pending.len() => {
                        let seller = step.wanted.id();
                        return Some(ApplyError::AlternateIdTaken { seller, holder });
                    }
                    Ok(Outcome::Taken(_)) => {
                        waited += 1;
                        pending.push_back(step);
                        continue;
                    }
                    Err(error) => return Some(error),
                }
            }
            *count += 1;
            progress();
        }
        None
    }

    /// Writes one over what the plan has read.
    async fn write(&self, step: &Step) -> Result<Outcome, ApplyError> {
        let (kind, id) = (step.wanted.kind(), step.wanted.id());
        let before = step.over.as_ref().and_then(|kept| kept.reference.as_ref());
        let mut parent = parent(&step.wanted);
        let mut last = None;
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                self.pause(attempt).await;
                match self.look_again(step, &mut parent).await {
                    Ok(true) => return Ok(Outcome::Done),
                    Ok(false) => {}
                    Err(ApplyError::Store(error)) if error.is_transient() => {
                        last = Some(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let changed_at = self.time_after(step)?;
            let write = ReferenceWrite {
                kind,
                id,
                over: step.over.clone(),
                after: Some(merged(before, &step.wanted, changed_at)),
                changed_at,
                parent,
                marked_by: None,
            };
            match self.store.write_reference(&write).await {
                Ok(Written::Done) => return Ok(Outcome::Done),
                Ok(Written::AlternateIdTaken(holder)) => return Ok(Outcome::Taken(holder.uuid())),
                Err(error) if error.is_transient() => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        // A mark that is not over is met as a conflict.
        if let (Parent::There(above, above_id), Some(StoreError::Conflict { .. })) = (parent, &last)
            && let Some(kept) = self.store.kept_reference(above, above_id).await?
            && kept.deletion.is_some()
        {
            return Err(ApplyError::BeingDeleted(kind, id));
        }
        Err(last.map_or(ApplyError::Meanwhile(kind, id), ApplyError::Store))
    }

    /// Sees why a write did not take effect, and whether it did after all. What it is to belong to is
    /// asked for anew: whoever was about to delete it may have given up.
    async fn look_again(&self, step: &Step, parent: &mut Parent) -> Result<bool, ApplyError> {
        let (kind, id) = (step.wanted.kind(), step.wanted.id());
        let is = self.store.kept_reference(kind, id).await?;
        match &is {
            // What was written, and its answer lost; or somebody else did the same.
            Some(Kept {
                reference: Some(is),
                ..
            }) if differences(is, &step.wanted).is_empty() => return Ok(true),
            _ if is.as_ref().map(state) != step.over.as_ref().map(state) => {
                return Err(ApplyError::Meanwhile(kind, id));
            }
            _ => {}
        }
        if let Parent::There(above, above_id) | Parent::Lapsed(above, above_id, _) = *parent {
            let kept = self.store.kept_reference(above, above_id).await?;
            let orphaned = ApplyError::Orphaned(kind, id);
            let kept = kept.filter(|kept| kept.reference.is_some());
            let kept = kept.ok_or(orphaned)?;
            *parent = match kept.deletion {
                Some(deletion) if deletion.until + CLOCKS_APART_MAX < self.clock.now() => {
                    Parent::Lapsed(above, above_id, deletion.by)
                }
                _ => Parent::There(above, above_id),
            };
        }
        Ok(false)
    }

    /// The time of a write, in whole microseconds: later than what it is over.
    fn time_after(&self, step: &Step) -> Result<DateTime<Utc>, ApplyError> {
        let now = self.clock.now();
        let now = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
        let ahead = || ApplyError::Ahead(step.wanted.kind(), step.wanted.id());
        match &step.over {
            Some(kept) if kept.changed_at - now > CLOCKS_APART_MAX => Err(ahead()),
            Some(kept) => Ok(now.max(kept.changed_at + TimeDelta::microseconds(1))),
            None => Ok(now),
        }
    }

    async fn make_key(&self, key: &SeedKey, applied: &mut Applied) -> Result<(), ApplyError> {
        let secret = self.random.uuid_v4().to_string();
        let record = key.record(self.clock.now());
        let hash = ApiKeyHash::of(&secret);
        let mut last = Ok(());
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                self.pause(attempt).await;
            }
            last = match self.store.create_api_key(&hash, &record).await {
                // Nobody else draws the same secret: an attempt before this one took effect.
                Ok(()) | Err(StoreError::Conflict { .. }) => Ok(()),
                Err(error) if error.is_transient() => {
                    last = Err(error);
                    continue;
                }
                Err(error) => Err(error),
            };
            break;
        }
        let is_made = last.is_ok();
        // One of which no answer came may have been made all the same.
        if is_made || last.as_ref().is_err_and(StoreError::is_transient) {
            applied.keys.push(MadeKey { record, secret });
        }
        applied.created += usize::from(is_made);
        Ok(last?)
    }

    /// A jittered pause before another attempt.
    async fn pause(&self, attempt: u32) {
        let most = Duration::from_millis(10).saturating_mul(1 << attempt);
        let pause = self.random.jitter(most.min(PAUSE_MAX));
        self.clock.sleep(pause).await;
    }
}

/// What tells one state of something from the next.
fn state(kept: &Kept) -> (DateTime<Utc>, Option<&Reference>) {
    (kept.changed_at, kept.reference.as_ref())
}

/// Why nothing of a plan is applied.
pub(crate) fn refused(plan: &Plan, policy: Policy) -> Option<ApplyError> {
    let is_blocked = |state: &State| matches!(state, State::Blocked(_));
    let is_other = |state: &State| matches!(state, State::Differs(_));
    if !plan.problems.is_empty() || policy != Policy::Leave && plan.count(is_blocked) > 0 {
        Some(ApplyError::Obstacles)
    } else if policy == Policy::Refuse && plan.count(is_other) > 0 {
        Some(ApplyError::Differs)
    } else {
        None
    }
}

/// What must be there for something to be created or changed.
fn parent(reference: &Reference) -> Parent {
    let seller = |id: Uuid| Parent::There(ReferenceKind::Seller, id);
    let program = |id: Uuid| Parent::There(ReferenceKind::Program, id);
    match reference {
        Reference::Client(_) => Parent::Any,
        Reference::Program(it) => Parent::There(ReferenceKind::Client, it.client_id.uuid()),
        Reference::Seller(it) => program(it.program_id.uuid()),
        Reference::Customer(it) => program(it.program_id.uuid()),
        Reference::SellerContact(it) => seller(it.seller_id.uuid()),
        Reference::ReportSchedule(it) => match it.seller_id {
            Some(id) => seller(id.uuid()),
            None => program(it.program_id.uuid()),
        },
    }
}
