//! S3's notifications: every new object of the upload bucket becomes a message on the uploads queue.
//!
//! Invariant: an object is announced at least once. What fails is tried again until it succeeds, as an
//! object that nobody has announced would lie there until the next start; to announce one twice does no
//! harm, because a file is taken once.

use std::fmt::Write as _;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use chrono::SecondsFormat;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use weir_domain::{FileId, ObjectIdentity};
use weir_runtime::Clock;
use weir_store::Store;

use crate::embedded::{ObjectCreated, REGION};
use crate::system::BUCKET;

/// The pause before what has failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// So often it is looked up whether a file is known. Past it the object is announced all the same: one
/// that cannot be looked up must not keep the others waiting.
const LOOKUPS_MAX: u32 = 5;

/// Announces objects.
pub(super) struct Notifier {
    pub(super) sqs: Client,
    pub(super) queue_url: String,
    pub(super) store: Store,
    pub(super) clock: Clock,
}

impl Notifier {
    /// Announces the objects whose announcement a restart may have lost, then every new one.
    pub(super) async fn run(
        self,
        known: Vec<ObjectCreated>,
        mut created: mpsc::Receiver<ObjectCreated>,
    ) {
        for object in known {
            if !self.is_known(&object).await {
                self.announce(&object).await;
            }
        }
        while let Some(object) = created.recv().await {
            // Other buckets can be made; nothing is to be heard of them.
            if object.bucket == BUCKET {
                self.announce(&object).await;
            }
        }
    }

    async fn is_known(&self, object: &ObjectCreated) -> bool {
        let identity = ObjectIdentity::new(&object.bucket, &object.key, &object.etag);
        for _ in 0..LOOKUPS_MAX {
            match self.store.file(FileId::of_object(&identity)).await {
                Ok(file) => return file.is_some(),
                Err(error) => {
                    tracing::warn!(%error, key = object.key, "a file could not be looked up");
                    self.clock.sleep(PAUSE).await;
                }
            }
        }
        false
    }

    async fn announce(&self, object: &ObjectCreated) {
        let message = event(object).to_string();
        loop {
            let request = self.sqs.send_message().queue_url(&self.queue_url);
            let Err(error) = request.message_body(&message).send().await else {
                return;
            };
            let error = DisplayErrorContext(error);
            tracing::error!(%error, key = object.key, "an object could not be announced");
            self.clock.sleep(PAUSE).await;
        }
    }
}

/// The event, as S3 writes it.
fn event(object: &ObjectCreated) -> Value {
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": object.created_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "eventName": object.created_by.event_name(),
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {"name": object.bucket, "arn": format!("arn:aws:s3:::{}", object.bucket)},
            "object": {
                "key": form_encoded(&object.key),
                "size": object.size_bytes,
                "eTag": object.etag,
            },
        },
    }]})
}

/// A key as S3 encodes it in events: a space is `+`, and all but a few characters are escaped.
fn form_encoded(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                encoded.push(char::from(byte));
            }
            other => _ = write!(encoded, "%{other:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
