//! The parts of the document: resources, parameters, errors.

use serde_json::{Map, Value, json};
use weir_domain::LINE_MAX;
use weir_query::{Kind, Operator, Parameter, Resource, Rule, VALUES_MAX};
use weir_settlement::upload::{FileName, PROBLEMS_LISTED_MAX};

use crate::operations::operations;
use crate::problems::{PROBLEM, PROBLEMS_PAGE_SIZE, PROBLEMS_PAGE_SIZE_MAX};

/// A moment as answers show it and queries take it.
pub(super) const MOMENT: &str =
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z$";

/// What a resource is called in the document: its words in one.
fn key(resource: &Resource) -> String {
    let words = resource.name.split_whitespace().map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_uppercase() + rest
    });
    words.collect()
}

pub(super) fn reference(resource: &Resource) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", key(resource)) })
}

/// Every resource, and an error.
pub(super) fn all() -> Value {
    let mut schemas = Map::new();
    for operation in operations() {
        let resource = operation.answers.resource();
        schemas
            .entry(key(resource))
            .or_insert_with(|| object(resource));
    }
    schemas.insert("Errors".to_owned(), errors_schema());
    Value::Object(schemas)
}

fn object(resource: &Resource) -> Value {
    let mut properties = Map::new();
    for field in resource.fields {
        let mut schema = match field.kind {
            Kind::Id => json!({ "type": "string", "format": "uuid" }),
            Kind::Text => json!({ "type": "string" }),
            Kind::Integer => json!({ "type": "integer" }),
            Kind::Time => json!({ "type": "string", "format": "date-time", "pattern": MOMENT }),
            Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
            Kind::Several([]) => json!({ "type": "array", "items": { "type": "string" } }),
            Kind::Several(words) => {
                json!({ "type": "array", "items": { "type": "string", "enum": words } })
            }
        };
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), format!("{}.", field.about).into());
        }
        properties.insert(field.name.to_owned(), schema);
    }
    json!({
        "type": "object",
        "description": "A field that has no value is left out.",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// A filter as parameters: equality, and where there is an order, from and to. The other operators
/// are named in an extension.
pub(super) fn filter(parameter: &'static Parameter) -> Vec<Value> {
    let rule = parameter.rule;
    let has_order = matches!(rule, Rule::Integer { .. } | Rule::Time);
    let shown = |operator| match operator {
        Operator::Equal => true,
        Operator::AtLeast | Operator::AtMost => has_order,
        _ => false,
    };
    let others: Vec<String> = Operator::ALL
        .iter()
        .filter(|(_, operator)| operator.applies_to(rule) && !shown(*operator))
        .map(|(name, _)| format!(":{name}"))
        .collect();
    let parameters = Operator::ALL
        .iter()
        .filter(|(_, operator)| shown(*operator));
    parameters
        .map(|(suffix, operator)| {
            let name = match suffix {
                &"" => parameter.name.to_owned(),
                suffix => format!("{}:{suffix}", parameter.name),
            };
            let words = match operator {
                Operator::AtLeast => "From here on.",
                Operator::AtMost => "Up to here.",
                _ => "Exactly this.",
            };
            json!({
                "name": name,
                "in": "query",
                "description": words,
                "schema": schema_of(rule),
                "x-operators": others,
            })
        })
        .collect()
}

fn schema_of(rule: Rule) -> Value {
    match rule {
        Rule::Id => json!({ "type": "string", "format": "uuid" }),
        Rule::Text {
            chars_min,
            chars_max,
            begins_with,
        } => {
            let mut schema = json!({ "type": "string" });
            if let Some(schema) = schema.as_object_mut() {
                if chars_min > 0 {
                    schema.insert("minLength".to_owned(), chars_min.into());
                }
                if let Some(max) = chars_max {
                    schema.insert("maxLength".to_owned(), max.into());
                }
                if !begins_with.is_empty() {
                    schema.insert("pattern".to_owned(), format!("^{begins_with}").into());
                }
            }
            schema
        }
        Rule::Integer { min, max } => {
            let mut schema = json!({ "type": "integer", "format": "int64" });
            if let Some(schema) = schema.as_object_mut() {
                if min > i64::MIN {
                    schema.insert("minimum".to_owned(), min.into());
                }
                if max < i64::MAX {
                    schema.insert("maximum".to_owned(), max.into());
                }
            }
            schema
        }
        Rule::Time => json!({
            "type": "string",
            "anyOf": [
                { "format": "date" },
                { "format": "date-time", "pattern": MOMENT },
            ],
        }),
        Rule::OneOf(words) => json!({ "type": "string", "enum": words }),
        Rule::SomeOf(words) => several(&json!({ "type": "string", "enum": words })),
        Rule::Emails => several(&json!({ "type": "string", "format": "idn-email" })),
    }
}

fn several(items: &Value) -> Value {
    json!({ "type": "array", "items": items, "minItems": 1, "maxItems": VALUES_MAX })
}

fn errors_schema() -> Value {
    json!({
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": ["code", "message"],
            "additionalProperties": false,
            "properties": {
                "code": { "type": "string", "description": "What is wrong, for programs." },
                "message": { "type": "string", "description": "What is wrong, for people." },
                "validationErrors": {
                    "type": "array",
                    "description": "Every rule that the request breaks.",
                    "items": {
                        "type": "object",
                        "required": ["dataPath", "message"],
                        "additionalProperties": false,
                        "properties": {
                            "dataPath": {
                                "type": "string",
                                "description": "Where, such as /query/page_size.",
                            },
                            "message": { "type": "string", "description": "The rule." },
                        },
                    },
                },
            },
        },
    })
}

/// Every error status with the codes that it comes with.
const ERRORS: [(&str, &str, &str); 9] = [
    (
        "400",
        "invalid_parameter, invalid_data or body_not_matching_json_schema",
        "The request is not valid.",
    ),
    ("401", "unauthenticated", "It is not known who asks."),
    ("403", "unauthorized", "The caller may not do this."),
    (
        "404",
        "resource_not_found",
        "It does not exist, or not for this caller.",
    ),
    ("409", "conflict", "It is at odds with what is there."),
    ("413", "payload_too_large", "The body is too large."),
    (
        "415",
        "unsupported_media_type",
        "The body is of another type.",
    ),
    ("500", "internal_error", "Something went wrong on our side."),
    (
        "503",
        "unavailable",
        "Not available for the moment: try again.",
    ),
];

pub(super) fn errors() -> Value {
    let mut responses = Map::new();
    for (status, codes, words) in ERRORS {
        let response = json!({
            "description": format!("{words} Code: {codes}."),
            "headers": correlation_header(),
            "content": {
                "application/json": { "schema": { "$ref": "#/components/schemas/Errors" } },
            },
        });
        responses.insert(status.to_owned(), response);
    }
    Value::Object(responses)
}

pub(super) fn correlation_header() -> Value {
    json!({
        "X-Correlation-Id": {
            "description": "The request's correlation id: the caller's own, or a new one.",
            "schema": { "type": "string" },
        },
    })
}

pub(super) fn link_header() -> Value {
    json!({
        "X-Correlation-Id": {
            "description": "The request's correlation id: the caller's own, or a new one.",
            "schema": { "type": "string" },
        },
        "Link": {
            "description": "With rel=\"next\", where the next page is; absent on the last.",
            "schema": { "type": "string" },
        },
    })
}

pub(super) fn list_headers() -> Value {
    json!({
        "X-Correlation-Id": {
            "description": "The request's correlation id: the caller's own, or a new one.",
            "schema": { "type": "string" },
        },
        "Link": {
            "description": "With rel=\"next\", where the next page is; absent on the last.",
            "schema": { "type": "string" },
        },
        "X-Total-Count": {
            "description": "How many rows there are on all pages, where it is known.",
            "schema": { "type": "integer" },
        },
    })
}

pub(super) fn lines() -> [Value; 2] {
    let line = |name, words| {
        json!({
            "name": name,
            "in": "query",
            "description": words,
            "schema": { "type": "integer", "minimum": 1, "maximum": LINE_MAX },
        })
    };
    [
        line("from_line", "The first line that is looked at."),
        line("to_line", "The last line that is looked at."),
    ]
}

/// The pages of a file's problems.
pub(super) fn problems() -> [Value; 4] {
    let parameter = |name, words, schema: Value| json!({ "name": name, "in": "query", "description": words, "schema": schema });
    [
        parameter(
            "page_size",
            "Most problems of the page.",
            json!({
                "type": "integer", "minimum": 1, "maximum": PROBLEMS_PAGE_SIZE_MAX,
                "default": PROBLEMS_PAGE_SIZE,
            }),
        ),
        parameter(
            "page_number",
            "Which page; one beyond the last is empty. Not together with cursor. The file is read \
             from its beginning for it: following the Link headers costs less.",
            json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX, "default": 1 }),
        ),
        parameter(
            "cursor",
            "Where the page begins, as a Link header gave it.",
            json!({ "type": "string" }),
        ),
        parameter(
            "format",
            "The form of the answer, whatever the Accept header says: CSV is also for whoever \
             accepts text/csv.",
            json!({ "type": "string", "enum": ["json", "csv"] }),
        ),
    ]
}

