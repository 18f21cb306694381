//! The three kinds of bad input: a file that cannot be trusted, a batch that cannot be taken, a
//! record that is wrong.

use std::fs;
use std::path::Path;

use uuid::Uuid;
use weir_domain::{BatchStatus, DetailStatus, FileStatus, SellerId};
use weir_local::demo;
use weir_runtime::Metric;
use weir_settlement::upload::UploadScope;
use weir_store::Seller;
use weir_tests::parts::{self, scope};
use weir_tests::rig::Rig;
use weir_tests::text;

/// Sample files of a folder, by the code of the rule that each breaks.
fn samples(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/settlements")
        .join(folder);
    let read = |path: &Path| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        (stem.to_owned(), fs::read(path).unwrap())
    };
    let files = fs::read_dir(folder).unwrap();
    let mut samples: Vec<_> = files.map(|entry| read(&entry.unwrap().path())).collect();
    samples.sort();
    samples
}

/// Asserts that an error log says where: line, column and byte of the first problem.
fn assert_located(log: &str) {
    let first = log.lines().next().unwrap();
    for word in ["line ", "column ", "byte "] {
        let (_, after) = first.split_once(word).unwrap_or_else(|| panic!("{log}"));
        assert!(after.starts_with(|c: char| c.is_ascii_digit()), "{log}");
    }
}

#[tokio::test]
async fn nothing_exists_of_a_file_that_breaks_any_rule_of_the_format() {
    let rig = Rig::start().await;
    let samples = samples("broken");
    assert!(samples.len() > 30);
    for (stem, bytes) in samples {
        let file = rig.take(&format!("{stem}.xml"), bytes).await;
        rig.assert_nothing_of(file).await;
        let log = rig.file(file).await.error_log.unwrap();
        assert_located(&log);
    }
}

#[tokio::test]
async fn an_error_log_names_place_path_and_reason() {
    let rig = Rig::start().await;
    let bytes = text::file(&[
        text::batch("OK-1", text::SELLERS[0], &[text::charge("SO-1", "1.00")]),
        "\n<Batch><BatchHeader><BatchNumber>B-2</BatchNumber></BatchHeader>\n</Batch>".to_owned(),
    ]);
    let file = rig.take("two-faults.xml", bytes).await;
    rig.assert_nothing_of(file).await;
    let log = rig.file(file).await.error_log.unwrap();
    assert_located(&log);
    assert!(log.contains("SettlementFile/Batch"), "{log}");
    assert!(log.contains("SellerId"), "{log}");
    // Both faults of the second batch, not the first alone: it has no seller and no transaction.
    assert!(log.lines().count() >= 2, "{log}");
}

#[tokio::test]
async fn a_file_cut_off_anywhere_never_creates_a_batch() {
    const CUTS: usize = 40;
    let rig = Rig::start().await;
    let (whole, _) = text::generated("CUT", 3, 2, 12, 0);
    // What stands after the last tag is no part of what it says.
    let whole = whole.trim_ascii_end();
    for cut in 0..CUTS {
        // Among them nothing at all, and all but the last byte.
        let length = cut * (whole.len() - 1) / (CUTS - 1);
        let name = format!("cut-{length}.xml");
        let file = rig.take(&name, whole[..length].to_vec()).await;
        rig.assert_nothing_of(file).await;
    }
    let file = rig.take("whole.xml", whole.to_vec()).await;
    assert_eq!(rig.file(file).await.status, FileStatus::Processed);
}

#[tokio::test]
async fn an_object_whose_key_names_no_known_program_is_refused() {
    let rig = Rig::start().await;
    let bytes = text::one_batch("KEY-1", &[text::charge("SO-1", "1.00")]);
    let strangers = Uuid::from_u128(0x9999_0000_4000_8000_0000_0000_0001);
    let foreign = UploadScope {
        program_id: strangers.try_into().unwrap(),
        ..scope()
    };
    let object = rig.parts.put_under(foreign, "a.xml", bytes.clone()).await;
    let file = rig.take_object(object).await;
    rig.assert_nothing_of(file).await;
    let store = &rig.parts.store;
    let object = store.put_upload("just-a-name.xml", bytes.into()).await;
    let file = rig.take_object(object.unwrap()).await;
    rig.assert_nothing_of(file).await;
    let log = rig.file(file).await.error_log.unwrap();
    assert!(log.contains("<client id>/<program id>/<name>"), "{log}");
}

/// A seller with the alternate id `FOREIGN-1` in a program of its own.
async fn foreign_seller(rig: &Rig) -> SellerId {
    let id: SellerId = Uuid::from_u128(0x3333_9999_4000_8000_0000_0000_0009)
        .try_into()
        .unwrap();
    let program = Uuid::from_u128(0x2222_9999_4000_8000_0000_0000_0009);
    let seller = Seller {
        id,
        client_id: demo::client_id().unwrap(),
        program_id: program.try_into().unwrap(),
        alternate_seller_id: Some("FOREIGN-1".parse().unwrap()),
        name: "Elsewhere".to_owned(),
        status: None,
        processed_message_ts: None,
        created_at: rig.parts.timeline.clock().now(),
        updated_at: rig.parts.timeline.clock().now(),
    };
    rig.parts.store.put_seller(&seller).await.unwrap();
    id
}

