//! The parts that functions talk to, started in this process, and a file's way into them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use weir_domain::{FileId, ObjectIdentity};
use weir_lambda::Parts;
use weir_local::embedded::{
    ACCESS_KEY_ID, Dynamodb, ObjectCreated, Outside, REGION, S3, S3Options, SECRET_ACCESS_KEY, Sqs,
};
use weir_runtime::{CorrelationId, Metrics};
use weir_settlement::TimeLimit;
use weir_settlement::upload::{Progress, Uploader};
use weir_simulator::{Running, Simulator, SimulatorOptions};

/// How much time each invocation has: one does it all.
pub(crate) const TIME: Duration = Duration::from_mins(14);
const BUCKET: &str = "weir-bench";

/// The parts that the functions talk to.
pub(crate) struct Surroundings {
    dynamodb: Dynamodb,
    s3: S3,
    pub(crate) sqs: Sqs,
    simulator: Running,
    /// Nobody listens: files are handed over by hand.
    _created: mpsc::Receiver<ObjectCreated>,
}

impl Surroundings {
    /// Starts them; objects lie in the folder, everything else in memory. With them, what a function
    /// is built from.
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<(Self, Parts)> {
        let outside = Outside::system();
        // As many objects may be put as nobody takes note of.
        let (on_created, created) = mpsc::channel(1_000);
        let objects = S3Options {
            folder: folder.to_owned(),
            port: None,
            buckets: vec![BUCKET.to_owned()],
            on_created,
        };
        let surroundings = Self {
            dynamodb: Dynamodb::start(None, None, outside.clone())?,
            s3: S3::start(objects, outside.clone())?,
            sqs: Sqs::start(None, outside.clone())?,
            simulator: Simulator::start(
                SocketAddr::from(([127, 0, 0, 1], 0)),
                SimulatorOptions::default(),
                outside.clock.clone(),
            )
            .await?,
            _created: created,
        };
        let parts = Parts {
            metrics: Metrics::discarded(outside.clock.clone()),
            clock: outside.clock,
            random: outside.random,
        };
        Ok((surroundings, parts))
    }

    /// Ends them.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.simulator.stop().await;
        self.sqs.stop().await;
        self.s3.stop().await;
        Ok(self.dynamodb.stop().await?)
    }

    /// What 3Rivers has made.
    pub(crate) fn made(&self) -> weir_simulator::Summary {
        self.simulator.summary()
    }

    /// The functions' settings, as a deployment would set them; what is not here has its default.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let settings = [
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.endpoint()),
            ("AWS_ENDPOINT_URL_S3", self.s3.endpoint()),
            ("AWS_ENDPOINT_URL_SQS", self.sqs.endpoint()),
            ("WEIR_TABLE_PREFIX", "weir-bench-".to_owned()),
            ("WEIR_BUCKET", BUCKET.to_owned()),
            ("WEIR_UPLOADS_QUEUE_URL", self.sqs.queue_url("uploads")),
            ("WEIR_DETAILS_QUEUE_URL", self.sqs.queue_url("details")),
            ("WEIR_THREE_RIVERS_URL", self.simulator.base_url()),
            (
                "WEIR_THREE_RIVERS_API_KEY",
                "bench-three-rivers-key".to_owned(),
            ),
        ];
        settings
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }
}

/// Takes an object to the end of its upload.
pub(crate) async fn take(
    uploader: &Uploader,
    object: ObjectIdentity,
    parts: &Parts,
) -> anyhow::Result<FileId> {
    let correlation_id = CorrelationId::generate(&parts.random, &parts.clock);
    let file = uploader.register(object, &correlation_id).await?;
    let limit = TimeLimit::after(TIME, &parts.clock);
    let progress = uploader.work(file.id, &limit).await?;
    anyhow::ensure!(progress == Progress::Done, "the file is {progress:?}");
    Ok(file.id)
}
