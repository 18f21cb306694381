//! `weir submit`: uploads a settlement file, and follows it if asked to.
//!
//! The file is read twice, to know it again and to send it, and never whole in memory. What it is
//! known by, its name and its bytes, makes the same upload the same file of the service, so it can be
//! sent again when an answer was lost. It is not checked first: the service reads all of it before it
//! takes anything, and `weir validate` says the same offline.
//!
//! Up to [`REQUEST_BYTES_MAX`] the file goes in a request of the API, above that to a place of its own, and
//! above [`WHOLE_BYTES_MAX`] there in parts, so that what arrived before a connection was lost stays.
//! A file that changes between the two readings is refused.

mod parts;
mod place;

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use futures::stream;
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt};
use uuid::Uuid;
use weir_runtime::StreamBody;
use weir_settlement::upload::{Composite, PART_BYTES, part_count, part_size};

use crate::Report;
use crate::arguments::Submit;
use crate::failure::{FILE_BYTES_MAX, Failure, REQUEST_BYTES_MAX};
use crate::follow::Seen;
use crate::progress::Progress;
use crate::text::{append, plain};
use crate::watch::Session;

/// Most bytes of a file that are sent in one go: on a line of 1 MB a second not two minutes are lost when it
/// is cut. A larger one is sent in parts.
pub const WHOLE_BYTES_MAX: u64 = 100_000_000;
/// How much is read and sent at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// A file that is ready to be sent.
pub(crate) struct Upload {
    path: PathBuf,
    name: String,
    size_bytes: u64,
    /// When it was last written to; nothing where that is not kept.
    modified_at: Option<SystemTime>,
    way: Way,
}

/// How a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In a request of the API.
    Request,
    /// To a place, at once.
    Place,
    /// To a place, in parts.
    Parts,
}

impl Way {
    /// That of a file of so many bytes, where so many are sent at once.
    fn of(size_bytes: u64, whole_bytes_max: u64) -> Self {
        if size_bytes <= REQUEST_BYTES_MAX {
            Self::Request
        } else if size_bytes <= whole_bytes_max {
            Self::Place
        } else {
            Self::Parts
        }
    }
}

/// What a file is known by.
struct Identity {
    /// SHA-256 of its bytes, in hexadecimal, or of its parts, as S3 writes that; of one that goes to a place.
    checksum: String,
    /// SHA-256s of its parts, in hexadecimal; of one that goes in parts.
    parts: Vec<String>,
    idempotency_key: String,
}

impl Upload {
    /// Looks at the file. Refused: what cannot be read, is no regular file, has no name, or is
    /// larger than the service takes. What has more than `whole_bytes_max` goes in parts.
    pub(crate) async fn open(
        path: &Path,
        name: Option<&str>,
        whole_bytes_max: u64,
    ) -> Result<Self, Failure> {
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
            way: Way::of(metadata.len(), whole_bytes_max),
        })
    }

    /// Reads all of the file to know it again.
    async fn identify(&self, progress: &mut Progress<'_>) -> Result<Identity, Failure> {
        let bar = progress.bytes(&self.doing("reading"), self.size_bytes);
        let whole = self.opened().await?.take(self.size_bytes);
        // A name has no NUL, so nothing else begins with the same bytes.
        let named = format!("{}\0", self.name);
        if self.way == Way::Request {
            let key = fingerprint(&named, whole, &bar).await;
            return Ok(Identity {
                checksum: String::new(),
                parts: Vec::new(),
                idempotency_key: hex(key.map_err(|error| self.unreadable(error))?),
            });
        }
        let (checksum, parts) = if self.way == Way::Place {
            let checksum = fingerprint("", whole, &bar).await;
            let checksum = checksum.map_err(|error| self.unreadable(error))?;
            (hex(checksum), Vec::new())
        } else {
            let parts = self.fingerprints(whole, &bar).await;
            let parts = parts.map_err(|error| self.unreadable(error))?;
            let composite = Composite::of(parts.iter().copied());
            (composite.to_string(), parts.into_iter().map(hex).collect())
        };
        let idempotency_key = Sha256::new().chain_update(&named).chain_update(&checksum);
        Ok(Identity {
            checksum,
            parts,
            idempotency_key: hex(idempotency_key.finalize().into()),
        })
    }

    /// SHA-256s of the parts, in order.
    async fn fingerprints(
        &self,
        mut whole: impl AsyncRead + Unpin,
        bar: &ProgressBar,
    ) -> io::Result<Vec<[u8; 32]>> {
        let mut parts = Vec::new();
        for _ in 0..part_count(self.size_bytes) {
            let part = (&mut whole).take(PART_BYTES);
            parts.push(fingerprint("", part, bar).await?);
        }
        Ok(parts)
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
        let bar = self.bar(progress);
        let moved = bar.clone();
        let body = streamed(file, self.size_bytes, move |bytes| moved.inc(bytes));
        Ok((body, bar))
    }

    /// The bar that shows how much is sent.
    fn bar(&self, progress: &mut Progress<'_>) -> ProgressBar {
        progress.bytes(&self.doing("uploading"), self.size_bytes)
    }

    /// A part of the file, and how much of it is sent, which the bar shows too.
    async fn part(
        &self,
        number: u32,
        bar: &ProgressBar,
    ) -> Result<(StreamBody, Arc<AtomicU64>), Failure> {
        let mut file = self.opened().await?;
        let before = u64::from(number.saturating_sub(1)).saturating_mul(PART_BYTES);
        let there = file.seek(SeekFrom::Start(before)).await;
        there.map_err(|error| self.unreadable(error))?;
        let size_bytes = part_size(self.size_bytes, number);
        let sent = Arc::new(AtomicU64::new(0));
        let (counted, bar) = (Arc::clone(&sent), bar.clone());
        let body = streamed(file.take(size_bytes), size_bytes, move |bytes| {
            counted.fetch_add(bytes, Ordering::Relaxed);
            bar.inc(bytes);
        });
        Ok((body, sent))
    }
}

