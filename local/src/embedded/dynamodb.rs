//! DynamoDB on `SQLite`.
//!
//! The engine handles a request on the thread that read it, under one lock, and so blocks that thread.
//! It therefore has threads of its own, apart from those on which the rest of the process runs: the
//! database may be busy, the queues, timers and handlers go on.
//!
//! Durability: `SQLite` in WAL mode with `synchronous = NORMAL`. A commit is in the operating system's
//! hands when it is acknowledged, so killing the process loses nothing; a power cut can lose the last
//! commits but leaves the database whole.
//!
//! What the engine does not do: transactions never conflict with each other, streams are not offered,
//! and time to live and creation times go by the machine's clock.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;

use dynoxide::Database;
use dynoxide::server::serve_with_shutdown;
use futures::FutureExt as _;
use futures::future::Shared;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::listener::{self, STOP_GRACE};
use super::{EmbeddedError, Outside};

const NAME: &str = "DynamoDB";

/// Threads that read requests. One of them at a time has the database; with two, one parses while the
/// other one writes.
const THREADS_COUNT: usize = 2;

/// A running DynamoDB. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Dynamodb {
    addr: SocketAddr,
    outside: Outside,
    database: Handle,
    stop: Option<oneshot::Sender<()>>,
    ended: Shared<oneshot::Receiver<Result<(), String>>>,
    thread: JoinHandle<()>,
    /// Held, not used: it keeps other processes away.
    _lock: Option<fs::File>,
}

/// The engine's handle, which has nothing to show for debugging.
#[derive(Clone)]
struct Handle(Database);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

/// Deletes what has outlived its time, as DynamoDB does by itself. Clones work on the same tables.
#[derive(Debug, Clone)]
pub struct Expiry {
    database: Handle,
}

impl Expiry {
    /// Deletes the items whose time to live has passed, and tells how many there were. Requests go in
    /// between the pages.
    ///
    /// # Errors
    /// The database refused.
    pub async fn sweep(&self) -> Result<usize, EmbeddedError> {
        let database = self.database.0.clone();
        let failed = |reason: String| EmbeddedError::Failed {
            service: NAME,
            reason,
        };
        tokio::task::spawn_blocking(move || database.sweep_ttl())
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))
    }
}

impl Dynamodb {
    /// Starts on the database file at `path`, which is created with its folder when it is not there;
    /// without a path the tables live in memory. Without a port it takes any free one.
    ///
    /// # Errors
    /// The port or the file is in use, cannot be had, or is no database.
    pub fn start(
        path: Option<&Path>,
        port: Option<u16>,
        outside: Outside,
    ) -> Result<Self, EmbeddedError> {
        let lock = path.map(prepare).transpose()?;
        let database = open(path)?;
        let (listener, addr) = listener::bind(NAME, port)?;
        let (stop, stopped) = oneshot::channel();
        let (report, ended) = oneshot::channel();
        let served = database.clone();
        let thread = std::thread::Builder::new()
            .name("dynamodb".to_owned())
            .spawn(move || {
                let outcome = serve(listener, served, stopped);
                // Whoever dropped the handle does not want to know.
                let _ = report.send(outcome);
            })
            .map_err(|error| EmbeddedError::Failed {
                service: NAME,
                reason: error.to_string(),
            })?;
        Ok(Self {
            addr,
            outside,
            database: Handle(database),
            stop: Some(stop),
            ended: ended.shared(),
            thread,
            _lock: lock,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The URL for an AWS client.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Deletes the items whose time to live has passed, and tells how many there were. AWS does it by
    /// itself within days; here somebody has to ask.
    ///
    /// # Errors
    /// The database refused.
    pub async fn sweep_expired(&self) -> Result<usize, EmbeddedError> {
        self.expiry().sweep().await
    }

    /// What [`Dynamodb::sweep_expired`] does, for a schedule that does not own the database.
    pub fn expiry(&self) -> Expiry {
        Expiry {
            database: self.database.clone(),
        }
    }

    /// Waits until it serves no more, which it does of itself only when something is badly wrong.
    pub async fn ended(&self) {
        // Why it ended is told by `stop`.
        let _ = self.ended.clone().await;
    }

    /// Accepts nothing more, lets the requests under way finish for some seconds, and closes the file.
    ///
    /// # Errors
    /// It had failed before, or did not end in time.
    pub async fn stop(mut self) -> Result<(), EmbeddedError> {
        if let Some(stop) = self.stop.take() {
            // It is gone when the server has ended before; `ended` knows why.
            let _ = stop.send(());
        }
        let failed = |reason: String| EmbeddedError::Failed {
            service: NAME,
            reason,
        };
        self.outside
            .clock
            .timeout(STOP_GRACE, self.ended.clone())
            .await
            .map_err(|_| failed("a request did not end in time".to_owned()))?
            .map_err(|_| failed("its thread ended by itself".to_owned()))?
            .map_err(failed)?;
        // The report was its last act.
        self.thread
            .join()
            .map_err(|_| failed("its thread panicked".to_owned()))
    }
}

/// Makes the folder of the database and takes its lock.
fn prepare(path: &Path) -> Result<fs::File, EmbeddedError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|source| EmbeddedError::FolderUnusable {
            service: NAME,
            path: folder.to_owned(),
            source,
        })?;
    }
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    listener::lock(NAME, Path::new(&lock))
}

fn open(path: Option<&Path>) -> Result<Database, EmbeddedError> {
    let shown = path.unwrap_or(Path::new(":memory:"));
    let damaged = |reason: String| EmbeddedError::Damaged {
        service: NAME,
        path: shown.to_owned(),
        reason,
    };
    let database = match path {
        None => Database::memory(),
        Some(path) => Database::new(
            path.to_str()
                .ok_or_else(|| damaged("its name is not UTF-8".to_owned()))?,
        ),
    }
    .map_err(|error| damaged(error.to_string()))?;
    // The engine opens files with `synchronous = FULL`, which waits for the disk on each commit. Leaving
    // its bulk mode, in which it never was, is the way it offers to NORMAL.
    database
        .disable_bulk_loading()
        .map_err(|error| damaged(error.to_string()))?;
    Ok(database)
}

fn serve(
    listener: std::net::TcpListener,
    database: Database,
    stopped: oneshot::Receiver<()>,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS_COUNT)
        .thread_name("dynamodb")
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener).map_err(|error| error.to_string())?;
        // A dropped handle stops it too.
        let stop = async move {
            let _ = stopped.await;
        };
        serve_with_shutdown(listener, database, stop).await
    })
}
