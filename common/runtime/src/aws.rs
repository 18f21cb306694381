//! The clients of DynamoDB, S3, SQS and Secrets Manager.
//!
//! Invariants: the behaviour version is pinned, so an update of the SDK changes no default silently;
//! every call has a time-out; the clients share one pool of connections, one TLS set-up and one
//! set of credentials; proxies from the environment are not used, as the local system's endpoints are
//! on loopback. Only what [`AwsOptions`] says counts: profiles and the SDK's own variables change
//! nothing. Where no credentials are given, only [`AwsClients::with_found_credentials`] has the SDK look
//! for them: a function is given its own by Lambda, and what looks for others would be a part of it that
//! nothing uses.
//!
//! A transient failure is tried again by the SDK, three attempts in all with jitter. That is safe here
//! and would not be for charges, which go through [`Http`](crate::Http).
//!
//! Faults are injected through [`AwsOptions::http_client`], where the SDK sends its requests.

mod secrets;

use std::sync::Arc;
use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use secrecy::ExposeSecret;

use crate::config::Reader;

pub use secrets::{SecretError, Secrets};

/// How often a call is tried, the first time included.
const ATTEMPTS_MAX: u32 = 3;

/// How long a call to one service may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceTimeouts {
    /// One attempt, up to the head of the response: an S3 object's body may take longer.
    pub attempt: Duration,
    /// All attempts together, with the pauses between them.
    pub operation: Duration,
}

impl ServiceTimeouts {
    /// Time for every attempt, and 5 s for the pauses.
    pub fn of_attempt(attempt: Duration) -> Self {
        let pauses = Duration::from_secs(5);
        Self {
            attempt,
            operation: attempt.saturating_mul(ATTEMPTS_MAX).saturating_add(pauses),
        }
    }
}

/// What the clients are built from.
#[derive(Debug, Clone)]
pub struct AwsOptions {
    /// The region, such as `us-east-1`.
    pub region: String,
    /// Where DynamoDB is, if it is not AWS's.
    pub endpoint_dynamodb: Option<String>,
    /// Where S3 is, if it is not AWS's. Buckets are then part of the path instead of the host.
    pub endpoint_s3: Option<String>,
    /// Where SQS is, if it is not AWS's.
    pub endpoint_sqs: Option<String>,
    /// Where Secrets Manager is, if it is not AWS's.
    pub endpoint_secrets: Option<String>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a call to DynamoDB may take.
    pub timeouts_dynamodb: ServiceTimeouts,
    /// How long a call to S3 may take: enough for the upload of a part of some megabytes.
    pub timeouts_s3: ServiceTimeouts,
    /// How long a call to SQS may take: more than the 20 s that a receive may wait for messages.
    pub timeouts_sqs: ServiceTimeouts,
    /// How long a call to Secrets Manager may take.
    pub timeouts_secrets: ServiceTimeouts,
    /// What sends the requests, in place of the client that opens connections.
    pub http_client: Option<SharedHttpClient>,
    /// The credentials. Without them calls fail, unless the SDK is to look for them.
    pub credentials: Option<Credentials>,
}

impl AwsOptions {
    /// AWS itself in `region`, with the default time-outs: 2 s for a connection; 5, 60, 30 and 3 s for
    /// an attempt at DynamoDB, S3, SQS and Secrets Manager.
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            endpoint_dynamodb: None,
            endpoint_s3: None,
            endpoint_sqs: None,
            endpoint_secrets: None,
            connect_timeout: Duration::from_secs(2),
            timeouts_dynamodb: ServiceTimeouts::of_attempt(Duration::from_secs(5)),
            timeouts_s3: ServiceTimeouts::of_attempt(Duration::from_mins(1)),
            timeouts_sqs: ServiceTimeouts::of_attempt(Duration::from_secs(30)),
            timeouts_secrets: ServiceTimeouts::of_attempt(Duration::from_secs(3)),
            http_client: None,
            credentials: None,
        }
    }

    /// Reads `AWS_REGION` (required), `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
    /// `AWS_SESSION_TOKEN` (without the first two there are no credentials; one of them alone is a
    /// problem),
    /// `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL_S3`,
    /// `AWS_ENDPOINT_URL_SQS`, `AWS_ENDPOINT_URL_SECRETS_MANAGER` and, in whole seconds,
    /// `WEIR_AWS_CONNECT_TIMEOUT`, `WEIR_DYNAMODB_TIMEOUT`, `WEIR_S3_TIMEOUT`, `WEIR_SQS_TIMEOUT`,
    /// `WEIR_SECRETS_TIMEOUT`, the last four being an attempt's.
    pub fn read(reader: &mut Reader) -> Self {
        let credentials = credentials(reader);
        let mut endpoint = |name| reader.optional_url(name).map(String::from);
        let endpoint_dynamodb = endpoint("AWS_ENDPOINT_URL_DYNAMODB");
        let endpoint_s3 = endpoint("AWS_ENDPOINT_URL_S3");
        let endpoint_sqs = endpoint("AWS_ENDPOINT_URL_SQS");
        let endpoint_secrets = endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER");
        let mut attempt = |name, default, range| {
            ServiceTimeouts::of_attempt(reader.seconds(name, default, range))
        };
        Self {
            credentials,
            endpoint_dynamodb,
            endpoint_s3,
            endpoint_sqs,
            endpoint_secrets,
            timeouts_dynamodb: attempt("WEIR_DYNAMODB_TIMEOUT", 5, 1..=60),
            timeouts_s3: attempt("WEIR_S3_TIMEOUT", 60, 1..=600),
            // A receive that waits 20 s for messages must not look like one that hangs.
            timeouts_sqs: attempt("WEIR_SQS_TIMEOUT", 30, 21..=60),
            timeouts_secrets: attempt("WEIR_SECRETS_TIMEOUT", 3, 1..=10),
            connect_timeout: reader.seconds("WEIR_AWS_CONNECT_TIMEOUT", 2, 1..=30),
            ..Self::new(reader.text("AWS_REGION"))
        }
    }
}

