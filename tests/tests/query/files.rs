//! Files are named over HTTP.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use weir_domain::{FileId, Permission};
use weir_query::Scope;
use weir_tests::parts::scope;
use weir_tests::text::{self, charge};

use crate::asking::Answered;
use crate::reference_changes::id_of;
use crate::schema::{check, is_error, places};
use crate::settlements::{changed, operation, program_key, program_scope};
use crate::validation::take;

fn send(
    method: &Method,
    key: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answered {
    let mut request = http::Request::builder()
        .method(method)
        .uri(target)
        .header("Authorization", key)
        .header("Content-Type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answered = changed().ask(request.body(body.to_owned().into()).unwrap());
    let path = if *method == Method::POST {
        "/v1/files"
    } else {
        "/v1/files/{file_id}"
    };
    check(&operation(method, path), &answered);
    answered
}

fn register(name: &str) -> Answered {
    let body = json!({"name": name}).to_string();
    send(&Method::POST, program_key(), "/v1/files", &[], &body)
}

fn rename(id: &str, name: &str) -> Answered {
    let body = json!({"name": name}).to_string();
    send(
        &Method::PUT,
        program_key(),
        &format!("/v1/files/{id}"),
        &[],
        &body,
    )
}

fn done(answered: &Answered) -> &Value {
    assert_eq!(answered.status, 200, "{}", answered.text);
    &answered.body
}

#[test]
fn a_registered_name_is_a_file_that_nothing_waits_for_and_no_other_may_have() {
    let file = done(&register("registered.xml")).clone();
    assert_eq!(file["status"], "Stored");
    let id = id_of(&file);
    let asked = changed().get(program_key(), &format!("/v1/files/{id}"));
    assert_eq!(asked.body, file);
    let open = changed()
        .wait(changed().parts.store.open_files(None))
        .unwrap();
    assert!(!open.contains(&id.parse::<FileId>().unwrap()));
    is_error(
        &changed().get(program_key(), &format!("/v1/files/{id}/problems")),
        409,
        "conflict",
    );
    assert_eq!(places(&register("registered.xml")), ["/name"]);
    // Names differ by every character, and are each program's own.
    done(&register("Registered.xml"));
    let (_, program, client) = changed().world.sellers[0];
    let elsewhere = Scope {
        client_id: Some(client),
        program_id: Some(program),
        seller_id: None,
    };
    let key = changed().key(Permission::ALL, elsewhere);
    let body = json!({"name": "registered.xml"}).to_string();
    done(&send(&Method::POST, &key, "/v1/files", &[], &body));
    let body = json!({"name": "theirs.xml"}).to_string();
    let theirs = send(&Method::PUT, &key, &format!("/v1/files/{id}"), &[], &body);
    is_error(&theirs, 404, "resource_not_found");
}

#[test]
fn of_many_who_register_a_name_at_once_one_has_it() {
    let answers: Vec<Answered> = std::thread::scope(|threads| {
        let all: Vec<_> = (0..8)
            .map(|_| threads.spawn(|| register("at-once.xml")))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let statuses: Vec<u16> = answers.iter().map(|one| one.status.as_u16()).collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses
            .iter()
            .all(|status| [200, 400, 503].contains(status)),
        "{statuses:?}"
    );
    let found = changed().all(program_key(), "/v1/files?name=at-once.xml");
    assert_eq!(found.len(), 1);
}

#[test]
fn a_renamed_file_gives_its_old_name_up() {
    let first = id_of(done(&register("old.xml")));
    assert_eq!(done(&rename(&first, "new.xml"))["name"], "new.xml");
    // To its own name as often as one likes.
    done(&rename(&first, "new.xml"));
    assert_eq!(places(&register("new.xml")), ["/name"]);
    let second = id_of(done(&register("old.xml")));
    assert_eq!(places(&rename(&first, "old.xml")), ["/name"]);
    assert_eq!(places(&rename(&second, "new.xml")), ["/name"]);
    done(&rename(&second, "third.xml"));
    done(&rename(&first, "old.xml"));
    let names = [&first, &second].map(|id| {
        let file = changed().get(program_key(), &format!("/v1/files/{id}"));
        file.body["name"].as_str().unwrap().to_owned()
    });
    assert_eq!(names, ["old.xml", "third.xml"]);
}

#[test]
fn an_uploaded_file_claims_no_name_until_it_is_renamed() {
    let upload = |number: &str, name: &str| {
        let bytes = text::one_batch(number, &[charge(number, "1.00")]);
        take(changed(), &scope().key(&format!("{number}/{name}")), bytes)
    };
    let (one, two) = (upload("UP-1", "up.xml"), upload("UP-2", "up.xml"));
    let ids: BTreeSet<_> = changed()
        .all(program_key(), "/v1/files?name=up.xml")
        .iter()
        .map(id_of)
        .collect();
    assert_eq!(ids, [one.id.to_string(), two.id.to_string()].into());
    done(&register("up.xml"));
    assert_eq!(
        done(&rename(&one.id.to_string(), "down.xml"))["status"],
        "Processed"
    );
    assert_eq!(places(&rename(&two.id.to_string(), "down.xml")), ["/name"]);
    // Its batches are where they were.
    let batches = changed().all(program_key(), &format!("/v1/files/{}/batches", one.id));
    assert_eq!(batches.len(), 1);
}

#[test]
fn a_file_that_is_being_worked_on_is_not_renamed() {
    let parts = &changed().parts;
    let file = take(changed(), &scope().key("leased.xml"), "<x/>");
    let leased = changed().wait(async {
        let mut file = file.clone();
        file.lease_until = Some(parts.timeline.now() + Duration::from_mins(5));
        parts.store.save_file(&mut file).await.unwrap();
        file
    });
    let busy = rename(&file.id.to_string(), "busy.xml");
    is_error(&busy, 409, "conflict");
    assert_eq!(busy.headers["retry-after"], "60");
    // The name is free for others, and for the file once it is left alone.
    let mut left = leased;
    left.lease_until = None;
    changed().wait(parts.store.save_file(&mut left)).unwrap();
    done(&rename(&file.id.to_string(), "busy.xml"));
}

#[test]
fn a_name_has_1_to_255_characters_and_no_control_character() {
    for (count, is_name) in [(1, true), (254, true), (255, true), (256, false)] {
        let answered = register(&"ü".repeat(count));
        if is_name {
            done(&answered);
        } else {
            assert_eq!(places(&answered), ["/name"], "{count}");
        }
    }
    assert_eq!(places(&register("a\nb")), ["/name"]);
    for body in ["", "[]", "{", r#"{"name":"a","name":"b"}"#] {
        let answered = send(&Method::POST, program_key(), "/v1/files", &[], body);
        is_error(&answered, 400, "invalid_data");
    }
    for body in ["{}", r#"{"name":1}"#, r#"{"name":""}"#, r#"{"name":null}"#] {
        let answered = send(&Method::POST, program_key(), "/v1/files", &[], body);
        is_error(&answered, 400, "body_not_matching_json_schema");
        assert_eq!(answered.body[0]["validationErrors"][0]["dataPath"], "/name");
    }
}

#[test]
fn a_registration_that_is_repeated_under_its_key_is_one_file() {
    let again = [("Idempotency-Key", "register-once")];
    let body = json!({"name": "repeated.xml"}).to_string();
    let first = send(&Method::POST, program_key(), "/v1/files", &again, &body);
    let second = send(&Method::POST, program_key(), "/v1/files", &again, &body);
    assert_eq!(done(&first), done(&second));
}

#[test]
fn only_a_key_of_one_program_registers_and_only_who_sees_all_of_a_file_renames_it() {
    let wide = changed().key(Permission::ALL, Scope::default());
    let body = json!({"name": "whose.xml"}).to_string();
    let answered = send(&Method::POST, &wide, "/v1/files", &[], &body);
    is_error(&answered, 403, "unauthorized");
    let bytes = text::one_batch("WHOSE-1", &[charge("WHOSE-1", "1.00")]);
    let file = take(changed(), &scope().key("whose.xml"), bytes);
    let target = format!("/v1/files/{}", file.id);
    let batch = &changed().all(program_key(), &format!("{target}/batches"))[0];
    let seller = Scope {
        seller_id: Some(batch["seller_id"].as_str().unwrap().parse().unwrap()),
        ..program_scope()
    };
    let key = changed().key(Permission::ALL, seller);
    assert_eq!(changed().get(&key, &target).status, 200);
    is_error(
        &send(&Method::PUT, &key, &target, &[], &body),
        403,
        "unauthorized",
    );
    done(&send(&Method::PUT, &wide, &target, &[], &body));
}

#[test]
fn whoever_names_a_file_is_recorded_with_both_names() {
    let id = done(&register("first-name.xml"))["id"]
        .as_str()
        .unwrap()
        .to_owned();
    done(&rename(&id, "second-name.xml"));
    let operator = changed().key(Permission::ALL, Scope::default());
    let list = changed().get(&operator, &format!("/v1/files/{id}/actions"));
    let told = |record: &Value| {
        assert!(
            record["user_updated_by"]
                .as_str()
                .unwrap()
                .starts_with("test (")
        );
        assert!(record["correlation_id"].is_string() && record["ended_at"].is_string());
        assert_eq!(record.get("batch_id"), None);
        let text = |name: &str| record[name].as_str().unwrap().to_owned();
        (text("action"), text("request_data"))
    };
    let told: Vec<_> = list.rows().iter().map(told).collect();
    let wanted = [
        ("RegisterFile", json!({"name": "first-name.xml"})),
        (
            "RenameFile",
            json!({"before": "first-name.xml", "name": "second-name.xml"}),
        ),
    ];
    assert_eq!(
        told,
        wanted.map(|(action, asked)| (action.to_owned(), asked.to_string()))
    );
}
