//! What can be typed after `weir`.
//!
//! Refused here: what is no command, no flag or no value of the right form. That a setting is
//! missing is found later, by the command that needs it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;
use uuid::Uuid;
use weir_runtime::CorrelationId;

use crate::batches::arguments::{Cancel, Drafts, Errors, Retry};
use crate::keys::arguments::Keys;
use crate::messages::arguments::Messages;
use crate::seed;

pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    All is well, or still under way and not asked to wait
  1    The file, a batch, a record or a detail is in error, or a file to be loaded differs from what is kept
  2    Wrong usage, a missing setting, or a file that cannot be read
  3    The API or the tables could not be reached or refused the request
  4    The time given by --timeout ran out
  130  Interrupted, or answered with no";

/// Settlement files: check them, submit them, follow what becomes of them; with keys, messages and reference data
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A command with its own arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Validate(Validate),
    Submit(Submit),
    Status(Status),
    Cancel(Cancel),
    Retry(Retry),
    Errors(Errors),
    Drafts(Drafts),
    Keys(Keys),
    Messages(Messages),
    Seed(seed::Arguments),
}

/// Check a settlement file on this machine, sending nothing
///
/// Prints every problem as `FILE:LINE:COLUMN: error CODE at PATH: REASON`, then what the file holds.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Validate {
    /// The settlement file
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// Upload a settlement file, and wait for its outcome if asked to
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Submit {
    /// The settlement file
    pub(crate) file: PathBuf,

    /// Wait until every detail is settled or in error
    #[arg(long)]
    pub(crate) wait: bool,

    /// With --wait: give up waiting after so many seconds
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,

    /// The name under which the file is stored [default: the name of FILE]
    #[arg(long)]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// Show where a file, its batches and their details stand
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Status {
    /// The id that `weir submit` printed
    pub(crate) file_id: Uuid,

    /// Wait until every detail is settled or in error
    #[arg(long)]
    pub(crate) watch: bool,

    /// With --watch: give up waiting after so many seconds
    #[arg(long, value_name = "SECONDS", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// How the API is reached. Texts as typed: what is wrong with one must not be repeated on a screen,
/// as it may be a secret, so they are read later.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// Where the API is, without `/v1`, such as `http://127.0.0.1:8080`
    #[arg(long, value_name = "URL", env = "WEIR_API", hide_env_values = true)]
    pub(crate) api: Option<SecretString>,

    /// The API key; better given by the variable, as others see the arguments of a command
    #[arg(long, value_name = "KEY", env = "WEIR_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<SecretString>,

    /// What ties the requests to the service's log lines [default: a new id]
    #[arg(long, value_name = "ID")]
    pub(crate) correlation_id: Option<CorrelationId>,
}

/// How results are shown.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print one JSON document and show no progress
    #[arg(long)]
    pub(crate) json: bool,
}
