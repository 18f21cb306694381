//! Objects: uploaded files, read as streams and only as the bytes they were announced with.

use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::result::SdkError;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use weir_domain::ObjectIdentity;

use crate::error::{sorted, unavailable};
use crate::{Store, StoreError};

/// Bytes of an object, a piece at a time.
#[derive(Debug)]
pub struct ObjectReader {
    body: ByteStream,
    left: u64,
    /// How many bytes that come first were not asked for.
    ahead: usize,
}

impl ObjectReader {
    /// How many bytes are still to come.
    pub fn bytes_left(&self) -> u64 {
        self.left.saturating_sub(self.ahead as u64)
    }

    /// The next piece; `None` at the end. A connection that ends early is an error, never an end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        const OPERATION: &str = "read an object";
        loop {
            let mut piece = match self.body.try_next().await {
                Ok(Some(piece)) => piece,
                Ok(None) if self.left == 0 => return Ok(None),
                Ok(None) => return Err(unavailable(OPERATION, "the connection ended early")),
                Err(_) => return Err(unavailable(OPERATION, "the connection was cut")),
            };
            self.left = self
                .left
                .checked_sub(piece.len() as u64)
                .ok_or_else(|| unavailable(OPERATION, "more bytes came than were announced"))?;
            let ahead = self.ahead.min(piece.len());
            self.ahead -= ahead;
            let piece = piece.split_off(ahead);
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }
}

/// What settlement files are.
pub(crate) const CONTENT_TYPE: &str = "application/xml";

/// A request that puts one object or a part of one, signed: whoever has it can send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPut {
    /// The URL, signature included.
    pub url: String,
    /// The headers that must be sent as they are.
    pub headers: Vec<(String, String)>,
}

impl SignedPut {
    pub(crate) fn of(signed: &PresignedRequest) -> Self {
        let headers = signed.headers();
        Self {
            url: signed.uri().to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

/// How long a signature is good for.
pub(crate) fn within(
    operation: &'static str,
    now: DateTime<Utc>,
    kept: Duration,
) -> Result<PresigningConfig, StoreError> {
    let within = PresigningConfig::builder().start_time(now.into());
    let within = within.expires_in(kept).build();
    within.map_err(|_| StoreError::Refused {
        operation,
        reason: "the time cannot be signed".to_owned(),
    })
}

impl Store {
    /// Signs a request that puts an object of so many bytes with a SHA-256 (in base64) under a key of
    /// the upload bucket where there is none yet; good for `kept` from `now` on. Nothing is sent.
    pub async fn sign_upload(
        &self,
        key: &str,
        size_bytes: u64,
        sha256: &str,
        now: DateTime<Utc>,
        kept: Duration,
    ) -> Result<SignedPut, StoreError> {
        const OPERATION: &str = "sign an upload";
        let refused = |reason: &str| StoreError::Refused {
            operation: OPERATION,
            reason: reason.to_owned(),
        };
        let length = i64::try_from(size_bytes).map_err(|_| refused("the size cannot be signed"))?;
        let signed = self
            .clients
            .s3
            .put_object()
            .bucket(&self.names.bucket)
            .key(key)
            .content_type(CONTENT_TYPE)
            .content_length(length)
            .checksum_sha256(sha256)
            .if_none_match("*")
            .presigned(within(OPERATION, now, kept)?)
            .await
            .map_err(sorted(OPERATION))?;
        Ok(SignedPut::of(&signed))
    }

    /// Opens an object from a byte on, if it still is what it was. From its end on it is empty; a byte
    /// beyond its end is refused.
    pub async fn read_object(
        &self,
        object: &ObjectIdentity,
        from_byte: u64,
    ) -> Result<ObjectReader, StoreError> {
        let changed = |reason| StoreError::ObjectChanged {
            key: object.key.clone(),
            reason,
        };
        let mut request = self
            .clients
            .s3
            .get_object()
            .bucket(&object.bucket)
            .key(&object.key)
            .if_match(format!("\"{}\"", object.etag));
        // The end of an object cannot be asked for, nor the first byte of an empty one: so the byte before
        // comes along.
        let before = from_byte.checked_sub(1);
        if let Some(before) = before {
            request = request.range(format!("bytes={before}-"));
        }
        match request.send().await {
            Ok(answer) => {
                let length = answer.content_length().unwrap_or(0);
                let left = u64::try_from(length).unwrap_or(0);
                Ok(ObjectReader {
                    body: answer.body,
                    left,
                    ahead: usize::from(before.is_some()),
                })
            }
            Err(SdkError::ServiceError(error))
                if error.raw().status().as_u16() == 412
                    || error.err().code() == Some("PreconditionFailed") =>
            {
                Err(changed("it was replaced"))
            }
            Err(SdkError::ServiceError(error)) if error.err().is_no_such_key() => {
                Err(changed("it was deleted"))
            }
            Err(error) => Err(sorted("open an object")(error)),
        }
    }

    /// Which object is under a key now; `None` where there is none.
    pub async fn find_object(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<ObjectIdentity>, StoreError> {
        const OPERATION: &str = "find an object";
        let request = self.clients.s3.head_object().bucket(bucket).key(key);
        match request.send().await {
            Ok(answer) => {
                let etag = answer
                    .e_tag()
                    .ok_or_else(|| unavailable(OPERATION, "the answer has no entity tag"))?;
                Ok(Some(ObjectIdentity::new(bucket, key, etag)))
            }
            Err(SdkError::ServiceError(error)) if error.err().is_not_found() => Ok(None),
            Err(error) => Err(sorted(OPERATION)(error)),
        }
    }

    /// Stores an object in the upload bucket and says what it became.
    pub async fn put_upload(&self, key: &str, body: Bytes) -> Result<ObjectIdentity, StoreError> {
        let answer = self
            .clients
            .s3
            .put_object()
            .bucket(&self.names.bucket)
            .key(key)
            .content_type(CONTENT_TYPE)
            .body(ByteStream::from(body))
            .send()
            .await
            .map_err(sorted("store an object"))?;
        let etag = answer
            .e_tag()
            .ok_or_else(|| unavailable("store an object", "the answer has no entity tag"))?;
        Ok(ObjectIdentity::new(&self.names.bucket, key, etag))
    }
}
