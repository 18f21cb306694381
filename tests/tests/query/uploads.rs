//! Places for files that are too large for a request.

use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weir_domain::{FileId, FileStatus, ObjectIdentity, Permission};
use weir_query::Scope;
use weir_runtime::{HttpRequest, HttpResponse, Metrics};
use weir_settlement::TimeLimit;
use weir_settlement::upload::{Progress, Uploader};
use weir_store::File;
use weir_tests::parts::{BUCKET, scope};
use weir_tests::text::{self, charge};

use crate::asking::Answered;
use crate::reference_changes::id_of;
use crate::schema::{check, is_error, places};
use crate::settlements::{XML, changed, operation, post, program_key, program_scope};
use crate::validation::take;

pub(crate) const PATH: &str = "/v1/settlements/uploads";

pub(crate) fn hex(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn reserve_as(key: &str, body: &Value) -> Answered {
    let request = http::Request::post(PATH)
        .header("Authorization", key)
        .header("Content-Type", "application/json");
    let answered = changed().ask(request.body(body.to_string().into()).unwrap());
    check(&operation(&Method::POST, PATH), &answered);
    answered
}

/// A place for some bytes.
fn reserve(name: &str, bytes: &[u8]) -> Value {
    let body = json!({"name": name, "size": bytes.len(), "checksum_sha256": hex(bytes)});
    let answered = reserve_as(program_key(), &body);
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered.body
}

/// Sends bytes as a place says.
pub(crate) fn put(url: &str, headers: &Value, bytes: impl Into<Bytes>) -> HttpResponse {
    let mut request = HttpRequest::new(Method::PUT, url.parse().unwrap());
    for (name, value) in headers.as_object().unwrap() {
        let name: HeaderName = name.parse().unwrap();
        if name != "content-length" && name != "host" {
            let value: HeaderValue = value.as_str().unwrap().parse().unwrap();
            request.headers.insert(name, value);
        }
    }
    request.body = bytes.into();
    changed()
        .wait(changed().parts.network.http.send(request))
        .unwrap()
}

fn put_place(place: &Value, bytes: impl Into<Bytes>) -> HttpResponse {
    let upload = &place["upload"];
    put(upload["url"].as_str().unwrap(), &upload["headers"], bytes)
}

/// Announces an object, as its event does, and takes its file to its end.
fn announce(url: &str, etag: &str) -> File {
    let url: weir_runtime::Url = url.parse().unwrap();
    let path = percent_decoded(url.path());
    let key = path.strip_prefix(&format!("/{BUCKET}/")).unwrap();
    let parts = &changed().parts;
    let clock = parts.timeline.clock().clone();
    let uploader = Uploader {
        store: parts.store.clone(),
        clock: clock.clone(),
        metrics: Metrics::discarded(clock.clone()),
    };
    changed().wait(async {
        let object = ObjectIdentity::new(BUCKET, key, etag);
        let correlation = "test-run".parse().unwrap();
        let id = uploader.register(object, &correlation).await.unwrap().id;
        let limit = TimeLimit::after(Duration::from_mins(5), &clock);
        while uploader.work(id, &limit).await.unwrap() != Progress::Done {}
        parts.store.file(id).await.unwrap().unwrap()
    })
}

pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            let digits = std::str::from_utf8(&digits).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn sound(number: &str) -> String {
    text::one_batch(number, &[charge(number, "1.00")])
}

#[test]
fn the_object_of_a_place_becomes_the_file_that_was_answered_once() {
    let bytes = sound("PLACE-1");
    let place = reserve("größe 1.xml", bytes.as_bytes());
    let id = id_of(&place["file"]);
    assert_eq!(place["file"]["status"], "Stored");
    assert_eq!(place["file"]["name"], "größe 1.xml");
    let target = format!("/v1/files/{id}");
    assert_eq!(changed().get(program_key(), &target).body, place["file"]);
    // Nothing waits for it until its object is there.
    let open = changed()
        .wait(changed().parts.store.open_files(None))
        .unwrap();
    assert!(!open.contains(&id.parse::<FileId>().unwrap()));
    is_error(
        &changed().get(program_key(), &format!("{target}/problems")),
        409,
        "conflict",
    );
    let sent = put_place(&place, bytes.clone());
    assert_eq!(sent.status, 200, "{:?}", sent.body);
    let etag = sent.headers["etag"].to_str().unwrap();
    let files = changed().all(program_key(), "/v1/files").len();
    for _ in 0..2 {
        let file = announce(place["upload"]["url"].as_str().unwrap(), etag);
        assert_eq!(
            (file.id.to_string(), file.status),
            (id.clone(), FileStatus::Processed)
        );
    }
    assert_eq!(changed().all(program_key(), "/v1/files").len(), files);
    let batches = changed().all(program_key(), &format!("{target}/batches"));
    assert_eq!(batches.len(), 1);
    // The same bytes under the same name, dropped in, are a file of their own.
    let dropped = take(changed(), &scope().key("größe 1.xml"), bytes);
    assert_ne!(dropped.id.to_string(), id);
}

#[test]
fn a_place_takes_what_was_announced_and_nothing_else_and_once() {
    let bytes = sound("PLACE-2");
    let place = reserve("bound.xml", bytes.as_bytes());
    let mut other = bytes.clone().into_bytes();
    other[60] ^= 1;
    for wrong in [other, bytes.as_bytes()[1..].to_vec(), Vec::new()] {
        let sent = put_place(&place, wrong);
        assert!(sent.status.is_client_error(), "{}", sent.status);
    }
    let url = place["upload"]["url"].as_str().unwrap();
    let elsewhere = url.replace("bound.xml", "other.xml");
    assert_eq!(
        put(&elsewhere, &place["upload"]["headers"], bytes.clone()).status,
        403
    );
    for dropped in ["x-amz-checksum-sha256", "if-none-match"] {
        let mut headers = place["upload"]["headers"].clone();
        if headers.as_object_mut().unwrap().remove(dropped).is_some() {
            let sent = put(url, &headers, bytes.clone());
            assert!(sent.status.is_client_error(), "{dropped}: {}", sent.status);
        }
    }
    assert_eq!(put_place(&place, bytes.clone()).status, 200);
    assert_eq!(put_place(&place, bytes).status, 412);
}

#[test]
fn a_place_is_kept_for_fifteen_minutes() {
    let now = changed().parts.timeline.now();
    let kept = Uploader::PLACE_KEPT;
    let body = "<a/>";
    let sign = |minutes: i64| {
        let key = scope().key(&format!("expired-{minutes}.xml"));
        let sha256 = "0".repeat(43) + "=";
        let at = now - TimeDelta::minutes(minutes);
        let store = &changed().parts.store;
        changed()
            .wait(store.sign_upload(&key, 4, &sha256, at, kept))
            .unwrap()
    };
    for (minutes, is_expired) in [(14, false), (16, true)] {
        let signed = sign(minutes);
        let headers: Value = signed
            .headers
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_iter()
            .map(|(name, value)| (name, json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let sent = put(&signed.url, &headers, body);
        // One that is good is asked for the checksum next.
        assert_eq!(sent.status == 403, is_expired, "{minutes}: {:?}", sent.body);
        assert!(sent.status.is_client_error());
    }
    let place = reserve("kept.xml", b"<a/>");
    let until: chrono::DateTime<chrono::Utc> = place["upload"]["expires_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let left = (until - now).num_seconds();
    assert!((900..960).contains(&left), "{left}");
}

#[test]
fn a_key_that_is_no_places_is_a_drop_in_whatever_it_looks_like() {
    let key = scope().key("uploads/8a0b7c6d-0000-4000-8000-000000000001/drop.xml");
    let bytes = sound("PLACE-3");
    let file = take(changed(), &key, bytes);
    assert_eq!(
        (file.status, file.name.as_str()),
        (FileStatus::Processed, "drop.xml")
    );
    assert_eq!(FileId::of_object(file.object().unwrap()), file.id);
}

#[test]
fn what_asks_for_a_place_is_checked() {
    let good = json!({"name": "a.xml", "size": 1, "checksum_sha256": "0".repeat(64)});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for body in [
        json!({}),
        with("size", json!(0)),
        with("size", json!(-1)),
        with("size", json!(1.5)),
        with("size", json!("1")),
        with("size", json!(5_368_709_121_u64)),
        with("checksum_sha256", json!("0".repeat(43))),
        with("name", json!("")),
    ] {
        let answered = reserve_as(program_key(), &body);
        is_error(&answered, 400, "body_not_matching_json_schema");
    }
    for (body, place) in [
        (
            with("checksum_sha256", json!("g".repeat(64))),
            "/checksum_sha256",
        ),
        (with("name", json!("n".repeat(256))), "/name"),
    ] {
        assert_eq!(places(&reserve_as(program_key(), &body)), [place]);
    }
    assert_eq!(
        reserve_as(program_key(), &with("size", json!(5_368_709_120_u64))).status,
        200
    );
    let wide = changed().key(Permission::ALL, Scope::default());
    is_error(&reserve_as(&wide, &good), 403, "unauthorized");
}

fn complete_as(key: &str, id: &str) -> Answered {
    let target = format!("{PATH}/{id}/complete");
    let answered = changed().send(Method::POST, key, &target);
    let path = format!("{PATH}/{{file_id}}/complete");
    check(&operation(&Method::POST, &path), &answered);
    answered
}

/// Takes a file to its end, as whatever wakes it does.
fn work(id: &str) -> File {
    work_for(id, Duration::from_mins(5))
}

/// The same in as many runs as it takes, each of so much time.
fn work_for(id: &str, time: Duration) -> File {
    let parts = &changed().parts;
    let clock = parts.timeline.clock().clone();
    let uploader = Uploader {
        store: parts.store.clone(),
        clock: clock.clone(),
        metrics: Metrics::discarded(clock.clone()),
    };
    let id: FileId = id.parse().unwrap();
    changed().wait(async {
        let limit = || TimeLimit::after(time, &clock);
        while uploader.work(id, &limit()).await.unwrap() != Progress::Done {}
        parts.store.file(id).await.unwrap().unwrap()
    })
}

#[test]
fn an_upload_whose_event_is_lost_is_completed_by_its_sender_and_its_event_changes_nothing() {
    let bytes = sound("PLACE-COMPLETE");
    let place = reserve("completed.xml", bytes.as_bytes());
    let id = id_of(&place["file"]);
    is_error(&complete_as(program_key(), &id), 409, "conflict");
    let sent = put_place(&place, bytes);
    let etag = sent.headers["etag"].to_str().unwrap();
    for _ in 0..2 {
        let answered = complete_as(program_key(), &id);
        assert_eq!(answered.status, 200, "{}", answered.text);
        assert_eq!(
            (&answered.body["id"], &answered.body["status"]),
            (&place["file"]["id"], &json!("Stored"))
        );
    }
    // From now on it is found and woken like any file that came with its event.
    let open = changed().wait(changed().parts.store.open_files(None));
    assert!(open.unwrap().contains(&id.parse().unwrap()));
    let file = work(&id);
    assert_eq!(file.status, FileStatus::Processed);
    let again = complete_as(program_key(), &id);
    assert_eq!(again.body["status"], "Processed");
    let late = announce(place["upload"]["url"].as_str().unwrap(), etag);
    assert_eq!(late, file);
    let batches = changed().all(program_key(), &format!("/v1/files/{id}/batches"));
    assert_eq!(batches.len(), 1);
}

#[test]
fn an_upload_whose_event_came_first_is_answered_as_it_is() {
    let bytes = sound("PLACE-EVENT-FIRST");
    let place = reserve("event-first.xml", bytes.as_bytes());
    let sent = put_place(&place, bytes);
    let etag = sent.headers["etag"].to_str().unwrap();
    let file = announce(place["upload"]["url"].as_str().unwrap(), etag);
    let answered = complete_as(program_key(), &file.id.to_string());
    assert_eq!(answered.body["status"], "Processed");
    let stored = changed().wait(changed().parts.store.file(file.id)).unwrap();
    assert_eq!(stored, Some(file));
}

#[test]
fn only_a_file_with_a_place_that_the_key_may_see_and_send_is_completed() {
    let place = reserve("not-mine.xml", b"<a/>");
    let id = id_of(&place["file"]);
    let read = changed().key(&[Permission::FilesRead], program_scope());
    is_error(&complete_as(&read, &id), 403, "unauthorized");
    let other = Scope {
        program_id: Some(uuid::Uuid::from_u128(77).try_into().unwrap()),
        ..program_scope()
    };
    let other = changed().key(Permission::ALL, other);
    is_error(&complete_as(&other, &id), 404, "resource_not_found");
    let unknown = "8a0b7c6d-0000-4000-8000-000000000001";
    is_error(
        &complete_as(program_key(), unknown),
        404,
        "resource_not_found",
    );
    let malformed = complete_as(program_key(), "x");
    assert_eq!(places(&malformed), ["/path/file_id"]);
    let named = http::Request::post("/v1/files")
        .header("Authorization", program_key())
        .header("Content-Type", "application/json");
    let body = json!({"name": "a name and no place"}).to_string();
    let named = changed().ask(named.body(body.into()).unwrap());
    let answered = complete_as(program_key(), &id_of(&named.body));
    is_error(&answered, 409, "conflict");
}

#[test]
fn a_place_for_a_file_that_is_only_judged_ends_without_batches_and_tells_its_problems() {
    let judged = |number: &str, text: String| {
        let body = json!({
            "name": "judged.xml", "size": text.len(), "checksum_sha256": hex(text.as_bytes()),
        });
        let request = http::Request::post(format!("{PATH}?validate_only=true"))
            .header("Authorization", program_key())
            .header("Content-Type", "application/json");
        let place = changed().ask(request.body(body.to_string().into()).unwrap());
        assert_eq!(place.status, 200, "{number}: {}", place.text);
        assert_eq!(put_place(&place.body, text).status, 200, "{number}");
        let id = id_of(&place.body["file"]);
        assert_eq!(complete_as(program_key(), &id).status, 200, "{number}");
        let file = work(&id);
        assert_eq!((file.batch_count, file.detail_count), (0, 0), "{number}");
        let target = format!("/v1/files/{id}");
        let key = program_key();
        let batches = changed().all(key, &format!("{target}/batches"));
        assert!(batches.is_empty(), "{number}");
        let problems = changed().all(key, &format!("{target}/problems"));
        assert!(problems.iter().all(|one| one.get("batch_id").is_none()));
        let codes = problems.iter().map(|one| one["code"].as_str().unwrap());
        (file.status, codes.map(str::to_owned).collect::<Vec<_>>())
    };
    let (sound_status, codes) = judged("JUDGED", sound("JUDGED"));
    assert_eq!(sound_status, FileStatus::Processed);
    assert!(codes.is_empty(), "{codes:?}");
    // Its number is still free, and taken only once the file is sent for good.
    let kept = take(changed(), &scope().key("judged.xml"), sound("JUDGED"));
    assert_eq!(kept.batch_count, 1);
    let (status, codes) = judged("JUDGED", sound("JUDGED"));
    assert_eq!(status, FileStatus::Processed);
    assert_eq!(codes, ["batch.number_taken"]);
    let (status, codes) = judged("BROKEN", sound("BROKEN").replace("</SettlementFile>", ""));
    assert_eq!((status, codes.is_empty()), (FileStatus::Error, false));
    // A drop-in is what it is under any key.
    let key = scope().key("validations/8a0b7c6d-0000-4000-8000-000000000002/drop.xml");
    let dropped = take(changed(), &key, sound("DROP-JUDGED"));
    assert_eq!(
        (dropped.status, dropped.batch_count),
        (FileStatus::Processed, 1)
    );
}

#[test]
fn validate_only_is_true_or_false_once_and_nothing_else_is_asked_of_a_place() {
    let body = json!({"name": "a.xml", "size": 1, "checksum_sha256": "0".repeat(64)});
    for (query, place) in [
        ("validate_only=false", None),
        ("validate_only=true", None),
        ("validate_only=1", Some("/query/validate_only")),
        (
            "validate_only=true&validate_only=true",
            Some("/query/validate_only"),
        ),
        ("page_size=1", Some("/query/page_size")),
    ] {
        let request = http::Request::post(format!("{PATH}?{query}"))
            .header("Authorization", program_key())
            .header("Content-Type", "application/json");
        let answered = changed().ask(request.body(body.to_string().into()).unwrap());
        check(&operation(&Method::POST, PATH), &answered);
        match place {
            None => assert_eq!(answered.status, 200, "{query}: {}", answered.text),
            Some(place) => assert_eq!(places(&answered), [place], "{query}"),
        }
    }
}

/// What a place tells of a file that is only judged, whose check is cut short as often as it can be if so
/// asked; a page of problems at a time.
fn told_by_a_place(text: &str, time: Duration, page_size: usize) -> Vec<Value> {
    let body = json!({
        "name": "judged.xml", "size": text.len(), "checksum_sha256": hex(text.as_bytes()),
    });
    let request = http::Request::post(format!("{PATH}?validate_only=true"))
        .header("Authorization", program_key())
        .header("Content-Type", "application/json");
    let place = changed().ask(request.body(body.to_string().into()).unwrap());
    assert_eq!(put_place(&place.body, text.to_owned()).status, 200);
    let id = id_of(&place.body["file"]);
    assert_eq!(complete_as(program_key(), &id).status, 200);
    work_for(&id, time);
    let target = format!("/v1/files/{id}/problems?page_size={page_size}");
    changed().all(program_key(), &target)
}

#[test]
fn a_place_tells_two_batches_of_one_number_within_its_file_as_a_request_does() {
    let one = |number: &str, seller: &str| text::batch(number, seller, &[charge(number, "1.00")]);
    let [first, second] = text::SELLERS;
    let few = [
        one("ONCE-1", first),
        one("TWICE-1", first),
        one("TWICE-1", second),
        one("NOBODY-1", "NO-SUCH"),
        one("NOBODY-1", "NO-SUCH"),
        one("TWICE-1", first),
        text::batch("W-1", first, &[text::wrong_charge("W", "1.00")]),
        one("TWICE-1", first),
    ];
    let few = text::file(&few);
    // More than are looked up together.
    let number = |place: u32| one(&format!("MANY-{}", place % 150), second);
    let many = text::file(&(0..250).map(number).collect::<Vec<_>>());
    let cut = few.replace("</SettlementFile>", "");
    for (text, repeats) in [(few, 2), (many, 100), (cut, 2)] {
        let judged = post("?validate_only=true", &[XML], text.clone());
        let expected = judged.body["problems"].as_array().unwrap();
        let is_repeat = |one: &&Value| {
            let message = one["message"].as_str().unwrap();
            message.contains("it is the file's batch ")
        };
        assert_eq!(expected.iter().filter(is_repeat).count(), repeats);
        for (time, page_size) in [(300_000, 100), (1, 100), (300_000, 1)] {
            let told = told_by_a_place(&text, Duration::from_millis(time), page_size);
            assert_eq!(&told, expected, "{time} ms, {page_size} a page");
        }
    }
}
