//! The second stage: a sound file becomes batches and details.
//!
//! The details of a batch are written before the batch itself, so nobody sees a batch whose
//! counters are not those of its details. A batch that cannot be taken is written alone.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use weir_domain::{
    BatchId, BatchNumber, BatchStatus, ClientId, Counters, Currency, DetailId, DetailStatus,
    ProgramId, SellerId,
};
use weir_runtime::Metric;
use weir_servicegate::{
    BatchHeader, BatchSummary, Checkpoint as ReaderCheckpoint, Item, Options, Record,
    SellerReference,
};
use weir_store::{Batch, Detail, DetailPlace, File, Payload, PutBuffer, Seller, Stage};

use super::enqueue::EnqueueState;
use super::items::{FileItems, NextError};
use super::taking::{number_taken, seller_named, seller_unknown};
use super::{Checkpoint, StageEnd, TIME_KEPT, UploadError, UploadScope, Uploader};
use crate::TimeLimit;
use crate::request::{request_of, state};

/// Write requests under way at the same time.
const REQUESTS_MAX: usize = 8;
/// Details between two checkpoints: what is written again after a crash, at most.
pub(super) const DETAILS_PER_CHECKPOINT: u32 = 10_000;

/// How far the split has come.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SplitState {
    pub(super) reader: Option<ReaderCheckpoint>,
    /// The shards of every batch of the file.
    shards: u32,
    /// When every batch and detail of the file is said to be made.
    made_at: DateTime<Utc>,
    /// The batch that the reader is in.
    batch: Option<OpenBatch>,
}

/// A batch whose end has not been read yet.
#[derive(Debug, Serialize, Deserialize)]
struct OpenBatch {
    number: BatchNumber,
    currency: Option<Currency>,
    header_xml: String,
    byte_start: u64,
    taken: Taken,
    counters: Counters,
}

/// Whether a batch is taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Taken {
    By {
        seller: SellerId,
        name: String,
    },
    Not {
        seller: Option<SellerId>,
        name: Option<String>,
        why: String,
    },
}

impl SplitState {
    pub(super) fn new(shards: u32, made_at: DateTime<Utc>) -> Self {
        Self {
            reader: None,
            shards,
            made_at,
            batch: None,
        }
    }
}

/// The split of one file, within one run.
pub(super) struct Split<'a> {
    uploader: &'a Uploader,
    file: &'a File,
    client_id: ClientId,
    program_id: ProgramId,
    pub(super) state: SplitState,
    pub(super) puts: PutBuffer,
    sellers: HashMap<SellerReference, Option<Seller>>,
    pub(super) details_since_checkpoint: u32,
}

impl Uploader {
    /// Writes the batches and details of a sound file.
    pub(super) async fn split(
        &self,
        file: &mut File,
        mut state: SplitState,
        limit: &TimeLimit,
    ) -> Result<StageEnd, UploadError> {
        let object = file.object().cloned();
        let object = object.ok_or(UploadError::Inconsistent(file.id))?;
        let reader = state.reader.take();
        let mut items = FileItems::new(&self.store, &object, reader, Options::default());
        let snapshot = file.clone();
        let mut split = Split::new(self, &snapshot, state)?;
        loop {
            match items.next().await {
                Ok(Some(item)) => split.take(item).await?,
                Ok(None) => break,
                Err(NextError::Store(error)) => return Err(error.into()),
                Err(NextError::File(_)) => return Err(UploadError::Inconsistent(file.id)),
            }
            let late = !limit.allows(TIME_KEPT);
            if (late || split.details_since_checkpoint >= DETAILS_PER_CHECKPOINT)
                && let Some(here) = items.checkpoint()
            {
                split.puts.flush().await?;
                split.state.reader = Some(here);
                split.details_since_checkpoint = 0;
                let checkpoint = Checkpoint::Splitting(Box::new(split.state));
                if late {
                    return Ok(StageEnd::Paused(checkpoint));
                }
                self.save_checkpoint(file, &checkpoint).await?;
                let Checkpoint::Splitting(state) = checkpoint else {
                    return Err(UploadError::Inconsistent(file.id));
                };
                split.state = *state;
            }
        }
        split.puts.flush().await?;
        let next = Checkpoint::Enqueuing(EnqueueState::default());
        Ok(StageEnd::Next(Stage::Enqueuing, next))
    }
}

