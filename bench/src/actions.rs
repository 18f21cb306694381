//! What people do to a whole batch of 100 000 details: how long until the answer, until it is done,
//! and what it writes.
//!
//! The functions' own code runs in this process, on the embedded parts over HTTP: once as a request,
//! which may work for its twenty seconds, and then, where something is left, as the queue's message
//! carries it on. Nobody sends what is woken, so nothing else is measured.

use std::time::Duration;

use anyhow::{Context, ensure};
use weir_domain::{BatchAction, BatchOrdinal, DetailStatus, LineNumber};
use weir_lambda::Parts;
use weir_local::demo;
use weir_runtime::{AwsClients, AwsOptions, Reader};
use weir_servicegate::generate;
use weir_settlement::TimeLimit;
use weir_settlement::actions::{Actions, Asked, TaskProgress};
use weir_settlement::mend::{DraftWanted, Mended};
use weir_settlement::upload::{UploadScope, Uploader};
use weir_store::{Batch, CounterChange, Detail, Event, Names, Outcome, Payload, Store};

use crate::measure::Values;
use crate::surroundings::{Surroundings, TIME, take};
use crate::{Setting, sample};

const DETAILS: u32 = 100_000;
/// Drafts that are written together.
const DRAFTS_TOGETHER: u32 = 5_000;
/// How long a request may work on a whole batch.
const REQUEST: Duration = Duration::from_secs(20);

/// A batch, and what acts on it.
struct Acted {
    actions: Actions,
    asked: Asked,
    batch: Batch,
    parts: Parts,
}

/// Fills the tables and acts.
pub(crate) async fn measure(setting: &Setting) -> anyhow::Result<Values> {
    let folder = setting.scratch.join("actions");
    std::fs::create_dir_all(&folder)?;
    let (surroundings, parts) = Surroundings::start(&folder).await?;
    let acted = Acted::fill(&surroundings, parts).await?;
    let mut values = Values::new();
    acted
        .act("cancel", BatchAction::Cancel, &mut values)
        .await?;
    acted.act("retry", BatchAction::Revive, &mut values).await?;
    acted.fail().await?;
    acted.draft().await?;
    acted
        .act("confirm", BatchAction::ConfirmDrafts, &mut values)
        .await?;
    surroundings.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(values)
}

impl Acted {
    async fn fill(surroundings: &Surroundings, parts: Parts) -> anyhow::Result<Self> {
        let mut reader = Reader::new(surroundings.environment());
        let (aws, names) = (AwsOptions::read(&mut reader), Names::read(&mut reader));
        reader.finish()?;
        let clients = AwsClients::new(&aws).await;
        for queue in ["uploads", "details"] {
            clients.sqs.create_queue().queue_name(queue).send().await?;
        }
        let (clock, random) = (parts.clock.clone(), parts.random.clone());
        let store = Store::new(clients, names, clock.clone(), random.clone());
        store.create_tables().await?;
        demo::seed(&store, &clock, &random).await?;
        let uploader = Uploader {
            store: store.clone(),
            clock: clock.clone(),
            metrics: parts.metrics.clone(),
        };
        let mut plan = sample::plan(DETAILS, 0)?;
        (plan.batches, plan.records_per_batch) = (1, DETAILS);
        let mut bytes = Vec::new();
        generate::generate(&plan, &mut bytes)?;
        let scope = UploadScope {
            client_id: demo::client_id()?,
            program_id: demo::program_id()?,
            seller_id: None,
        };
        let object = store
            .put_upload(&scope.key("actions.xml"), bytes.into())
            .await?;
        let file = take(&uploader, object, &parts).await?;
        let batch = store.batch(file.batch(BatchOrdinal::new(1)?)).await?;
        Ok(Self {
            actions: Actions {
                store,
                clock,
                random,
                metrics: parts.metrics.clone(),
            },
            asked: Asked {
                actor: "bench".to_owned(),
                correlation_id: "bench".to_owned(),
                id: None,
            },
            batch: batch.context("there is no batch")?,
            parts,
        })
    }

