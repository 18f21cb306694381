//! `weir submit`: uploads a settlement file, and follows it if asked to.
//!
//! The file is read twice, to know it again and to send it, and never whole in memory. What it is
//! known by, its name and its bytes, makes the same upload the same file of the service, so it can be
//! sent again when an answer was lost. It is not checked first: the service reads all of it before it
//! takes anything, and `weir validate` says the same offline.
//!
//! Up to [`REQUEST_BYTES_MAX`] the file goes in a request of the API, above that to a place of its own.
//! A file that changes between the two readings is refused.

mod place;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use futures::stream;
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt};
use uuid::Uuid;
use weir_runtime::StreamBody;

use crate::Report;
use crate::arguments::Submit;
use crate::failure::{FILE_BYTES_MAX, Failure, REQUEST_BYTES_MAX};
use crate::follow::Seen;
use crate::progress::Progress;
use crate::text::{append, plain};
use crate::watch::Session;

/// How much is read and sent at a time.
const PART_BYTES: usize = 64 * 1024;

/// A file that is ready to be sent.
pub(crate) struct Upload {
    path: PathBuf,
    name: String,
    size_bytes: u64,
    /// When it was last written to; nothing where that is not kept.
    modified_at: Option<SystemTime>,
}

/// What a file is known by.
struct Identity {
    /// SHA-256 of its bytes, in hexadecimal; of one that goes to a place.
    checksum: String,
    idempotency_key: String,
}

