//! Bytes to text: the four encodings, and nothing else.

use crate::support::{charge, checked, file, items, problems, records_of};
use weir_servicegate::{Encoding, FileRule};

fn utf_16(text: &str, bytes_of: fn(u16) -> [u8; 2], mark: &[u8]) -> Vec<u8> {
    let units = text.encode_utf16().flat_map(bytes_of);
    mark.iter().copied().chain(units).collect()
}

fn single(text: &str, byte_of: impl Fn(char) -> u8) -> Vec<u8> {
    text.chars().map(byte_of).collect()
}

fn latin_1(c: char) -> u8 {
    u8::try_from(u32::from(c)).unwrap()
}

fn number(bytes: &[u8]) -> String {
    let record = records_of(items(bytes)).remove(0);
    record.transaction.unwrap().order_number().to_string()
}

fn numbered(declaration: &str, number: &str) -> String {
    format!("{declaration}{}", file(&charge("").replace("SO-1", number)))
}

fn assert_rule(bytes: &[u8], code: &str, byte: u64) {
    let found = problems(bytes);
    let last = found.last().unwrap();
    assert_eq!(
        (last.rule.code(), last.position.byte),
        (code, byte),
        "{last}"
    );
}

#[test]
fn utf_8_is_read_with_and_without_a_mark_and_a_declaration() {
    for declaration in [
        "",
        "<?xml version='1.0'?>",
        "<?xml version='1.0' encoding='utf-8'?>",
    ] {
        let text = numbered(declaration, "é€😀\u{FEFF}");
        assert_eq!(number(text.as_bytes()), "é€😀\u{FEFF}");
        let marked = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
        assert_eq!(number(&marked), "é€😀\u{FEFF}");
        assert_eq!(checked(&marked).summary.unwrap().bytes, marked.len() as u64);
    }
}

#[test]
fn utf_16_is_read_with_a_mark_in_either_order() {
    for declaration in ["", "<?xml version='1.0' encoding='UTF-16'?>"] {
        let text = numbered(declaration, "é€😀");
        assert_eq!(
            number(&utf_16(&text, u16::to_le_bytes, b"\xFF\xFE")),
            "é€😀"
        );
        assert_eq!(
            number(&utf_16(&text, u16::to_be_bytes, b"\xFE\xFF")),
            "é€😀"
        );
        assert_rule(
            &utf_16(&text, u16::to_le_bytes, b""),
            "file.mark_missing",
            0,
        );
        assert_rule(
            &utf_16(&text, u16::to_be_bytes, b""),
            "file.mark_missing",
            0,
        );
    }
    let declared = numbered("<?xml version='1.0' encoding='UTF-16'?>", "a");
    assert_rule(declared.as_bytes(), "file.mark_missing", 0);
    let other = numbered("<?xml version='1.0' encoding='UTF-8'?>", "a");
    assert_rule(
        &utf_16(&other, u16::to_le_bytes, b"\xFF\xFE"),
        "file.encoding_conflict",
        2,
    );
}

#[test]
fn iso_8859_1_gives_every_byte_the_character_of_its_number() {
    let text = numbered(
        "<?xml version='1.0' encoding='iso-8859-1'?>",
        "\u{80}\u{9F}\u{A0}é\u{FF}.",
    );
    assert_eq!(
        number(&single(&text, latin_1)),
        "\u{80}\u{9F}\u{A0}é\u{FF}."
    );
}

#[test]
fn windows_1252_has_its_own_characters_and_five_holes() {
    let declaration = "<?xml version='1.0' encoding='windows-1252'?>";
    let text = numbered(declaration, "\u{80}\u{93}é\u{9F}");
    assert_eq!(number(&single(&text, latin_1)), "€“éŸ");
    for hole in [0x81_u8, 0x8D, 0x8F, 0x90, 0x9D] {
        let text = numbered(declaration, &char::from(hole).to_string());
        let bytes = single(&text, latin_1);
        let at = bytes.iter().position(|byte| *byte == hole).unwrap() as u64;
        assert_rule(&bytes, "file.encoding_invalid", at);
        let FileRule::EncodingInvalid { byte, encoding } = problems(&bytes)[0].rule else {
            panic!("an invalid byte");
        };
        assert_eq!((byte, encoding), (hole, Encoding::Windows1252));
    }
}

