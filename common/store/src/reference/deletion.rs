//! The mark of a deletion that is under way.
//!
//! Whoever is to delete something that others may hang on marks it first, then makes sure that nothing
//! does, then deletes it, if the mark is still there. Invariants:
//!
//! - What is marked is there as before: no reader sees the mark, and neither its time nor its revision moves.
//! - Nothing comes under what is marked ([`super::Parent::There`]), unless its creation takes the mark off
//!   in the same transaction ([`super::Parent::Lapsed`]). So no clock decides whether something is lost:
//!   from a mark that still stands it follows that nothing has come.
//! - Every other write of the thing takes the mark off too.
//! - `until` only says when whoever waits need not wait any longer: whoever marked it has crashed.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::write::is_unchanged;
use super::{Kept, ReferenceKind};
use crate::error::sorted;
use crate::item::{Reader, text, time, uuid};
use crate::tables::REFERENCE;
use crate::{Store, StoreError};

/// Whose mark it is.
const DELETING_BY: &str = "deleting_by";
/// Until when it stands, in milliseconds since 1970.
const DELETING_UNTIL: &str = "deleting_until";

/// The mark of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// Which one: no two marks are alike.
    pub by: Uuid,
    /// From when on whoever meets it may take it off.
    pub until: DateTime<Utc>,
}

/// The mark on an item.
pub(super) fn mark_of(read: &Reader<'_>) -> Result<Option<Deletion>, StoreError> {
    let Some(by) = read.opt_id(DELETING_BY)? else {
        return Ok(None);
    };
    let until = read.time(DELETING_UNTIL)?;
    Ok(Some(Deletion { by, until }))
}

impl Store {
    /// Marks what was read as about to be deleted, in place of the mark that it had then.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is no longer what was read, or is marked otherwise by now.
    pub async fn begin_deletion(
        &self,
        kind: ReferenceKind,
        id: Uuid,
        over: &Kept,
        deletion: Deletion,
    ) -> Result<(), StoreError> {
        let mark = match over.deletion {
            None => "attribute_not_exists(deleting_by)",
            Some(_) => "deleting_by = :seen",
        };
        let (is_unchanged, mut values) = is_unchanged(over);
        let condition = format!("{is_unchanged} AND {mark} AND attribute_not_exists(expires_at)");
        values.insert(":by".to_owned(), uuid(deletion.by));
        values.insert(":until".to_owned(), time(deletion.until));
        if let Some(seen) = over.deletion {
            values.insert(":seen".to_owned(), uuid(seen.by));
        }
        let answer = self
            .dynamodb()
            .update_item()
            .table_name(self.names.table(&REFERENCE))
            .key("id", text(kind.key(id)))
            .update_expression("SET deleting_by = :by, deleting_until = :until")
            .condition_expression(condition)
            .set_expression_attribute_values(Some(values))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("mark reference data"))?;
        self.capacity.wrote(answer.consumed_capacity());
        Ok(())
    }

    /// Takes a mark off. Where it is not there any more, nothing is done, and that is no error.
    pub async fn end_deletion(
        &self,
        kind: ReferenceKind,
        id: Uuid,
        by: Uuid,
    ) -> Result<(), StoreError> {
        let ended = self
            .dynamodb()
            .update_item()
            .table_name(self.names.table(&REFERENCE))
            .key("id", text(kind.key(id)))
            .update_expression("REMOVE deleting_by, deleting_until")
            .condition_expression("deleting_by = :by")
            .expression_attribute_values(":by", uuid(by))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("take a mark off reference data"));
        match ended {
            Ok(answer) => self.capacity.wrote(answer.consumed_capacity()),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
