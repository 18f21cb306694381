//! Every operation with every kind of caller and every kind of path.

use axum::body::Body;
use chrono::TimeDelta;
use http::{Method, Request, StatusCode};
use serde_json::Value;
use uuid::Uuid;
use weir_api::{Operation, operations};
use weir_domain::Permission;
use weir_query::Scope;

use crate::asking::{Answered, Asked, small};
use crate::cases::{Case, cases, field, operator};
use crate::schema::{check, is_error, places};

/// An id that nothing has.
const NOBODYS: Uuid = Uuid::from_u128(0x9999_9999_0000_4000_8000_0000_0000_0009);

#[test]
fn every_operation_answers_what_the_document_says() {
    let asked = small();
    for case in cases(asked) {
        let answered = case.get(asked, "");
        assert_eq!(
            answered.status,
            StatusCode::OK,
            "{}: {}",
            case.operation.path,
            answered.text
        );
        if !case.has_fields() {
            continue;
        }
        if case.is_list() {
            let listed = case.get(asked, "?page_size=250");
            assert!(listed.rows().contains(&case.row), "{}", case.operation.path);
        } else {
            assert_eq!(answered.body, case.row, "{}", case.operation.path);
        }
        shows_fields_in_order(&case, &answered);
    }
}

/// The contract's order is that of the resource's description.
fn shows_fields_in_order(case: &Case, answered: &Answered) {
    let mut from = 0;
    let is_there = |name: &str| case_row(case, answered).get(name).is_some();
    let fields = case.resource.fields.iter();
    for field in fields.filter(|field| is_there(field.name)) {
        let name = format!("\"{}\":", field.name);
        let found = answered.text[from..].find(&name);
        from += found.unwrap_or_else(|| panic!("{}: {name}", case.operation.path));
    }
}

/// The one row of an answer.
fn case_row<'a>(case: &Case, answered: &'a Answered) -> &'a Value {
    if case.is_list() {
        &answered.body[0]
    } else {
        &answered.body
    }
}

#[test]
fn fields_leaves_out_what_it_does_not_name() {
    let asked = small();
    for case in cases(asked).into_iter().filter(Case::has_fields) {
        let fields = case.resource.fields.iter().map(|field| vec![field.name]);
        let mut chosen: Vec<Vec<&str>> = fields.collect();
        if !case.ids.is_empty() {
            // Under a path half of them at once are enough.
            chosen = vec![chosen.concat().into_iter().step_by(2).collect()];
        }
        for names in chosen {
            let page = if case.is_list() { "page_size=1&" } else { "" };
            let answered = case.get(asked, &format!("?{page}fields={}", names.join(",")));
            let row = case_row(&case, &answered).as_object().unwrap();
            assert!(
                row.keys().all(|name| names.contains(&name.as_str())),
                "{}",
                answered.text
            );
            assert!(
                row.keys().len() > 0 || names.len() == 1,
                "{}",
                answered.text
            );
        }
        let answered = case.get(asked, "?fields=id,nothing");
        assert_eq!(
            places(&answered),
            ["/query/fields"],
            "{}",
            case.operation.path
        );
    }
}

#[test]
fn every_operation_asks_for_a_key_that_is_good() {
    let asked = small();
    let now = asked.parts.timeline.now();
    let all = |expires_at, revoked_at| {
        asked.key_until(Permission::ALL, Scope::default(), expires_at, revoked_at)
    };
    let keys = [
        None,
        Some(String::new()),
        Some("x".to_owned()),
        Some(format!("Bearer {}", operator(asked))),
        Some(NOBODYS.to_string()),
        Some(all(Some(now), None)),
        Some(all(None, Some(now - TimeDelta::days(1)))),
    ];
    for operation in operations() {
        for key in &keys {
            let request = Request::builder().method(operation.method.clone());
            let request = request.uri(with_any_ids(&operation));
            let request = match key {
                Some(key) => request.header("Authorization", key),
                None => request,
            };
            let answered = asked.ask(request.body(Body::empty()).unwrap());
            check(&operation, &answered);
            is_error(&answered, 401, "unauthenticated");
            assert!(!answered.headers.contains_key("www-authenticate"));
        }
    }
}

