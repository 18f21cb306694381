//! JSON as it is written: with every member of an object, in order, also one that comes twice.
//!
//! `serde_json` keeps the last of two members of one name; here both are seen, so that whoever
//! reads the value can refuse them at their place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value. What no cell may hold is kept as a word for what it is.
#[derive(Debug, PartialEq)]
pub(super) enum Json {
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
    Other(&'static str),
}

impl Json {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Other(kind) => kind,
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other("null"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other("true or false without quotes"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other("a number without quotes"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other("a number without quotes"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other("a number without quotes"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_that_comes_twice_is_seen_twice() {
        let text = |text: &str| Json::Text(text.to_owned());
        let member = |name: &str, value| (name.to_owned(), value);
        let read: Json = serde_json::from_str(r#"{"a":"1","b":[2,null],"a":"3"}"#).unwrap();
        let list = Json::List(vec![
            Json::Other("a number without quotes"),
            Json::Other("null"),
        ]);
        let wanted = [
            member("a", text("1")),
            member("b", list),
            member("a", text("3")),
        ];
        assert_eq!(read, Json::Object(wanted.into()));
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(serde_json::from_str::<Json>(&nested(100)).is_ok());
        assert!(serde_json::from_str::<Json>(&nested(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_refused_without_a_panic(text in "\\PC{0,40}|[\\[\\]{}\",:a1]{0,40}") {
            let _ = serde_json::from_str::<Json>(&text);
        }
    }
}
