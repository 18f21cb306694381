//! Reference data is created, replaced and deleted over HTTP.

use std::sync::OnceLock;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;
use weir_api::{Answers, Operation, Takes, operations};
use weir_domain::Permission;
use weir_query::{Report, Scope};
use weir_settlement::schema::{BodySchema, MemberRule};

use crate::asking::{Answered, Asked};
use crate::cases::operator;
use crate::schema::{check, is_error, places};

/// A world of its own, since these tests change it.
pub(crate) fn changed() -> &'static Asked {
    static CHANGED: OnceLock<Asked> = OnceLock::new();
    CHANGED.get_or_init(Asked::bare)
}

/// Every operation that changes reference data.
fn changes() -> Vec<Operation> {
    let is_one = |operation: &Operation| {
        let is_of_it = matches!(
            operation.permission,
            Permission::ReferenceWrite | Permission::ReportsWrite
        );
        let changes = matches!(operation.takes, Takes::Body(_))
            || matches!(operation.answers, Answers::Nothing(_));
        is_of_it && changes
    };
    operations().into_iter().filter(is_one).collect()
}

/// Every operation that makes something under an id that is made here, with the schema of its body.
pub(crate) fn creations() -> Vec<(Operation, &'static BodySchema)> {
    let mut found = Vec::new();
    for operation in changes() {
        if let Takes::Body(schema) = operation.takes
            && operation.method == Method::POST
            && !operation.path.ends_with('}')
        {
            found.push((operation, schema));
        }
    }
    found
}

/// The change of the one that a creation makes.
fn change_of(creation: &Operation, method: &Method) -> Operation {
    let is_it = |other: &Operation| {
        let rest = other.path.strip_prefix(creation.path);
        other.method == *method
            && rest.is_some_and(|rest| rest.matches('/').count() == 1 && rest.ends_with('}'))
    };
    changes().into_iter().find(is_it).unwrap()
}

pub(crate) fn send(method: &Method, key: &str, target: &str, body: &Value) -> Answered {
    send_bytes(method, key, target, "application/json", body.to_string())
}

pub(crate) fn send_bytes(
    method: &Method,
    key: &str,
    target: &str,
    content_type: &str,
    body: impl Into<Body>,
) -> Answered {
    let request = Request::builder().method(method).uri(target);
    let request = request.header("Authorization", key);
    let request = request.header("Content-Type", content_type);
    changed().ask(request.body(body.into()).unwrap())
}

pub(crate) fn ask(method: &Method, target: &str, body: &Value) -> Answered {
    send(method, operator(changed()), target, body)
}

/// What a successful request answers.
pub(crate) fn done(answered: &Answered) -> &Value {
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
    &answered.body
}

pub(crate) fn id_of(row: &Value) -> String {
    row["id"].as_str().unwrap().to_owned()
}

/// A body that breaks no rule, with every member.
pub(crate) fn valid(schema: &BodySchema) -> Value {
    let mut body = json!({});
    for member in schema.members {
        body[member.name] = match (member.name, member.rule) {
            ("schedule_tz", _) => json!("Europe/Vienna"),
            ("schedule_frequency", _) => json!("Weekly"),
            // The one thing that only one may have.
            ("alternate_seller_id", _) => json!(changed().parts.random.uuid_v4().to_string()),
            (_, MemberRule::Text { .. }) => json!("Fabrikam"),
            (_, MemberRule::OneOf(words)) => json!(words[1]),
            (_, MemberRule::Email { .. }) => json!("пошта@укр.нет"),
            (_, MemberRule::Emails) => json!(["a@example.com", "пошта@example.com"]),
            (_, MemberRule::Whole { min, .. }) => json!(min),
            (_, MemberRule::Flag) => json!(true),
            (_, MemberRule::Ids { .. }) => json!([Report::TransactionProcessing.id()]),
            (_, MemberRule::Objects { .. }) => json!([{}]),
            (_, MemberRule::Id) => json!(Report::TransactionProcessing.id()),
        };
    }
    body
}

/// A client, a program and a seller.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    pub(crate) client: String,
    pub(crate) program: String,
    pub(crate) seller: String,
}

impl Family {
    pub(crate) fn new() -> Self {
        let make = |target: &str, body: Value| id_of(done(&ask(&Method::POST, target, &body)));
        let client = make("/v1/clients", json!({"name": "Contoso"}));
        let programs = format!("/v1/clients/{client}/programs");
        let program = make(&programs, program_body());
        let sellers = format!("{programs}/{program}/sellers");
        let seller = make(&sellers, json!({"name": "Northwind"}));
        Self {
            client,
            program,
            seller,
        }
    }

