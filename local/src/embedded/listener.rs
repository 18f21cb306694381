//! One HTTP/1.1 listener on the loopback for S3, SQS and the API, and the lock on a part's folder.
//!
//! Invariant: [`Server::stop`] accepts nothing more, lets the requests under way finish for at most
//! [`STOP_GRACE`], then drops the rest. A server that is dropped stops the same way by itself.

use std::error::Error;
use std::fs::{File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use weir_runtime::Clock;

use super::EmbeddedError;

/// How long requests under way may take once a part is told to stop.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(5);

/// How long to wait before accepting again when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Opens a listener on the loopback; `None` takes any free port.
pub(super) fn bind(
    service: &'static str,
    port: Option<u16>,
) -> Result<(std::net::TcpListener, SocketAddr), EmbeddedError> {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
    bind_to(service, wanted)
}

/// Opens a listener on an address, and gives the one it has got.
pub(crate) fn bind_to(
    service: &'static str,
    wanted: SocketAddr,
) -> Result<(std::net::TcpListener, SocketAddr), EmbeddedError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => EmbeddedError::PortInUse {
            service,
            addr: wanted,
        },
        _ => EmbeddedError::Listen {
            service,
            addr: wanted,
            source,
        },
    };
    let listener = std::net::TcpListener::bind(wanted).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

/// Takes the lock that keeps a second process off the same state. It lasts as long as the file.
pub(super) fn lock(service: &'static str, path: &Path) -> Result<File, EmbeddedError> {
    let unusable = |source| EmbeddedError::FolderUnusable {
        service,
        path: path.to_owned(),
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EmbeddedError::FolderInUse {
            service,
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// A running listener.
#[derive(Debug)]
pub(crate) struct Server {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `service` on `listener`. Needs a Tokio runtime.
    pub(crate) fn start<S, B>(
        name: &'static str,
        (listener, addr): (std::net::TcpListener, SocketAddr),
        clock: Clock,
        service: S,
    ) -> Result<Self, EmbeddedError>
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let listener = TcpListener::from_std(listener).map_err(|source| EmbeddedError::Listen {
            service: name,
            addr,
            source,
        })?;
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(accept(name, listener, clock, service, stopping));
        Ok(Self { addr, stop, task })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits until it serves no more, which it does of itself only when something is badly wrong.
    pub(crate) async fn ended(&self) {
        // Who accepts connections listens to it as long as it lives.
        self.stop.closed().await;
    }

    /// Stops, and returns once nothing is served any more.
    pub(crate) async fn stop(self) {
        // Nobody listening means that it has stopped already.
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a listener ended before it was told to");
        }
    }
}

async fn accept<S, B>(
    name: &'static str,
    listener: TcpListener,
    clock: Clock,
    service: S,
    mut stopping: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
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
                    connections.spawn(serve(stream, service.clone(), stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!(service = name, %error, "a connection was not accepted");
                    clock.sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = clock.timeout(STOP_GRACE, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        tracing::warn!(
            service = name,
            "connections were still open when it stopped"
        );
        connections.shutdown().await;
    }
}

async fn serve<S, B>(stream: TcpStream, service: S, mut stopping: watch::Receiver<bool>)
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Small answers leave at once; a socket that cannot be told so is only slower.
    let _ = stream.set_nodelay(true);
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
