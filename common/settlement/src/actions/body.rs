//! The bodies of requests that act on batches and details, parsed once.

use uuid::Uuid;
use weir_domain::BatchAction;

use super::{NAMED_MAX, Reach};
use crate::json;
use crate::schema::{
    BodyError, BodySchema, Checked, Member, MemberRule, Violation, optional, required,
};

const IDS: &str = "batch_detail_ids";
const STATUS: &str = "status";
const LOOKED_UP: &str = "looked_up";
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

/// That a person has looked up what became of the calls.
const LOOKED_UP_MEMBER: Member = optional(
    LOOKED_UP,
    MemberRule::Flag,
    "That you have looked up at 3Rivers that no call of the details was taken: without it, one in \
     bcs.outcome_unknown is not sent again",
);

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
        LOOKED_UP_MEMBER,
    ],
};

/// The body that has a batch taken again.
pub static STATUS_BODY: BodySchema = BodySchema {
    name: "status",
    members: &[STATUS_MEMBER],
};

/// The body that has a detail sent again.
pub static DETAIL_BODY: BodySchema = BodySchema {
    name: "detail status",
    members: &[STATUS_MEMBER, LOOKED_UP_MEMBER],
};

const STATUS_MEMBER: Member = required(
    STATUS,
    MemberRule::OneOf(&["Unprocessed"]),
    "What it is to be",
);

/// Details that a request names, by ids that need not be any's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The ids.
    pub ids: Vec<Uuid>,
    /// Whether whoever asks has looked up what became of their calls.
    pub looked_up: bool,
}

/// What an action is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// Some details.
    Named(Named),
    /// Every one that it is for.
    All(BatchAction),
}

impl Named {
    /// How far an action on them may go.
    pub fn reach(&self) -> Reach {
        if self.looked_up {
            Reach::LookedUp
        } else {
            Reach::Named
        }
    }
}

impl From<Vec<Uuid>> for Named {
    /// Details of whose calls nothing was looked up.
    fn from(ids: Vec<Uuid>) -> Self {
        Self {
            ids,
            looked_up: false,
        }
    }
}

impl Meant {
    /// Reads the body of an action; an empty one is for all.
    ///
    /// # Errors
    /// It is no JSON object, breaks its schema, says two things at once, or has members and none that
    /// is known: what is misspelt must not mean the whole batch.
    pub fn parse(action: BatchAction, bytes: &[u8]) -> Result<Self, BodyError> {
        if bytes.is_empty() {
            return Ok(Self::All(action));
        }
        let schema = match action {
            BatchAction::Retry => &RETRY_BODY,
            _ => &ACTION_BODY,
        };
        let sent = json::object(bytes).map_err(BodyError::NotAnObject)?;
        let mut members = schema.check(&sent).map_err(BodyError::Schema)?;
        if let Some(unknown) = sent.keys().next().filter(|_| members.is_empty()) {
            let known: Vec<_> = schema.members.iter().map(|member| member.name).collect();
            let unknown: String = unknown.chars().take(100).collect();
            return Err(invalid(
                &unknown,
                format!(
                    "is not a member of this body, which knows {}; for the whole batch, send none",
                    known.join(", ")
                ),
            ));
        }
        let looked_up = matches!(members.remove(LOOKED_UP), Some(Checked::Flag(true)));
        let status = match members.remove(STATUS) {
            Some(Checked::Text(status)) => Some(status),
            _ => None,
        };
        match (members.remove(IDS), status) {
            (Some(Checked::Ids(ids)), None) => Ok(Self::Named(Named { ids, looked_up })),
            (Some(_), _) => Err(invalid(
                STATUS,
                format!("must not be given together with {IDS}"),
            )),
            (None, _) if looked_up => Err(invalid(
                LOOKED_UP,
                format!("is for details that are named: give {IDS}"),
            )),
            (None, Some(status)) if status == "Cancelled" => Ok(Self::All(BatchAction::Revive)),
            (None, _) => Ok(Self::All(action)),
        }
    }
}

fn invalid(member: &str, rule: String) -> BodyError {
    BodyError::Invalid(vec![Violation {
        place: format!("/{member}"),
        rule,
    }])
}

/// Checks the body that has a batch taken again.
///
/// # Errors
/// It is no JSON object, or says another status.
pub fn check_status(bytes: &[u8]) -> Result<(), BodyError> {
    STATUS_BODY.read(bytes).map(drop)
}

/// Reads the body that has a detail sent again: whether what became of its calls was looked up.
///
/// # Errors
/// It is no JSON object, or says another status.
pub fn read_detail(bytes: &[u8]) -> Result<bool, BodyError> {
    let mut members = DETAIL_BODY.read(bytes)?;
    let looked_up = members.remove(LOOKED_UP);
    Ok(matches!(looked_up, Some(Checked::Flag(true))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Meant, BodyError> {
        Meant::parse(BatchAction::Retry, text.as_bytes())
    }

    #[test]
    fn a_retry_is_for_what_is_in_error_unless_it_says_otherwise() {
        for text in [
            "",
            "{}",
            r#"{"status":"Error"}"#,
            r#"{"status":"Error","other":1}"#,
        ] {
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
    fn a_misspelt_member_never_means_the_whole_batch() {
        for action in [
            BatchAction::Cancel,
            BatchAction::Retry,
            BatchAction::ConfirmDrafts,
            BatchAction::CancelDrafts,
        ] {
            let misspelt = br#"{"batch_details_ids":["x"]}"#;
            let error = Meant::parse(action, misspelt).unwrap_err();
            assert!(
                matches!(&error, BodyError::Invalid(all) if all[0].place == "/batch_details_ids"),
                "{error:?}"
            );
        }
    }

    #[test]
    fn only_named_details_can_have_been_looked_up() {
        let id = Uuid::from_u128(7);
        let named = |looked_up| {
            Ok(Meant::Named(Named {
                ids: vec![id],
                looked_up,
            }))
        };
        for (text, looked_up) in [("true", true), ("false", false)] {
            let body = format!(r#"{{"{IDS}":["{id}"],"looked_up":{text}}}"#);
            assert_eq!(parsed(&body), named(looked_up));
        }
        assert!(matches!(
            parsed(r#"{"looked_up":true}"#),
            Err(BodyError::Invalid(_))
        ));
        assert!(matches!(
            parsed(r#"{"looked_up":"yes"}"#),
            Err(BodyError::Schema(_))
        ));
        let detail = |text: &str| read_detail(text.as_bytes());
        assert_eq!(detail(r#"{"status":"Unprocessed"}"#), Ok(false));
        assert_eq!(
            detail(r#"{"status":"Unprocessed","looked_up":true}"#),
            Ok(true)
        );
    }

    #[test]
    fn an_empty_list_names_no_detail_and_never_means_all() {
        let none = format!(r#"{{"{IDS}":[]}}"#);
        let named = Named {
            ids: Vec::new(),
            looked_up: false,
        };
        assert_eq!(parsed(&none), Ok(Meant::Named(named)));
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
