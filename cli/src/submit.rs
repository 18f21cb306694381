//! `weir submit`: uploads a settlement file, and follows it if asked to.
//!
//! The file is sent as it is read and never whole in memory. It is not checked first: the service
//! reads all of it before it takes anything, and `weir validate` says the same offline.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::stream;
use tokio::io::AsyncReadExt;
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
    file: tokio::fs::File,
    size_bytes: u64,
}

impl Upload {
    /// Opens the file. Refused: what cannot be read, has no name, or is larger than the API takes.
    pub(crate) async fn open(path: &Path, name: Option<&str>) -> Result<Self, Failure> {
        let unreadable = |error| Failure::Unreadable {
            path: path.to_owned(),
            error,
        };
        let own_name = path.file_name().and_then(|name| name.to_str());
        let name = name.or(own_name).filter(|name| !name.is_empty());
        let name = name.ok_or(Failure::NameInvalid)?;
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let metadata = file.metadata().await.map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
        }
        if metadata.len() > UPLOAD_BYTES_MAX {
            return Err(Failure::TooLarge {
                size_bytes: metadata.len(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            name: name.to_owned(),
            file,
            size_bytes: metadata.len(),
        })
    }

    fn body(self, progress: &mut Progress<'_>) -> StreamBody {
        let what = format!("uploading {}", plain(&self.path.display().to_string()));
        let bar = progress.bytes(&what, self.size_bytes);
        let parts = stream::try_unfold((self.file, bar), async |(mut file, bar)| {
            let mut part = bytes::BytesMut::with_capacity(PART_BYTES);
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

/// Uploads, then waits when told to.
pub(crate) async fn run(
    arguments: &Submit,
    upload: Upload,
    mut session: Session,
    progress: &mut Progress<'_>,
) -> Result<Report, Failure> {
    let name = upload.name.clone();
    let body = upload.body(progress);
    let sent = tokio::select! {
        biased;
        () = &mut session.interrupt => Err(Failure::UploadInterrupted),
        sent = session.api.submit(&name, body) => sent.map_err(Failure::from),
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
