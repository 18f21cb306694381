//! DynamoDB, S3 and SQS inside the process, behind their real wire protocols, so that the AWS clients
//! run unchanged against them.
//!
//! | part | made of | keeps its state |
//! | --- | --- | --- |
//! | [`Dynamodb`] | `dynoxide` on `SQLite` | in a file, or in memory |
//! | [`S3`] | `s3s` for the protocol and the signatures, a folder store of our own | in a folder |
//! | [`Sqs`] | a queue engine of our own | in memory; whatever sweeps the state fills it again |
//!
//! Invariants:
//! - each listens on 127.0.0.1 only, on the port asked for or on any free one;
//! - what was acknowledged by DynamoDB or S3 survives a SIGKILL at any moment, because it has been
//!   handed to the operating system by then; a power cut may cost the last moments, never the rest;
//! - one folder or file belongs to one process at a time: a lock on it, which the operating system
//!   drops with the process, keeps a second one out;
//! - time and randomness are arguments, but for DynamoDB: its engine goes by the machine's clock in
//!   time to live and creation times.
//!
//! They refuse what AWS would refuse wherever that could hide a mistake: too many entries in a batch,
//! a message too large, a stale `If-Match`. The keys they accept are [`ACCESS_KEY_ID`] and
//! [`SECRET_ACCESS_KEY`]; S3 checks signatures, the other two do not look at them.

mod dynamodb;
mod error;
mod listener;
mod s3;
mod sqs;

pub use dynamodb::{Dynamodb, Expiry};
pub use error::EmbeddedError;
pub(crate) use listener::{Server, bind_to};
pub use s3::{CreatedBy, ObjectCreated, S3, S3Options};
pub use sqs::{QueueCounts, Sqs};

use s3s::crypto::{Checksum, Md5};
use weir_runtime::{Clock, Random};

/// The region that every embedded part answers for.
pub const REGION: &str = "us-east-1";
/// The account that the names of queues belong to.
pub const ACCOUNT_ID: &str = "000000000000";
/// The access key that the embedded S3 accepts; it opens nothing outside this process.
pub const ACCESS_KEY_ID: &str = "weir-local";
/// What belongs to [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "weir-local";

/// What the embedded parts need from outside.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Delays, visibility, long polls and time stamps go by it.
    pub clock: Clock,
    /// Names of messages, uploads and stored bytes come from it.
    pub random: Random,
}

impl Outside {
    /// The machine's own clock and randomness.
    pub fn system() -> Self {
        Self {
            clock: Clock::system(),
            random: Random::system(),
        }
    }
}

/// The MD5 of `bytes` in lower-case hexadecimal, as S3 and SQS name content.
fn md5_hex(bytes: &[u8]) -> String {
    hex(Md5::checksum(bytes).as_ref())
}

/// `bytes` in lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_named_by_its_md5_in_lower_case() {
        assert_eq!(md5_hex(b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(md5_hex(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
    }
}
