//! Reference data as people change it: create, replace, delete.
//!
//! What is to be comes as a [`Body`], parsed once; whose it is is told by a [`Place`]. Invariants:
//!
//! - A change takes effect only over what was read, and is later than it. The clocks of two functions
//!   need not agree to the millisecond: up to a second, what is ahead is gone by and the
//!   change counts as a millisecond later; beyond that it is refused as [`ReferenceError::Newer`].
//! - An id is used once: what exists is not created again, whoever asks. What was deleted may be.
//! - What is created belongs to something that is there at that moment, in one transaction.
//! - What something hangs on is not deleted. The indexes that tell this lag behind by moments, so a
//!   deletion writes the tombstone first, upon which nothing new can come under it; waits until the
//!   indexes have surely caught up, half a second; looks again; and takes itself back if it finds
//!   something after all.
//!
//! A seller's contacts come and go with messages alone, so they keep nothing from being deleted.

mod body;
mod in_use;
mod json;
mod schema;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use weir_domain::{ClientId, ProgramId, ReportScope, SellerId};
use weir_runtime::{Clock, Random};
use weir_store::{
    Client, Customer, Kept, Parent, Program, Reference, ReferenceKind, ReferenceWrite,
    ReportSchedule, Seller, Store, StoreError, Written,
};

pub use body::{
    Body, BodyError, ClientBody, CustomerBody, ProgramBody, SchedulableReport, ScheduleBody,
    SellerBody,
};
pub use schema::{BodySchema, Member, MemberRule, Violation};

