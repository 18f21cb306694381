//! Later messages for details that are not done.
//!
//! Details that are due at about the same time share a message: it comes when the last of them is
//! due, which delays the first by at most a quarter of its own pause. What is due later than a queue
//! holds a message back has none, and is the sweeper's to wake.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use weir_domain::{DetailStatus, LineNumber};
use weir_store::{DELAY_MAX, Detail, DetailsMessage, StoreError};

use super::{Group, Processor};

/// Details to be woken, each at its time.
pub(super) struct Wakes {
    now: DateTime<Utc>,
    due: Vec<(Duration, LineNumber)>,
}

impl Wakes {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self {
            now,
            due: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, line: LineNumber, at: DateTime<Utc>) {
        self.add_set_at(line, self.now, at);
    }

    /// The same for what was put off at another time than this began.
    pub(super) fn add_set_at(
        &mut self,
        line: LineNumber,
        set_at: DateTime<Utc>,
        at: DateTime<Utc>,
    ) {
        let ahead = (at - set_at).to_std().unwrap_or_default();
        if has_message(set_at, at) {
            self.due.push((ahead.min(DELAY_MAX), line));
        }
    }

    pub(super) fn add_all(&mut self, lines: &[LineNumber], at: DateTime<Utc>) {
        for line in lines {
            self.add(*line, at);
        }
    }

    /// The lines by message, each with its delay.
    fn grouped(&self) -> Vec<(Vec<LineNumber>, Duration)> {
        let mut due = self.due.clone();
        due.sort_unstable();
        let mut groups: Vec<(Duration, Vec<LineNumber>, Duration)> = Vec::new();
        for (ahead, line) in due {
            match groups.last_mut() {
                Some((first, lines, last))
                    if ahead <= *first + *first / 4 + Duration::from_secs(1)
                        && lines.len() < DetailsMessage::LINES_MAX =>
                {
                    lines.push(line);
                    *last = ahead;
                }
                _ => groups.push((ahead, vec![line], ahead)),
            }
        }
        groups
            .into_iter()
            .map(|(_, lines, last)| (lines, last))
            .collect()
    }
}

/// Whether what was put off so far has a message of its own. Times are kept to the millisecond, and whoever
/// reads them back must come to the same.
fn has_message(set_at: DateTime<Utc>, at: DateTime<Utc>) -> bool {
    let ahead = at.timestamp_millis() - set_at.timestamp_millis();
    u128::try_from(ahead).map_or(true, |ahead| ahead <= DELAY_MAX.as_millis())
}

/// The time until which something is put off, but no later than a queue holds a message back: for what is to
/// have a message whatever happens.
pub(super) fn with_message(now: DateTime<Utc>, until: DateTime<Utc>) -> DateTime<Utc> {
    let longest = TimeDelta::from_std(DELAY_MAX).unwrap_or(TimeDelta::zero());
    until.min(now + longest)
}

/// For how long an open detail, put off until then, was put off at most, if a message was sent to wake it;
/// `None` when it was left to the sweeper.
///
/// Only a failed attempt puts one off for longer than a queue holds a message back, and when that was is
/// told by its outcome. Whatever puts it off once more, such as a breaker, does so for no longer, and sends a
/// message that is not told from none.
pub(crate) fn put_off_with_message(detail: &Detail, until: DateTime<Utc>) -> Option<TimeDelta> {
    let since_outcome = until - detail.updated_at;
    let most = TimeDelta::from_std(DELAY_MAX).map_or(since_outcome, |most| most.min(since_outcome));
    match (detail.status, detail.waiting_since) {
        // It waits as long again as it has waited, so for half of that in all.
        (_, Some(since)) => Some(most.min((until - since) / 2)),
        (DetailStatus::Retry, None) if !has_message(detail.updated_at, until) => None,
        _ => Some(most),
    }
}

impl Processor {
    pub(super) async fn send_wakes(
        &self,
        group: &Group<'_>,
        wakes: &Wakes,
    ) -> Result<(), StoreError> {
        let correlation_id = group.correlation_id.as_str();
        let messages: Vec<_> = wakes
            .grouped()
            .into_iter()
            .map(|(lines, delay)| {
                (
                    DetailsMessage::new(group.batch.id, lines, correlation_id),
                    delay,
                )
            })
            .collect();
        self.store
            .send_details(&group.seller.to_string(), &messages)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::detail;
    use super::*;
    use proptest::prelude::*;

    fn line(number: u32) -> LineNumber {
        LineNumber::new(number).unwrap()
    }

    #[test]
    fn what_is_due_later_than_a_queue_can_hold_is_left_to_the_sweeper() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let mut wakes = Wakes::new(now);
        wakes.add(line(1), now + TimeDelta::seconds(899));
        wakes.add(line(2), now + TimeDelta::seconds(900));
        wakes.add(line(3), now + TimeDelta::seconds(901));
        let woken: Vec<_> = wakes
            .grouped()
            .into_iter()
            .flat_map(|(lines, _)| lines)
            .collect();
        assert_eq!(woken, [line(1), line(2)]);
    }

