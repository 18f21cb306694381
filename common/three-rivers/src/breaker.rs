//! Keeps calls back while the platform is down, and for as long as it asks for.
//!
//! ```text
//!            a run of failures                the pause is over: one probe
//!   Closed ───────────────────▶ Open ───────────────────────────────▶ Probing
//!     ▲                          ▲        the probe failed: longer        │
//!     │                          └────────────────────────────────────────┤
//!     └──────────────────────────────────── the probe was answered ───────┘
//! ```
//!
//! Any answer below 500 is a sign of life, a refusal too. Signs of failure are 5xx, the lack of an
//! answer, and an answer that the platform does not give: what stands in front of it then speaks in
//! its place, and would turn every detail into an error. A pause that the platform asked for with
//! `Retry-After` is kept beside that, whatever the state.
//!
//! Invariants: at most one probe is under way; a call that was let through before the last change of
//! state changes nothing any more; a pause never outlasts [`BreakerOptions::pause_max`], also when the
//! clock is set back; a [`Pass`] that is dropped without a report gives its place to the next.
//!
//! There is one for each set of credentials, and [`Breakers`] keeps them: one seller's wrong account
//! must not stop another's. It is state of a process, not shared between processes: each finds out for
//! itself, at the cost of a few calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use weir_runtime::Random;

use crate::answer::{Answer, FailureReason, Meaning};
use crate::credentials::ApiKey;

/// How long others wait while a probe is under way.
pub const PROBE_WAIT: Duration = Duration::from_secs(1);
/// Most sets of credentials whose breakers are kept; more share nothing but each process's patience.
pub const BREAKERS_MAX: usize = 10_000;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerOptions {
    /// How many failures in a row open it; at least 1 is meant by 0.
    pub failures_max: u32,
    /// The first pause. Each failed probe doubles it.
    pub pause_first: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures_max: 8,
            pause_first: Duration::from_secs(5),
            pause_max: Duration::from_mins(5),
        }
    }
}

/// What a call says about the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It answers.
    Alive,
    /// It does not, or not as itself.
    Failing,
}

impl Sign {
    /// What an answer says.
    pub fn of<T>(meaning: &Meaning<T>) -> Self {
        match meaning {
            Meaning::Accepted(_) | Meaning::Refused(_) | Meaning::CredentialsRefused(_) => {
                Self::Alive
            }
            Meaning::UnexpectedResponse(_) => Self::Failing,
            Meaning::Transient(failure) => match failure.reason {
                FailureReason::TooManyRequests | FailureReason::NotReady => Self::Alive,
                FailureReason::NotSent
                | FailureReason::TimedOut
                | FailureReason::Cut
                | FailureReason::ServerError => Self::Failing,
            },
        }
    }
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// No call passes before this time; the next one is a probe.
    Open {
        /// When the pause is over.
        until: DateTime<Utc>,
    },
    /// One call is under way to find out.
    Probing,
}

/// A change of state, to be logged and counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerChange {
    /// It opened, or opened again after a probe.
    Opened {
        /// When the pause is over.
        until: DateTime<Utc>,
    },
    /// It closed.
    Closed,
}

/// Whether a call may be made.
#[derive(Debug)]
pub enum Passage {
    /// It may. The pass takes the report of what came of it.
    Pass(Pass),
    /// Not before `until`; it is later than the time that was asked at, or equal to it.
    Wait {
        /// When to ask again.
        until: DateTime<Utc>,
    },
}

/// A time span that ends at `until` and began at `since`.
#[derive(Debug, Clone, Copy)]
struct Pause {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Pause {
    fn new(now: DateTime<Utc>, length: Duration) -> Self {
        let length = TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
        Self {
            since: now,
            until: now
                .checked_add_signed(length)
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
        }
    }

    /// The same length from now, when the clock was set back to before its beginning.
    fn after_set_back(self, now: DateTime<Utc>) -> Self {
        if now >= self.since {
            return self;
        }
        let length = (self.until - self.since).to_std().unwrap_or_default();
        Self::new(now, length)
    }
}

#[derive(Debug)]
enum Phase {
    Closed { failures: u32 },
    Open(Pause),
    Probing,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Changes with the phase: tells reports of this phase from late ones.
    generation: u64,
    /// The whole length of the next pause, before jitter.
    next_pause: Duration,
    /// What the platform asked for.
    asked: Option<Pause>,
}

#[derive(Debug)]
struct Shared {
    options: BreakerOptions,
    random: Random,
    state: Mutex<State>,
}

/// The breaker of one set of credentials. Clones are the same breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    shared: Arc<Shared>,
}

impl Breaker {
    /// A closed breaker; `random` jitters its pauses.
    pub fn new(options: BreakerOptions, random: Random) -> Self {
        let state = State {
            phase: Phase::Closed { failures: 0 },
            generation: 0,
            next_pause: options.pause_first.min(options.pause_max),
            asked: None,
        };
        Self {
            shared: Arc::new(Shared {
                options,
                random,
                state: Mutex::new(state),
            }),
        }
    }

    /// Asks for a call to be let through.
    pub fn try_pass(&self, now: DateTime<Utc>) -> Passage {
        let mut state = self.lock();
        state.asked = state
            .asked
            .map(|pause| pause.after_set_back(now))
            .filter(|pause| now < pause.until);
        if let Some(asked) = state.asked {
            return Passage::Wait { until: asked.until };
        }
        match &mut state.phase {
            Phase::Closed { .. } => {}
            Phase::Open(pause) => {
                *pause = pause.after_set_back(now);
                if now < pause.until {
                    return Passage::Wait { until: pause.until };
                }
                state.enter(Phase::Probing);
            }
            Phase::Probing => {
                let until = Pause::new(now, PROBE_WAIT).until;
                return Passage::Wait { until };
            }
        }
        Passage::Pass(Pass {
            breaker: self.clone(),
            generation: state.generation,
            is_reported: false,
        })
    }

