//! The resources, as far as the command shows them.

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;
use weir_domain::{BatchStatus, DetailStatus, FileStatus, TransactionType};

/// A settlement file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    pub(crate) id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) status: FileStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error_log: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) processed_at: Option<String>,
}

impl File {
    /// Whether nothing more will happen to the file itself.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.status, FileStatus::Processed | FileStatus::Error)
    }
}

/// A batch of a file, with its counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the API")]
pub(crate) struct Batch {
    pub(crate) id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) batch_number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seller_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seller_name: Option<String>,
    pub(crate) status: BatchStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error_log: Option<String>,
    #[serde(default, deserialize_with = "or_zero")]
    pub(crate) batch_detail_count: u64,
    #[serde(default, deserialize_with = "or_zero")]
    pub(crate) batch_detail_unprocessed_count: u64,
    #[serde(default, deserialize_with = "or_zero")]
    pub(crate) batch_detail_error_count: u64,
    #[serde(default, deserialize_with = "or_zero")]
    pub(crate) batch_detail_cancelled_count: u64,
}

impl Batch {
    /// How many details are settled: the counters have every other status.
    pub(crate) fn processed_count(&self) -> u64 {
        self.batch_detail_count
            .saturating_sub(self.batch_detail_unprocessed_count)
            .saturating_sub(self.batch_detail_error_count)
            .saturating_sub(self.batch_detail_cancelled_count)
    }

    /// How many details nothing more will happen to by itself.
    pub(crate) fn done_count(&self) -> u64 {
        self.batch_detail_count
            .saturating_sub(self.batch_detail_unprocessed_count)
    }

    /// Whether something of it is in error.
    pub(crate) fn is_in_error(&self) -> bool {
        self.status == BatchStatus::Error || self.batch_detail_error_count > 0
    }

    /// The seller as people know it.
    pub(crate) fn seller(&self) -> String {
        match (&self.seller_name, self.seller_id) {
            (Some(name), _) => name.clone(),
            (None, Some(id)) => id.to_string(),
            (None, None) => "-".to_owned(),
        }
    }

    /// The batch's number, or its id when it has none.
    pub(crate) fn label(&self) -> String {
        let number = self.batch_number.clone();
        number.unwrap_or_else(|| self.id.to_string())
    }
}

/// A charge or refund of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Detail {
    pub(crate) id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) order_number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transaction_type: Option<TransactionType>,
    pub(crate) status: DetailStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error_log: Option<String>,
    /// The name that filters and the errors CSV have for `error_log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error_description: Option<String>,
}

impl Detail {
    /// Why it is in error, in words.
    pub(crate) fn reason(&self) -> &str {
        let reason = self.error_log.as_ref().or(self.error_description.as_ref());
        reason.map_or("", String::as_str)
    }
}

/// A count; nothing is none.
pub(super) fn or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_the_same_as_not_there_and_unknown_fields_are_ignored() {
        let id = Uuid::nil();
        let sparse = format!(r#"{{"id":"{id}","status":"Unprocessed"}}"#);
        let nulls = format!(
            r#"{{"id":"{id}","status":"Unprocessed","batch_number":null,"seller_name":null,
                "batch_detail_count":null,"error_log":null,"colour":{{"of":["the","sky"]}}}}"#
        );
        let sparse: Batch = serde_json::from_str(&sparse).unwrap();
        assert_eq!(sparse, serde_json::from_str(&nulls).unwrap());
        assert_eq!(sparse.batch_detail_count, 0);
        assert_eq!(sparse.label(), id.to_string());
        assert_eq!(sparse.seller(), "-");
    }

    #[test]
    fn what_is_neither_open_nor_in_error_nor_cancelled_is_processed() {
        let batch: Batch = serde_json::from_str(
            r#"{"id":"00000000-0000-0000-0000-000000000000","status":"Unprocessed",
                "batch_detail_count":10,"batch_detail_unprocessed_count":4,
                "batch_detail_error_count":2,"batch_detail_cancelled_count":1}"#,
        )
        .unwrap();
        assert_eq!(batch.processed_count(), 3);
        assert_eq!(batch.done_count(), 6);
        assert!(batch.is_in_error());
    }
}
