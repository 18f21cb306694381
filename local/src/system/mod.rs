//! Puts the parts together as AWS does: queues trigger functions, S3 announces objects, a schedule
//! sweeps, a gateway serves the API.
//!
//! The functions' own settings, builders and handlers run here, on events of the real shape; only
//! what calls them is ours. State lives in one folder. The queues do not survive a restart: what
//! they held is found again by the sweeper, and objects that nobody has heard of are announced
//! once more.

mod environment;
mod notify;
mod pump;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weir_api::Api;
use weir_lambda::Parts;
use weir_runtime::{AwsClients, AwsOptions, Clock, Metrics, Random, Reader};
use weir_simulator::{Faults, Running, Simulator, SimulatorOptions};
use weir_store::{Names, Store};

use crate::demo;
use crate::embedded::{Dynamodb, Outside, S3, S3Options, Sqs};
use environment::environment;
use pump::{Pump, QueueSpec};

/// The upload bucket.
pub const BUCKET: &str = "weir-uploads";
/// How long the upload function may run: short, so that continuations are part of daily life.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the processor may run.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the sweeper may run.
const SWEEP_TIMEOUT: Duration = Duration::from_mins(1);
/// Invocations of the processor at the same time.
const PROCESSORS: usize = 4;
/// Files that are taken at the same time.
const UPLOADERS: usize = 2;

/// How the system is to be.
#[derive(Debug, Clone)]
pub struct SystemOptions {
    /// Where everything is kept; created when it is not there.
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
    /// Settings of the functions, over the local defaults.
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

/// The running system. Dropping it stops it.
#[derive(Debug)]
pub struct System {
    ready: Ready,
    environment: Vec<(String, String)>,
    store: Store,
    clients: AwsClients,
    tasks: JoinSet<()>,
    simulator: Running,
    dynamodb: Dynamodb,
    s3: S3,
    sqs: Sqs,
}

impl System {
    /// Starts everything, and returns when requests are served.
    pub async fn start(options: SystemOptions) -> anyhow::Result<Self> {
        anyhow::ensure!(
            options.listen.ip().is_loopback(),
            "listen on 127.0.0.1 only"
        );
        std::fs::create_dir_all(&options.data)?;
        let outside = Outside::system();
        let (clock, random) = (outside.clock.clone(), outside.random.clone());
        let (on_created, created) = mpsc::channel(1_000);
        let database = options.data.join("dynamodb.sqlite");
        let dynamodb = Dynamodb::start(Some(&database), options.ports.dynamodb, outside.clone())?;
        let s3 = S3Options {
            folder: options.data.join("s3"),
            port: options.ports.s3,
            buckets: vec![BUCKET.to_owned()],
            on_created,
        };
        let s3 = S3::start(s3, outside.clone())?;
        let sqs = Sqs::start(options.ports.sqs, outside)?;
        let simulator = start_simulator(&options, &clock).await?;
        let listener = TcpListener::bind(options.listen).await?;
        let mut environment = environment(&dynamodb, &s3, &sqs, &simulator);
        environment.extend(options.settings.clone());
        let mut reader = Reader::new(environment.clone());
        let (aws, names) = (AwsOptions::read(&mut reader), Names::read(&mut reader));
        reader.finish()?;
        let clients = AwsClients::new(&aws).await;
        let store = Store::new(clients.clone(), names, clock.clone(), random.clone());
        let uploads = QueueSpec::new("uploads", UPLOAD_TIMEOUT);
        let details = QueueSpec::new("details", PROCESS_TIMEOUT);
        uploads.create(&clients.sqs).await?;
        details.create(&clients.sqs).await?;
        store.create_tables().await?;
        demo::seed(&store).await?;
        if let Some(path) = &options.register_sellers_of {
            demo::register_sellers_of(&store, path, &random).await?;
        }
        let ready = Ready {
            ready: true,
            api: format!("http://{}", listener.local_addr()?),
            s3: s3.endpoint(),
            sqs: sqs.endpoint(),
            dynamodb: dynamodb.endpoint(),
            three_rivers: simulator.base_url(),
            bucket: BUCKET.to_owned(),
            api_key: demo::api_key(&store, &options.data, &random).await?,
        };
        let mut system = Self {
            ready,
            environment,
            store,
            clients,
            tasks: JoinSet::new(),
            simulator,
            dynamodb,
            s3,
            sqs,
        };
        system
            .run_functions(&clock, &random, options.sweep_every, uploads, details)
            .await?;
        system.run_notifications(created);
        system.serve_api(listener, &clock, &random);
        Ok(system)
    }

