//! Whatever comes in is answered in the one form; what is too much is refused and never cut.

use std::sync::OnceLock;

use axum::body::Body;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use proptest::collection::vec;
use proptest::prelude::*;
use weir_api::operations;
use weir_domain::{BatchOrdinal, BatchStatus, Counters, Permission};
use weir_query::{QueryLimits, Scope};
use weir_store::{Batch, shard_count_for};

use crate::asking::{Answered, Asked, small};
use crate::cases::{Case, cases, operator};
use crate::schema::{is_error, places};

/// A request of any bytes that HTTP lets through.
#[derive(Debug, Clone)]
struct Raw {
    method: Method,
    target: Vec<u8>,
    headers: Vec<(&'static str, Vec<u8>)>,
    has_key: bool,
}

const UUID: &str = "8a0b7c6d-0000-4000-8000-000000000001";

/// A piece of a target: any bytes, as they are or percent-encoded, and what means something.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = vec![
        UUID,
        "id",
        "status",
        "created_at",
        "page_size",
        "sort_column[]",
        "fields",
        "cursor",
        ":gte",
        ":in",
        ":prefix",
        "=",
        "&",
        "+",
        ",",
        "-",
        "%",
        "%00",
        "%FF",
        "%2F",
        "2026-11-22",
        "Error",
        "..",
        "amount",
        "99999999999999999999",
        "xml_data",
        "batch_id",
    ];
    prop_oneof![
        4 => proptest::sample::select(known).prop_map(|known| known.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..12),
        1 => vec(any::<u8>(), 0..12).prop_map(|bytes| {
            bytes.iter().flat_map(|byte| format!("%{byte:02X}").into_bytes()).collect()
        }),
    ]
}

fn raw() -> impl Strategy<Value = Raw> {
    let paths: Vec<&str> = operations()
        .iter()
        .map(|operation| operation.path)
        .collect();
    let path = (proptest::sample::select(paths), vec(piece(), 4), 0..4_u8).prop_map(
        |(path, pieces, kind)| {
            // As it is, with an id in each place, or with anything there.
            let mut pieces = pieces.into_iter().cycle();
            let part = |part: &str| match part.starts_with('{') {
                true if kind < 2 => UUID.as_bytes().to_vec(),
                true => pieces.next().unwrap(),
                false => part.as_bytes().to_vec(),
            };
            path.split('/').map(part).collect::<Vec<_>>().join(&b'/')
        },
    );
    let path = prop_oneof![6 => path, 1 => vec(piece(), 0..4).prop_map(|pieces| [&b"/"[..], &pieces.concat()].concat())];
    let query = proptest::option::of(vec(piece(), 0..12).prop_map(|pieces| pieces.concat()));
    let names = [
        "authorization",
        "x-correlation-id",
        "content-type",
        "accept",
        "x-authenticated-request",
        "cookie",
    ];
    let header = (
        proptest::sample::select(names.to_vec()),
        vec(any::<u8>(), 0..40),
    );
    let methods = [
        Method::GET,
        Method::GET,
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::HEAD,
        Method::from_bytes(b"BREW").unwrap(),
    ];
    let method = proptest::sample::select(methods.to_vec());
    (method, path, query, vec(header, 0..3), any::<bool>()).prop_map(
        |(method, path, query, headers, has_key)| {
            let mut target = path;
            if let Some(query) = query {
                target.push(b'?');
                target.extend(query);
            }
            Raw {
                method,
                target,
                headers,
                has_key,
            }
        },
    )
}

impl Raw {
    /// The request, unless no server would hand it on.
    fn request(&self, key: &str) -> Option<Request<Body>> {
        let uri = Uri::try_from(self.target.as_slice()).ok()?;
        let mut request = Request::builder().method(self.method.clone()).uri(uri);
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                request = request.header(*name, value);
            }
        }
        if self.has_key {
            request = request.header("authorization", key);
        }
        request.body(Body::empty()).ok()
    }
}

