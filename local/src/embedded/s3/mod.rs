//! S3 on a folder, with notifications.
//!
//! `s3s` speaks the protocol and checks the signatures, presigned URLs included. The objects are kept
//! by a store of our own: a settlement file is told from another by the `ETag` of its object, so bytes
//! and `ETag` have to change together, also when the process is killed, and `If-Match` has to be
//! honoured on reads; the ready-made folder back end of `s3s` does neither.
//!
//! Offered: buckets (create, head, list, location), objects (put, get with ranges and conditions, head,
//! copy, delete one or many, list version 2) and multipart uploads. Each object that comes to be is
//! reported as [`ObjectCreated`], at least once as long as the process lives; after a crash
//! [`S3::objects`] tells what there is. Not offered: versions, tags, access lists.

mod body;
mod folder;
mod list;
mod multipart;
mod record;
mod service;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::validation::{AwsNameValidation, NameValidation};
use tokio::sync::mpsc;

use self::folder::Folder;
use self::record::Record;
use self::service::Service;
use super::listener::{self, Server};
use super::{ACCESS_KEY_ID, EmbeddedError, Outside, SECRET_ACCESS_KEY};

const NAME: &str = "S3";

/// How an embedded S3 is set up.
#[derive(Debug)]
pub struct S3Options {
    /// Where the objects live; created when it is not there.
    pub folder: PathBuf,
    /// The port on 127.0.0.1; any free one when it is not given.
    pub port: Option<u16>,
    /// Buckets that exist from the start.
    pub buckets: Vec<String>,
    /// Who hears of new objects. A request waits while the channel is full; once nobody listens any
    /// more, objects are taken in all the same and a warning is logged.
    pub on_created: mpsc::Sender<ObjectCreated>,
}

/// How an object came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreatedBy {
    /// One request with all its bytes.
    Put,
    /// A copy of another object.
    Copy,
    /// A completed multipart upload.
    CompleteMultipartUpload,
}

impl CreatedBy {
    /// The name of the S3 event.
    pub fn event_name(self) -> &'static str {
        match self {
            Self::Put => "ObjectCreated:Put",
            Self::Copy => "ObjectCreated:Copy",
            Self::CompleteMultipartUpload => "ObjectCreated:CompleteMultipartUpload",
        }
    }
}

/// An object has come to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectCreated {
    /// Its bucket.
    pub bucket: String,
    /// Its key, not encoded.
    pub key: String,
    /// What `If-Match` compares with, without quotes.
    pub etag: String,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// How it came to be.
    pub created_by: CreatedBy,
    /// When, in whole seconds.
    pub created_at: DateTime<Utc>,
}

impl ObjectCreated {
    fn new(bucket: &str, record: &Record, created_by: CreatedBy) -> Self {
        Self {
            bucket: bucket.to_owned(),
            key: record.key.clone(),
            etag: record.etag.clone(),
            size_bytes: record.size_bytes,
            created_by,
            created_at: record.modified_at,
        }
    }
}

/// A running S3. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct S3 {
    folder: Arc<Folder>,
    server: Server,
}

impl S3 {
    /// Starts. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The port or the folder is in use or cannot be had, what is in the folder is not ours, or a
    /// bucket has a name that S3 does not allow.
    pub fn start(options: S3Options, outside: Outside) -> Result<Self, EmbeddedError> {
        let clock = outside.clock.clone();
        let folder = Arc::new(Folder::open(&options.folder, outside)?);
        for bucket in &options.buckets {
            if !AwsNameValidation::new().validate_bucket_name(bucket) {
                return Err(EmbeddedError::Failed {
                    service: NAME,
                    reason: format!(
                        "{bucket:?} is no name for a bucket: 3 to 63 lower-case letters, digits, hyphens"
                    ),
                });
            }
            folder
                .create_bucket(bucket)
                .map_err(|source| EmbeddedError::FolderUnusable {
                    service: NAME,
                    path: options.folder.clone(),
                    source,
                })?;
        }
        let service = Service::new(Arc::clone(&folder), options.on_created);
        let mut builder = S3ServiceBuilder::new(service);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let listener = listener::bind(NAME, options.port)?;
        let server = Server::start(NAME, listener, clock, builder.build())?;
        Ok(Self { folder, server })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// The URL for an AWS client, which must use path style.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.addr())
    }

    /// Every object of a bucket in the order of the keys, in the form in which it was reported. Whoever
    /// starts after a crash can report them again: one whose report was lost is among them. How an
    /// object came to be is not kept; it says [`CreatedBy::Put`]. Empty when there is no such bucket.
    pub fn objects(&self, bucket: &str) -> Vec<ObjectCreated> {
        let mut objects = Vec::new();
        let walked = self.folder.walk(bucket, "", "", |record| {
            objects.push(ObjectCreated::new(bucket, record, CreatedBy::Put));
            true
        });
        // The only error is that there is no such bucket.
        walked.map(|()| objects).unwrap_or_default()
    }

    /// Waits until it serves no more, which it does of itself only when something is badly wrong.
    pub async fn ended(&self) {
        self.server.ended().await;
    }

    /// Lets requests under way finish for some seconds, then stops.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
