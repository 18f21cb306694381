//! The functions' settings, as a deployment's template would set them.
//!
//! Invariant: where everything is, what it is called and which keys open it is said here alone. From
//! outside come only the [`TUNABLE`] settings, so that a shell which is set up for a deployment never
//! turns the local functions to the deployment's queues, or to the real 3Rivers.

use crate::embedded::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use crate::system::services::Services;
use crate::system::{BUCKET, SystemError};

/// The settings of the functions that may be set from outside: how long, how often, how many.
pub const TUNABLE: [&str; 18] = [
    "WEIR_ATTEMPTS_MAX",
    "WEIR_AWS_CONNECT_TIMEOUT",
    "WEIR_CALLS_MAX",
    "WEIR_CALL_TIMEOUT",
    "WEIR_CHARGE_WAIT",
    "WEIR_DYNAMODB_TIMEOUT",
    "WEIR_KEY_VALID",
    "WEIR_LEASE",
    "WEIR_LOG",
    "WEIR_MESSAGES_RECEIVES_MAX",
    "WEIR_QUERY_ROWS_MAX",
    "WEIR_RETRY_FIRST",
    "WEIR_RETRY_MAX",
    "WEIR_S3_TIMEOUT",
    "WEIR_SQS_TIMEOUT",
    "WEIR_SWEEP_QUEUE_LONG",
    "WEIR_SWEEP_QUIET",
    "WEIR_SWEEP_QUIET_BEHIND_QUEUE",
];

/// What a local 3Rivers may take, and how soon things are tried again: all much shorter than in a
/// deployment, because a person is waiting. Leases outlive the functions' own time all the same.
const LOCAL: [(&str, &str); 7] = [
    ("WEIR_CALL_TIMEOUT", "4"),
    ("WEIR_LEASE", "12"),
    ("WEIR_RETRY_FIRST", "1"),
    ("WEIR_RETRY_MAX", "30"),
    ("WEIR_CHARGE_WAIT", "60"),
    ("WEIR_SWEEP_QUIET", "5"),
    ("WEIR_SWEEP_QUIET_BEHIND_QUEUE", "60"),
];

/// Refuses what is not to be set from outside.
pub(super) fn check(settings: &[(String, String)]) -> Result<(), SystemError> {
    let foreign = |(name, _): &&(String, String)| !TUNABLE.contains(&name.as_str());
    match settings.iter().find(foreign) {
        Some((name, _)) => Err(SystemError::NotTunable(name.clone())),
        None => Ok(()),
    }
}

/// The settings, each name once.
pub(super) fn environment(
    services: &Services,
    settings: &[(String, String)],
) -> Vec<(String, String)> {
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let defaults = LOCAL.iter().map(|(name, value)| own(name, value));
    let mut environment = tuned(defaults.collect(), settings);
    environment.extend([
        own("AWS_REGION", REGION),
        own("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        own("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        own("AWS_EC2_METADATA_DISABLED", "true"),
        own("AWS_ENDPOINT_URL_DYNAMODB", &services.dynamodb.endpoint()),
        own("AWS_ENDPOINT_URL_S3", &services.s3.endpoint()),
        own("AWS_ENDPOINT_URL_SQS", &services.sqs.endpoint()),
        own("WEIR_TABLE_PREFIX", "weir-local-"),
        own("WEIR_BUCKET", BUCKET),
        own("WEIR_UPLOADS_QUEUE_URL", &services.sqs.queue_url("uploads")),
        own("WEIR_DETAILS_QUEUE_URL", &services.sqs.queue_url("details")),
        own(
            "WEIR_MESSAGES_QUEUE_URL",
            &services.sqs.queue_url("messages"),
        ),
        own("WEIR_THREE_RIVERS_URL", &services.simulator.base_url()),
        own("WEIR_THREE_RIVERS_API_KEY", "local-three-rivers-key"),
    ]);
    environment
}

/// The defaults under what is set over them; of a name that is set twice, the last holds.
fn tuned(
    mut defaults: Vec<(String, String)>,
    settings: &[(String, String)],
) -> Vec<(String, String)> {
    for (name, value) in settings {
        defaults.retain(|(known, _)| known != name);
        defaults.push((name.clone(), value.clone()));
    }
    defaults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn what_says_where_things_are_or_what_opens_them_cannot_be_set() {
        for name in [
            "WEIR_THREE_RIVERS_URL",
            "WEIR_THREE_RIVERS_API_KEY",
            "WEIR_THREE_RIVERS_API_KEYS",
            "WEIR_THREE_RIVERS_SECRET",
            "WEIR_DETAILS_QUEUE_URL",
            "WEIR_UPLOADS_QUEUE_URL",
            "WEIR_MESSAGES_QUEUE_URL",
            "WEIR_BUCKET",
            "WEIR_TABLE_PREFIX",
            "WEIR_API_AUTH",
            "AWS_ENDPOINT_URL_SQS",
            "AWS_ACCESS_KEY_ID",
            "weir_lease",
            "",
        ] {
            let refused = check(&settings(&[("WEIR_LEASE", "9"), (name, "x")]));
            let is_named = matches!(&refused, Err(SystemError::NotTunable(named)) if named == name);
            assert!(is_named, "{name}: {refused:?}");
        }
        check(&TUNABLE.map(|name| (name.to_owned(), "1".to_owned()))).unwrap();
    }

    #[test]
    fn a_setting_takes_the_place_of_the_default_and_the_last_of_two_holds() {
        let defaults = settings(&[("WEIR_LEASE", "12"), ("WEIR_RETRY_MAX", "30")]);
        let set = settings(&[
            ("WEIR_LEASE", "7"),
            ("WEIR_LOG", "warn"),
            ("WEIR_LEASE", "8"),
        ]);
        let expected = [
            ("WEIR_RETRY_MAX", "30"),
            ("WEIR_LOG", "warn"),
            ("WEIR_LEASE", "8"),
        ];
        assert_eq!(tuned(defaults, &set), settings(&expected));
    }
}
