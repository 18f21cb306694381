//! The settings of a queue: what SQS allows in each, and their defaults.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::fault::{Fault, Kind};

/// A message lives at most this long invisible, whatever is asked (12 hours).
pub(super) const VISIBILITY_MAX_S: u64 = 43_200;
/// A message may be delayed by at most this (15 minutes).
pub(super) const DELAY_MAX_S: u64 = 900;
/// A receive may wait at most this.
pub(super) const WAIT_MAX_S: u64 = 20;
/// A message, and all of a batch together, may have at most this many bytes (1 MiB).
pub(super) const MESSAGE_MAX_BYTES: u64 = 1_048_576;

/// What happens to a message that keeps coming back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redrive {
    /// The ARN of the queue that takes it.
    pub(super) target_arn: String,
    /// How many receives it may have before.
    pub(super) receives_max: u32,
    /// As it was given, for the answer.
    raw: String,
}

/// The settings of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) visibility_s: u64,
    pub(super) delay_s: u64,
    pub(super) wait_s: u64,
    pub(super) message_max_bytes: u64,
    pub(super) retention_s: u64,
    pub(super) redrive: Option<Redrive>,
    /// Kept and given back, without an effect here: encryption and access policies.
    kept: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            visibility_s: 30,
            delay_s: 0,
            wait_s: 0,
            message_max_bytes: MESSAGE_MAX_BYTES,
            retention_s: 345_600,
            redrive: None,
            kept: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// These settings with `given` put over them.
    ///
    /// # Errors
    /// A name that SQS does not know, a value out of its range, or a FIFO queue, which is not offered.
    pub(super) fn with(&self, given: &BTreeMap<String, String>) -> Result<Self, Fault> {
        let mut changed = self.clone();
        for (name, value) in given {
            changed.set(name, value)?;
        }
        Ok(changed)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        let seconds = |range| integer(name, value, range);
        match name {
            "VisibilityTimeout" => self.visibility_s = seconds(0..=VISIBILITY_MAX_S)?,
            "DelaySeconds" => self.delay_s = seconds(0..=DELAY_MAX_S)?,
            "ReceiveMessageWaitTimeSeconds" => self.wait_s = seconds(0..=WAIT_MAX_S)?,
            "MessageRetentionPeriod" => self.retention_s = seconds(60..=1_209_600)?,
            "MaximumMessageSize" => {
                self.message_max_bytes = integer(name, value, 1_024..=MESSAGE_MAX_BYTES)?;
            }
            "RedrivePolicy" if value.is_empty() => self.redrive = None,
            "RedrivePolicy" => self.redrive = Some(redrive(value)?),
            "FifoQueue" | "ContentBasedDeduplication" if value == "true" => {
                return Err(Fault::new(
                    Kind::UnsupportedOperation,
                    "FIFO queues are not offered here",
                ));
            }
            "FifoQueue" | "ContentBasedDeduplication" => {}
            "Policy"
            | "KmsMasterKeyId"
            | "KmsDataKeyReusePeriodSeconds"
            | "RedriveAllowPolicy"
            | "SqsManagedSseEnabled" => {
                self.kept.insert(name.to_owned(), value.to_owned());
            }
            _ => {
                return Err(Fault::new(
                    Kind::InvalidAttributeName,
                    format!("Unknown Attribute {name}."),
                ));
            }
        }
        Ok(())
    }

    /// The settings as the attributes of an answer.
    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let mut attributes = self.kept.clone();
        for (name, value) in [
            ("VisibilityTimeout", self.visibility_s),
            ("DelaySeconds", self.delay_s),
            ("ReceiveMessageWaitTimeSeconds", self.wait_s),
            ("MessageRetentionPeriod", self.retention_s),
            ("MaximumMessageSize", self.message_max_bytes),
        ] {
            attributes.insert(name.to_owned(), value.to_string());
        }
        if let Some(redrive) = &self.redrive {
            attributes.insert("RedrivePolicy".to_owned(), redrive.raw.clone());
        }
        attributes
    }
}

/// A whole number within `range`.
pub(super) fn integer(name: &str, text: &str, range: RangeInclusive<u64>) -> Result<u64, Fault> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let reason = format!("Must be from {} to {}.", range.start(), range.end());
            Fault::invalid(name, text, &reason)
        })
}

fn redrive(raw: &str) -> Result<Redrive, Fault> {
    let refused = |reason: &str| Fault::invalid("RedrivePolicy", raw, reason);
    let policy: Value = serde_json::from_str(raw).map_err(|_| refused("Must be JSON."))?;
    let target_arn = policy
        .get("deadLetterTargetArn")
        .and_then(Value::as_str)
        .ok_or_else(|| refused("It must contain deadLetterTargetArn."))?;
    // SQS takes the count as a number and as a text.
    let receives_max = match policy.get("maxReceiveCount") {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let receives_max = receives_max
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=1_000).contains(count))
        .ok_or_else(|| refused("maxReceiveCount must be from 1 to 1000."))?;
    Ok(Redrive {
        target_arn: target_arn.to_owned(),
        receives_max,
        raw: raw.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Result<Settings, Fault> {
        Settings::default().with(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn a_setting_is_taken_at_its_limits_and_refused_one_past_them() {
        for (name, least, most) in [
            ("VisibilityTimeout", 0, 43_200),
            ("DelaySeconds", 0, 900),
            ("ReceiveMessageWaitTimeSeconds", 0, 20),
            ("MessageRetentionPeriod", 60, 1_209_600),
            ("MaximumMessageSize", 1_024, 1_048_576),
        ] {
            for inside in [least, least + 1, most] {
                let settings = set(name, &inside.to_string()).unwrap();
                assert_eq!(settings.attributes()[name], inside.to_string());
            }
            assert!(set(name, &(most + 1).to_string()).is_err(), "{name}");
            assert!(set(name, &(least - 1).to_string()).is_err(), "{name}");
        }
    }

    #[test]
    fn a_redrive_policy_takes_its_count_as_a_number_or_as_a_text() {
        for count in ["5", "\"5\""] {
            let raw = format!(r#"{{"deadLetterTargetArn":"arn:x","maxReceiveCount":{count}}}"#);
            let redrive = set("RedrivePolicy", &raw).unwrap().redrive.unwrap();
            assert_eq!(
                (redrive.receives_max, redrive.target_arn.as_str()),
                (5, "arn:x")
            );
        }
        for refused in [
            "no json",
            "{}",
            r#"{"deadLetterTargetArn":"arn:x"}"#,
            r#"{"deadLetterTargetArn":"arn:x","maxReceiveCount":0}"#,
            r#"{"deadLetterTargetArn":"arn:x","maxReceiveCount":1001}"#,
        ] {
            assert!(set("RedrivePolicy", refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_unknown_setting_and_a_fifo_queue_are_refused() {
        assert_eq!(
            set("Colour", "red").unwrap_err().kind(),
            Kind::InvalidAttributeName
        );
        assert_eq!(
            set("FifoQueue", "true").unwrap_err().kind(),
            Kind::UnsupportedOperation
        );
    }
}
