//! All that reaches the system from outside: time, randomness, outgoing HTTP, AWS clients,
//! settings, logs and metrics.
//!
//! Nothing else in the workspace reads a clock, draws a random number or opens a connection; a lint
//! enforces it. Whoever needs one of them takes it as an argument, so a test owns them all: it moves
//! the time by hand, seeds the randomness and puts faults where a request would leave the process.
//!
//! | module | gives |
//! | --- | --- |
//! | [`clock`] | wall time, monotonic time, sleeping, timeouts; by hand in tests |
//! | [`random`] | random numbers, jitter, UUIDs; seeded in tests |
//! | [`http`] | outgoing HTTP/1.1 whose errors say whether anything was sent |
//! | [`config`] | settings from the environment, every problem reported at once |
//! | [`aws`] | DynamoDB, S3, SQS and Secrets Manager clients with timeouts and retries set |
//! | [`telemetry`] | JSON log lines that carry a correlation id |
//! | [`metrics`] | counts and durations in CloudWatch's embedded metric format |

pub mod aws;
pub mod clock;
pub mod config;
pub mod http;
pub mod metrics;
pub mod random;
pub mod telemetry;

pub use aws::{AwsClients, AwsOptions, SecretError, Secrets};
pub use clock::{Clock, Elapsed, ManualClock};
pub use config::{ConfigError, Reader};
pub use http::{
    Http, HttpError, HttpOptions, HttpRequest, HttpResponse, StreamBody, Transport, Url,
};
pub use metrics::{Metric, Metrics, Namespace};
pub use random::Random;
pub use telemetry::CorrelationId;
