//! One invocation of a function: bounded in time, and apart from whoever invokes.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use weir_runtime::Clock;

/// Why an invocation gave no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvocationError {
    /// The handler said so.
    #[error("{0}")]
    Failed(String),
    /// The panic hook has logged where and why.
    #[error("the handler panicked")]
    Panicked,
    #[error("the handler was not done within {0:?}")]
    TimedOut(Duration),
}

/// Runs an invocation on a task of its own, as Lambda runs it in an environment of its own: past the
/// function's time it is dropped where it waits, and a panic is a failure like any other.
pub(super) async fn invoke<F, E>(
    clock: &Clock,
    timeout: Duration,
    invocation: F,
) -> Result<Value, InvocationError>
where
    F: Future<Output = Result<Value, E>> + Send + 'static,
    E: Display + Send + 'static,
{
    // Dropping the set ends the task, also when whoever invokes is dropped.
    let mut task = JoinSet::new();
    task.spawn(async move { invocation.await.map_err(|error| error.to_string()) });
    match clock.timeout(timeout, task.join_next()).await {
        Ok(Some(Ok(answer))) => answer.map_err(InvocationError::Failed),
        // Nobody else ends the task, so that it did not end by itself means that it panicked.
        Ok(Some(Err(_)) | None) => Err(InvocationError::Panicked),
        Err(elapsed) => Err(InvocationError::TimedOut(elapsed.limit)),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use chrono::DateTime;
    use serde_json::json;
    use tokio::sync::oneshot;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn outcome(
        invocation: impl Future<Output = Result<Value, String>> + Send + 'static,
    ) -> Result<Value, InvocationError> {
        let (clock, _hand) = Clock::manual(DateTime::UNIX_EPOCH);
        invoke(&clock, LIMIT, invocation).await
    }

    #[tokio::test]
    async fn an_invocation_gives_its_answer_or_its_error() {
        assert_eq!(outcome(async { Ok(json!(7)) }).await, Ok(json!(7)));
        let failed = outcome(async { Err("no".to_owned()) }).await;
        assert_eq!(failed, Err(InvocationError::Failed("no".to_owned())));
    }

    #[tokio::test]
    async fn a_panic_is_a_failed_invocation() {
        let panicked = outcome(async { panic!("on purpose") }).await;
        assert_eq!(panicked, Err(InvocationError::Panicked));
    }

    #[tokio::test]
    async fn an_invocation_is_dropped_when_its_time_is_over_and_not_before() {
        let (clock, hand) = Clock::manual(DateTime::UNIX_EPOCH);
        let (alive, mut dropped) = oneshot::channel::<()>();
        let invoking = tokio::spawn(async move {
            let endless = async move {
                let _alive = alive;
                pending::<Result<Value, String>>().await
            };
            invoke(&clock, LIMIT, endless).await
        });
        while hand.sleepers_count() == 0 {
            tokio::task::yield_now().await;
        }
        hand.advance(LIMIT.saturating_sub(Duration::from_nanos(1)));
        tokio::task::yield_now().await;
        assert_eq!(dropped.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        hand.advance(Duration::from_nanos(1));
        let outcome = invoking.await.unwrap();
        assert_eq!(outcome, Err(InvocationError::TimedOut(LIMIT)));
        assert!(dropped.await.is_err());
    }
}
