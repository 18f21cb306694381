//! Why a command came to no result, said so that a person knows what to do next.
//!
//! Invariant: no sentence here holds the API key, a query or a body that was sent.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;
use weir_runtime::{ConfigError, HttpError};
use weir_settlement::messages::ReplayError;
use weir_store::StoreError;

use crate::api::ApiError;
use crate::text::{Paint, append, counted, grouped, plain};

/// Everything is well, or still under way.
pub(crate) const EXIT_WELL: u8 = 0;
/// The file, a batch, a record or a detail is in error, or nobody can say whether one is.
pub(crate) const EXIT_IN_ERROR: u8 = 1;
/// Wrong usage, a missing setting, a file that cannot be read, output that cannot be written.
pub(crate) const EXIT_USAGE: u8 = 2;
/// The API or the tables could not be reached or refused.
pub(crate) const EXIT_API: u8 = 3;
/// The time to wait ran out.
pub(crate) const EXIT_TIMED_OUT: u8 = 4;
/// Ctrl-C, or a no to what was asked: 128 and the number of the signal, as shells have it.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// Most bytes of a file that the API takes as a body, as the API has it: what surely fits a Lambda's
/// payload. A larger one is sent to a place of its own.
pub(crate) const REQUEST_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most bytes of a file: what S3 takes at once.
pub(crate) const FILE_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// Most ids that are shown in one sentence.
const IDS_SHOWN_MAX: usize = 10;

/// What a person does with a file that is too large for a request that it was sent in.
pub(crate) const TOO_LARGE_REMEDY: &str = "put the file into the S3 bucket of the uploads instead, \
    under `<client id>/<program id>/<name>` or, for a key of one seller, \
    `<client id>/<program id>/sellers/<seller id>/<name>`; or split it into smaller files";

/// What a person does when it is not known whether an upload arrived.
pub(crate) const SUBMIT_AGAIN: &str = "the file may have been received all the same; submit the \
    same file under the same name again: it is then the same upload, and nothing settles twice";

/// What a person does when it is not known whether a change was made.
pub(crate) const ASK_AGAIN: &str = "it may have been done all the same; give the same command again: \
    what is done already is not done twice";

