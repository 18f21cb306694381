//! A run of a request that has an `Idempotency-Key`: how it begins, and what becomes of its answer.

use std::time::Duration;

use axum::body::to_bytes;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use uuid::Uuid;
use weir_store::{
    ANSWER_BYTES_MAX, Answer, AnswerClaim, AnswerId, AnswerRecord, AnswerState, StoreError,
};

use super::{IdempotentRun, REPLAYED};
use crate::{Api, ApiError};

/// How long a request may run of which nobody has said how long: what the gateway waits for.
const WITHIN: Duration = Duration::from_secs(30);
/// How much longer a lease is than the time a run has, for clocks that are apart.
const LEASE_LONGER: Duration = Duration::from_secs(5);
/// In how many seconds, at most, a request that still runs is to be sent again.
const RETRY_SECONDS_MAX: u32 = 2;
/// How often a step is tried of which no answer comes, or that others come before.
const ATTEMPTS_MAX: u32 = 6;
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(400);
/// What belongs to one sending of an answer, and not to the answer.
const NOT_KEPT: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::TRANSFER_ENCODING,
    crate::CORRELATION_HEADER,
];

const OTHER_REQUEST: &str = "The Idempotency-Key was used for another request: send another key, or \
                             the same request.";
const STILL_RUNNING: &str = "The same request is being worked on: send it again in a moment.";

/// A run that has claimed its request.
#[derive(Debug)]
pub(super) struct Run {
    id: AnswerId,
    run: Uuid,
    told: IdempotentRun,
}

/// What a request begins with.
#[derive(Debug)]
pub(super) enum Begun {
    /// It is to run.
    Run(Run),
    /// It has run.
    Answered(Answer),
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// A repetition gets it again.
    Kept,
    /// A repetition runs again, and makes what this run may have made.
    GivenUp,
    /// It is as if the request had not been sent.
    Forgotten,
}

impl Run {
    /// What the handler should know.
    pub(super) fn told(&self) -> IdempotentRun {
        self.told
    }
}

impl Fate {
    fn of(status: StatusCode, headers: &HeaderMap, is_rerun: bool) -> Self {
        if status.is_server_error() {
            return Self::GivenUp;
        }
        match status.as_u16() {
            // An earlier run may have got further.
            401 | 403 | 413 | 415 | 429 if is_rerun => Self::GivenUp,
            401 | 403 | 413 | 415 | 429 => Self::Forgotten,
            _ if headers.contains_key(header::RETRY_AFTER) => Self::GivenUp,
            _ => Self::Kept,
        }
    }
}

impl Api {
    /// Claims a request, or finds what it was answered.
    pub(super) async fn begin(
        &self,
        id: AnswerId,
        fingerprint: [u8; 32],
        within: Option<Duration>,
    ) -> Result<Begun, ApiError> {
        let now = self.clock.now();
        let (run, seed) = (self.random.uuid_v4(), self.random.uuid_v7(now));
        let lease = within.unwrap_or(WITHIN).saturating_add(LEASE_LONGER);
        let lease = TimeDelta::from_std(lease).unwrap_or(TimeDelta::MAX);
        let mut last = None;
        for attempt in 0..ATTEMPTS_MAX {
            self.pause(attempt).await;
            let at = to_millis(self.clock.now());
            let claim = AnswerClaim {
                run,
                fingerprint,
                seed,
                at,
                lease_until: at.checked_add_signed(lease).unwrap_or(at),
            };
            let tried = match self.claim(&id, &claim).await {
                Ok(None) => continue, // others were faster
                Ok(Some(begun)) => begun,
                Err(ClaimError::Refused(error)) => return Err(error),
                Err(ClaimError::Store(error)) if error.is_transient() => {
                    last = Some(error);
                    continue;
                }
                Err(ClaimError::Store(error)) => return Err(error.into()),
            };
            return Ok(match tried {
                Claimed::Answered(answer) => Begun::Answered(answer),
                Claimed::Own(told) => Begun::Run(Run { id, run, told }),
            });
        }
        Err(last.map_or(ApiError::Unavailable, ApiError::from))
    }

