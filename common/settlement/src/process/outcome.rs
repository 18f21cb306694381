//! From what a call came to, to the detail as it becomes.

use chrono::{DateTime, TimeDelta, Utc};
use weir_domain::{DetailEvent, ErrorCode, EventNumber};
use weir_runtime::Metric;
use weir_store::{Call, Detail, Event, Outcome};
use weir_three_rivers::{Answer, Created, Meaning};

use super::call::CallResult;
use super::decide::GaveUp;
use super::{Group, Leased, Processor};

/// How an attempt ended.
pub(super) enum Ended {
    /// 3Rivers made it.
    Accepted(Created),
    /// 3Rivers refused it.
    Refused {
        code: String,
        message: String,
        /// Whether it refused the credentials.
        credentials: bool,
        /// Whether an earlier call may have made something, and this answer does not deny it.
        may_have_acted: bool,
    },
    /// 3Rivers said something that it does not say.
    Unexpected(String),
    /// Nothing is decided.
    Transient {
        code: String,
        message: String,
        /// Whether something may have been made all the same.
        may_have_acted: bool,
        /// For how long 3Rivers wants no more calls.
        retry_after: Option<TimeDelta>,
    },
    /// The request as stored cannot be sent.
    Malformed(String),
}

impl Ended {
    /// `key_is_in_doubt` says of a refused key that it may have been changed meanwhile: nothing is decided.
    pub(super) fn of(answer: Answer<Created>, may_have_acted: bool, key_is_in_doubt: bool) -> Self {
        // Under one key a refusal of the request itself says that no earlier call made anything;
        // one of the credentials, or of a key in use, does not.
        let undecided = matches!(answer.http_status, Some(401 | 403 | 409));
        let refused = |refusal: weir_three_rivers::Refusal, credentials| Self::Refused {
            code: refusal.code,
            message: refusal.message,
            credentials,
            may_have_acted: may_have_acted && undecided,
        };
        match answer.meaning {
            Meaning::Accepted(created) => Self::Accepted(created),
            Meaning::Refused(refusal) => refused(refusal, false),
            Meaning::CredentialsRefused(refusal) if key_is_in_doubt => Self::Transient {
                code: refusal.code,
                message: format!("{}; the key may be another by now", refusal.message),
                may_have_acted,
                retry_after: None,
            },
            Meaning::CredentialsRefused(refusal) => refused(refusal, true),
            Meaning::UnexpectedResponse(unexpected) => Self::Unexpected(unexpected.to_string()),
            Meaning::Transient(failure) => Self::Transient {
                code: failure.code,
                message: failure.message,
                may_have_acted,
                retry_after: answer
                    .retry_after
                    .and_then(|wait| TimeDelta::from_std(wait).ok()),
            },
        }
    }
}

/// What a person has to do before a detail is sent again.
const LOOK_UP: &str = "look the detail up at 3Rivers before retrying it";

/// An error's words, cut to what an item has room for.
fn words(text: &str) -> String {
    text.chars().take(Detail::ERROR_CHARACTERS_MAX).collect()
}

fn set_error(detail: &mut Detail, code: &str, description: &str, now: DateTime<Utc>) {
    detail.error_code = Some(code.to_owned());
    detail.error_description = Some(words(description));
    detail.error_at = Some(now);
}

impl Processor {
    /// The outcome of an attempt.
    pub(super) fn outcome(
        &self,
        group: &Group<'_>,
        leased: Leased,
        calls: Vec<Call>,
        ended: Ended,
    ) -> CallResult {
        let Leased {
            mut detail,
            attempted_before,
            ..
        } = leased;
        let leased_version = detail.version;
        let now = self.clock.now();
        let event = self.apply(&mut detail, attempted_before, ended, now);
        let outcome = self.event(group, detail, leased_version, event, calls, now);
        CallResult::Outcome(Box::new(outcome))
    }

    /// The outcome of a detail that is given up without another call.
    pub(super) fn give_up(
        &self,
        group: &Group<'_>,
        mut detail: Detail,
        gave_up: &GaveUp,
        now: DateTime<Utc>,
    ) -> Outcome {
        let read_version = detail.version;
        set_error(
            &mut detail,
            gave_up.code().code(),
            &gave_up.description(),
            now,
        );
        let event = match gave_up {
            GaveUp::OutcomeUnknown { .. } => {
                self.metrics.count(Metric::OutcomeUnknown, 1);
                tracing::error!(detail_id = %detail.id, "nobody knows what came of a detail");
                DetailEvent::Rejected
            }
            GaveUp::ChargeNotSettled(_) => DetailEvent::WaitedTooLong,
            GaveUp::ChargeOfOtherSeller(_) | GaveUp::ChargeInOtherCurrency { .. } => {
                DetailEvent::Rejected
            }
            GaveUp::TooManyEvents => DetailEvent::Exhausted,
        };
        self.event(group, detail, read_version, event, Vec::new(), now)
    }

