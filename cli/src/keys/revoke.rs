//! `weir keys revoke`

use weir_store::{ApiKeyRecord, Store};

use super::arguments::Revoke;
use super::{REMEMBERED_SECONDS, shown};
use crate::failure::{EXIT_WELL, Failure};
use crate::text::plain;
use crate::{Outside, Report};

/// Revokes a key, once a person has said that it is the one.
pub(super) async fn run(
    arguments: &Revoke,
    store: &Store,
    outside: &mut Outside<'_>,
) -> Result<Report, Failure> {
    let record = find(arguments, store).await?;
    let was_revoked = record.revoked_at.is_some();
    if !was_revoked && !arguments.yes {
        confirm(&record, outside)?;
    }
    // Also what was revoked: nothing changes, and whoever asks twice gets the same answer.
    let now = outside.clock.now();
    let revoked = store.revoke_api_key(arguments.id, now).await;
    if !revoked.map_err(Failure::Tables)? {
        return Err(Failure::NoSuchKey { id: arguments.id });
    }
    let stdout = if arguments.output.json {
        let record = find(arguments, store).await?;
        shown::document(&shown::json(&record, now))
    } else if was_revoked {
        format!("The key {} was revoked before.\n", called(&record))
    } else {
        format!(
            "The key {} is revoked. It may go on for up to {REMEMBERED_SECONDS} s, as long as a \
             function remembers it.\n",
            called(&record)
        )
    };
    Ok(Report {
        stdout,
        stderr: String::new(),
        exit_code: EXIT_WELL,
    })
}

async fn find(arguments: &Revoke, store: &Store) -> Result<ApiKeyRecord, Failure> {
    let keys = store.api_keys().await.map_err(Failure::Tables)?;
    let mut records = keys.into_iter().map(|(_, record)| record);
    let found = records.find(|record| record.id == arguments.id);
    found.ok_or(Failure::NoSuchKey { id: arguments.id })
}

fn called(record: &ApiKeyRecord) -> String {
    format!("{} ({})", plain(&record.name), record.id)
}

/// Asks. Anything but a yes is a no.
fn confirm(record: &ApiKeyRecord, outside: &mut Outside<'_>) -> Result<(), Failure> {
    let Some(answers) = &mut outside.answers else {
        return Err(Failure::NobodyToAsk);
    };
    let asked = format!(
        "Revoke the key {}, which may {} in {}? [y/N] ",
        called(record),
        record.permissions.join(" "),
        shown::scope(record)
    );
    let mut answer = String::new();
    let answered = outside
        .stderr
        .write_all(asked.as_bytes())
        .and_then(|()| outside.stderr.flush())
        .and_then(|()| answers.read_line(&mut answer));
    let is_yes = ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
    if answered.is_ok() && is_yes {
        Ok(())
    } else {
        Err(Failure::NotConfirmed)
    }
}
