//! `weir keys`: makes, lists and revokes API keys.
//!
//! There is no operation of the API for it: whoever may write the table of keys by their own AWS
//! credentials looks after them. Invariants: a key is printed once, when it is made, and only its
//! SHA-256 is kept; a key is never limited to what does not exist, nor to a program of another client
//! or a seller of another program, so that a slip of the pen does not make a key that sees nothing;
//! nothing is revoked unless a person said yes.

pub(crate) mod arguments;
mod create;
mod revoke;
pub(crate) mod shown;

use weir_runtime::{AwsClients, AwsOptions, Clock, Random, Reader};
use weir_store::{Names, Store};

use crate::failure::{EXIT_WELL, Failure};
use crate::text::Paint;
use crate::{Outside, Report};
use arguments::{Keys, KeysCommand, List};

/// Until when a key may go on that was revoked: so long a function remembers it.
const REMEMBERED_SECONDS: u64 = 60;

/// Runs one of the commands.
pub(crate) async fn run(keys: &Keys, outside: &mut Outside<'_>) -> Result<Report, Failure> {
    let settings = (outside.settings)();
    let store = open(settings, &outside.clock, &outside.random).await?;
    match &keys.command {
        KeysCommand::Create(arguments) => create::run(arguments, &store, outside).await,
        KeysCommand::List(arguments) => list(arguments, &store, outside).await,
        KeysCommand::Revoke(arguments) => revoke::run(arguments, &store, outside).await,
    }
}

/// The tables, by the settings that the functions have. Nothing is sent yet.
pub(crate) async fn open(
    mut settings: Reader,
    clock: &Clock,
    random: &Random,
) -> Result<Store, Failure> {
    let aws = AwsOptions::read(&mut settings);
    let names = Names::read_tables(&mut settings);
    settings.finish().map_err(Failure::Settings)?;
    let clients = AwsClients::with_found_credentials(&aws).await;
    Ok(Store::new(clients, names, clock.clone(), random.clone()))
}

async fn list(arguments: &List, store: &Store, outside: &Outside<'_>) -> Result<Report, Failure> {
    let keys = store.api_keys().await.map_err(Failure::Tables)?;
    let mut keys: Vec<_> = keys.into_iter().map(|(_, record)| record).collect();
    keys.sort_by_key(|record| (record.created_at, record.id));
    let now = outside.clock.now();
    let stdout = if arguments.output.json {
        let keys: Vec<_> = keys.iter().map(|record| shown::json(record, now)).collect();
        shown::document(&keys.into())
    } else {
        shown::table(&keys, now, Paint(outside.stdout_colours))
    };
    Ok(Report {
        stdout,
        stderr: String::new(),
        exit_code: EXIT_WELL,
    })
}
