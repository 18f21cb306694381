//! What an action does to one detail, from its state alone.
//!
//! Statuses follow the table of [`DetailStatus::after`]; what a status does not know is decided here:
//!
//! - A call that is under way is left to end.
//! - A call whose outcome is not known may have been taken. Such a detail is neither shown as
//!   Cancelled nor sent under another key by an action on the whole batch: a person who has looked it
//!   up at 3Rivers names it.
//! - A retry keeps the note of such a call, so that it is repeated under its key for as long as that
//!   is valid. One that was given up as `bcs.outcome_unknown` is sent again only by somebody who says
//!   that they have looked it up: the note is forgotten then, and 3Rivers may have forgotten the key.
//! - An action on the whole batch sends nothing that was cancelled, drafts or not, unless that is what
//!   it is for.

use chrono::{DateTime, Utc};
use weir_domain::{BatchAction, DetailEvent, DetailStatus, EVENT_NUMBER_MAX, ErrorCode};
use weir_store::Detail;

/// Events that are kept free for what the processor has to say.
const EVENTS_KEPT: u32 = 2;

/// How many details are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Some that a person named.
    Named,
    /// Some that a person named who has looked up at 3Rivers what became of their calls.
    LookedUp,
    /// Whatever of the batch the action is for.
    Whole,
}

/// What an action does to a detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It becomes this; the bookkeeping is still to be done.
    Becomes(Box<Detail>, DetailEvent),
    /// Nothing now: a call is under way until then, at the latest.
    OnItsWay(DateTime<Utc>),
    /// Nothing.
    Refused(Refusal),
}

/// Why an action does nothing to a detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Settled details never change.
    #[error("it is settled: a settled detail never changes")]
    Settled,
    /// It is withdrawn already.
    #[error("it is cancelled already")]
    AlreadyCancelled,
    /// It is to be sent already.
    #[error("it is {0}: it is to be sent already")]
    AlreadyOpen(DetailStatus),
    /// An action on whole batches that is for details of other statuses.
    #[error("it is {0}, which this is not for")]
    OtherStatus(DetailStatus),
    /// A call is under way.
    #[error("it is on its way to 3Rivers: see what comes of it")]
    OnItsWay,
    /// An open detail with a call whose outcome is not known.
    #[error("a call of it may have been taken and is being asked for again: see what comes of it")]
    CallUnknown,
    /// A detail in Error or Cancelled with a call whose outcome is not known.
    #[error(
        "a call of it may have been taken: retry it, or look it up at 3Rivers and cancel it by its id"
    )]
    MayHaveBeenTaken,
    /// It was given up because the outcome of its call is not known.
    #[error(
        "nobody knows whether a call of it was taken, and it could be charged twice: look it up at \
         3Rivers, and retry it with looked_up"
    )]
    OutcomeUnknown,
    /// There is no request.
    #[error("its record states no request that could be sent: mend it through the errors CSV")]
    NothingToSend,
    /// A draft waits.
    #[error("it has a draft: confirm that, or cancel it, first")]
    HasDraft,
    /// No draft waits.
    #[error("it has no draft")]
    NoDraft,
    /// A draft that cannot be read back.
    #[error("its draft cannot be read: cancel the draft, and write another")]
    DraftUnreadable,
    /// Its item cannot be read.
    #[error("what is kept of it cannot be read: nothing can be done to it")]
    Unreadable,
    /// There is no number left for another event or payload.
    #[error("it has gone through more changes than can be recorded: send it in a new file")]
    TooManyChanges,
}

/// What an action does to a detail. `reach` tells whether a person named it. Confirming a draft
/// leaves what the draft's record states to the code that confirms drafts.
pub fn step(action: BatchAction, detail: &Detail, reach: Reach, now: DateTime<Utc>) -> Step {
    // A cancel is the last thing that needs to be said of a detail: an open one is never so far gone
    // that it would have to be sent instead.
    let kept = match action {
        BatchAction::Cancel => 0,
        _ => EVENTS_KEPT,
    };
    if detail.events.saturating_add(kept) >= EVENT_NUMBER_MAX
        && detail.status != DetailStatus::Processed
    {
        return Step::Refused(Refusal::TooManyChanges);
    }
    let becomes = match action {
        BatchAction::Cancel => return cancel(detail, reach, now),
        BatchAction::Retry => retry(detail, reach, DetailStatus::Error),
        BatchAction::Revive => retry(detail, reach, DetailStatus::Cancelled),
        BatchAction::ConfirmDrafts => confirm(detail, reach),
        BatchAction::CancelDrafts => cancel_draft(detail),
        // It is for batches that have no details.
        BatchAction::Retake => Err(Refusal::OtherStatus(detail.status)),
    };
    match becomes {
        Ok((detail, event)) => Step::Becomes(Box::new(detail), event),
        Err(refusal) => Step::Refused(refusal),
    }
}

