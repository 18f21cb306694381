//! What holds for any bytes, and for any way to write the same thing.

use crate::support::{fixture, golden, items, problems, read, records_of};
use proptest::prelude::*;
use weir_domain::Transaction;
use weir_servicegate::Item;

fn transactions(bytes: &[u8]) -> Vec<Transaction> {
    let sound = |record: weir_servicegate::Record| record.transaction.unwrap();
    records_of(items(bytes)).into_iter().map(sound).collect()
}

/// A file is whole only when its last item says so, and then nothing ended the reading.
fn assert_coherent(bytes: &[u8]) {
    let (items, ended) = read(bytes);
    let whole = matches!(items.last(), Some(Item::End(_)));
    assert_eq!(whole, ended.is_none());
    if let Some(ended) = ended {
        assert!(ended.position.byte <= bytes.len() as u64);
    }
}

/// Where the golden file has text, markup or space between two tokens that may be rewritten.
fn leaf_tags(text: &str) -> Vec<(usize, String)> {
    text.match_indices('<')
        .filter_map(|(at, _)| {
            let tag = text[at + 1..].split('>').next()?;
            let plain = tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let end = format!("</{tag}>");
            let rest = &text[at + tag.len() + 2..];
            let next = rest.find('<')?;
            (plain && rest[next..].starts_with(&end)).then(|| (at, tag.to_owned()))
        })
        .collect()
}

/// Writes an element that holds text in another way that means the same.
fn rewrite(text: &str, at: usize, tag: &str, way: usize) -> String {
    let start = at + tag.len() + 2;
    let end = start + text[start..].find('<').unwrap();
    let value = &text[start..end];
    let whole = end + tag.len() + 3;
    let numbered: String = value
        .chars()
        .map(|c| format!("&#{};", u32::from(c)))
        .collect();
    let plain = !value.contains('&');
    let half = value
        .char_indices()
        .nth(value.chars().count() / 2)
        .map_or(0, |(half, _)| half);
    let (head, tail) = value.split_at(half);
    let element = match way {
        0 => format!("<{tag} >{value}</{tag}\n>"),
        1 => format!("<{tag}> \r\n\t{value} \n</{tag}>"),
        2 => format!("<{tag} extra='1' b=\"&lt;>\">{value}</{tag}>"),
        3 => format!("<!-- a --><{tag}>{value}</{tag}><?go on?>"),
        4 => format!("<{tag}><!-- a -->{value}<?go?></{tag}>"),
        5 if plain => format!("<{tag}><![CDATA[{value}]]></{tag}>"),
        6 if plain => format!("<{tag}>{numbered}</{tag}>"),
        7 if plain => format!("<{tag}>{head}<!-- a -->{tail}</{tag}>"),
        8 if plain => format!("<{tag}>{head}<![CDATA[{tail}]]></{tag}>"),
        9 => format!("<x:{tag} xmlns:x='urn:servicegate:batch:v2'>{value}</x:{tag}>"),
        10 => format!("<{tag} xmlns=''>{value}</{tag}>"),
        11 => format!(
            "<Unknown><{tag}>?</{tag}></Unknown><{tag}>{value}</{tag}><o:{tag} xmlns:o='urn:o'/>"
        ),
        _ => format!("<{tag}>{value}</{tag}>"),
    };
    format!("{}{element}{}", &text[..at], &text[whole..])
}

#[test]
fn each_element_may_be_written_in_any_way_that_xml_has() {
    let golden = golden();
    let expected = transactions(golden.as_bytes());
    let tags = leaf_tags(&golden);
    assert!(tags.len() > 80);
    for (at, tag) in &tags {
        for way in 0..12 {
            let text = rewrite(&golden, *at, tag, way);
            assert_eq!(problems(text.as_bytes()), [], "{tag}, way {way}");
            assert_eq!(transactions(text.as_bytes()), expected, "{tag}, way {way}");
        }
    }
}

#[test]
fn line_ends_do_not_matter() {
    let golden = golden();
    let expected = transactions(golden.as_bytes());
    for ending in ["\r\n", "\r", "", " \n\n", "\t"] {
        let text = golden.replace('\n', ending).replace("?>", "?>\n");
        assert_eq!(transactions(text.as_bytes()), expected, "{ending:?}");
    }
}

#[test]
fn the_short_way_and_the_long_way_find_the_same_faults() {
    let folder = crate::support::fixtures().join("records");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        // A blank before `>` is enough to leave the short way.
        let mut long = text.clone();
        for (at, tag) in leaf_tags(&text).iter().rev() {
            long.insert(at + tag.len() + 1, ' ');
        }
        let faults = |text: &str| -> Vec<_> {
            records_of(items(text.as_bytes()))
                .into_iter()
                .flat_map(|record| {
                    record
                        .transaction
                        .err()
                        .into_iter()
                        .flat_map(|rejected| rejected.problems)
                })
                .map(|problem| (problem.code, problem.path, problem.message))
                .collect()
        };
        assert_ne!(text, long);
        assert_eq!(faults(&text), faults(&long));
        assert!(!faults(&text).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        assert_coherent(&bytes);
    }

    #[test]
    fn anything_that_looks_like_xml_is_read_without_a_panic(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "<", ">", "</", "/>", "<!", "<!--", "-->", "<?", "?>", "<![CDATA[", "]]>", "&", ";", "&amp;", "&#", "x", "'", "\"",
            "=", " ", "\n", "\r", "\u{FEFF}", "é", "<SettlementFile version='2.0'>", "</SettlementFile>", "<Batch>", "</Batch>",
            "<BatchHeader>", "</BatchHeader>", "<BatchNumber>1</BatchNumber>", "<Charge>", "</Charge>", "<Refund/>",
            "<TotalAmount>1</TotalAmount>", "<Lines>", "<Line>", "</Line>", "</Lines>", "<Item name='a'>", "</Item>",
            "xmlns='urn:x'", "<FileHeader/>", "<!DOCTYPE", "<?xml version='1.0'?>",
        ]), 0..60),
        rooted in any::<bool>(),
    ) {
        let mut text = pieces.concat();
        if rooted {
            text.insert_str(0, "<SettlementFile version='2.0'><Batch>");
        }
        assert_coherent(text.as_bytes());
    }

    #[test]
    fn a_damaged_file_is_read_without_a_panic(
        form in 0..5_usize, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8),
    ) {
        let name = ["golden.xml", "golden-utf-16le.xml", "golden-iso-8859-1.xml", "golden-headers-last.xml", "golden-prefixed.xml"][form];
        let mut bytes = fixture(name);
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        assert_coherent(&bytes);
    }

    #[test]
    fn pieces_of_a_file_in_another_order_are_read_without_a_panic(cuts in prop::collection::vec(any::<prop::sample::Index>(), 2..6)) {
        let golden = golden();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(golden.len())).collect();
        at.sort_unstable();
        let bytes = golden.as_bytes();
        let mut shuffled = bytes[at[1]..].to_vec();
        shuffled.extend_from_slice(&bytes[at[0]..at[1]]);
        shuffled.extend_from_slice(&bytes[..at[0]]);
        assert_coherent(&shuffled);
    }
}
