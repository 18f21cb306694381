//! What is to be done with a detail, from its state alone.

use chrono::{DateTime, Utc};
use weir_domain::{ChargeId, ErrorCode};
use weir_store::Detail;

use super::ProcessOptions;

/// What is to be done with a detail now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing: it is settled, cancelled, in Error, or somebody is working on it.
    Nothing,
    /// It is open but not due.
    NotBefore(DateTime<Utc>),
    /// It is due, but must not be sent again.
    GiveUp(GaveUp),
    /// It is due.
    Send,
}

/// Why a detail is given up without another call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GaveUp {
    /// A call was begun so long ago that its key may be forgotten.
    OutcomeUnknown {
        /// When it was begun.
        attempted_at: DateTime<Utc>,
    },
    /// The charge of a refund was not settled in time; in words, what was waited for.
    ChargeNotSettled(String),
    /// The charge of a refund was made for another seller.
    ChargeOfOtherSeller(ChargeId),
    /// The charge of a refund is in another currency.
    ChargeInOtherCurrency {
        /// The charge's.
        charge: &'static str,
        /// The refund's.
        refund: &'static str,
    },
    /// It has gone through as many changes as can be counted.
    TooManyEvents,
}

impl GaveUp {
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::OutcomeUnknown { .. } => ErrorCode::OutcomeUnknown,
            Self::ChargeNotSettled(_) => ErrorCode::ChargeNotSettled,
            Self::ChargeOfOtherSeller(_) => ErrorCode::ChargeOfOtherSeller,
            Self::ChargeInOtherCurrency { .. } => ErrorCode::ChargeInOtherCurrency,
            Self::TooManyEvents => ErrorCode::RetriesExhausted,
        }
    }

    pub(super) fn description(&self) -> String {
        match self {
            Self::OutcomeUnknown { attempted_at } => format!(
                "a call begun at {} has no known outcome, and it is too late to repeat it safely: \
                 look the detail up at 3Rivers before retrying it",
                attempted_at.to_rfc3339()
            ),
            Self::ChargeNotSettled(what) => {
                format!("{what}; it waited too long: retry it once the charge is settled")
            }
            Self::ChargeOfOtherSeller(charge) => format!(
                "ChargeId {charge} was made for another seller: name a charge of the batch's own"
            ),
            Self::ChargeInOtherCurrency { charge, refund } => format!(
                "the charge is in {charge}, the refund in {refund}: state the charge's currency"
            ),
            Self::TooManyEvents => {
                "it has gone through more changes than can be recorded: send it in a new file"
                    .to_owned()
            }
        }
    }
}

/// Leaves room for the last event of a detail, the one that gives it up.
const EVENTS_MAX: u32 = weir_domain::EVENT_NUMBER_MAX - 1;

pub(super) fn decide(detail: &Detail, now: DateTime<Utc>, options: &ProcessOptions) -> Decision {
    if !detail.status.is_open() || detail.lease_until.is_some_and(|until| until > now) {
        return Decision::Nothing;
    }
    if let Some(next) = detail.next_attempt_at.filter(|next| *next > now) {
        return Decision::NotBefore(next);
    }
    if let Some(attempted_at) = detail.attempted_at
        && now - attempted_at >= options.key_usable()
    {
        return Decision::GiveUp(GaveUp::OutcomeUnknown { attempted_at });
    }
    if detail.events >= EVENTS_MAX {
        return Decision::GiveUp(GaveUp::TooManyEvents);
    }
    Decision::Send
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use weir_domain::DetailStatus;

    use super::super::outcome::tests::detail;
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000, 0).unwrap()
    }

    fn decided(change: impl FnOnce(&mut Detail)) -> Decision {
        let mut detail = detail(now());
        change(&mut detail);
        decide(&detail, now(), &ProcessOptions::default())
    }

    #[test]
    fn only_an_open_detail_is_sent() {
        for status in DetailStatus::ALL {
            let decision = decided(|detail| detail.status = *status);
            let expected = if status.is_open() {
                Decision::Send
            } else {
                Decision::Nothing
            };
            assert_eq!(decision, expected, "{status}");
        }
    }

    #[test]
    fn a_detail_that_somebody_works_on_is_left_alone_until_the_lease_ends() {
        let second = TimeDelta::seconds(1);
        let leased = |until| decided(|detail| detail.lease_until = Some(until));
        assert_eq!(leased(now() + second), Decision::Nothing);
        assert_eq!(leased(now()), Decision::Send);
        assert_eq!(leased(now() - second), Decision::Send);
    }

    #[test]
    fn a_detail_is_not_sent_before_its_next_attempt() {
        let second = TimeDelta::seconds(1);
        let next = |at| decided(|detail| detail.next_attempt_at = Some(at));
        assert_eq!(next(now() + second), Decision::NotBefore(now() + second));
        assert_eq!(next(now()), Decision::Send);
    }

    #[test]
    fn a_call_without_outcome_is_repeated_while_its_key_is_valid_and_never_after() {
        let second = TimeDelta::seconds(1);
        let valid = ProcessOptions::default().key_usable();
        let attempted = |at| decided(|detail| detail.attempted_at = Some(at));
        assert_eq!(attempted(now() - valid + second), Decision::Send);
        for at in [now() - valid, now() - valid - second] {
            let unknown = GaveUp::OutcomeUnknown { attempted_at: at };
            assert_eq!(attempted(at), Decision::GiveUp(unknown));
        }
    }

    #[test]
    fn the_last_event_that_can_be_counted_gives_a_detail_up() {
        let events = |count| decided(|detail| detail.events = count);
        assert_eq!(events(EVENTS_MAX - 1), Decision::Send);
        assert_eq!(events(EVENTS_MAX), Decision::GiveUp(GaveUp::TooManyEvents));
    }
}