    /// The path of an operation, the thing itself being `own`.
    pub(crate) fn target(&self, operation: &Operation, own: &str) -> String {
        let mut names: Vec<_> = operation.path_ids().collect();
        let mut target = operation.path.to_owned();
        if operation.path.ends_with('}') {
            let last = names.pop().unwrap();
            target = target.replace(&format!("{{{last}}}"), own);
        }
        for name in names {
            let id = match name {
                "client_id" => &self.client,
                "program_id" => &self.program,
                _ => &self.seller,
            };
            target = target.replace(&format!("{{{name}}}"), id);
        }
        target
    }

    fn scope(&self, depth: usize) -> Scope {
        Scope {
            client_id: (depth > 0).then(|| self.client.parse().unwrap()),
            program_id: (depth > 1).then(|| self.program.parse().unwrap()),
            seller_id: (depth > 2).then(|| self.seller.parse().unwrap()),
        }
    }
}

pub(crate) fn program_body() -> Value {
    json!({
        "name": "Fleet",
        "status": "Active",
        "reply_to_email": "reply@example.com",
        "support_email": "support@example.com",
        "sender_email": "sender@example.com",
    })
}

#[test]
fn what_is_created_is_found_replaced_and_deleted() {
    let family = Family::new();
    let mut kinds = 0;
    for (creation, schema) in creations() {
        let body = valid(schema);
        let above = family.target(&creation, "");
        let created = ask(&Method::POST, &above, &body);
        check(&creation, &created);
        let row = done(&created).clone();
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(row[name], *value, "{}", creation.path);
        }
        assert_eq!(row["created_at"], row["updated_at"]);
        let id = id_of(&row);
        assert_eq!(id.parse::<Uuid>().unwrap().get_version_num(), 7);
        let own = format!("{above}/{id}");
        assert_eq!(*done(&ask(&Method::GET, &own, &json!({}))), row);
        let listed = ask(&Method::GET, &format!("{above}?id={id}"), &json!({}));
        assert_eq!(listed.rows(), std::slice::from_ref(&row));

        let mut other = json!({});
        for member in schema.members.iter().filter(|member| member.is_required) {
            other[member.name] = body[member.name].clone();
        }
        if schema.name == "report schedule" {
            other["schedule_frequency"] = json!("Daily");
        }
        let replaced = ask(&Method::PUT, &own, &other);
        check(&change_of(&creation, &Method::PUT), &replaced);
        let after = done(&replaced).clone();
        assert_eq!(after["created_at"], row["created_at"]);
        for member in schema.members {
            assert_eq!(
                after.get(member.name),
                other.get(member.name),
                "{}",
                member.name
            );
        }
        assert_eq!(*done(&ask(&Method::GET, &own, &json!({}))), after);

        let deleted = ask(&Method::DELETE, &own, &json!({}));
        assert_eq!(
            (deleted.status, deleted.text.as_str()),
            (StatusCode::OK, "")
        );
        assert!(deleted.headers.contains_key("x-correlation-id"));
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            is_error(&ask(&method, &own, &body), 404, "resource_not_found");
        }
        let listed = ask(&Method::GET, &format!("{above}?id={id}"), &json!({}));
        assert!(listed.rows().is_empty());
        kinds += 1;
    }
    assert_eq!(kinds, 6);
}

#[test]
fn an_id_is_used_once_until_what_it_names_is_deleted() {
    let family = Family::new();
    let with_id = changes()
        .into_iter()
        .filter(|operation| operation.method == Method::POST && operation.path.ends_with('}'));
    for operation in with_id {
        let Takes::Body(schema) = operation.takes else {
            panic!("{}", operation.path);
        };
        let id = changed().parts.random.uuid_v4().to_string();
        let target = family.target(&operation, &id);
        let first = ask(&Method::POST, &target, &valid(schema));
        check(&operation, &first);
        assert_eq!(done(&first)["id"], id.as_str());
        let again = ask(&Method::POST, &target, &valid(schema));
        let last = operation.path_ids().last().unwrap();
        assert_eq!(places(&again), [format!("/path/{last}")]);
        // The same words for whoever may not see where it is.
        let elsewhere = Family::new().target(&operation, &id);
        let other = ask(&Method::POST, &elsewhere, &valid(schema));
        assert_eq!(other.text, again.text);

        done(&ask(&Method::DELETE, &target, &json!({})));
        let anew = ask(&Method::POST, &elsewhere, &valid(schema));
        assert_eq!(done(&anew)["id"], id.as_str(), "{}", operation.path);
    }
}

