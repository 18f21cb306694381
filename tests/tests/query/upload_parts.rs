//! Files that are sent in parts.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weir_domain::{FileId, FileStatus, Permission};
use weir_query::Scope;
use weir_runtime::{HttpResponse, Metrics};
use weir_settlement::TimeLimit;
use weir_settlement::upload::{Composite, PART_BYTES, Progress, Uploader};
use weir_store::{File, FileContent, Store};
use weir_tests::parts::BUCKET;
use weir_tests::text::{self, charge};

use crate::asking::{Answered, Asked};
use crate::idempotency::{is_replayed, post};
use crate::reference_changes::id_of;
use crate::schema::{check, is_error, places};
use crate::settlements::{changed, operation, program_scope};
use crate::uploads::{PATH, hex, put};

/// A program that sends files in parts.
pub(crate) struct Sender<'a> {
    asked: &'a Asked,
    pub(crate) key: String,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(asked: &'a Asked) -> Self {
        Self {
            key: asked.key(Permission::ALL, program_scope()),
            asked,
        }
    }

    fn post(&self, operation_path: &str, target: &str, body: &Value) -> Answered {
        let request = http::Request::post(target)
            .header("Authorization", &self.key)
            .header("Content-Type", "application/json");
        let answered = self
            .asked
            .ask(request.body(body.to_string().into()).unwrap());
        check(&operation(&Method::POST, operation_path), &answered);
        answered
    }

    /// A place for some bytes.
    pub(crate) fn reserve(&self, bytes: &[u8]) -> Value {
        let answered = self.post(PATH, PATH, &announced("parts.xml", bytes));
        assert_eq!(answered.status, 200, "{}", answered.text);
        answered.body
    }

    fn ask(&self, id: &str, parts: &Value) -> Answered {
        let path = format!("{PATH}/{{file_id}}/parts");
        let body = json!({ "parts": parts });
        self.post(&path, &format!("{PATH}/{id}/parts"), &body)
    }

    /// Where all parts of some bytes go.
    fn ask_all(&self, id: &str, bytes: &[u8]) -> Vec<Value> {
        let numbers: Vec<usize> = (1..=pieces(bytes).len()).collect();
        let answered = self.ask(id, &named(bytes, &numbers));
        assert_eq!(answered.status, 200, "{}", answered.text);
        answered.body["parts"].as_array().unwrap().clone()
    }

    /// Sends all parts of some bytes that are not there, and says which these were.
    pub(crate) fn send(&self, id: &str, bytes: &[u8]) -> Vec<u64> {
        let mut sent = Vec::new();
        for place in self.ask_all(id, bytes) {
            let number = place["number"].as_u64().unwrap();
            if place["uploaded"] == json!(false) {
                let piece = pieces(bytes)[usize::try_from(number - 1).unwrap()].to_vec();
                assert_eq!(put_part(&place, piece).status, 200, "{number}");
                sent.push(number);
            }
        }
        sent
    }

    pub(crate) fn complete(&self, id: &str) -> Answered {
        let path = format!("{PATH}/{{file_id}}/complete");
        let target = format!("{PATH}/{id}/complete");
        let answered = self.asked.send(Method::POST, &self.key, &target);
        check(&operation(&Method::POST, &path), &answered);
        answered
    }

    /// Takes a file to its end, as whatever wakes it does.
    pub(crate) fn work(&self, id: &str) -> File {
        let uploader = uploader(self.asked, self.asked.parts.store.clone());
        let id: FileId = id.parse().unwrap();
        self.asked.wait(async {
            let limit = TimeLimit::after(Duration::from_mins(5), &uploader.clock);
            while uploader.work(id, &limit).await.unwrap() != Progress::Done {}
            self.stored(id).await
        })
    }

    async fn stored(&self, id: FileId) -> File {
        self.asked.parts.store.file(id).await.unwrap().unwrap()
    }

    /// Where the object of a file is to be, and what S3 calls its upload.
    fn awaited(&self, id: &str) -> (String, String) {
        let file = self.asked.wait(self.stored(id.parse().unwrap()));
        match file.content {
            FileContent::Awaited {
                key,
                parts: Some(parts),
                ..
            } => (key, parts.upload_id),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn object_count(&self) -> usize {
        self.asked.parts.object_count()
    }
}

fn uploader(asked: &Asked, store: Store) -> Uploader {
    let clock = asked.parts.timeline.clock().clone();
    Uploader {
        store,
        metrics: Metrics::discarded(clock.clone()),
        clock,
    }
}

fn pieces(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.chunks(usize::try_from(PART_BYTES).unwrap()).collect()
}

pub(crate) fn announced(name: &str, bytes: &[u8]) -> Value {
    json!({"name": name, "size": bytes.len(), "checksum_sha256": composite(bytes)})
}

fn composite(bytes: &[u8]) -> String {
    let parts = pieces(bytes).into_iter();
    Composite::of(parts.map(|piece| Sha256::digest(piece).into())).to_string()
}

/// Some parts of some bytes, to ask where they go.
fn named(bytes: &[u8], numbers: &[usize]) -> Value {
    let pieces = pieces(bytes);
    let part =
        |number: &usize| json!({"number": number, "checksum_sha256": hex(pieces[number - 1])});
    numbers.iter().map(part).collect()
}

fn put_part(place: &Value, bytes: impl Into<Bytes>) -> HttpResponse {
    put(place["url"].as_str().unwrap(), &place["headers"], bytes)
}

pub(crate) fn sound(number: &str) -> String {
    text::one_batch(number, &[charge(number, "1.00")])
}

/// A sound file of one whole part and some bytes.
fn two_parts(number: &str) -> Vec<u8> {
    let mut bytes = sound(number).into_bytes();
    let comment = format!("<!--{}-->", " ".repeat(32 * 1024));
    while bytes.len() as u64 <= PART_BYTES {
        bytes.extend_from_slice(comment.as_bytes());
    }
    bytes
}

#[test]
fn a_file_in_parts_becomes_the_file_that_was_answered_once() {
    let sender = Sender::new(changed());
    let bytes = two_parts("IN-PARTS");
    let place = sender.reserve(&bytes);
    let id = id_of(&place["file"]);
    assert_eq!(place["upload"]["part_size"], 16_777_216);
    assert_eq!(place["upload"]["part_count"], 2);
    let kept = |time: &Value| {
        time.as_str()
            .unwrap()
            .parse::<chrono::DateTime<chrono::Utc>>()
    };
    let days =
        kept(&place["upload"]["expires_at"]).unwrap() - kept(&place["file"]["created_at"]).unwrap();
    assert_eq!(days, chrono::TimeDelta::days(7));
    let (key, _) = sender.awaited(&id);
    assert_eq!(sender.send(&id, &bytes), [1, 2]);
    assert_eq!(sender.send(&id, &bytes), [0_u64; 0]);
    for _ in 0..2 {
        let done = sender.complete(&id);
        assert_eq!(done.status, 200, "{}", done.text);
        assert_eq!(done.body["id"], place["file"]["id"]);
    }
    let file = sender.work(&id);
    assert_eq!((file.status, file.batch_count), (FileStatus::Processed, 1));
    // Its event, which comes late, is of the same file.
    let object = file.object().unwrap().clone();
    assert_eq!(
        (object.bucket.as_str(), object.key.as_str()),
        (BUCKET, key.as_str())
    );
    assert!(object.etag.ends_with("-2"), "{}", object.etag);
    let uploader = uploader(changed(), changed().parts.store.clone());
    let correlation = "test-run".parse().unwrap();
    let late = changed()
        .wait(uploader.register(object, &correlation))
        .unwrap();
    assert_eq!(late, file);
    is_error(&sender.ask(&id, &named(&bytes, &[1])), 409, "conflict");
}

#[test]
fn the_event_of_the_joined_parts_gives_the_file_its_object_too() {
    let sender = Sender::new(changed());
    let bytes = sound("PARTS-EVENT").into_bytes();
    let id = id_of(&sender.reserve(&bytes)["file"]);
    sender.send(&id, &bytes);
    // The one who completes goes away once the object is made.
    let (key, upload) = sender.awaited(&id);
    let object = changed().wait(async {
        let store = &changed().parts.store;
        let of = weir_store::PartsOf {
            bucket: BUCKET,
            key: &key,
            upload_id: &upload,
        };
        let parts = store.parts(of).await.unwrap().unwrap();
        assert!(matches!(
            store.join_parts(of, &parts).await.unwrap(),
            weir_store::Joining::Done(_)
        ));
        store.find_object(BUCKET, &key).await.unwrap().unwrap()
    });
    let told = sender.ask(&id, &named(&bytes, &[1]));
    is_error(&told, 409, "conflict");
    assert!(told.text.contains("has its object"), "{}", told.text);
    let uploader = uploader(changed(), changed().parts.store.clone());
    let correlation = "test-run".parse().unwrap();
    let registered = uploader.register(object, &correlation);
    assert_eq!(changed().wait(registered).unwrap().id.to_string(), id);
    assert_eq!(sender.work(&id).status, FileStatus::Processed);
    assert_eq!(sender.complete(&id).body["status"], "Processed");
}

#[test]
fn a_part_takes_its_own_bytes_and_no_others() {
    let sender = Sender::new(changed());
    let bytes = two_parts("PART-BOUND");
    let id = id_of(&sender.reserve(&bytes)["file"]);
    let places_of = sender.ask_all(&id, &bytes);
    let last = pieces(&bytes)[1].to_vec();
    let mut other = last.clone();
    other[60] ^= 1;
    for wrong in [other, last[1..].to_vec(), Vec::new()] {
        let sent = put_part(&places_of[1], wrong);
        assert!(sent.status.is_client_error(), "{}", sent.status);
    }
    let url = places_of[1]["url"].as_str().unwrap();
    for (from, to) in [("partNumber=2", "partNumber=1"), ("parts.xml", "other.xml")] {
        assert!(url.contains(from), "{url}");
        let sent = put(
            &url.replace(from, to),
            &places_of[1]["headers"],
            last.clone(),
        );
        assert_eq!(sent.status, 403, "{from}");
    }
    assert!(
        sender
            .ask_all(&id, &bytes)
            .iter()
            .all(|part| part["uploaded"] == json!(false))
    );
    // The same bytes any number of times.
    for _ in 0..2 {
        assert_eq!(put_part(&places_of[1], last.clone()).status, 200);
    }
    let there = sender.ask(&id, &named(&bytes, &[2, 1])).body["parts"].clone();
    assert_eq!(
        there[0],
        json!({"number": 2, "size": last.len(), "uploaded": true})
    );
    assert_eq!(there[1]["uploaded"], false);
    assert_eq!(there[1]["size"], 16_777_216);
}

#[test]
fn parts_that_are_missing_or_not_what_was_announced_are_told_and_can_be_sent_after_all() {
    let sender = Sender::new(changed());
    let bytes = two_parts("PARTS-MISSING");
    let id = id_of(&sender.reserve(&bytes)["file"]);
    let told = |expected: &str| {
        let answered = sender.complete(&id);
        is_error(&answered, 409, "conflict");
        assert!(answered.text.contains(expected), "{}", answered.text);
    };
    told("These parts are missing: 1, 2. ");
    let mut other = bytes.clone();
    *other.last_mut().unwrap() = b'\n';
    let place = sender.ask(&id, &named(&other, &[2])).body["parts"][0].clone();
    assert_eq!(put_part(&place, pieces(&other)[1].to_vec()).status, 200);
    told("These parts are missing: 1. ");
    let place = sender.ask(&id, &named(&bytes, &[1])).body["parts"][0].clone();
    assert_eq!(put_part(&place, pieces(&bytes)[0].to_vec()).status, 200);
    let objects = sender.object_count();
    let (stored, announced) = (composite(&other), composite(&bytes));
    told(&format!(
        "the checksum {stored}, and {announced} was announced. "
    ));
    assert_eq!(sender.object_count(), objects);
    assert_eq!(sender.send(&id, &bytes), [2]);
    assert_eq!(sender.complete(&id).status, 200);
    assert_eq!(sender.work(&id).status, FileStatus::Processed);
}

#[test]
fn parts_that_are_right_under_a_wrong_announcement_are_sent_to_another_place() {
    let sender = Sender::new(changed());
    let bytes = sound("PARTS-ANNOUNCED").into_bytes();
    // Made of the hexadecimal digits, say, instead of the bytes.
    let mut wrong = announced("wrong.xml", &bytes);
    wrong["checksum_sha256"] = json!(composite(hex(&bytes).as_bytes()));
    let id = id_of(&sender.post(PATH, PATH, &wrong).body["file"]);
    assert_eq!(sender.send(&id, &bytes), [1]);
    assert_eq!(sender.send(&id, &bytes), [0_u64; 0]);
    let told = sender.complete(&id);
    is_error(&told, 409, "conflict");
    for expected in [
        composite(&bytes).as_str(),
        wrong["checksum_sha256"].as_str().unwrap(),
        "the announcement was wrong: ask for another place",
    ] {
        assert!(told.text.contains(expected), "{}", told.text);
    }
    let id = id_of(&sender.reserve(&bytes)["file"]);
    assert_eq!(sender.send(&id, &bytes), [1]);
    assert_eq!(sender.complete(&id).status, 200);
}

#[test]
fn under_a_key_too_parts_and_their_completion_are_answered_as_things_stand() {
    let sender = Sender::new(changed());
    let bytes = sound("PARTS-KEYED").into_bytes();
    let id = id_of(&sender.reserve(&bytes)["file"]);
    let keyed = |what: &str, body: &Value| {
        let key = format!("of-{what}");
        let request = post(&sender.key, &key, &format!("{PATH}/{id}/{what}"), body);
        let answered = changed().ask(request);
        assert!(!is_replayed(&answered), "{}", answered.text);
        answered
    };
    let asked = json!({ "parts": named(&bytes, &[1]) });
    is_error(&keyed("complete", &json!({})), 409, "conflict");
    let place = keyed("parts", &asked).body["parts"][0].clone();
    assert_eq!(place["uploaded"], false);
    assert_eq!(put_part(&place, bytes.clone()).status, 200);
    let there = keyed("parts", &asked).body["parts"][0].clone();
    assert_eq!(there["uploaded"], true);
    assert_eq!(keyed("complete", &json!({})).status, 200);
    is_error(&keyed("parts", &asked), 409, "conflict");
}

#[test]
fn a_composite_checksum_names_as_many_parts_as_the_size_makes() {
    let sender = Sender::new(changed());
    let digest = "A".repeat(43) + "=";
    for (size, count, is_taken) in [
        (PART_BYTES, 0, false),
        (PART_BYTES, 1, true),
        (PART_BYTES, 2, false),
        (PART_BYTES + 1, 1, false),
        (PART_BYTES + 1, 2, true),
        (5_368_709_120, 319, false),
        (5_368_709_120, 320, true),
        (5_368_709_120, 321, false),
    ] {
        let checksum = format!("{digest}-{count}");
        let body = json!({"name": "a.xml", "size": size, "checksum_sha256": checksum});
        let answered = sender.post(PATH, PATH, &body);
        if is_taken {
            assert_eq!(answered.status, 200, "{size} {count}: {}", answered.text);
            assert_eq!(answered.body["upload"]["part_count"], count);
        } else {
            assert_eq!(places(&answered), ["/checksum_sha256"], "{size} {count}");
            let right = size.div_ceil(PART_BYTES);
            let rule = format!("must end in -{right}: ");
            assert!(answered.text.contains(&rule), "{}", answered.text);
        }
    }
}

#[test]
fn only_parts_of_a_file_that_comes_in_parts_and_that_the_key_may_send_are_asked_for() {
    let sender = Sender::new(changed());
    let id = id_of(&sender.reserve(&two_parts("PARTS-ASKED"))["file"]);
    let one = json!([{"number": 1, "checksum_sha256": "0".repeat(64)}]);
    assert_eq!(sender.ask(&id, &one).status, 200);
    let with = |parts: Value| sender.ask(&id, &parts);
    for parts in [
        json!([]),
        json!({}),
        json!([1]),
        json!([{"number": 1}]),
        json!([{"number": 0, "checksum_sha256": "0".repeat(64)}]),
        json!([{"number": "1", "checksum_sha256": "0".repeat(64)}]),
        json!([{"number": 1, "checksum_sha256": "0".repeat(43)}]),
    ] {
        is_error(&with(parts), 400, "body_not_matching_json_schema");
    }
    let part =
        |number: u64, digit: &str| json!({"number": number, "checksum_sha256": digit.repeat(64)});
    assert_eq!(
        places(&with(json!([part(2, "0"), part(1, "g"), part(2, "0")]))),
        ["/parts/1/checksum_sha256", "/parts/2/number"]
    );
    for (number, is_there) in [(1, true), (2, true), (3, false)] {
        let answered =
            with(json!([part(1, "0"), part(number, "1")]).as_array().unwrap()[1..].into());
        if is_there {
            assert_eq!(answered.status, 200, "{}", answered.text);
        } else {
            assert_eq!(places(&answered), ["/parts/0/number"]);
        }
    }
    let as_key = |key: String| {
        let other = Sender {
            asked: changed(),
            key,
        };
        other.ask(&id, &one)
    };
    let reads = changed().key(&[Permission::FilesRead], program_scope());
    is_error(&as_key(reads), 403, "unauthorized");
    let other = Scope {
        program_id: Some(uuid::Uuid::from_u128(77).try_into().unwrap()),
        ..program_scope()
    };
    let other = changed().key(Permission::ALL, other);
    is_error(&as_key(other), 404, "resource_not_found");
    let unknown = "8a0b7c6d-0000-4000-8000-000000000001";
    is_error(&sender.ask(unknown, &one), 404, "resource_not_found");
    assert_eq!(places(&sender.ask("x", &one)), ["/path/file_id"]);
    let whole = json!({"name": "a.xml", "size": 1, "checksum_sha256": "0".repeat(64)});
    let whole = id_of(&sender.post(PATH, PATH, &whole).body["file"]);
    is_error(&sender.ask(&whole, &one), 409, "conflict");
    let name = json!({"name": "a name without parts"});
    let name = id_of(&sender.post("/v1/files", "/v1/files", &name).body);
    is_error(&sender.ask(&name, &one), 409, "conflict");
}

#[test]
fn parts_that_were_given_up_ask_for_another_place() {
    let sender = Sender::new(changed());
    let bytes = sound("PARTS-GIVEN-UP").into_bytes();
    let id = id_of(&sender.reserve(&bytes)["file"]);
    sender.send(&id, &bytes);
    let (key, upload) = sender.awaited(&id);
    let abort = changed().parts.objects.abort_multipart_upload();
    let abort = abort.bucket(BUCKET).key(key).upload_id(upload);
    changed().wait(abort.send()).unwrap();
    for told in [sender.ask(&id, &named(&bytes, &[1])), sender.complete(&id)] {
        is_error(&told, 409, "conflict");
        assert!(told.text.contains("ask for another place"), "{}", told.text);
    }
}

#[test]
fn a_file_in_parts_that_is_only_judged_ends_without_batches() {
    let sender = Sender::new(changed());
    let bytes = sound("PARTS-JUDGED").into_bytes();
    let target = format!("{PATH}?validate_only=true");
    let place = sender.post(PATH, &target, &announced("judged.xml", &bytes));
    let id = id_of(&place.body["file"]);
    sender.send(&id, &bytes);
    assert_eq!(sender.complete(&id).status, 200);
    let file = sender.work(&id);
    assert_eq!((file.status, file.batch_count), (FileStatus::Processed, 0));
}
