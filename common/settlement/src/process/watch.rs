//! Whether a batch is being cancelled, asked for no longer than a second before each call.
//!
//! A cancel of a whole batch holds from a second after its answer, however many details are still to
//! be turned: what was read earlier than that allows no call.

use std::time::Duration;

use tokio::sync::Mutex;
use weir_domain::{BatchAction, BatchId};
use weir_runtime::Clock;
use weir_store::{Batch, Store, StoreError};

/// For how long an answer counts, from when it was asked for.
const COUNTS_FOR: Duration = Duration::from_secs(1);

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

    /// Whether no call may be begun: the batch is being cancelled, or is gone.
    pub(super) async fn is_cancelling(&self) -> Result<bool, StoreError> {
        // Held while asking: the others wait for the one answer.
        let mut last = self.last.lock().await;
        let now = self.clock.monotonic();
        if now.saturating_sub(last.0) >= COUNTS_FOR {
            let batch = self.store.batch(self.batch).await?;
            *last = (now, batch.as_ref().is_none_or(is_cancelling));
        }
        Ok(last.1)
    }
}

/// Whether a cancel of the whole batch is going on.
pub(super) fn is_cancelling(batch: &Batch) -> bool {
    let task = batch.task.as_ref();
    task.is_some_and(|task| task.action == BatchAction::Cancel)
}