/// Fails unless an answer is one that callers have been told of.
fn is_in_kind(raw: &Raw, answered: &Answered) {
    let told = format!("{raw:?}: {}", answered.text);
    let status = answered.status;
    assert!(
        status == StatusCode::OK || status.is_client_error(),
        "{status} {told}"
    );
    assert!(answered.headers.contains_key("x-correlation-id"), "{told}");
    if raw.method == Method::HEAD {
        return;
    }
    let is_page = answered.headers["content-type"] == "text/html; charset=utf-8";
    if is_page {
        // A fragment is no part of what is asked.
        let end = raw.target.iter().position(|byte| b"?#".contains(byte));
        let path = raw.target.get(..end.unwrap_or(raw.target.len()));
        assert_eq!(path, Some(&b"/"[..]), "{told}");
    } else if status == StatusCode::OK {
        assert!(
            answered.body.is_array() || answered.body.is_object(),
            "{told}"
        );
    } else {
        is_error(
            answered,
            status.as_u16(),
            answered.body[0]["code"].as_str().unwrap(),
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered_in_kind(raw in raw()) {
        let asked = small();
        if let Some(request) = raw.request(operator(asked)) {
            is_in_kind(&raw, &asked.ask(request));
        }
    }
}

/// Lists under nothing else.
fn whole_lists(asked: &Asked) -> Vec<Case> {
    let is_whole = |case: &Case| case.is_list() && case.ids.is_empty();
    cases(asked).into_iter().filter(is_whole).collect()
}

/// How many rows were looked at, and read units used, as an operator is told.
fn read(answered: &Answered) -> (u64, f64) {
    let header = answered.headers["x-weir-read"].to_str().unwrap();
    let value = |name: &str| {
        let part = header.split("; ").find_map(|part| part.strip_prefix(name));
        part.unwrap().to_owned()
    };
    (
        value("rows=").parse().unwrap(),
        value("read_units=").parse().unwrap(),
    )
}

#[test]
fn a_list_that_needs_more_rows_than_a_request_may_read_is_refused_and_never_cut() {
    let asked = small();
    let key = operator(asked);
    for case in whole_lists(asked) {
        let target = format!("{}?sort_column[]=-updated_at&page_size=250", case.target());
        let whole = asked.get(key, &target);
        let (rows, _) = read(&whole);
        assert!(rows > 1, "{target}");
        for (rows_max, is_answered) in [(rows - 1, false), (rows, true), (rows + 1, true)] {
            let limits = QueryLimits {
                rows_max,
                ..QueryLimits::default()
            };
            let answered = asked.get_within(limits, key, &target);
            if is_answered {
                assert_eq!(answered.body, whole.body, "{target}");
            } else if case.resource.name != "report" {
                assert_eq!(places(&answered), ["/query"], "{target}");
                let message = answered.body[0]["validationErrors"][0]["message"].to_string();
                assert!(
                    message.contains(&format!("more than {rows_max} rows")),
                    "{message}"
                );
                assert!(message.contains("narrow it by "), "{message}");
            }
        }
    }
}

#[test]
fn what_is_sorted_by_is_bounded_too() {
    let asked = small();
    for case in whole_lists(asked) {
        let limits = QueryLimits {
            sort_bytes_max: 1,
            ..QueryLimits::default()
        };
        let target = format!("{}?sort_column[]=-updated_at", case.target());
        let answered = asked.get_within(limits, operator(asked), &target);
        assert_eq!(places(&answered), ["/query/sort_column[]"], "{target}");
        let plain = asked.get_within(limits, operator(asked), &case.target());
        assert_eq!(plain.status, 200, "{}", plain.text);
    }
}

#[test]
fn the_last_page_leads_no_further() {
    let asked = small();
    let key = operator(asked);
    for case in whole_lists(asked) {
        let count = asked
            .all(key, &format!("{}?page_size=250", case.target()))
            .len();
        assert!((2..250).contains(&count), "{}: {count}", case.target());
        for (page_size, is_last) in [(count - 1, false), (count, true), (count + 1, true)] {
            for sort in ["", "&sort_column[]=updated_at"] {
                let target = format!("{}?page_size={page_size}{sort}", case.target());
                let page = asked.get(key, &target);
                assert_eq!(page.next().is_none(), is_last, "{target}");
                if let Some(next) = page.next() {
                    let last = asked.get(key, &next);
                    assert_eq!(last.rows().len(), 1, "{next}");
                    assert_eq!(last.next(), None, "{next}");
                }
                let beyond = asked.get(key, &format!("{target}&page_number=3"));
                assert_eq!((beyond.rows().len(), beyond.next()), (0, None), "{target}");
            }
        }
    }
}

#[test]
fn a_cursor_is_taken_by_the_list_that_gave_it_and_by_no_other() {
    let asked = small();
    let key = operator(asked);
    let lists = whole_lists(asked);
    for (case, other) in lists.iter().zip(lists.iter().cycle().skip(1)) {
        let target = format!("{}?page_size=1", case.target());
        let page = asked.get(key, &target);
        let next = page.next().unwrap();
        let (_, cursor) = next.split_once("cursor=").unwrap();
        for (target, is_taken) in [
            (format!("{}?cursor={cursor}", case.target()), true),
            (
                format!("{}?cursor={cursor}&page_size=7&fields=id", case.target()),
                true,
            ),
            (format!("{}?cursor={cursor}", other.target()), false),
            (
                format!("{}?cursor={cursor}&sort_column[]=id", case.target()),
                false,
            ),
            (
                format!(
                    "{}?cursor={cursor}&created_at:gte=2026-01-01",
                    case.target()
                ),
                false,
            ),
            (
                format!("{}?cursor={cursor}&page_number=2", case.target()),
                false,
            ),
            (format!("{}?cursor={cursor}x", case.target()), false),
            (format!("{}?cursor=", case.target()), false),
            (
                format!("{}?cursor={}", case.target(), "A".repeat(5_000)),
                false,
            ),
        ] {
            let answered = asked.get(key, &target);
            if is_taken {
                assert_eq!(answered.status, 200, "{target}: {}", answered.text);
            } else {
                assert_eq!(places(&answered), ["/query/cursor"], "{target}");
            }
        }
    }
}

#[test]
fn only_a_key_that_sees_everything_is_told_how_a_list_was_read() {
    let asked = small();
    let (seller, program, client) = asked.world.sellers[0];
    let of_client = Scope {
        client_id: Some(client),
        ..Scope::default()
    };
    let of_program = Scope {
        program_id: Some(program),
        ..of_client
    };
    let of_seller = Scope {
        seller_id: Some(seller),
        ..of_program
    };
    for case in whole_lists(asked) {
        assert!(
            asked
                .get(operator(asked), &case.target())
                .headers
                .contains_key("x-weir-read")
        );
        for scope in [of_client, of_program, of_seller] {
            let key = asked.key(Permission::ALL, scope);
            let answered = asked.get(&key, &case.target());
            assert_eq!(answered.status, 200);
            assert!(
                !answered.headers.contains_key("x-weir-read"),
                "{} {scope:?}",
                case.target()
            );
        }
    }
}

#[test]
fn what_is_left_out_of_an_answer_is_not_read_for_it() {
    let asked = small();
    let key = operator(asked);
    for path in [
        "/v1/batchdetails",
        "/v1/batchdetailhistory",
        "/v1/batchdetaillogs",
    ] {
        let (_, all) = read(&asked.get(key, &format!("{path}?page_size=250")));
        let light = format!("{path}?page_size=250&fields=id,created_at");
        let (_, light) = read(&asked.get(key, &light));
        assert!(light < all, "{path}: {light} and {all}");
    }
}

/// Batches of a file of their own, each with a header of some bytes.
fn make_large_batches(asked: &Asked, count: u32, header_bytes: usize) -> String {
    let (file, owner) = asked
        .world
        .files
        .iter()
        .find(|(_, owner)| owner.is_some())
        .unwrap();
    let (program_id, client_id) = owner.unwrap();
    let now = asked.parts.timeline.now();
    // Beyond those that the file came with.
    for ordinal in 100..100 + count {
        let batch = Batch {
            id: file.batch(BatchOrdinal::new(ordinal).unwrap()),
            client_id,
            program_id,
            seller_id: None,
            seller_name: None,
            batch_number: format!("LARGE-{ordinal}"),
            currency: None,
            header_xml: "x".repeat(header_bytes),
            byte_start: 0,
            byte_end: 1,
            shards: shard_count_for(0),
            counters: Counters::default(),
            status: BatchStatus::of(&Counters::default()),
            correlation_id: "large".to_owned(),
            error_log: None,
            error_at: None,
            processed_at: None,
            created_at: now,
            updated_at: now,
            user_updated_at: None,
            user_updated_by: None,
            task: None,
            last_task: None,
        };
        asked.wait(asked.parts.store.create_batch(&batch)).unwrap();
    }
    format!("/v1/batches?program_id={program_id}&correlation_id=large")
}

#[test]
fn a_page_too_large_says_how_many_of_its_rows_fit() {
    static LARGE: OnceLock<Asked> = OnceLock::new();
    let asked = LARGE.get_or_init(Asked::bare);
    let key = operator(asked);
    let target = make_large_batches(asked, 30, 300_000);
    let answered = asked.get(key, &format!("{target}&page_size=250"));
    assert_eq!(places(&answered), ["/query/page_size"]);
    let message = answered.body[0]["validationErrors"][0]["message"]
        .as_str()
        .unwrap();
    assert!(message.contains("its first 19 rows fit"), "{message}");
    for (page_size, is_answered) in [(18, true), (19, true), (20, false)] {
        let page = asked.get(key, &format!("{target}&page_size={page_size}"));
        assert_eq!(page.status == 200, is_answered, "{page_size}");
    }
    let light = asked.get(key, &format!("{target}&page_size=250&fields=id"));
    assert_eq!(light.rows().len(), 30);
}
