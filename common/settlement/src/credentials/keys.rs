//! Reads keys from JSON: an object from client id to key.
//!
//! Each entry is judged by itself, so that one client's wrong key takes none from the others. A fault
//! says where an entry stands and never what is in it, not even the client's id: whoever has put ids
//! and keys the wrong way round must not find the keys in the log.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use weir_domain::ClientId;
use weir_three_rivers::ApiKey;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The entries that are right.
    pub(super) by_client: BTreeMap<ClientId, ApiKey>,
    /// What is wrong with the others, in their order.
    pub(super) faults: Vec<Fault>,
}

/// What is wrong with an entry; each has its place among the entries, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Its name is no client id.
    #[error("the name of entry {0} is no client id")]
    NotAClient(usize),
    /// What it holds cannot be a key.
    #[error("what entry {0} holds is no key as 3Rivers issues them")]
    NotAKey(usize),
    /// Its client has an entry before it: whose key is right cannot be told.
    #[error("the client of entry {0} has another entry")]
    Twice(usize),
}

/// Not a JSON object, by its place, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no JSON object from client id to key: line {line}, column {column}")]
pub(super) struct NotAnObject {
    line: usize,
    column: usize,
}

impl Fault {
    /// What was expected instead.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::NotAClient(_) => "a JSON object whose every name is a client id",
            Self::NotAKey(_) => "visible ASCII characters, as 3Rivers issues its keys",
            Self::Twice(_) => "a JSON object that names each client once",
        }
    }
}

/// Reads keys.
pub(super) fn parse(json: &SecretString) -> Result<Keys, NotAnObject> {
    let Entries(entries) =
        serde_json::from_str(json.expose_secret()).map_err(|error| NotAnObject {
            line: error.line(),
            column: error.column(),
        })?;
    let mut keys = Keys::default();
    let mut twice = Vec::new();
    for (place, (client, key)) in (1..).zip(entries) {
        let Ok(client) = client.parse::<ClientId>() else {
            keys.faults.push(Fault::NotAClient(place));
            continue;
        };
        let Some(key) = key.and_then(|key| ApiKey::new(key).ok()) else {
            keys.faults.push(Fault::NotAKey(place));
            continue;
        };
        match keys.by_client.entry(client) {
            Slot::Vacant(slot) => drop(slot.insert(key)),
            Slot::Occupied(_) => {
                twice.push(client);
                keys.faults.push(Fault::Twice(place));
            }
        }
    }
    for client in twice {
        keys.by_client.remove(&client);
    }
    Ok(keys)
}

/// The entries of an object, in their order, repeated names included.
struct Entries(Vec<(String, Option<SecretString>)>);

/// What an entry holds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Other(IgnoredAny),
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    let text = match value {
                        Value::Text(text) => Some(SecretString::from(text)),
                        Value::Other(_) => None,
                    };
                    entries.push((name, text));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "11111111-1111-4111-8111-111111111111";
    const TWO: &str = "22222222-2222-4222-8222-222222222222";

    fn read(json: &str) -> Keys {
        parse(&SecretString::from(json)).unwrap()
    }

    #[test]
    fn each_client_has_its_own_key() {
        let keys = read(&format!(r#"{{"{ONE}":"key-of-one","{TWO}":"key-of-two"}}"#));
        assert_eq!(keys.faults, []);
        for (client, key) in [(ONE, "key-of-one"), (TWO, "key-of-two")] {
            let key: ApiKey = key.parse().unwrap();
            let held = &keys.by_client[&client.parse().unwrap()];
            assert_eq!(held.fingerprint(), key.fingerprint());
        }
    }

    #[test]
    fn what_is_wrong_with_one_entry_takes_no_key_from_another_client() {
        for (entry, fault) in [
            (r#""name":"key-of-two""#.to_owned(), Fault::NotAClient(1)),
            (format!(r#""{TWO}":"short""#), Fault::NotAKey(1)),
            (format!(r#""{TWO}":"with space in it""#), Fault::NotAKey(1)),
            (format!(r#""{TWO}":12345678901"#), Fault::NotAKey(1)),
            (format!(r#""{TWO}":null"#), Fault::NotAKey(1)),
            (format!(r#""{TWO}":{{"a":["b"]}}"#), Fault::NotAKey(1)),
        ] {
            let keys = read(&format!(r#"{{{entry},"{ONE}":"key-of-one"}}"#));
            assert_eq!(keys.faults, [fault], "{entry}");
            assert_eq!(keys.by_client.len(), 1, "{entry}");
            assert!(keys.by_client.contains_key(&ONE.parse().unwrap()));
        }
    }

    #[test]
    fn a_client_with_two_entries_has_no_key_as_nobody_can_tell_which_is_right() {
        let upper = "AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA";
        for (first, again) in [(ONE, ONE), (upper, &*upper.to_lowercase())] {
            let keys = read(&format!(
                r#"{{"{first}":"key-a-of-one","{TWO}":"key-of-two","{again}":"key-b-of-one"}}"#
            ));
            assert_eq!(keys.faults, [Fault::Twice(3)], "{first}");
            assert_eq!(keys.by_client.len(), 1, "{first}");
        }
    }

    #[test]
    fn six_hundred_clients_fit_into_a_secret_of_64_kb() {
        let entry = |n: u128| {
            let client = uuid::Uuid::from_u128(n);
            format!(r#""{client}":"key-{n:0>58}""#)
        };
        let entries: Vec<_> = (1..=600).map(entry).collect();
        let json = format!("{{{}}}", entries.join(","));
        assert!(json.len() <= 65_536, "{}", json.len());
        assert_eq!(read(&json).by_client.len(), 600);
    }

    proptest! {
        #[test]
        fn no_fault_shows_anything_of_what_was_read(
            key in "[a-z0-9]{12,20}",
            shape in prop::sample::select(vec![
                "KEY", "\"KEY", "{\"KEY\":1}", "{\"KEY\":\"KEY\"}", "{\"KEY\"", "[\"KEY\"]",
                "{\"ONE\":\"KEY KEY\"}", "{\"ONE\":{\"KEY\":\"KEY\"}}", "{\"ONE\":\"KEY\"}KEY",
                "{\"ONE\":\"KEY\",\"ONE\":\"KEY2\"}", "{\"ONE\":KEY}",
            ]),
        ) {
            let json = shape.replace("KEY", &key).replace("ONE", ONE);
            let shown = match parse(&SecretString::from(json)) {
                Ok(keys) => {
                    let faults: Vec<_> = keys.faults.iter().map(ToString::to_string).collect();
                    format!("{keys:?} {faults:?}")
                }
                Err(error) => format!("{error} {error:?}"),
            };
            prop_assert!(!shown.contains(&key), "{shown}");
        }
    }
}