/// So many bytes on their way, with somebody who hears how many have left.
fn streamed(
    source: impl AsyncRead + Send + Unpin + 'static,
    length_bytes: u64,
    on_read: impl Fn(u64) + Send + 'static,
) -> StreamBody {
    let pieces = stream::try_unfold((source, on_read), async |(mut source, on_read)| {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        let read_bytes = source.read_buf(&mut piece).await?;
        on_read(u64::try_from(read_bytes).unwrap_or(0));
        Ok((read_bytes > 0).then(|| (piece.freeze(), (source, on_read))))
    });
    StreamBody {
        length_bytes,
        stream: Box::pin(pieces),
    }
}

impl Identity {
    /// The key of the place that is asked for when the time of another is over.
    fn key_after(&self, place: Uuid) -> String {
        let own = Sha256::new().chain_update(&self.idempotency_key);
        hex(own.chain_update(place.as_bytes()).finalize().into())
    }
}

/// SHA-256 of a text and of all that is still to be read of a file.
async fn fingerprint(
    before: &str,
    mut file: impl AsyncRead + Unpin,
    bar: &ProgressBar,
) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new_with_prefix(before);
    let mut part = BytesMut::with_capacity(PIECE_BYTES);
    while file.read_buf(&mut part).await? > 0 {
        hash.update(&part);
        bar.inc(u64::try_from(part.len()).unwrap_or(0));
        part.clear();
    }
    Ok(hash.finalize().into())
}

fn hex(hash: [u8; 32]) -> String {
    let hex = |mut hex: String, byte: u8| {
        append(&mut hex, format_args!("{byte:02x}"));
        hex
    };
    hash.into_iter().fold(String::new(), hex)
}

/// Sends the file the way that its size asks for.
async fn send(
    session: &Session,
    upload: &Upload,
    identity: &Identity,
    progress: &mut Progress<'_>,
) -> Result<crate::api::File, Failure> {
    let (api, clock) = (&session.api, &session.clock);
    match upload.way {
        Way::Request => {}
        Way::Place => return place::send(api, clock, upload, identity, progress).await,
        Way::Parts => return parts::send(api, clock, upload, identity, progress).await,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_4_mib_a_file_has_a_place_and_above_100_mb_it_goes_there_in_parts() {
        for (size, way) in [
            (0, Way::Request),
            (REQUEST_BYTES_MAX - 1, Way::Request),
            (REQUEST_BYTES_MAX, Way::Request),
            (REQUEST_BYTES_MAX + 1, Way::Place),
            (99_999_999, Way::Place),
            (100_000_000, Way::Place),
            (100_000_001, Way::Parts),
            (FILE_BYTES_MAX, Way::Parts),
        ] {
            assert_eq!(Way::of(size, WHOLE_BYTES_MAX), way, "{size}");
        }
    }
}
