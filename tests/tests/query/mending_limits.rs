//! The table of errors at its limits, and when its tables fail or change meanwhile.

use std::time::Duration;

use weir_domain::{DetailId, LineNumber};
use weir_runtime::{Metrics, Random};
use weir_settlement::actions::{Actions, Asked};
use weir_settlement::mend::{
    MendError, SheetLimits, TableError, TableLimits, WriteError, errors_csv, mended,
};
use weir_store::{Batch, Detail, LeaseState};
use weir_tests::faults::{Fault, FaultyClient, Rates, Service};
use weir_tests::rig::Rig;
use weir_tests::text;

/// A batch of so many wrong charges.
async fn broken(rig: &Rig, charges: u32) -> Batch {
    let charges: Vec<String> = (1..=charges)
        .map(|number| text::wrong_charge(&format!("SO-{number}"), "1.00"))
        .collect();
    let file = rig
        .take("broken.xml", text::one_batch("B-1", &charges))
        .await;
    rig.batch(file, 1).await
}

/// A table that mends all of it.
fn mending(batch: &Batch) -> String {
    let ids = batch.lines().map(|line| batch.id.detail(line));
    let rows = ids.map(|id| format!("{id},{}\n", text::BUYER));
    std::iter::once("batch_detail_id,buyer_id\n".to_owned())
        .chain(rows)
        .collect()
}

fn asked() -> Asked {
    Asked {
        actor: "desk".to_owned(),
        correlation_id: "c-1".to_owned(),
        id: None,
    }
}

fn actions(rig: &Rig) -> Actions {
    rig.process.actions.clone()
}

async fn details(rig: &Rig, batch: &Batch) -> Vec<Detail> {
    let lines: Vec<_> = batch.lines().collect();
    rig.parts
        .store
        .details(&batch.place(), &lines)
        .await
        .unwrap()
}

fn line(number: u32) -> LineNumber {
    LineNumber::new(number).unwrap()
}

#[tokio::test]
async fn a_table_looks_at_no_more_lines_than_it_may() {
    let rig = Rig::start().await;
    let batch = broken(&rig, 6).await;
    let sheet = async |from: u32, to: u32, lines: u32| {
        let limits = SheetLimits {
            bytes: 1 << 20,
            lines,
        };
        errors_csv(&rig.parts.store, &batch, line(from), line(to), limits).await
    };
    for (from, to, lines) in [
        (1, 6, 7),
        (1, 6, 6),
        (1, 5, 5),
        (3, 6, 4),
        (2, 1_000_000, 5),
    ] {
        assert!(
            sheet(from, to, lines).await.is_ok(),
            "{from}..={to} of {lines}"
        );
    }
    for (from, to, lines, last) in [(1, 6, 5, 5), (1, 1_000_000, 3, 3), (3, 6, 3, 5)] {
        let Err(MendError::TooFar { to }) = sheet(from, to, lines).await else {
            panic!("{from}..={to} of {lines}");
        };
        assert_eq!(to, line(last));
        // What it says fits does.
        assert!(sheet(from, last, lines).await.is_ok());
    }
}

#[tokio::test]
async fn a_request_for_a_table_looks_at_200_000_lines_at_most() {
    let rig = Rig::start().await;
    let mut batch = broken(&rig, 3).await;
    // Most of its lines are not there, and have to be looked for all the same.
    batch.counters.details = 1_000_000;
    let limits = SheetLimits::of_bytes(1 << 20);
    let table = async |from: u32, to: u32| {
        errors_csv(&rig.parts.store, &batch, line(from), line(to), limits).await
    };
    for (from, to) in [(1, 199_999), (1, 200_000), (2, 200_001)] {
        let rows = table(from, to).await.unwrap();
        let rows = rows.split(|byte| *byte == b'\n').count() - 2;
        assert_eq!(rows, 4 - from as usize, "{from}..={to}");
    }
    for (from, to, last) in [(1, 200_001, 200_000), (2, 1_000_000, 200_001)] {
        let Err(MendError::TooFar { to }) = table(from, to).await else {
            panic!("{from}..={to}");
        };
        assert_eq!(to, line(last));
    }
}

#[tokio::test]
async fn a_table_is_no_larger_than_it_may_be() {
    let rig = Rig::start().await;
    let batch = broken(&rig, 6).await;
    let sheet = async |to: u32, bytes: usize| {
        let limits = SheetLimits::of_bytes(bytes);
        errors_csv(&rig.parts.store, &batch, line(1), line(to), limits).await
    };
    let counted = |table: &[u8]| {
        let twice = |byte: &&u8| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t');
        table.len() + table.iter().filter(twice).count()
    };
    let whole = counted(&sheet(6, usize::MAX).await.unwrap());
    assert!(sheet(6, whole + 1).await.is_ok());
    assert!(sheet(6, whole).await.is_ok());
    let Err(MendError::TooLarge { fits_to }) = sheet(6, whole - 1).await else {
        panic!();
    };
    assert_eq!(fits_to, Some(line(5)));
    assert!(sheet(5, whole - 1).await.is_ok());
    let Err(MendError::TooLarge { fits_to: None }) = sheet(6, 1).await else {
        panic!();
    };
}

