//! What AWS and 3Rivers offer to the functions: DynamoDB, S3, SQS and the simulator.

use std::net::SocketAddr;

use tokio::sync::mpsc;
use weir_runtime::Clock;
use weir_simulator::{Running, Simulator, SimulatorOptions};

use crate::embedded::{Dynamodb, ObjectCreated, Outside, S3, S3Options, Sqs};
use crate::system::{BUCKET, SystemError, SystemOptions};

/// So many new objects may wait to be announced before S3 makes whoever puts another one wait.
const CREATED_MAX: usize = 1_000;

/// The running services. Dropping them stops them without waiting.
#[derive(Debug)]
pub(super) struct Services {
    pub(super) dynamodb: Dynamodb,
    pub(super) s3: S3,
    pub(super) sqs: Sqs,
    pub(super) simulator: Running,
}

impl Services {
    /// Starts them, and gives what S3 will say of new objects.
    pub(super) async fn start(
        options: &SystemOptions,
        outside: &Outside,
    ) -> Result<(Self, mpsc::Receiver<ObjectCreated>), SystemError> {
        let (on_created, created) = mpsc::channel(CREATED_MAX);
        let database = options.data.join("dynamodb.sqlite");
        let dynamodb = Dynamodb::start(Some(&database), options.ports.dynamodb, outside.clone())?;
        let s3 = S3Options {
            folder: options.data.join("s3"),
            port: options.ports.s3,
            buckets: vec![BUCKET.to_owned()],
            on_created,
        };
        let services = Self {
            dynamodb,
            s3: S3::start(s3, outside.clone())?,
            sqs: Sqs::start(options.ports.sqs, outside.clone())?,
            simulator: start_simulator(options, &outside.clock).await?,
        };
        Ok((services, created))
    }

    /// Waits until one of them has ended, and tells which.
    pub(super) async fn ended(&self) -> &'static str {
        tokio::select! {
            () = self.dynamodb.ended() => "DynamoDB",
            () = self.s3.ended() => "S3",
            () = self.sqs.ended() => "SQS",
            () = self.simulator.ended() => "the 3Rivers simulator",
        }
    }

    /// Stops them all.
    pub(super) async fn stop(self) -> Result<(), SystemError> {
        self.simulator.stop().await;
        self.sqs.stop().await;
        self.s3.stop().await;
        Ok(self.dynamodb.stop().await?)
    }
}

async fn start_simulator(options: &SystemOptions, clock: &Clock) -> Result<Running, SystemError> {
    let listen = SocketAddr::from(([127, 0, 0, 1], options.ports.three_rivers.unwrap_or(0)));
    let simulator = SimulatorOptions {
        seed: options.seed,
        faults: options.faults.clone(),
        state_file: Some(options.data.join("three-rivers.journal")),
        ..SimulatorOptions::default()
    };
    Ok(Simulator::start(listen, simulator, clock.clone()).await?)
}
