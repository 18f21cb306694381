//! The client of 3Rivers, the platform that charges buyers and gives their money back.
//!
//! The interface is narrow: create a charge or refund under a key ([`Client::create`]), and look up
//! what there is ([`Client::charge`], [`Client::refund`], [`Client::buyer`]). None of them fails:
//! each gives an [`Answer`], whose [`Meaning`] says what is to be done, whatever became of the call.
//!
//! Invariants:
//! - Nothing is repeated here. A create carries an [`IdempotencyKey`], which is a function of the
//!   detail and of the version of its request alone, so whoever repeats it charges nobody twice.
//! - An answer counts as accepted only when it is the documented resource of this very request.
//! - Redirects are not followed, answers above 1 MiB not kept, and no call is longer than its limit.
//! - The key of a caller is in no `Debug` output, message or kept body: see [`ApiKey::mask`].
//!
//! A [`Breaker`] for each set of credentials keeps calls back while the platform is down, and for as
//! long as it asks for with `Retry-After`.

mod answer;
mod breaker;
mod classify;
mod client;
mod credentials;
mod error_body;
mod idempotency;
mod resource;
mod retry_after;

pub use answer::{Answer, Failure, FailureReason, Meaning, Refusal, Unexpected};
pub use breaker::{
    BREAKERS_MAX, Breaker, BreakerChange, BreakerOptions, BreakerState, Breakers, PROBE_WAIT, Pass,
    Passage, Sign,
};
pub use classify::RESPONSE_BYTES_MAX;
pub use client::{
    CALL_TIMEOUT, CALL_TIMEOUT_MAX, CONNECT_TIMEOUT, Client, ClientOptions, ClientOptionsError,
    USER_AGENT,
};
pub use credentials::{API_KEY_CHARS_MAX, API_KEY_CHARS_MIN, ApiKey, ApiKeyError};
pub use error_body::{CODE_CHARS_MAX, MESSAGE_CHARS_MAX, VALIDATION_ERRORS_MAX};
pub use idempotency::{IdempotencyKey, IdempotencyKeyError};
pub use resource::{
    Buyer, BuyerStatus, Charge, ChargeStatus, CreateRequest, CreateRequestError, Created,
    REQUEST_BYTES_MAX, Refund, RefundStatus,
};
pub use retry_after::RETRY_AFTER_MAX;
