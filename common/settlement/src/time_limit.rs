//! Until when a piece of work may go on.

use std::time::Duration;

use weir_runtime::Clock;

/// A moment on the monotonic clock by which work has to stop.
#[derive(Debug, Clone)]
pub struct TimeLimit {
    clock: Clock,
    ends_at: Duration,
}

impl TimeLimit {
    /// A limit in `left` from now.
    pub fn after(left: Duration, clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            ends_at: clock.monotonic().saturating_add(left),
        }
    }

    /// How long work may go on.
    pub fn left(&self) -> Duration {
        self.ends_at.saturating_sub(self.clock.monotonic())
    }

    /// Whether there is time for something that takes `needed`.
    pub fn allows(&self, needed: Duration) -> bool {
        self.left() > needed
    }
}