/// What an upload of a file would come to.
pub(super) fn validation() -> Value {
    let flag = |words: &str| json!({ "type": "boolean", "description": words });
    let count = |words: &str| json!({ "type": "integer", "description": words });
    let amounts = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["currency", "charge_total", "refund_total"],
        "properties": {
            "currency": { "type": "string", "description": "The currency." },
            "charge_total": { "type": "string", "description": "In major units." },
            "refund_total": { "type": "string", "description": "In major units." },
        },
    });
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": [
            "sound", "valid", "batch_count", "detail_count", "totals", "problem_count", "problems",
        ],
        "properties": {
            "sound": flag("Whether the file would be taken; some of it may be in error all the same."),
            "valid": flag("Whether it would be taken, and nothing of it be in error."),
            "batch_count": count("Batches, up to where the file could be read."),
            "detail_count": count("Charges and refunds, likewise."),
            "totals": {
                "type": "object",
                "additionalProperties": false,
                "required": ["batches", "charges", "refunds", "records_in_error", "amounts"],
                "properties": {
                    "batches": count("Batches."),
                    "charges": count("Charges."),
                    "refunds": count("Refunds."),
                    "records_in_error": count("Charges and refunds that are in error."),
                    "amounts": { "type": "array", "items": amounts },
                },
            },
            "problem_count": count("How many problems there are."),
            "problems": {
                "type": "array",
                "description": "The first of them, in the order of the file.",
                "maxItems": PROBLEMS_LISTED_MAX,
                "items": reference(&PROBLEM),
            },
        },
    })
}

