//! What the document says of requests that are sent again.

use serde_json::{Value, json};

use crate::idempotency::{KEY_CHARS_MAX, KEY_HEADER, REPLAYED_HEADER};

/// The header that a `POST` takes, unless it may be repeated as it is.
pub(super) fn parameter() -> Value {
    json!({
        "name": KEY_HEADER,
        "in": "header",
        "description": "Makes the request known again: for 24 hours, the same request of the same caller \
                        under the same key gets the first answer and does nothing. Visible ASCII \
                        characters.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": KEY_CHARS_MAX,
            "pattern": "^[!-~]+$",
        },
    })
}

/// Adds to the answer of such a `POST` the header that a repetition gets.
pub(super) fn add_header(answer: &mut Value) {
    if let Some(headers) = answer.get_mut("headers").and_then(Value::as_object_mut) {
        let header = json!({
            "description": "\"true\" where the answer was given before to the same request under its \
                            Idempotency-Key; absent otherwise. Errors have it too.",
            "schema": { "type": "string", "enum": ["true"] },
        });
        headers.insert(REPLAYED_HEADER.to_owned(), header);
    }
}