fn with_any_ids(operation: &Operation) -> String {
    let id = NOBODYS.to_string();
    let part = |part: &str| {
        if part.starts_with('{') {
            id.clone()
        } else {
            part.to_owned()
        }
    };
    let parts: Vec<String> = operation.path.split('/').map(part).collect();
    parts.join("/")
}

#[test]
fn every_operation_needs_its_permission_and_no_other() {
    let asked = small();
    for operation in operations() {
        let others = Permission::ALL.iter().copied();
        let others: Vec<_> = others.filter(|one| *one != operation.permission).collect();
        let key = asked.key(&others, Scope::default());
        let answered = asked.send(operation.method.clone(), &key, &with_any_ids(&operation));
        check(&operation, &answered);
        is_error(&answered, 403, "unauthorized");
    }
    for case in cases(asked) {
        let key = asked.key(&[case.operation.permission], Scope::default());
        let answered = case.checked(asked.get(&key, &case.target()));
        assert_eq!(answered.status, StatusCode::OK, "{}", case.operation.path);
    }
}

/// A scope that does not cover a row, and what may still be seen of what is above the row.
struct Elsewhere {
    scope: Scope,
    is_client_the_same: bool,
    is_program_the_same: bool,
}

/// Keys of another client, of another program's seller, and of another seller.
fn elsewhere(asked: &Asked, row: &Value) -> Vec<Elsewhere> {
    let is = |name: &str, id: &dyn ToString| row[name] == id.to_string().as_str();
    let scopes = asked
        .world
        .sellers
        .iter()
        .map(|(seller, program, client)| Elsewhere {
            scope: Scope {
                client_id: Some(*client),
                program_id: Some(*program),
                seller_id: Some(*seller),
            },
            is_client_the_same: is("client_id", client) || is("id", client),
            is_program_the_same: is("program_id", program) || is("id", program),
        });
    let clients = asked.world.clients.iter().map(|client| Elsewhere {
        scope: Scope {
            client_id: Some(*client),
            ..Scope::default()
        },
        is_client_the_same: is("client_id", client) || is("id", client),
        is_program_the_same: false,
    });
    let kinds = |elsewhere: &Elsewhere| {
        let has_seller = elsewhere.scope.seller_id.is_some();
        (
            has_seller,
            elsewhere.is_client_the_same,
            elsewhere.is_program_the_same,
        )
    };
    let is_other = |elsewhere: &Elsewhere| match elsewhere.scope.seller_id {
        Some(seller) => !is("seller_id", &seller) && !is("id", &seller),
        None => !elsewhere.is_client_the_same,
    };
    let mut others: Vec<Elsewhere> = scopes.chain(clients).filter(is_other).collect();
    others.sort_by_key(kinds);
    others.dedup_by_key(|elsewhere| kinds(elsewhere));
    others
}

/// Whether a key still sees a row: what is above its own seller, and the reports, which are
/// everybody's.
fn is_seen(case: &Case, elsewhere: &Elsewhere) -> bool {
    match case.resource.name {
        "report" => true,
        "client" => elsewhere.is_client_the_same,
        "program" => elsewhere.is_program_the_same,
        _ => false,
    }
}

#[test]
fn what_is_elsewhere_is_not_there_for_a_key_with_a_scope() {
    let asked = small();
    for case in cases(asked) {
        // Whose a file is stands in none of its fields: the laws of scopes have their own test.
        if case.resource.name == "file" {
            continue;
        }
        let others = elsewhere(asked, &case.row);
        assert!(!others.is_empty(), "{}", case.operation.path);
        for other in others {
            let key = asked.key(Permission::ALL, other.scope);
            let (path, seen) = (case.target(), is_seen(&case, &other));
            let id = case.row["id"].as_str().unwrap();
            let target = if case.is_list() {
                format!("{path}?id={id}")
            } else {
                path
            };
            let answered = case.checked(asked.get(&key, &target));
            let is_under_another_client = !case.ids.is_empty() && !other.is_client_the_same;
            if seen {
                assert_eq!(
                    answered.status,
                    StatusCode::OK,
                    "{target} {:?}",
                    other.scope
                );
            } else if !case.is_list() || (is_under_another_client && case.resource.name != "report")
            {
                is_error(&answered, 404, "resource_not_found");
            } else if answered.status != StatusCode::NOT_FOUND {
                assert_eq!(answered.rows().len(), 0, "{target} {:?}", other.scope);
            }
        }
    }
}

