//! Uploads in parts: an object that is sent piece by piece, each piece bound to its bytes.
//!
//! Invariants: every part is sent with its SHA-256, and nobody can send one that was not signed for it;
//! parts become an object only where there is none yet. What becomes of parts that are never joined is the
//! bucket's rule.

use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use aws_smithy_runtime_api::client::result::SdkError;
use chrono::{DateTime, Utc};
use weir_domain::ObjectIdentity;

use crate::error::{sorted, unavailable};
use crate::objects::{CONTENT_TYPE, SignedPut, within};
use crate::{Store, StoreError};

/// S3 does not know the upload: it was joined, or given up.
const NO_SUCH_UPLOAD: &str = "NoSuchUpload";

/// Where the parts of an object go.
#[derive(Debug, Clone, Copy)]
pub struct PartsOf<'a> {
    /// The object's bucket.
    pub bucket: &'a str,
    /// The object's key.
    pub key: &'a str,
    /// What S3 calls the upload.
    pub upload_id: &'a str,
}

/// A part that S3 holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// Its number, from 1.
    pub number: u32,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// Its SHA-256 in base64.
    pub sha256: String,
    etag: String,
}

/// What came of joining parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joining {
    /// The object that they are now.
    Done(ObjectIdentity),
    /// There is an object already.
    Exists,
    /// There is no such upload any more: its object may be there, or it was given up.
    NoUpload,
    /// Parts, or the object, changed at this moment.
    Changing,
}

impl Store {
    /// Begins an upload in parts of what is to lie under a key of the upload bucket, and says what S3
    /// calls it. Called again it is another upload; one without parts is nothing to pay for.
    pub async fn begin_parts(&self, key: &str) -> Result<String, StoreError> {
        const OPERATION: &str = "begin an upload in parts";
        let request = self.clients.s3.create_multipart_upload();
        let answer = request
            .bucket(&self.names.bucket)
            .key(key)
            .content_type(CONTENT_TYPE)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_type(ChecksumType::Composite)
            .send()
            .await
            .map_err(sorted(OPERATION))?;
        let id = answer.upload_id().map(str::to_owned);
        id.ok_or_else(|| unavailable(OPERATION, "the answer has no upload id"))
    }

    /// Signs a request that sends a part of so many bytes with a SHA-256 (in base64); good for `kept` from
    /// `now` on, any number of times. Nothing is sent.
    pub async fn sign_part(
        &self,
        of: PartsOf<'_>,
        (number, size_bytes, sha256): (u32, u64, &str),
        now: DateTime<Utc>,
        kept: Duration,
    ) -> Result<SignedPut, StoreError> {
        const OPERATION: &str = "sign a part";
        let refused = |reason: &str| StoreError::Refused {
            operation: OPERATION,
            reason: reason.to_owned(),
        };
        let length = i64::try_from(size_bytes).map_err(|_| refused("the size cannot be signed"))?;
        let number = i32::try_from(number).map_err(|_| refused("the number cannot be signed"))?;
        let signed = self
            .clients
            .s3
            .upload_part()
            .bucket(of.bucket)
            .key(of.key)
            .upload_id(of.upload_id)
            .part_number(number)
            .content_length(length)
            .checksum_sha256(sha256)
            .presigned(within(OPERATION, now, kept)?)
            .await
            .map_err(sorted(OPERATION))?;
        Ok(SignedPut::of(&signed))
    }

    /// The parts that S3 holds, by their numbers; `None` where it does not know the upload (any more).
    pub async fn parts(&self, of: PartsOf<'_>) -> Result<Option<Vec<StoredPart>>, StoreError> {
        const OPERATION: &str = "list parts";
        let mut parts = Vec::new();
        let mut after = None;
        loop {
            let request = self.clients.s3.list_parts();
            let request = request.bucket(of.bucket).key(of.key);
            let request = request.upload_id(of.upload_id);
            let answer = match request.set_part_number_marker(after.take()).send().await {
                Ok(answer) => answer,
                Err(SdkError::ServiceError(error))
                    if error.err().code() == Some(NO_SUCH_UPLOAD) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(sorted(OPERATION)(error)),
            };
            for part in answer.parts() {
                parts.push(StoredPart {
                    number: part.part_number().unwrap_or(0).try_into().unwrap_or(0),
                    size_bytes: part.size().unwrap_or(0).try_into().unwrap_or(0),
                    sha256: part.checksum_sha256().unwrap_or_default().to_owned(),
                    etag: part.e_tag().unwrap_or_default().to_owned(),
                });
            }
            if answer.is_truncated() != Some(true) {
                return Ok(Some(parts));
            }
            let next = answer.next_part_number_marker().map(str::to_owned);
            // Without it the first page would come again, and again.
            let missing = || unavailable(OPERATION, "the answer does not say how it goes on");
            after = Some(next.ok_or_else(missing)?);
        }
    }

    /// Makes parts an object, where there is none, if they still are what they were.
    pub async fn join_parts(
        &self,
        of: PartsOf<'_>,
        parts: &[StoredPart],
    ) -> Result<Joining, StoreError> {
        const OPERATION: &str = "join parts";
        let mut all = CompletedMultipartUpload::builder();
        for part in parts {
            let chosen = CompletedPart::builder()
                .set_part_number(i32::try_from(part.number).ok())
                .e_tag(&part.etag)
                .checksum_sha256(&part.sha256);
            all = all.parts(chosen.build());
        }
        let request = self.clients.s3.complete_multipart_upload();
        let request = request
            .bucket(of.bucket)
            .key(of.key)
            .upload_id(of.upload_id)
            .multipart_upload(all.build())
            .if_none_match("*");
        match request.send().await {
            Ok(answer) => {
                let etag = answer
                    .e_tag()
                    .ok_or_else(|| unavailable(OPERATION, "the answer has no entity tag"))?;
                let object = ObjectIdentity::new(of.bucket, of.key, etag);
                Ok(Joining::Done(object))
            }
            Err(error) => {
                let service = error.as_service_error();
                let known = service.and_then(|error| Joining::refused(error.code()?));
                known.ok_or_else(|| sorted(OPERATION)(error))
            }
        }
    }
}

impl Joining {
    /// What it means that S3 refuses with a code; `None` for those that are no answer.
    fn refused(code: &str) -> Option<Self> {
        match code {
            "PreconditionFailed" => Some(Self::Exists),
            NO_SUCH_UPLOAD => Some(Self::NoUpload),
            // The second is said of the same key, the third of parts that were sent again.
            "ConditionalRequestConflict" | "OperationAborted" | "InvalidPart" => {
                Some(Self::Changing)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_meets_another_who_joins_the_parts_is_told_so_and_not_that_it_failed() {
        for (code, expected) in [
            ("PreconditionFailed", Some(Joining::Exists)),
            ("NoSuchUpload", Some(Joining::NoUpload)),
            ("ConditionalRequestConflict", Some(Joining::Changing)),
            ("OperationAborted", Some(Joining::Changing)),
            ("InvalidPart", Some(Joining::Changing)),
            ("InvalidPartOrder", None),
            ("AccessDenied", None),
            ("SlowDown", None),
        ] {
            assert_eq!(Joining::refused(code), expected, "{code}");
        }
    }
}
