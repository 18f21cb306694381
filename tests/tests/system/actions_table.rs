//! What an action does to one detail, held against the table that is written out here, for every
//! state that a detail can be in.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use weir_domain::{
    BatchAction, BatchOrdinal, DetailEvent, DetailStatus, EVENT_NUMBER_MAX, FileId, LineNumber,
    ObjectIdentity, TransactionType,
};
use weir_settlement::actions::{Reach, Refusal, Step, draft, step};
use weir_store::Detail;

use BatchAction as Do;
use DetailStatus as Is;

const UNKNOWN: &str = "bcs.outcome_unknown";

/// What becomes of a detail, without the bookkeeping.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    Becomes(Is, DetailEvent),
    Waits,
    Refused(Refusal),
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap()
}

fn detail() -> Detail {
    let batch =
        FileId::of_object(&ObjectIdentity::new("b", "k", "e")).batch(BatchOrdinal::new(1).unwrap());
    Detail {
        id: batch.detail(LineNumber::new(1).unwrap()),
        version: 7,
        status: Is::Unprocessed,
        transaction_type: TransactionType::Charge,
        order_number: Some("SO-1".to_owned()),
        po_number: None,
        amount: None,
        currency: None,
        buyer_id: None,
        customer_id: None,
        vehicle_odometer: None,
        vehicle_identification_number: None,
        vehicle_unit_number: None,
        charge_id: Some(Uuid::from_u128(5 | 7 << 76 | 2 << 62).try_into().unwrap()),
        refund_id: None,
        request_version: 1,
        events: 3,
        answered_in: None,
        retry_count: 4,
        draft_version: None,
        payload_versions: 3,
        waiting_since: Some(now()),
        next_attempt_at: Some(now()),
        lease_until: None,
        attempted_at: None,
        created_at: now(),
        updated_at: now(),
        processed_at: None,
        error_code: None,
        error_description: None,
        error_at: None,
        user_updated_at: None,
        user_updated_by: None,
        changed_in: None,
    }
}

type Changes = Vec<Box<dyn Fn(&mut Detail)>>;

/// One change a value.
fn set<T: Clone + 'static>(values: &[T], set: fn(&mut Detail, T)) -> Changes {
    let one = |value: &T| {
        let value = value.clone();
        Box::new(move |detail: &mut Detail| set(detail, value.clone())) as Box<dyn Fn(&mut _)>
    };
    values.iter().map(one).collect()
}

/// Every state, as far as an action looks at it.
fn states() -> Vec<Detail> {
    let lease = |seconds| Some(now() + TimeDelta::seconds(seconds));
    let mut all = vec![detail()];
    let mut each = |changes: Changes| {
        let with = |detail: &Detail, change: &dyn Fn(&mut Detail)| {
            let mut detail = detail.clone();
            change(&mut detail);
            detail
        };
        let combined = all.iter().flat_map(|detail| {
            let changed = changes.iter().map(|change| with(detail, change.as_ref()));
            changed.collect::<Vec<_>>()
        });
        all = combined.collect();
    };
    each(set(Is::ALL, |detail, status| detail.status = status));
    each(set(&[None, lease(-60)], |detail, at| {
        detail.attempted_at = at;
    }));
    let leases = [None, lease(-1), lease(0), lease(1)];
    each(set(&leases, |detail, until| detail.lease_until = until));
    each(set(&[None, Some(2)], |detail, draft| {
        detail.draft_version = draft;
    }));
    each(set(&[0, 1], |detail, version| {
        detail.request_version = version;
    }));
    let codes = [None, Some("declined"), Some(UNKNOWN)];
    each(set(&codes, |detail, code| {
        detail.error_code = code.map(str::to_owned);
    }));
    let max = EVENT_NUMBER_MAX;
    let events = [0, max - 3, max - 2, max - 1, max];
    each(set(&events, |detail, events| detail.events = events));
    all
}

