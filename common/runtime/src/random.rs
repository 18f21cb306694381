//! Randomness, as everything else takes it.
//!
//! A [`Random`] draws either from the operating system or from a seed. The same seed gives the same
//! numbers in the same order within one build; clones share the sequence. The operating system is
//! asked for every number and no state is kept in the process, so copies of a process that was
//! snapshotted after its start never draw the same identifiers.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::rand_core::UnwrapErr;
use rand::rngs::StdRng;
#[expect(clippy::disallowed_types, reason = "the one place that draws")]
use rand::rngs::SysRng;
use rand::{Rng, RngExt, SeedableRng};
use uuid::{Builder, Uuid};

/// A source of random numbers. Clones share it.
#[derive(Clone)]
pub struct Random(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

impl Random {
    /// Draws from the operating system. A draw panics when the operating system has no randomness
    /// to give: an identifier must never be guessable instead.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Draws from a sequence that `seed` fixes. For tests and simulations only.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(
            seed,
        )))))
    }

    /// Any number, all equally likely.
    pub fn u64(&self) -> u64 {
        self.draw(|rng| rng.next_u64())
    }

    /// A number from 0 to `n` - 1, all equally likely; 0 when `n` is 0.
    pub fn below(&self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        self.draw(|rng| rng.random_range(0..n))
    }

    /// A duration from zero to `max`, both included, in whole nanoseconds. Beyond 584 years `max`
    /// counts as 584 years.
    pub fn jitter(&self, max: Duration) -> Duration {
        let nanos_max = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.draw(|rng| rng.random_range(0..=nanos_max)))
    }

    /// A UUID of version 7 that carries `now` in milliseconds, so that identifiers sort by the time
    /// they were made. Times before 1970 count as 1970.
    pub fn uuid_v7(&self, now: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let mut bytes = [0; 10];
        self.draw(|rng| rng.fill_bytes(&mut bytes));
        Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    /// A UUID of version 4: 122 random bits, nothing else.
    pub fn uuid_v4(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.draw(|rng| rng.fill_bytes(&mut bytes));
        Builder::from_random_bytes(bytes).into_uuid()
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut dyn Rng) -> T) -> T {
        match &self.0 {
            Source::System => draw(&mut UnwrapErr(SysRng)),
            Source::Seeded(rng) => {
                // A draw leaves the generator whole whatever happens around it.
                draw(&mut *rng.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Source::System => "Random(system)",
            Source::Seeded(_) => "Random(seeded)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_seed_gives_the_same_sequence_and_another_seed_another() {
        let draw = |seed| {
            let random = Random::seeded(seed);
            (random.u64(), random.uuid_v4(), random.below(1_000_000))
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn clones_share_one_sequence() {
        let random = Random::seeded(1);
        let other = random.clone();
        assert_ne!(random.u64(), other.u64());
    }

    #[test]
    fn below_zero_and_below_one_are_zero() {
        let random = Random::seeded(3);
        assert_eq!((random.below(0), random.below(1)), (0, 0));
    }

    #[test]
    fn jitter_reaches_both_of_its_ends() {
        let random = Random::seeded(3);
        let drawn: std::collections::BTreeSet<_> = (0..100)
            .map(|_| random.jitter(Duration::from_nanos(2)).as_nanos())
            .collect();
        assert_eq!(drawn, [0, 1, 2].into());
        assert_eq!(random.jitter(Duration::ZERO), Duration::ZERO);
        let _ = random.jitter(Duration::MAX);
    }

    #[test]
    fn identifiers_have_the_right_version_and_carry_the_time() {
        let random = Random::system();
        let now = DateTime::from_timestamp_millis(1_795_348_800_123).unwrap();
        let id = random.uuid_v7(now);
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.as_u128() >> 80, 1_795_348_800_123);
        assert_eq!(random.uuid_v4().get_version_num(), 4);
        assert_ne!(random.uuid_v4(), random.uuid_v4());
        let ancient = random.uuid_v7(DateTime::<Utc>::MIN_UTC);
        assert_eq!(ancient.as_u128() >> 80, 0);
    }

    proptest! {
        #[test]
        fn a_number_below_n_is_below_n(seed: u64, n in 1_u64..) {
            prop_assert!(Random::seeded(seed).below(n) < n);
        }

        #[test]
        fn jitter_never_passes_its_maximum(seed: u64, nanos: u64) {
            let max = Duration::from_nanos(nanos);
            prop_assert!(Random::seeded(seed).jitter(max) <= max);
        }

        #[test]
        fn later_identifiers_sort_after_earlier_ones(seed: u64, millis in 0_i64..4_000_000_000_000, later in 1_i64..1_000_000) {
            let random = Random::seeded(seed);
            let at = |millis| DateTime::from_timestamp_millis(millis).unwrap();
            prop_assert!(random.uuid_v7(at(millis)) < random.uuid_v7(at(millis + later)));
        }
    }
}
