//! Starting, listening, stopping.
//!
//! Invariant: it listens on the loopback only. [`Running::stop`] accepts nothing more, lets requests
//! under way finish for at most [`STOP_GRACE`], cuts those that are never answered, and returns when
//! nothing runs any more; dropping a [`Running`] does the same without waiting.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use weir_runtime::Clock;

use crate::faults::{Dice, Faults, FaultsError};
use crate::handler::{Platform, Settings, account};
use crate::journal::JournalError;
use crate::ledger::{Ledger, Summary};
use crate::rules::Rules;

/// How long requests under way may take once it is told to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long to wait before accepting again when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// An address that others can reach.
    #[error("{0} is not on the loopback: listen on 127.0.0.1")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}; stop what listens there, or choose another port")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// Faults that cannot be.
    #[error(transparent)]
    Faults(#[from] FaultsError),
    /// The state file cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// How the simulator is to be. By default: any API key, no fault, no memory beyond the process.
#[derive(Debug, Clone, Default)]
pub struct SimulatorOptions {
    /// What ids and faults are derived from.
    pub seed: u64,
    /// The API keys that are accepted; `None`: any.
    pub api_keys: Option<Vec<SecretString>>,
    /// What goes wrong to begin with.
    pub faults: Faults,
    /// How the platform behaves to begin with.
    pub rules: Rules,
    /// Where what was made is kept; `None`: in memory alone. The folder must exist.
    pub state_file: Option<PathBuf>,
}

/// 3Rivers on the loopback.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Starts listening; port 0 takes any that is free. Needs a Tokio runtime with I/O and time.
    pub async fn start(
        listen: SocketAddr,
        options: SimulatorOptions,
        clock: Clock,
    ) -> Result<Running, SimulatorError> {
        if !listen.ip().is_loopback() {
            return Err(SimulatorError::NotLoopback(listen));
        }
        options.faults.check()?;
        let ledger = Ledger::open(options.seed, options.state_file.as_deref())?;
        let failed = |source| SimulatorError::Listen {
            addr: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let (stop, stopping) = watch::channel(false);
        let accounts = options.api_keys.map(|keys| {
            let of = |key: &SecretString| account(key.expose_secret());
            keys.iter().map(of).collect()
        });
        let platform = Arc::new(Platform {
            clock,
            accounts,
            settings: RwLock::new(Arc::new(Settings {
                faults: options.faults,
                rules: options.rules,
            })),
            dice: Mutex::new(Dice::new(options.seed)),
            ledger: Mutex::new(ledger),
            stopping,
        });
        let (alive, lives) = watch::channel(());
        let serving = Arc::clone(&platform);
        let task = tokio::spawn(async move {
            accept(listener, serving).await;
            drop(lives);
        });
        Ok(Running {
            addr,
            platform,
            stop,
            alive,
            task,
        })
    }
}

/// A running simulator. It stops when this is dropped.
pub struct Running {
    addr: SocketAddr,
    platform: Arc<Platform>,
    stop: watch::Sender<bool>,
    /// Nobody listens to it once the task has ended, however it did.
    alive: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL for a client, without `/api/v2`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What has happened so far.
    pub fn summary(&self) -> Summary {
        self.platform.ledger().summary()
    }

    /// Replaces the faults from the next request on.
    pub fn set_faults(&self, faults: Faults) -> Result<(), FaultsError> {
        faults.check()?;
        self.platform
            .change_settings(|settings| settings.faults = faults);
        Ok(())
    }

    /// Replaces the rules from the next request on.
    pub fn set_rules(&self, rules: Rules) {
        self.platform
            .change_settings(|settings| settings.rules = rules);
    }

    /// Waits until it serves no more, which it does of itself only when something is badly wrong.
    pub async fn ended(&self) {
        self.alive.closed().await;
    }

    /// Stops, and returns once nothing is served any more and the state file is free.
    pub async fn stop(self) {
        let Self {
            platform,
            stop,
            task,
            ..
        } = self;
        // Nobody listening means that it has stopped already.
        let _ = stop.send(true);
        if let Err(error) = task.await {
            tracing::error!(%error, "the simulator ended before it was told to");
        }
        drop(platform);
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, platform: Arc<Platform>) {
    let mut stopping = platform.stopping.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            // An error means that the handle is gone: stop as well.
            _ = stopping.changed() => break,
            // Reaps what has ended, so that the set holds open connections only.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&platform)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    platform.clock.sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    // By the system's time: a clock that a test holds would keep it from ever stopping.
    let drained = Clock::system();
    let drained = drained.timeout(STOP_GRACE, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        connections.shutdown().await;
    }
}

async fn serve(stream: TcpStream, platform: Arc<Platform>) {
    // Small answers leave at once; a socket that cannot be told so is only slower.
    let _ = stream.set_nodelay(true);
    let mut stopping = platform.stopping.clone();
    let service = service_fn(move |request| {
        let platform = Arc::clone(&platform);
        async move { platform.answer(request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection was cut");
    }
}