#[test]
fn a_body_that_leaves_something_out_removes_it_and_nothing_else() {
    let family = Family::new();
    let program = format!("/v1/clients/{}/programs/{}", family.client, family.program);
    let seller = format!("{program}/sellers/{}", family.seller);
    let named = json!({"name": "One", "alternate_seller_id": "A-17"});
    assert_eq!(
        done(&ask(&Method::PUT, &seller, &named))["alternate_seller_id"],
        "A-17"
    );
    let after = ask(
        &Method::PUT,
        &seller,
        &json!({"name": "Two", "status": "Ended", "id": "x"}),
    );
    let after = done(&after);
    assert_eq!(after.get("alternate_seller_id"), None);
    assert_eq!(
        after.get("status"),
        None,
        "no body says where a seller stands"
    );
    assert_eq!(after["id"], family.seller.as_str());
    let customers = format!("{program}/customers");
    let customer = ask(&Method::POST, &customers, &json!({"name": "Tailspin"}));
    let customer = format!("{customers}/{}", id_of(done(&customer)));
    assert_eq!(
        done(&ask(&Method::PUT, &customer, &json!({}))).get("name"),
        None
    );
}

#[test]
fn a_change_needs_a_scope_that_covers_all_that_a_thing_belongs_to() {
    let family = Family::new();
    let others = Family::new();
    let world = changed();
    for operation in changes() {
        let depth = operation.path_ids().count() - usize::from(operation.path.ends_with('}'));
        let own = Uuid::from_u128(7).to_string();
        let target = family.target(&operation, &own);
        let body = match operation.takes {
            Takes::Body(schema) => valid(schema),
            _ => json!({}),
        };
        let foreign = world.key(Permission::ALL, others.scope(1));
        let answered = send(&operation.method, &foreign, &target, &body);
        check_error(&operation, &answered);
        if depth == 0 && operation.method == Method::POST {
            is_error(&answered, 403, "unauthorized");
        } else {
            is_error(&answered, 404, "resource_not_found");
        }
        // A key of exactly what it belongs to, or of more, gets as far as to see that it is not there.
        for covering in 0..=depth {
            let key = world.key(Permission::ALL, family.scope(covering));
            let wrong = send(&operation.method, &key, &target, &json!({"name": 1}));
            assert!(
                ![401, 403].contains(&wrong.status.as_u16()),
                "{}",
                wrong.text
            );
        }
        // A key of less sees that there is such a thing, and may not change it.
        for narrower in depth + 1..=3 {
            let scope = family.scope(narrower);
            let is_parent = operation.path_ids().count() > depth && narrower == depth + 1;
            let names: Vec<_> = operation.path_ids().collect();
            let is_named = ["client_id", "program_id", "seller_id"].get(depth) == names.last();
            let key = world.key(Permission::ALL, scope);
            let answered = send(&operation.method, &key, &target, &body);
            check_error(&operation, &answered);
            if operation.method != Method::POST && is_named && (is_parent || narrower > depth) {
                // `own` is another one than the key's.
                is_error(&answered, 404, "resource_not_found");
            } else {
                is_error(&answered, 403, "unauthorized");
            }
        }
    }
    // Its own is seen, and so refused with another answer.
    for (depth, target) in [
        (1, format!("/v1/clients/{}", family.client)),
        (
            2,
            format!("/v1/clients/{}/programs/{}", family.client, family.program),
        ),
    ] {
        let key = world.key(Permission::ALL, family.scope(depth));
        is_error(
            &send(&Method::DELETE, &key, &target, &json!({})),
            403,
            "unauthorized",
        );
    }
}

fn check_error(operation: &Operation, answered: &Answered) {
    assert!(!answered.status.is_success(), "{}", answered.text);
    check(operation, answered);
}

#[test]
fn what_it_is_to_belong_to_must_be_there_and_belong_together() {
    let (family, others) = (Family::new(), Family::new());
    let nobody = Uuid::from_u128(99).to_string();
    for (creation, schema) in creations() {
        let names: Vec<_> = creation.path_ids().collect();
        for name in names {
            for id in [&nobody, &others.client, &others.program, &others.seller] {
                let mut wrong = family.clone();
                match name {
                    "client_id" => wrong.client.clone_from(id),
                    "program_id" => wrong.program.clone_from(id),
                    _ => wrong.seller.clone_from(id),
                }
                let mut target = wrong.target(&creation, "");
                if creation.path_ids().count() == 1 && *id == others.client {
                    // That client is there as well.
                    target = target.replace(id.as_str(), &nobody);
                }
                let answered = ask(&Method::POST, &target, &valid(schema));
                is_error(&answered, 404, "resource_not_found");
            }
            let target = creation.path.replace(&format!("{{{name}}}"), "x");
            let others = creation.path_ids().filter(|other| *other != name);
            let target = others.fold(target, |target, other| {
                target.replace(&format!("{{{other}}}"), &nobody)
            });
            let answered = ask(&Method::POST, &target, &valid(schema));
            assert_eq!(places(&answered), [format!("/path/{name}")]);
        }
    }
}
