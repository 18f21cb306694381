//! A settlement file is sent over HTTP.

use std::sync::OnceLock;

use axum::body::Body;
use http::{Method, Request};
use serde_json::Value;
use weir_api::{Operation, operations};
use weir_domain::Permission;
use weir_query::Scope;
use weir_tests::parts::scope;
use weir_tests::text;

use crate::asking::{Answered, Asked};
use crate::schema::{check, is_error, places};

/// A world of its own, since these tests change it.
pub(crate) fn changed() -> &'static Asked {
    static CHANGED: OnceLock<Asked> = OnceLock::new();
    CHANGED.get_or_init(Asked::bare)
}

/// A key of the demo's program that may do everything.
pub(crate) fn program_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| changed().key(Permission::ALL, program_scope()))
}

/// The demo's program.
pub(crate) fn program_scope() -> Scope {
    let scope = scope();
    Scope {
        client_id: Some(scope.client_id),
        program_id: Some(scope.program_id),
        seller_id: None,
    }
}

/// An operation by its method and its path.
pub(crate) fn operation(method: &Method, path: &str) -> Operation {
    let is_it = |one: &Operation| one.method == *method && one.path == path;
    operations().into_iter().find(is_it).unwrap()
}

/// `POST /v1/settlements` with a query; the answer is held against the document.
pub(crate) fn post(query: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answered {
    post_as(program_key(), query, headers, body)
}

pub(crate) fn post_as(
    key: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answered {
    let mut request = Request::post(format!("/v1/settlements{query}")).header("Authorization", key);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answered = changed().ask(request.body(body.into()).unwrap());
    check(&operation(&Method::POST, "/v1/settlements"), &answered);
    answered
}

pub(crate) const XML: (&str, &str) = ("Content-Type", "application/xml");
const FORM: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=xyz");

fn sound(number: &str) -> String {
    text::one_batch(number, &[text::charge(number, "10.00")])
}

/// A part of a form.
fn part(disposition: &str, content: &str) -> String {
    format!("--xyz\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
}

fn form(parts: &[String]) -> String {
    format!("{}--xyz--\r\n", parts.concat())
}

fn stored(answered: &Answered) -> &Value {
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert_eq!(answered.body["status"], "Stored");
    &answered.body
}

#[test]
fn a_file_comes_as_xml_or_as_the_one_file_of_a_form() {
    for kind in ["application/xml", "text/xml; charset=utf-8"] {
        let headers = [("Content-Type", kind), ("X-File-Name", "gr%C3%BC.xml")];
        let answered = post("", &headers, sound("AS-XML"));
        assert_eq!(stored(&answered)["name"], "grü.xml");
    }
    let file = part("name=\"any\"; filename=\"of part.xml\"", &sound("AS-FORM"));
    let form = form(&[file]);
    let answered = post("", &[FORM], form.clone());
    assert_eq!(stored(&answered)["name"], "of part.xml");
    let named = [FORM, ("X-File-Name", "header.xml")];
    assert_eq!(
        stored(&post("", &named, form.clone()))["name"],
        "header.xml"
    );
    // A form is sent under another boundary each time, and is the same request.
    let again = ("Idempotency-Key", "as-form");
    let first = post("", &[FORM, named[1], again], form.clone());
    let kind = ("Content-Type", "multipart/form-data; boundary=abc");
    let second = post("", &[kind, named[1], again], form.replace("xyz", "abc"));
    assert_eq!(stored(&first)["id"], stored(&second)["id"]);
    assert!(second.headers.contains_key("idempotent-replayed"));
    let other = post("", &[XML, named[1], again], sound("AS-FORM"));
    is_error(&other, 409, "conflict");
}

#[test]
fn a_form_with_no_file_or_several_parts_is_refused() {
    let file = part("name=\"a\"; filename=\"a.xml\"", &sound("FORM"));
    let field = part("name=\"b\"", "1");
    let empty = part("name=\"a\"; filename=\"a.xml\"", "");
    for parts in [
        &[][..],
        std::slice::from_ref(&field),
        &[file.clone(), file.clone()],
        &[file, field.clone()],
        &[empty],
    ] {
        is_error(&post("", &[FORM], form(parts)), 400, "invalid_data");
    }
    let long = part(
        &format!("name=\"a\"; filename=\"{}\"", "n".repeat(256)),
        "<a/>",
    );
    is_error(&post("", &[FORM], form(&[long])), 400, "invalid_data");
    let other = [("Content-Type", "multipart/mixed; boundary=xyz")];
    let answered = post("", &other, "");
    is_error(&answered, 415, "unsupported_media_type");
}

#[test]
fn a_name_is_1_to_255_characters() {
    for (count, is_taken) in [
        (0, false),
        (1, true),
        (254, true),
        (255, true),
        (256, false),
    ] {
        let name = "n".repeat(count);
        let answered = post("", &[XML, ("X-File-Name", &name)], sound("NAME"));
        if is_taken {
            assert_eq!(stored(&answered)["name"], name);
        } else {
            assert_eq!(places(&answered), ["/headers/X-File-Name"], "{count}");
        }
    }
    let nameless = post("", &[XML], sound("NAMELESS"));
    assert_eq!(stored(&nameless)["name"], "settlement.xml");
}

#[test]
fn a_body_may_have_4_mib_and_a_larger_one_is_told_where_to_go() {
    let most = weir_api::BODY_BYTES_MAX;
    let head = part("name=\"a\"; filename=\"a.xml\"", "").len() - 2;
    let tail = "\r\n--xyz--\r\n".len();
    for (bytes, is_taken) in [(most - 1, true), (most, true), (most + 1, false)] {
        let as_form = form(&[part(
            "name=\"a\"; filename=\"a.xml\"",
            &"x".repeat(bytes - head - tail),
        )]);
        assert_eq!(as_form.len(), bytes);
        for (kind, body) in [(XML, "x".repeat(bytes)), (FORM, as_form)] {
            let answered = post("", &[kind], body);
            if is_taken {
                stored(&answered);
                continue;
            }
            is_error(&answered, 413, "payload_too_large");
            let told = answered.body[0]["message"].as_str().unwrap();
            assert!(told.contains("POST /v1/settlements/uploads"), "{told}");
            assert!(told.contains(&scope().key("settlement.xml")), "{told}");
        }
    }
}
