//! Changes that come with a time of their own, in any order.
//!
//! A change takes effect only when it is newer than what is there, tombstones included: whatever the
//! order in which changes come, and however often, what is there in the end is the newest of each; but what
//! something belongs to is what the first change said that made it, until it is deleted. Times
//! are compared to the microsecond; of two of one time `rank` tells which one stays.
//! What was made keeps the time at which it was made.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::SellerId;

use super::rank::Rank;
use super::write::to_micros;
use super::{Kept, Parent, Reference, ReferenceKind, ReferenceWrite, Written};
use crate::error::unavailable;
use crate::{Store, StoreError};

/// How often a change is tried again that somebody else came before.
const ATTEMPTS_MAX: u32 = 8;

/// A change of reference data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceChange {
    /// It is to be so.
    Put(Box<Reference>),
    /// It is to be gone.
    Delete(ReferenceKind, Uuid),
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It took effect.
    Applied,
    /// What is there is the same, or newer, or goes before it among those of its time.
    Older,
    /// This other seller of the program has the alternate id, so nothing was changed.
    AlternateIdTaken(SellerId),
    /// It is newer than what is there and says that this belongs to something else, so nothing was changed.
    Moves {
        /// The first member that differs, such as `program_id`.
        member: &'static str,
        /// What that is.
        is: Option<Uuid>,
    },
}

impl ReferenceChange {
    fn target(&self) -> (ReferenceKind, Uuid) {
        match self {
            Self::Put(reference) => (reference.kind(), reference.id()),
            Self::Delete(kind, id) => (*kind, *id),
        }
    }

    /// Whether it is to take effect over what is there.
    fn is_after(&self, changed_at: DateTime<Utc>, kept: &Kept) -> bool {
        let what = match self {
            Self::Put(reference) => Some(&**reference),
            Self::Delete(..) => None,
        };
        let order = changed_at.cmp(&kept.changed_at);
        let order = order.then_with(|| Rank::of(what).cmp(&Rank::of(kept.reference.as_ref())));
        order.is_gt()
    }

    /// Whether it would give what is there to another.
    fn moves(&self, over: Option<&Kept>) -> Option<Changed> {
        let Self::Put(reference) = self else {
            return None;
        };
        let is = over?.reference.as_ref()?.owner();
        let (member, is) = reference.owner().differing(&is)?;
        Some(Changed::Moves { member, is })
    }

    fn after(&self, over: Option<&Kept>) -> Option<Reference> {
        let Self::Put(reference) = self else {
            return None;
        };
        let before = over.and_then(|kept| kept.reference.as_ref());
        let created_at = before.map(Reference::created_at);
        Some(Reference::clone(reference).made_at(created_at.unwrap_or(reference.created_at())))
    }
}

impl Store {
    /// Makes a change that came to be at a time, unless what is there is newer.
    ///
    /// Nothing is asked of what it belongs to. What is there belongs to it for as long as it is there: a
    /// change that says otherwise is refused, as what hangs on the thing would stay behind.
    pub async fn change_reference(
        &self,
        change: &ReferenceChange,
        changed_at: DateTime<Utc>,
    ) -> Result<Changed, StoreError> {
        let (kind, id) = change.target();
        let changed_at = to_micros(changed_at);
        let mut last = None;
        for attempt in 0..ATTEMPTS_MAX {
            self.pause_before(attempt).await;
            let over = self.kept_reference(kind, id).await?;
            if over
                .as_ref()
                .is_some_and(|kept| !change.is_after(changed_at, kept))
            {
                return Ok(Changed::Older);
            }
            if let Some(moves) = change.moves(over.as_ref()) {
                return Ok(moves);
            }
            let after = change.after(over.as_ref());
            let write = ReferenceWrite {
                kind,
                id,
                over,
                after,
                changed_at,
                parent: Parent::Any,
                // Upstream decides, whoever is about to delete it here.
                marked_by: None,
            };
            match self.write_reference(&write).await {
                Ok(Written::Done) => return Ok(Changed::Applied),
                Ok(Written::AlternateIdTaken(seller)) => {
                    return Ok(Changed::AlternateIdTaken(seller));
                }
                Err(error) if error.is_transient() => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        let why = last.map(|error| error.to_string()).unwrap_or_default();
        Err(unavailable("change reference data", &why))
    }
}
