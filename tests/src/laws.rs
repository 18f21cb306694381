//! What must be true of settled files, whatever happened on the way.
//!
//! 1. A file that was taken is Processed, and each of its batches and details has an outcome.
//! 2. A batch's counters are those of its details, and its status follows from them.
//! 3. A detail that is Processed has exactly the charge or refund that 3Rivers made for it.
//! 4. 3Rivers has made nothing else, and nothing twice.
//! 5. The last event of a detail shows it as it is.
//! 6. Nothing is left in the indexes of what is open.
//! 7. A detail is found by the charge that it made or refunds, and by its order.
//! 8. A detail that 3Rivers took knows which event holds the answer.

use std::collections::{BTreeMap, BTreeSet};

use weir_domain::{
    Amount, BatchOrdinal, BatchStatus, Counters, DetailStatus, EventNumber, FileId, FileStatus,
    LineNumber, TransactionType,
};
use weir_store::{Batch, Detail, DetailPlace, File, Store};

use crate::platform::Platform;

/// A file with everything that was made of it.
#[derive(Debug)]
pub struct Books {
    /// The file.
    pub file: File,
    /// Its batches, each with its details in the order of their lines.
    pub batches: Vec<(Batch, Vec<Detail>)>,
}

impl Books {
    /// Reads a file with everything that was made of it.
    pub async fn of(store: &Store, id: FileId) -> Self {
        let file = store.file(id).await.unwrap().unwrap();
        let mut batches = Vec::new();
        for ordinal in 1..=file.batch_count {
            let id = file.id.batch(BatchOrdinal::new(ordinal).unwrap());
            let Some(batch) = store.batch(id).await.unwrap() else {
                continue;
            };
            let details = details_of(store, &batch).await;
            batches.push((batch, details));
        }
        Self { file, batches }
    }

    /// Every detail of the file.
    pub fn details(&self) -> impl Iterator<Item = &Detail> {
        self.batches.iter().flat_map(|(_, details)| details)
    }

    /// How many details have a status.
    pub fn count(&self, status: DetailStatus) -> usize {
        self.details()
            .filter(|detail| detail.status == status)
            .count()
    }

    /// How many details are in Error, by code.
    pub fn errors(&self) -> BTreeMap<&str, usize> {
        let mut errors = BTreeMap::new();
        for detail in self.details() {
            if detail.status == DetailStatus::Error {
                let code = detail.error_code.as_deref().unwrap_or("none");
                *errors.entry(code).or_default() += 1;
            }
        }
        errors
    }

    /// Whether every detail has an outcome and every batch is done.
    pub fn is_settled(&self) -> bool {
        self.file.status == FileStatus::Processed
            && self
                .batches
                .iter()
                .all(|(batch, _)| batch.status != BatchStatus::Unprocessed)
            && self.details().all(|detail| !detail.status.is_open())
    }
}

async fn details_of(store: &Store, batch: &Batch) -> Vec<Detail> {
    let Ok(last) = LineNumber::new(u32::try_from(batch.counters.details).unwrap()) else {
        return Vec::new();
    };
    let first = LineNumber::new(1).unwrap();
    let place = batch.place();
    let details = store.details_in_lines(&place, first, last);
    details.await.unwrap()
}

/// Asserts that no batch and no detail of a file exists.
pub async fn assert_nothing_of(store: &Store, file: FileId) {
    for ordinal in 1..=3 {
        let batch = file.batch(BatchOrdinal::new(ordinal).unwrap());
        assert_eq!(store.batch(batch).await.unwrap(), None);
        let place = DetailPlace { batch, shards: 1 };
        let lines = [1, 1_000].map(|line| LineNumber::new(line).unwrap());
        let details = store.details_in_lines(&place, lines[0], lines[1]).await;
        assert_eq!(details.unwrap(), []);
    }
}

/// Holds files against every law. They must be all that was ever sent to the platform; details in
/// Error must be known to have made nothing.
pub async fn audit(store: &Store, platform: &Platform, files: &[FileId]) -> Vec<Books> {
    let mut all = Vec::new();
    for file in files {
        let books = Books::of(store, *file).await;
        check_file(&books);
        for (batch, details) in &books.batches {
            check_batch(batch, details);
            check_events(store, batch, details).await;
            check_answers(store, batch, details).await;
            check_ways(store, batch, details).await;
        }
        all.push(books);
    }
    check_platform(platform, &all).await;
    check_open(store, &all).await;
    all
}

/// Holds a file against the laws that hold also of details that people have changed: events, answers,
/// ways, and the indexes of what is open.
pub async fn check_records(store: &Store, books: &Books) {
    for (batch, details) in &books.batches {
        check_events(store, batch, details).await;
        check_answers(store, batch, details).await;
        check_ways(store, batch, details).await;
    }
    check_open(store, std::slice::from_ref(books)).await;
}

fn check_file(books: &Books) {
    let file = &books.file;
    assert_eq!(file.status, FileStatus::Processed, "{file:?}");
    assert_eq!(books.batches.len(), file.batch_count as usize, "{file:?}");
    let taken = books
        .batches
        .iter()
        .filter(|(batch, _)| batch.error_log.is_none());
    let details: u64 = taken.map(|(batch, _)| batch.counters.details).sum();
    assert!(details <= file.detail_count, "{file:?}");
}