/// The table, written out.
fn expected(action: Do, detail: &Detail, reach: Reach) -> Expected {
    use Expected::{Becomes, Refused, Waits};
    let is_open = matches!(detail.status, Is::Unprocessed | Is::Retry);
    let (is_named, is_whole) = (reach != Reach::Whole, reach == Reach::Whole);
    let is_unclear = detail.attempted_at.is_some();
    // Room for a hand's change and for two of the processor's; a cancel needs its own alone.
    let room = if action == Do::Cancel { 1 } else { 3 };
    if detail.status != Is::Processed && detail.events + room > EVENT_NUMBER_MAX {
        return Refused(Refusal::TooManyChanges);
    }
    let already = match detail.status {
        Is::Processed => Some(Refusal::Settled),
        Is::Unprocessed | Is::Retry => Some(Refusal::AlreadyOpen(detail.status)),
        Is::Error | Is::Cancelled => None,
    };
    match action {
        Do::Cancel => match detail.status {
            Is::Processed => Refused(Refusal::Settled),
            Is::Cancelled => Refused(Refusal::AlreadyCancelled),
            _ if is_open && detail.lease_until.is_some_and(|until| until > now()) => {
                if is_named {
                    Refused(Refusal::OnItsWay)
                } else {
                    Waits
                }
            }
            _ if is_open && is_unclear && is_named => Refused(Refusal::CallUnknown),
            _ if is_open && is_unclear => Becomes(Is::Error, DetailEvent::Rejected),
            Is::Error if is_unclear && is_whole => Refused(Refusal::MayHaveBeenTaken),
            _ => Becomes(Is::Cancelled, DetailEvent::Cancelled),
        },
        Do::Retry | Do::Revive => {
            let only = if action == Do::Retry {
                Is::Error
            } else {
                Is::Cancelled
            };
            let was_given_up = is_unclear && detail.error_code.as_deref() == Some(UNKNOWN);
            match already {
                Some(already) => Refused(already),
                None if is_whole && detail.status != only => {
                    Refused(Refusal::OtherStatus(detail.status))
                }
                None if detail.draft_version.is_some() => Refused(Refusal::HasDraft),
                None if detail.request_version == 0 => Refused(Refusal::NothingToSend),
                None if was_given_up && reach != Reach::LookedUp => {
                    Refused(Refusal::OutcomeUnknown)
                }
                None => Becomes(Is::Unprocessed, DetailEvent::Retried),
            }
        }
        Do::ConfirmDrafts => match (detail.draft_version, already) {
            (_, Some(Refusal::Settled)) => Refused(Refusal::Settled),
            (None, _) => Refused(Refusal::NoDraft),
            (Some(_), Some(already)) => Refused(already),
            (Some(_), None) if is_whole && detail.status != Is::Error => {
                Refused(Refusal::OtherStatus(detail.status))
            }
            (Some(_), None) if is_unclear => Refused(Refusal::MayHaveBeenTaken),
            (Some(_), None) => Becomes(Is::Unprocessed, DetailEvent::DraftConfirmed),
        },
        Do::CancelDrafts => match (detail.draft_version, already) {
            (_, Some(Refusal::Settled)) => Refused(Refusal::Settled),
            (None, _) => Refused(Refusal::NoDraft),
            (Some(_), Some(already)) => Refused(already),
            (Some(_), None) => Becomes(detail.status, DetailEvent::DraftDropped),
        },
        Do::Retake => Refused(Refusal::OtherStatus(detail.status)),
    }
}

fn in_short(step: &Step) -> Expected {
    match step {
        Step::Becomes(after, event) => Expected::Becomes(after.status, *event),
        Step::OnItsWay(_) => Expected::Waits,
        Step::Refused(refusal) => Expected::Refused(*refusal),
    }
}

/// What must be true of a detail that an action has changed, whatever the action.
fn check(action: Do, before: &Detail, after: &Detail, event: DetailEvent) {
    let context = || format!("{action} {event}\n{before:#?}\n{after:#?}");
    assert_eq!(
        before.status.after(event),
        Ok(after.status),
        "{}",
        context()
    );
    // The bookkeeping is another's, and what it is of does not change.
    let mut same = before.clone();
    same.status = after.status;
    same.retry_count = after.retry_count;
    same.next_attempt_at = after.next_attempt_at;
    same.waiting_since = after.waiting_since;
    same.lease_until = after.lease_until;
    same.attempted_at = after.attempted_at;
    same.request_version = after.request_version;
    same.draft_version = after.draft_version;
    same.error_code.clone_from(&after.error_code);
    same.error_description.clone_from(&after.error_description);
    same.error_at = after.error_at;
    assert_eq!(same, *after, "{}", context());
    if after.status == Is::Unprocessed {
        let fresh = (
            after.retry_count,
            after.next_attempt_at,
            after.waiting_since,
        );
        assert_eq!(fresh, (0, None, None), "{}", context());
        assert_eq!(after.lease_until, None, "{}", context());
        assert_eq!(after.error_code, None, "{}", context());
        assert!(
            !after.has_draft() && after.request_version > 0,
            "{}",
            context()
        );
        // Another request is another key: never while a call under the first may have been taken.
        if after.request_version != before.request_version {
            assert_eq!(before.attempted_at, None, "{}", context());
            assert_eq!(Some(after.request_version), before.draft_version);
        }
    }
    if after.status == Is::Error && before.status.is_open() {
        assert_eq!(after.error_code.as_deref(), Some(UNKNOWN), "{}", context());
        assert!(after.attempted_at.is_some(), "{}", context());
    }
    if after.status == Is::Cancelled {
        let left = (
            after.lease_until,
            after.next_attempt_at,
            after.waiting_since,
        );
        assert!(
            left == (None, None, None) || action == Do::CancelDrafts,
            "{}",
            context()
        );
        assert!(
            !before.status.is_open() || before.attempted_at.is_none(),
            "{}",
            context()
        );
    }
    let is_forgotten = before.attempted_at.is_some() && after.attempted_at.is_none();
    if is_forgotten {
        assert_eq!(before.error_code.as_deref(), Some(UNKNOWN), "{}", context());
    }
}