#[test]
fn a_byte_that_is_not_utf_8_is_refused_where_it_stands() {
    for bad in [
        &b"\x80"[..],
        b"\xC3(",
        b"\xC0\xAF",
        b"\xE2\x82(",
        b"\xED\xA0\x80",
        b"\xF5\x80\x80\x80",
        b"\xF0\x9F\x98(",
        b"\xFF",
    ] {
        let text = numbered("", "#");
        let at = text.find('#').unwrap();
        let bytes = [&text.as_bytes()[..at], bad, &text.as_bytes()[at + 1..]].concat();
        assert_rule(&bytes, "file.encoding_invalid", at as u64);
        let cut = [&text.as_bytes()[..at], bad].concat();
        assert_rule(&cut, "file.encoding_invalid", at as u64);
    }
}

#[test]
fn a_lone_surrogate_is_refused_where_it_stands() {
    let text = numbered("", "#");
    let at = text.find('#').unwrap();
    for bad in [[0xD83D_u16, 0x41], [0xDE00, 0x41], [0xD83D, 0xD83D]] {
        let units = text[..at]
            .encode_utf16()
            .chain(bad)
            .chain(text[at + 1..].encode_utf16());
        let bytes: Vec<u8> = [0xFE, 0xFF]
            .into_iter()
            .chain(units.flat_map(u16::to_be_bytes))
            .collect();
        assert_rule(&bytes, "file.encoding_invalid", 2 + at as u64 * 2);
    }
}

#[test]
fn a_character_cut_by_the_end_of_the_file_is_invalid() {
    let whole = file(&charge(""));
    let cut = [whole.as_bytes(), b"\xE2\x82"].concat();
    assert_rule(&cut, "file.encoding_invalid", whole.len() as u64);
    let mut odd = utf_16(&whole, u16::to_le_bytes, b"\xFF\xFE");
    odd.push(b'\n');
    assert_rule(&odd, "file.encoding_invalid", odd.len() as u64 - 1);
}

#[test]
fn an_encoding_that_is_not_one_of_the_four_is_named_and_refused() {
    for label in ["KOI8-R", "US-ASCII", "ISO-8859-15", "x"] {
        let text = numbered(&format!("<?xml version='1.0' encoding='{label}'?>"), "a");
        let declared = label.to_owned();
        assert_eq!(
            problems(text.as_bytes())[0].rule,
            FileRule::EncodingUnsupported { declared }
        );
    }
    for head in [
        &b"\xFF\xFE\0\0<\0\0\0"[..],
        b"\0\0\xFE\xFF",
        b"\0\0\0<",
        b"<\0\0\0",
    ] {
        assert_rule(head, "file.encoding_unsupported", 0);
    }
}

#[test]
fn a_mark_and_a_declaration_that_disagree_are_refused() {
    for label in ["ISO-8859-1", "windows-1252"] {
        let text = numbered(&format!("<?xml version='1.0' encoding='{label}'?>"), "a");
        let bytes = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
        assert_rule(&bytes, "file.encoding_conflict", 3);
    }
}

#[test]
fn byte_offsets_are_those_of_the_file_as_uploaded() {
    let text = numbered("", "é€😀").replace("12.50", "1,5");
    let check = |bytes: &[u8], expected: usize| {
        let record = records_of(items(bytes)).remove(0);
        let problem = &record.transaction.as_ref().unwrap_err().problems[0];
        assert_eq!(problem.position.byte, expected as u64);
        assert_eq!(
            problem.position.column,
            text[..text.find("<TotalAmount").unwrap()].chars().count() as u64 + 1
        );
        let range = usize::try_from(record.byte_range.end).unwrap();
        assert!(
            String::from_utf8_lossy(&bytes[..range])
                .trim_end_matches('\0')
                .ends_with('>')
        );
    };
    let at = text.find("<TotalAmount").unwrap();
    check(text.as_bytes(), at);
    check(&[b"\xEF\xBB\xBF", text.as_bytes()].concat(), at + 3);
    let units = text[..at].encode_utf16().count();
    check(&utf_16(&text, u16::to_le_bytes, b"\xFF\xFE"), 2 + units * 2);
}
