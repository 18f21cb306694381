//! The bodies of requests that act on batches and details, parsed once.

use uuid::Uuid;
use weir_domain::BatchAction;

use super::NAMED_MAX;
use crate::schema::{BodyError, BodySchema, Checked, MemberRule, Violation, optional, required};

const IDS: &str = "batch_detail_ids";
const STATUS: &str = "status";
/// What `status` may be where a retry says which details it is for.
const RETRIED: [&str; 2] = ["Error", "Cancelled"];

/// The body of an action that is for some details or for all.
pub static ACTION_BODY: BodySchema = BodySchema {
    name: "batch action",
    members: &[optional(
        IDS,
        MemberRule::Ids {
            items_max: NAMED_MAX,
        },
        "The details that are meant, which an empty list has none of; every one that the action is \
             for, if it is not given",
    )],
};

/// The body of a retry.
pub static RETRY_BODY: BodySchema = BodySchema {
    name: "batch retry",
    members: &[
        optional(
            IDS,
            MemberRule::Ids {
                items_max: NAMED_MAX,
            },
            "The details that are meant, in Error or Cancelled; every one of a status, if it is not \
             given",
        ),
        optional(
            STATUS,
            MemberRule::OneOf(&RETRIED),
            "Of which status the details are that are meant, where none is named: Error if it is not \
             given, so that what was cancelled stays so",
        ),
    ],
};

/// The body that has something taken again.
pub static STATUS_BODY: BodySchema = BodySchema {
    name: "status",
    members: &[required(
        STATUS,
        MemberRule::OneOf(&["Unprocessed"]),
        "What it is to be",
    )],
};

/// What an action is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// Some details, by ids that need not be any's.
    Named(Vec<Uuid>),
    /// Every one that it is for.
    All(BatchAction),
}

impl Meant {
    /// Reads the body of an action; an empty one is for all.
    ///
    /// # Errors
    /// It is no JSON object, breaks its schema, or says two things at once.
    pub fn parse(action: BatchAction, bytes: &[u8]) -> Result<Self, BodyError> {
        if bytes.is_empty() {
            return Ok(Self::All(action));
        }
        let schema = match action {
            BatchAction::Retry => &RETRY_BODY,
            _ => &ACTION_BODY,
        };
        let mut members = schema.read(bytes)?;
        let status = match members.remove(STATUS) {
            Some(Checked::Text(status)) => Some(status),
            _ => None,
        };
        match (members.remove(IDS), status) {
            (Some(Checked::Ids(ids)), None) => Ok(Self::Named(ids)),
            (Some(_), _) => Err(BodyError::Invalid(vec![Violation {
                place: format!("/{STATUS}"),
                rule: format!("must not be given together with {IDS}"),
            }])),
            (None, Some(status)) if status == "Cancelled" => Ok(Self::All(BatchAction::Revive)),
            (None, _) => Ok(Self::All(action)),
        }
    }
}

/// Checks the body that has something taken again.
///
/// # Errors
/// It is no JSON object, or says another status.
pub fn check_status(bytes: &[u8]) -> Result<(), BodyError> {
    STATUS_BODY.read(bytes).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Meant, BodyError> {
        Meant::parse(BatchAction::Retry, text.as_bytes())
    }

    #[test]
    fn a_retry_is_for_what_is_in_error_unless_it_says_otherwise() {
        for text in ["", "{}", r#"{"status":"Error"}"#, r#"{"other":1}"#] {
            assert_eq!(parsed(text), Ok(Meant::All(BatchAction::Retry)), "{text}");
        }
        let cancelled = r#"{"status":"Cancelled"}"#;
        assert_eq!(parsed(cancelled), Ok(Meant::All(BatchAction::Revive)));
        assert!(matches!(
            parsed(r#"{"status":"Processed"}"#),
            Err(BodyError::Schema(_))
        ));
    }

    #[test]
    fn a_thousand_details_may_be_named_and_no_more() {
        let body = |count: usize| {
            let ids = vec![Uuid::from_u128(7).to_string(); count];
            serde_json::json!({ IDS: ids }).to_string()
        };
        for (count, is_good) in [
            (0, true),
            (1, true),
            (999, true),
            (1_000, true),
            (1_001, false),
        ] {
            assert_eq!(parsed(&body(count)).is_ok(), is_good, "{count}");
        }
    }

    #[test]
    fn an_empty_list_names_no_detail_and_never_means_all() {
        let none = format!(r#"{{"{IDS}":[]}}"#);
        assert_eq!(parsed(&none), Ok(Meant::Named(Vec::new())));
    }

    #[test]
    fn details_are_named_or_told_by_their_status_and_not_both() {
        let both = format!(r#"{{"{IDS}":["{}"],"status":"Error"}}"#, Uuid::from_u128(7));
        assert!(matches!(parsed(&both), Err(BodyError::Invalid(_))));
        assert!(matches!(
            parsed(r#"{"batch_detail_ids":"all"}"#),
            Err(BodyError::Schema(_))
        ));
        assert!(matches!(parsed("[]"), Err(BodyError::NotAnObject(_))));
        assert!(matches!(parsed("{"), Err(BodyError::NotAnObject(_))));
    }
}