    async fn current(&self) -> anyhow::Result<Batch> {
        let batch = self.actions.store.batch(self.batch.id).await?;
        batch.context("there is no batch")
    }

    /// Acts on the whole batch and waits until it is done.
    async fn act(
        &self,
        name: &str,
        action: BatchAction,
        values: &mut Values,
    ) -> anyhow::Result<()> {
        let clock = &self.parts.clock;
        let batch = self.current().await?;
        let written_before = self.actions.store.capacity().total().write;
        let began_at = clock.monotonic();
        let limit = TimeLimit::after(REQUEST, clock);
        let answer = self
            .actions
            .act_on_all(&batch, action, &self.asked, &limit)
            .await?;
        let answered = clock.monotonic().saturating_sub(began_at);
        if answer.task.is_some() {
            let limit = TimeLimit::after(TIME, clock);
            while self.actions.go_on(batch.id, &limit).await? != TaskProgress::Done {}
        }
        let done = clock.monotonic().saturating_sub(began_at);
        let units = self.actions.store.capacity().total().write - written_before;
        let after = self.current().await?;
        let all = u64::from(DETAILS);
        let turned = match action {
            BatchAction::Cancel => after.counters.cancelled,
            _ => after.counters.unprocessed,
        };
        ensure!(turned == all, "{name}: {turned} of {all} were turned");
        values.insert(format!("actions.{name}.answer_s"), answered.as_secs_f64());
        values.insert(format!("actions.{name}.done_s"), done.as_secs_f64());
        let per_detail = units / f64::from(DETAILS);
        values.insert(format!("actions.{name}.units_per_detail"), per_detail);
        Ok(())
    }

    /// Puts every detail in error, as 3Rivers does that refuses it.
    async fn fail(&self) -> anyhow::Result<()> {
        let (store, place) = (&self.actions.store, self.batch.place());
        let (from, to) = (LineNumber::new(1)?, LineNumber::new(DETAILS)?);
        let now = self.parts.clock.now();
        let details = store.details_in_lines(&place, from, to).await?;
        for together in details.chunks(25) {
            let refused = |before: &Detail| {
                let mut detail = before.clone();
                detail.status = DetailStatus::Error;
                detail.version += 1;
                detail.events += 1;
                Outcome {
                    leased_version: before.version,
                    event: Event {
                        name: "Rejected".to_owned(),
                        actor: None,
                        correlation_id: "bench".to_owned(),
                        calls: Vec::new(),
                        detail,
                    },
                }
            };
            let outcomes: Vec<_> = together.iter().map(refused).collect();
            let mut change = CounterChange {
                at: now,
                ..CounterChange::default()
            };
            for (before, outcome) in together.iter().zip(&outcomes) {
                change.add(before, &outcome.event.detail);
            }
            store
                .record_outcomes(&self.batch, &outcomes, &change)
                .await?;
        }
        Ok(())
    }

    /// Writes a draft of every detail that says what its record says.
    async fn draft(&self) -> anyhow::Result<()> {
        let (store, place) = (&self.actions.store, self.batch.place());
        let mut first = 1;
        while first <= DETAILS {
            let last = (first + DRAFTS_TOGETHER - 1).min(DETAILS);
            let (from, to) = (LineNumber::new(first)?, LineNumber::new(last)?);
            let details = store.details_in_lines(&place, from, to).await?;
            let wanted: Vec<_> = details.iter().map(|detail| (detail.line(), 1)).collect();
            let mut payloads = store.payload_versions(&place, &wanted).await?;
            let drafts = details.into_iter().filter_map(|detail| {
                let payload: Payload = payloads.remove(&(detail.line(), 1))?;
                Some(DraftWanted {
                    before: detail,
                    payload,
                })
            });
            let mended = Mended {
                drafts: drafts.collect(),
                unchanged: 0,
            };
            mended
                .write(&self.actions, &self.current().await?, &self.asked)
                .await?;
            first = last + 1;
        }
        Ok(())
    }
}