    async fn run_functions(
        &mut self,
        clock: &Clock,
        random: &Random,
        sweep_every: Duration,
        uploads: QueueSpec,
        details: QueueSpec,
    ) -> anyhow::Result<()> {
        let parts = || Parts {
            clock: clock.clone(),
            random: random.clone(),
            metrics: Metrics::discarded(clock.clone()),
        };
        let mut reader = Reader::new(self.environment.clone());
        let upload = weir_settlement_upload::read(&mut reader);
        let process = weir_detail_processor::read(&mut reader);
        let sweep = weir_sweeper::read(&mut reader);
        reader.finish()?;
        let failed = |error: weir_lambda::BuildError| anyhow::anyhow!(error);
        let upload = weir_settlement_upload::build(upload, parts())
            .await
            .map_err(failed)?;
        let process = weir_detail_processor::build(process, parts())
            .await
            .map_err(failed)?;
        let sweep = weir_sweeper::build(sweep, parts()).await.map_err(failed)?;
        let pump = |queue: QueueSpec| Pump {
            sqs: self.clients.sqs.clone(),
            url: self.sqs.queue_url(queue.name),
            queue,
            clock: clock.clone(),
        };
        for _ in 0..UPLOADERS {
            let (pump, state) = (pump(uploads), upload.clone());
            self.tasks.spawn(pump.run(move |event, deadline| {
                let state = state.clone();
                async move { weir_settlement_upload::handle(&state, event, deadline).await }
            }));
        }
        for _ in 0..PROCESSORS {
            let (pump, state) = (pump(details), process.clone());
            self.tasks.spawn(pump.run(move |event, deadline| {
                let state = state.clone();
                async move { weir_detail_processor::handle(&state, event, deadline).await }
            }));
        }
        let clock = clock.clone();
        self.tasks.spawn(async move {
            loop {
                let deadline = weir_lambda::Deadline::after(SWEEP_TIMEOUT, &clock);
                let event = pump::schedule_event(clock.now());
                if let Err(error) = weir_sweeper::handle(&sweep, event, deadline).await {
                    tracing::error!(%error, "the sweeper failed");
                }
                clock.sleep(sweep_every).await;
            }
        });
        Ok(())
    }

    fn run_notifications(&mut self, created: mpsc::Receiver<crate::embedded::ObjectCreated>) {
        let notifier = notify::Notifier {
            sqs: self.clients.sqs.clone(),
            queue_url: self.sqs.queue_url("uploads"),
            store: self.store.clone(),
        };
        let known = self.s3.objects(BUCKET);
        self.tasks
            .spawn(async move { notifier.run(known, created).await });
    }

    fn serve_api(&mut self, listener: TcpListener, clock: &Clock, random: &Random) {
        let metrics = Metrics::discarded(clock.clone());
        let api = Api::new(self.store.clone(), clock.clone(), random.clone(), metrics);
        self.tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, api.router()).await {
                tracing::error!(%error, "the API stopped");
            }
        });
    }

    /// What is said once everything runs.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The settings of the functions, for running one of them elsewhere.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The tables, queues and objects.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The simulator.
    pub fn simulator(&self) -> &Running {
        &self.simulator
    }

    /// Stops everything, the functions first.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.tasks.shutdown().await;
        self.simulator.stop().await;
        self.sqs.stop().await;
        self.s3.stop().await;
        Ok(self.dynamodb.stop().await?)
    }
}

async fn start_simulator(options: &SystemOptions, clock: &Clock) -> anyhow::Result<Running> {
    let listen = SocketAddr::from(([127, 0, 0, 1], options.ports.three_rivers.unwrap_or(0)));
    let simulator = SimulatorOptions {
        seed: options.seed,
        faults: options.faults.clone(),
        state_file: Some(options.data.join("three-rivers.journal")),
        ..SimulatorOptions::default()
    };
    Ok(Simulator::start(listen, simulator, clock.clone()).await?)
}