#[tokio::test]
async fn the_drafts_of_a_table_come_to_no_more_than_they_may() {
    let rig = Rig::start().await;
    let batch = broken(&rig, 3).await;
    let table = mending(&batch);
    let with = async |draft_bytes: usize, rows: usize| {
        let limits = TableLimits { rows, draft_bytes };
        mended(&rig.parts.store, &batch, table.as_bytes(), limits).await
    };
    let drafts = with(usize::MAX, 3).await.unwrap().drafts;
    assert_eq!(drafts.len(), 3);
    let bytes: usize = drafts
        .iter()
        .map(|draft| draft.payload.xml.len() + draft.payload.request.len())
        .sum();
    assert!(with(bytes + 1, 4).await.is_ok());
    assert!(with(bytes, 3).await.is_ok());
    let max = bytes - 1;
    assert_eq!(with(max, 3).await, Err(TableError::TooMuch { max }));
    assert_eq!(
        with(bytes, 2).await,
        Err(TableError::TooManyRows { max: 2 })
    );
}

#[tokio::test]
async fn many_drafts_take_several_transactions_and_all_are_counted() {
    let rig = Rig::start().await;
    for (number, charges) in [("33", 33), ("34", 34), ("67", 67)] {
        let records: Vec<String> = (1..=charges)
            .map(|order| text::wrong_charge(&format!("SO-{number}-{order}"), "1.00"))
            .collect();
        let file = text::one_batch(&format!("B-{number}"), &records);
        let file = rig.take(&format!("{number}.xml"), file).await;
        let batch = rig.batch(file, 1).await;
        let table = mending(&batch);
        let limits = TableLimits::default();
        let mended = mended(&rig.parts.store, &batch, table.as_bytes(), limits).await;
        let written = mended
            .unwrap()
            .write(&actions(&rig), &batch, &asked())
            .await;
        assert_eq!(written, Ok(charges));
        let counters = rig.batch(file, 1).await.counters;
        assert_eq!(
            (counters.draft, counters.error),
            (charges as u64, charges as u64)
        );
        assert!(details(&rig, &batch).await.iter().all(Detail::has_draft));
    }
}

#[tokio::test]
async fn a_draft_is_for_the_detail_that_its_row_was_judged_by() {
    let rig = Rig::start().await;
    let batch = broken(&rig, 3).await;
    let table = mending(&batch);
    let limits = TableLimits::default();
    let plan = mended(&rig.parts.store, &batch, table.as_bytes(), limits)
        .await
        .unwrap();
    // Somebody else changes one of them before the drafts are written.
    let other = |lease: &mut LeaseState| lease.error_description = Some("other".to_owned());
    rig.change(batch.id.file(), 1, 2, other).await;
    let before = details(&rig, &batch).await;
    let written = plan.write(&actions(&rig), &batch, &asked()).await;
    let ids: Vec<DetailId> = vec![batch.id.detail(line(2))];
    assert_eq!(written, Err(WriteError::Changed { drafted: 0, ids }));
    assert_eq!(details(&rig, &batch).await, before);
    let again = mended(&rig.parts.store, &batch, table.as_bytes(), limits)
        .await
        .unwrap();
    assert_eq!(again.write(&actions(&rig), &batch, &asked()).await, Ok(3));
    // The same plan once more does not draft over what is there.
    let late = again.write(&actions(&rig), &batch, &asked()).await;
    assert!(
        matches!(late, Err(WriteError::Changed { drafted: 0, .. })),
        "{late:?}"
    );
}

#[tokio::test]
async fn whatever_the_tables_lose_each_row_is_drafted_once_and_counted_once() {
    let mut met = 0;
    for seed in 1..=12 {
        let rig = Rig::start().await;
        let batch = broken(&rig, 50).await;
        let table = mending(&batch);
        let clock = rig.parts.timeline.clock().clone();
        let rates = Fault::ALL.map(|fault| (fault, 90));
        let faults = FaultyClient::new(
            rig.parts.network.aws.clone(),
            Rates::default().of(Service::Dynamodb, &rates),
            Random::seeded(seed),
            clock.clone(),
            Duration::from_millis(20),
        );
        let actions = Actions {
            store: rig.parts.store_through(faults.shared()).await,
            metrics: Metrics::discarded(clock.clone()),
            clock,
            random: Random::seeded(seed),
        };
        // Whoever sent it sends it again until it is said to be done.
        let mut done = false;
        for _ in 0..200 {
            let limits = TableLimits::default();
            let Ok(plan) = mended(&actions.store, &batch, table.as_bytes(), limits).await else {
                continue;
            };
            if plan.write(&actions, &batch, &asked()).await.is_ok() {
                done = true;
                break;
            }
        }
        assert!(done);
        faults.heal().await;
        for detail in details(&rig, &batch).await {
            assert_eq!(
                (detail.draft_version, detail.payload_versions),
                (Some(2), 2)
            );
            assert_eq!(detail.events, 1);
        }
        let after = rig.batch(batch.id.file(), 1).await;
        assert_eq!((after.counters.draft, after.counters.error), (50, 50));
        met += faults.met().values().sum::<u64>();
    }
    assert!(met > 20, "{met}");
}