#[test]
fn an_action_does_to_a_detail_what_the_table_says_and_nothing_else() {
    let states = states();
    assert_eq!(states.len(), 5 * 2 * 4 * 2 * 2 * 3 * 5);
    for detail in &states {
        for action in Do::ALL {
            for reach in [Reach::Named, Reach::LookedUp, Reach::Whole] {
                let found = step(*action, detail, reach, now());
                let expected = expected(*action, detail, reach);
                assert_eq!(
                    in_short(&found),
                    expected,
                    "{action} {reach:?}\n{detail:#?}"
                );
                match found {
                    Step::Becomes(after, event) => check(*action, detail, &after, event),
                    Step::OnItsWay(until) => assert_eq!(Some(until), detail.lease_until),
                    Step::Refused(_) => {}
                }
            }
        }
    }
}

#[test]
fn a_call_that_was_given_up_is_forgotten_where_it_was_looked_up_and_no_other_is() {
    for mut detail in states() {
        detail.attempted_at = Some(now());
        let Step::Becomes(after, _) = step(Do::Retry, &detail, Reach::LookedUp, now()) else {
            continue;
        };
        let was_given_up = detail.error_code.as_deref() == Some(UNKNOWN);
        assert_eq!(after.attempted_at.is_none(), was_given_up, "{detail:#?}");
    }
}

#[test]
fn an_open_detail_that_nobody_works_on_can_always_be_kept_from_being_sent() {
    for mut detail in states() {
        // The processor gives one up with the last number there is.
        detail.events = detail.events.min(EVENT_NUMBER_MAX - 1);
        if detail.status.is_open() && detail.lease_until.is_none_or(|until| until <= now()) {
            let step = step(Do::Cancel, &detail, Reach::Whole, now());
            let Step::Becomes(after, _) = step else {
                panic!("{step:?}\n{detail:#?}");
            };
            assert!(!after.status.is_open());
        }
    }
}

#[test]
fn a_draft_is_written_on_what_is_in_error_or_cancelled_with_no_call_of_unknown_outcome() {
    for detail in states() {
        let expected = match detail.status {
            Is::Processed => Err(Refusal::Settled),
            Is::Unprocessed | Is::Retry => Err(Refusal::AlreadyOpen(detail.status)),
            _ if detail.attempted_at.is_some() => Err(Refusal::MayHaveBeenTaken),
            _ if detail.events + 3 > EVENT_NUMBER_MAX => Err(Refusal::TooManyChanges),
            _ => Ok(4),
        };
        let drafted = draft(&detail);
        let version = drafted.as_ref().map(|(after, _)| after.payload_versions);
        assert_eq!(version, expected.as_ref().copied());
        if let Ok((after, event)) = drafted {
            assert_eq!(event, DetailEvent::Drafted);
            assert_eq!(after.draft_version, Some(4));
            check(
                Do::CancelDrafts,
                &detail,
                &Detail {
                    payload_versions: 3,
                    ..after
                },
                event,
            );
        }
    }
}

#[test]
fn a_payload_version_is_used_once_and_no_draft_is_written_when_none_is_left() {
    let mut detail = detail();
    detail.status = Is::Error;
    let max = Detail::PAYLOAD_VERSIONS_MAX;
    for (used, is_left) in [(max - 1, true), (max, false)] {
        detail.payload_versions = used;
        assert_eq!(draft(&detail).is_ok(), is_left, "{used}");
    }
}
