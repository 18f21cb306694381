//! Takes the leases of what is to be sent.
//!
//! A refund is held against its charge first, or tied to it: that asks other tables than its own. Where
//! those cannot be asked, the refund is put aside and its message comes again; the details beside it are
//! sent all the same. A charge that is there but cannot be read is awaited like one that is not settled:
//! somebody may mend it, and if nobody does, the refund ends in Error.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::{self, StreamExt};
use weir_domain::LineNumber;
use weir_store::{Detail, Lease, LeaseOutcome, Outcome, Payload, PutBuffer, StoreError};

use super::charge::ChargeOf;
use super::decide::GaveUp;
use super::wake::Wakes;
use super::{Group, ProcessError, ProcessOptions, Processor};

/// Charges that are looked up at the same time.
const LOOKUPS_MAX: usize = 8;

/// A detail that is leased and about to be sent.
pub(super) struct Leased {
    pub(super) detail: Detail,
    pub(super) payload: Payload,
    /// What `attempted_at` was before the lease, to be put back if nothing is sent.
    pub(super) attempted_before: Option<DateTime<Utc>>,
}

/// What came of taking leases.
pub(super) struct Taken {
    pub(super) leased: Vec<Leased>,
    /// Set when some could not be taken: the message is to come again.
    pub(super) failure: Option<ProcessError>,
}

/// A lease to be taken, with the detail that is sent then; without one, the detail is to wait.
pub(super) type Change = (Lease, Option<(Detail, Payload)>);

/// Details that are not taken now, because something could not be read or written.
#[derive(Debug, Default)]
struct PutAside {
    count: usize,
    /// What the first of them met.
    reason: Option<String>,
}

impl PutAside {
    fn add(&mut self, count: usize, error: &StoreError) {
        if count > 0 {
            self.count += count;
            self.reason.get_or_insert_with(|| error.to_string());
        }
    }

    fn into_error(self) -> Option<ProcessError> {
        let count = self.count;
        let reason = self.reason?;
        Some(ProcessError::NotLeased { count, reason })
    }
}

