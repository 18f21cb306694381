//! The key that a seller's calls are made with.
//!
//! Refused is whatever could not be sent as it is: [RFC 6750] gives a bearer token letters, digits and
//! `-._~+/=`. A key shorter than [`API_KEY_CHARS_MIN`] is refused as well: it guards nothing, and
//! masking it would black out ordinary words.
//!
//! [RFC 6750]: https://www.rfc-editor.org/rfc/rfc6750#section-2.1

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Fewest characters of a key.
pub const API_KEY_CHARS_MIN: usize = 8;
/// Most characters of a key.
pub const API_KEY_CHARS_MAX: usize = 512;

/// What stands where a key stood.
const MASK: &str = "[masked]";

/// Why a text is not a key. It does not show the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// Too short or too long.
    #[error("must have {API_KEY_CHARS_MIN} to {API_KEY_CHARS_MAX} characters")]
    Length,
    /// A character that a bearer token cannot have.
    #[error("must have letters, digits and -._~+/= only")]
    Character,
}

/// An API key of 3Rivers. Neither `Debug` nor any error shows it; it is wiped when dropped.
#[derive(Clone)]
pub struct ApiKey {
    secret: SecretString,
    fingerprint: [u8; 32],
}

impl ApiKey {
    /// Takes a key as configured.
    pub fn new(secret: SecretString) -> Result<Self, ApiKeyError> {
        let text = secret.expose_secret();
        if !(API_KEY_CHARS_MIN..=API_KEY_CHARS_MAX).contains(&text.len()) {
            return Err(ApiKeyError::Length);
        }
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if !text.bytes().all(is_token) {
            return Err(ApiKeyError::Character);
        }
        let fingerprint = Sha256::digest(text.as_bytes()).into();
        Ok(Self {
            secret,
            fingerprint,
        })
    }

    /// The SHA-256 of the key: tells keys apart without showing them.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// The text with every occurrence of the key blacked out, also where JSON has escaped its slashes.
    /// Whatever was received from outside goes through this before it is kept or logged.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let key = self.secret.expose_secret();
        let masked = replaced(Cow::Borrowed(text), key);
        if key.contains('/') {
            replaced(masked, &key.replace('/', "\\/"))
        } else {
            masked
        }
    }

    /// The value of `Authorization`; marked as sensitive, so that no library shows it.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let text = format!("Bearer {}", self.secret.expose_secret());
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn replaced<'a>(text: Cow<'a, str>, key: &str) -> Cow<'a, str> {
    if text.contains(key) {
        Cow::Owned(text.replace(key, MASK))
    } else {
        text
    }
}

impl FromStr for ApiKey {
    type Err = ApiKeyError;
    fn from_str(text: &str) -> Result<Self, ApiKeyError> {
        Self::new(SecretString::from(text))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([masked])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_eight_to_512_characters() {
        for (length, taken) in [
            (0, false),
            (7, false),
            (8, true),
            (9, true),
            (511, true),
            (512, true),
            (513, false),
        ] {
            assert_eq!(
                "k".repeat(length).parse::<ApiKey>().is_ok(),
                taken,
                "{length}"
            );
        }
    }

    #[test]
    fn a_key_that_could_not_be_sent_as_it_is_is_refused() {
        for text in [
            "with space",
            "with\nline",
            "with\"quote",
            "mit-ümlaut",
            "semi;colon",
        ] {
            let refused = text.parse::<ApiKey>();
            assert_eq!(refused.map(drop), Err(ApiKeyError::Character), "{text}");
        }
        assert!("aZ09-._~+/=".parse::<ApiKey>().is_ok());
    }

    #[test]
    fn a_key_is_not_shown() {
        let key: ApiKey = "sk.secret.42".parse().unwrap();
        assert!(!format!("{key:?}").contains("secret"));
        assert!(!format!("{:?}", key.authorization()).contains("secret"));
    }

    #[test]
    fn a_key_is_blacked_out_wherever_it_is_echoed() {
        let key: ApiKey = "sk/secret/42".parse().unwrap();
        let text = r#"{"a":"Bearer sk/secret/42","b":"sk\/secret\/42","c":"sk/other/42"}"#;
        let masked = r#"{"a":"Bearer [masked]","b":"[masked]","c":"sk/other/42"}"#;
        assert_eq!(key.mask(text), masked);
        assert!(matches!(key.mask("nothing to hide"), Cow::Borrowed(_)));
    }

    #[test]
    fn keys_are_told_apart_by_their_fingerprint() {
        let of = |text: &str| text.parse::<ApiKey>().unwrap().fingerprint();
        assert_eq!(of("key-number-1"), of("key-number-1"));
        assert_ne!(of("key-number-1"), of("key-number-2"));
    }
}