impl Uploader {
    /// Counts what is in error of a batch that was made. One that is made again after a crash is counted
    /// again: what nobody is told of would be worse.
    pub(super) fn count_made(&self, batch: &Batch) {
        self.metrics
            .count(Metric::DetailsError, batch.counters.error);
        if batch.status != BatchStatus::Error {
            return;
        }
        self.metrics.count(Metric::BatchesError, 1);
        if batch.error_log.is_some() {
            self.metrics.count(Metric::BatchesRefused, 1);
            tracing::warn!(batch_id = %batch.id, "a batch was not taken: nothing of it is settled");
        }
    }
}

impl<'a> Split<'a> {
    /// Begins, or goes on where a state says.
    pub(super) fn new(
        uploader: &'a Uploader,
        file: &'a File,
        state: SplitState,
    ) -> Result<Self, UploadError> {
        let inconsistent = || UploadError::Inconsistent(file.id);
        Ok(Self {
            uploader,
            client_id: file.client_id.ok_or_else(inconsistent)?,
            program_id: file.program_id.ok_or_else(inconsistent)?,
            file,
            state,
            puts: PutBuffer::new(&uploader.store, REQUESTS_MAX),
            sellers: HashMap::new(),
            details_since_checkpoint: 0,
        })
    }

    async fn take(&mut self, item: Item) -> Result<(), UploadError> {
        match item {
            Item::BatchStart(header) => self.begin(*header).await,
            Item::Record(record) => self.record(*record).await,
            Item::BatchEnd(summary) => self.end(*summary).await,
            Item::FileHeader(_) | Item::End(_) => Ok(()),
            // The check found none.
            Item::Problem(_) => Err(UploadError::Inconsistent(self.file.id)),
        }
    }

    pub(super) async fn begin(&mut self, header: BatchHeader) -> Result<(), UploadError> {
        let seller = self.seller(&header.seller).await?;
        let batch_id = self.file.id.batch(header.ordinal);
        let taken = match seller {
            None => Taken::Not {
                seller: None,
                name: None,
                why: format!(
                    "{}: have it added, then set the batch's status to Unprocessed",
                    seller_unknown(&header.seller, self.program_id, self.file.seller_id)
                ),
            },
            Some(seller) => self.claim(&header.number, batch_id, seller).await?,
        };
        self.state.batch = Some(OpenBatch {
            number: header.number,
            currency: header.currency,
            header_xml: header.xml.unwrap_or_default(),
            byte_start: header.start.byte,
            taken,
            counters: Counters::default(),
        });
        Ok(())
    }

    /// Claims a batch's number for it. A batch that has the number and cannot be read keeps it, and
    /// costs this one alone, not its file.
    async fn claim(
        &self,
        number: &BatchNumber,
        batch: BatchId,
        seller: Seller,
    ) -> Result<Taken, UploadError> {
        let store = &self.uploader.store;
        let claimed = store.claim_batch_number(seller.id, number, batch).await?;
        let Some(other) = claimed else {
            return Ok(Taken::By {
                seller: seller.id,
                name: seller.name,
            });
        };
        if other.is_damaged() {
            let seller = seller.id;
            tracing::error!(batch_id = %batch, %seller, %number, "a batch is not taken: its number is of {other}");
        }
        Ok(Taken::Not {
            seller: Some(seller.id),
            name: Some(seller.name),
            why: format!(
                "{}; nothing of this one is charged. If it is another batch, upload it under another \
                 number",
                number_taken(number, other)
            ),
        })
    }

    /// The seller that a batch names, if it is in the uploader's program.
    async fn seller(&mut self, named: &SellerReference) -> Result<Option<Seller>, UploadError> {
        if let Some(seller) = self.sellers.get(named) {
            return Ok(seller.clone());
        }
        let scope = UploadScope {
            client_id: self.client_id,
            program_id: self.program_id,
            seller_id: self.file.seller_id,
        };
        let seller = seller_named(&self.uploader.store, named, scope).await?;
        self.sellers.insert(named.clone(), seller.clone());
        Ok(seller)
    }

    pub(super) async fn record(&mut self, record: Record) -> Result<(), UploadError> {
        let inconsistent = UploadError::Inconsistent(self.file.id);
        let Some(batch) = self.state.batch.as_mut() else {
            return Err(inconsistent);
        };
        let Taken::By { seller, .. } = batch.taken else {
            return Ok(());
        };
        let place = DetailPlace {
            batch: self.file.id.batch(record.batch),
            shards: self.state.shards,
        };
        let (detail, payload) =
            make_detail(record, place.batch, seller, self.state.made_at).ok_or(inconsistent)?;
        batch.counters.add(detail.status, detail.has_draft());
        self.puts
            .put_detail(&place, seller, &detail, &payload)
            .await?;
        self.details_since_checkpoint += 1;
        Ok(())
    }

