//! What bodies of reference data may hold, and what is done at the same time as something else.

use axum::body::Body;
use chrono::TimeDelta;
use futures::future::{join, join_all};
use http::{Method, Request, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;
use weir_api::REFERENCE_BYTES_MAX;
use weir_domain::{BatchOrdinal, BatchStatus, Counters};
use weir_query::Report;
use weir_settlement::reference::{Body as ReferenceBody, Place, ReferenceChanges, ReferenceError};
use weir_settlement::schema::MemberRule;
use weir_store::{Batch, Changed, ReferenceChange, ReferenceKind};

use crate::asking::Answered;
use crate::cases::operator;
use crate::reference_changes::{
    Family, ask, changed, creations, done, id_of, program_body, send_bytes, valid,
};
use crate::schema::{is_error, places};

const NONE: Value = Value::Null;

/// Where a body breaks its schema.
fn broken(answered: &Answered) -> Vec<&str> {
    is_error(answered, 400, "body_not_matching_json_schema");
    let errors = answered.body[0]["validationErrors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["dataPath"].as_str().unwrap())
        .collect()
}

/// Values that a rule allows, and that it does not.
fn examples(rule: MemberRule) -> (Vec<Value>, Vec<Value>) {
    let mut wrong = vec![json!(1), json!(true), NONE, json!({}), json!([1])];
    let address = |chars: usize| format!("{}@{}.com", "ä".repeat(30), domain(chars - 35));
    let mut good = Vec::new();
    match rule {
        MemberRule::Text {
            chars_min,
            chars_max,
        } => {
            if let Some(max) = chars_max {
                good.extend([1, max - 1, max].map(|chars| json!("ü".repeat(chars))));
                wrong.push(json!("ü".repeat(max + 1)));
            }
            if chars_min > 0 {
                wrong.push(json!(""));
            }
        }
        MemberRule::OneOf(words) => {
            good.extend(words.iter().map(|word| json!(word)));
            wrong.extend([json!(""), json!(words[0].to_lowercase()), json!("Other")]);
        }
        MemberRule::Email { chars_max } => {
            good.extend([chars_max - 1, chars_max].map(|chars| json!(address(chars))));
            wrong.extend([
                json!(""),
                json!("a b@example.com"),
                json!(address(chars_max + 1)),
            ]);
        }
        MemberRule::Emails => {
            good.extend([json!(["a@example.com"]), json!(vec!["a@example.com"; 200])]);
            wrong.extend([
                json!([]),
                json!("a@example.com"),
                json!(["a@example.com", "b"]),
            ]);
        }
        // No body of reference data has one.
        MemberRule::Flag
        | MemberRule::Ids { .. }
        | MemberRule::Objects { .. }
        | MemberRule::Whole { .. } => {}
        MemberRule::Id => {
            let id = Report::TransactionRejection.id();
            good.push(json!(id));
            wrong.extend([json!(""), json!(id.simple()), json!(format!("{{{id}}}"))]);
        }
    }
    (good, wrong)
}

/// A domain of so many characters, each label short enough.
fn domain(chars: usize) -> String {
    let mut domain: String = "abcdefghi.".chars().cycle().take(chars).collect();
    if domain.ends_with('.') {
        domain.replace_range(chars - 1.., "a");
    }
    domain
}

#[test]
fn every_member_of_every_body_is_held_to_its_rule() {
    let family = Family::new();
    for (creation, schema) in creations() {
        let target = family.target(&creation, "");
        for member in schema.members {
            let (good, wrong) = examples(member.rule);
            // What else must hold for these has its own test.
            let is_free =
                !["schedule_frequency", "schedule_tz", "schedule_week_day"].contains(&member.name);
            for value in good.into_iter().filter(|_| is_free) {
                let mut body = valid(schema);
                body[member.name] = value.clone();
                let answered = ask(&Method::POST, &target, &body);
                assert_eq!(done(&answered)[member.name], value);
                if member.name == "alternate_seller_id" {
                    let own = format!("{target}/{}", id_of(&answered.body));
                    done(&ask(&Method::DELETE, &own, &NONE));
                }
            }
            for value in wrong {
                let mut body = valid(schema);
                body[member.name] = value.clone();
                let answered = ask(&Method::POST, &target, &body);
                let place = format!("/{}", member.name);
                let found = broken(&answered);
                assert!(
                    found.len() == 1 && found[0].starts_with(&place),
                    "{value}: {found:?}"
                );
            }
            let mut body = valid(schema);
            body.as_object_mut().unwrap().remove(member.name);
            let answered = ask(&Method::POST, &target, &body);
            if member.is_required {
                assert_eq!(broken(&answered), [format!("/{}", member.name)]);
            } else {
                assert!(answered.status != StatusCode::INTERNAL_SERVER_ERROR);
            }
        }
    }
}

#[test]
fn every_broken_rule_of_a_body_is_told_at_once() {
    let family = Family::new();
    let program = format!("/v1/clients/{}/programs/{}", family.client, family.program);
    let answered = ask(
        &Method::PUT,
        &program,
        &json!({"name": "", "status": "active", "support_email": "x"}),
    );
    assert_eq!(
        broken(&answered),
        [
            "/name",
            "/status",
            "/reply_to_email",
            "/support_email",
            "/sender_email"
        ]
    );
    let schedules = format!("{program}/reportschedules");
    let body = json!({"recipient_emails": ["a@example.com", "b", 1]});
    assert_eq!(
        broken(&ask(&Method::POST, &schedules, &body)),
        [
            "/report_id",
            "/schedule_tz",
            "/schedule_frequency",
            "/recipient_emails/1",
            "/recipient_emails/2"
        ]
    );
    let body = json!({
        "report_id": Uuid::from_u128(1),
        "schedule_tz": "Europe/Nowhere",
        "schedule_frequency": "Daily",
        "schedule_week_day": "Monday",
        "recipient_emails": ["a@example.com"],
    });
    assert_eq!(
        places(&ask(&Method::POST, &schedules, &body)),
        ["/report_id", "/schedule_tz", "/schedule_week_day"]
    );
}

#[test]
fn a_weekly_schedule_has_a_day_and_no_other_has_one() {
    let family = Family::new();
    let program = format!("/v1/clients/{}/programs/{}", family.client, family.program);
    let of_program = format!("{program}/reportschedules");
    let of_seller = format!("{program}/sellers/{}/reportschedules", family.seller);
    let body = |frequency: &str, day: Option<&str>, zone: &str| {
        let mut body = json!({
            "report_id": Report::TransactionRejection.id(),
            "schedule_tz": zone,
            "schedule_frequency": frequency,
            "recipient_emails": ["a@example.com"],
        });
        if let Some(day) = day {
            body["schedule_week_day"] = json!(day);
        }
        body
    };
    for (frequency, day, is_good) in [
        ("Daily", None, true),
        ("Weekly", Some("Sunday"), true),
        ("Monthly", None, true),
        ("Daily", Some("Sunday"), false),
        ("Weekly", None, false),
        ("Monthly", Some("Sunday"), false),
    ] {
        for zone in ["UTC", "GMT+10", "GMT-14:00", "America/New_York"] {
            let answered = ask(&Method::POST, &of_program, &body(frequency, day, zone));
            if is_good {
                assert_eq!(done(&answered)["report_scope"], "Client");
            } else {
                assert_eq!(places(&answered), ["/schedule_week_day"]);
            }
        }
    }
    for zone in ["", "GMT+14:01", "Mars/Olympus", "gmt+1"] {
        let answered = ask(&Method::POST, &of_program, &body("Daily", None, zone));
        assert_eq!(places(&answered), ["/schedule_tz"]);
    }
    let sellers = ask(&Method::POST, &of_seller, &body("Daily", None, "UTC"));
    let row = done(&sellers);
    assert_eq!(
        (&row["report_scope"], &row["seller_id"]),
        (&json!("Seller"), &json!(family.seller))
    );
    // The program's path leads to it too, and leaves it what it is.
    let own = format!("{of_program}/{}", id_of(row));
    let replaced = ask(&Method::PUT, &own, &body("Weekly", Some("Friday"), "GMT+1"));
    assert_eq!(done(&replaced)["report_scope"], "Seller");
}

#[test]
fn a_body_is_an_object_of_json_of_at_most_64_kib() {
    let client = |content_type: &str, body: Vec<u8>| {
        send_bytes(
            &Method::POST,
            operator(changed()),
            "/v1/clients",
            content_type,
            body,
        )
    };
    let json = "application/json";
    for body in [
        &b""[..],
        b"x",
        b"[]",
        b"null",
        b"{\"name\": \"a\"",
        b"{\"name\": \"a\", \"name\": \"b\"}",
        b"{\"name\": \"\xff\"}",
    ] {
        is_error(&client(json, body.to_vec()), 400, "invalid_data");
    }
    for content_type in ["", "text/plain", "application/jsonx", "application/xml"] {
        let answered = client(content_type, b"{\"name\": \"a\"}".to_vec());
        is_error(&answered, 415, "unsupported_media_type");
    }
    for content_type in ["application/json; charset=utf-8", "Application/JSON"] {
        done(&client(content_type, b"{\"name\": \"a\"}".to_vec()));
    }
    for (bytes, is_taken) in [
        (REFERENCE_BYTES_MAX - 1, true),
        (REFERENCE_BYTES_MAX, true),
        (REFERENCE_BYTES_MAX + 1, false),
    ] {
        let mut body = b"{\"name\": \"a\"}".to_vec();
        body.resize(bytes, b' ');
        let answered = client(json, body);
        if is_taken {
            done(&answered);
        } else {
            is_error(&answered, 413, "payload_too_large");
        }
    }
    let answered = ask(
        &Method::POST,
        "/v1/clients?dry_run=1",
        &json!({"name": "a"}),
    );
    assert_eq!(places(&answered), ["/query/dry_run"]);
}

#[test]
fn an_alternate_id_is_one_sellers_in_a_program() {
    let (family, other) = (Family::new(), Family::new());
    let sellers = |family: &Family| {
        format!(
            "/v1/clients/{}/programs/{}/sellers",
            family.client, family.program
        )
    };
    let body = |alternate: &str| json!({"name": "One", "alternate_seller_id": alternate});
    let first = format!("{}/{}", sellers(&family), family.seller);
    done(&ask(&Method::PUT, &first, &body("A-1")));
    let taken = ask(&Method::POST, &sellers(&family), &body("A-1"));
    assert_eq!(places(&taken), ["/alternate_seller_id"]);
    let second = ask(&Method::POST, &sellers(&family), &body("A-2"));
    let second = format!("{}/{}", sellers(&family), id_of(done(&second)));
    assert_eq!(
        places(&ask(&Method::PUT, &second, &body("A-1"))),
        ["/alternate_seller_id"]
    );
    done(&ask(&Method::POST, &sellers(&other), &body("A-1")));
    // Whoever has it keeps it through a change, and gives it back with another or with its end.
    done(&ask(&Method::PUT, &first, &body("A-1")));
    done(&ask(&Method::PUT, &first, &body("A-3")));
    done(&ask(&Method::PUT, &second, &body("A-1")));
    done(&ask(&Method::DELETE, &second, &NONE));
    done(&ask(&Method::PUT, &first, &body("A-1")));
}

#[test]
fn what_something_hangs_on_is_not_deleted() {
    let family = Family::new();
    let client = format!("/v1/clients/{}", family.client);
    let program = format!("{client}/programs/{}", family.program);
    let seller = format!("{program}/sellers/{}", family.seller);
    let made = |target: String, body: Value| {
        let id = id_of(done(&ask(&Method::POST, &target, &body)));
        format!("{target}/{id}")
    };
    let in_use = |target: &str, what: &str| {
        let answered = ask(&Method::DELETE, target, &NONE);
        is_error(&answered, 409, "conflict");
        let message = answered.body[0]["message"].as_str().unwrap();
        assert!(message.contains(what), "{message}");
        done(&ask(&Method::GET, target, &NONE));
    };
    let schedule = json!({
        "report_id": Report::TransactionProcessing.id(),
        "schedule_tz": "UTC",
        "schedule_frequency": "Daily",
        "recipient_emails": ["a@example.com"],
    });
    let customer = made(format!("{program}/customers"), json!({}));
    let of_seller = made(format!("{seller}/reportschedules"), schedule.clone());
    let of_program = made(format!("{program}/reportschedules"), schedule);
    in_use(&client, "programs");
    in_use(&program, "sellers, customers, report schedules");
    in_use(&seller, "report schedules");
    done(&ask(&Method::DELETE, &of_seller, &NONE));
    done(&ask(&Method::DELETE, &seller, &NONE));
    in_use(&program, "customers, report schedules");
    done(&ask(&Method::DELETE, &customer, &NONE));
    in_use(&program, "report schedules");
    done(&ask(&Method::DELETE, &of_program, &NONE));
    done(&ask(&Method::DELETE, &program, &NONE));
    is_error(
        &ask(&Method::POST, &seller, &json!({"name": "a"})),
        404,
        "resource_not_found",
    );
    done(&ask(&Method::DELETE, &client, &NONE));
}

#[test]
fn a_seller_with_batches_is_not_deleted() {
    let world = changed();
    let family = Family::new();
    let (file, _) = world.world.files[0];
    let now = world.parts.timeline.now();
    let batch = Batch {
        id: file.batch(BatchOrdinal::new(77).unwrap()),
        client_id: family.client.parse().unwrap(),
        program_id: family.program.parse().unwrap(),
        seller_id: Some(family.seller.parse().unwrap()),
        seller_name: None,
        batch_number: "B-77".to_owned(),
        currency: None,
        header_xml: "<BatchHeader/>".to_owned(),
        byte_start: 0,
        byte_end: 1,
        shards: 1,
        counters: Counters::default(),
        status: BatchStatus::Unprocessed,
        correlation_id: "c".to_owned(),
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
    world.wait(world.parts.store.create_batch(&batch)).unwrap();
    let program = format!("/v1/clients/{}/programs/{}", family.client, family.program);
    let seller = format!("{program}/sellers/{}", family.seller);
    for target in [seller, program] {
        let answered = ask(&Method::DELETE, &target, &NONE);
        is_error(&answered, 409, "conflict");
        assert!(answered.text.contains("batches"), "{}", answered.text);
    }
}

fn changes() -> ReferenceChanges {
    let parts = &changed().parts;
    ReferenceChanges {
        store: parts.store.clone(),
        clock: parts.timeline.clock().clone(),
        random: parts.random.clone(),
    }
}

fn body_of(kind: ReferenceKind, body: &Value) -> ReferenceBody {
    ReferenceBody::parse(kind, body.to_string().as_bytes(), &[]).unwrap()
}

#[test]
fn of_several_that_create_one_id_at_once_one_does() {
    let changes = changes();
    // Two that make the same within one millisecond cannot be told apart, and need not be.
    let body = |number: u32| {
        body_of(
            ReferenceKind::Client,
            &json!({ "name": number.to_string() }),
        )
    };
    let bodies: Vec<ReferenceBody> = (0..6).map(body).collect();
    for round in 0..5_u128 {
        let id = Uuid::from_u128(0x7000_0000_0000_4000_8000_0000_0000_0000 + round);
        let all = bodies
            .iter()
            .map(|body| changes.create(Place::Top, Some(id), body));
        let all = changed().wait(join_all(all));
        let refused = |one: &Result<_, ReferenceError>| {
            matches!(one, Err(ReferenceError::Exists | ReferenceError::Newer))
        };
        assert_eq!(all.iter().filter(|one| one.is_ok()).count(), 1, "{all:?}");
        assert_eq!(all.iter().filter(|one| refused(one)).count(), 5, "{all:?}");
    }
}

#[test]
fn nothing_comes_under_what_is_deleted_at_the_same_time() {
    let changes = changes();
    let client = body_of(ReferenceKind::Client, &json!({"name": "a"}));
    let program = body_of(ReferenceKind::Program, &program_body());
    let mut outcomes = [0, 0];
    for _ in 0..8 {
        let made = changes.create(Place::Top, None, &client);
        let id = changed().wait(made).unwrap().id();
        let place = Place::Client(id.try_into().unwrap());
        let (child, deleted) = changed().wait(join(
            changes.create(place, None, &program),
            changes.delete(ReferenceKind::Client, Place::Top, id),
        ));
        assert_ne!(child.is_ok(), deleted.is_ok(), "{child:?} {deleted:?}");
        let there = ask(&Method::GET, &format!("/v1/clients/{id}"), &NONE);
        assert_eq!(there.status == StatusCode::OK, child.is_ok());
        outcomes[usize::from(child.is_ok())] += 1;
    }
    assert_eq!(outcomes[0] + outcomes[1], 8);
}

#[test]
fn of_two_changes_the_newer_one_stays_whichever_comes_first() {
    let world = changed();
    let family = Family::new();
    let target = format!("/v1/clients/{}", family.client);
    let store = &world.parts.store;
    let id: Uuid = family.client.parse().unwrap();
    let change = |name: &str, at| {
        let mut client = world
            .wait(store.client(id.try_into().unwrap()))
            .unwrap()
            .unwrap();
        client.name = name.to_owned();
        let change = ReferenceChange::Put(Box::new(weir_store::Reference::Client(client)));
        world.wait(store.change_reference(&change, at)).unwrap()
    };
    let now = world.parts.timeline.now();
    assert_eq!(change("Older", now - TimeDelta::days(1)), Changed::Older);
    assert_eq!(done(&ask(&Method::GET, &target, &NONE))["name"], "Contoso");
    assert_eq!(change("Newer", now + TimeDelta::hours(1)), Changed::Applied);
    for method in [Method::PUT, Method::DELETE] {
        let answered = ask(&method, &target, &json!({"name": "b"}));
        assert!(
            matches!(answered.status, StatusCode::CONFLICT),
            "{}",
            answered.text
        );
        let after = answered.headers["retry-after"].to_str().unwrap();
        let after: i64 = after.parse().unwrap();
        assert!((3_000..=3_600).contains(&after), "{after}");
        let told = format!("{after} s ahead of the clock here");
        assert!(answered.text.contains(&told), "{}", answered.text);
    }
    assert_eq!(done(&ask(&Method::GET, &target, &NONE))["name"], "Newer");
}

#[test]
fn what_was_deleted_is_not_brought_back_by_an_older_change() {
    let world = changed();
    let id = id_of(done(&ask(
        &Method::POST,
        "/v1/clients",
        &json!({"name": "a"}),
    )));
    let target = format!("/v1/clients/{id}");
    let store = &world.parts.store;
    let id: Uuid = id.parse().unwrap();
    let client = world
        .wait(store.client(id.try_into().unwrap()))
        .unwrap()
        .unwrap();
    let before = world.parts.timeline.now();
    done(&ask(&Method::DELETE, &target, &NONE));
    let change = ReferenceChange::Put(Box::new(weir_store::Reference::Client(client)));
    let late = world.wait(store.change_reference(&change, before)).unwrap();
    assert_eq!(late, Changed::Older);
    is_error(
        &ask(&Method::GET, &target, &NONE),
        404,
        "resource_not_found",
    );
    done(&ask(&Method::POST, &target, &json!({"name": "anew"})));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!("Weekly")),
        Just(json!("a@example.com")),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        let name = prop_oneof![
            Just("name".to_owned()),
            Just("status".to_owned()),
            Just("recipient_emails".to_owned()),
            Just("schedule_frequency".to_owned()),
            ".{0,6}",
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_body_is_taken_or_refused_in_form(body in any_json(), bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        for (creation, _) in creations() {
            let nobody = Uuid::from_u128(5).to_string();
            let target = creation.path_ids().fold(creation.path.to_owned(), |target, name| {
                target.replace(&format!("{{{name}}}"), &nobody)
            });
            for sent in [body.to_string().into_bytes(), bytes.clone()] {
                let request = Request::post(&target).header("Authorization", operator(changed()));
                let request = request.header("Content-Type", "application/json");
                let answered = changed().ask(request.body(Body::from(sent)).unwrap());
                let status = answered.status.as_u16();
                prop_assert!([200, 400, 404].contains(&status), "{}", answered.text);
                crate::schema::check(&creation, &answered);
            }
        }
    }
}
