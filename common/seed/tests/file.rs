//! What a file may say, and how it is told what is wrong with one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test helpers"
)]

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_seed::{FILE_BYTES_MAX, Format, Seed};
use weir_store::Reference;

const DEMO: &str = include_str!("../../../local/demo.yaml");

fn id(kind: u32, number: u32) -> String {
    format!("0190a6a0-0000-7000-8000-{kind:04}{number:08}")
}

/// A file with one of everything.
fn whole() -> Value {
    json!({
        "clients": [{"id": id(1, 1), "name": "Client"}],
        "programs": [{
            "id": id(2, 1), "client_id": id(1, 1), "name": "Program", "status": "Active",
            "reply_to_email": "a@example.com", "support_email": "пошта@укр.example.com",
            "sender_email": "c@example.com",
        }],
        "sellers": [{
            "id": id(3, 1), "client_id": id(1, 1), "program_id": id(2, 1), "name": "Seller",
            "alternate_seller_id": "0042", "status": "Active",
        }],
        "customers": [{"id": id(4, 1), "client_id": id(1, 1), "program_id": id(2, 1)}],
        "seller_contacts": [{
            "id": id(5, 1), "client_id": id(1, 1), "program_id": id(2, 1), "seller_id": id(3, 1),
            "name": "Contact", "email": "d@example.com", "country": "NO",
        }],
        "report_schedules": [{
            "id": id(6, 1), "client_id": id(1, 1), "program_id": id(2, 1), "seller_id": id(3, 1),
            "report_id": report(), "schedule_tz": "Europe/Vienna", "schedule_frequency": "Daily",
            "recipient_emails": ["e@example.com"],
        }],
        "api_keys": [{
            "id": id(7, 1), "name": "key", "permissions": ["files:read"], "client_id": id(1, 1),
        }],
    })
}

/// A report that can be due daily.
fn report() -> String {
    weir_query::Report::TransactionProcessing.id().to_string()
}

fn parse_json(file: &Value) -> Result<Seed, Vec<String>> {
    parse(Format::Json, &file.to_string())
}

fn parse(format: Format, text: &str) -> Result<Seed, Vec<String>> {
    Seed::parse(format, text.as_bytes()).map_err(|problems| {
        let told = problems.iter();
        told.map(|problem| format!("{}: {}", problem.path, problem.reason))
            .collect()
    })
}

#[test]
fn a_file_says_the_same_in_yaml_and_in_json() {
    let from_json = parse_json(&whole()).unwrap();
    let yaml = serde_json::to_string_pretty(&whole()).unwrap();
    let from_yaml = parse(Format::Yaml, &yaml).unwrap();
    let of = |seed: &Seed| seed.references().cloned().collect::<Vec<Reference>>();
    assert_eq!(of(&from_json), of(&from_yaml));
    assert_eq!(of(&from_json).len(), 6);
    assert_eq!((from_json.keys().len(), from_yaml.keys().len()), (1, 1));
}

#[test]
fn the_demo_is_a_file_of_everything_that_it_needs() {
    let seed = parse(Format::Yaml, DEMO).unwrap();
    assert_eq!(seed.references().count(), 6);
    let key = &seed.keys()[0];
    let reads = weir_domain::Permission::ALL.iter().filter(|p| p.is_read());
    for read in reads {
        assert!(key.permissions.contains(read), "{read}");
    }
}

#[test]
fn every_problem_is_told_with_its_line() {
    let text = "\
clients:
  - id: x
    nmae: A
programs: 5
sellers:
  - id: 0190a6a0-0000-7000-8000-000300000001
    client_id: 0190a6a0-0000-7000-8000-000100000001
    program_id: 0190a6a0-0000-7000-8000-000200000001
    alternate_seller_id: 0042
    name: S
buyers: []
api_keys:
  - id: 0190a6a0-0000-7000-8000-000700000001
    name: k
    permissions: [files:read, files:eat, files:read]
    seller_id: 0190a6a0-0000-7000-8000-000300000001
";
    let problems = Seed::parse(Format::Yaml, text.as_bytes()).unwrap_err();
    let told: Vec<_> = problems
        .iter()
        .map(|problem| (problem.line, problem.path.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (2, "/clients/0/name"),
            (2, "/clients/0/id"),
            (3, "/clients/0/nmae"),
            (4, "/programs"),
            (9, "/sellers/0/alternate_seller_id"),
            (11, "/buyers"),
            (15, "/api_keys/0/permissions/1"),
            (15, "/api_keys/0/permissions/2"),
            (16, "/api_keys/0/seller_id"),
        ]
    );
}

