//! One detail's calls: up to three quick ones under the same idempotency key, within its lease.
//!
//! Where 3Rivers refuses the client's API key and the client has another one by now, the next call is made with
//! that, and at once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use weir_runtime::Metric;
use weir_store::{Call, Detail, Lease, Outcome};
use weir_three_rivers::{
    Answer, ApiKey, BreakerChange, CreateRequest, Created, FailureReason, IdempotencyKey, Meaning,
    Pass, Passage,
};

use super::outcome::Ended;
use super::{Group, Leased, Processor};
use crate::credentials::AfterRefusal;

/// Calls of one attempt.
const QUICK_CALLS_MAX: usize = 3;
/// How long the pauses between them may be in all.
const QUICK_PAUSES: Duration = Duration::from_secs(2);

/// What came of a leased detail.
pub(super) enum CallResult {
    /// An outcome to be recorded.
    Outcome(Box<Outcome>),
    /// Nothing was sent: the lease is to be given back, and the detail woken then.
    Released {
        /// The change that gives it back.
        lease: Box<Lease>,
        /// When to try again.
        until: DateTime<Utc>,
    },
}

impl Processor {
    /// Sends one leased detail, within the bound on calls, the lease and the time limit.
    pub(super) async fn send(&self, group: &Group<'_>, leased: Leased) -> CallResult {
        let body = leased.payload.sent_request(&leased.detail);
        let currency = leased.detail.currency;
        let request = match CreateRequest::new(leased.detail.transaction_type, body) {
            Ok(request) => request.in_currency(currency),
            Err(error) => {
                let ended = Ended::Malformed(error.to_string());
                return self.outcome(group, leased, Vec::new(), ended);
            }
        };
        // Nothing is leased without a key.
        let Ok(mut api_key) = group.key.clone() else {
            return released(&leased, self.clock.now());
        };
        let key = IdempotencyKey::of(leased.detail.id, leased.detail.request_version);
        let mut begun = None;
        let mut pauses_left = QUICK_PAUSES;
        let mut calls = Vec::new();
        let mut may_have_acted = leased.attempted_before.is_some();
        let mut last: Option<Answer<Created>> = None;
        let mut key_is_in_doubt = false;
        loop {
            // Closed only when the process ends.
            let Ok(permit) = self.calls.acquire().await else {
                break;
            };
            let pass = match self.may_call(group, &leased.detail, &api_key).await {
                Ok(pass) => pass,
                Err(until) if calls.is_empty() => return released(&leased, until),
                Err(_) => break,
            };
            let (at, mark) = (self.clock.now(), self.credentials.mark());
            let begun = *begun.get_or_insert_with(|| self.clock.monotonic());
            let answer = self
                .platform
                .create(&api_key, &request, &key, group.correlation_id)
                .await;
            self.note_breaker(pass.report(&answer, self.clock.now()));
            self.metrics
                .duration(Metric::PlatformCallTime, answer.duration);
            calls.push(call_record(at, &leased.detail, &answer));
            may_have_acted |= acted_perhaps(&answer);
            let pause = quick_pause(&answer, calls.len(), pauses_left, &self.random);
            let is_refused = matches!(answer.meaning, Meaning::CredentialsRefused(_));
            last = Some(answer);
            key_is_in_doubt = false;
            if is_refused {
                drop(permit);
                let client = group.batch.client_id;
                let after = self.credentials.after_refusal(client, &api_key, mark);
                match after.await {
                    AfterRefusal::Stands => break,
                    AfterRefusal::Another(other) if calls.len() < QUICK_CALLS_MAX => {
                        api_key = other;
                        key_is_in_doubt = true;
                        continue;
                    }
                    AfterRefusal::Another(_) | AfterRefusal::Open => {
                        key_is_in_doubt = true;
                        break;
                    }
                }
            }
            // A slow failure has used up the time for quick ones.
            let Some(pause) =
                pause.filter(|_| self.clock.monotonic().saturating_sub(begun) < QUICK_PAUSES)
            else {
                break;
            };
            drop(permit);
            pauses_left = pauses_left.saturating_sub(pause);
            self.clock.sleep(pause).await;
        }
        match last {
            Some(answer) => {
                let ended = Ended::of(answer, may_have_acted, key_is_in_doubt);
                self.outcome(group, leased, calls, ended)
            }
            None => released(&leased, self.clock.now()),
        }
    }

