//! Later messages for details that are not done.
//!
//! Details that are due at about the same time share a message: it comes when the last of them is
//! due, which delays the first by at most a quarter of its own pause.

use std::time::Duration;

use chrono::{DateTime, Utc};
use weir_domain::LineNumber;
use weir_store::{DELAY_MAX, DetailsMessage, StoreError};

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
        let ahead = (at - self.now).to_std().unwrap_or_default();
        // What is due later than a queue holds a message back is woken by the sweeper.
        if ahead <= DELAY_MAX {
            self.due.push((ahead, line));
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
    use super::*;
    use chrono::TimeDelta;
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

    proptest! {
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
