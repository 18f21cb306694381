//! Files of reference data and keys, loaded into the tables.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test helpers"
)]

mod laws;
mod rules;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;
use weir_seed::{Applied, Format, Plan, Policy, Seed, Seeder};
use weir_store::{ApiKeyRecord, Reference, Store};
use weir_tests::parts::{Network, Parts};

pub(crate) fn id(kind: u32, number: u32) -> String {
    format!("0190a6a0-0000-7000-8000-{kind:04}{number:08}")
}

/// A file with `each` of everything, all in one program, whose names end in `word`.
pub(crate) fn file(each: u32, word: &str) -> Value {
    let (client, program) = (id(1, 1), id(2, 1));
    let of = |make: &dyn Fn(u32) -> Value| (1..=each).map(make).collect::<Vec<_>>();
    let report = weir_query::Report::TransactionProcessing.id();
    json!({
        "clients": [{"id": client, "name": format!("client {word}")}],
        "programs": [{
            "id": program, "client_id": client, "name": format!("program {word}"), "status": "Active",
            "reply_to_email": "a@example.com", "support_email": "b@example.com",
            "sender_email": "c@example.com",
        }],
        "sellers": of(&|n| json!({
            "id": id(3, n), "client_id": client, "program_id": program,
            "name": format!("seller {n} {word}"), "alternate_seller_id": format!("S-{n}"),
            "status": "Active",
        })),
        "customers": of(&|n| json!({
            "id": id(4, n), "client_id": client, "program_id": program,
            "name": format!("customer {n} {word}"),
        })),
        "seller_contacts": of(&|n| json!({
            "id": id(5, n), "client_id": client, "program_id": program, "seller_id": id(3, n),
            "city": format!("city {word}"),
        })),
        "report_schedules": of(&|n| json!({
            "id": id(6, n), "client_id": client, "program_id": program, "report_id": report,
            "schedule_tz": "GMT+1", "schedule_frequency": "Daily",
            "recipient_emails": [format!("{word}@example.com")],
        })),
        "api_keys": of(&|n| json!({
            "id": id(7, n), "name": format!("key {n}"), "client_id": client,
            "permissions": ["reference:read"],
        })),
    })
}

pub(crate) fn seed(file: &Value) -> Seed {
    Seed::parse(Format::Json, file.to_string().as_bytes()).unwrap()
}

pub(crate) fn seeder(parts: &Parts, store: Store) -> Seeder {
    Seeder {
        store,
        clock: parts.timeline.clock().clone(),
        random: parts.random.clone(),
    }
}

pub(crate) async fn parts() -> Parts {
    Parts::start(&Network::new().await, 1, 1).await
}

/// Loads a file, whole.
pub(crate) async fn load(seeder: &Seeder, file: &Value, policy: Policy) -> (Plan, Applied) {
    let plan = seeder.plan(&seed(file), &mut || {}).await.unwrap();
    let applied = seeder.apply(&plan, policy, &mut || {}).await;
    (plan, applied)
}

/// Created, updated, unchanged, left.
pub(crate) fn counts(applied: &Applied) -> [usize; 4] {
    [
        applied.created,
        applied.updated,
        applied.unchanged,
        applied.left,
    ]
}

/// What is kept of a file's entries, times left out: by kind and id.
pub(crate) async fn kept(store: &Store, file: &Value) -> BTreeMap<(String, Uuid), String> {
    let mut kept = BTreeMap::new();
    for wanted in seed(file).references() {
        let (kind, id) = (wanted.kind(), wanted.id());
        let found = store.kept_reference(kind, id).await.unwrap();
        if let Some(found) = found.and_then(|found| found.reference) {
            kept.insert((kind.to_string(), id), format!("{:?}", timeless(found)));
        }
    }
    for key in keys(store).await {
        kept.insert(
            ("key".to_owned(), key.id),
            format!("{} {:?}", key.name, key.permissions),
        );
    }
    kept
}

/// The keys that there are; the demo has none of its own here.
pub(crate) async fn keys(store: &Store) -> Vec<ApiKeyRecord> {
    let keys = store.api_keys().await.unwrap();
    keys.into_iter().map(|(_, record)| record).collect()
}

fn timeless(reference: Reference) -> Reference {
    let none: DateTime<Utc> = DateTime::UNIX_EPOCH;
    let mut timeless = reference.made_at(none);
    match &mut timeless {
        Reference::Client(it) => it.updated_at = none,
        Reference::Program(it) => it.updated_at = none,
        Reference::Seller(it) => it.updated_at = none,
        Reference::Customer(it) => it.updated_at = none,
        Reference::SellerContact(it) => it.updated_at = none,
        Reference::ReportSchedule(it) => it.updated_at = none,
    }
    timeless
}