    #[test]
    fn a_failed_attempt_that_is_put_off_for_over_fifteen_minutes_has_no_message() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        for (seconds, has_message) in [(60, true), (899, true), (900, true), (901, false)] {
            let until = now + TimeDelta::seconds(seconds);
            let mut wakes = Wakes::new(now - TimeDelta::seconds(30));
            wakes.add_set_at(line(1), now, until);
            assert_eq!(!wakes.grouped().is_empty(), has_message, "{seconds}");
            let mut detail = detail(now);
            detail.status = DetailStatus::Retry;
            let put_off = put_off_with_message(&detail, until);
            let pause = has_message.then(|| TimeDelta::seconds(seconds));
            assert_eq!(put_off, pause, "{seconds}");
        }
    }

    #[test]
    fn what_a_breaker_puts_off_for_over_fifteen_minutes_is_woken_after_fifteen() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        for (asked, delay) in [(899, 899), (900, 900), (901, 900), (86_400, 900)] {
            let mut wakes = Wakes::new(now);
            wakes.add(line(1), with_message(now, now + TimeDelta::seconds(asked)));
            let woken = vec![(vec![line(1)], Duration::from_secs(delay))];
            assert_eq!(wakes.grouped(), woken, "{asked}");
        }
    }

    #[test]
    fn what_waits_for_a_breaker_or_a_charge_has_a_message_however_old_it_is() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let until = now + TimeDelta::days(1);
        let mut detail = detail(now);
        assert!(put_off_with_message(&detail, until).is_some());
        detail.status = DetailStatus::Retry;
        assert!(put_off_with_message(&detail, until).is_none());
        detail.waiting_since = Some(now);
        assert!(put_off_with_message(&detail, until).is_some());
    }

    #[test]
    fn what_was_put_off_was_so_for_no_longer_than_it_is_known_or_has_waited() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let put_off = |until: i64, since: Option<i64>| {
            let mut detail = detail(now);
            detail.waiting_since = since.map(|seconds| now + TimeDelta::seconds(seconds));
            let until = now + TimeDelta::seconds(until);
            put_off_with_message(&detail, until).map(|pause| pause.num_seconds())
        };
        assert_eq!(put_off(5, None), Some(5));
        assert_eq!(put_off(900, None), Some(900));
        assert_eq!(put_off(86_400, None), Some(900));
        assert_eq!(put_off(100, Some(60)), Some(20));
        assert_eq!(put_off(86_400, Some(0)), Some(900));
    }

    proptest! {
        #[test]
        fn what_is_read_back_to_the_millisecond_tells_whether_there_is_a_message(
            set_at in 0..2_000_000_000_000_i64, nanos in 0..2_000_000_i64, ahead in 899_999_999_000..900_001_001_000_i64,
        ) {
            let set_at = DateTime::from_timestamp_millis(set_at).unwrap() + TimeDelta::nanoseconds(nanos);
            let at = set_at + TimeDelta::nanoseconds(ahead);
            let kept = |time: DateTime<Utc>| DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap();
            prop_assert_eq!(has_message(set_at, at), has_message(kept(set_at), kept(at)));
        }

        #[test]
        fn every_detail_is_woken_once_not_early_and_a_quarter_late_at_most(
            pauses in prop::collection::vec(0..900_i64, 1..60),
        ) {
            let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
            let mut wakes = Wakes::new(now);
            for (number, pause) in (1..).zip(&pauses) {
                wakes.add(line(number), now + TimeDelta::seconds(*pause));
            }
            let mut woken = Vec::new();
            for (lines, delay) in wakes.grouped() {
                prop_assert!(lines.len() <= DetailsMessage::LINES_MAX);
                for line in lines {
                    let index = usize::try_from(line.get() - 1).unwrap();
                    let own = Duration::from_secs(u64::try_from(pauses[index]).unwrap());
                    prop_assert!(delay >= own);
                    prop_assert!(delay <= own + own / 4 + Duration::from_secs(1));
                    woken.push(line);
                }
            }
            woken.sort_unstable();
            woken.dedup();
            prop_assert_eq!(woken.len(), pauses.len());
        }
    }
}
