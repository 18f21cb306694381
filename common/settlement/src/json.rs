//! JSON that says each thing once.
//!
//! An object with two members of one name has no one meaning, and a reader that takes the last one
//! hides the first from whoever checked it: it is refused, at any depth.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A value without a repeated name.
struct Once(Value);

/// Reads an object from bytes that hold nothing else.
///
/// # Errors
/// What is wrong, in words for the sender: not UTF-8, not JSON, not an object, or a repeated name.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "The body is not UTF-8.".to_owned())?;
    match value(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("The body must be a JSON object.".to_owned()),
        Err(error) => Err(format!("The body is not valid JSON: {error}.")),
    }
}

/// Reads any value from a text that holds nothing else.
///
/// # Errors
/// As [`serde_json::from_str`], and for a repeated name.
pub(crate) fn value(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).map(|Once(value)| value)
}

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Self)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Once(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let Once(value) = members.next_value()?;
            if object.contains_key(&name) {
                let shown: String = name.chars().take(100).collect();
                return Err(A::Error::custom(format!("the name {shown:?} comes twice")));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_object_is_read_as_it_is() {
        let text = r#"{"a": [1, -2, 1.5, null, true], "b": {"a": "ü"}}"#;
        let wanted: Map<String, Value> = serde_json::from_str(text).unwrap();
        assert_eq!(object(text.as_bytes()), Ok(wanted));
    }

    #[test]
    fn what_is_no_object_or_says_something_twice_is_refused() {
        for text in [
            &b""[..],
            b"null",
            b"[]",
            b"\"a\"",
            b"{",
            b"{} {}",
            b"{\"a\": 1,}",
            b"{\"a\": \"\\ud800\"}",
            b"{\"a\": \"\xff\"}",
            b"\xef\xbb\xbf{}",
            br#"{"a": 1, "a": 1}"#,
            br#"{"a": 1, "\u0061": 2}"#,
            br#"{"b": {"a": 1, "a": 2}}"#,
            br#"{"b": [{"a": 1, "a": 2}]}"#,
        ] {
            assert!(object(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(object(nested(100).as_bytes()).is_ok());
        assert!(object(nested(20_000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_object_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = object(&bytes);
        }
    }
}