/// Why a command came to no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A required setting is not there.
    #[error("no {what} is given")]
    SettingMissing {
        what: &'static str,
        variable: &'static str,
        flag: &'static str,
    },
    /// A setting is there but cannot be used; its value is not repeated.
    #[error("{flag} (or {variable}) {reason}")]
    SettingInvalid {
        variable: &'static str,
        flag: &'static str,
        reason: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {error}", plain(&path.display().to_string()))]
    Unreadable { path: PathBuf, error: io::Error },
    /// What is to be read is a pipe, a device or the like.
    #[error("cannot read {}: it is not a regular file", plain(&path.display().to_string()))]
    NotRegular { path: PathBuf },
    /// The name of the file does not say how it is written.
    #[error("cannot tell how {} is written", plain(&.0.display().to_string()))]
    SeedFormat(PathBuf),
    /// The file has no name that could be sent.
    #[error("the file needs a name of at least one character, in UTF-8")]
    NameInvalid,
    /// The file is larger than the API takes.
    #[error("the file has {}; at most {} (5 GiB) can be uploaded", counted(*size_bytes, "byte", "bytes"), grouped(FILE_BYTES_MAX))]
    TooLarge { size_bytes: u64 },
    /// The file is not what it was when it was read first.
    #[error("{} changed while it was being uploaded", plain(&path.display().to_string()))]
    Changed { path: PathBuf },
    /// The bytes did not reach their place, or nobody knows.
    #[error("the file could not be sent to its place: {}", plain(reason))]
    PlaceUnanswered { reason: String },
    /// The place does not take the bytes.
    #[error("the place of the file does not take it: {}", plain(reason))]
    PlaceRefused { reason: String },
    /// The time of every place was over before the bytes were there.
    #[error("the file did not reach its place in the time that it is kept for")]
    PlaceOver,
    /// No client for outgoing HTTP could be made.
    #[error("no connection can be made from here: {0}")]
    NoClient(HttpError),
    /// The API could not be reached, refused, or answered something else than it should.
    #[error("{0}")]
    Api(Box<ApiError>),
    /// The file is Processed, but what became of it cannot be seen.
    #[error("the file is processed, but no batch of it can be seen with this key")]
    NothingVisible,
    /// The time to wait ran out.
    #[error("not done within {} s", limit.as_secs())]
    TimedOut { limit: Duration },
    /// Settings of the tables are missing or wrong; none of their values is in it.
    #[error("{0}")]
    Settings(ConfigError),
    /// The tables could not be reached or refused.
    #[error("{0}")]
    Tables(StoreError),
    /// A key cannot be limited to what does not exist or does not belong together.
    #[error("{0}")]
    KeyScope(String),
    /// There is no key with that id.
    #[error("there is no key {id}")]
    NoSuchKey { id: Uuid },
    /// A message that there is not, or that belongs to another queue.
    #[error("{0}")]
    NotReplayed(ReplayError),
    /// Nobody can be asked, and nobody said that it need not be.
    #[error("nobody can be asked whether it is the right key: standard input is no terminal")]
    NobodyToAsk,
    /// A person said no.
    #[error("nothing was revoked")]
    NotConfirmed,
    /// Nobody can be asked whether what is shown is meant, and nobody said that it is.
    #[error("nobody can be asked whether that is meant: standard input is no terminal")]
    Unasked,
    /// A person said no to it.
    #[error("nothing was changed")]
    Declined,
    /// Some of the named details are not of the batch.
    #[error("{} of the details are not in the batch; nothing was changed", .0.len())]
    NotInBatch(Vec<Uuid>),
    /// What is sent back is no table of errors.
    #[error("{}: {reason}", plain(&path.display().to_string()))]
    NoTable { path: PathBuf, reason: String },
    /// What would be written over.
    #[error("{} is there already", plain(&.0.display().to_string()))]
    Exists(PathBuf),
    /// The table cannot be kept.
    #[error("cannot write {}: {error}", plain(&path.display().to_string()))]
    Unwritable { path: PathBuf, error: io::Error },
    /// Ctrl-C while a change was asked for.
    #[error("interrupted before the answer came")]
    ChangeInterrupted,
    /// Ctrl-C while the file was on its way.
    #[error("interrupted before the upload was confirmed")]
    UploadInterrupted,
    /// Ctrl-C while waiting.
    #[error("interrupted")]
    Interrupted,
    /// Standard output takes nothing more.
    #[error("cannot write the result: {0}")]
    Output(io::Error),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(Box::new(error))
    }
}

