//! How the bytes of a file are to be sent, as answers.

use serde_json::{Map, Value, json};
use weir_query::Resource;
use weir_settlement::upload::{PART_BYTES, PARTS_ASKED_MAX, PARTS_MAX};

use super::schemas::{MOMENT, reference};

/// A resource that waits for an object, and how to send that.
pub(super) fn place(resource: &Resource) -> Value {
    let in_parts = json!({
        "part_size": {
            "type": "integer", "enum": [PART_BYTES],
            "description": "The bytes of every part but the last.",
        },
        "part_count": { "type": "integer", "minimum": 1, "maximum": PARTS_MAX },
        "expires_at": moment("Until when parts are kept, unless they are completed."),
    });
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["file", "upload"],
        "properties": {
            "file": reference(resource),
            "upload": {
                "anyOf": [object(&request()), object(&in_parts)],
                "description": "A request that sends all bytes; or, of a file that was announced with \
                                the checksum of its parts, what they are.",
            },
        },
    })
}

/// How parts are to be sent, and which are there.
pub(super) fn parts() -> Value {
    let part = |is_uploaded: bool, more: Value| {
        let mut properties = Map::from_iter([
            (
                "number".to_owned(),
                json!({ "type": "integer", "minimum": 1, "maximum": PARTS_MAX }),
            ),
            (
                "size".to_owned(),
                json!({ "type": "integer", "minimum": 1, "maximum": PART_BYTES }),
            ),
            (
                "uploaded".to_owned(),
                json!({ "type": "boolean", "enum": [is_uploaded] }),
            ),
        ]);
        if let Value::Object(more) = more {
            properties.extend(more);
        }
        object(&Value::Object(properties))
    };
    object(&json!({
        "parts": {
            "type": "array",
            "minItems": 1,
            "maxItems": PARTS_ASKED_MAX,
            "items": {
                "anyOf": [part(true, json!({})), part(false, request())],
                "description": "A part that is there with its checksum, or a request that sends it.",
            },
        },
    }))
}

/// The members of a signed request.
fn request() -> Value {
    json!({
        "method": { "type": "string", "enum": ["PUT"] },
        "url": { "type": "string", "description": "Where, without a key." },
        "headers": {
            "type": "object",
            "description": "The headers that must be sent as they are.",
        },
        "expires_at": moment("Until when."),
    })
}

fn moment(description: &str) -> Value {
    json!({
        "type": "string",
        "format": "date-time",
        "pattern": MOMENT,
        "description": description,
    })
}

/// An object that has all of these members and no others.
fn object(properties: &Value) -> Value {
    let names = properties.as_object().map(|all| all.keys().collect());
    let names: Vec<&String> = names.unwrap_or_default();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": names,
        "properties": properties,
    })
}
