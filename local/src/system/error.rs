//! Why the system does not start or stop as it should, and what to do about it.

use std::net::SocketAddr;

use weir_lambda::BuildError;
use weir_runtime::ConfigError;
use weir_simulator::SimulatorError;
use weir_store::StoreError;

use crate::demo::DemoError;
use crate::embedded::EmbeddedError;

/// Why the system does not start or stop as it should.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// An address that others could reach.
    #[error("the API cannot listen on {0}, which others can reach: listen on 127.0.0.1")]
    NotLoopback(SocketAddr),
    /// A setting that is not one of [`TUNABLE`](super::TUNABLE).
    #[error("{0} cannot be set: it is for the local system to say, or it is not known")]
    NotTunable(String),
    /// DynamoDB, S3, SQS or the API: its port, its folder, or a failure of its own.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The 3Rivers simulator.
    #[error("3Rivers simulator: {0}")]
    Simulator(#[from] SimulatorError),
    /// A setting of a function is wrong.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// A function could not be built.
    #[error("a function could not be built: {0}")]
    Function(BuildError),
    /// A queue could not be made.
    #[error("the queue {queue} could not be made: {reason}")]
    Queue {
        /// Its name.
        queue: String,
        /// What SQS said.
        reason: String,
    },
    /// The tables could not be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The demo's data could not be written.
    #[error(transparent)]
    Demo(#[from] DemoError),
}