#[tokio::test]
async fn a_batch_that_cannot_be_taken_is_in_error_without_details_and_the_others_go_on() {
    let rig = Rig::start().await;
    let foreign = foreign_seller(&rig).await;
    let record = |order: &str| [text::charge(order, "12.50")];
    let by_id = text::batch("B-5", "X", &record("SO-5")).replace(
        "<AlternateSellerId>X</AlternateSellerId>",
        &format!("<SellerId>{foreign}</SellerId>"),
    );
    let bytes = text::file(&[
        text::batch("B-1", "NW-0042", &record("SO-1")),
        text::batch("B-2", "NOBODY", &record("SO-2")),
        text::batch("B-1", "NW-0042", &record("SO-3")),
        text::batch("B-4", "FOREIGN-1", &record("SO-4")),
        by_id,
        // The same number is another seller's to use.
        text::batch("B-1", "CT-0007", &record("SO-6")),
    ]);
    let file = rig.take("mixed.xml", bytes).await;
    // Nothing of them is settled: somebody is told of each.
    let told = |metric| rig.counted.upload.sum(metric);
    assert_eq!(told(Metric::BatchesRefused), 4);
    assert_eq!(told(Metric::BatchesError), 4);
    assert_eq!(told(Metric::DetailsError), 0);
    rig.settle().await;
    assert_eq!(rig.counted.process.sum(Metric::BatchesError), 0);
    let books = rig.audit(&[file]).await.remove(0);
    assert_eq!(books.count(DetailStatus::Processed), 2);
    let rejected = [
        (2, "NOBODY"),
        (3, "already has a batch B-1"),
        (4, "FOREIGN-1"),
        (5, "is not known in program"),
    ];
    for (ordinal, reason) in rejected {
        let batch = rig.batch(file, ordinal).await;
        assert_eq!(batch.status, BatchStatus::Error);
        assert_eq!(batch.counters.details, 0);
        let log = batch.error_log.unwrap();
        assert!(log.contains(reason), "{ordinal}: {log}");
    }
    for ordinal in [1, 6] {
        let batch = rig.batch(file, ordinal).await;
        assert_eq!(batch.status, BatchStatus::Processed);
    }
    let first = rig.batch(file, 1).await.id.to_string();
    let log = rig.batch(file, 3).await.error_log.unwrap();
    assert!(log.contains(&first), "it names the other batch: {log}");
}

#[tokio::test]
async fn an_upload_for_one_seller_takes_no_other_sellers_batches() {
    let rig = Rig::start().await;
    let record = |order: &str| [text::charge(order, "12.50")];
    let bytes = text::file(&[
        text::batch("B-1", text::SELLERS[0], &record("SO-1")),
        text::batch("B-2", text::SELLERS[1], &record("SO-2")),
    ]);
    let alternate = text::SELLERS[0].parse().unwrap();
    let program = demo::program_id().unwrap();
    let seller = rig.parts.store.seller_by_alternate_id(program, &alternate);
    let scope = UploadScope {
        seller_id: Some(seller.await.unwrap().unwrap().id),
        ..scope()
    };
    let object = rig.parts.put_under(scope, "own.xml", bytes).await;
    let file = rig.take_object(object).await;
    rig.settle().await;
    rig.audit(&[file]).await;
    assert_eq!(rig.batch(file, 1).await.status, BatchStatus::Processed);
    assert_eq!(rig.batch(file, 2).await.status, BatchStatus::Error);
}

#[tokio::test]
async fn a_wrong_record_is_in_error_with_its_code_and_the_others_settle() {
    let rig = Rig::start().await;
    let sound = text::charge("SO-SOUND", "12.50");
    for (index, (stem, bytes)) in samples("records").into_iter().enumerate() {
        let text = String::from_utf8(bytes).unwrap();
        // A sound record beside the wrong one, and a number of its own for each batch.
        let text = text.replacen("</Batch>", &format!("{sound}</Batch>"), 1);
        let number = format!("<BatchNumber>R-{index}</BatchNumber>");
        let text = text.replacen("<BatchNumber>B-1</BatchNumber>", &number, 1);
        let told = || rig.counted.upload.sum(Metric::DetailsError);
        let before = told();
        let file = rig.take(&format!("{stem}.xml"), text).await;
        let statuses = rig.statuses(file).await.concat();
        let errors = statuses.iter().filter(|is| **is == DetailStatus::Error);
        assert_eq!(told() - before, errors.count() as u64, "{stem}");
        let (last, wrong) = statuses.split_last().unwrap();
        assert!(wrong.contains(&DetailStatus::Error), "{stem}: {statuses:?}");
        // Without a currency on the batch, the sound record lacks one too.
        if !stem.starts_with("bcs.currency_missing") {
            assert_eq!(*last, DetailStatus::Unprocessed, "{stem}");
        }
        rig.settle().await;
        let code = stem.split('-').next().unwrap();
        let books = weir_tests::laws::Books::of(&rig.parts.store, file).await;
        assert!(
            books.errors().contains_key(code),
            "{stem}: {:?}",
            books.errors()
        );
        for detail in books.details() {
            let is_error = detail.status == DetailStatus::Error;
            assert_eq!(detail.error_description.is_some(), is_error, "{detail:#?}");
            assert_eq!(detail.request_version == 0, is_error, "{detail:#?}");
        }
    }
    assert_eq!(rig.parts.counts(parts::DETAILS).ready, 0);
}
