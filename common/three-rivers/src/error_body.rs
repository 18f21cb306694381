//! Code and message of an answer that is not a success.
//!
//! The documented form is `{"code", "message", "validationErrors": [{"dataPath", "message"}]}`, but
//! what stands between us and the platform answers as well, so everything may be missing or of
//! another type: what cannot be read is made up from the status. Texts are limited, and control
//! characters in them become spaces: they end in tables, logs and spreadsheets.

use std::fmt::Write;

use http::StatusCode;
use serde_json::Value;

use crate::answer::Refusal;

/// Most characters of a code; a longer one is taken for none.
pub const CODE_CHARS_MAX: usize = 200;
/// Most characters of a message; the rest is cut off and marked with `…`.
pub const MESSAGE_CHARS_MAX: usize = 2_000;
/// Most validation errors that are told one by one.
pub const VALIDATION_ERRORS_MAX: usize = 20;

/// What only the service itself may say.
const OWN_CODES: &str = "bcs.";

/// Reads the body of an answer with this status.
pub(crate) fn refusal(status: StatusCode, body: &str) -> Refusal {
    let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let text = |name: &str| {
        let text = clean(body.get(name)?.as_str()?);
        (!text.is_empty()).then_some(text)
    };
    let code = text("code");
    let is_usable =
        |code: &String| code.chars().count() <= CODE_CHARS_MAX && !code.starts_with(OWN_CODES);
    let mut message = text("message").unwrap_or_else(|| {
        let name = status.canonical_reason().unwrap_or("an unknown status");
        format!("{} {name}, without a message", status.as_u16())
    });
    if let Some(errors) = body.get("validationErrors").and_then(Value::as_array) {
        append_validation_errors(&mut message, errors);
    }
    Refusal {
        code: code
            .filter(is_usable)
            .unwrap_or_else(|| synthetic_code(status)),
        message: limited(message),
    }
}

/// The code of an answer that has none.
pub(crate) fn synthetic_code(status: StatusCode) -> String {
    format!("http.{}", status.as_u16())
}

/// Cuts a message to its limit.
pub(crate) fn limited(message: String) -> String {
    if message.chars().nth(MESSAGE_CHARS_MAX).is_none() {
        return message;
    }
    let kept = MESSAGE_CHARS_MAX.saturating_sub(1);
    message.chars().take(kept).chain(['…']).collect()
}

fn append_validation_errors(message: &mut String, errors: &[Value]) {
    for (index, error) in errors.iter().take(VALIDATION_ERRORS_MAX).enumerate() {
        let text = |name: &str| error.get(name).and_then(Value::as_str).map(clean);
        let path = text("dataPath").unwrap_or_default();
        let what = text("message").unwrap_or_else(|| "is invalid".to_owned());
        let before = if index == 0 { " — " } else { "; " };
        // Writing to a text cannot fail.
        let _ = write!(message, "{before}{path}: {what}");
    }
    let untold = errors.len().saturating_sub(VALIDATION_ERRORS_MAX);
    if untold > 0 {
        let _ = write!(message, "; and {untold} more");
    }
}

fn clean(text: &str) -> String {
    let spaced = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(status: u16, body: &str) -> (String, String) {
        let refusal = refusal(StatusCode::from_u16(status).unwrap(), body);
        (refusal.code, refusal.message)
    }

    fn pair(code: &str, message: &str) -> (String, String) {
        (code.to_owned(), message.to_owned())
    }

    #[test]
    fn code_and_message_are_the_platforms() {
        let body = r#"{"code":"buyer.not_found","message":"No such buyer","traceId":7}"#;
        assert_eq!(read(404, body), pair("buyer.not_found", "No such buyer"));
    }

    #[test]
    fn validation_errors_are_told_in_the_message() {
        let body = json!({"code": "invalid", "message": "Invalid request", "validationErrors": [
            {"dataPath": ".details[0].subtotal", "message": "must be 9999"},
            {"dataPath": ".currency"}, {"message": "odd"}, 7,
        ]});
        let told = "Invalid request — .details[0].subtotal: must be 9999; .currency: is invalid; \
                    : odd; : is invalid";
        assert_eq!(read(422, &body.to_string()), pair("invalid", told));
    }

    #[test]
    fn twenty_validation_errors_are_told_and_the_others_counted() {
        let told = |count: usize| {
            let errors = vec![json!({"dataPath": "p", "message": "m"}); count];
            let body = json!({"code": "c", "message": "m", "validationErrors": errors});
            let (_, message) = read(400, &body.to_string());
            (
                message.matches("p: m").count(),
                message.ends_with("; and 1 more"),
            )
        };
        assert_eq!(told(19), (19, false));
        assert_eq!(told(20), (20, false));
        assert_eq!(told(21), (20, true));
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_made_up_from_the_status() {
        let made_up = pair("http.502", "502 Bad Gateway, without a message");
        for body in [
            "",
            "<html>Bad Gateway</html>",
            "null",
            "[]",
            "\"text\"",
            "{}",
            r#"{"code":7,"message":{}}"#,
            r#"{"code":"","message":"  ","validationErrors":"none"}"#,
        ] {
            assert_eq!(read(502, body), made_up, "{body}");
        }
        assert_eq!(read(599, "").1, "599 an unknown status, without a message");
        assert_eq!(read(400, r#"{"code":"c"}"#).0, "c");
        assert_eq!(read(400, r#"{"message":"m"}"#), pair("http.400", "m"));
    }

    #[test]
    fn a_code_that_only_the_service_itself_may_give_is_not_taken() {
        assert_eq!(read(400, r#"{"code":"bcs.outcome_unknown"}"#).0, "http.400");
    }

    #[test]
    fn codes_and_messages_are_limited_in_length() {
        let of = |code: usize, message: usize| {
            let body = json!({"code": "é".repeat(code), "message": "ü".repeat(message)});
            let (code, message) = read(400, &body.to_string());
            (
                code.chars().count(),
                message.chars().count(),
                message.ends_with('…'),
            )
        };
        let synthetic = "http.400".len();
        assert_eq!(of(CODE_CHARS_MAX - 1, 1_999), (199, 1_999, false));
        assert_eq!(of(CODE_CHARS_MAX, 2_000), (200, 2_000, false));
        assert_eq!(of(CODE_CHARS_MAX + 1, 2_001), (synthetic, 2_000, true));
    }

    #[test]
    fn control_characters_become_spaces() {
        assert_eq!(
            read(400, r#"{"code":"a\tb","message":"one\r\ntwo\u0000"}"#),
            pair("a b", "one  two ")
        );
    }

    proptest! {
        #[test]
        fn any_body_gives_a_code_and_a_message_within_their_limits(body in ".{0,300}") {
            let (code, message) = read(500, &body);
            prop_assert!((1..=CODE_CHARS_MAX).contains(&code.chars().count()));
            prop_assert!((1..=MESSAGE_CHARS_MAX).contains(&message.chars().count()));
        }
    }
}