    async fn end(&mut self, summary: BatchSummary) -> Result<(), UploadError> {
        let batch = self.ended(&summary).await?;
        self.uploader.store.create_batch(&batch).await?;
        self.uploader.count_made(&batch);
        Ok(())
    }

    /// The batch whose end has been read. Its details are written.
    pub(super) async fn ended(&mut self, summary: &BatchSummary) -> Result<Batch, UploadError> {
        let batch = self
            .state
            .batch
            .take()
            .ok_or(UploadError::Inconsistent(self.file.id))?;
        self.puts.flush().await?;
        let now = self.state.made_at;
        let (seller_id, seller_name, error_log) = match batch.taken {
            Taken::By { seller, name } => (Some(seller), Some(name), None),
            // Whoever uploads for one seller must see what was not taken of it.
            Taken::Not { seller, name, why } => (seller.or(self.file.seller_id), name, Some(why)),
        };
        let status = match error_log {
            Some(_) => BatchStatus::Error,
            None => BatchStatus::of(&batch.counters),
        };
        let failed = (status == BatchStatus::Error).then_some(now);
        Ok(Batch {
            id: self.file.id.batch(summary.ordinal),
            client_id: self.client_id,
            program_id: self.program_id,
            seller_id,
            seller_name,
            batch_number: batch.number.to_string(),
            currency: batch.currency,
            header_xml: batch.header_xml,
            byte_start: batch.byte_start,
            byte_end: summary.byte_range.end,
            shards: self.state.shards,
            counters: batch.counters,
            status,
            correlation_id: self.file.correlation_id.clone(),
            error_log,
            error_at: failed,
            processed_at: failed,
            created_at: now,
            updated_at: now,
            user_updated_at: None,
            user_updated_by: None,
            task: None,
            last_task: None,
        })
    }
}

/// The detail of a record, with what is sent for it; `None` when the reader kept no source text.
fn make_detail(
    record: Record,
    batch: BatchId,
    seller: SellerId,
    made_at: DateTime<Utc>,
) -> Option<(Detail, Payload)> {
    let id = batch.detail(record.line);
    let (request, error) = request_or_error(&record, seller, id);
    let failed = error.is_some();
    let (error_code, error_description) = error.unzip();
    let mut detail = Detail {
        id,
        version: 1,
        status: if failed {
            DetailStatus::Error
        } else {
            DetailStatus::Unprocessed
        },
        transaction_type: record.transaction_type(),
        order_number: None,
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
        request_version: u32::from(!failed),
        events: 0,
        answered_in: None,
        retry_count: 0,
        draft_version: None,
        payload_versions: 1,
        waiting_since: None,
        next_attempt_at: None,
        lease_until: None,
        attempted_at: None,
        created_at: made_at,
        updated_at: made_at,
        processed_at: None,
        error_code,
        error_description,
        error_at: failed.then_some(made_at),
        user_updated_at: None,
        user_updated_by: None,
        changed_in: None,
    };
    state(&mut detail, &record);
    Some((
        detail,
        Payload {
            xml: record.xml?,
            request,
        },
    ))
}

/// The request of a record as JSON, or its error as code and words.
fn request_or_error(
    record: &Record,
    seller: SellerId,
    detail: DetailId,
) -> (String, Option<(String, String)>) {
    let error = |code: &str, words: String| {
        let words = words.chars().take(Detail::ERROR_CHARACTERS_MAX).collect();
        (String::new(), Some((code.to_owned(), words)))
    };
    match &record.transaction {
        Err(rejected) => {
            let mut words = String::new();
            for problem in &rejected.problems {
                if !words.is_empty() {
                    words.push_str("; ");
                }
                words.push_str(&problem.to_string());
            }
            let code = rejected
                .problems
                .first()
                .map_or(weir_domain::ErrorCode::FormatInvalid, |p| p.code);
            error(code.code(), words)
        }
        Ok(transaction) => match request_of(transaction, seller, detail) {
            Ok(json) => (json, None),
            Err((code, words)) => error(code.code(), words),
        },
    }
}
