//! S3's notifications: every new object becomes a message on the uploads queue.

use std::fmt::Write as _;

use aws_sdk_sqs::Client;
use chrono::SecondsFormat;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use weir_domain::{FileId, ObjectIdentity};
use weir_store::Store;

use crate::embedded::{ObjectCreated, REGION};

/// Announces objects.
pub(super) struct Notifier {
    pub(super) sqs: Client,
    pub(super) queue_url: String,
    pub(super) store: Store,
}

impl Notifier {
    /// Announces the objects whose announcement a restart may have lost, then every new one.
    pub(super) async fn run(
        self,
        known: Vec<ObjectCreated>,
        mut created: mpsc::Receiver<ObjectCreated>,
    ) {
        for object in known {
            let identity = ObjectIdentity::new(&object.bucket, &object.key, &object.etag);
            match self.store.file(FileId::of_object(&identity)).await {
                Ok(Some(_)) => {}
                Ok(None) => self.announce(&object).await,
                Err(error) => {
                    tracing::warn!(%error, key = object.key, "a file could not be looked up");
                }
            }
        }
        while let Some(object) = created.recv().await {
            self.announce(&object).await;
        }
    }

    async fn announce(&self, object: &ObjectCreated) {
        let message = self.sqs.send_message().queue_url(&self.queue_url);
        if let Err(error) = message.message_body(event(object).to_string()).send().await {
            tracing::error!(?error, key = object.key, "an object could not be announced");
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
