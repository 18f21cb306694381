//! The order of elements does not matter.

use crate::support::{HEADER, ROOT, charge, codes, items, problems, read, records_of, refund};
use weir_servicegate::{Item, Once, Options, Parser, ReadError, Reader, Step};

fn kinds(items: &[Item]) -> String {
    items
        .iter()
        .map(|item| match item {
            Item::FileHeader(_) => 'F',
            Item::BatchStart(_) => 'B',
            Item::Record(_) => 'R',
            Item::BatchEnd(_) => 'b',
            Item::Problem(_) => '!',
            Item::End(_) => 'E',
        })
        .collect()
}

#[test]
fn a_batch_header_behind_or_amid_its_records_serves_all_of_them() {
    let body = |header: [&str; 3]| {
        let [first, middle, last] = header;
        format!(
            "<Batch>{first}{}<X/>{middle}{}{last}</Batch>",
            charge(""),
            refund("")
        )
    };
    let first = body([HEADER, "", ""]);
    let expected = records_of(items(format!("{ROOT}{first}</SettlementFile>").as_bytes()));
    for batch in [body(["", HEADER, ""]), body(["", "", HEADER])] {
        let text = format!("{ROOT}{first}{batch}{first}</SettlementFile>");
        let items = items(text.as_bytes());
        assert_eq!(kinds(&items), "BRRbBRRbBRRbE");
        let records = records_of(items);
        for (record, other) in records.iter().zip(expected.iter().cycle()) {
            assert_eq!(record.transaction, other.transaction);
            assert_eq!(record.xml, other.xml);
        }
    }
}

#[test]
fn a_header_behind_its_records_is_judged_once() {
    let broken = HEADER.replace("<BatchNumber>B-1</BatchNumber>", "");
    let with = |header: &str| {
        format!(
            "{ROOT}<Batch>a{}{header}</Batch></SettlementFile>",
            charge("")
        )
    };
    assert_eq!(
        codes(&with(&broken)),
        ["file.text_misplaced", "file.element_missing"]
    );
    assert_eq!(
        codes(&with(&HEADER.repeat(2))),
        ["file.text_misplaced", "file.element_repeated"]
    );
    assert_eq!(
        codes(&with("")),
        ["file.text_misplaced", "file.element_missing"]
    );
    assert_eq!(
        codes(&with(&HEADER.replace(
            "</BatchHeader>",
            "<TransactionCount>2</TransactionCount></BatchHeader>"
        ))),
        ["file.text_misplaced", "file.control_mismatch"]
    );
}

#[test]
fn what_is_wrong_on_the_way_to_a_late_header_is_found_once_and_in_place() {
    let text = format!(
        "{ROOT}<Batch>{}a{}b{HEADER}</Batch></SettlementFile>",
        charge(""),
        charge("x")
    );
    let (items, ended) = read(text.as_bytes());
    assert_eq!(ended, None);
    assert_eq!(kinds(&items), "BR!R!bE");
    let Some(Item::End(summary)) = items.last() else {
        panic!("an end");
    };
    assert_eq!(
        (summary.problems, summary.errors, summary.records),
        (2, 1, 2)
    );
}

#[test]
fn a_file_that_is_cut_off_on_the_way_to_a_late_header_is_cut_off() {
    let text = format!("{ROOT}<Batch>{}<X>", charge(""));
    assert_eq!(codes(&text), ["file.cut_off"]);
}

#[test]
fn a_file_header_behind_the_batches_is_checked_all_the_same() {
    let with = |count: u32| {
        codes(&format!(
            "{ROOT}<Batch>{HEADER}{}</Batch><FileHeader><BatchCount>{count}</BatchCount></FileHeader></SettlementFile>",
            charge("")
        ))
    };
    assert_eq!(with(1), Vec::<&str>::new());
    assert_eq!(with(2), ["file.control_mismatch"]);
}

#[test]
fn input_that_cannot_be_read_again_says_so_for_a_late_header() {
    let text = format!(
        "{ROOT}<Batch>{}{HEADER}</Batch></SettlementFile>",
        charge("")
    );
    let mut reader = Reader::new(Once::new(text.as_bytes()), Options::default());
    let error = loop {
        match reader.next_item() {
            Ok(item) => assert!(item.is_some()),
            Err(error) => break error,
        }
    };
    let ReadError::Source(error) = error else {
        panic!("the source's error");
    };
    assert!(error.to_string().contains("BatchHeader"));
}

#[test]
fn a_parser_asks_to_be_rewound_to_the_first_record() {
    let text = format!(
        "{ROOT}<Batch> {}{HEADER}</Batch></SettlementFile>",
        charge("")
    );
    let mut parser = Parser::new(Options::default());
    parser.push(text.as_bytes());
    let first = text.find(" <Charge>").unwrap() as u64;
    let Ok(Step::Rewind { byte_offset }) = parser.next() else {
        panic!("a rewind");
    };
    assert!(byte_offset == first || byte_offset == first + 1);
    assert!(matches!(parser.next(), Ok(Step::Item(Item::BatchStart(_)))));
    assert_eq!(parser.next(), Ok(Step::NeedInput));
    parser.push(&text.as_bytes()[usize::try_from(byte_offset).unwrap()..]);
    assert!(matches!(parser.next(), Ok(Step::Item(Item::Record(_)))));
}

#[test]
fn elements_of_a_record_may_stand_in_any_order() {
    let golden = crate::support::golden();
    let record = records_of(items(golden.as_bytes())).remove(0);
    let xml = record.xml.unwrap();
    // The children of the record, each with its own end.
    let inner = xml
        .strip_prefix("<Charge>")
        .unwrap()
        .strip_suffix("</Charge>")
        .unwrap();
    let mut children: Vec<&str> = inner
        .split("\n      <")
        .filter(|child| !child.trim().is_empty())
        .collect();
    let mut whole: Vec<String> = Vec::new();
    for child in children.drain(..) {
        if child.starts_with('/') {
            *whole.last_mut().unwrap() += &["<", child].concat();
        } else {
            whole.push(format!("<{child}"));
        }
    }
    for turn in 0..whole.len() {
        whole.rotate_left(1);
        let text = golden.replacen(&xml, &format!("<Charge>{}</Charge>", whole.concat()), 1);
        let read = records_of(items(text.as_bytes())).remove(0);
        assert_eq!(read.transaction, record.transaction, "turned by {turn}");
    }
    assert_eq!(problems(golden.as_bytes()), []);
}
