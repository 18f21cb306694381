//! What the system is told, and what it says.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use weir_simulator::Faults;

/// How the system is to be.
#[derive(Debug, Clone)]
pub struct SystemOptions {
    /// Where everything is kept; created when it is not there. Nobody but its owner is let in from
    /// then on.
    pub data: PathBuf,
    /// Where the API listens; on the loopback.
    pub listen: SocketAddr,
    /// Fixed ports of DynamoDB, S3, SQS and the simulator; any free ones when not given.
    pub ports: Ports,
    /// What the simulator does wrong.
    pub faults: Faults,
    /// What the simulator's faults and ids are derived from.
    pub seed: u64,
    /// A file whose sellers are to be known.
    pub register_sellers_of: Option<PathBuf>,
    /// How often the sweeper runs.
    pub sweep_every: Duration,
    /// Settings of the functions, over the local defaults: of [`TUNABLE`](super::TUNABLE) only.
    pub settings: Vec<(String, String)>,
}

/// Fixed ports.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    /// Of DynamoDB.
    pub dynamodb: Option<u16>,
    /// Of S3.
    pub s3: Option<u16>,
    /// Of SQS.
    pub sqs: Option<u16>,
    /// Of the simulator.
    pub three_rivers: Option<u16>,
}

/// What is said once everything runs.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// Always true.
    pub ready: bool,
    /// Base URL of the API.
    pub api: String,
    /// Endpoint of S3.
    pub s3: String,
    /// Endpoint of SQS.
    pub sqs: String,
    /// Endpoint of DynamoDB.
    pub dynamodb: String,
    /// Base URL of the simulator.
    pub three_rivers: String,
    /// The upload bucket.
    pub bucket: String,
    /// The API key of the demo's program.
    pub api_key: String,
}
