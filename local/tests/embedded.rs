//! The embedded AWS services as the real AWS clients see them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "test helpers"
)]

#[path = "embedded/dynamodb.rs"]
mod dynamodb;
#[path = "embedded/killed.rs"]
mod killed;
#[path = "embedded/objects.rs"]
mod objects;
#[path = "embedded/parts.rs"]
mod parts;
#[path = "embedded/queues.rs"]
mod queues;

use aws_credential_types::Credentials;
use weir_local::embedded::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use weir_runtime::{AwsClients, AwsOptions};

/// Options that reach whichever endpoints are then set.
fn options() -> AwsOptions {
    let mut options = AwsOptions::new(REGION);
    options.credentials = Some(Credentials::from_keys(
        ACCESS_KEY_ID,
        SECRET_ACCESS_KEY,
        None,
    ));
    options
}

async fn dynamodb_client(endpoint: String) -> aws_sdk_dynamodb::Client {
    let mut options = options();
    options.endpoint_dynamodb = Some(endpoint);
    AwsClients::new(&options).await.dynamodb
}

async fn s3_client(endpoint: String) -> aws_sdk_s3::Client {
    let mut options = options();
    options.endpoint_s3 = Some(endpoint);
    AwsClients::new(&options).await.s3
}

async fn sqs_client(endpoint: String) -> aws_sdk_sqs::Client {
    let mut options = options();
    options.endpoint_sqs = Some(endpoint);
    AwsClients::new(&options).await.sqs
}
