//! A creation that runs again, since nobody knows how far its earlier run got.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_store::Reference;

use super::made::made;
use super::{Body, CLOCKS_APART_MAX, Place, ReferenceChanges, ReferenceError, living};

impl ReferenceChanges {
    /// What an earlier run of a creation has made, as it is now; `None` when what is there under the id
    /// may be somebody else's.
    ///
    /// An id that only the runs of this creation know tells by itself whose it is. Where others may have
    /// used it, `first_at` says when the first run began: then it is that run's if it was made since, of
    /// the same body, and has not been changed.
    pub async fn made_before(
        &self,
        place: Place,
        id: Uuid,
        body: &Body,
        first_at: Option<DateTime<Utc>>,
    ) -> Result<Option<Reference>, ReferenceError> {
        let kept = self.store.kept_reference(body.kind(), id).await?;
        let Some((_, found)) = kept.as_ref().and_then(living) else {
            return Ok(None);
        };
        let is_own = match first_at {
            None => place.holds(found),
            Some(first_at) => {
                found.created_at() + CLOCKS_APART_MAX >= first_at
                    && made(body, place, id, found.created_at()).as_ref() == Some(found)
            }
        };
        Ok(is_own.then(|| found.clone()))
    }
}
