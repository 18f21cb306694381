//! What is not XML, or not this format, is refused where it stands.

use crate::support::{HEADER, ROOT, charge, codes, file, golden, problems, records_of, rules};
use weir_servicegate::FileRule;

/// The golden file with something put in the place of the first occurrence of something.
fn altered(from: &str, to: &str) -> String {
    let golden = golden();
    assert!(golden.contains(from), "{from}");
    golden.replacen(from, to, 1)
}

fn assert_refused(text: &str, code: &str) {
    let found = problems(text.as_bytes());
    let last = found.last().map(|problem| problem.rule.code());
    assert_eq!(last, Some(code), "{found:?}");
}

#[test]
fn nothing_but_space_comments_and_instructions_stands_around_the_root() {
    let sound = file(&charge(""));
    for (before, after) in [
        ("<!-- a --><?go on?>\n ", ""),
        ("", "\n<!-- a -->\r\n<?go?>\t"),
        ("<?xml version='1.0'?>", ""),
    ] {
        assert_eq!(
            codes(&format!("{before}{sound}{after}")),
            Vec::<&str>::new()
        );
    }
    for after in [
        "x",
        "<a/>",
        &sound,
        "&amp;",
        "<![CDATA[]]>",
        "&#32;",
        "</SettlementFile>",
        "\u{FEFF}",
    ] {
        let code = if after.starts_with("</") {
            "file.malformed"
        } else {
            "file.content_after_root"
        };
        assert_refused(&format!("{sound}{after}"), code);
    }
    for before in ["x", "&amp;", "<![CDATA[ ]]>", "\u{FEFF}\u{FEFF}"] {
        assert_refused(&format!("{before}{sound}"), "file.malformed");
    }
    for after in ["<!-", "<!-- a", "<?go", "<", "&amp", "&"] {
        assert_refused(&format!("{sound}{after}"), "file.cut_off");
    }
}

#[test]
fn a_file_without_a_root_is_cut_off() {
    for text in ["", " ", "\n\n", "<?xml version='1.0'?>", "<!-- a -->"] {
        assert_refused(text, "file.cut_off");
    }
}

#[test]
fn an_xml_declaration_stands_only_where_the_file_begins() {
    let declaration = "<?xml version=\"1.0\"?>";
    let sound = file(&charge(""));
    assert_eq!(codes(&format!("{declaration}{sound}")), Vec::<&str>::new());
    for text in [
        format!(" {declaration}{sound}"),
        format!("<!-- a -->{declaration}{sound}"),
        format!("{declaration}{declaration}{sound}"),
        format!("{sound}{declaration}"),
        format!("<?xml?>{sound}"),
        format!("<?xml version='1.1'?>{sound}"),
        format!("<?XML version='1.0'?>{sound}"),
        format!("<?xml version='1.0' encoding='UTF-8' encoding='UTF-8'?>{sound}"),
    ] {
        assert_refused(&text, "file.malformed");
    }
}

#[test]
fn a_doctype_is_refused_even_when_it_is_never_closed() {
    for doctype in [
        "<!DOCTYPE a>",
        "<!DOCTYPE a [ <!ENTITY b 'c'> ]>",
        "<!DOCTYPE",
        "<!doctype a>",
    ] {
        assert_refused(&format!("{doctype}{}", file(&charge(""))), "file.doctype");
        assert_refused(doctype, "file.doctype");
    }
}

#[test]
fn every_element_is_closed_by_its_own_name() {
    assert_refused(
        &altered("</PoNumber>", "</Ponumber>"),
        "file.end_tag_mismatched",
    );
    assert_refused(&altered("</PoNumber>", ""), "file.end_tag_mismatched");
    assert_refused(&altered("</Charge>", "</Batch>"), "file.end_tag_mismatched");
    assert_refused(
        &altered("</PoNumber>", "</ PoNumber>"),
        "file.end_tag_mismatched",
    );
    assert_refused(&altered("</PoNumber>", "</>"), "file.end_tag_mismatched");
    assert_refused(
        &altered("</PoNumber>", "</PoNumber a='b'>"),
        "file.end_tag_mismatched",
    );
    assert_eq!(
        codes(&altered("</PoNumber>", "</PoNumber \n>")),
        Vec::<&str>::new()
    );
}

#[test]
fn names_of_elements_are_names() {
    for name in [
        "1a", "-a", "a:b:c", ":a", "a:", "a/b", "a<b", "a\u{D7}b", "",
    ] {
        let text = altered("<Warehouse", &format!("<{name}></{name}><Warehouse"));
        let code = *codes(&text).last().unwrap();
        assert!(
            code == "file.malformed" || code == "file.end_tag_mismatched",
            "{name}: {code}"
        );
    }
    assert_eq!(
        codes(&altered("<Warehouse", "<Lagerhäuser-1.x/><Warehouse")),
        Vec::<&str>::new()
    );
}

