//! The API document says what the contract says, and is one that programs can read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

const CONTRACT: &str = include_str!("../../contract/batch-docs.json");

/// Operations of the contract that there are not yet. The list may only shrink: one that exists, or
/// that the contract does not have, fails the test.
const MISSING: [&str; 1] = ["GET /v1/batchreports"];

/// Where a parameter is bound more tightly than in the contract: its name (or `*`), and the keyword.
const TIGHTER: [(&str, &str); 4] = [
    // The number of a page is one of 32 bits.
    ("page_number", "maximum"),
    // Only fields can be sorted by.
    ("sort_column[]", "enum"),
    // Texts that are taken as they come, but for what can be in a value at all.
    ("*", "maxItems"),
    // A UUID, a number of 64 bits, and the two forms of a time.
    ("*", "anyOf"),
];

/// Keywords that bound what may be sent.
const BOUNDS: [&str; 10] = [
    "anyOf",
    "enum",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "uniqueItems",
];

fn contract() -> Value {
    serde_json::from_str(CONTRACT).unwrap()
}

/// Operations by `METHOD /path`.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let mut operations = BTreeMap::new();
    for (path, methods) in object(&document["paths"]) {
        for (method, operation) in object(methods) {
            operations.insert(format!("{} {path}", method.to_uppercase()), operation);
        }
    }
    operations
}

/// The contract's operations by `METHOD /path`.
fn wanted(contract: &Value) -> BTreeMap<String, &Value> {
    let operations = contract["operations"].as_array().unwrap().iter();
    let name = |operation: &Value| {
        format!(
            "{} {}",
            text(&operation["method"]),
            text(&operation["path"])
        )
    };
    operations
        .map(|operation| (name(operation), operation))
        .collect()
}

fn object(value: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The parameters of an operation that stand in one place, by name.
fn parameters<'d>(operation: &'d Value, place: &str) -> BTreeMap<&'d str, &'d Value> {
    let parameters = operation["parameters"].as_array().unwrap().iter();
    let there = parameters.filter(|parameter| parameter["in"] == place);
    there
        .map(|parameter| (text(&parameter["name"]), &parameter["schema"]))
        .collect()
}

/// What a reference leads to; anything else is itself.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let Some(reference) = value.get("$ref") else {
        return value;
    };
    let pointer = text(reference).strip_prefix('#').unwrap();
    let found = document.pointer(pointer);
    found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

/// The codes that an error status of an operation comes with, as its description says.
fn codes<'d>(document: &'d Value, response: &'d Value) -> Vec<&'d str> {
    let description = text(&resolved(document, response)["description"]);
    let (_, codes) = description.split_once("Code: ").unwrap_or_default();
    let words = codes.trim_end_matches('.').split([',', ' ']);
    words
        .filter(|word| !word.is_empty() && *word != "or")
        .collect()
}

/// How a schema differs from what the contract says of a parameter.
fn differences(name: &str, wanted: &Value, schema: &Value, found: &mut Vec<String>) {
    for (keyword, value) in object(wanted) {
        let is_met = match keyword.as_str() {
            "items" => {
                differences(name, value, &schema["items"], found);
                true
            }
            // Our list of what may be sorted by has no empty name.
            "minLength" if schema.get("enum").is_some() => true,
            "format" => {
                let forms = schema["anyOf"].as_array().into_iter().flatten();
                schema["format"] == *value || forms.clone().any(|form| form["format"] == *value)
            }
            _ => schema[keyword] == *value,
        };
        if !is_met {
            found.push(format!(
                "{name}: {keyword} is {}, and not {value}",
                schema[keyword]
            ));
        }
    }
    for bound in BOUNDS {
        let is_known = TIGHTER
            .iter()
            .any(|(known, keyword)| [name, "*"].contains(known) && *keyword == bound);
        if schema.get(bound).is_some() && wanted.get(bound).is_none() && !is_known {
            found.push(format!("{name}: {bound} is not in the contract"));
        }
    }
}

#[test]
fn the_operations_that_are_missing_are_listed_and_no_others() {
    let (document, contract) = (weir_api::document(), contract());
    let there = operations(&document);
    let missing = wanted(&contract)
        .into_keys()
        .filter(|name| !there.contains_key(name));
    let missing: Vec<String> = missing.collect();
    assert_eq!(missing, MISSING);
}

