//! Every limit, at it, below it and beyond it.

use crate::support::{HEADER, ROOT, charge, file, limited, read_with};
use weir_servicegate::{FileRule, Limit, Limits};

/// Which limit a file passes, and where.
fn passed(text: &str, limits: Limits) -> Option<(Limit, u64, u64)> {
    let (_, ended) = read_with(text.as_bytes(), limited(limits));
    let ended = ended?;
    match ended.rule {
        FileRule::LimitExceeded { limit, max } => Some((limit, max, ended.position.byte)),
        other => panic!("{other}"),
    }
}

#[test]
fn a_text_has_at_most_64_kib() {
    let max = Limits::default().text_bytes;
    let limits = Limits::default();
    let at = file("<Charge><X>").find("<X>").unwrap() as u64 + 3;
    let forms: [(&str, &dyn Fn(usize) -> String, u64); 7] = [
        (
            "text",
            &|n| charge("").replacen("<Charge>", &format!("<Charge><X>{}</X>", "x".repeat(n)), 1),
            at,
        ),
        (
            "space",
            &|n| {
                charge("").replacen(
                    "<Charge>",
                    &format!("<Charge><X>{}<Y/></X>", " ".repeat(n)),
                    1,
                )
            },
            at,
        ),
        (
            "cdata",
            &|n| {
                charge("").replacen(
                    "<Charge>",
                    &format!("<Charge><X><![CDATA[{}]]></X>", "x".repeat(n)),
                    1,
                )
            },
            at,
        ),
        (
            "comment",
            &|n| {
                charge("").replacen(
                    "<Charge>",
                    &format!("<Charge><X><!--{}--></X>", "x".repeat(n)),
                    1,
                )
            },
            at,
        ),
        (
            "instruction",
            &|n| {
                charge("").replacen(
                    "<Charge>",
                    &format!("<Charge><X><?a{}?></X>", "x".repeat(n - 1)),
                    1,
                )
            },
            at,
        ),
        (
            "attribute",
            &|n| {
                charge("").replacen(
                    "<Charge>",
                    &format!("<Charge><X a='{}'></X>", "x".repeat(n)),
                    1,
                )
            },
            at,
        ),
        (
            "value",
            &|n| {
                charge("").replacen(
                    "<Charge>",
                    &format!("<Charge><Comment>{}</Comment>", "x".repeat(n)),
                    1,
                )
            },
            at + 6,
        ),
    ];
    for (what, form, at) in forms {
        for length in [max - 1, max] {
            assert_eq!(passed(&file(&form(length)), limits), None, "{what}");
        }
        let found = passed(&file(&form(max + 1)), limits);
        assert_eq!(found, Some((Limit::TextBytes, 65_536, at)), "{what}");
        assert_eq!(
            passed(&file(&form(max * 10)), limits).unwrap().0,
            if what == "attribute" {
                Limit::TransactionBytes
            } else {
                Limit::TextBytes
            },
            "{what}"
        );
    }
}

#[test]
fn a_text_in_pieces_counts_as_one() {
    let limits = Limits {
        text_bytes: 100,
        ..Limits::default()
    };
    let pieces = |n: usize| {
        charge(&format!(
            "<Comment>{}<!-- - -->&amp;<![CDATA[{}]]></Comment>",
            "x".repeat(50),
            "x".repeat(n)
        ))
    };
    assert_eq!(passed(&file(&pieces(49)), limits), None);
    assert_eq!(
        passed(&file(&pieces(50)), limits).unwrap().0,
        Limit::TextBytes
    );
}

#[test]
fn a_transaction_has_at_most_256_kib() {
    let max = Limits::default().transaction_bytes;
    let of = |bytes: usize| {
        let mut record = charge("<X></X>");
        while record.len() < bytes {
            let more = (bytes - record.len()).min(50_007);
            // A comment of seven bytes is the least there is.
            let more = if (1..7).contains(&(bytes - record.len() - more)) {
                more - 7
            } else {
                more
            };
            record = record.replacen(
                "<X>",
                &format!("<X><!--{}-->", "x".repeat(more.saturating_sub(7))),
                1,
            );
        }
        record
    };
    for bytes in [max - 1, max] {
        assert_eq!(of(bytes).len(), bytes);
        assert_eq!(passed(&file(&of(bytes)), Limits::default()), None);
    }
    let at = file("<Charge>").find("<Charge>").unwrap() as u64;
    let expected = Some((Limit::TransactionBytes, 262_144, at));
    assert_eq!(passed(&file(&of(max + 1)), Limits::default()), expected);
    assert_eq!(passed(&file(&of(max * 3)), Limits::default()), expected);
    let never_closed = format!("{ROOT}<Batch>{HEADER}<Charge>{}", "<A></A>".repeat(max));
    assert_eq!(passed(&never_closed, Limits::default()), expected);
}

#[test]
fn a_header_and_a_tag_are_bounded_like_a_transaction() {
    let limits = Limits {
        transaction_bytes: 1000,
        ..Limits::default()
    };
    let header = |n: usize| {
        let text = file(&charge(""));
        text.replacen(
            "</BatchHeader>",
            &format!("<!--{}--></BatchHeader>", "x".repeat(n)),
            1,
        )
    };
    let room = 1000 - HEADER.len() - 7;
    assert_eq!(passed(&header(room), limits), None);
    assert_eq!(
        passed(&header(room + 1), limits).unwrap().0,
        Limit::TransactionBytes
    );
    let tag = format!("<A {}", "a".repeat(300_000));
    assert_eq!(
        passed(&tag, Limits::default()),
        Some((Limit::TransactionBytes, 262_144, 0))
    );
}