#[test]
fn attributes_are_well_formed_and_not_repeated() {
    let with = |attributes: &str| altered("<Warehouse", &format!("<W {attributes}/><Warehouse"));
    for attributes in [
        "",
        "a='1'",
        "a = \"1>2\"",
        "a='&lt;' b='1'",
        "a='1'\n\tb='2'",
        "xml:lang='en'",
    ] {
        assert_eq!(codes(&with(attributes)), Vec::<&str>::new(), "{attributes}");
    }
    for attributes in [
        "a",
        "a=1",
        "a='1'b='2'",
        "a='<'",
        "a='&'",
        "1='a'",
        "a='1' / b='2'",
    ] {
        assert_refused(&with(attributes), "file.malformed");
    }
    assert_refused(&with("a='1' a='2'"), "file.attribute_repeated");
    assert_refused(
        &with("xmlns:p='urn:a' xmlns:q='urn:a' p:x='1' q:x='2'"),
        "file.attribute_repeated",
    );
    assert_refused(&with("a='&nbsp;'"), "file.reference_undefined");
    assert_refused(&with("a='&#1;'"), "file.reference_undefined");
    assert_refused(&with("p:a='1'"), "file.prefix_unbound");
}

#[test]
fn prefixes_are_bound_and_xmls_own_are_left_alone() {
    let with = |tag: &str| altered("<Warehouse", &format!("{tag}<Warehouse"));
    assert_eq!(
        codes(&with("<p:W xmlns:p='urn:a'><p:X/></p:W>")),
        Vec::<&str>::new()
    );
    assert_refused(&with("<p:W/>"), "file.prefix_unbound");
    assert_refused(&with("<p:W xmlns:p='urn:a'/><p:W/>"), "file.prefix_unbound");
    for declaration in [
        "xmlns:p=''",
        "xmlns:xml='urn:a'",
        "xmlns:xmlns='urn:a'",
        "xmlns:p='http://www.w3.org/2000/xmlns/'",
        "xmlns='http://www.w3.org/XML/1998/namespace'",
    ] {
        assert_refused(&with(&format!("<W {declaration}/>")), "file.malformed");
    }
}

#[test]
fn forbidden_characters_are_refused_written_out_and_as_references() {
    for code in [0_u32, 1, 8, 0xB, 0xC, 0xE, 0x1F, 0xFFFE, 0xFFFF] {
        let c = char::from_u32(code).unwrap();
        for place in ["<PoNumber>", "<!-- Every", "<Warehouse"] {
            let text = altered(place, &format!("{place}{c}"));
            assert_eq!(
                rules(&text).last(),
                Some(&FileRule::CharacterForbidden { code })
            );
        }
        let text = altered("<PoNumber>", &format!("<PoNumber>&#{code};"));
        assert_refused(&text, "file.reference_undefined");
    }
    for c in [
        '\t',
        '\u{7F}',
        '\u{85}',
        '\u{9F}',
        '\u{FFFD}',
        '\u{10FFFF}',
        '\u{FEFF}',
        '\u{EFFF}',
    ] {
        assert_eq!(
            codes(&altered("<PoNumber>", &format!("<PoNumber>{c}"))),
            Vec::<&str>::new()
        );
    }
}

#[test]
fn only_the_five_entities_and_numbers_of_allowed_characters_are_defined() {
    let with = |text: &str| altered("PO-77", text);
    assert_eq!(
        codes(&with("&amp;&lt;&gt;&quot;&apos;&#65;&#x1F600;")),
        Vec::<&str>::new()
    );
    for reference in [
        "&nbsp;",
        "&Amp;",
        "&#x110000;",
        "&#xD800;",
        "&#;",
        "&;",
        "& ;",
    ] {
        assert_refused(&with(reference), "file.reference_undefined");
    }
    for dangling in ["&", "&amp", "a & b", "&&amp;"] {
        assert_refused(&with(dangling), "file.malformed");
    }
}

#[test]
fn markup_that_xml_does_not_have_is_refused() {
    for markup in [
        "<!-- a -- b -->",
        "<!-- a --->",
        "<!ELEMENT a>",
        "<![cdata[a]]>",
        "<![CDATA [a]]>",
        "<?1?>",
        "<? go?>",
        "<?a:b?>",
        "< a/>",
        "]]>",
        "<!>",
        "<!->",
        "<![]]>",
    ] {
        let text = altered("<Warehouse", &format!("{markup}<Warehouse"));
        let found = codes(&text);
        assert_eq!(found.last(), Some(&"file.malformed"), "{markup}");
    }
    for markup in [
        "<!---->",
        "<!-- - -->",
        "<?go ?>",
        "<?go on?>",
        "<![CDATA[]]>",
        "<![CDATA[ ]]>",
    ] {
        assert_eq!(
            codes(&altered("<Warehouse", &format!("{markup}<Warehouse"))),
            Vec::<&str>::new()
        );
    }
    assert_eq!(codes(&altered("PO-77", "PO]] >77")), Vec::<&str>::new());
    assert_refused(&altered("PO-77", "PO]]>77"), "file.malformed");
}