impl Processor {
    /// Takes the leases of what is to be sent. A refund whose charge is not settled waits instead,
    /// and one that cannot be right is given up. Without a key all of it waits.
    pub(super) async fn take_leases(
        &self,
        group: &Group<'_>,
        wanted: Vec<(Detail, Payload)>,
        now: DateTime<Utc>,
        wakes: &mut Wakes,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Taken, ProcessError> {
        let mut put_aside = PutAside::default();
        if let Err(why) = group.key {
            let changes = self.put_off(group, wanted, why, now, wakes);
            return self.change_leases(group, changes, put_aside).await;
        }
        let mut changes = Vec::with_capacity(wanted.len());
        for ((detail, payload), charge) in self.with_charges(group, wanted).await {
            let mut lease = Lease::of(&detail);
            match charge {
                Ok(ChargeOf::NotNeeded) => {}
                Ok(ChargeOf::Settled(charge)) => lease.after.charge_id = Some(charge),
                Ok(ChargeOf::Wrong(why)) => {
                    outcomes.push(self.give_up(group, detail, &why, now));
                    continue;
                }
                Ok(ChargeOf::Awaited(what)) => {
                    let since = detail.waiting_since.unwrap_or(now);
                    if now - since >= self.options.charge_wait() {
                        let why = GaveUp::ChargeNotSettled(what);
                        outcomes.push(self.give_up(group, detail, &why, now));
                        continue;
                    }
                    let next = now + ProcessOptions::charge_pause(now - since);
                    lease.after.waiting_since = Some(since);
                    lease.after.next_attempt_at = Some(next);
                    lease.after.error_description = Some(what);
                    wakes.add(detail.line(), next);
                    changes.push((lease, None));
                    continue;
                }
                Err(error) => {
                    put_aside.add(1, &error);
                    continue;
                }
            }
            lease.after.attempted_at = Some(detail.attempted_at.unwrap_or(now));
            changes.push((lease, Some((detail, payload))));
        }
        self.lead_from_charges(&mut changes, &mut put_aside).await;
        // Read anew: what came before may have taken its time.
        let now = self.clock.now();
        for (lease, _) in changes.iter_mut().filter(|(_, sent)| sent.is_some()) {
            // A little noise tells this lease from another of the same moment.
            let noise = TimeDelta::from_std(self.random.jitter(Duration::from_secs(1)));
            lease.after.lease_until =
                Some(now + self.options.lease() + noise.unwrap_or(TimeDelta::zero()));
        }
        self.change_leases(group, changes, put_aside).await
    }

    /// Which charge each detail is of, in their order, side by side: one that is slow to tell must not
    /// hold up the others.
    async fn with_charges(
        &self,
        group: &Group<'_>,
        wanted: Vec<(Detail, Payload)>,
    ) -> Vec<((Detail, Payload), Result<ChargeOf, StoreError>)> {
        stream::iter(wanted)
            .map(async |(detail, payload)| {
                let charge = match self.charge_of(group, &detail, &payload).await {
                    Err(error @ StoreError::Corrupt { .. }) => {
                        let detail_id = detail.id;
                        tracing::error!(%detail_id, %error, "a refund waits: its charge cannot be read");
                        Ok(ChargeOf::Awaited(
                            "waits for its charge, which cannot be read".to_owned(),
                        ))
                    }
                    charge => charge,
                };
                ((detail, payload), charge)
            })
            .buffered(LOOKUPS_MAX)
            .collect()
            .await
    }

    /// Writes the ways from charges to the refunds that are about to be tied to them: before the refund
    /// says the same, so that none is missing. Refunds whose way may not be there are taken out.
    async fn lead_from_charges(&self, changes: &mut Vec<Change>, put_aside: &mut PutAside) {
        let tied = |(lease, sent): &Change| {
            let (detail, _) = sent.as_ref()?;
            let charge = lease.after.charge_id.filter(|_| detail.charge_id.is_none());
            charge.map(|charge| (charge, detail.clone()))
        };
        let mut ways = PutBuffer::new(&self.store, 2);
        let mut written = Ok(());
        for (charge, detail) in changes.iter().filter_map(tied) {
            written = written.and(ways.put_charge(charge, &detail).await);
        }
        written = written.and(ways.flush().await);
        if let Err(error) = written {
            let before = changes.len();
            changes.retain(|change| tied(change).is_none());
            put_aside.add(before - changes.len(), &error);
        }
    }

    async fn change_leases(
        &self,
        group: &Group<'_>,
        changes: Vec<Change>,
        mut put_aside: PutAside,
    ) -> Result<Taken, ProcessError> {
        let place = group.batch.place();
        let leases: Vec<Lease> = changes.iter().map(|(lease, _)| lease.clone()).collect();
        let answers = self.store.change_leases(&place, &leases).await;
        let lost: Vec<LineNumber> = answers
            .iter()
            .zip(&leases)
            .filter(|(answer, _)| **answer == LeaseOutcome::Lost)
            .map(|(_, lease)| lease.line)
            .collect();
        // The answer of a first try may have been lost, and the repeat met what that had written.
        let now = if lost.is_empty() {
            Vec::new()
        } else {
            self.store.details(&place, &lost).await?
        };
        let mut taken = Taken {
            leased: Vec::with_capacity(changes.len()),
            failure: None,
        };
        for (answer, (lease, detail)) in answers.into_iter().zip(changes) {
            let ours = match answer {
                LeaseOutcome::Taken => true,
                LeaseOutcome::Lost => now.iter().any(|detail| lease.has_taken_effect(detail)),
                LeaseOutcome::Failed(error) => {
                    put_aside.add(1, &error);
                    false
                }
            };
            // Of one that is not ours, whoever changed it takes care, or has cancelled it.
            if let (true, Some((mut detail, payload))) = (ours, detail) {
                let attempted_before = detail.attempted_at;
                lease.apply(&mut detail);
                taken.leased.push(Leased {
                    detail,
                    payload,
                    attempted_before,
                });
            }
        }
        taken.failure = put_aside.into_error();
        Ok(taken)
    }
}