#[test]
fn a_batch_has_at_most_a_million_transactions() {
    let limits = Limits {
        transactions_per_batch: 3,
        ..Limits::default()
    };
    let of = |count: usize| {
        format!(
            "{ROOT}{}</SettlementFile>",
            format!("<Batch>{HEADER}{}</Batch>", charge("").repeat(count)).repeat(2)
        )
    };
    assert_eq!(passed(&of(2), limits), None);
    assert_eq!(passed(&of(3), limits), None);
    let fourth = of(4).match_indices("<Charge>").nth(3).unwrap().0 as u64;
    assert_eq!(
        passed(&of(4), limits),
        Some((Limit::TransactionsPerBatch, 3, fourth))
    );
}

#[test]
fn a_file_has_at_most_ten_thousand_batches() {
    let of = |count: usize| {
        format!(
            "{ROOT}{}</SettlementFile>",
            format!("<Batch>{HEADER}{}</Batch>", charge("")).repeat(count)
        )
    };
    let limits = Limits {
        batches_per_file: 3,
        ..Limits::default()
    };
    assert_eq!(passed(&of(2), limits), None);
    assert_eq!(passed(&of(3), limits), None);
    assert_eq!(passed(&of(4), limits).unwrap().0, Limit::BatchesPerFile);
    assert_eq!(passed(&of(10_000), Limits::default()), None);
    assert_eq!(
        passed(&of(10_001), Limits::default()).unwrap().0,
        Limit::BatchesPerFile
    );
}

#[test]
fn a_file_has_at_most_5_gib() {
    let text = file(&charge(""));
    let with = |file_bytes: u64| {
        passed(
            &text,
            Limits {
                file_bytes,
                ..Limits::default()
            },
        )
    };
    let length = text.len() as u64;
    assert_eq!(with(length + 1), None);
    assert_eq!(with(length), None);
    assert_eq!(
        with(length - 1),
        Some((Limit::FileBytes, length - 1, length - 1))
    );
}

#[test]
fn elements_stand_at_most_32_deep() {
    let of = |depth: usize| {
        // The root, the batch and the charge are three.
        let inner = depth - 3;
        file(&charge(&format!(
            "{}{}",
            "<D>".repeat(inner),
            "</D>".repeat(inner)
        )))
    };
    assert_eq!(passed(&of(31), Limits::default()), None);
    assert_eq!(passed(&of(32), Limits::default()), None);
    assert_eq!(passed(&of(33), Limits::default()).unwrap().0, Limit::Depth);
    let plain = |depth: usize| {
        passed(
            &file(&charge("")),
            Limits {
                depth,
                ..Limits::default()
            },
        )
    };
    assert_eq!(plain(4), None);
    assert_eq!(plain(3).unwrap().0, Limit::Depth);
}

#[test]
fn a_name_and_a_namespace_have_at_most_256_bytes() {
    let forms: [&dyn Fn(String) -> String; 3] = [
        &|name| format!("<{name}/>"),
        &|name| format!("<X {name}='1'/>"),
        &|name| format!("<X xmlns:p='{name}'/>"),
    ];
    for form in forms {
        for length in [255, 256] {
            let text = file(&charge(&form("x".repeat(length))));
            assert_eq!(passed(&text, Limits::default()), None);
        }
        let text = file(&charge(&form("x".repeat(257))));
        assert_eq!(
            passed(&text, Limits::default()).unwrap().0,
            Limit::NameBytes
        );
    }
}

#[test]
fn which_limit_is_passed_does_not_depend_on_the_pieces() {
    let limits = Limits {
        text_bytes: 40,
        transaction_bytes: 200,
        name_bytes: 20,
        attributes_per_element: 4,
        ..Limits::default()
    };
    let long = "x".repeat(60);
    let many = "x".repeat(300);
    let space = " ".repeat(60);
    for inner in [
        format!("<X>{long}</X>"),
        format!("<X>{space}</X>"),
        format!("<X>{space}{long}</X>"),
        format!("<X>{long}{space}{many}"),
        format!("<X a='{long}'/>"),
        format!("<X a='{many}'/>"),
        format!("<X a='1' b='1' c='1' d='1' e='1' f='{many}'/>"),
        format!("<{long}/>"),
        format!("<{many}/>"),
        format!("</{many}>"),
        format!("<!--{long}-->"),
        format!("{space}<!--{many}-->"),
        format!("<![CDATA[{long}]]>"),
        format!("<?a {many}?>"),
        format!("&{long};"),
        format!("<X>&{many};</X>"),
        "<X/>".repeat(60),
    ] {
        let text = file(&charge(&inner));
        let (items, whole) = read_with(text.as_bytes(), limited(limits));
        let Some(whole) = whole else {
            panic!("{inner} passes no limit");
        };
        for size in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144] {
            let read = crate::resume::read_in_pieces(text.as_bytes(), &[size], limited(limits));
            assert_eq!(
                read,
                (items.clone(), Some(whole.clone())),
                "{inner} by {size}"
            );
        }
    }
}

#[test]
fn an_element_has_at_most_64_attributes() {
    let of = |count: usize| {
        let attributes: String = (0..count).map(|n| format!(" a{n}='{n}'")).collect();
        file(&charge(&format!("<X{attributes}/>")))
    };
    assert_eq!(passed(&of(63), Limits::default()), None);
    assert_eq!(passed(&of(64), Limits::default()), None);
    assert_eq!(
        passed(&of(65), Limits::default()).unwrap().0,
        Limit::AttributesPerElement
    );
}
