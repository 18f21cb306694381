//! Time that passes by itself and can be moved on at will.
//!
//! A clock that stood still would stop everything that waits for a socket's answer within a limit;
//! the system's own would make a test of a day's wait last a day. This one follows the system's,
//! perhaps several times as fast, and jumps when it is told to.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;
use weir_runtime::{Clock, ManualClock};

/// How often the time is moved on.
const TICK: Duration = Duration::from_millis(1);

/// A clock that runs. It stands still once this is dropped.
#[derive(Debug)]
pub struct Timeline {
    clock: Clock,
    hand: ManualClock,
    ticking: JoinHandle<()>,
}

impl Timeline {
    /// Starts now, `speed` times as fast as the system's clock. Needs a Tokio runtime.
    pub fn start(speed: u32) -> Self {
        let system = Clock::system();
        let (clock, hand) = Clock::manual(system.now());
        let ticking = tokio::spawn({
            let hand = hand.clone();
            async move {
                let mut before = system.monotonic();
                loop {
                    system.sleep(TICK).await;
                    let now = system.monotonic();
                    hand.advance(now.saturating_sub(before) * speed);
                    before = now;
                }
            }
        });
        Self {
            clock,
            hand,
            ticking,
        }
    }

    /// The clock, for whoever needs one.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time on it.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Moves the time on at once.
    pub fn jump(&self, by: Duration) {
        self.hand.advance(by);
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}
