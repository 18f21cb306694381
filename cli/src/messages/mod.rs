//! `weir messages`: puts messages that failed on their queue again.
//!
//! There is no operation of the API for it: whoever may read the tables and write the queue by their own
//! AWS credentials does it. Nothing but the queue is written here; what becomes of the message is the
//! function's doing, and is seen in the API.

pub(crate) mod arguments;

use serde_json::json;
use weir_runtime::{AwsClients, AwsOptions};
use weir_settlement::messages::{ReplayError, replay};
use weir_store::{Message, Names, Store};

use crate::failure::{EXIT_WELL, Failure};
use crate::{Outside, Report};
use arguments::{Messages, MessagesCommand, Replay};

/// Runs one of the commands.
pub(crate) async fn run(messages: &Messages, outside: &Outside<'_>) -> Result<Report, Failure> {
    match &messages.command {
        MessagesCommand::Replay(arguments) => run_replay(arguments, outside).await,
    }
}

async fn run_replay(arguments: &Replay, outside: &Outside<'_>) -> Result<Report, Failure> {
    let mut settings = (outside.settings)();
    let aws = AwsOptions::read(&mut settings);
    let names = Names::read_tables_and_bucket(&mut settings);
    let queue_url = settings.text("WEIR_MESSAGES_QUEUE_URL");
    settings.finish().map_err(Failure::Settings)?;
    let clients = AwsClients::with_found_credentials(&aws).await;
    let (clock, random) = (outside.clock.clone(), outside.random.clone());
    let store = Store::new(clients, names, clock, random);
    let message = replay(&store, &queue_url, arguments.id)
        .await
        .map_err(|error| match error {
            ReplayError::Store(error) => Failure::Tables(error),
            refused => Failure::NotReplayed(refused),
        })?;
    Ok(report(arguments, &message))
}

fn report(arguments: &Replay, message: &Message) -> Report {
    let stdout = if arguments.output.json {
        let shown = json!({
            "id": message.id.to_string(),
            "correlation_id": message.correlation_id,
            "status": message.status.name(),
        });
        format!("{shown:#}\n")
    } else {
        format!(
            "The message {} is on its queue again; it was {}.\n",
            message.id, message.status
        )
    };
    Report {
        stdout,
        stderr: String::new(),
        exit_code: EXIT_WELL,
    }
}