/// The credentials that Lambda sets for its functions.
fn credentials(reader: &mut Reader) -> Option<Credentials> {
    const ID: &str = "AWS_ACCESS_KEY_ID";
    const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
    // Half a pair would otherwise be passed over, and the calls made as somebody else.
    let (id, secret) = match (reader.is_set(ID), reader.is_set(SECRET)) {
        (false, false) => return None,
        (true, false) => {
            reader.not_set(SECRET, "a secret, as AWS_ACCESS_KEY_ID is set");
            return None;
        }
        (false, true) => {
            reader.not_set(ID, "the id that belongs to AWS_SECRET_ACCESS_KEY");
            return None;
        }
        (true, true) => (reader.optional_secret(ID)?, reader.optional_secret(SECRET)?),
    };
    let token = reader.optional_secret("AWS_SESSION_TOKEN");
    let token = token.map(|token| token.expose_secret().to_owned());
    let (id, secret) = (id.expose_secret(), secret.expose_secret());
    Some(Credentials::new(id, secret, token, None, "environment"))
}

/// The clients. Clones share connections and credentials.
#[derive(Debug, Clone)]
pub struct AwsClients {
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// What a client of another service is built from.
    shared: Arc<SdkConfig>,
}

impl AwsClients {
    /// Builds the clients. Nothing is sent yet; missing credentials show with the first call.
    #[expect(
        clippy::unused_async,
        reason = "whoever builds clients does so in the same way, wherever their credentials come from"
    )]
    pub async fn new(options: &AwsOptions) -> Self {
        let credentials = options.credentials.clone();
        Self::build(options, credentials.map(SharedCredentialsProvider::new))
    }

    /// Builds the clients. Where no credentials are given, the SDK looks for them in its variables,
    /// its profiles and the machine's or the container's role, each time it needs them.
    pub async fn with_found_credentials(options: &AwsOptions) -> Self {
        if options.credentials.is_some() {
            return Self::new(options).await;
        }
        let chain = DefaultCredentialsChain::builder().region(Region::new(options.region.clone()));
        let found = SharedCredentialsProvider::new(chain.build().await);
        Self::build(options, Some(found))
    }

    fn build(options: &AwsOptions, credentials: Option<SharedCredentialsProvider>) -> Self {
        let region = Region::new(options.region.clone());
        let http_client = options.http_client.clone().unwrap_or_else(network);
        let mut shared = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(region)
            .http_client(http_client)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX));
        shared.set_credentials_provider(credentials);
        let shared = shared.build();
        let config = |endpoint: &Option<String>, timeouts| {
            service_config(&shared, options, endpoint.as_deref(), timeouts)
        };
        let s3 =
            aws_sdk_s3::config::Builder::from(&config(&options.endpoint_s3, options.timeouts_s3))
                .force_path_style(options.endpoint_s3.is_some())
                .build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&config(
                &options.endpoint_dynamodb,
                options.timeouts_dynamodb,
            )),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sqs: aws_sdk_sqs::Client::new(&config(&options.endpoint_sqs, options.timeouts_sqs)),
            shared: Arc::new(shared),
        }
    }
}

/// What all services share, with one's endpoint and time-outs.
fn service_config(
    shared: &SdkConfig,
    options: &AwsOptions,
    endpoint: Option<&str>,
    timeouts: ServiceTimeouts,
) -> SdkConfig {
    let timeouts = timeout_config(options.connect_timeout, timeouts);
    let builder = shared.to_builder().timeout_config(timeouts);
    match endpoint {
        Some(endpoint) => builder.endpoint_url(endpoint).build(),
        None => builder.build(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that makes it")]
fn network() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https()
}

fn timeout_config(connect: Duration, service: ServiceTimeouts) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(connect)
        .operation_attempt_timeout(service.attempt)
        .operation_timeout(service.operation)
        .build()
}

#[cfg(test)]
mod tests;
