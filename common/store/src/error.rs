//! What a call to a store can end in, as far as callers decide differently on it.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::result::SdkError;

/// Why a call did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A condition was not fulfilled: somebody else was faster.
    #[error("{operation}: the item was changed by somebody else")]
    Conflict {
        /// What was tried.
        operation: &'static str,
    },
    /// Throttled, timed out, or no answer: may pass. Whether the write took effect is not known.
    #[error("{operation}: unavailable for now: {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the service or the connection said.
        reason: String,
    },
    /// Refused for good: a missing table, bucket or permission, or a malformed request.
    #[error("{operation}: refused: {reason}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// What the service said.
        reason: String,
    },
    /// The object is gone, or holds other bytes than when it was announced.
    #[error("the object {key} is no longer what was uploaded: {reason}")]
    ObjectChanged {
        /// The object's key.
        key: String,
        /// Gone, or replaced.
        reason: &'static str,
    },
    /// An item is not as this code writes it.
    #[error("{table}: the item {key} has no valid {attribute}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The item's key.
        key: String,
        /// The attribute that is missing or of another type.
        attribute: &'static str,
    },
}

/// Codes that mean "not now".
const TRANSIENT: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "Throttling",
    "RequestLimitExceeded",
    "InternalServerError",
    "InternalError",
    "InternalFailure",
    "ServiceUnavailable",
    "SlowDown",
    "LimitExceededException",
    "TransactionInProgressException",
    "TransactionConflictException",
    "RequestTimeout",
    "RequestThrottled",
];

/// Sorts an error of the SDK.
pub(crate) fn sorted<E, R>(operation: &'static str) -> impl Fn(SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    move |error| match &error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("unknown");
            let reason = format!(
                "{code}: {}",
                service.err().message().unwrap_or("no message")
            );
            if code == "ConditionalCheckFailedException" {
                StoreError::Conflict { operation }
            } else if TRANSIENT.contains(&code) || code == "unknown" {
                StoreError::Unavailable { operation, reason }
            } else {
                StoreError::Refused { operation, reason }
            }
        }
        SdkError::ConstructionFailure(_) => StoreError::Refused {
            operation,
            reason: "the request could not be built".to_owned(),
        },
        SdkError::TimeoutError(_) => unavailable(operation, "timed out"),
        SdkError::DispatchFailure(_) => unavailable(operation, "no connection"),
        _ => unavailable(operation, "the answer could not be read"),
    }
}

pub(crate) fn unavailable(operation: &'static str, reason: &str) -> StoreError {
    StoreError::Unavailable {
        operation,
        reason: reason.to_owned(),
    }
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Conflict { .. })
    }
}