    /// One attempt to claim a request; `None` when it has to be looked at again.
    async fn claim(
        &self,
        id: &AnswerId,
        claim: &AnswerClaim,
    ) -> Result<Option<Claimed>, ClaimError> {
        match self.store.claim_answer(id, claim).await {
            Ok(()) => {
                return Ok(Some(Claimed::Own(IdempotentRun {
                    seed: claim.seed,
                    first_at: claim.at,
                    is_rerun: false,
                })));
            }
            // Unsure: perhaps it took effect.
            Err(StoreError::Conflict { .. } | StoreError::Unavailable { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(found) = self.store.answer_record(id, claim.at).await? else {
            return Ok(None);
        };
        if found.fingerprint != claim.fingerprint {
            let conflict = ApiError::Conflict(OTHER_REQUEST.to_owned());
            return Err(ClaimError::Refused(conflict));
        }
        let told = IdempotentRun {
            seed: found.seed,
            first_at: found.first_at,
            is_rerun: found.seed != claim.seed,
        };
        match found.state {
            AnswerState::Answered(answer) => return Ok(Some(Claimed::Answered(answer))),
            // An earlier attempt's, whose answer was lost.
            AnswerState::Running(_) if found.run == claim.run => {
                return Ok(Some(Claimed::Own(told)));
            }
            AnswerState::Running(until) if claim.at < until => {
                return Err(ClaimError::Refused(busy(until, claim.at)));
            }
            AnswerState::Running(_) | AnswerState::GivenUp => {}
        }
        match self.store.take_over_answer(id, found.run, claim).await {
            Ok(()) => Ok(Some(Claimed::Own(IdempotentRun {
                is_rerun: true,
                ..told
            }))),
            Err(StoreError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps the answer of a run, or lets a repetition run again.
    pub(super) async fn end(&self, run: &Run, response: Response) -> Result<Response, ApiError> {
        let is_rerun = run.told.is_rerun;
        let fate = Fate::of(response.status(), response.headers(), is_rerun);
        if fate != Fate::Kept {
            self.let_go(run, fate).await;
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = match to_bytes(body, ANSWER_BYTES_MAX).await {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, "an answer is too long to be kept");
                self.let_go(run, Fate::GivenUp).await;
                return Err(ApiError::Internal);
            }
        };
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: kept(&parts.headers),
            body: body.clone(),
        };
        match self.keep(run, &answer).await? {
            None => Ok(Response::from_parts(parts, body.into())),
            Some(other) => replayed(other),
        }
    }

    /// Keeps an answer; gives the one that another run has kept before, if so.
    async fn keep(&self, run: &Run, answer: &Answer) -> Result<Option<Answer>, ApiError> {
        let mut last = None;
        for attempt in 0..ATTEMPTS_MAX {
            self.pause(attempt).await;
            let now = self.clock.now();
            let error = match self.store.keep_answer(&run.id, run.run, now, answer).await {
                Ok(()) => return Ok(None),
                Err(StoreError::Conflict { .. }) => {
                    match self.store.answer_record(&run.id, now).await {
                        Ok(found) => return found_instead(run, found, now),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            let is_transient = error.is_transient();
            last = Some(error);
            if !is_transient {
                break;
            }
        }
        self.let_go(run, Fate::GivenUp).await;
        Err(last.map_or(ApiError::Unavailable, ApiError::from))
    }

    /// Lets a repetition run again. Should this fail, it may once the lease has lapsed.
    async fn let_go(&self, run: &Run, fate: Fate) {
        let done = match fate {
            Fate::Forgotten => self.store.forget_answer(&run.id, run.run).await,
            Fate::Kept | Fate::GivenUp => self.store.release_answer(&run.id, run.run).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "a request stays claimed until its lease lapses");
        }
    }

    /// A jittered pause before another attempt; none before the first.
    async fn pause(&self, attempt: u32) {
        if attempt > 0 {
            let most = Duration::from_millis(10).saturating_mul(1 << attempt);
            let pause = self.random.jitter(most.min(PAUSE_MAX));
            self.clock.sleep(pause).await;
        }
    }
}

/// What one attempt to claim a request ends in.
#[derive(Debug)]
enum Claimed {
    Own(IdempotentRun),
    Answered(Answer),
}

#[derive(Debug)]
enum ClaimError {
    /// The request is not to run.
    Refused(ApiError),
    Store(StoreError),
}

impl From<StoreError> for ClaimError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What is there where a run may not keep its answer: its own one, of which it was not told; the one of
/// whoever took over; or it is not known yet which it will be.
fn found_instead(
    run: &Run,
    found: Option<AnswerRecord>,
    now: DateTime<Utc>,
) -> Result<Option<Answer>, ApiError> {
    let Some(found) = found else {
        return Err(ApiError::Unavailable);
    };
    match found.state {
        AnswerState::Answered(_) if found.run == run.run => Ok(None),
        AnswerState::Answered(answer) => Ok(Some(answer)),
        AnswerState::Running(until) => Err(busy(until, now)),
        AnswerState::GivenUp => Err(busy(now, now)),
    }
}

fn busy(until: DateTime<Utc>, now: DateTime<Utc>) -> ApiError {
    let left = u32::try_from((until - now).num_seconds()).unwrap_or(0);
    let seconds = left.saturating_add(1).min(RETRY_SECONDS_MAX);
    ApiError::Busy(STILL_RUNNING.to_owned(), seconds)
}

/// The headers of an answer that a repetition gets too.
fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    let kept = headers.iter().filter(|(name, _)| !NOT_KEPT.contains(name));
    kept.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

/// An answer that was given before.
pub(super) fn replayed(answer: Answer) -> Result<Response, ApiError> {
    let mut response = Response::new(answer.body.into());
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(|_| ApiError::Internal)?;
    let headers = response.headers_mut();
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            headers.append(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// A time as it is kept.
fn to_millis(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_unless_it_says_that_nothing_was_done_or_to_try_again() {
        let of = |status: u16, is_rerun| {
            let status = StatusCode::from_u16(status).unwrap();
            Fate::of(status, &HeaderMap::new(), is_rerun)
        };
        for status in [200, 201, 204, 400, 404, 409, 410, 422] {
            assert_eq!(of(status, false), Fate::Kept, "{status}");
            assert_eq!(of(status, true), Fate::Kept, "{status}");
        }
        for status in [401, 403, 413, 415, 429] {
            assert_eq!(of(status, false), Fate::Forgotten, "{status}");
            assert_eq!(of(status, true), Fate::GivenUp, "{status}");
        }
        for status in [500, 502, 503, 504] {
            assert_eq!(of(status, false), Fate::GivenUp, "{status}");
            assert_eq!(of(status, true), Fate::GivenUp, "{status}");
        }
        let later = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
        let later = later.into_iter().collect();
        assert_eq!(Fate::of(StatusCode::CONFLICT, &later, false), Fate::GivenUp);
    }

    #[test]
    fn whoever_comes_while_it_runs_is_told_to_wait_a_little() {
        let now = DateTime::UNIX_EPOCH;
        for (left_ms, seconds) in [(1, 1), (999, 1), (1_000, 2), (30_000, 2), (0, 1)] {
            let until = now + TimeDelta::milliseconds(left_ms);
            let told = matches!(busy(until, now), ApiError::Busy(_, told) if told == seconds);
            assert!(told, "{left_ms}");
        }
    }

    #[test]
    fn an_answer_comes_again_with_its_headers_but_those_of_its_sending() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/csv"));
        headers.insert("content-length", HeaderValue::from_static("9"));
        headers.insert("x-correlation-id", HeaderValue::from_static("first"));
        headers.append("link", HeaderValue::from_static("<a>"));
        headers.append("link", HeaderValue::from_static("<b>"));
        let answer = Answer {
            status: 201,
            headers: kept(&headers),
            body: "x".into(),
        };
        let response = replayed(answer).unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        let mut told: Vec<_> = response.headers().iter().collect();
        told.sort_by_key(|(name, _)| name.as_str());
        let told: Vec<_> = told
            .into_iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        let expected = [
            ("content-type", "text/csv"),
            ("idempotent-replayed", "true"),
            ("link", "<a>"),
            ("link", "<b>"),
        ];
        assert_eq!(told, expected);
    }
}
