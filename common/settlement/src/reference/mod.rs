//! Reference data as people change it: create, replace, delete.
//!
//! What is to be comes as a [`Body`], parsed once; whose it is is told by a [`Place`]. Invariants:
//!
//! - A change takes effect only over what was read, and is later than it. The clocks of two functions
//!   need not agree to the microsecond: up to a second, what is ahead is gone by and the
//!   change counts as a microsecond later; beyond that it is refused as [`ReferenceError::Ahead`].
//! - An id is used once: what exists is not created again, whoever asks. What was deleted may be.
//! - What is created belongs to something that is there at that moment, in one transaction.
//! - What something hangs on is not deleted, and nothing comes under what is being deleted; see
//!   `deletion` for how.
//!
//! A seller's contacts come and go with messages alone, so they keep nothing from being deleted.

mod again;
mod body;
mod deletion;
mod in_use;
mod made;
mod schema;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use weir_domain::{ClientId, ProgramId, SellerId};
use weir_runtime::{Clock, Random};
use weir_store::{
    Kept, Parent, Reference, ReferenceKind, ReferenceWrite, Store, StoreError, Written,
};

pub use body::{
    Body, ClientBody, CustomerBody, ProgramBody, SchedulableReport, ScheduleBody, SellerBody,
};

use made::{made, replaced};

/// How far a clock elsewhere may be ahead of this one.
const CLOCKS_APART_MAX: TimeDelta = TimeDelta::seconds(1);
/// How often is looked whether the deletion of something has ended: for longer than one usually takes, and
/// not for as long as the mark of one that was given up stands.
const MARK_PAUSES_MAX: u32 = 20;
/// The shortest pause between two such looks; the longest is twice as long.
const MARK_PAUSE: Duration = Duration::from_millis(100);
/// How often a change is tried that others come before.
const ATTEMPTS_MAX: u32 = 8;
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// To what something belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// To nothing: a client.
    Top,
    /// To a client: a program.
    Client(ClientId),
    /// To a program: a seller, a customer, a report's schedule.
    Program(ClientId, ProgramId),
    /// To a seller: a report's schedule that is about it alone.
    Seller(ClientId, ProgramId, SellerId),
}

