//! When a function must be done.

use std::time::Duration;

use chrono::{DateTime, Utc};
use lambda_runtime::Context;
use weir_runtime::Clock;

/// As long as Lambda lets anything run, in milliseconds. No moment at which Lambda ends anything is so
/// near to 1970: such a number is how long there is. `cargo lambda watch` sends 600 000 so.
const RUN_MAX_MS: u64 = 900_000;
/// How much of the time is kept for answering, unless told otherwise.
const MARGIN: Duration = Duration::from_secs(1);

/// The moment at which an invocation ends, and how long before it work has to stop.
///
/// It is measured on the monotonic clock from the moment it was made, so a machine whose clock is
/// set meanwhile does not change it.
#[derive(Debug, Clone)]
pub struct Deadline {
    clock: Clock,
    /// On the monotonic clock.
    ends_at: Duration,
    margin: Duration,
}

impl Deadline {
    /// The deadline that Lambda, or a stand-in of cargo-lambda's, gives an invocation. One in the past
    /// leaves no time at all.
    pub fn from_context(context: &Context, clock: &Clock) -> Self {
        if context.deadline <= RUN_MAX_MS {
            return Self::after(Duration::from_millis(context.deadline), clock);
        }
        let ends_at = i64::try_from(context.deadline).unwrap_or(i64::MAX);
        let ends_at = DateTime::from_timestamp_millis(ends_at).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let left = ends_at.signed_duration_since(clock.now());
        Self::after(left.to_std().unwrap_or_default(), clock)
    }

    /// A deadline in `left` from now.
    pub fn after(left: Duration, clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            ends_at: clock.monotonic().saturating_add(left),
            margin: MARGIN,
        }
    }

    /// The same deadline with `margin` kept for answering, instead of 1 s.
    #[must_use]
    pub fn with_margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// How long it is until the function is stopped from outside.
    pub fn remaining(&self) -> Duration {
        self.ends_at.saturating_sub(self.clock.monotonic())
    }

    /// How long work may go on: what remains less the margin.
    pub fn usable(&self) -> Duration {
        self.remaining().saturating_sub(self.margin)
    }

    /// Whether work has to stop now.
    pub fn is_over(&self) -> bool {
        self.usable().is_zero()
    }

    /// Waits until work has to stop.
    pub async fn over(&self) {
        self.clock.sleep(self.usable()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const NOW_MS: i64 = 1_800_000_000_000;

    fn context(deadline_ms: u64) -> Context {
        let mut context = Context::default();
        context.deadline = deadline_ms;
        context
    }

    #[test]
    fn a_deadline_counts_down_to_its_margin_and_then_to_nothing() {
        let (clock, hand) = Clock::manual(DateTime::from_timestamp_millis(NOW_MS).unwrap());
        let deadline = Deadline::from_context(&context(NOW + 5000), &clock);
        assert_eq!(deadline.remaining(), Duration::from_secs(5));
        assert_eq!(deadline.usable(), Duration::from_secs(4));
        hand.advance(Duration::from_millis(3999));
        assert!(!deadline.is_over());
        hand.advance(Duration::from_millis(1));
        assert!(deadline.is_over());
        assert_eq!(deadline.remaining(), Duration::from_secs(1));
        hand.advance(Duration::from_secs(2));
        assert_eq!(deadline.remaining(), Duration::ZERO);
    }

    #[test]
    fn a_number_of_up_to_15_minutes_is_how_long_there_is_and_no_moment() {
        let (clock, _) = Clock::manual(DateTime::from_timestamp_millis(NOW_MS).unwrap());
        for (deadline, seconds) in [(600_000, 600), (RUN_MAX_MS, 900), (RUN_MAX_MS + 1, 0)] {
            let deadline = Deadline::from_context(&context(deadline), &clock);
            assert_eq!(deadline.remaining(), Duration::from_secs(seconds));
        }
    }

    #[test]
    fn a_deadline_in_the_past_or_out_of_reach_is_no_accident() {
        let (clock, _) = Clock::manual(DateTime::from_timestamp_millis(NOW_MS).unwrap());
        for past in [0, RUN_MAX_MS + 1, NOW] {
            assert!(
                Deadline::from_context(&context(past), &clock).is_over(),
                "{past}"
            );
        }
        let far = Deadline::from_context(&context(u64::MAX), &clock);
        assert!(far.remaining() > Duration::from_hours(24));
        let margin = Duration::from_secs(3);
        let deadline = Deadline::after(margin, &clock).with_margin(margin);
        assert!(deadline.is_over());
    }
}