impl Failure {
    /// Refuses what is no regular file: a folder cannot be read, and a pipe or device not read twice.
    pub(crate) fn unless_regular(path: &Path, metadata: &Metadata) -> Result<(), Self> {
        let path = path.to_owned();
        if metadata.is_dir() {
            let error = io::ErrorKind::IsADirectory.into();
            Err(Self::Unreadable { path, error })
        } else if metadata.is_file() {
            Ok(())
        } else {
            Err(Self::NotRegular { path })
        }
    }

    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::SettingMissing { .. }
            | Self::SettingInvalid { .. }
            | Self::Unreadable { .. }
            | Self::NotRegular { .. }
            | Self::SeedFormat(_)
            | Self::NameInvalid
            | Self::TooLarge { .. }
            | Self::Changed { .. }
            | Self::Settings(_)
            | Self::KeyScope(_)
            | Self::NobodyToAsk
            | Self::Unasked
            | Self::Exists(_)
            | Self::Unwritable { .. }
            | Self::Output(_) => EXIT_USAGE,
            Self::NothingVisible | Self::NoTable { .. } => EXIT_IN_ERROR,
            Self::NoClient(_)
            | Self::Api(_)
            | Self::PlaceUnanswered { .. }
            | Self::PlaceRefused { .. }
            | Self::PlaceOver
            | Self::Tables(_)
            | Self::NoSuchKey { .. }
            | Self::NotInBatch(_)
            | Self::NotReplayed(_) => EXIT_API,
            Self::TimedOut { .. } => EXIT_TIMED_OUT,
            Self::UploadInterrupted
            | Self::ChangeInterrupted
            | Self::Interrupted
            | Self::NotConfirmed
            | Self::Declined => EXIT_INTERRUPTED,
        }
    }

    /// What to do about it, when that is not plain from the sentence itself.
    fn help(&self) -> Option<String> {
        match self {
            Self::SettingMissing { variable, flag, .. } => {
                Some(format!("set {variable} or give {flag}"))
            }
            Self::NameInvalid => Some("give one with --name".to_owned()),
            Self::SeedFormat(_) => Some(
                "name it .yaml or .yml if it is YAML, .json if it is JSON".to_owned(),
            ),
            Self::NotRegular { .. } => Some("save what it gives as a file first".to_owned()),
            Self::NothingVisible => Some(
                "ask with a key that may see its batches: one of the program, or of the seller \
                 whose batches they are"
                    .to_owned(),
            ),
            Self::TooLarge { .. } => Some("split it into smaller files".to_owned()),
            Self::Changed { .. } => Some(
                "submit it again once nobody writes to it any more"
                    .to_owned(),
            ),
            Self::PlaceRefused { .. } => Some(
                "nothing of it was taken; if it stays, tell the operator of the service, or put \
                 the file into the bucket of the uploads"
                    .to_owned(),
            ),
            Self::Api(error) => error.help(),
            Self::UploadInterrupted | Self::PlaceUnanswered { .. } | Self::PlaceOver => {
                Some(SUBMIT_AGAIN.to_owned())
            }
            Self::Settings(_) => Some(
                "set them as the functions have them; a local system's are in functions.env of its \
                 data folder: set -a; . .weir/functions.env; set +a"
                    .to_owned(),
            ),
            Self::Tables(_) => Some(
                "see that AWS_REGION, WEIR_TABLE_PREFIX and your AWS credentials are of the right \
                 deployment, and that they let you read and write its tables"
                    .to_owned(),
            ),
            Self::NoSuchKey { .. } => Some("list them with: weir keys list".to_owned()),
            Self::NotReplayed(_) => {
                Some("find it under /v1/sqsmessages of the API".to_owned())
            }
            Self::NobodyToAsk | Self::Unasked => Some("see that it is, and give --yes".to_owned()),
            Self::Exists(_) => Some("give another name: it may hold what somebody mended".to_owned()),
            Self::ChangeInterrupted => Some(ASK_AGAIN.to_owned()),
            Self::NotInBatch(ids) => {
                let shown = ids.iter().take(IDS_SHOWN_MAX).map(Uuid::to_string);
                let shown = shown.collect::<Vec<_>>().join(", ");
                let more = if ids.len() > IDS_SHOWN_MAX { ", …" } else { "" };
                Some(format!("check the ids: {shown}{more}"))
            }
            Self::KeyScope(_)
            | Self::NotConfirmed
            | Self::Declined
            | Self::NoTable { .. }
            | Self::Unwritable { .. }
            | Self::SettingInvalid { .. }
            | Self::Unreadable { .. }
            | Self::NoClient(_)
            | Self::TimedOut { .. }
            | Self::Interrupted
            | Self::Output(_) => None,
        }
    }

    /// The lines for standard error, each ended.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let mut lines = format!("{} {self}\n", paint.bad("error:"));
        if let Self::Api(error) = self {
            for detail in error.details() {
                append(&mut lines, format_args!("  - {detail}\n"));
            }
        }
        if let Some(help) = self.help() {
            append(&mut lines, format_args!("{} {help}\n", paint.note("help:")));
        }
        if let Self::Api(error) = self {
            append(
                &mut lines,
                format_args!("correlation id: {}\n", error.correlation()),
            );
        }
        lines
    }
}

/// How to go on following a file that is still under way; the line is ended.
pub(crate) fn go_on_hint(file: Uuid, paint: Paint) -> String {
    let help = paint.note("help:");
    format!("{help} the file is still worked on; follow it with: weir status {file} --watch\n")
}
