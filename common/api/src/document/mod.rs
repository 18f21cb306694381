//! The API document: `OpenAPI` 3.1 made of the table of operations, and a page to read it on.
//!
//! Whatever the routes take and answer stands in [`crate::operations()`] and the resources' own
//! descriptions, and the document is made of these; nothing is written twice.

mod bodies;
mod page;
mod repeated;
mod schemas;
mod uploads;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::{Map, Value, json};
use weir_query::{PAGE_SIZE, PAGE_SIZE_MAX, Resource};

use crate::operations::{Answers, Operation, Takes, operations};
use crate::problems::PROBLEMS_PAGE_SIZE_MAX;

/// What everybody should know of the API, in Markdown.
const ABOUT: &str = include_str!("about.md");

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
static PAGE: LazyLock<String> = LazyLock::new(page::html);

/// `GET /openapi.json`
pub(crate) async fn openapi() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], TEXT.as_str()).into_response()
}

/// `GET /`
pub(crate) async fn reference() -> Response {
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    // The page is all there is to it: it needs nothing from anywhere.
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    let headers = [
        (header::CONTENT_TYPE, html),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, PAGE.as_str()).into_response()
}

/// The API as an `OpenAPI` 3.1 document.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = paths
            .entry(operation.path)
            .or_insert_with(|| Value::Object(Map::new()));
        let method = operation.method.as_str().to_ascii_lowercase();
        if let Some(methods) = path.as_object_mut() {
            methods.insert(method, described(&operation));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Weir",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "An API key: a UUID, with nothing before it.",
                },
            },
            "schemas": schemas::all(),
            "responses": schemas::errors(),
        },
    })
}

/// What an operation is called by programs: its name in one word.
fn operation_id(operation: &Operation) -> String {
    let mut id = String::new();
    for word in operation.name.split_whitespace() {
        let mut letters = word.chars();
        let Some(first) = letters.next() else {
            continue;
        };
        if id.is_empty() {
            id.extend(first.to_lowercase());
        } else {
            id.extend(first.to_uppercase());
        }
        id.extend(letters);
    }
    id
}

/// What an operation is listed under: the part of its path that says what it is about.
fn tag(operation: &Operation) -> &'static str {
    operation.answers.resource().name
}

fn described(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation_id(operation),
        "summary": operation.name,
        "tags": [tag(operation)],
        "x-permission": operation.permission.name(),
        "parameters": parameters(operation),
        "responses": responses(operation),
    });
    let body = match operation.takes {
        Takes::SettlementFile => Some(schemas::settlement_file()),
        Takes::Body(schema) => Some(bodies::request(schema)),
        Takes::ErrorsTable => Some(schemas::errors_table()),
        _ => None,
    };
    if let (Some(body), Some(described)) = (body, described.as_object_mut()) {
        described.insert("requestBody".to_owned(), body);
    }
    described
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let mut parameters: Vec<Value> = operation
        .path_ids()
        .map(|name| {
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "schema": { "type": "string", "format": "uuid" },
            })
        })
        .collect();
    if operation.takes_key() {
        parameters.push(repeated::parameter());
    }
    match operation.takes {
        Takes::Fields(resource) => parameters.push(fields(resource)),
        Takes::Query(resource) => parameters.extend(query(resource)),
        Takes::SettlementFile => parameters.extend(schemas::settlement()),
        Takes::Problems => parameters.extend(schemas::problems()),
        Takes::Lines => parameters.extend(schemas::lines()),
        Takes::Body(_) if matches!(operation.answers, Answers::Place(_)) => {
            parameters.push(schemas::place_parameter());
        }
        Takes::Body(_) | Takes::ErrorsTable | Takes::Nothing => {}
    }
    parameters
}

fn names(resource: &Resource) -> Vec<&'static str> {
    resource.fields.iter().map(|field| field.name).collect()
}

/// Which fields to show.
fn fields(resource: &Resource) -> Value {
    json!({
        "name": "fields",
        "in": "query",
        "description": "The fields to show, separated by commas; all of them, if it is not given.",
        "style": "form",
        "explode": false,
        "schema": {
            "type": "array",
            "items": { "type": "string", "enum": names(resource) },
            "minItems": 1,
        },
    })
}

