//! Details for which there is no key: they wait.
//!
//! They wait as a refund waits for its charge, by a time in their state: whatever else wakes them finds
//! that they are not due. There is no attempt to be counted, and no end to it where no call was begun
//! before: the day a key comes they are sent. A detail that lost its key in the midst of its attempts, with a
//! call whose outcome is not known, is given up when that call can be repeated no more. An alarm tells a
//! person meanwhile.

use chrono::{DateTime, TimeDelta, Utc};
use weir_runtime::Metric;
use weir_store::{Detail, Lease, Payload};

use super::lease::Change;
use super::wake::Wakes;
use super::{Group, Processor};
use crate::credentials::NoKey;

/// The shortest and the longest pause; the queue holds a message back no longer than that.
const PAUSE_MIN: TimeDelta = TimeDelta::minutes(1);
const PAUSE_MAX: TimeDelta = TimeDelta::minutes(15);

impl Processor {
    /// Puts off what would be sent now if there were a key.
    pub(super) fn put_off(
        &self,
        group: &Group<'_>,
        wanted: Vec<(Detail, Payload)>,
        why: NoKey,
        now: DateTime<Utc>,
        wakes: &mut Wakes,
    ) -> Vec<Change> {
        if !wanted.is_empty() {
            let count = u64::try_from(wanted.len()).unwrap_or(u64::MAX);
            // That the keys could not be read was counted by whoever tried.
            if matches!(why, NoKey::OfClient(_)) {
                self.metrics.count(Metric::CredentialsMissing, count);
            }
            tracing::error!(batch_id = %group.batch.id, details = count, "a batch {why}");
        }
        let mut changes = Vec::with_capacity(wanted.len());
        for (detail, _) in wanted {
            let next = now + pause(why, now - detail.created_at);
            let mut lease = Lease::of(&detail);
            lease.after.next_attempt_at = Some(next);
            // What a call met, whose outcome is not known, tells a person more than what it waits for.
            if !says_what_a_call_met(&detail) {
                lease.after.error_description = Some(why.to_string());
            }
            wakes.add(detail.line(), next);
            changes.push((lease, None));
        }
        changes
    }
}

/// Whether its description is of a call whose outcome is not known.
fn says_what_a_call_met(detail: &Detail) -> bool {
    detail.attempted_at.is_some() && detail.error_description.is_some()
}

/// The pause of a detail that has been there so long already: as long again, within limits, where its
/// client has no key; the shortest where the keys could not be read, as others may have them, or soon will.
fn pause(why: NoKey, age: TimeDelta) -> TimeDelta {
    match why {
        NoKey::Unread => PAUSE_MIN,
        NoKey::OfClient(_) => age.clamp(PAUSE_MIN, PAUSE_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::detail;
    use super::*;

    #[test]
    fn a_call_of_unknown_outcome_keeps_its_words_while_its_detail_waits_for_a_key() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        for (attempted, words, stays) in [
            (None, None, false),
            (None, Some("waits"), false),
            (Some(now), None, false),
            (Some(now), Some("it timed out"), true),
        ] {
            let mut detail = detail(now);
            detail.attempted_at = attempted;
            detail.error_description = words.map(str::to_owned);
            assert_eq!(says_what_a_call_met(&detail), stays, "{words:?}");
        }
    }

    #[test]
    fn a_detail_whose_keys_could_not_be_read_waits_one_minute_however_old_it_is() {
        for age in [-5, 0, 60, 61, 900, 100_000] {
            let waits = pause(NoKey::Unread, TimeDelta::seconds(age));
            assert_eq!(waits, TimeDelta::minutes(1), "{age}");
        }
    }

    #[test]
    fn a_detail_without_key_waits_as_long_again_from_one_minute_to_fifteen() {
        for (age, waits) in [
            (-5, 60),
            (0, 60),
            (60, 60),
            (61, 61),
            (899, 899),
            (900, 900),
            (901, 900),
        ] {
            let client = "11111111-1111-4111-8111-111111111111".parse().unwrap();
            let waits = TimeDelta::seconds(waits);
            let pause = pause(NoKey::OfClient(client), TimeDelta::seconds(age));
            assert_eq!(pause, waits, "{age}");
        }
    }
}
