//! The key under which a detail is sent.
//!
//! It is a function of the detail and of the version of its request, never of the attempt: whatever
//! crashes, a repeated request carries the key of the first one. A confirmed draft is a new request
//! and so has a new version and a new key.

use std::fmt;
use std::str::FromStr;

use http::HeaderValue;
use weir_domain::DetailId;

const PREFIX: &str = "weir-";
const VERSION: &str = "-v";

/// A text that is not such a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a key of the form weir-DETAIL-vVERSION")]
pub struct IdempotencyKeyError;

/// The key of one version of one detail's request: `weir-{detail id}-v{version}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey {
    detail: DetailId,
    request_version: u32,
}

impl IdempotencyKey {
    /// The key of a version of a detail's request.
    pub fn of(detail: DetailId, request_version: u32) -> Self {
        Self {
            detail,
            request_version,
        }
    }

    /// Whose key it is.
    pub fn detail(self) -> DetailId {
        self.detail
    }

    /// Of which version of the request.
    pub fn request_version(self) -> u32 {
        self.request_version
    }

    pub(crate) fn header_value(self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_string()).ok()
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{PREFIX}{}{VERSION}{}",
            self.detail, self.request_version
        )
    }
}

impl FromStr for IdempotencyKey {
    type Err = IdempotencyKeyError;

    /// Reads a key exactly as it is written: one text a key.
    fn from_str(text: &str) -> Result<Self, IdempotencyKeyError> {
        let parse = || {
            let (detail, version) = text.strip_prefix(PREFIX)?.rsplit_once(VERSION)?;
            let key = Self::of(detail.parse().ok()?, version.parse().ok()?);
            (key.to_string() == text).then_some(key)
        };
        parse().ok_or(IdempotencyKeyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_domain::{BatchOrdinal, FileId, LineNumber, ObjectIdentity};

    fn detail(etag: &str, batch: u32, line: u32) -> DetailId {
        FileId::of_object(&ObjectIdentity::new("bucket", "key", etag))
            .batch(BatchOrdinal::new(batch).unwrap())
            .detail(LineNumber::new(line).unwrap())
    }

    #[test]
    fn a_key_names_the_detail_and_the_version() {
        let detail = detail("e", 1, 1);
        let key = IdempotencyKey::of(detail, 3);
        assert_eq!(key.to_string(), format!("weir-{detail}-v3"));
        assert_eq!(key.header_value().unwrap(), key.to_string());
    }

    #[test]
    fn a_key_is_read_only_as_it_is_written() {
        let detail = detail("e", 1, 1);
        let upper = detail.to_string().to_uppercase();
        for text in [
            String::new(),
            detail.to_string(),
            format!("weir-{detail}"),
            format!("weir-{detail}-v"),
            format!("weir-{detail}-v03"),
            format!("weir-{detail}-v+3"),
            format!("weir-{detail}-v4294967296"),
            format!("weir-{upper}-v3"),
            format!("weir-{detail}-v3 "),
            "weir-00000000-0000-4000-8000-000000000000-v1".to_owned(),
        ] {
            assert_eq!(
                text.parse::<IdempotencyKey>(),
                Err(IdempotencyKeyError),
                "{text}"
            );
        }
        let most = IdempotencyKey::of(detail, u32::MAX);
        assert_eq!(most.to_string().parse(), Ok(most));
    }

    fn any_key() -> impl Strategy<Value = (String, u32, u32, u32)> {
        (
            "[ab]",
            1..3_u32,
            1..30_u32,
            prop_oneof![0..30_u32, any::<u32>()],
        )
    }

    proptest! {
        #[test]
        fn distinct_details_or_versions_have_distinct_keys_and_the_same_have_the_same(
            a in any_key(), b in any_key(),
        ) {
            let of = |(etag, batch, line, version): &(String, u32, u32, u32)| {
                IdempotencyKey::of(detail(etag, *batch, *line), *version)
            };
            prop_assert_eq!(a == b, of(&a).to_string() == of(&b).to_string());
            prop_assert_eq!(of(&a).to_string().parse(), Ok(of(&a)));
        }
    }
}