#[test]
fn every_operation_takes_and_answers_what_the_contract_says() {
    let (document, contract) = (weir_api::document(), contract());
    let wanted = wanted(&contract);
    let mut found = Vec::new();
    for (name, operation) in operations(&document) {
        let Some(wanted) = wanted.get(&name) else {
            continue; // one of ours
        };
        let mut wrong = Vec::new();
        if operation["summary"] != wanted["operation"] {
            wrong.push(format!("it is called {}", operation["summary"]));
        }
        for (place, key) in [("path", "path_params"), ("query", "query")] {
            let there = parameters(operation, place);
            for (parameter, wanted) in object(&wanted[key]) {
                match there.get(parameter.as_str()) {
                    Some(schema) => differences(parameter, wanted, schema, &mut wrong),
                    None => wrong.push(format!("{parameter} is not there")),
                }
            }
            if place == "path" && there.len() != object(&wanted[key]).len() {
                wrong.push("there are other ids in the path".to_owned());
            }
        }
        body(operation, wanted, &mut wrong);
        statuses(&document, operation, wanted, &mut wrong);
        response(&document, operation, wanted, &mut wrong);
        found.extend(wrong.into_iter().map(|wrong| format!("{name}: {wrong}")));
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Fields of answers that are ours.
const OUR_FIELDS: [&str; 4] = ["task", "task_at", "task_by", "task_changed_count"];

/// Members of bodies that are ours.
const OURS: [&str; 2] = ["looked_up", "status"];

/// The body, where it is JSON: every member with its rules, and no other one is required.
fn body(operation: &Value, wanted: &Value, wrong: &mut Vec<String>) {
    let Some(wanted) = wanted.get("body").filter(|body| body.is_object()) else {
        return;
    };
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let (members, there) = (object(&wanted["properties"]), object(&schema["properties"]));
    for (name, wanted) in members {
        match there.get(name) {
            Some(schema) => differences(name, wanted, schema, wrong),
            None => wrong.push(format!("the body has no {name}")),
        }
    }
    let is_other = |name: &&String| !members.contains_key(*name) && !OURS.contains(&name.as_str());
    for name in there.keys().filter(is_other) {
        wrong.push(format!("the body has {name}"));
    }
    let required = |value: &Value| -> BTreeSet<String> {
        let names = value["required"].as_array().into_iter().flatten();
        names.map(|name| text(name).to_owned()).collect()
    };
    if required(wanted) != required(schema) {
        wrong.push(format!("the body requires {:?}", required(schema)));
    }
}

/// Every status with every code of the contract, and what we answer besides.
fn statuses(document: &Value, operation: &Value, wanted: &Value, wrong: &mut Vec<String>) {
    let there = object(&operation["responses"]);
    for (status, wanted) in object(&wanted["responses"]) {
        let Some(response) = there.get(status) else {
            wrong.push(format!("there is no {status}"));
            continue;
        };
        let told = codes(document, response);
        for code in wanted.as_array().unwrap() {
            if !told.contains(&text(code)) {
                wrong.push(format!("{status} does not come with {code}"));
            }
        }
    }
    let has_body = operation.get("requestBody").is_some();
    let has_answer = operation["responses"]["200"].get("content").is_some();
    for status in there.keys() {
        let is_ours = match status.as_str() {
            // The contract names no 200 where the answer is no JSON.
            "200" | "503" => true,
            // A list under something that is not there.
            "404" => !parameters(operation, "path").is_empty(),
            // A change, and what is deleted.
            "409" => has_body || !has_answer,
            "413" | "415" => has_body,
            _ => false,
        };
        if !is_ours && wanted["responses"].get(status).is_none() {
            wrong.push(format!("{status} is not in the contract"));
        }
    }
}

/// The fields, in an array or not.
fn response(document: &Value, operation: &Value, wanted: &Value, wrong: &mut Vec<String>) {
    let wanted = &wanted["response"];
    if wanted.is_null() {
        return;
    }
    let mut schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let is_array = schema["type"] == "array";
    if wanted["array"] != is_array {
        wrong.push(format!("an array: {is_array}"));
    }
    if is_array {
        schema = &schema["items"];
    }
    let mut shown: BTreeSet<&str> = keys(&resolved(document, schema)["properties"]);
    shown.retain(|name| !OUR_FIELDS.contains(name));
    let listed: Vec<&str> = wanted["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    if shown != listed.iter().copied().collect() {
        wrong.push(format!("it shows {shown:?}, and not {listed:?}"));
    }
}

fn keys(value: &Value) -> BTreeSet<&str> {
    object(value).keys().map(String::as_str).collect()
}

/// The document is sorted by name; answers are in the order of the resource's description.
#[test]
fn every_answer_has_its_fields_in_the_order_of_the_contract() {
    let contract = contract();
    let wanted = wanted(&contract);
    for operation in weir_api::operations() {
        let resource = operation.answers.resource();
        let name = format!("{} {}", operation.method, operation.path);
        let Some(listed) = wanted
            .get(&name)
            .and_then(|wanted| wanted["response"]["fields"].as_array())
        else {
            continue;
        };
        let fields = resource.fields.iter().map(|field| field.name);
        let fields: Vec<&str> = fields.filter(|name| !OUR_FIELDS.contains(name)).collect();
        assert_eq!(
            fields,
            listed.iter().map(text).collect::<Vec<_>>(),
            "{name}"
        );
    }
}

/// Every reference within a value.
fn references<'d>(value: &'d Value, found: &mut Vec<&'d Value>) {
    match value {
        Value::Object(members) => {
            if members.contains_key("$ref") {
                found.push(value);
            }
            members
                .values()
                .for_each(|member| references(member, found));
        }
        Value::Array(members) => members.iter().for_each(|member| references(member, found)),
        _ => {}
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = weir_api::document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        resolved(&document, reference);
    }
}

#[test]
fn every_operation_of_the_document_has_a_name_of_its_own_and_an_answer() {
    let document = weir_api::document();
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    assert_eq!(operations.len(), weir_api::operations().len());
    let mut ids = BTreeSet::new();
    for (name, operation) in operations {
        let id = text(&operation["operationId"]);
        assert!(id.chars().all(char::is_alphanumeric), "{id}");
        assert!(ids.insert(id), "{id} stands for two operations");
        assert!(!text(&operation["summary"]).is_empty(), "{name}");
        let has_answer = operation["responses"]["200"]["content"].is_object();
        assert_eq!(has_answer, !name.starts_with("DELETE "), "{name}");
        for (status, response) in object(&operation["responses"]) {
            assert!(
                status.len() == 3 && status.parse::<u16>().is_ok(),
                "{name}: {status}"
            );
            let response = resolved(&document, response);
            assert!(response["description"].is_string(), "{name}: {status}");
        }
    }
}

#[test]
fn every_parameter_of_the_document_is_declared_once_and_those_of_the_path_are_all_there() {
    let document = weir_api::document();
    for (name, operation) in operations(&document) {
        let mut seen = BTreeSet::new();
        for parameter in operation["parameters"].as_array().unwrap() {
            let (named, place) = (text(&parameter["name"]), text(&parameter["in"]));
            assert!(seen.insert((named, place)), "{name}: {named} twice");
            assert!(parameter["schema"].is_object(), "{name}: {named}");
            assert!(
                ["path", "query", "header"].contains(&place),
                "{name}: {named}"
            );
            assert_eq!(
                parameter["required"] == true,
                place == "path",
                "{name}: {named}"
            );
        }
        let (_, path) = name.split_once(' ').unwrap();
        let in_path = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let declared = parameters(operation, "path");
        assert_eq!(
            declared.keys().copied().collect::<BTreeSet<_>>(),
            in_path.collect(),
            "{name}"
        );
    }
}

#[test]
fn every_schema_of_the_document_is_used() {
    let document = weir_api::document();
    let mut found = Vec::new();
    references(&document, &mut found);
    let used: BTreeSet<&str> = found
        .iter()
        .map(|reference| text(&reference["$ref"]))
        .collect();
    for kind in ["schemas", "responses"] {
        for name in keys(&document["components"][kind]) {
            let reference = format!("#/components/{kind}/{name}");
            assert!(used.contains(reference.as_str()), "{reference} is not used");
        }
    }
}

#[test]
fn the_document_is_as_it_was_last_agreed_on() {
    let mut lines = String::new();
    write_lines(&weir_api::document(), 0, &mut lines);
    insta::assert_snapshot!(lines);
}

/// Writes JSON with a line for each parameter and each field, so that a change reads as one.
fn write_lines(value: &Value, depth: usize, lines: &mut String) {
    const DEPTH_MAX: usize = 5;
    let indent = "  ".repeat(depth + 1);
    let (open, close) = if value.is_array() {
        ("[", "]")
    } else {
        ("{", "}")
    };
    match value {
        Value::Object(members) if depth < DEPTH_MAX => {
            lines.push_str(open);
            for (name, member) in members {
                lines.push_str(&format!("\n{indent}{name}: "));
                write_lines(member, depth + 1, lines);
            }
        }
        Value::Array(members) if depth < DEPTH_MAX => {
            lines.push_str(open);
            for member in members {
                lines.push_str(&format!("\n{indent}"));
                write_lines(member, DEPTH_MAX, lines);
            }
        }
        _ => {
            lines.push_str(&value.to_string());
            return;
        }
    }
    lines.push_str(&format!("\n{}{close}", "  ".repeat(depth)));
}
