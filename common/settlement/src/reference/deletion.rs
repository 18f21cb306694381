//! How something is deleted that others may hang on, while others are created.
//!
//! What hangs on it is told by indexes, which lag behind the tables by moments. So a deletion
//!
//! 1. looks, and ends here when it finds something;
//! 2. marks the thing, upon which nothing can come under it ([`Deletion`]);
//! 3. waits until the indexes have caught up with what came before the mark, and looks again;
//! 4. writes the tombstone on condition that the thing is as it was read and that its own mark is still
//!    there; or takes the mark off when something was found, or anything failed.
//!
//! Until the tombstone is written the thing is there for all who read it, so wherever a deletion stops, it
//! has changed nothing. A mark that was left behind lapses: whoever creates something under it takes it off,
//! and a tombstone that is late after that is refused. Every attempt marks anew, so one that was written for
//! an earlier attempt is refused as well.
//!
//! That the indexes have caught up by then is assumed: DynamoDB promises no time. Where they are further
//! behind, what was created in the moments before the mark is not seen, and is there in the end while what it
//! belongs to is gone. Nothing is lost by that: it is read and settled as before, and creating the parent
//! anew under its id mends it.
//!
//! Batches ask nothing of their seller when they come: a file that was found sound is split whole, even if
//! its seller is deleted meanwhile, so that no payment is lost by a deletion. Such a batch keeps the id of a
//! seller that is gone. See [`crate::upload`]. Nor does what messages bring: upstream decides, and what it
//! says belongs to something deleted is taken.

use std::time::Duration;

use chrono::TimeDelta;
use uuid::Uuid;
use weir_store::{Deletion, Kept, Parent, Reference, ReferenceKind, ReferenceWrite, StoreError};

use super::{ATTEMPTS_MAX, Place, ReferenceChanges, ReferenceError, given_up, in_use};

/// How long a deletion waits before it looks again. An assumption: indexes are mostly behind by some
/// milliseconds, and nobody promises that they are never behind by more than this.
const INDEX_LAG: Duration = Duration::from_millis(500);
/// How long a mark stands that nobody takes off. Several times what marking, waiting and looking take even
/// when requests have to be repeated; and no longer than somebody may be kept waiting for nothing.
const MARK_LASTS: TimeDelta = TimeDelta::seconds(10);
/// What must be left of that when the tombstone is sent: more than clocks are apart, and time for it to arrive.
const MARK_LEFT_MIN: TimeDelta = TimeDelta::seconds(3);

/// What a deletion has sent so far, whether or not an answer came.
#[derive(Debug, Default)]
struct Sent {
    marks: Vec<Uuid>,
    is_tombstone_sent: bool,
}

impl ReferenceChanges {
    /// Deletes something that nothing hangs on.
    pub async fn delete(
        &self,
        kind: ReferenceKind,
        place: Place,
        id: Uuid,
    ) -> Result<(), ReferenceError> {
        let mut sent = Sent::default();
        let deleted = self.delete_noting(kind, place, id, &mut sent).await;
        if deleted.is_err() {
            for by in sent.marks {
                // It lapses in any case.
                if let Err(error) = self.store.end_deletion(kind, id, by).await {
                    tracing::warn!(%kind, %id, %error, "the mark of a deletion was left to lapse");
                    break;
                }
            }
        }
        deleted
    }

    async fn delete_noting(
        &self,
        kind: ReferenceKind,
        place: Place,
        id: Uuid,
        sent: &mut Sent,
    ) -> Result<(), ReferenceError> {
        let mut last = None;
        for attempt in 0..ATTEMPTS_MAX {
            self.pause_before(attempt).await;
            let (over, before) = match self.unmarked(kind, place, id, &sent.marks).await {
                // The answer was lost, or the tombstone was late.
                Err(ReferenceError::NoSuch(_)) if sent.is_tombstone_sent => return Ok(()),
                found => found?,
            };
            match self.try_to_delete(over, &before, sent).await {
                Err(ReferenceError::Store(error)) if error.is_transient() => last = Some(error),
                done => return done,
            }
        }
        Err(given_up(last))
    }

    async fn try_to_delete(
        &self,
        over: Kept,
        before: &Reference,
        sent: &mut Sent,
    ) -> Result<(), ReferenceError> {
        let (kind, id) = (before.kind(), before.id());
        // What is to be refused for its time is refused before anybody waits.
        self.time_after(Some(&over))?;
        let marked_by = if in_use::can_be(kind) {
            Some(self.mark_unused(&over, before, sent).await?)
        } else {
            None
        };
        let changed_at = self.time_after(Some(&over))?;
        let write = ReferenceWrite {
            kind,
            id,
            over: Some(over),
            after: None,
            changed_at,
            parent: Parent::Any,
            marked_by,
        };
        sent.is_tombstone_sent = true;
        self.store.write_reference(&write).await?;
        Ok(())
    }

    /// Marks something and makes sure that nothing hangs on it.
    async fn mark_unused(
        &self,
        over: &Kept,
        reference: &Reference,
        sent: &mut Sent,
    ) -> Result<Uuid, ReferenceError> {
        self.check_unused(reference).await?;
        let by = self.random.uuid_v4();
        let until = self.clock.now() + MARK_LASTS;
        let deletion = Deletion { by, until };
        sent.marks.push(by);
        let (kind, id) = (reference.kind(), reference.id());
        self.store.begin_deletion(kind, id, over, deletion).await?;
        self.clock.sleep(INDEX_LAG).await;
        self.check_unused(reference).await?;
        if until - self.clock.now() < MARK_LEFT_MIN {
            return Err(ReferenceError::Store(StoreError::Unavailable {
                operation: "delete reference data",
                reason: "it took longer than its mark lasts".to_owned(),
            }));
        }
        Ok(by)
    }

    async fn check_unused(&self, reference: &Reference) -> Result<(), ReferenceError> {
        let found = in_use::by(&self.store, reference).await?;
        if found.is_empty() {
            return Ok(());
        }
        Err(ReferenceError::InUse(found))
    }
}
