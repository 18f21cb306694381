//! Time, as everything else takes it.
//!
//! A [`Clock`] is either the system's or one that a test moves by hand through its [`ManualClock`].
//! Invariants: [`Clock::monotonic`] never goes back; a sleep ends no earlier than asked; on a manual
//! clock sleepers wake in the order in which they are due, and among equals in the order in which
//! they fell asleep, so a simulation with one seed runs the same way twice.
//!
//! A manual clock refuses to go back: it has no means to.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::oneshot;

/// The time ran out before the future was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not done within {limit:?}")]
pub struct Elapsed {
    /// How long the future was given.
    pub limit: Duration,
}

/// A source of time. Clones share it.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System { origin: Instant },
    Manual(Arc<Hands>),
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
        let origin = Instant::now();
        Self(Source::System { origin })
    }

    /// A clock that stands at `start` until the returned handle moves it.
    pub fn manual(start: DateTime<Utc>) -> (Self, ManualClock) {
        let hands = Arc::new(Hands {
            start,
            state: Mutex::default(),
        });
        (
            Self(Source::Manual(Arc::clone(&hands))),
            ManualClock { hands },
        )
    }

    /// The wall time. It may jump, as the machine's does when it is set.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
            Source::System { .. } => Utc::now(),
            Source::Manual(hands) => hands.now(),
        }
    }

    /// The time since the clock was made. It never goes back.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
            Source::System { origin } => origin.elapsed(),
            Source::Manual(hands) => hands.lock().elapsed,
        }
    }

    /// Waits for `duration`. A sleep of zero ends at once.
    ///
    /// Dropping the future ends the sleep. On a system clock this needs a Tokio runtime with its
    /// timer enabled.
    pub async fn sleep(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
            Source::System { .. } => tokio::time::sleep(duration).await,
            Source::Manual(hands) => hands.sleep(duration).await,
        }
    }

    /// Runs `future` for at most `limit`; past it the future is dropped.
    ///
    /// A future that is done at the very moment the time runs out counts as done.
    ///
    /// # Errors
    /// [`Elapsed`] when the time ran out first.
    pub async fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.sleep(limit) => Err(Elapsed { limit }),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System { .. } => f.write_str("Clock(system)"),
            Source::Manual(hands) => write!(f, "Clock(manual at {})", hands.now()),
        }
    }
}

/// The handle that moves a manual [`Clock`]. Clones move the same clock.
#[derive(Clone)]
pub struct ManualClock {
    hands: Arc<Hands>,
}

impl ManualClock {
    /// Moves the time forward and wakes every sleeper that is due.
    pub fn advance(&self, by: Duration) {
        let target = self.hands.lock().elapsed.saturating_add(by);
        self.hands.advance_to(target);
    }

    /// Moves the time to the moment at which the next sleeper is due, wakes whoever is due then, and
    /// tells how far it moved; `None`, and no move, when nobody sleeps.
    pub fn advance_to_next(&self) -> Option<Duration> {
        let (from, due) = {
            let state = self.hands.lock();
            let (&(due, _), _) = state.sleepers.first_key_value()?;
            (state.elapsed, due)
        };
        self.hands.advance_to(due);
        Some(due.saturating_sub(from))
    }

    /// How many sleepers there are.
    pub fn sleepers_count(&self) -> usize {
        self.hands.lock().sleepers.len()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManualClock(at {})", self.hands.now())
    }
}

struct Hands {
    start: DateTime<Utc>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    elapsed: Duration,
    sleepers_ever: u64,
    /// By the moment a sleeper is due, then by the order in which they fell asleep.
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
}

