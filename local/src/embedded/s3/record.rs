//! What is kept beside the bytes of an object, and the conditions that requests put on it.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use s3s::dto::{Checksum, ETag, ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

/// An object: which bytes it has, and what its sender said of them. Written as JSON, one file each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) key: String,
    /// Without quotes: the MD5 of the bytes, or for a multipart upload the MD5 of its parts' MD5s with
    /// the number of parts, as S3 does it.
    pub(super) etag: String,
    pub(super) size_bytes: u64,
    /// Whole seconds, as S3 keeps it.
    pub(super) modified_at: DateTime<Utc>,
    /// The file that holds the bytes.
    pub(super) blob: String,
    #[serde(flatten)]
    pub(super) described: Described,
    #[serde(default)]
    pub(super) checksums: Checksums,
}

/// What the sender said of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Described {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<String>,
    /// The `x-amz-meta-` headers, without that prefix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
}

impl Described {
    /// The metadata as answers carry it.
    pub(super) fn metadata(&self) -> Option<HashMap<String, String>> {
        (!self.metadata.is_empty()).then(|| self.metadata.clone().into_iter().collect())
    }
}

/// The checksums that the sender chose, in base64.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksums {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crc32: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crc32c: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crc64nvme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
}

impl From<Checksum> for Checksums {
    fn from(checksum: Checksum) -> Self {
        Self {
            crc32: checksum.checksum_crc32,
            crc32c: checksum.checksum_crc32c,
            crc64nvme: checksum.checksum_crc64nvme,
            sha1: checksum.checksum_sha1,
            sha256: checksum.checksum_sha256,
        }
    }
}

impl Record {
    pub(super) fn etag(&self) -> ETag {
        ETag::Strong(self.etag.clone())
    }

    pub(super) fn modified(&self) -> Timestamp {
        SystemTime::from(self.modified_at).into()
    }
}

/// The conditions of a read.
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "they are the names of headers")]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// # Errors
    /// 412 when the object is not the one expected, 304 when it is the one known already. A condition
    /// on the `ETag` wins over its twin on the time.
    pub(super) fn check(&self, record: &Record) -> S3Result<()> {
        let expected = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => matches(condition, record),
            (None, Some(since)) => record.modified() <= *since,
            (None, None) => true,
        };
        if !expected {
            return Err(s3_error!(PreconditionFailed));
        }
        let known = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => matches(condition, record),
            (None, Some(since)) => record.modified() <= *since,
            (None, None) => false,
        };
        if known {
            return Err(s3_error!(NotModified));
        }
        Ok(())
    }
}

/// The conditions of a write.
#[derive(Debug, Default)]
pub(super) struct WriteConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl WriteConditions {
    /// # Errors
    /// 412 when what is there now is not what was expected to be there.
    pub(super) fn check(&self, current: Option<&Record>) -> S3Result<()> {
        let is =
            |condition: &ETagCondition| current.is_some_and(|record| matches(condition, record));
        let expected = self.if_match.as_ref().is_none_or(is);
        let unexpected = self.if_none_match.as_ref().is_some_and(is);
        if !expected || unexpected {
            return Err(s3_error!(PreconditionFailed));
        }
        Ok(())
    }
}

fn matches(condition: &ETagCondition, record: &Record) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.strong_cmp(&record.etag()),
    }
}