/// The parameters of an upload.
pub(super) fn settlement() -> Vec<Value> {
    let mut parameters = settlement_headers();
    parameters.push(validate_only(
        "Whether the file is only judged, as an upload of it would be, and nothing kept.",
    ));
    parameters
}

/// The parameter of a place.
pub(super) fn place_parameter() -> Value {
    validate_only(
        "Whether the file is only judged: it ends Processed or Error, has no batches, and its \
         problems can be asked for.",
    )
}

fn validate_only(description: &str) -> Value {
    json!({
        "name": "validate_only",
        "in": "query",
        "description": description,
        "schema": { "type": "boolean", "default": false },
    })
}

fn settlement_headers() -> Vec<Value> {
    let header = |name, words, max: usize| {
        json!({
            "name": name,
            "in": "header",
            "description": words,
            "schema": { "type": "string", "minLength": 1, "maxLength": max },
        })
    };
    // A character has up to four bytes, and an escape of a byte three characters.
    let encoded_chars_max = FileName::CHARACTERS_MAX * 4 * 3;
    vec![header(
        "X-File-Name",
        "What the file is called: 1 to 255 characters, percent-encoded in UTF-8. Without it, the \
             name that a form gives the file.",
        encoded_chars_max,
    )]
}

/// The table of errors as it comes back.
pub(super) fn errors_table() -> Value {
    let csv = json!({ "schema": { "type": "string" } });
    let form = json!({
        "schema": {
            "type": "object",
            "required": ["file"],
            "maxProperties": 1,
            "properties": { "file": { "type": "string", "contentMediaType": "text/csv" } },
        },
    });
    json!({
        "required": true,
        "description": "The table of errors with some cells mended, in UTF-8, or a form with one part, \
                        which is the table, under any name; at most 4 MiB and 5 000 rows. Rows and \
                        columns that are left out are unchanged.",
        "content": { "text/csv": csv, "multipart/form-data": form },
    })
}

/// What came of it.
pub(super) fn drafted() -> Value {
    let count = |what: &str| json!({ "type": "integer", "minimum": 0, "description": what });
    json!({
        "type": "object",
        "required": ["drafted", "unchanged"],
        "properties": {
            "drafted": count("How many rows became drafts."),
            "unchanged": count("How many rows say what the table would say now."),
        },
    })
}

pub(super) fn settlement_file() -> Value {
    let xml = json!({ "schema": { "type": "string" } });
    let form = json!({
        "schema": {
            "type": "object",
            "required": ["file"],
            "maxProperties": 1,
            "properties": {
                "file": { "type": "string", "contentMediaType": "application/xml" },
            },
        },
    });
    json!({
        "required": true,
        "description": "A settlement file, or a form with one part, which is the file, under any \
                        name; at most 4 MiB.",
        "content": { "application/xml": xml, "text/xml": xml, "multipart/form-data": form },
    })
}