#[test]
fn the_root_is_a_settlement_file_of_version_2_0_in_the_namespace_or_in_none() {
    let body = format!("<Batch>{HEADER}{}</Batch>", charge(""));
    let sound = [
        "SettlementFile version='2.0'",
        "SettlementFile version = \"&#50;.0\" other='1'",
        "SettlementFile version='2.0' xmlns=''",
        "SettlementFile version='2.0' xmlns='urn:servicegate:batch:v2'",
    ];
    for root in sound {
        assert_eq!(
            codes(&format!("<{root}>{body}</SettlementFile>")),
            Vec::<&str>::new(),
            "{root}"
        );
    }
    for (root, code) in [
        ("SettlementFile", "file.version_unknown"),
        ("SettlementFile version='2'", "file.version_unknown"),
        ("SettlementFile version='2.1'", "file.version_unknown"),
        (
            "SettlementFile xmlns:p='urn:a' p:version='2.0'",
            "file.version_unknown",
        ),
        (
            "SettlementFile xmlns='urn:servicegate:batch:v1' version='2.0'",
            "file.root_unknown",
        ),
        ("settlementfile version='2.0'", "file.root_unknown"),
        ("Batch version='2.0'", "file.root_unknown"),
        ("p:SettlementFile version='2.0'", "file.prefix_unbound"),
    ] {
        assert_refused(&format!("<{root}>{body}</SettlementFile>"), code);
    }
}

#[test]
fn elements_of_other_namespaces_are_passed_over_whatever_their_names() {
    let foreign = "<Charge xmlns='urn:other'><TotalAmount>x</TotalAmount></Charge>\
        <o:BatchHeader xmlns:o='urn:other'/><Refund xmlns='urn:other'/>";
    let text = format!(
        "{ROOT}{foreign}<Batch>{foreign}{HEADER}{foreign}{}{foreign}</Batch>{foreign}</SettlementFile>",
        charge(foreign)
    );
    assert_eq!(codes(&text), Vec::<&str>::new());
    let records = records_of(crate::support::items(text.as_bytes()));
    assert_eq!(records.len(), 1);
    assert!(records[0].transaction.is_ok());
    assert!(records[0].xml.as_ref().unwrap().contains(foreign));
}

#[test]
fn a_foreign_root_takes_the_formats_own_elements_with_it() {
    let text = format!("<Envelope>{}</Envelope>", file(&charge("")));
    assert_refused(&text, "file.root_unknown");
}

#[test]
fn text_between_elements_is_a_problem_of_the_file_and_reading_goes_on() {
    let text = format!(
        "{ROOT}a<Batch>b{HEADER}&amp;{}<![CDATA[c]]></Batch></SettlementFile>",
        charge("")
    );
    assert_eq!(codes(&text), ["file.text_misplaced"; 4]);
}

#[test]
fn a_problem_names_line_column_byte_and_element() {
    let text = "<SettlementFile version='2.0'>\n  <Batch>\n    é<!-- 😀 -->\u{FEFF}<W\tx='&bad;'/>";
    let shown: Vec<String> = problems(text.as_bytes())
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        shown,
        [
            "line 3, column 5 (byte 45), /SettlementFile/Batch[1]: the text `é` stands between \
             elements: remove it",
            "line 3, column 16 (byte 60), /SettlementFile/Batch[1]: the text `\u{FEFF}` stands \
             between elements: remove it",
            "line 3, column 20 (byte 66), /SettlementFile/Batch[1]: the reference `&bad;` is not \
             defined: use one of the five of XML or the number of an allowed character",
        ]
    );
}

#[test]
fn no_message_grows_with_its_input() {
    let long = "x".repeat(60_000);
    for text in [
        format!("{ROOT}<Batch>{long}</Batch></SettlementFile>"),
        format!("<{} version='2.0'/>", "x".repeat(250)),
        altered("PO-77", &format!("&{long};")),
        altered("</PoNumber>", &format!("</{long}>")),
    ] {
        for problem in problems(text.as_bytes()) {
            assert!(problem.to_string().len() < 500);
        }
    }
    for fault in crate::support::faults(&charge(&format!(
        "<PoNumber>{long}</PoNumber><CustomerId>{long}</CustomerId>"
    ))) {
        assert!(fault.to_string().len() < 500);
    }
}
