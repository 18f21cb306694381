//! Keys that lie in a secret and are read while the function runs.
//!
//! When it is read ([`Reads::are_due`]):
//!
//! | occasion | who waits for it |
//! | --- | --- |
//! | nothing has been read yet, or the client's key is not in it | those who need that key |
//! | 3Rivers refused a key | whoever sent it |
//! | what is known is older than its limit | no call: all go on with what is known, and after [`REFRESH_MAX`] it is given up |
//!
//! Invariants: one read at a time, and none sooner than [`READS_APART`] after the last has ended, however
//! it ended (after its beginning, if it was given up) and whoever asks: a storm of refusals is not passed
//! on to Secrets Manager. What was read stays in use for as long as nothing newer could be. A text with a fault takes no key away: what is right of it
//! counts, beside what was known of all other clients.
//!
//! A refusal by 3Rivers stands when the secret was seen, after the call had begun, to hold that key
//! still; then it stands for whoever else meets it until the secret is read again. Before that it says
//! nothing about the detail: the key may have been changed a moment ago.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use weir_domain::ClientId;
use weir_runtime::{Clock, Metric, Metrics, Secrets};
use weir_three_rivers::ApiKey;

use super::keys::{Keys, parse};
use super::{AfterRefusal, Mark, NoKey};

/// For how long after a read there is no other.
pub(super) const READS_APART: TimeDelta = TimeDelta::seconds(10);

/// For how long a read may go on that no call waits for: the invocation does not end before it.
const REFRESH_MAX: Duration = Duration::from_secs(2);

const STAYS: &str = "the 3Rivers keys could not be read: those that are known stay in use";

/// The keys of a secret.
#[derive(Debug)]
pub(super) struct SecretKeys {
    secrets: Secrets,
    id: String,
    age_max: TimeDelta,
    clock: Clock,
    metrics: Metrics,
    known: Mutex<Known>,
    /// Held by whoever reads.
    turn: tokio::sync::Mutex<()>,
}

/// What is known of the secret.
#[derive(Debug, Default)]
struct Known {
    /// Absent until a text could be understood, in part at least.
    keys: Option<BTreeMap<ClientId, ApiKey>>,
    reads: Reads,
    /// Fingerprints of keys whose refusal stands, by what the last whole read gave.
    refused: BTreeSet<[u8; 32]>,
}

/// When the secret was read.
#[derive(Debug, Clone, Default)]
struct Reads {
    /// How many were begun.
    begun: u64,
    /// Which of them was the last to give a text without fault; 0 for none.
    whole: u64,
    /// When the last began, or ended.
    last_at: Option<DateTime<Utc>>,
    /// When the last began that gave a text without fault.
    whole_at: Option<DateTime<Utc>>,
}

/// What a read is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// What is known may be old.
    Fresh,
    /// Work waits for it.
    Key,
}

impl Reads {
    /// Whether the secret is to be read now. A clock that was set back holds nothing up.
    fn are_due(&self, need: Need, now: DateTime<Utc>, age_max: TimeDelta) -> bool {
        let is_past = |at: Option<DateTime<Utc>>, length: TimeDelta| {
            at.is_none_or(|at| now < at || now - at >= length)
        };
        is_past(self.last_at, READS_APART) && (need == Need::Key || is_past(self.whole_at, age_max))
    }

    /// A read begins. Its number.
    fn begin(&mut self, now: DateTime<Utc>) -> u64 {
        self.begun += 1;
        self.last_at = Some(now);
        self.begun
    }

    /// A read has ended that began at `began`.
    fn end(&mut self, number: u64, began: DateTime<Utc>, now: DateTime<Utc>, is_whole: bool) {
        self.last_at = Some(now);
        if is_whole {
            self.whole = number;
            self.whole_at = Some(began);
        }
    }
}