fn check_batch(batch: &Batch, details: &[Detail]) {
    let mut counted = Counters::default();
    for (line, detail) in (1..).zip(details) {
        assert_eq!(detail.line().get(), line, "a line is missing");
        counted.add(detail.status, detail.has_draft());
        let final_status = [DetailStatus::Processed, DetailStatus::Error];
        assert!(final_status.contains(&detail.status), "{detail:#?}");
        assert_eq!(detail.lease_until, None, "{detail:#?}");
        let is_error = detail.status == DetailStatus::Error;
        assert_eq!(detail.error_code.is_some(), is_error, "{detail:#?}");
    }
    assert_eq!(batch.counters, counted, "the counters of {batch:#?}");
    let expected = match batch.error_log {
        Some(_) => BatchStatus::Error,
        None => BatchStatus::of(&counted),
    };
    assert_eq!(batch.status, expected, "{batch:#?}");
    assert!(batch.error_log.is_none() || details.is_empty());
}

async fn check_events(store: &Store, batch: &Batch, details: &[Detail]) {
    for chunk in details.chunks(100) {
        let with_events = chunk.iter().filter(|detail| detail.events > 0);
        let last: Vec<_> = with_events
            .clone()
            .map(|detail| (detail.line(), EventNumber::new(detail.events).unwrap()))
            .collect();
        let events = store.events(&batch.place(), &last).await.unwrap();
        let shown: BTreeMap<_, _> = events
            .into_iter()
            .map(|event| (event.detail.line(), event.detail))
            .collect();
        for detail in with_events {
            assert_eq!(shown.get(&detail.line()), Some(detail));
        }
    }
}

async fn check_answers(store: &Store, batch: &Batch, details: &[Detail]) {
    let Some((first, last)) = details.first().zip(details.last()) else {
        return;
    };
    let place = batch.place();
    let events = store.events_in_lines(&place, first.line(), last.line());
    let mut last_answers = BTreeMap::new();
    for event in events.await.unwrap() {
        let number = EventNumber::new(event.detail.events).unwrap();
        if event.calls.iter().any(|call| call.response.is_some()) {
            last_answers.insert(event.detail.line(), number);
        }
    }
    for detail in details {
        let last_answer = last_answers.get(&detail.line()).copied();
        assert_eq!(detail.answered_in, last_answer, "{detail:#?}");
        if detail.status == DetailStatus::Processed {
            assert!(last_answer.is_some(), "{detail:#?}");
        }
    }
}

async fn check_ways(store: &Store, batch: &Batch, details: &[Detail]) {
    let mut by_order = BTreeMap::new();
    for detail in details {
        if let Some(charge) = detail.charge_id {
            let found = store
                .details_of_charge(charge, 10_000)
                .await
                .unwrap()
                .unwrap();
            assert!(found.contains(&detail.id), "{detail:#?}");
        }
        if let (Some(number), Some(seller)) = (&detail.order_number, batch.seller_id) {
            if !by_order.contains_key(number) {
                let found = store
                    .details_of_order(seller, number, 10_000)
                    .await
                    .unwrap()
                    .unwrap();
                by_order.insert(number, found);
            }
            assert!(by_order[number].contains(&detail.id), "{detail:#?}");
        }
    }
}

async fn check_platform(platform: &Platform, all: &[Books]) {
    let summary = platform.summary().await;
    assert_eq!(summary.duplicates, 0, "{summary:?}");
    let (charges, refunds) = (platform.charges().await, platform.refunds().await);
    let (mut known, mut returned) = (BTreeSet::new(), BTreeSet::new());
    let processed = all
        .iter()
        .flat_map(Books::details)
        .filter(|detail| detail.status == DetailStatus::Processed);
    for detail in processed {
        let charge_id = detail.charge_id.expect("a charge").to_string();
        let charge = charges.get(&charge_id).expect("the charge was made");
        let total = match detail.transaction_type {
            TransactionType::Charge => {
                let of = detail.id.to_string();
                let named = charge["metadata"].as_array().unwrap().iter();
                let mut named = named.filter(|entry| entry["name"] == "batch_detail_id");
                assert_eq!(named.next().unwrap()["value"], of.as_str());
                assert!(known.insert(charge_id), "{detail:#?}");
                &charge["total_amount"]
            }
            TransactionType::Refund => {
                let refund_id = detail.refund_id.expect("a refund").to_string();
                let refund = refunds.get(&refund_id).expect("the refund was made");
                assert_eq!(refund["charge_id"], charge_id.as_str());
                assert!(returned.insert(refund_id), "{detail:#?}");
                &refund["total_amount"]
            }
        };
        assert_eq!(total.as_i64(), detail.amount.map(Amount::minor));
    }
    let stray = |made: &BTreeMap<String, _>, known: &BTreeSet<String>| {
        let stray = made.keys().find(|id| !known.contains(*id));
        stray.cloned()
    };
    assert_eq!(stray(&charges, &known), None, "a charge of no detail");
    assert_eq!(stray(&refunds, &returned), None, "a refund of no detail");
}

async fn check_open(store: &Store, all: &[Books]) {
    let files = store.open_files(None).await.unwrap();
    let batches = store.open_batches(None).await.unwrap();
    for books in all {
        assert!(!files.contains(&books.file.id), "{:?}", books.file);
        for (batch, _) in &books.batches {
            assert!(!batches.contains(&batch.id), "{batch:?}");
        }
    }
}
