//! `weir submit`: uploads a settlement file, and follows it if asked to.
//!
//! The file is read twice, to know it again and to send it, and never whole in memory. What it is
//! known by, its name and its bytes, makes the same upload the same file of the service, so it can be
//! sent again when an answer was lost. It is not checked first: the service reads all of it before it
//! takes anything, and `weir validate` says the same offline.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use futures::stream;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt};
use weir_runtime::StreamBody;

use crate::Report;
use crate::arguments::Submit;
use crate::failure::{Failure, UPLOAD_BYTES_MAX};
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
    idempotency_key: String,
    file: tokio::fs::File,
    size_bytes: u64,
}

impl Upload {
    /// Opens the file. Refused: what cannot be read, is no regular file, has no name, or is
    /// larger than the API takes.
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
        let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let metadata = file.metadata().await.map_err(unreadable)?;
        if metadata.len() > UPLOAD_BYTES_MAX {
            return Err(Failure::TooLarge {
                size_bytes: metadata.len(),
            });
        }
        let whole = (&mut file).take(metadata.len());
        let idempotency_key = fingerprint(name, whole).await.map_err(unreadable)?;
        file.rewind().await.map_err(unreadable)?;
        Ok(Self {
            path: path.to_owned(),
            name: name.to_owned(),
            idempotency_key,
            file,
            size_bytes: metadata.len(),
        })
    }

    fn body(self, progress: &mut Progress<'_>) -> StreamBody {
        let what = format!("uploading {}", plain(&self.path.display().to_string()));
        let bar = progress.bytes(&what, self.size_bytes);
        let parts = stream::try_unfold((self.file, bar), async |(mut file, bar)| {
            let mut part = BytesMut::with_capacity(PART_BYTES);
            let read_bytes = file.read_buf(&mut part).await?;
            bar.inc(u64::try_from(read_bytes).unwrap_or(0));
            Ok((read_bytes > 0).then(|| (part.freeze(), (file, bar))))
        });
        StreamBody {
            length_bytes: self.size_bytes,
            stream: Box::pin(parts),
        }
    }
}

/// SHA-256 of a name and of all that is still to be read of a file, in hexadecimal: the same for the
/// same upload, whenever it is made.
async fn fingerprint(name: &str, mut file: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut hash = Sha256::new();
    // A name has no NUL, so nothing else begins with the same bytes.
    hash.update(name.as_bytes());
    hash.update([0]);
    let mut part = BytesMut::with_capacity(PART_BYTES);
    while file.read_buf(&mut part).await? > 0 {
        hash.update(&part);
        part.clear();
    }
    let hex = |mut hex: String, byte: u8| {
        append(&mut hex, format_args!("{byte:02x}"));
        hex
    };
    Ok(hash.finalize().into_iter().fold(String::new(), hex))
}

/// Uploads, then waits when told to.
pub(crate) async fn run(
    arguments: &Submit,
    upload: Upload,
    mut session: Session,
    progress: &mut Progress<'_>,
) -> Result<Report, Failure> {
    let (name, idempotency_key) = (upload.name.clone(), upload.idempotency_key.clone());
    let body = upload.body(progress);
    let sent = tokio::select! {
        biased;
        () = &mut session.interrupt => Err(Failure::UploadInterrupted),
        sent = session.api.submit(&name, &idempotency_key, body) => sent.map_err(Failure::from),
    };
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