/// Why reference data was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It, or what it is to belong to, is not there.
    #[error("there is no such {0}")]
    NoSuch(ReferenceKind),
    /// Something with the id exists, here or elsewhere.
    #[error("the id is in use")]
    Exists,
    /// Another seller of the program has the alternate id.
    #[error("another seller of the program has this alternate_seller_id")]
    AlternateIdTaken,
    /// Something hangs on it: what, in the plural.
    #[error("it has {}", .0.join(", "))]
    InUse(Vec<&'static str>),
    /// Somebody is about to delete it, or what it is to belong to.
    #[error("the {0} is being deleted")]
    BeingDeleted(ReferenceKind),
    /// Others change it all the time.
    #[error("others change it all the time")]
    Newer,
    /// What is there is from a time that this clock has yet to reach, so far ahead.
    #[error("what is there is from a time that is {}", ahead(.0))]
    Ahead(TimeDelta),
    /// The tables could not be reached, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What changes reference data.
#[derive(Debug, Clone)]
pub struct ReferenceChanges {
    /// What is kept.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// New ids, and pauses.
    pub random: Random,
}

impl Place {
    /// What the parts of a path say: a client, a program, a seller.
    pub fn new(
        client: Option<ClientId>,
        program: Option<ProgramId>,
        seller: Option<SellerId>,
    ) -> Self {
        match (client, program, seller) {
            (Some(client), Some(program), Some(seller)) => Self::Seller(client, program, seller),
            (Some(client), Some(program), None) => Self::Program(client, program),
            (Some(client), ..) => Self::Client(client),
            (None, ..) => Self::Top,
        }
    }

    /// What it consists of, from the top: to what each belongs, its kind and its id.
    fn parts(self) -> Vec<(Self, ReferenceKind, Uuid)> {
        let (client, program, seller) = match self {
            Self::Top => return Vec::new(),
            Self::Client(client) => (client, None, None),
            Self::Program(client, program) => (client, Some(program), None),
            Self::Seller(client, program, seller) => (client, Some(program), Some(seller)),
        };
        let mut parts = vec![(Self::Top, ReferenceKind::Client, client.uuid())];
        if let Some(program) = program {
            let above = Self::Client(client);
            parts.push((above, ReferenceKind::Program, program.uuid()));
            if let Some(seller) = seller {
                let above = Self::Program(client, program);
                parts.push((above, ReferenceKind::Seller, seller.uuid()));
            }
        }
        parts
    }

    /// Whether something belongs here. The schedules of a program's sellers are the program's too.
    fn holds(self, reference: &Reference) -> bool {
        let (client, program, seller) = match reference {
            Reference::Client(_) => (None, None, None),
            Reference::Program(it) => (Some(it.client_id), None, None),
            Reference::Seller(it) => (Some(it.client_id), Some(it.program_id), None),
            Reference::Customer(it) => (Some(it.client_id), Some(it.program_id), None),
            Reference::SellerContact(it) => {
                (Some(it.client_id), Some(it.program_id), Some(it.seller_id))
            }
            Reference::ReportSchedule(it) => {
                (Some(it.client_id), Some(it.program_id), it.seller_id)
            }
        };
        match self {
            Self::Top => client.is_none(),
            Self::Client(c) => (client, program) == (Some(c), None),
            Self::Program(c, p) => (client, program) == (Some(c), Some(p)),
            Self::Seller(c, p, s) => (client, program, seller) == (Some(c), Some(p), Some(s)),
        }
    }
}

impl ReferenceChanges {
    /// Creates something, under a new id unless one is given, and gives it as it is then.
    pub async fn create(
        &self,
        place: Place,
        id: Option<Uuid>,
        body: &Body,
    ) -> Result<Reference, ReferenceError> {
        let kind = body.kind();
        let id = id.unwrap_or_else(|| self.random.uuid_v7(self.clock.now()));
        // What attempts wrote of which no answer came: each may take effect yet.
        let mut unsure: Vec<(DateTime<Utc>, Reference)> = Vec::new();
        let mut last = None;
        for attempt in 0..ATTEMPTS_MAX {
            self.pause_before(attempt).await;
            let parent = self.parent(place).await?;
            let over = self.store.kept_reference(kind, id).await?;
            if let Some((at, found)) = over.as_ref().and_then(living) {
                let is_own =
                    |(sent_at, sent): &(DateTime<Utc>, Reference)| *sent_at == at && sent == found;
                return if unsure.iter().any(is_own) {
                    Ok(found.clone())
                } else {
                    Err(ReferenceError::Exists)
                };
            }
            let changed_at = self.time_after(over.as_ref())?;
            let made =
                made(body, place, id, shown(changed_at)).ok_or(ReferenceError::NoSuch(kind))?;
            let write = ReferenceWrite {
                kind,
                id,
                over,
                after: Some(made.clone()),
                changed_at,
                parent,
                marked_by: None,
            };
            match self.store.write_reference(&write).await {
                Ok(Written::Done) => return Ok(made),
                Ok(Written::AlternateIdTaken(_)) => return Err(ReferenceError::AlternateIdTaken),
                Err(error) if error.is_transient() => {
                    unsure.push((changed_at, made));
                    last = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(given_up(last))
    }

    /// Makes something what a body says, and gives it as it is then. What the body leaves out is
    /// removed; what no body can say stays.
    pub async fn replace(
        &self,
        place: Place,
        id: Uuid,
        body: &Body,
    ) -> Result<Reference, ReferenceError> {
        let kind = body.kind();
        let mut last = None;
        for attempt in 0..ATTEMPTS_MAX {
            self.pause_before(attempt).await;
            let (over, before) = self.there(kind, place, id).await?;
            let changed_at = self.time_after(Some(&over))?;
            let after =
                replaced(body, before, shown(changed_at)).ok_or(ReferenceError::NoSuch(kind))?;
            let write = ReferenceWrite {
                kind,
                id,
                over: Some(over),
                after: Some(after.clone()),
                changed_at,
                parent: Parent::Any,
                marked_by: None,
            };
            match self.store.write_reference(&write).await {
                Ok(Written::Done) => return Ok(after),
                Ok(Written::AlternateIdTaken(_)) => return Err(ReferenceError::AlternateIdTaken),
                Err(error) if error.is_transient() => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(given_up(last))
    }

    /// What is there under a place.
    async fn there(
        &self,
        kind: ReferenceKind,
        place: Place,
        id: Uuid,
    ) -> Result<(Kept, Reference), ReferenceError> {
        let kept = self.store.kept_reference(kind, id).await?;
        let missing = ReferenceError::NoSuch(kind);
        let kept = kept.ok_or_else(|| missing.clone())?;
        match kept.reference.clone() {
            Some(reference) if place.holds(&reference) => Ok((kept, reference)),
            _ => Err(missing),
        }
    }

    /// Refuses a place whose parts are not there, or do not belong together; gives what is to be asked of
    /// it when something is created there.
    async fn parent(&self, place: Place) -> Result<Parent, ReferenceError> {
        let parts = place.parts();
        let Some(((above, kind, id), before)) = parts.split_last() else {
            return Ok(Parent::Any);
        };
        for (above, kind, id) in before {
            self.there(*kind, *above, *id).await?;
        }
        let (parent, _) = self.unmarked(*kind, *above, *id, &[]).await?;
        Ok(match parent.deletion {
            None => Parent::There(*kind, *id),
            Some(lapsed) => Parent::Lapsed(*kind, *id, lapsed.by),
        })
    }

    /// What is there under a place, once no deletion is under way but those of `own` and such as have
    /// been given up.
    async fn unmarked(
        &self,
        kind: ReferenceKind,
        place: Place,
        id: Uuid,
        own: &[Uuid],
    ) -> Result<(Kept, Reference), ReferenceError> {
        for _ in 0..MARK_PAUSES_MAX {
            let (kept, reference) = self.there(kind, place, id).await?;
            let is_free = kept.deletion.is_none_or(|deletion| {
                let is_given_up = deletion.until + CLOCKS_APART_MAX < self.clock.now();
                own.contains(&deletion.by) || is_given_up
            });
            if is_free {
                return Ok((kept, reference));
            }
            let pause = MARK_PAUSE + self.random.jitter(MARK_PAUSE);
            self.clock.sleep(pause).await;
        }
        Err(ReferenceError::BeingDeleted(kind))
    }

    /// The time of a change over what was read, in whole microseconds.
    fn time_after(&self, over: Option<&Kept>) -> Result<DateTime<Utc>, ReferenceError> {
        let now = self.clock.now();
        let now = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
        match over {
            Some(kept) if kept.changed_at - now > CLOCKS_APART_MAX => {
                Err(ReferenceError::Ahead(kept.changed_at - now))
            }
            Some(kept) => Ok(now.max(kept.changed_at + TimeDelta::microseconds(1))),
            None => Ok(now),
        }
    }

    /// A jittered pause before another attempt; none before the first.
    async fn pause_before(&self, attempt: u32) {
        if attempt > 0 {
            let most = Duration::from_millis(10).saturating_mul(1 << attempt);
            let pause = self.random.jitter(most.min(PAUSE_MAX));
            self.clock.sleep(pause).await;
        }
    }
}

/// Such as `12 s ahead of the clock here`, rounded up.
fn ahead(by: &TimeDelta) -> String {
    format!("{} s ahead of the clock here", seconds_up(*by))
}

/// A time in whole seconds, rounded up.
fn seconds_up(time: TimeDelta) -> u32 {
    let millis = u64::try_from(time.num_milliseconds()).unwrap_or(0);
    u32::try_from(millis.div_ceil(1_000)).unwrap_or(u32::MAX)
}

impl ReferenceError {
    /// After how many seconds it may go well; `None` where waiting does not help.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::BeingDeleted(_) => Some(2),
            Self::Newer => Some(1),
            Self::Ahead(by) => Some(seconds_up(*by)),
            _ => None,
        }
    }
}

/// A time as the thing itself has it: to the millisecond.
fn shown(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap_or(at)
}

/// What is there, and since when.
fn living(kept: &Kept) -> Option<(DateTime<Utc>, &Reference)> {
    Some((kept.changed_at, kept.reference.as_ref()?))
}

/// Why a change was given up whose last attempt ended so: others were faster every time, or nobody knows,
/// as the tables could not be reached.
fn given_up(last: Option<StoreError>) -> ReferenceError {
    match last {
        None | Some(StoreError::Conflict { .. }) => ReferenceError::Newer,
        Some(error) => ReferenceError::Store(error),
    }
}