/// What every list takes, and what this one is narrowed by.
fn query(resource: &Resource) -> Vec<Value> {
    let both = names(resource)
        .into_iter()
        .flat_map(|name| [name.to_owned(), format!("-{name}")]);
    let mut parameters = vec![
        json!({
            "name": "sort_column[]",
            "in": "query",
            "description": "A field to sort by, with - before it for the opposite order; the first \
                            above all, ties by id. A field that is named again changes nothing.",
            "schema": {
                "type": "array",
                "items": { "type": "string", "minLength": 1, "enum": both.collect::<Vec<_>>() },
                "minItems": 1,
            },
        }),
        json!({
            "name": "page_size",
            "in": "query",
            "description": "Most rows of the page.",
            "schema": {
                "type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX, "default": PAGE_SIZE,
            },
        }),
        json!({
            "name": "page_number",
            "in": "query",
            "description": "Which page; one beyond the last is empty. Not together with cursor.",
            "schema": { "type": "integer", "minimum": 1, "maximum": u32::MAX, "default": 1 },
        }),
        json!({
            "name": "cursor",
            "in": "query",
            "description": "Where the page begins, as a Link header gave it.",
            "schema": { "type": "string" },
        }),
        fields(resource),
    ];
    parameters.extend(resource.parameters.iter().flat_map(schemas::filter));
    parameters
}

fn responses(operation: &Operation) -> Value {
    let content = |schema: Value| json!({ "application/json": { "schema": schema } });
    let mut ok = match operation.answers {
        Answers::Nothing(resource) => json!({
            "description": format!("The {} is gone.", resource.name),
            "headers": schemas::correlation_header(),
        }),
        Answers::Csv(_) => json!({
            "description": "The table: its columns, then a row a detail in error.",
            "headers": schemas::correlation_header(),
            "content": { "text/csv": { "schema": { "type": "string" } } },
        }),
        Answers::Drafted(_) => json!({
            "description": "Every changed row is a draft now.",
            "headers": schemas::correlation_header(),
            "content": content(schemas::drafted()),
        }),
        Answers::Place(resource) => json!({
            "description": "The file, and how its bytes are to be sent.",
            "headers": schemas::correlation_header(),
            "content": content(uploads::place(resource)),
        }),
        Answers::Parts(_) => json!({
            "description": "The parts, in the order in which they were asked for.",
            "headers": schemas::correlation_header(),
            "content": content(uploads::parts()),
        }),
        Answers::Problems(resource) => json!({
            "description": "The page, in the order of the file. It may have fewer problems than were \
                            asked for, or none, where much had to be read to find them: the last \
                            page is the one without a Link.",
            "headers": schemas::link_header(),
            "content": {
                "application/json": {
                    "schema": {
                        "type": "array",
                        "items": schemas::reference(resource),
                        "maxItems": PROBLEMS_PAGE_SIZE_MAX,
                    },
                },
                "text/csv": { "schema": { "type": "string" } },
            },
        }),
        Answers::One(resource) if matches!(operation.takes, Takes::SettlementFile) => json!({
            "description": "The file; with validate_only, what an upload of it would come to.",
            "headers": schemas::correlation_header(),
            "content": content(json!({
                "anyOf": [schemas::reference(resource), schemas::validation()],
            })),
        }),
        Answers::One(resource) => json!({
            "description": format!("The {}.", resource.name),
            "headers": schemas::correlation_header(),
            "content": content(schemas::reference(resource)),
        }),
        Answers::List(resource) => json!({
            "description": "The page.",
            "headers": schemas::list_headers(),
            "content": content(json!({
                "type": "array",
                "items": schemas::reference(resource),
                "maxItems": PAGE_SIZE_MAX,
            })),
        }),
    };
    if operation.takes_key() {
        repeated::add_header(&mut ok);
    }
    let mut responses = json!({ "200": ok });
    let mut statuses = vec!["400", "401", "403", "500", "503"];
    if operation.path_ids().next().is_some() {
        statuses.push("404");
    }
    match (operation.takes, operation.answers) {
        (Takes::SettlementFile | Takes::Body(_) | Takes::ErrorsTable, _) => {
            statuses.extend(["409", "413", "415"]);
        }
        (Takes::Nothing, Answers::One(_)) => statuses.extend(["409", "413"]),
        (_, Answers::Nothing(_) | Answers::Problems(_)) => statuses.push("409"),
        _ => {}
    }
    if let Some(responses) = responses.as_object_mut() {
        for status in statuses {
            let reference = format!("#/components/responses/{status}");
            responses.insert(status.to_owned(), json!({ "$ref": reference }));
        }
    }
    responses
}