impl SecretKeys {
    pub(super) fn new(
        secrets: Secrets,
        id: String,
        age_max: Duration,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self {
            secrets,
            id,
            age_max: TimeDelta::from_std(age_max).unwrap_or(TimeDelta::MAX),
            clock,
            metrics,
            known: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(super) async fn of(&self, client: ClientId) -> Result<ApiKey, NoKey> {
        if let Some(key) = self.known().key(client) {
            return Ok(key);
        }
        self.read(Need::Key).await;
        let known = self.known();
        match (known.key(client), &known.keys) {
            (Some(key), _) => Ok(key),
            (None, Some(_)) => Err(NoKey::OfClient(client)),
            (None, None) => Err(NoKey::Unread),
        }
    }

    pub(super) async fn keep_fresh(&self) {
        // Without any keys the work waits for this very read.
        if self.known().keys.is_none() {
            return self.read(Need::Fresh).await;
        }
        // A read that is dropped gives its turn back, and its beginning keeps the next one apart.
        let refresh = self.read(Need::Fresh);
        if self.clock.timeout(REFRESH_MAX, refresh).await.is_err() {
            self.metrics.count(Metric::CredentialsUnread, 1);
            tracing::error!("{STAYS}: no answer in time");
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.known().reads.begun)
    }

    pub(super) async fn after_refusal(
        &self,
        client: ClientId,
        refused: &ApiKey,
        mark: Mark,
    ) -> AfterRefusal {
        if let Some(known) = self.known().after_refusal(client, refused, mark) {
            return known;
        }
        self.read(Need::Key).await;
        let mut known = self.known();
        if let Some(known) = known.after_refusal(client, refused, mark) {
            return known;
        }
        if known.refused.contains(&refused.fingerprint()) {
            return AfterRefusal::Stands;
        }
        AfterRefusal::Open
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the secret if that is due.
    async fn read(&self, need: Need) {
        let turn = match need {
            Need::Fresh => self.turn.try_lock().ok(),
            Need::Key => Some(self.turn.lock().await),
        };
        // Somebody else is at it, and it is not waited for.
        let Some(_turn) = turn else {
            return;
        };
        let began = self.clock.now();
        let number = {
            let mut known = self.known();
            // Whoever had the turn before may just have read it.
            if !known.reads.are_due(need, began, self.age_max) {
                return;
            }
            known.reads.begin(began)
        };
        let keys = self.ask().await;
        let mut known = self.known();
        let is_whole = keys.as_ref().is_some_and(|keys| keys.faults.is_empty());
        known.reads.end(number, began, self.clock.now(), is_whole);
        if let Some(keys) = keys
            && known.take(keys)
        {
            let clients = known.keys.as_ref().map_or(0, BTreeMap::len);
            tracing::info!(clients, "the 3Rivers keys are others now");
        }
    }

    /// What the secret holds, if it is to be had; what is wrong is told here.
    async fn ask(&self) -> Option<Keys> {
        let keys = match self.secrets.read(&self.id).await {
            Ok(text) => parse(&text)
                .inspect_err(|error| tracing::error!(%error, "{STAYS}"))
                .ok(),
            Err(error) => {
                tracing::error!(%error, "{STAYS}");
                None
            }
        };
        for fault in keys.iter().flat_map(|keys| &keys.faults) {
            tracing::error!(%fault, "the secret with the 3Rivers keys has a fault");
        }
        if keys.as_ref().is_none_or(|keys| !keys.faults.is_empty()) {
            self.metrics.count(Metric::CredentialsUnread, 1);
        }
        keys
    }
}

impl Known {
    fn key(&self, client: ClientId) -> Option<ApiKey> {
        self.keys.as_ref()?.get(&client).cloned()
    }

    /// What a refusal means by what is known already.
    fn after_refusal(
        &mut self,
        client: ClientId,
        refused: &ApiKey,
        mark: Mark,
    ) -> Option<AfterRefusal> {
        let key = self.key(client)?;
        if key.fingerprint() != refused.fingerprint() {
            return Some(AfterRefusal::Another(key));
        }
        (self.reads.whole > mark.0).then(|| {
            self.refused.insert(refused.fingerprint());
            AfterRefusal::Stands
        })
    }

    /// Takes what was read. Whether that changes anything.
    fn take(&mut self, read: Keys) -> bool {
        let mut keys = read.by_client;
        if read.faults.is_empty() {
            self.refused.clear();
        } else {
            // Nothing of it is right: that is no secret with keys.
            if keys.is_empty() && self.keys.is_none() {
                return false;
            }
            for (client, key) in self.keys.iter().flatten() {
                keys.entry(*client).or_insert_with(|| key.clone());
            }
        }
        let prints = |keys: &BTreeMap<ClientId, ApiKey>| -> Vec<_> {
            let each = keys.iter();
            each.map(|(client, key)| (*client, key.fingerprint()))
                .collect()
        };
        let is_other = self.keys.as_ref().map(prints) != Some(prints(&keys));
        self.keys = Some(keys);
        is_other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AGE_MAX: TimeDelta = TimeDelta::seconds(300);

    #[derive(Debug, Clone)]
    enum Step {
        Passes(u64),
        Wants(Need),
        Ends { is_whole: bool },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let need = prop_oneof![Just(Need::Fresh), Just(Need::Key)];
        let step = prop_oneof![
            (0..400_u64).prop_map(Step::Passes),
            (0..12_u64).prop_map(Step::Passes),
            need.prop_map(Step::Wants),
            any::<bool>().prop_map(|is_whole| Step::Ends { is_whole }),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        /// The rule, with the turn that only one has: whoever wants while a read is under way gets none.
        #[test]
        fn reads_are_apart_and_what_is_old_or_missing_is_read_as_soon_as_that_allows(
            steps in steps(),
        ) {
            let start = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
            let (clock, manual) = Clock::manual(start);
            let mut reads = Reads::default();
            let mut under_way: Option<(u64, DateTime<Utc>)> = None;
            let mut last: Option<DateTime<Utc>> = None;
            let mut whole: Option<DateTime<Utc>> = None;
            for step in steps {
                let now = clock.now();
                match step {
                    Step::Passes(seconds) => manual.advance(Duration::from_secs(seconds)),
                    Step::Wants(need) if under_way.is_none() => {
                        let is_apart = last.is_none_or(|last| now - last >= READS_APART);
                        let is_wanted = need == Need::Key
                            || whole.is_none_or(|whole| now - whole >= AGE_MAX);
                        prop_assert_eq!(reads.are_due(need, now, AGE_MAX), is_apart && is_wanted);
                        if is_apart && is_wanted {
                            under_way = Some((reads.begin(now), now));
                            last = Some(now);
                        }
                    }
                    Step::Ends { is_whole } if under_way.is_some() => {
                        let (number, began) = under_way.take().unwrap();
                        reads.end(number, began, now, is_whole);
                        last = Some(now);
                        if is_whole {
                            whole = Some(began);
                            prop_assert_eq!(reads.whole, reads.begun);
                        }
                    }
                    Step::Wants(_) | Step::Ends { .. } => {}
                }
                prop_assert!(reads.whole <= reads.begun);
            }
        }

        #[test]
        fn a_clock_that_is_set_back_keeps_nobody_from_reading(back in 1..100_000_i64) {
            let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
            let mut reads = Reads::default();
            let number = reads.begin(now);
            reads.end(number, now, now, true);
            let earlier = now - TimeDelta::seconds(back);
            prop_assert!(reads.are_due(Need::Fresh, earlier, AGE_MAX));
        }
    }

    #[test]
    fn the_limits_hold_to_the_second() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let mut reads = Reads::default();
        assert!(reads.are_due(Need::Fresh, now, AGE_MAX));
        let number = reads.begin(now);
        reads.end(number, now, now, true);
        for (seconds, need, is_due) in [
            (9, Need::Key, false),
            (10, Need::Key, true),
            (11, Need::Key, true),
            (299, Need::Fresh, false),
            (300, Need::Fresh, true),
            (301, Need::Fresh, true),
        ] {
            let later = now + TimeDelta::seconds(seconds);
            assert_eq!(reads.are_due(need, later, AGE_MAX), is_due, "{seconds}");
        }
    }
}
