//! Answers held against the schemas of the API document.

use std::sync::LazyLock;

use serde_json::Value;
use uuid::Uuid;
use weir_api::Operation;

use crate::asking::Answered;

static DOCUMENT: LazyLock<Value> = LazyLock::new(weir_api::document);

/// Fails unless the document says that an operation may be answered so.
pub(crate) fn check(operation: &Operation, answered: &Answered) {
    let method = operation.method.as_str().to_lowercase();
    let described = &DOCUMENT["paths"][operation.path][method];
    let status = answered.status.as_str();
    let response = &described["responses"][status];
    assert!(
        response.is_object(),
        "{} {}: {status} is not in the document: {}",
        operation.method,
        operation.path,
        answered.text
    );
    let content = &resolved(response)["content"];
    let schema = &content["application/json"]["schema"];
    if schema.is_null() {
        let kind = answered.headers["content-type"].to_str().unwrap();
        let kind = kind.split(';').next().unwrap();
        assert!(content[kind].is_object(), "{}: {kind}", operation.path);
        return;
    }
    let mut wrong = Vec::new();
    violations(schema, &answered.body, "", &mut wrong);
    assert!(
        wrong.is_empty(),
        "{} {}: {wrong:?}",
        operation.path,
        answered.text
    );
    every_answer_has_what_all_have(answered);
}

/// Fails unless an answer is an error in the one form with a code.
pub(crate) fn is_error(answered: &Answered, status: u16, code: &str) {
    assert_eq!(answered.status, status, "{}", answered.text);
    let mut wrong = Vec::new();
    let errors = &DOCUMENT["components"]["schemas"]["Errors"];
    violations(errors, &answered.body, "", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:?} in {}", answered.text);
    assert_eq!(answered.body[0]["code"], code, "{}", answered.text);
    every_answer_has_what_all_have(answered);
}

/// Where a 400 sees the faults.
pub(crate) fn places(answered: &Answered) -> Vec<&str> {
    is_error(answered, 400, "invalid_parameter");
    let errors = answered.body[0]["validationErrors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["dataPath"].as_str().unwrap())
        .collect()
}

fn every_answer_has_what_all_have(answered: &Answered) {
    assert!(answered.headers.contains_key("x-correlation-id"));
    assert_eq!(answered.headers["content-type"], "application/json");
}

fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(&reference[1..]).unwrap(),
        None => value,
    }
}

/// What of a value its schema does not allow: the keywords that the document uses for answers; any
/// other fails.
fn violations(schema: &'static Value, value: &Value, place: &str, wrong: &mut Vec<String>) {
    let schema = resolved(schema).as_object().unwrap();
    let count = || u64::try_from(value.as_array().map_or(0, Vec::len)).unwrap();
    for (keyword, rule) in schema {
        let is_met = match keyword.as_str() {
            "description" => true,
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64(),
                "boolean" => value.is_boolean(),
                other => panic!("{other} is no type of an answer"),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "format" => match rule.as_str().unwrap() {
                "uuid" => value.as_str().is_some_and(|id| Uuid::try_parse(id).is_ok()),
                // The pattern beside it says more.
                "date-time" => schema.contains_key("pattern"),
                other => panic!("{other} is no format of an answer"),
            },
            "pattern" => value.as_str().is_some_and(is_moment),
            "minimum" => value.as_u64() >= rule.as_u64(),
            "maximum" => value.as_u64() <= rule.as_u64(),
            "minItems" => count() >= rule.as_u64().unwrap(),
            "maxItems" => count() <= rule.as_u64().unwrap(),
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    violations(rule, item, &format!("{place}/{number}"), wrong);
                }
                true
            }
            "properties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = rule.get(name) {
                        violations(schema, member, &format!("{place}/{name}"), wrong);
                    }
                }
                true
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|schema| {
                let mut wrong = Vec::new();
                violations(schema, value, place, &mut wrong);
                wrong.is_empty()
            }),
            "required" => {
                let mut names = rule.as_array().unwrap().iter();
                names.all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "additionalProperties" => {
                let mut members = value.as_object().into_iter().flatten();
                members.all(|(name, _)| schema["properties"].get(name).is_some())
            }
            other => panic!("{other} is not known here"),
        };
        if !is_met {
            wrong.push(format!("{place}: {keyword} {rule}"));
        }
    }
}

/// A time as answers show it: the document's one pattern, without a library for patterns.
fn is_moment(text: &str) -> bool {
    let shape = |byte: u8| if byte.is_ascii_digit() { b'0' } else { byte };
    let shape: Vec<u8> = text.bytes().map(shape).collect();
    shape == b"0000-00-00T00:00:00Z" || shape == b"0000-00-00T00:00:00.000Z"
}