#[test]
fn a_path_names_every_id_that_is_no_uuid() {
    let asked = small();
    for case in cases(asked) {
        for (name, id) in &case.ids {
            let bare = id.replace('-', "");
            let longer = format!("{id}0");
            for wrong in ["x", "%FF", "%00", "..%2F", &bare, &longer, &id[..35]] {
                let target = case.target_with(&[(name, wrong)]);
                let answered = case.checked(asked.get(operator(asked), &target));
                assert_eq!(places(&answered), [format!("/path/{name}")], "{target}");
            }
        }
        if !case.ids.is_empty() {
            let all: Vec<(&str, &str)> = case.ids.iter().map(|(name, _)| (*name, "x")).collect();
            let answered = asked.get(operator(asked), &case.target_with(&all));
            let wanted = case.ids.iter().map(|(name, _)| format!("/path/{name}"));
            assert_eq!(places(&answered), wanted.collect::<Vec<_>>());
        }
    }
}

#[test]
fn an_id_that_is_nobodys_is_not_found_wherever_it_stands() {
    let asked = small();
    let ids = [NOBODYS, Uuid::nil(), Uuid::max()].map(|id| id.to_string());
    for case in cases(asked) {
        for id in &ids {
            for (name, _) in &case.ids {
                let target = case.target_with(&[(name, id)]);
                let answered = case.checked(asked.get(operator(asked), &target));
                is_error(&answered, 404, "resource_not_found");
            }
        }
    }
}

#[test]
fn a_path_whose_parts_do_not_belong_together_names_nothing() {
    let asked = small();
    let mut tried = 0;
    for case in cases(asked) {
        let rows = asked.all(
            operator(asked),
            &format!("{}?page_size=250", case.everything),
        );
        // One with nothing above it in common; a single part always belongs together.
        let is_foreign = |row: &&Value| {
            let mut ids = case.ids.iter();
            ids.all(|(name, id)| {
                let other = &row[field(&case.operation, name)];
                other.is_string() && other != id.as_str()
            })
        };
        let Some(other) = rows.iter().find(is_foreign).filter(|_| case.ids.len() > 1) else {
            continue;
        };
        for (name, _) in &case.ids {
            let id = other[field(&case.operation, name)].as_str().unwrap();
            let target = case.target_with(&[(name, id)]);
            let answered = case.checked(asked.get(operator(asked), &target));
            is_error(&answered, 404, "resource_not_found");
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}

#[test]
fn another_method_is_refused_with_those_that_the_path_takes() {
    let asked = small();
    for operation in operations() {
        let target = with_any_ids(&operation);
        let same_path = operations()
            .into_iter()
            .filter(|other| other.path == operation.path);
        let taken: Vec<Method> = same_path.map(|other| other.method).collect();
        for method in [
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
            Method::GET,
        ] {
            if taken.contains(&method) {
                continue;
            }
            let answered = asked.send(method.clone(), operator(asked), &target);
            is_error(&answered, 405, "method_not_allowed");
            let allow = answered.headers["allow"].to_str().unwrap();
            assert!(
                taken.iter().all(|method| allow.contains(method.as_str())),
                "{allow}"
            );
            assert!(!allow.contains(method.as_str()), "{allow}");
        }
    }
}

#[test]
fn a_path_that_there_is_not_is_refused_in_the_same_form() {
    let asked = small();
    for path in [
        "/v1",
        "/v1/",
        "/v2/batches",
        "/v1/batches/",
        "/V1/batches",
        "//v1/batches",
        "/v1/nothing",
        "/x/%FF",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            is_error(
                &asked.send(method, operator(asked), path),
                404,
                "resource_not_found",
            );
        }
    }
}
