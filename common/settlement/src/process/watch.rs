//! Whether a batch is being cancelled, asked for no longer than a second before each call.
//!
//! A cancel of a whole batch holds from a second after its answer, however many details are still to
//! be turned: what was read earlier than that allows no call. An answer counts from when it was asked
//! for, so one that took longer than that to come allows none either.

use std::time::Duration;

use tokio::sync::Mutex;
use weir_domain::{BatchAction, BatchId};
use weir_runtime::Clock;
use weir_store::{Batch, Store};

/// For how long an answer counts, from when it was asked for.
const COUNTS_FOR: Duration = Duration::from_secs(1);
/// How often it is asked before a call is put off.
const ASKS_MAX: usize = 3;

/// What is known of a batch, shared by all its calls.
pub(super) struct CancelWatch {
    store: Store,
    clock: Clock,
    batch: BatchId,
    /// When it was last asked, on the monotonic clock, and whether the batch was being cancelled.
    last: Mutex<(Duration, bool)>,
}

impl CancelWatch {
    /// Of a batch that was asked for at a moment of the monotonic clock.
    pub(super) fn new(store: &Store, clock: &Clock, batch: &Batch, asked_at: Duration) -> Self {
        Self {
            store: store.clone(),
            clock: clock.clone(),
            batch: batch.id,
            last: Mutex::new((asked_at, is_cancelling(batch))),
        }
    }

    /// Whether a call may be begun now: not while the batch is being cancelled, nor when it is gone
    /// or nobody can tell in time.
    pub(super) async fn allows_call(&self) -> bool {
        // Held while asking: the others wait for the one answer.
        let mut last = self.last.lock().await;
        let counts =
            |asked_at: Duration| self.clock.monotonic().saturating_sub(asked_at) < COUNTS_FOR;
        for _ in 0..ASKS_MAX {
            if counts(last.0) {
                break;
            }
            let now = self.clock.monotonic();
            match self.store.batch(self.batch).await {
                Ok(batch) => *last = (now, batch.as_ref().is_none_or(is_cancelling)),
                Err(error) => {
                    tracing::warn!(batch_id = %self.batch, %error, "a call is put off");
                    return false;
                }
            }
        }
        counts(last.0) && !last.1
    }
}

/// Whether a cancel of the whole batch is going on.
pub(super) fn is_cancelling(batch: &Batch) -> bool {
    let task = batch.task.as_ref();
    task.is_some_and(|task| task.action == BatchAction::Cancel)
}