    /// Until when nothing passes, if that is so now. Asks nothing of the breaker: no probe is begun.
    pub fn wait_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let state = self.lock();
        let asked = state.asked.map(|pause| pause.after_set_back(now).until);
        let phase = match &state.phase {
            Phase::Closed { .. } => None,
            Phase::Open(pause) => Some(pause.after_set_back(now).until),
            Phase::Probing => Some(Pause::new(now, PROBE_WAIT).until),
        };
        asked.max(phase).filter(|until| now < *until)
    }

    /// Lets nothing through for `wait` from now, as the platform asked. A shorter one changes nothing.
    pub fn pause_for(&self, now: DateTime<Utc>, wait: Duration) {
        let pause = Pause::new(now, wait);
        let mut state = self.lock();
        let asked = state.asked.map(|asked| asked.after_set_back(now));
        if asked.is_none_or(|asked| asked.until < pause.until) {
            state.asked = Some(pause);
        }
    }

    /// Where it stands.
    pub fn state(&self) -> BreakerState {
        match &self.lock().phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open(pause) => BreakerState::Open { until: pause.until },
            Phase::Probing => BreakerState::Probing,
        }
    }

    fn report(&self, generation: u64, sign: Sign, now: DateTime<Utc>) -> Option<BreakerChange> {
        let mut state = self.lock();
        if generation != state.generation {
            return None;
        }
        match (&mut state.phase, sign) {
            (Phase::Closed { failures }, Sign::Alive) => {
                *failures = 0;
                None
            }
            (Phase::Closed { failures }, Sign::Failing) => {
                *failures = failures.saturating_add(1);
                (*failures >= self.shared.options.failures_max).then(|| self.open(&mut state, now))
            }
            (Phase::Probing, Sign::Alive) => {
                state.next_pause = self.first_pause();
                state.enter(Phase::Closed { failures: 0 });
                Some(BreakerChange::Closed)
            }
            (Phase::Probing, Sign::Failing) => Some(self.open(&mut state, now)),
            // No pass is of the time that it is open.
            (Phase::Open(_), _) => None,
        }
    }

    fn open(&self, state: &mut State, now: DateTime<Utc>) -> BreakerChange {
        let whole = state.next_pause;
        state.next_pause = whole.saturating_mul(2).min(self.shared.options.pause_max);
        // Half of it is certain; the other half keeps processes from probing all at once.
        let half = whole / 2;
        let pause = Pause::new(now, half + self.shared.random.jitter(half));
        state.enter(Phase::Open(pause));
        BreakerChange::Opened { until: pause.until }
    }

    fn first_pause(&self) -> Duration {
        let options = &self.shared.options;
        options.pause_first.min(options.pause_max)
    }

    /// A probe that nobody will report: the next call probes.
    fn abandoned(&self, generation: u64) {
        let mut state = self.lock();
        if generation == state.generation && matches!(state.phase, Phase::Probing) {
            let over = Pause {
                since: DateTime::<Utc>::MIN_UTC,
                until: DateTime::<Utc>::MIN_UTC,
            };
            state.enter(Phase::Open(over));
        }
    }

    fn is_idle(&self) -> bool {
        let state = self.lock();
        state.asked.is_none() && matches!(state.phase, Phase::Closed { failures: 0 })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic halfway through a change.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation = self.generation.wrapping_add(1);
    }
}

/// Leave to make one call. Dropping it without a report counts as nothing having been learnt.
#[derive(Debug)]
#[must_use = "what came of the call must be reported"]
pub struct Pass {
    breaker: Breaker,
    generation: u64,
    is_reported: bool,
}

impl Pass {
    /// Reports what came of the call, and keeps a pause that the answer asks for.
    pub fn report<T>(self, answer: &Answer<T>, now: DateTime<Utc>) -> Option<BreakerChange> {
        if let Some(wait) = answer.retry_after {
            self.breaker.pause_for(now, wait);
        }
        self.report_sign(Sign::of(&answer.meaning), now)
    }

    /// Reports a sign alone.
    pub fn report_sign(mut self, sign: Sign, now: DateTime<Utc>) -> Option<BreakerChange> {
        self.is_reported = true;
        self.breaker.report(self.generation, sign, now)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.is_reported {
            self.breaker.abandoned(self.generation);
        }
    }
}

/// The breakers of a process: one for each set of credentials. Clones share them.
#[derive(Debug, Clone)]
pub struct Breakers {
    options: BreakerOptions,
    random: Random,
    by_fingerprint: Arc<Mutex<HashMap<[u8; 32], Breaker>>>,
}

impl Breakers {
    /// None yet; each begins closed.
    pub fn new(options: BreakerOptions, random: Random) -> Self {
        Self {
            options,
            random,
            by_fingerprint: Arc::default(),
        }
    }

    /// The breaker of these credentials. Where [`BREAKERS_MAX`] are kept, those that hold nothing back
    /// and have seen no failure are forgotten first; if none is, the new one is not kept.
    pub fn of(&self, credentials: &ApiKey) -> Breaker {
        let mut kept = self
            .by_fingerprint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let fingerprint = credentials.fingerprint();
        if let Some(breaker) = kept.get(&fingerprint) {
            return breaker.clone();
        }
        let breaker = Breaker::new(self.options.clone(), self.random.clone());
        if kept.len() >= BREAKERS_MAX {
            kept.retain(|_, breaker| !breaker.is_idle());
        }
        if kept.len() < BREAKERS_MAX {
            kept.insert(fingerprint, breaker.clone());
        }
        breaker
    }
}

#[cfg(test)]
mod tests;