/// A detail on which a draft is written: the next payload version is its draft.
///
/// # Errors
/// It is not in Error or Cancelled, a call of it may have been taken, or there is no number left.
pub fn draft(detail: &Detail) -> Result<(Detail, DetailEvent), Refusal> {
    let mut after = taking(detail, DetailEvent::Drafted)?;
    not_taken(detail)?;
    if detail.payload_versions >= Detail::PAYLOAD_VERSIONS_MAX
        || detail.events.saturating_add(EVENTS_KEPT) >= EVENT_NUMBER_MAX
    {
        return Err(Refusal::TooManyChanges);
    }
    after.payload_versions += 1;
    after.draft_version = Some(after.payload_versions);
    Ok((after, DetailEvent::Drafted))
}

fn cancel(detail: &Detail, reach: Reach, now: DateTime<Utc>) -> Step {
    let is_open = detail.status.is_open();
    if is_open && let Some(until) = detail.lease_until.filter(|until| *until > now) {
        return match reach {
            Reach::Named | Reach::LookedUp => Step::Refused(Refusal::OnItsWay),
            Reach::Whole => Step::OnItsWay(until),
        };
    }
    let event = match (is_open, detail.attempted_at, reach) {
        (true, Some(_), Reach::Named | Reach::LookedUp) => {
            return Step::Refused(Refusal::CallUnknown);
        }
        (true, Some(_), Reach::Whole) => DetailEvent::Rejected,
        (false, Some(_), Reach::Whole) if detail.status == DetailStatus::Error => {
            return Step::Refused(Refusal::MayHaveBeenTaken);
        }
        _ => DetailEvent::Cancelled,
    };
    let mut after = match taking(detail, event) {
        Ok(after) => after,
        Err(refusal) => return Step::Refused(refusal),
    };
    after.next_attempt_at = None;
    after.waiting_since = None;
    after.lease_until = None;
    if event == DetailEvent::Rejected {
        after.error_code = Some(ErrorCode::OutcomeUnknown.code().to_owned());
        after.error_description = Some(
            "the batch was cancelled while nobody knew whether a call of it had been taken: look the \
             detail up at 3Rivers before retrying or cancelling it"
                .to_owned(),
        );
        after.error_at = Some(now);
    } else if is_open {
        clear_error(&mut after);
    }
    Step::Becomes(Box::new(after), event)
}

/// `only` is the status that an action on the whole batch is for.
fn retry(
    detail: &Detail,
    reach: Reach,
    only: DetailStatus,
) -> Result<(Detail, DetailEvent), Refusal> {
    let mut after = taking(detail, DetailEvent::Retried)?;
    let unknown = detail.error_code.as_deref() == Some(ErrorCode::OutcomeUnknown.code())
        && detail.attempted_at.is_some();
    if reach == Reach::Whole && detail.status != only {
        return Err(Refusal::OtherStatus(detail.status));
    }
    if detail.has_draft() {
        return Err(Refusal::HasDraft);
    }
    if detail.request_version == 0 {
        return Err(Refusal::NothingToSend);
    }
    if unknown {
        if reach != Reach::LookedUp {
            return Err(Refusal::OutcomeUnknown);
        }
        after.attempted_at = None;
    }
    reopen(&mut after);
    Ok((after, DetailEvent::Retried))
}

fn confirm(detail: &Detail, reach: Reach) -> Result<(Detail, DetailEvent), Refusal> {
    let draft = detail.draft_version.ok_or(match detail.status {
        DetailStatus::Processed => Refusal::Settled,
        _ => Refusal::NoDraft,
    })?;
    let mut after = taking(detail, DetailEvent::DraftConfirmed)?;
    if reach == Reach::Whole && detail.status != DetailStatus::Error {
        return Err(Refusal::OtherStatus(detail.status));
    }
    not_taken(detail)?;
    after.request_version = draft;
    after.draft_version = None;
    reopen(&mut after);
    Ok((after, DetailEvent::DraftConfirmed))
}

fn cancel_draft(detail: &Detail) -> Result<(Detail, DetailEvent), Refusal> {
    if !detail.has_draft() {
        return Err(match detail.status {
            DetailStatus::Processed => Refusal::Settled,
            _ => Refusal::NoDraft,
        });
    }
    let mut after = taking(detail, DetailEvent::DraftDropped)?;
    after.draft_version = None;
    Ok((after, DetailEvent::DraftDropped))
}

/// The detail with the status that follows an event, or why none does.
fn taking(detail: &Detail, event: DetailEvent) -> Result<Detail, Refusal> {
    let status = detail
        .status
        .after(event)
        .map_err(|_| match detail.status {
            DetailStatus::Processed => Refusal::Settled,
            DetailStatus::Cancelled => Refusal::AlreadyCancelled,
            other => Refusal::AlreadyOpen(other),
        })?;
    Ok(Detail {
        status,
        ..detail.clone()
    })
}

fn not_taken(detail: &Detail) -> Result<(), Refusal> {
    match detail.attempted_at {
        None => Ok(()),
        Some(_) => Err(Refusal::MayHaveBeenTaken),
    }
}

/// What a detail has that is to be sent as if for the first time.
fn reopen(detail: &mut Detail) {
    detail.retry_count = 0;
    detail.next_attempt_at = None;
    detail.waiting_since = None;
    detail.lease_until = None;
    clear_error(detail);
}

fn clear_error(detail: &mut Detail) {
    detail.error_code = None;
    detail.error_description = None;
    detail.error_at = None;
}
