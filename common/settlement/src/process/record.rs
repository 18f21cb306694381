//! Records outcomes, whatever the tables do meanwhile.

use std::time::Duration;

use weir_domain::{DetailStatus, LineNumber, TransactionType};
use weir_runtime::Metric;
use weir_store::{CounterChange, Detail, Outcome, PutBuffer, StoreError};

use super::{Group, ProcessError, Processor, Wakes};

/// Most outcomes of one transaction.
const TOGETHER_MAX: usize = 25;
/// How often a transaction is tried.
const TRIES_MAX: u32 = 20;
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Whether the ways from charges to the details that made them are there.
#[derive(Debug, Clone, Copy)]
enum Ways {
    /// They are.
    Put,
    /// Some may not be.
    Left,
}

impl Processor {
    /// Records outcomes, 25 a transaction, and notes who is to be woken later.
    pub(super) async fn record_all(
        &self,
        group: &Group<'_>,
        outcomes: Vec<Outcome>,
        wakes: &mut Wakes,
    ) -> Result<(), ProcessError> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let ways = match self.put_charges(&outcomes).await {
            Ok(()) => Ways::Put,
            Err(error) => {
                tracing::warn!(%error, "charges are made known with their outcomes");
                Ways::Left
            }
        };
        for outcome in &outcomes {
            let detail = &outcome.event.detail;
            if let (DetailStatus::Retry, Some(next)) = (detail.status, detail.next_attempt_at) {
                wakes.add_set_at(detail.line(), detail.updated_at, next);
            }
        }
        let mut failure = None;
        for together in outcomes.chunks(TOGETHER_MAX) {
            if let Err(error) = self.record(group, together.to_vec(), ways).await {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// The ways from charges to their details come first: one too many misleads nobody, as whoever
    /// follows it looks at the detail; a missing one would. So what cannot be put now goes into the
    /// transaction.
    async fn put_charges(&self, outcomes: &[Outcome]) -> Result<(), StoreError> {
        let mut puts = PutBuffer::new(&self.store, 2);
        for outcome in outcomes {
            let detail = &outcome.event.detail;
            // A refund's was put when its charge became known: with it, or before its lease.
            if let (TransactionType::Charge, DetailStatus::Processed, Some(charge)) =
                (detail.transaction_type, detail.status, detail.charge_id)
            {
                puts.put_charge(charge, detail).await?;
            }
        }
        puts.flush().await
    }

    async fn record(
        &self,
        group: &Group<'_>,
        mut outcomes: Vec<Outcome>,
        ways: Ways,
    ) -> Result<(), ProcessError> {
        for attempt in 0..TRIES_MAX {
            let change = self.counter_change(&outcomes);
            let (store, batch) = (&self.store, group.batch);
            let recorded = match ways {
                Ways::Put => store.record_outcomes(batch, &outcomes, &change).await,
                Ways::Left => {
                    store
                        .record_outcomes_with_ways(batch, &outcomes, &change)
                        .await
                }
            };
            let error = match recorded {
                Ok(()) => return Ok(()),
                Err(error) if error.is_transient() => error,
                Err(error) => return Err(error.into()),
            };
            if attempt + 1 == TRIES_MAX {
                return Err(error.into());
            }
            let most = Duration::from_millis(20)
                .saturating_mul(1 << attempt)
                .min(PAUSE_MAX);
            self.clock.sleep(self.random.jitter(most)).await;
            // The answer may have been lost and the transaction made; or a lease has been. Either
            // way the details tell.
            outcomes = self.still_ours(group, outcomes).await?;
            if outcomes.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The outcomes whose details are still as they were leased.
    async fn still_ours(
        &self,
        group: &Group<'_>,
        outcomes: Vec<Outcome>,
    ) -> Result<Vec<Outcome>, ProcessError> {
        let lines: Vec<LineNumber> = outcomes
            .iter()
            .map(|outcome| outcome.event.detail.line())
            .collect();
        let now = self.store.details(&group.batch.place(), &lines).await?;
        let mut ours = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let wanted = &outcome.event.detail;
            match now.iter().find(|detail| detail.id == wanted.id) {
                Some(detail) if detail.version == outcome.leased_version => ours.push(outcome),
                Some(detail) if is_recorded(detail, wanted) => {}
                current => self.note_lost(&outcome, current),
            }
        }
        Ok(ours)
    }

    /// Somebody took the lease over, and what was seen here does not count. When that was a charge
    /// or refund which they have not recorded, a person must know of it.
    fn note_lost(&self, outcome: &Outcome, current: Option<&Detail>) {
        let detail = &outcome.event.detail;
        let is_known = current.is_some_and(|current| {
            current.charge_id == detail.charge_id && current.refund_id == detail.refund_id
        });
        if detail.status == DetailStatus::Processed && !is_known {
            self.metrics.count(Metric::OutcomeUnknown, 1);
            tracing::error!(
                detail_id = %detail.id,
                charge_id = ?detail.charge_id,
                refund_id = ?detail.refund_id,
                "3Rivers took a detail that somebody else works on: see that it ends as Processed"
            );
        }
    }

    fn counter_change(&self, outcomes: &[Outcome]) -> CounterChange {
        let mut change = CounterChange {
            at: self.clock.now(),
            ..CounterChange::default()
        };
        for outcome in outcomes {
            // Whatever had an outcome was open before.
            match outcome.event.detail.status {
                DetailStatus::Processed => change.unprocessed -= 1,
                DetailStatus::Error => {
                    change.unprocessed -= 1;
                    change.error += 1;
                }
                DetailStatus::Unprocessed | DetailStatus::Retry | DetailStatus::Cancelled => {}
            }
        }
        change
    }
}

/// Whether a detail stands as an outcome left it.
fn is_recorded(current: &Detail, outcome: &Detail) -> bool {
    current.version >= outcome.version
        && current.events >= outcome.events
        && (current.version > outcome.version || current.status == outcome.status)
        && current.charge_id == outcome.charge_id
        && current.refund_id == outcome.refund_id
}
