//! Puts the parts together as AWS does: queues trigger functions, S3 announces objects, a schedule
//! sweeps, a gateway turns HTTP requests into events of the API's functions.
//!
//! The functions' own settings, builders and handlers run here, on events of the real shape; only
//! what calls them is ours. State lives in one folder, which nobody but its owner may enter. The
//! queues do not survive a restart: what they held is found again by the sweeper, and objects that
//! nobody has heard of are announced once more.
//!
//! Refused are settings that would lead out of this process: see [`TUNABLE`].

mod answer;
mod environment;
mod error;
mod functions;
mod gateway;
mod invoke;
mod notify;
mod options;
mod pump;
mod services;
mod tasks;

use std::path::{Path, PathBuf};

use hyper::service::service_fn;
use tokio::sync::mpsc;
use weir_runtime::{AwsClients, AwsOptions, Reader};
use weir_simulator::Running;
use weir_store::{Names, Store};

use crate::embedded::{EmbeddedError, ObjectCreated, Outside, Server, bind_to};
use crate::{demo, private};
use functions::Functions;
use gateway::Gateway;
use services::Services;
use tasks::Tasks;

pub use environment::TUNABLE;
pub use error::SystemError;
pub use options::{Ports, Ready, SystemOptions};

/// The upload bucket, called as a deployment calls its own.
pub const BUCKET: &str = "weir-local-files-000000000000-us-east-1";
/// The file in the data folder that holds the settings of the functions.
const SETTINGS_FILE: &str = "functions.env";

/// The running system. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct System {
    ready: Ready,
    environment: Vec<(String, String)>,
    data: PathBuf,
    store: Store,
    api: Server,
    tasks: Tasks,
    services: Services,
}

impl System {
    /// Starts everything, and returns when requests are served. Needs a Tokio runtime.
    ///
    /// # Errors
    /// An address or the data folder cannot be used, a setting is wrong or not one to be set, or what
    /// the folder holds cannot be read. Each error says what to do.
    pub async fn start(options: SystemOptions) -> Result<Self, SystemError> {
        if !options.listen.ip().is_loopback() {
            return Err(SystemError::NotLoopback(options.listen));
        }
        environment::check(&options.settings)?;
        private::folder(&options.data).map_err(|source| unusable(&options.data, source))?;
        let outside = Outside::system();
        let listener = bind_to("API", options.listen)?;
        let (services, created) = Services::start(&options, &outside).await?;
        let environment = environment::environment(&services, &options.settings);
        let functions = Functions::build(&environment, &outside).await?;
        let (store, clients) = store(&environment, &outside).await?;
        functions::create_queues(&clients.sqs).await?;
        let api_key = seed(&store, &options, &outside).await?;
        let ready = Ready {
            ready: true,
            api: format!("http://{}", listener.1),
            s3: services.s3.endpoint(),
            sqs: services.sqs.endpoint(),
            dynamodb: services.dynamodb.endpoint(),
            three_rivers: services.simulator.base_url(),
            bucket: BUCKET.to_owned(),
            api_key,
        };
        let mut tasks = Tasks::default();
        let expiry = services.dynamodb.expiry();
        let (sqs, every) = (&services.sqs, options.sweep_every);
        let api = serve_api(listener, functions.gateway(&outside), &outside)?;
        functions.run(&mut tasks, &clients.sqs, sqs, expiry, every);
        let notifier = notify::Notifier {
            sqs: clients.sqs,
            queue_url: services.sqs.queue_url("uploads"),
            store: store.clone(),
            clock: outside.clock.clone(),
        };
        announce(&mut tasks, notifier, &services, created);
        Ok(Self {
            ready,
            environment,
            data: options.data,
            api,
            store,
            tasks,
            services,
        })
    }

    /// What is said once everything runs.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The settings of the functions, for running one of them elsewhere. Each name is there once.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Writes [`System::environment`] to `functions.env` in the data folder, a `NAME=value` a line,
    /// for its owner alone.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write_environment(&self) -> Result<(), SystemError> {
        let line = |(name, value): &(String, String)| format!("{name}={value}\n");
        let text: String = self.environment.iter().map(line).collect();
        let path = self.data.join(SETTINGS_FILE);
        private::write(&path, &text).map_err(|source| unusable(&path, source))
    }

    /// The tables, queues and objects.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The simulator.
    pub fn simulator(&self) -> &Running {
        &self.services.simulator
    }

    /// Waits until a part has ended, and tells which. None does so by itself unless it is broken:
    /// then nothing more can be relied on, and the system is to be stopped.
    pub async fn ended(&mut self) -> &'static str {
        tokio::select! {
            () = self.api.ended() => "the API",
            part = self.tasks.ended() => part,
            part = self.services.ended() => part,
        }
    }

    /// Stops everything: the API once its requests are answered, then the functions where they wait,
    /// then what they work on.
    ///
    /// # Errors
    /// The database had failed before, or did not end in time.
    pub async fn stop(self) -> Result<(), SystemError> {
        self.api.stop().await;
        self.tasks.stop().await;
        self.services.stop().await
    }
}

/// The tables, queues and objects by the functions' own settings.
async fn store(
    environment: &[(String, String)],
    outside: &Outside,
) -> Result<(Store, AwsClients), SystemError> {
    let mut reader = Reader::new(environment.iter().cloned());
    let (aws, names) = (AwsOptions::read(&mut reader), Names::read(&mut reader));
    reader.finish()?;
    let clients = AwsClients::new(&aws).await;
    let (clock, random) = (outside.clock.clone(), outside.random.clone());
    Ok((Store::new(clients.clone(), names, clock, random), clients))
}

/// Makes the tables and the demo's data, and gives the API key.
async fn seed(
    store: &Store,
    options: &SystemOptions,
    outside: &Outside,
) -> Result<String, SystemError> {
    store.create_tables().await?;
    let (clock, random) = (&outside.clock, &outside.random);
    demo::seed(store, clock, random).await?;
    if let Some(path) = &options.register_sellers_of {
        demo::register_sellers_of(store, path, clock, random).await?;
    }
    Ok(demo::api_key(store, &options.data, random, clock.now()).await?)
}

fn announce(
    tasks: &mut Tasks,
    notifier: notify::Notifier,
    services: &Services,
    created: mpsc::Receiver<ObjectCreated>,
) {
    let known = services.s3.objects(BUCKET);
    tasks.spawn("S3's notifications", notifier.run(known, created));
}

fn serve_api(
    listener: (std::net::TcpListener, std::net::SocketAddr),
    gateway: Gateway,
    outside: &Outside,
) -> Result<Server, SystemError> {
    let service = service_fn(move |request| gateway.clone().serve(request));
    Ok(Server::start(
        "API",
        listener,
        outside.clock.clone(),
        service,
    )?)
}

fn unusable(path: &Path, source: std::io::Error) -> SystemError {
    SystemError::Embedded(EmbeddedError::FolderUnusable {
        service: "data folder",
        path: path.to_owned(),
        source,
    })
}