/// How far a clock elsewhere may be ahead of this one.
const CLOCKS_APART_MAX: TimeDelta = TimeDelta::seconds(1);
/// How long a deletion waits before it looks again.
const INDEX_LAG: Duration = Duration::from_millis(500);
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
    /// What is there is from a later time than this clock's, or others change it all the time.
    #[error("there is a newer change")]
    Newer,
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

    fn parent(self) -> Parent {
        match self {
            Self::Top => Parent::Any,
            Self::Client(id) => Parent::There(ReferenceKind::Client, id.uuid()),
            Self::Program(_, id) => Parent::There(ReferenceKind::Program, id.uuid()),
            Self::Seller(_, _, id) => Parent::There(ReferenceKind::Seller, id.uuid()),
        }
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
        // What an attempt wrote of which no answer came.
        let mut unsure: Option<Kept> = None;
        for attempt in 0..ATTEMPTS_MAX {
            self.pause_before(attempt).await;
            self.check_place(place).await?;
            let over = self.store.kept_reference(kind, id).await?;
            if let Some(Kept {
                reference: Some(found),
                ..
            }) = &over
            {
                return if over == unsure {
                    Ok(found.clone())
                } else {
                    Err(ReferenceError::Exists)
                };
            }
            let changed_at = self.time_after(over.as_ref())?;
            let made = made(body, place, id, changed_at).ok_or(ReferenceError::NoSuch(kind))?;
            let write = ReferenceWrite {
                kind,
                id,
                over,
                after: Some(made.clone()),
                changed_at,
                parent: place.parent(),
            };
            match self.store.write_reference(&write).await {
                Ok(Written::Done) => return Ok(made),
                Ok(Written::AlternateIdTaken(_)) => return Err(ReferenceError::AlternateIdTaken),
                Err(error) if error.is_transient() => {
                    unsure = Some(Kept {
                        changed_at,
                        reference: Some(made),
                    });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(ReferenceError::Newer)
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
        for attempt in 0..ATTEMPTS_MAX {
            self.pause_before(attempt).await;
            let (over, before) = self.there(kind, place, id).await?;
            let changed_at = self.time_after(Some(&over))?;
            let after = replaced(body, before, changed_at).ok_or(ReferenceError::NoSuch(kind))?;
            let write = ReferenceWrite {
                kind,
                id,
                over: Some(over),
                after: Some(after.clone()),
                changed_at,
                parent: Parent::Any,
            };
            match self.store.write_reference(&write).await {
                Ok(Written::Done) => return Ok(after),
                Ok(Written::AlternateIdTaken(_)) => return Err(ReferenceError::AlternateIdTaken),
                Err(error) if error.is_transient() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ReferenceError::Newer)
    }

    /// Deletes something that nothing hangs on.
    pub async fn delete(
        &self,
        kind: ReferenceKind,
        place: Place,
        id: Uuid,
    ) -> Result<(), ReferenceError> {
        let (before, gone) = self.bury(kind, place, id).await?;
        if !in_use::can_be(kind) {
            return Ok(());
        }
        self.clock.sleep(INDEX_LAG).await;
        let found = in_use::by(&self.store, &before).await?;
        if found.is_empty() {
            return Ok(());
        }
        let restore = ReferenceWrite {
            kind,
            id,
            over: Some(Kept {
                changed_at: gone,
                reference: None,
            }),
            after: Some(before),
            changed_at: gone + TimeDelta::milliseconds(1),
            parent: Parent::Any,
        };
        match self.store.write_reference(&restore).await {
            // Somebody has created it anew meanwhile: what hangs on it has something to hang on.
            Ok(_) | Err(StoreError::Conflict { .. }) => Err(ReferenceError::InUse(found)),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the tombstone of something that nothing is seen to hang on; gives what was there, and
    /// when it went.
    async fn bury(
        &self,
        kind: ReferenceKind,
        place: Place,
        id: Uuid,
    ) -> Result<(Reference, DateTime<Utc>), ReferenceError> {
        // What was there before an attempt of which no answer came, and when that was to take effect.
        let mut unsure: Option<(Reference, DateTime<Utc>)> = None;
        for attempt in 0..ATTEMPTS_MAX {
            self.pause_before(attempt).await;
            if let Some((before, gone)) = &unsure
                && let Some(kept) = self.store.kept_reference(kind, id).await?
                && kept.reference.is_none()
                && kept.changed_at == *gone
            {
                return Ok((before.clone(), *gone));
            }
            let (over, before) = self.there(kind, place, id).await?;
            let found = in_use::by(&self.store, &before).await?;
            if !found.is_empty() {
                return Err(ReferenceError::InUse(found));
            }
            let changed_at = self.time_after(Some(&over))?;
            let write = ReferenceWrite {
                kind,
                id,
                over: Some(over),
                after: None,
                changed_at,
                parent: Parent::Any,
            };
            match self.store.write_reference(&write).await {
                Ok(_) => return Ok((before, changed_at)),
                Err(error) if error.is_transient() => unsure = Some((before, changed_at)),
                Err(error) => return Err(error.into()),
            }
        }
        Err(ReferenceError::Newer)
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

    /// Refuses a place whose parts are not there, or do not belong together.
    async fn check_place(&self, place: Place) -> Result<(), ReferenceError> {
        let (client, program, seller) = match place {
            Place::Top => return Ok(()),
            Place::Client(client) => (client, None, None),
            Place::Program(client, program) => (client, Some(program), None),
            Place::Seller(client, program, seller) => (client, Some(program), Some(seller)),
        };
        let missing = ReferenceError::NoSuch;
        if self.store.client(client).await?.is_none() {
            return Err(missing(ReferenceKind::Client));
        }
        let Some(program) = program else {
            return Ok(());
        };
        let found = self.store.program(program).await?;
        if found.is_none_or(|found| found.client_id != client) {
            return Err(missing(ReferenceKind::Program));
        }
        let Some(seller) = seller else {
            return Ok(());
        };
        let found = self.store.seller(seller).await?;
        if found.is_none_or(|found| (found.client_id, found.program_id) != (client, program)) {
            return Err(missing(ReferenceKind::Seller));
        }
        Ok(())
    }

    /// The time of a change over what was read, in whole milliseconds.
    fn time_after(&self, over: Option<&Kept>) -> Result<DateTime<Utc>, ReferenceError> {
        let now = self.clock.now();
        let now = DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now);
        match over {
            Some(kept) if kept.changed_at - now > CLOCKS_APART_MAX => Err(ReferenceError::Newer),
            Some(kept) => Ok(now.max(kept.changed_at + TimeDelta::milliseconds(1))),
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

/// What a body makes in a place; `None` when such a thing does not belong there.
fn made(body: &Body, place: Place, id: Uuid, at: DateTime<Utc>) -> Option<Reference> {
    let new = match (body, place) {
        (Body::Client(_), Place::Top) => Reference::Client(Client {
            id: id.try_into().ok()?,
            name: String::new(),
            processed_message_ts: None,
            created_at: at,
            updated_at: at,
        }),
        (Body::Program(body), Place::Client(client_id)) => Reference::Program(Program {
            id: id.try_into().ok()?,
            client_id,
            name: String::new(),
            status: body.status,
            reply_to_email: None,
            support_email: None,
            sender_email: None,
            processed_message_ts: None,
            created_at: at,
            updated_at: at,
        }),
        (Body::Seller(_), Place::Program(client_id, program_id)) => Reference::Seller(Seller {
            id: id.try_into().ok()?,
            client_id,
            program_id,
            alternate_seller_id: None,
            name: String::new(),
            status: None,
            processed_message_ts: None,
            created_at: at,
            updated_at: at,
        }),
        (Body::Customer(_), Place::Program(client_id, program_id)) => {
            Reference::Customer(Customer {
                id: id.try_into().ok()?,
                client_id,
                program_id,
                name: None,
                processed_message_ts: None,
                created_at: at,
                updated_at: at,
            })
        }
        (Body::ReportSchedule(body), place) => {
            let (client_id, program_id, seller_id) = match place {
                Place::Program(client, program) => (client, program, None),
                Place::Seller(client, program, seller) => (client, program, Some(seller)),
                Place::Top | Place::Client(_) => return None,
            };
            Reference::ReportSchedule(ReportSchedule {
                id: id.try_into().ok()?,
                client_id,
                program_id,
                seller_id,
                report_id: body.report_id,
                report_scope: match seller_id {
                    Some(_) => ReportScope::Seller,
                    None => ReportScope::Client,
                },
                schedule_tz: String::new(),
                schedule_frequency: body.schedule_frequency,
                schedule_week_day: None,
                recipient_emails: Vec::new(),
                last_scheduled_at: None,
                created_at: at,
                updated_at: at,
            })
        }
        _ => return None,
    };
    replaced(body, new, at)
}

/// What a body makes of something; `None` when that is of another kind.
fn replaced(body: &Body, mut reference: Reference, at: DateTime<Utc>) -> Option<Reference> {
    match (body, &mut reference) {
        (Body::Client(body), Reference::Client(it)) => {
            it.name.clone_from(&body.name);
            it.updated_at = at;
        }
        (Body::Program(body), Reference::Program(it)) => {
            it.name.clone_from(&body.name);
            it.status = body.status;
            it.reply_to_email = Some(body.reply_to_email.clone());
            it.support_email = Some(body.support_email.clone());
            it.sender_email = Some(body.sender_email.clone());
            it.updated_at = at;
        }
        (Body::Seller(body), Reference::Seller(it)) => {
            it.alternate_seller_id.clone_from(&body.alternate_seller_id);
            it.name.clone_from(&body.name);
            it.updated_at = at;
        }
        (Body::Customer(body), Reference::Customer(it)) => {
            it.name.clone_from(&body.name);
            it.updated_at = at;
        }
        (Body::ReportSchedule(body), Reference::ReportSchedule(it)) => {
            it.report_id = body.report_id;
            it.schedule_tz.clone_from(&body.schedule_tz);
            it.schedule_frequency = body.schedule_frequency;
            it.schedule_week_day = body.schedule_week_day;
            let addresses = body.recipient_emails.iter().map(ToString::to_string);
            it.recipient_emails = addresses.collect();
            it.updated_at = at;
        }
        _ => return None,
    }
    Some(reference)
}