    /// Lets a call be begun now, or says when to try again.
    async fn may_call(
        &self,
        group: &Group<'_>,
        detail: &Detail,
        api_key: &ApiKey,
    ) -> Result<Pass, DateTime<Utc>> {
        if !group.watch.allows_call().await {
            return Err(self.clock.now());
        }
        if let Some(until) = self.not_now(group, detail) {
            return Err(until);
        }
        match self.breakers.of(api_key).try_pass(self.clock.now()) {
            Passage::Pass(pass) => Ok(pass),
            Passage::Wait { until, .. } => Err(until),
        }
    }

    /// When to try again if a call begun now could outlive the lease or the function.
    fn not_now(&self, group: &Group<'_>, detail: &Detail) -> Option<DateTime<Utc>> {
        let now = self.clock.now();
        let needed = self.options.call_needs();
        let lease_left = detail
            .lease_until
            .map_or(TimeDelta::zero(), |until| until - now);
        // Not with a key whose time has run out while the detail waited for its turn.
        let key_usable = detail
            .attempted_at
            .is_none_or(|at| now - at < self.options.key_usable());
        let fits = key_usable
            && lease_left.to_std().is_ok_and(|left| left >= needed)
            && group.limit.allows(needed);
        (!fits).then_some(now)
    }

    fn note_breaker(&self, change: Option<BreakerChange>) {
        match change {
            Some(BreakerChange::Opened { until }) => {
                self.metrics.count(Metric::BreakerOpen, 1);
                tracing::warn!(%until, "3Rivers keeps failing: calls pause");
            }
            Some(BreakerChange::Closed) => tracing::info!("3Rivers answers again"),
            None => {}
        }
    }
}

fn released(leased: &Leased, until: DateTime<Utc>) -> CallResult {
    let mut lease = Lease::of(&leased.detail);
    lease.after.lease_until = None;
    lease.after.attempted_at = leased.attempted_before;
    lease.after.next_attempt_at = Some(until);
    CallResult::Released {
        lease: Box::new(lease),
        until,
    }
}

/// Whether the platform may have made something that we have not been told of.
fn acted_perhaps(answer: &Answer<Created>) -> bool {
    match &answer.meaning {
        Meaning::Transient(failure) => match failure.reason {
            FailureReason::NotSent | FailureReason::TooManyRequests => false,
            FailureReason::TimedOut
            | FailureReason::Cut
            | FailureReason::NotReady
            | FailureReason::ServerError => true,
        },
        _ => false,
    }
}

/// How long to pause before another quick call, if there is to be one.
fn quick_pause(
    answer: &Answer<Created>,
    calls: usize,
    pauses_left: Duration,
    random: &weir_runtime::Random,
) -> Option<Duration> {
    let Meaning::Transient(_) = answer.meaning else {
        return None;
    };
    if calls >= QUICK_CALLS_MAX {
        return None;
    }
    let asked = answer.retry_after.unwrap_or_default();
    let pause = asked.max(random.jitter(QUICK_PAUSES / 4) * u32::try_from(calls).unwrap_or(1));
    (pause <= pauses_left).then_some(pause)
}

fn call_record(at: DateTime<Utc>, detail: &Detail, answer: &Answer<Created>) -> Call {
    let failure = match &answer.meaning {
        Meaning::Transient(failure) => Some(failure.to_string()),
        Meaning::UnexpectedResponse(unexpected) => Some(unexpected.to_string()),
        _ => None,
    };
    Call {
        at,
        duration_ms: u64::try_from(answer.duration.as_millis()).unwrap_or(u64::MAX),
        request_version: detail.request_version,
        response_status: answer.http_status,
        response: answer.response_body.as_deref().map(bounded),
        failure,
    }
}

/// Most bytes of an answer that are kept: three for each of 25 details, should nothing compress,
/// stay within the 4 MB of a transaction.
const RESPONSE_KEPT_BYTES_MAX: usize = 32 << 10;

fn bounded(body: &str) -> String {
    let end = body.floor_char_boundary(RESPONSE_KEPT_BYTES_MAX);
    body.get(..end).unwrap_or(body).to_owned()
}