#[test]
fn what_comes_twice_is_refused() {
    for (section, what) in [
        ("clients", "has the id of /clients/0"),
        ("sellers", "has the id of /sellers/0"),
        ("api_keys", "has the name of /api_keys/0"),
    ] {
        let mut file = whole();
        let list = file[section].as_array_mut().unwrap();
        list.push(list[0].clone());
        let problems = parse_json(&file).unwrap_err();
        let told = format!("/{section}/1: {what}");
        assert!(problems.contains(&told), "{problems:?}");
    }
    let mut file = whole();
    let mut other = file["sellers"][0].clone();
    other["id"] = json!(id(3, 2));
    file["sellers"].as_array_mut().unwrap().push(other);
    let problems = parse_json(&file).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("alternate_seller_id of /sellers/0"));

    for (format, text) in [
        (Format::Yaml, "clients: []\nclients: []"),
        (Format::Json, r#"{"clients": [], "clients": []}"#),
        (Format::Json, r#"{"clients": [{"id": "a", "id": "a"}]}"#),
    ] {
        let problems = parse(format, text).unwrap_err();
        let twice = problems.iter().any(|told| told.contains("comes twice"));
        assert!(twice, "{problems:?}");
    }
}

#[test]
fn a_member_breaks_its_rule_at_its_limit_and_not_below() {
    let name = |count: usize| json!("ü".repeat(count));
    for (section, member, good, bad) in [
        ("clients", "name", name(1_024), name(1_025)),
        ("customers", "name", name(1_024), name(1_025)),
        ("sellers", "alternate_seller_id", name(50), name(51)),
        ("sellers", "status", name(1_024), name(1_025)),
        ("seller_contacts", "city", name(1_024), name(1_025)),
        ("api_keys", "name", name(100), name(101)),
        ("api_keys", "name", name(1), name(0)),
        ("api_keys", "name", json!("a b"), json!("a\nb")),
        (
            "seller_contacts",
            "email",
            json!("a@example.com"),
            json!("a"),
        ),
        (
            "report_schedules",
            "schedule_tz",
            json!("GMT+1"),
            json!("Vienna"),
        ),
        (
            "report_schedules",
            "schedule_frequency",
            json!("Daily"),
            json!("Weekly"),
        ),
        ("programs", "status", json!("Archived"), json!("archived")),
        ("clients", "name", json!("1"), json!(1)),
        ("clients", "name", json!("null"), json!(null)),
    ] {
        for (value, is_good) in [(good, true), (bad, false)] {
            let mut file = whole();
            file[section][0][member] = value.clone();
            let parsed = parse_json(&file);
            assert_eq!(
                parsed.is_ok(),
                is_good,
                "{section} {member} {value}: {parsed:?}"
            );
        }
    }
}

#[test]
fn a_file_has_at_most_so_many_bytes_and_is_utf_8() {
    let text = whole().to_string();
    for (bytes, is_good) in [
        (FILE_BYTES_MAX - 1, true),
        (FILE_BYTES_MAX, true),
        (FILE_BYTES_MAX + 1, false),
    ] {
        let padded = format!("{text}{}", " ".repeat(bytes - text.len()));
        assert_eq!(parse(Format::Json, &padded).is_ok(), is_good, "{bytes}");
    }
    let problems = Seed::parse(Format::Yaml, b"clients: []\n\xff").unwrap_err();
    assert_eq!((problems.len(), problems[0].line), (1, 2));
}

#[test]
fn a_file_that_holds_no_lists_is_refused() {
    for (format, text) in [
        (Format::Yaml, ""),
        (Format::Yaml, "- a"),
        (Format::Json, "[]"),
        (Format::Json, "null"),
        (Format::Json, r#"{"clients": {}}"#),
        (Format::Json, r#"{"clients": ["a"]}"#),
    ] {
        assert_eq!(parse(format, text).unwrap_err().len(), 1, "{text}");
    }
    assert!(parse(Format::Json, "{}").is_ok());
    for (name, format) in [
        ("yaml", Some(Format::Yaml)),
        ("YML", Some(Format::Yaml)),
        ("json", Some(Format::Json)),
        ("txt", None),
    ] {
        assert_eq!(Format::of_extension(name), format);
    }
}

proptest! {
    #[test]
    fn any_json_is_a_file_or_refused_without_a_panic(
        section in prop::sample::select(&weir_seed::SECTIONS[..]),
        member in prop::sample::select(&["id", "name", "permissions", "recipient_emails", "x"][..]),
        value in prop::sample::select(vec![json!(null), json!([]), json!({}), json!(1), json!("")]),
    ) {
        let mut file = whole();
        file[section][0][member] = value;
        let _ = parse_json(&file);
        let _ = parse(Format::Yaml, &file.to_string());
    }
}
