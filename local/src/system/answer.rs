//! What a function answers to a batch of messages, read as AWS reads it.
//!
//! Done is everything when the answer is `null` or `{}`, or when its list is `null` or empty; else
//! everything but what the list names. An answer of any other form, or one that names what is not in
//! the batch, says nothing: then nothing is done, and every message comes again. Deleting a message
//! too few costs a delivery; one too many loses it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Answer {
    #[serde(default)]
    batch_item_failures: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Failure {
    item_identifier: String,
}

/// Why an answer says nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("not an answer to a batch: {0}")]
    Form(#[from] serde_json::Error),
    #[error("a failure is named that is not in the batch: {0:?}")]
    Unknown(String),
}

/// The ids of the messages that failed, all of them of the batch.
pub(super) fn failures(
    answer: Value,
    batch: &BTreeSet<&str>,
) -> Result<BTreeSet<String>, AnswerError> {
    // An array would be taken for the fields in their order.
    if answer.is_array() {
        return Err(AnswerError::Form(serde::de::Error::custom("a list")));
    }
    let answer: Option<Answer> = serde_json::from_value(answer)?;
    let named = answer.and_then(|answer| answer.batch_item_failures);
    let mut failed = BTreeSet::new();
    for Failure { item_identifier } in named.unwrap_or_default() {
        if !batch.contains(item_identifier.as_str()) {
            return Err(AnswerError::Unknown(item_identifier));
        }
        failed.insert(item_identifier);
    }
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(answer: Value) -> Option<Vec<String>> {
        let batch = BTreeSet::from(["a", "b"]);
        let failed = failures(answer, &batch).ok()?;
        Some(failed.into_iter().collect())
    }

    #[test]
    fn an_answer_that_names_nothing_says_that_all_is_done() {
        for answer in [
            json!(null),
            json!({}),
            json!({"batchItemFailures": null}),
            json!({"batchItemFailures": []}),
        ] {
            assert_eq!(read(answer.clone()), Some(Vec::new()), "{answer}");
        }
    }

    #[test]
    fn what_is_named_has_failed_and_the_rest_is_done() {
        let one = json!({"batchItemFailures": [{"itemIdentifier": "b"}]});
        assert_eq!(read(one), Some(vec!["b".to_owned()]));
        let twice =
            json!({"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "b"}]});
        assert_eq!(read(twice), Some(vec!["b".to_owned()]));
    }

    #[test]
    fn an_answer_of_another_form_says_nothing() {
        for answer in [
            json!("done"),
            json!(true),
            json!([]),
            json!([[]]),
            json!({"batchItemFailure": []}),
            json!({"batchItemFailures": "b"}),
            json!({"batchItemFailures": {"itemIdentifier": "b"}}),
            json!({"batchItemFailures": ["b"]}),
            json!({"batchItemFailures": [{}]}),
            json!({"batchItemFailures": [{"itemIdentifier": null}]}),
            json!({"batchItemFailures": [{"itemIdentifier": ""}]}),
            json!({"batchItemFailures": [{"itemIdentifier": 1}]}),
            json!({"batchItemFailures": [{"messageId": "b"}]}),
            json!({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "c"}]}),
        ] {
            assert_eq!(read(answer.clone()), None, "{answer}");
        }
    }
}
