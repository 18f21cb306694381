use super::*;
use proptest::prelude::*;
use serde_json::json;

const ID: &str = "0190a6a0-0000-7000-8000-000000000001";
const CLIENT: &str = "0190a6a0-0000-7000-8000-00000000000c";
const PROGRAM: &str = "0190a6a0-0000-7000-8000-0000000000aa";
const SELLER: &str = "0190a6a0-0000-7000-8000-0000000000bb";
const AT: &str = "2026-01-02T03:04:05.678Z";

fn now() -> DateTime<Utc> {
    "2026-01-03T00:00:00Z".parse().unwrap()
}

fn told(kind: &str, data: &Value) -> Result<Told, Vec<String>> {
    let body = json!({"type": kind, "occurred_at": AT, "data": data});
    read(&body.to_string(), now())
}

fn program() -> Value {
    json!({
        "id": ID, "client_id": CLIENT, "name": "Fleet", "status": "Active",
        "reply_to_email": "a@example.com", "support_email": "пошта@укр.нет",
        "sender_email": "c@example.com",
    })
}

fn with(mut data: Value, name: &str, value: Value) -> Value {
    data[name] = value;
    data
}

#[test]
fn each_kind_is_read_with_what_it_belongs_to() {
    let seller = json!({"id": ID, "client_id": CLIENT, "program_id": PROGRAM, "name": "S",
        "alternate_seller_id": "A-1", "status": "open"});
    let customer = json!({"id": ID, "client_id": CLIENT, "program_id": PROGRAM});
    let contact = json!({"id": ID, "client_id": CLIENT, "program_id": PROGRAM,
        "seller_id": SELLER, "email": "a@example.com", "city": "Żary"});
    for (kind, data, parent) in [
        ("client", json!({"id": ID, "name": "C"}), None),
        ("program", program(), Some((ReferenceKind::Client, CLIENT))),
        ("seller", seller, Some((ReferenceKind::Program, PROGRAM))),
        (
            "customer",
            customer,
            Some((ReferenceKind::Program, PROGRAM)),
        ),
        (
            "seller_contact",
            contact,
            Some((ReferenceKind::Seller, SELLER)),
        ),
    ] {
        let parent = parent.map(|(kind, id)| (kind, id.parse::<Uuid>().unwrap()));
        let created = told(&format!("{kind}.created"), &data).unwrap();
        assert_eq!(created.parent, parent, "{kind}");
        assert_eq!(created.occurred_at, AT.parse::<DateTime<Utc>>().unwrap());
        assert_eq!(told(&format!("{kind}.updated"), &data).unwrap(), created);
        let deleted = told(&format!("{kind}.deleted"), &json!({"id": ID})).unwrap();
        assert!(matches!(deleted.change, ReferenceChange::Delete(_, id) if id.to_string() == ID));
        assert_eq!(deleted.parent, None);
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let data = json!({"id": "x", "name": "", "status": "Open", "reply_to_email": "a",
        "support_email": 7});
    let body = json!({"type": "program.updated", "occurred_at": "yesterday", "data": data});
    let problems = read(&body.to_string(), now()).unwrap_err();
    for place in [
        "/occurred_at:",
        "/data/id:",
        "/data/client_id: is required",
        "/data/name: must not be empty",
        "/data/status: must be one of Created, Active",
        "/data/reply_to_email: must be an e-mail address",
        "/data/support_email: must be a string",
        "/data/sender_email: is required",
    ] {
        let count = problems
            .iter()
            .filter(|problem| problem.starts_with(place))
            .count();
        assert_eq!(count, 1, "{place} in {problems:?}");
    }
    assert_eq!(problems.len(), 8, "{problems:?}");
}

#[test]
fn what_is_no_message_is_refused_in_words() {
    for (body, why) in [
        ("", "the message is not JSON"),
        ("seller.updated", "the message is not JSON"),
        ("[]", "the message must be an object"),
        (
            r#"{"type":"client.created","type":"client.deleted"}"#,
            "the message is not JSON: the name \"type\" comes twice",
        ),
        (
            r#"{"type":"client.deleted","data":{"id":1,"\u0069d":2}}"#,
            "the message is not JSON: the name \"id\" comes twice",
        ),
        ("{}", "/type: is required"),
        (r#"{"type":"seller.sold"}"#, "/type: must be one of client"),
        (
            r#"{"type":"order.created"}"#,
            "/type: must be one of client",
        ),
        (r#"{"type":"client.created"}"#, "/occurred_at: is required"),
        (
            r#"{"type":"client.created","data":[]}"#,
            "/occurred_at: is required",
        ),
    ] {
        let problems = read(body, now()).unwrap_err();
        assert!(problems[0].starts_with(why), "{body}: {problems:?}");
    }
}

#[test]
fn texts_are_taken_up_to_their_limit_in_characters() {
    for (length, fits) in [
        (0, false),
        (1, true),
        (1_023, true),
        (1_024, true),
        (1_025, false),
    ] {
        let data = json!({"id": ID, "name": "é".repeat(length)});
        assert_eq!(told("client.created", &data).is_ok(), fits, "{length}");
    }
    // 64 before the `@`, and parts of at most 63 after it.
    let address = |length: usize| {
        let (most, rest) = ("b".repeat(63), "c".repeat(length - 129));
        format!("{}@{most}.{rest}", "a".repeat(64))
    };
    let long = |length: usize| format!("{}.example.com", address(length - 12));
    for (length, fits) in [(191, true), (200, true), (201, false)] {
        let address = if length < 192 {
            address(length)
        } else {
            long(length)
        };
        assert_eq!(address.len(), length);
        let data = with(program(), "sender_email", json!(address));
        assert_eq!(told("program.created", &data).is_ok(), fits, "{length}");
    }
}

#[test]
fn a_time_may_lie_five_minutes_ahead_of_the_clock_here_and_no_more() {
    for (at, is_taken) in [
        ("2026-01-03T00:04:59.999999Z", true),
        ("2026-01-03T00:05:00Z", true),
        ("2026-01-03T00:05:00.000001Z", false),
        ("2026-01-03T02:05:00+02:00", true),
        ("2026-01-03T23:00:00Z", false),
        ("1970-01-01T00:00:00Z", true),
        ("1969-12-31T23:59:59Z", false),
        ("2026-01-02", false),
    ] {
        let data = json!({"id": ID, "name": "C"});
        let body = json!({"type": "client.created", "occurred_at": at, "data": data});
        assert_eq!(read(&body.to_string(), now()).is_ok(), is_taken, "{at}");
    }
    let data = json!({"id": ID, "name": "C"});
    let body =
        json!({"type": "client.created", "occurred_at": "2026-01-03T01:00:00Z", "data": data});
    assert_eq!(
        read(&body.to_string(), now()).unwrap_err(),
        [
            "/occurred_at: must not be more than 5 minutes ahead of the clock here, which says \
             2026-01-03T00:00:00Z"
        ]
    );
}

#[test]
fn the_id_of_a_group_is_what_a_queue_takes_for_one() {
    for (group, is_taken) in [
        (json!(null), true),
        (json!(""), true),
        (json!("g".repeat(127)), true),
        (json!("g".repeat(128)), true),
        (json!("g".repeat(129)), false),
        (json!("a-Z_0.9!~{|}"), true),
        (json!("a b"), false),
        (json!("ü"), false),
        (json!("a\u{7f}"), false),
        (json!(7), false),
    ] {
        let body = json!({"type": "client.created", "occurred_at": AT, "group_id": group,
            "data": {"id": ID, "name": "C"}});
        let read = read(&body.to_string(), now());
        assert_eq!(read.is_ok(), is_taken, "{group}");
        if let Err(problems) = read {
            assert!(problems[0].starts_with("/group_id: must have 1 to 128 characters"));
        }
    }
}

#[test]
fn times_are_compared_as_they_are_kept_to_the_microsecond() {
    let data = json!({"id": ID, "name": "C"});
    let body = json!({"type": "client.created", "occurred_at": "2026-01-02T03:04:05.678912999Z",
        "data": data});
    let told = read(&body.to_string(), now()).unwrap();
    assert_eq!(told.occurred_at.timestamp_subsec_nanos(), 678_912_000);
}

#[test]
fn members_that_are_not_known_are_ignored_and_missing_ones_removed() {
    let data = json!({"id": ID, "client_id": CLIENT, "program_id": PROGRAM, "colour": "blue"});
    let ReferenceChange::Put(reference) = told("customer.updated", &data).unwrap().change else {
        panic!("a customer is to be put");
    };
    let Reference::Customer(customer) = *reference else {
        panic!("a customer is told of");
    };
    assert_eq!(customer.name, None);
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused_with_a_reason(body in ".{0,200}", name in ".{0,20}") {
        for body in [body, json!({"type": "client.created", "occurred_at": AT,
            "data": {"id": ID, "name": name}}).to_string()]
        {
            if let Err(problems) = read(&body, now()) {
                prop_assert!(!problems.is_empty());
            }
        }
    }
}

#[test]
fn what_is_null_is_missing() {
    let seller = json!({"id": ID, "client_id": CLIENT, "program_id": PROGRAM, "name": "S"});
    let customer = json!({"id": ID, "client_id": CLIENT, "program_id": PROGRAM});
    let contact = with(customer.clone(), "seller_id", json!(SELLER));
    let optional = [
        ("seller", &seller, vec!["alternate_seller_id", "status"]),
        ("customer", &customer, vec!["name"]),
        (
            "seller_contact",
            &contact,
            vec![
                "name",
                "email",
                "country",
                "state",
                "city",
                "street",
                "post_code",
            ],
        ),
    ];
    for (kind, bare, names) in optional {
        let kind = format!("{kind}.updated");
        let expected = told(&kind, bare).unwrap();
        for name in names {
            let data = with(bare.clone(), name, Value::Null);
            assert_eq!(told(&kind, &data).unwrap(), expected, "{name}");
        }
    }
    for name in ["id", "client_id", "program_id", "name"] {
        let problems = told("seller.updated", &with(seller.clone(), name, Value::Null));
        let place = format!("/data/{name}: is required");
        assert_eq!(problems.unwrap_err(), [place]);
    }
}
