//! What can be typed after `weir messages`.

use clap::{Args, Subcommand};
use weir_domain::MessageId;

use crate::arguments::{EXIT_CODES, Output};

const SETTINGS: &str = "\
Tables, bucket and queue are reached with AWS credentials of your own, by settings that the functions
have: AWS_REGION, WEIR_TABLE_PREFIX, WEIR_BUCKET, WEIR_MESSAGES_QUEUE_URL and, for the local system,
those of its functions.env:
  set -a; . .weir/functions.env; set +a";

/// Look after the messages that bring reference data
#[derive(Debug, Args)]
#[command(after_help = SETTINGS)]
pub(crate) struct Messages {
    #[command(subcommand)]
    pub(crate) command: MessagesCommand,
}

/// A command about messages with its own arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum MessagesCommand {
    Replay(Replay),
}

/// Put a message on its queue again, once what kept it from being applied has been put right
///
/// The message itself is applied again and marked; no other one is made. One that is older than what is
/// known by now changes nothing.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Replay {
    /// The id that the API shows under /v1/sqsmessages
    pub(crate) id: MessageId,

    #[command(flatten)]
    pub(crate) output: Output,
}
