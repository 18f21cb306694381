//! A file judged as an upload of it would be, with nothing of it kept.
//!
//! What the file says is judged by the reader that an upload goes through; what the tables say (the
//! program, the sellers, the batch numbers) by the same questions, without claiming anything. What is
//! free now may be taken when the file is uploaded.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Serialize;
use weir_domain::{BatchNumber, BatchOrdinal, FileId, ObjectIdentity, SellerId};
use weir_servicegate::{BatchHeader, Item, Limits, Options, Position, Record, Totals};
use weir_store::StoreError;

use super::check::unknown_scope;
use super::items::{FileItems, NextError};
use super::problems::{Found, NUMBER_TAKEN, PROGRAM_UNKNOWN, Place, ProblemRow, SELLER_UNKNOWN};
use super::taking::{BATCHES_TOGETHER, Sellers, number_repeated, number_taken, seller_unknown};
use super::{UploadError, UploadScope, Uploader};

/// Most problems that a validation lists; all are counted.
pub const PROBLEMS_LISTED_MAX: usize = 1_000;

/// What an upload of a file would come to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Validation {
    /// Whether the file would be taken at all. Batches and records may be in error all the same.
    pub sound: bool,
    /// Whether it would be, and nothing of it be in error.
    pub valid: bool,
    /// How many batches it has, up to where it could be read.
    pub batch_count: u64,
    /// How many charges and refunds.
    pub detail_count: u64,
    /// What `weir validate` counts.
    pub totals: Totals,
    /// How many problems there are.
    pub problem_count: u64,
    /// The first of them, by place.
    pub problems: Vec<ProblemRow>,
}

/// A validation under way.
struct Judging<'a> {
    uploader: &'a Uploader,
    scope: UploadScope,
    place: Place,
    /// Batches that have been read and not been looked up.
    headers: Vec<BatchHeader>,
    sellers: Sellers,
    /// The numbers of the file's own batches.
    numbers: HashMap<(SellerId, BatchNumber), BatchOrdinal>,
    validation: Validation,
    /// Whether no rule of the file as a whole was broken so far.
    is_trusted: bool,
    found: Vec<Found>,
}

impl Uploader {
    /// Judges a file as if it were uploaded for somebody.
    ///
    /// # Errors
    /// [`UploadError::Store`] where tables cannot be reached; never the file.
    pub async fn validate(
        &self,
        bytes: Bytes,
        scope: UploadScope,
    ) -> Result<Validation, UploadError> {
        let options = Options {
            limits: Limits::default(),
            keep_xml: false,
        };
        let mut items = FileItems::of_bytes(bytes, options);
        let mut judging = Judging {
            uploader: self,
            scope,
            place: Place::default(),
            headers: Vec::new(),
            sellers: Sellers::default(),
            numbers: HashMap::new(),
            validation: Validation::default(),
            is_trusted: true,
            found: Vec::new(),
        };
        let has_program = judging.program().await?;
        let is_whole = loop {
            match items.next().await {
                Ok(Some(item)) => judging.take(item).await?,
                Ok(None) => break true,
                Err(NextError::Store(error)) => return Err(error.into()),
                Err(NextError::File(problem)) => {
                    let found = judging.place.file(&problem);
                    judging.add(found);
                    break false;
                }
            }
        };
        judging.look_up().await?;
        Ok(judging.end(is_whole && has_program))
    }
}

impl Judging<'_> {
    /// Whether the program is known; a problem, if not.
    async fn program(&mut self) -> Result<bool, StoreError> {
        let why = unknown_scope(&self.uploader.store, self.scope).await?;
        let Some(message) = why else {
            return Ok(true);
        };
        self.add(Found {
            batch: None,
            number: None,
            line: None,
            position: Position::START,
            path: "/".to_owned(),
            code: PROGRAM_UNKNOWN,
            message,
        });
        Ok(false)
    }

    async fn take(&mut self, item: Item) -> Result<(), StoreError> {
        let nobodys = FileId::of_object(&ObjectIdentity::new("", "", ""));
        let detail = |record: &Record| nobodys.batch(record.batch).detail(record.line);
        let found = self.place.take(&item, detail);
        for found in found {
            self.add(found);
        }
        match item {
            Item::BatchStart(header) => {
                self.headers.push(*header);
                if self.headers.len() >= BATCHES_TOGETHER {
                    self.look_up().await?;
                }
            }
            Item::BatchEnd(batch) => self.validation.totals.add(&batch),
            _ => {}
        }
        Ok(())
    }

    /// Looks up the sellers and the numbers of the batches that have been read.
    async fn look_up(&mut self) -> Result<(), StoreError> {
        let headers = std::mem::take(&mut self.headers);
        let (store, scope) = (&self.uploader.store, self.scope);
        self.sellers.look_up(store, scope, &headers).await?;
        let mut numbers = Vec::new();
        for header in &headers {
            match self.sellers.of(header) {
                Some(seller) => numbers.push((seller.id, header.number.clone())),
                None => self.add(batch_problem(
                    header,
                    SELLER_UNKNOWN,
                    seller_unknown(&header.seller, scope.program_id, scope.seller_id),
                )),
            }
        }
        let taken = store.batches_numbered(&numbers).await?;
        for header in &headers {
            let Some(seller) = self.sellers.of(header) else {
                continue;
            };
            let number = (seller.id, header.number.clone());
            let why = match (self.numbers.get(&number), taken.get(&number)) {
                (Some(first), _) => Some(number_repeated(&header.number, *first)),
                (None, Some(other)) => Some(number_taken(&header.number, other)),
                (None, None) => None,
            };
            self.numbers.entry(number).or_insert(header.ordinal);
            if let Some(why) = why {
                self.add(batch_problem(header, NUMBER_TAKEN, why));
            }
        }
        Ok(())
    }

    /// Counts a problem, and keeps it as long as it may be one of the first.
    fn add(&mut self, found: Found) {
        self.validation.problem_count += 1;
        self.is_trusted &= !found.code.starts_with("file.");
        self.found.push(found);
        if self.found.len() >= 2 * PROBLEMS_LISTED_MAX {
            self.keep_first();
        }
    }

    fn keep_first(&mut self) {
        self.found.sort_by_key(|found| found.position.byte);
        self.found.truncate(PROBLEMS_LISTED_MAX);
    }

    fn end(mut self, could_be_taken: bool) -> Validation {
        self.keep_first();
        let totals = &self.validation.totals;
        let sound = could_be_taken && self.is_trusted;
        Validation {
            sound,
            valid: sound && self.validation.problem_count == 0,
            batch_count: totals.batches,
            detail_count: totals.charges + totals.refunds,
            problems: self.found.into_iter().map(Found::row).collect(),
            ..self.validation
        }
    }
}

fn batch_problem(header: &BatchHeader, code: &'static str, message: String) -> Found {
    Found {
        batch: Some(header.ordinal),
        number: Some(header.number.clone()),
        line: None,
        position: header.start,
        path: format!("/SettlementFile/Batch[{}]", header.ordinal),
        code,
        message,
    }
}