impl Hands {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that could panic runs under the lock, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.lock().elapsed).unwrap_or(TimeDelta::MAX);
        self.start
            .checked_add_signed(elapsed)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    async fn sleep(&self, duration: Duration) {
        let (key, woken) = {
            let mut state = self.lock();
            let key = (state.elapsed.saturating_add(duration), state.sleepers_ever);
            state.sleepers_ever = state.sleepers_ever.saturating_add(1);
            let (sender, woken) = oneshot::channel();
            state.sleepers.insert(key, sender);
            (key, woken)
        };
        let _bed = Bed { hands: self, key };
        // The sender goes away only by being used: the bed is still made here.
        let _ = woken.await;
    }

    fn advance_to(&self, target: Duration) {
        let mut state = self.lock();
        state.elapsed = state.elapsed.max(target);
        while let Some(entry) = state.sleepers.first_entry() {
            if entry.key().0 > target {
                break;
            }
            // A sleeper that was dropped in this very moment has nobody to wake.
            let _ = entry.remove().send(());
        }
    }
}

/// Forgets a sleeper whose future is dropped, so that abandoned timeouts do not pile up.
struct Bed<'a> {
    hands: &'a Hands,
    key: (Duration, u64),
}

impl Drop for Bed<'_> {
    fn drop(&mut self) {
        self.hands.lock().sleepers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_348_800, 0).unwrap()
    }

    #[tokio::test]
    async fn a_manual_clock_stands_still_until_it_is_moved() {
        let (clock, hand) = Clock::manual(noon());
        assert_eq!(clock.now(), noon());
        assert_eq!(clock.monotonic(), Duration::ZERO);
        hand.advance(Duration::from_millis(1500));
        assert_eq!(clock.now(), noon() + TimeDelta::milliseconds(1500));
        assert_eq!(clock.monotonic(), Duration::from_millis(1500));
    }

    #[tokio::test]
    async fn a_sleeper_wakes_at_its_time_and_not_a_nanosecond_before() {
        let (clock, hand) = Clock::manual(noon());
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(1)).await }
        });
        while hand.sleepers_count() == 0 {
            tokio::task::yield_now().await;
        }
        hand.advance(Duration::from_nanos(999_999_999));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        hand.advance(Duration::from_nanos(1));
        sleeper.await.unwrap();
        assert_eq!(hand.sleepers_count(), 0);
    }

    #[tokio::test]
    async fn sleepers_wake_in_the_order_in_which_they_are_due() {
        let (clock, hand) = Clock::manual(noon());
        let (sender, mut woken) = tokio::sync::mpsc::unbounded_channel();
        for seconds in [3, 1, 2] {
            let (clock, sender) = (clock.clone(), sender.clone());
            tokio::spawn(async move {
                clock.sleep(Duration::from_secs(seconds)).await;
                sender.send(seconds).unwrap();
            });
        }
        while hand.sleepers_count() < 3 {
            tokio::task::yield_now().await;
        }
        for expected in [1, 2, 3] {
            assert_eq!(hand.advance_to_next(), Some(Duration::from_secs(1)));
            assert_eq!(woken.recv().await, Some(expected));
        }
        assert_eq!(hand.advance_to_next(), None);
    }

    #[tokio::test]
    async fn a_timeout_gives_the_output_or_says_how_long_it_waited() {
        let (clock, hand) = Clock::manual(noon());
        assert_eq!(clock.timeout(Duration::ZERO, async { 7 }).await, Ok(7));
        let limit = Duration::from_secs(20);
        let waiting = clock.timeout(limit, std::future::pending::<()>());
        let (outcome, ()) = tokio::join!(waiting, async { hand.advance(limit) });
        assert_eq!(outcome, Err(Elapsed { limit }));
    }

    #[tokio::test]
    async fn an_abandoned_sleep_leaves_nothing_behind() {
        let (clock, hand) = Clock::manual(noon());
        for _ in 0..100 {
            let done = clock.timeout(Duration::from_mins(1), tokio::task::yield_now());
            done.await.unwrap();
        }
        assert_eq!(hand.sleepers_count(), 0);
    }

    #[tokio::test]
    async fn the_system_clock_sleeps_at_least_as_long_as_asked() {
        let clock = Clock::system();
        let before = clock.monotonic();
        clock.sleep(Duration::from_millis(5)).await;
        assert!(clock.monotonic() >= before + Duration::from_millis(5));
        assert!(
            clock
                .timeout(Duration::from_millis(1), std::future::pending::<()>())
                .await
                .is_err()
        );
    }
}
