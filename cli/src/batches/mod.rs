//! `weir cancel`, `weir retry`, `weir drafts` and `weir errors`: what people do to batches.
//!
//! Invariants: what would change is shown first, and nothing is asked of the service unless a person
//! said yes, or gave `--yes`; every request that changes something has an `Idempotency-Key` of its
//! own, made once, so that asking again because an answer was lost does nothing twice; ceasing to watch
//! ends nothing.

mod act;
pub(crate) mod arguments;
mod get;
mod put;
mod table;
mod words;

use std::time::Duration;

use uuid::Uuid;
use weir_domain::BatchAction;

use crate::failure::Failure;
use crate::text::{Paint, append};
use crate::{Outside, Report};
use arguments::{Cancel, Drafts, DraftsCommand, Errors, ErrorsCommand, Retry};

/// How long a change is asked for again under its key: a request whose answer was lost may be at work for
/// longer than the half minute that its connection is kept.
const PATIENCE: Duration = Duration::from_mins(2);

/// `weir cancel`
pub(crate) async fn cancel(
    arguments: &Cancel,
    outside: &mut Outside<'_>,
) -> Result<Report, Failure> {
    act::run(&arguments.target, BatchAction::Cancel, false, outside).await
}

/// `weir retry`
pub(crate) async fn retry(arguments: &Retry, outside: &mut Outside<'_>) -> Result<Report, Failure> {
    let action = if arguments.cancelled {
        BatchAction::Revive
    } else {
        BatchAction::Retry
    };
    act::run(&arguments.target, action, arguments.looked_up, outside).await
}

/// `weir drafts`
pub(crate) async fn drafts(
    arguments: &Drafts,
    outside: &mut Outside<'_>,
) -> Result<Report, Failure> {
    match &arguments.command {
        DraftsCommand::Confirm(target) => {
            act::run(target, BatchAction::ConfirmDrafts, false, outside).await
        }
        DraftsCommand::Discard(target) => {
            act::run(target, BatchAction::CancelDrafts, false, outside).await
        }
    }
}

/// `weir errors`
pub(crate) async fn errors(
    arguments: &Errors,
    outside: &mut Outside<'_>,
) -> Result<Report, Failure> {
    match &arguments.command {
        ErrorsCommand::Get(arguments) => get::run(arguments, outside).await,
        ErrorsCommand::Put(arguments) => put::run(arguments, outside).await,
    }
}

/// Shows what would change and asks whether it is meant. Anything but a yes is a no.
fn confirm(
    preview: &str,
    question: &str,
    (is_json, is_meant): (bool, bool),
    outside: &mut Outside<'_>,
) -> Result<(), Failure> {
    if !is_json || !is_meant {
        // Who cannot read it cannot say yes to it either.
        let _ = outside.stderr.write_all(preview.as_bytes());
    }
    if is_meant {
        return Ok(());
    }
    let Some(answers) = &mut outside.answers else {
        return Err(Failure::Unasked);
    };
    let mut answer = String::new();
    let answered = outside
        .stderr
        .write_all(format!("{question} [y/N] ").as_bytes())
        .and_then(|()| outside.stderr.flush())
        .and_then(|()| answers.read_line(&mut answer));
    let is_yes = ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
    if answered.is_ok() && is_yes {
        Ok(())
    } else {
        Err(Failure::Declined)
    }
}

/// A key for one request and its repetitions.
fn new_key(outside: &Outside<'_>) -> String {
    let key: Uuid = outside.random.uuid_v7(outside.clock.now());
    key.to_string()
}

/// The failure as it is shown, and what a person is to know besides.
fn rendered(failure: &Failure, note: &str, paint: Paint) -> String {
    let mut shown = failure.render(paint);
    append(&mut shown, format_args!("{} {note}\n", paint.note("help:")));
    shown
}