impl Upload {
    /// Looks at the file. Refused: what cannot be read, is no regular file, has no name, or is
    /// larger than the service takes.
    pub(crate) async fn open(path: &Path, name: Option<&str>) -> Result<Self, Failure> {
        let unreadable = |error| Failure::Unreadable {
            path: path.to_owned(),
            error,
        };
        let own_name = path.file_name().and_then(|name| name.to_str());
        let name = name.or(own_name).filter(|name| !name.is_empty());
        let name = name.ok_or(Failure::NameInvalid)?;
        // Looked at before it is opened, as opening a pipe waits for who writes to it.
        let metadata = tokio::fs::metadata(path).await.map_err(unreadable)?;
        Failure::unless_regular(path, &metadata)?;
        let file = File::open(path).await.map_err(unreadable)?;
        let metadata = file.metadata().await.map_err(unreadable)?;
        if metadata.len() > FILE_BYTES_MAX {
            return Err(Failure::TooLarge {
                size_bytes: metadata.len(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            name: name.to_owned(),
            size_bytes: metadata.len(),
            modified_at: metadata.modified().ok(),
        })
    }

    fn is_large(&self) -> bool {
        self.size_bytes > REQUEST_BYTES_MAX
    }

    /// Reads all of the file to know it again.
    async fn identify(&self, progress: &mut Progress<'_>) -> Result<Identity, Failure> {
        let bar = progress.bytes(&self.doing("reading"), self.size_bytes);
        let whole = self.opened().await?.take(self.size_bytes);
        // A name has no NUL, so nothing else begins with the same bytes.
        let named = format!("{}\0", self.name);
        if !self.is_large() {
            let key = fingerprint(&named, whole, &bar).await;
            return Ok(Identity {
                checksum: String::new(),
                idempotency_key: key.map_err(|error| self.unreadable(error))?,
            });
        }
        let checksum = fingerprint("", whole, &bar).await;
        let checksum = checksum.map_err(|error| self.unreadable(error))?;
        let idempotency_key = hex(Sha256::new().chain_update(&named).chain_update(&checksum));
        Ok(Identity {
            checksum,
            idempotency_key,
        })
    }

    /// The file, opened anew; refused when it is another one by now.
    async fn opened(&self) -> Result<File, Failure> {
        let file = File::open(&self.path).await;
        let file = file.map_err(|error| self.unreadable(error))?;
        let metadata = file.metadata().await;
        self.unless_differs(&metadata.map_err(|error| self.unreadable(error))?)?;
        Ok(file)
    }

    /// Refuses the file when it is another one by now.
    async fn unless_changed(&self) -> Result<(), Failure> {
        let metadata = tokio::fs::metadata(&self.path).await;
        self.unless_differs(&metadata.map_err(|error| self.unreadable(error))?)
    }

    fn unless_differs(&self, metadata: &std::fs::Metadata) -> Result<(), Failure> {
        let is_same =
            metadata.len() == self.size_bytes && metadata.modified().ok() == self.modified_at;
        if is_same { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> Failure {
        Failure::Changed {
            path: self.path.clone(),
        }
    }

    fn unreadable(&self, error: io::Error) -> Failure {
        Failure::Unreadable {
            path: self.path.clone(),
            error,
        }
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} {}", plain(&self.path.display().to_string()))
    }

    /// All of the file from its start, with the bar that shows how much of it is sent.
    async fn body(
        &self,
        progress: &mut Progress<'_>,
    ) -> Result<(StreamBody, ProgressBar), Failure> {
        let file = self.opened().await?;
        let bar = progress.bytes(&self.doing("uploading"), self.size_bytes);
        let parts = stream::try_unfold((file, bar.clone()), async |(mut file, bar)| {
            let mut part = BytesMut::with_capacity(PART_BYTES);
            let read_bytes = file.read_buf(&mut part).await?;
            bar.inc(u64::try_from(read_bytes).unwrap_or(0));
            Ok((read_bytes > 0).then(|| (part.freeze(), (file, bar))))
        });
        let body = StreamBody {
            length_bytes: self.size_bytes,
            stream: Box::pin(parts),
        };
        Ok((body, bar))
    }
}

impl Identity {
    /// The key of the place that is asked for when the time of another is over.
    fn key_after(&self, place: Uuid) -> String {
        let own = Sha256::new().chain_update(&self.idempotency_key);
        hex(own.chain_update(place.as_bytes()))
    }
}

/// SHA-256 of a text and of all that is still to be read of a file, in hexadecimal.
async fn fingerprint(
    before: &str,
    mut file: impl AsyncRead + Unpin,
    bar: &ProgressBar,
) -> io::Result<String> {
    let mut hash = Sha256::new_with_prefix(before);
    let mut part = BytesMut::with_capacity(PART_BYTES);
    while file.read_buf(&mut part).await? > 0 {
        hash.update(&part);
        bar.inc(u64::try_from(part.len()).unwrap_or(0));
        part.clear();
    }
    Ok(hex(hash))
}

fn hex(hash: Sha256) -> String {
    let hex = |mut hex: String, byte: u8| {
        append(&mut hex, format_args!("{byte:02x}"));
        hex
    };
    hash.finalize().into_iter().fold(String::new(), hex)
}

/// Sends the file the way that its size asks for.
async fn send(
    session: &Session,
    upload: &Upload,
    identity: &Identity,
    progress: &mut Progress<'_>,
) -> Result<crate::api::File, Failure> {
    if upload.is_large() {
        return place::send(&session.api, &session.clock, upload, identity, progress).await;
    }
    let (body, _) = upload.body(progress).await?;
    let key = &identity.idempotency_key;
    match session.api.submit(&upload.name, key, body).await {
        Ok(file) => Ok(file),
        Err(error) => {
            upload.unless_changed().await?;
            Err(error.into())
        }
    }
}

/// Uploads, then waits when told to.
pub(crate) async fn run(
    arguments: &Submit,
    upload: Upload,
    mut session: Session,
    progress: &mut Progress<'_>,
) -> Result<Report, Failure> {
    let never = Box::pin(std::future::pending());
    let mut interrupt = std::mem::replace(&mut session.interrupt, never);
    let identity = tokio::select! {
        biased;
        () = &mut interrupt => Err(Failure::Interrupted),
        identity = upload.identify(progress) => identity,
    }?;
    let sent = tokio::select! {
        biased;
        () = &mut interrupt => Err(Failure::UploadInterrupted),
        sent = send(&session, &upload, &identity, progress) => sent,
    };
    session.interrupt = interrupt;
    progress.clear();
    let file = sent?;
    let id = file.id;
    let seen = Seen::new(file);
    if arguments.wait {
        let timeout = arguments.timeout.map(Duration::from_secs);
        return Ok(session.watch(seen, timeout, progress).await);
    }
    let mut report = session.report(&seen, None).await;
    if !session.json && !seen.done {
        append(
            &mut report.stdout,
            format_args!("Follow it with: weir status {id} --watch\n"),
        );
    }
    Ok(report)
}
