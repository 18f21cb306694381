//! The limits and pauses of processing.

use std::time::Duration;

use chrono::TimeDelta;
use weir_runtime::{Random, Reader};
use weir_three_rivers::CALL_TIMEOUT;

/// How much longer than a call a lease must last for the call to be begun.
const LEASE_MARGIN: Duration = Duration::from_secs(2);

/// Limits and pauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessOptions {
    /// How long a call may take; what the platform's client is set to.
    pub call_timeout: Duration,
    /// How long a lease lasts; at least 2 s more than a call.
    pub lease: Duration,
    /// How many attempts are made before a detail is given up. An attempt is up to three calls.
    pub attempts_max: u32,
    /// The pause before the second attempt; it doubles with each.
    pub retry_first: Duration,
    /// The longest pause between two attempts.
    pub retry_max: Duration,
    /// For how long the platform surely remembers a key.
    pub key_valid: Duration,
    /// How long a refund waits for its charge.
    pub charge_wait: Duration,
    /// Calls under way at the same time in one process.
    pub calls_max: usize,
}

impl Default for ProcessOptions {
    fn default() -> Self {
        Self {
            call_timeout: CALL_TIMEOUT,
            lease: Duration::from_secs(90),
            attempts_max: 12,
            retry_first: Duration::from_mins(1),
            retry_max: Duration::from_hours(1),
            key_valid: Duration::from_hours(24),
            charge_wait: Duration::from_hours(72),
            calls_max: 32,
        }
    }
}

impl ProcessOptions {
    /// Reads `WEIR_CALL_TIMEOUT` (20 s), `WEIR_LEASE` (90 s), `WEIR_ATTEMPTS_MAX` (12),
    /// `WEIR_RETRY_FIRST` (60 s), `WEIR_RETRY_MAX` (3 600 s), `WEIR_KEY_VALID` (86 400 s),
    /// `WEIR_CHARGE_WAIT` (259 200 s) and `WEIR_CALLS_MAX` (32), all optional.
    pub fn read(reader: &mut Reader) -> Self {
        let options = Self {
            call_timeout: reader.seconds("WEIR_CALL_TIMEOUT", 20, 1..=60),
            lease: reader.seconds("WEIR_LEASE", 90, 3..=900),
            attempts_max: u32::try_from(reader.integer_in("WEIR_ATTEMPTS_MAX", 12, 1..=50))
                .unwrap_or(12),
            retry_first: reader.seconds("WEIR_RETRY_FIRST", 60, 1..=3_600),
            retry_max: reader.seconds("WEIR_RETRY_MAX", 3_600, 1..=86_400),
            key_valid: reader.seconds("WEIR_KEY_VALID", 86_400, 60..=2_592_000),
            charge_wait: reader.seconds("WEIR_CHARGE_WAIT", 259_200, 1..=2_592_000),
            calls_max: usize::try_from(reader.integer_in("WEIR_CALLS_MAX", 32, 1..=1_000))
                .unwrap_or(32),
        };
        // Otherwise no call could ever be begun within its lease.
        if options.lease < options.call_timeout + LEASE_MARGIN {
            reader.problem(
                "WEIR_LEASE",
                "at least 2 seconds more than WEIR_CALL_TIMEOUT",
            );
        }
        options
    }

    /// How long a lease must still last for a call to be begun.
    pub(super) fn call_needs(&self) -> Duration {
        self.call_timeout + Duration::from_secs(1)
    }

    pub(super) fn lease(&self) -> TimeDelta {
        delta(self.lease)
    }

    /// For how long after its first call a key is used again: what is surely valid, less room for
    /// a call to be made and for clocks to differ.
    pub(super) fn key_usable(&self) -> TimeDelta {
        delta(self.key_valid.saturating_sub(self.key_valid / 20))
    }

    pub(super) fn charge_wait(&self) -> TimeDelta {
        delta(self.charge_wait)
    }

    /// The pause before the next attempt after `failures` failed ones: from half of the doubled
    /// first pause to the whole of it, so that details that failed together come apart.
    pub(super) fn retry_pause(&self, failures: u32, random: &Random) -> TimeDelta {
        let doubled = self
            .retry_first
            .saturating_mul(1 << failures.saturating_sub(1).min(20));
        let whole = doubled.min(self.retry_max);
        delta(whole / 2 + random.jitter(whole / 2))
    }

    /// The pause of a refund that has waited so long already: as long again, from 2 s to 15
    /// minutes.
    pub(super) fn charge_pause(waited: TimeDelta) -> TimeDelta {
        waited.clamp(TimeDelta::seconds(2), TimeDelta::minutes(15))
    }
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_used_for_the_last_twentieth_of_its_time() {
        let usable = ProcessOptions::default().key_usable();
        assert_eq!(usable, TimeDelta::minutes(24 * 60 - 72));
    }

    #[test]
    fn the_pause_between_attempts_doubles_from_one_minute_to_one_hour() {
        let options = ProcessOptions::default();
        let random = Random::seeded(1);
        for (failures, most) in [
            (1, 60),
            (2, 120),
            (3, 240),
            (6, 1_920),
            (7, 3_600),
            (12, 3_600),
        ] {
            for _ in 0..50 {
                let pause = options.retry_pause(failures, &random).num_seconds();
                assert!((most / 2..=most).contains(&pause), "{failures}: {pause}");
            }
        }
    }

    #[test]
    fn a_refund_waits_as_long_again_as_it_has_waited_up_to_fifteen_minutes() {
        for (waited, pause) in [(0, 2), (2, 2), (3, 3), (899, 899), (900, 900), (901, 900)] {
            let paused = ProcessOptions::charge_pause(TimeDelta::seconds(waited));
            assert_eq!(paused, TimeDelta::seconds(pause), "{waited}");
        }
    }

    #[test]
    fn a_lease_shorter_than_a_call_is_refused_at_the_start() {
        let read = |lease: &str| {
            let vars = [("WEIR_CALL_TIMEOUT", "5"), ("WEIR_LEASE", lease)];
            let mut reader = Reader::new(vars.map(|(k, v)| (k.to_owned(), v.to_owned())));
            ProcessOptions::read(&mut reader);
            reader.finish()
        };
        assert!(read("6").is_err());
        assert!(read("7").is_ok());
        assert!(read("8").is_ok());
    }
}