    /// Carries over what an attempt came to; the status and the bookkeeping follow from the event.
    fn apply(
        &self,
        detail: &mut Detail,
        attempted_before: Option<DateTime<Utc>>,
        ended: Ended,
        now: DateTime<Utc>,
    ) -> DetailEvent {
        match ended {
            Ended::Accepted(created) => {
                detail.charge_id = Some(created.charge_id());
                detail.refund_id = created.refund_id();
                detail.processed_at = Some(now);
                detail.error_code = None;
                detail.error_description = None;
                detail.error_at = None;
                DetailEvent::Accepted
            }
            Ended::Refused {
                code,
                message,
                credentials,
                may_have_acted,
            } => {
                if credentials {
                    self.metrics.count(Metric::CredentialsRefused, 1);
                    tracing::error!(detail_id = %detail.id, code, "3Rivers refused the credentials");
                }
                if may_have_acted {
                    let why = format!("{LOOK_UP}: an earlier call may have been taken; {message}");
                    set_error(detail, &code, &why, now);
                } else {
                    detail.attempted_at = None;
                    set_error(detail, &code, &message, now);
                }
                DetailEvent::Rejected
            }
            Ended::Unexpected(why) => {
                tracing::error!(detail_id = %detail.id, why, "3Rivers answered unexpectedly");
                let why = format!("{LOOK_UP}: {why}");
                set_error(detail, ErrorCode::UnexpectedResponse.code(), &why, now);
                DetailEvent::Rejected
            }
            Ended::Malformed(why) => {
                detail.attempted_at = attempted_before;
                set_error(detail, ErrorCode::FormatInvalid.code(), &why, now);
                DetailEvent::Rejected
            }
            Ended::Transient {
                code,
                message,
                may_have_acted,
                retry_after,
            } => {
                let failures = detail.retry_count + 1;
                detail.attempted_at = if may_have_acted {
                    detail.attempted_at
                } else {
                    attempted_before
                };
                if failures >= self.options.attempts_max {
                    let why = exhausted(failures, &code, &message, may_have_acted);
                    set_error(detail, ErrorCode::RetriesExhausted.code(), &why, now);
                    return DetailEvent::Exhausted;
                }
                detail.retry_count = failures;
                let pause = self.options.retry_pause(failures, &self.random);
                // Never before 3Rivers allows it, and not sooner than anybody else would come.
                let wait = pause.max(retry_after.unwrap_or(TimeDelta::zero()));
                // What may have been made is asked for again while its key is surely known.
                let wait = if may_have_acted {
                    wait.min(self.options.key_usable() / 4)
                } else {
                    wait
                };
                detail.next_attempt_at = Some(now + wait);
                set_error(detail, &code, &message, now);
                DetailEvent::Failed
            }
        }
    }

    fn event(
        &self,
        group: &Group<'_>,
        mut detail: Detail,
        leased_version: u64,
        event: DetailEvent,
        calls: Vec<Call>,
        now: DateTime<Utc>,
    ) -> Outcome {
        // A leased detail is open, and the table lets every outcome follow an open status.
        if let Ok(status) = detail.status.after(event) {
            detail.status = status;
        }
        if event != DetailEvent::Failed {
            detail.next_attempt_at = None;
            detail.waiting_since = None;
        }
        detail.lease_until = None;
        detail.version = leased_version + 1;
        detail.events += 1;
        if calls.iter().any(|call| call.response.is_some()) {
            detail.answered_in = EventNumber::new(detail.events).ok();
        }
        detail.updated_at = now;
        match event {
            DetailEvent::Accepted => {
                detail.attempted_at = None;
                self.metrics.count(Metric::DetailsProcessed, 1);
            }
            DetailEvent::Failed => self.metrics.count(Metric::DetailsRetried, 1),
            _ => self.metrics.count(Metric::DetailsError, 1),
        }
        Outcome {
            leased_version,
            event: Event {
                name: event.name().to_owned(),
                actor: None,
                correlation_id: group.correlation_id.as_str().to_owned(),
                calls,
                detail,
            },
        }
    }
}

fn exhausted(attempts: u32, code: &str, message: &str, may_have_acted: bool) -> String {
    let hint = if may_have_acted {
        "an attempt may have taken effect: look the detail up at 3Rivers before retrying it"
    } else {
        "nothing was charged: retry it when 3Rivers answers again"
    };
    format!("{attempts} attempts failed, the last one with {code} ({message}); {hint}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use weir_domain::{
        BatchOrdinal, DetailStatus, FileId, LineNumber, ObjectIdentity, TransactionType,
    };

    /// A charge that has just been stored.
    pub(in crate::process) fn detail(now: DateTime<Utc>) -> Detail {
        let batch = FileId::of_object(&ObjectIdentity::new("b", "k", "e"))
            .batch(BatchOrdinal::new(1).unwrap());
        Detail {
            id: batch.detail(LineNumber::new(1).unwrap()),
            version: 1,
            status: DetailStatus::Unprocessed,
            transaction_type: TransactionType::Charge,
            order_number: Some("SO-1".to_owned()),
            po_number: None,
            amount: None,
            currency: None,
            buyer_id: None,
            customer_id: None,
            vehicle_odometer: None,
            vehicle_identification_number: None,
            vehicle_unit_number: None,
            charge_id: None,
            refund_id: None,
            request_version: 1,
            events: 0,
            answered_in: None,
            retry_count: 0,
            draft_version: None,
            payload_versions: 1,
            waiting_since: None,
            next_attempt_at: None,
            lease_until: None,
            attempted_at: None,
            created_at: now,
            updated_at: now,
            processed_at: None,
            error_code: None,
            error_description: None,
            error_at: None,
            user_updated_at: None,
            user_updated_by: None,
            changed_in: None,
        }
    }

    #[test]
    fn an_errors_words_are_cut_to_what_an_item_has_room_for() {
        for length in [
            0,
            Detail::ERROR_CHARACTERS_MAX - 1,
            Detail::ERROR_CHARACTERS_MAX,
        ] {
            assert_eq!(words(&"é".repeat(length)).chars().count(), length);
        }
        let cut = words(&"é".repeat(Detail::ERROR_CHARACTERS_MAX + 1));
        assert_eq!(cut.chars().count(), Detail::ERROR_CHARACTERS_MAX);
    }
}
