//! The sample files.

use std::collections::BTreeSet;
use std::fs;

use crate::support::{checked, fixture, fixtures, golden, items, problems, records_of};
use weir_domain::{ErrorCode, Transaction};
use weir_servicegate::{FileRule, Record};

/// Sample files of a folder, with the code that their names begin with.
fn samples(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut samples: Vec<_> = fs::read_dir(fixtures().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (stem, fs::read(&path).unwrap())
        })
        .collect();
    samples.sort();
    samples
}

fn code_of(stem: &str) -> &str {
    stem.split('-').next().unwrap()
}

#[test]
fn every_broken_sample_breaks_the_rule_that_it_is_named_after() {
    for (stem, bytes) in samples("broken") {
        let problems = problems(&bytes);
        let first = problems
            .first()
            .unwrap_or_else(|| panic!("{stem} is sound"));
        assert_eq!(first.rule.code(), code_of(&stem), "{stem}: {problems:?}");
        assert!(!checked(&bytes).sound, "{stem}");
    }
}

#[test]
fn every_rule_of_a_file_has_a_broken_sample() {
    let samples = samples("broken");
    let shown: BTreeSet<&str> = samples.iter().map(|(stem, _)| code_of(stem)).collect();
    let rules: BTreeSet<&str> = FileRule::CODES.iter().copied().collect();
    assert_eq!(shown, rules);
}

#[test]
fn every_record_sample_is_a_sound_file_with_the_error_that_it_is_named_after() {
    for (stem, bytes) in samples("records") {
        let report = checked(&bytes);
        assert!(report.sound, "{stem}: {:?}", report.problems);
        let codes: Vec<_> = report
            .record_problems
            .iter()
            .map(|r| r.problem.code.code())
            .collect();
        assert_eq!(codes, [code_of(&stem)], "{stem}");
    }
}

#[test]
fn every_code_that_a_reader_gives_has_a_record_sample() {
    let samples = samples("records");
    let shown: BTreeSet<&str> = samples.iter().map(|(stem, _)| code_of(stem)).collect();
    let given_later = [
        ErrorCode::ElementConflict,
        ErrorCode::RetriesExhausted,
        ErrorCode::ChargeNotSettled,
        ErrorCode::ChargeOfOtherSeller,
        ErrorCode::ChargeInOtherCurrency,
        ErrorCode::OutcomeUnknown,
        ErrorCode::UnexpectedResponse,
        ErrorCode::Undeliverable,
    ];
    let given: BTreeSet<&str> = ErrorCode::ALL
        .iter()
        .filter(|code| !given_later.contains(code))
        .map(|code| code.code())
        .collect();
    assert_eq!(shown, given);
}

#[test]
fn a_cut_at_any_byte_is_never_taken_for_a_whole_file() {
    let golden = golden();
    let whole = golden.trim_end().len();
    for cut in 0..whole {
        let report = checked(&golden.as_bytes()[..cut]);
        assert!(
            !report.sound && report.summary.is_none(),
            "cut at byte {cut}"
        );
    }
    for end in whole..=golden.len() {
        assert!(checked(&golden.as_bytes()[..end]).sound);
    }
}

#[test]
fn a_cut_at_any_byte_is_never_taken_for_a_whole_file_in_utf_16() {
    let golden = fixture("golden-utf-16le.xml");
    let blank_tail = golden.rchunks(2).take_while(|unit| unit != b">\0").count() * 2;
    for cut in 0..golden.len() - blank_tail {
        assert!(!checked(&golden[..cut]).sound, "cut at byte {cut}");
    }
}

fn transactions(name: &str) -> Vec<Transaction> {
    let sound = |record: Record| record.transaction.unwrap();
    records_of(items(&fixture(name)))
        .into_iter()
        .map(sound)
        .collect()
}

#[test]
fn every_form_of_the_golden_file_holds_the_same_transactions() {
    let golden = transactions("golden.xml");
    assert_eq!(golden.len(), 4);
    for form in [
        "golden-utf-8-bom.xml",
        "golden-utf-16le.xml",
        "golden-utf-16be.xml",
        "golden-iso-8859-1.xml",
        "golden-windows-1252.xml",
        "golden-headers-last.xml",
        "golden-prefixed.xml",
        "golden-no-namespace.xml",
    ] {
        assert_eq!(transactions(form), golden, "{form}");
        let report = crate::support::problems(&fixture(form));
        assert_eq!(report, [], "{form}");
    }
}

#[test]
fn the_golden_file_says_what_it_holds() {
    let report = checked(golden().as_bytes());
    let summary = report.summary.unwrap();
    assert_eq!(
        (summary.batches, summary.records, summary.errors),
        (2, 4, 0)
    );
    assert_eq!(summary.bytes, golden().len() as u64);
    assert_eq!(
        report.file_header.unwrap().reference.unwrap().as_str(),
        "NORTHWIND-2026-11-21-7"
    );
    let first = &report.batches[0];
    assert_eq!(first.summary.charge_total.unwrap().minor(), 15_560);
    assert_eq!(first.summary.refund_total.unwrap().minor(), 2_000);
    assert_eq!((first.summary.charges, first.summary.refunds), (2, 1));
}

#[test]
fn values_are_read_with_references_and_character_data_resolved() {
    let transactions = transactions("golden.xml");
    let Transaction::Charge(charge) = &transactions[0] else {
        panic!("a charge");
    };
    let text = |text: &Option<weir_domain::ShortText>| text.as_ref().unwrap().to_string();
    assert_eq!(text(&charge.comment), "Deliver to <dock 4> & ring");
    assert_eq!(
        text(&charge.order_url),
        "https://shop.example.com/orders?id=118204&lang=en"
    );
    assert_eq!(text(&charge.lines[0].description), "Brake kit, 3½ inch");
    assert_eq!(charge.metadata[1].value.as_str(), "first <delivery>");
    assert_eq!(
        charge
            .vehicle
            .as_ref()
            .unwrap()
            .unit_number
            .as_ref()
            .unwrap()
            .as_str(),
        "T-19"
    );
    let ship_to = charge.ship_to.as_ref().unwrap();
    assert_eq!(text(&ship_to.recipient_name), "Renée Müller");
    assert_eq!(ship_to.pickup, Some(false));
}

#[test]
fn a_record_keeps_its_source_text_and_its_place() {
    let golden = golden();
    for record in records_of(items(golden.as_bytes())) {
        let range = record.byte_range.clone();
        let source =
            &golden[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        assert_eq!(record.xml.as_deref(), Some(source));
        assert!(source.starts_with('<') && source.ends_with('>'));
        assert_eq!(record.position.byte, range.start);
        let line = golden
            .lines()
            .nth(usize::try_from(record.position.line).unwrap() - 1)
            .unwrap();
        let before = usize::try_from(record.position.column).unwrap() - 1;
        assert!(line[before..].starts_with("<Charge>") || line[before..].starts_with("<Refund>"));
    }
    let first = &records_of(items(golden.as_bytes()))[0];
    assert!(
        first.xml.as_ref().unwrap().contains("<Bay>12</Bay>"),
        "unknown elements are kept"
    );
}
