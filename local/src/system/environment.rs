//! The functions' settings, as a deployment's template would set them.

use weir_simulator::Running;

use crate::embedded::{ACCESS_KEY_ID, Dynamodb, REGION, S3, SECRET_ACCESS_KEY, Sqs};
use crate::system::BUCKET;

/// What a local 3Rivers may take, and how soon things are tried again: all much shorter than in a
/// deployment, because a person is waiting. Leases outlive the functions' own time all the same.
const LOCAL: [(&str, &str); 8] = [
    ("WEIR_CALL_TIMEOUT", "4"),
    ("WEIR_LEASE", "12"),
    ("WEIR_RETRY_FIRST", "1"),
    ("WEIR_RETRY_MAX", "30"),
    ("WEIR_CHARGE_WAIT", "60"),
    ("WEIR_SWEEP_QUIET", "5"),
    ("WEIR_SWEEP_QUIET_BEHIND_QUEUE", "60"),
    ("WEIR_THREE_RIVERS_API_KEY", "local-three-rivers-key"),
];

pub(super) fn environment(
    dynamodb: &Dynamodb,
    s3: &S3,
    sqs: &Sqs,
    simulator: &Running,
) -> Vec<(String, String)> {
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut environment: Vec<_> = LOCAL.iter().map(|(name, value)| own(name, value)).collect();
    environment.extend([
        own("AWS_REGION", REGION),
        own("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        own("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        own("AWS_EC2_METADATA_DISABLED", "true"),
        own("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb.endpoint()),
        own("AWS_ENDPOINT_URL_S3", &s3.endpoint()),
        own("AWS_ENDPOINT_URL_SQS", &sqs.endpoint()),
        own("WEIR_TABLE_PREFIX", "weir-local-"),
        own("WEIR_BUCKET", BUCKET),
        own("WEIR_UPLOADS_QUEUE_URL", &sqs.queue_url("uploads")),
        own("WEIR_DETAILS_QUEUE_URL", &sqs.queue_url("details")),
        own("WEIR_THREE_RIVERS_URL", &simulator.base_url()),
    ]);
    environment
}
