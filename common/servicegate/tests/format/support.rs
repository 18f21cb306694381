//! Small files put together from pieces, and what a reader says of them.

use std::fs;
use std::path::PathBuf;

use weir_domain::Transaction;
use weir_servicegate::{
    CheckReport, FileProblem, FileRule, Item, Limits, Options, ReadError, Reader, Record,
    RecordProblem, check,
};

pub(crate) const BUYER: &str = "cf771e8a-5c1a-462f-b4c9-fc745f02d0de";
pub(crate) const ROOT: &str = r#"<SettlementFile xmlns="urn:servicegate:batch:v2" version="2.0">"#;
pub(crate) const HEADER: &str = "<BatchHeader><BatchNumber>B-1</BatchNumber>\
    <AlternateSellerId>NW-0042</AlternateSellerId><Currency>USD</Currency></BatchHeader>";

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/settlements")
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    fs::read(fixtures().join(name)).unwrap()
}

pub(crate) fn golden() -> String {
    String::from_utf8(fixture("golden.xml")).unwrap()
}

/// A charge with what is given after what it must have.
pub(crate) fn charge(more: &str) -> String {
    format!(
        "<Charge><OrderNumber>SO-1</OrderNumber><BuyerId>{BUYER}</BuyerId>\
         <TotalAmount>12.50</TotalAmount>{more}</Charge>"
    )
}

pub(crate) fn refund(more: &str) -> String {
    format!(
        "<Refund><OrderNumber>SO-1</OrderNumber><TotalAmount>12.50</TotalAmount>{more}</Refund>"
    )
}

/// A file with one batch of the given records.
pub(crate) fn file(records: &str) -> String {
    format!("{ROOT}<Batch>{HEADER}{records}</Batch></SettlementFile>")
}

/// A file with one batch of the given header elements and one charge.
pub(crate) fn file_with_header(header: &str) -> String {
    let charge = charge("");
    format!("{ROOT}<Batch><BatchHeader>{header}</BatchHeader>{charge}</Batch></SettlementFile>")
}

/// All items, and the problem that ended the reading.
pub(crate) fn read_with(bytes: &[u8], options: Options) -> (Vec<Item>, Option<FileProblem>) {
    let open = |offset: u64| Ok(&bytes[usize::try_from(offset).unwrap()..]);
    let mut reader = Reader::new(open, options);
    let mut items = Vec::new();
    loop {
        match reader.next_item() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, None),
            Err(ReadError::File(problem)) => return (items, Some(*problem)),
            Err(ReadError::Source(error)) => panic!("{error}"),
        }
    }
}

pub(crate) fn read(bytes: &[u8]) -> (Vec<Item>, Option<FileProblem>) {
    read_with(bytes, Options::default())
}

/// All items of a file that must be readable to its end.
pub(crate) fn items(bytes: &[u8]) -> Vec<Item> {
    let (items, ended) = read(bytes);
    assert_eq!(ended, None);
    items
}

pub(crate) fn records_of(items: Vec<Item>) -> Vec<Record> {
    let record = |item| match item {
        Item::Record(record) => Some(*record),
        _ => None,
    };
    items.into_iter().filter_map(record).collect()
}

/// Every rule of the file that is broken, the one that ends the reading last.
pub(crate) fn problems(bytes: &[u8]) -> Vec<FileProblem> {
    let (items, ended) = read(bytes);
    let problem = |item| match item {
        Item::Problem(problem) => Some(*problem),
        _ => None,
    };
    items.into_iter().filter_map(problem).chain(ended).collect()
}

pub(crate) fn rules(file: &str) -> Vec<FileRule> {
    problems(file.as_bytes())
        .into_iter()
        .map(|problem| problem.rule)
        .collect()
}

pub(crate) fn codes(file: &str) -> Vec<&'static str> {
    rules(file).iter().map(FileRule::code).collect()
}

/// What is wrong with the only record of a sound file.
pub(crate) fn faults(records: &str) -> Vec<RecordProblem> {
    let text = file(records);
    let mut records = records_of(items(text.as_bytes()));
    assert_eq!(problems(text.as_bytes()), []);
    assert_eq!(records.len(), 1);
    match records.remove(0).transaction {
        Ok(_) => Vec::new(),
        Err(rejected) => rejected.problems,
    }
}

/// The codes and the last steps of the paths of what is wrong with the only record.
pub(crate) fn fault_codes(records: &str) -> Vec<(&'static str, String)> {
    let step = |problem: &RecordProblem| problem.path.rsplit('/').next().unwrap().to_owned();
    faults(records)
        .iter()
        .map(|problem| (problem.code.code(), step(problem)))
        .collect()
}

pub(crate) fn checked(bytes: &[u8]) -> CheckReport {
    let open = |offset: u64| Ok(&bytes[usize::try_from(offset).unwrap()..]);
    check(open, Options::default(), |_| {}).unwrap()
}

pub(crate) fn limited(limits: Limits) -> Options {
    Options {
        limits,
        ..Options::default()
    }
}

pub(crate) fn one(element: &str, value: &str) -> String {
    format!("<{element}>{value}</{element}>")
}

pub(crate) fn assert_sound(record: &str) {
    assert_eq!(
        fault_codes(record),
        [],
        "{}",
        &record[..record.len().min(300)]
    );
}

pub(crate) fn assert_fault(record: &str, code: &str, step: &str) {
    assert_eq!(
        fault_codes(record),
        [(code, step.to_owned())],
        "{}",
        &record[..record.len().min(300)]
    );
}

pub(crate) fn transaction(record: &str) -> Transaction {
    let record = records_of(items(file(record).as_bytes())).remove(0);
    record.transaction.unwrap()
}
