//! What can be typed after `weir cancel`, `retry`, `drafts` and `errors`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::arguments::{Connection, EXIT_CODES, Output};

/// Withdraw what is not settled of a batch, or some of its details
///
/// From a second after the answer nothing is begun that is cancelled, however many details are still to
/// be turned. What is settled never changes; a call that is on its way to 3Rivers is let end; a detail
/// whose last call may have been taken is in error then, to be looked up, and not cancelled.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Send again what is in error of a batch, or some of its details
///
/// Left are details with a draft, without a request, and those that were given up because nobody knows
/// whether a call of them was taken: look them up at 3Rivers, and name them with --looked-up, or they
/// could be charged twice. What was cancelled stays so, unless --cancelled is given or
/// it is named. A batch that could not be taken at all is taken again from its file.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) target: Target,

    /// Send what was cancelled, instead of what is in error
    #[arg(long, conflicts_with = "details")]
    pub(crate) cancelled: bool,

    /// You have looked up at 3Rivers that no call of the details was taken
    #[arg(long, requires = "details")]
    pub(crate) looked_up: bool,
}

/// Take drafts on, or drop them
#[derive(Debug, Args)]
pub(crate) struct Drafts {
    #[command(subcommand)]
    pub(crate) command: DraftsCommand,
}

/// What is done to drafts.
#[derive(Debug, Subcommand)]
pub(crate) enum DraftsCommand {
    /// Make the drafts of a batch, or of some of its details, the requests, and send them
    #[command(after_help = EXIT_CODES)]
    Confirm(Target),
    /// Drop the drafts of a batch, or of some of its details, which stay as they are
    #[command(after_help = EXIT_CODES)]
    Discard(Target),
}

/// Fetch what is in error of a batch as a table, and send it back mended
#[derive(Debug, Args)]
pub(crate) struct Errors {
    #[command(subcommand)]
    pub(crate) command: ErrorsCommand,
}

/// What is done with the table.
#[derive(Debug, Subcommand)]
pub(crate) enum ErrorsCommand {
    Get(Get),
    Put(Put),
}

/// Fetch the details in error of a batch as CSV: a row a detail, a column a field
///
/// A table that is too large for one answer is fetched in parts and put together.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Get {
    /// The id of the batch
    pub(crate) batch_id: Uuid,

    /// Where to keep the table; nothing is written over [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Print what was fetched as one JSON document, and show no progress
    #[arg(long, requires = "out")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Send a mended table: its changed rows become drafts
///
/// UTF-8, with commas or semicolons; rows and columns that are left out are unchanged. One row with a
/// problem, and nothing of the table is applied; the problems are printed as
/// `FILE:ROW: error at COLUMN: REASON`, with the rows numbered as in a spreadsheet. A table above 4 MiB
/// or 5 000 rows is sent in parts, and each is applied by itself: sent again, what is drafted is
/// unchanged. Nothing is sent to 3Rivers before `weir drafts confirm`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Put {
    /// The id of the batch
    pub(crate) batch_id: Uuid,

    /// The mended table
    pub(crate) file: PathBuf,

    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// What is meant: a batch, or some of its details.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The id of the batch
    pub(crate) batch_id: Uuid,

    /// A detail that is meant, once for each [default: all of the batch that it is for]
    #[arg(long = "detail", value_name = "ID")]
    pub(crate) details: Vec<Uuid>,

    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) output: Output,
}
