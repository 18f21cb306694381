//! A database of a test's own, in memory, behind the wire protocol.

use aws_credential_types::Credentials;
use dynoxide::Database;
use dynoxide::server::serve_with_shutdown;
use tokio::sync::oneshot;
use weir_runtime::{AwsClients, AwsOptions, Clock, Random};
use weir_store::{Names, Store};

/// A store on empty tables, which are gone with it.
pub(crate) struct Tables {
    pub(crate) store: Store,
    pub(crate) clients: AwsClients,
    _stop: oneshot::Sender<()>,
}

impl Tables {
    /// A database with Weir's tables.
    pub(crate) async fn new() -> Self {
        let tables = Self::none().await;
        tables.store.create_tables().await.unwrap();
        tables
    }

    /// A database without tables.
    pub(crate) async fn none() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        // The engine blocks the thread that reads a request.
        std::thread::spawn(|| serve(listener, stopped));
        let clients = AwsClients::new(&AwsOptions {
            endpoint_dynamodb: Some(endpoint),
            credentials: Some(Credentials::from_keys("weir", "weir", None)),
            ..AwsOptions::new("us-east-1")
        })
        .await;
        let names = Names {
            table_prefix: "weir-test-".to_owned(),
            bucket: String::new(),
            uploads_queue: String::new(),
            details_queue: String::new(),
        };
        let store = Store::new(clients.clone(), names, Clock::system(), Random::seeded(1));
        Self {
            store,
            clients,
            _stop: stop,
        }
    }
}

fn serve(listener: std::net::TcpListener, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let stop = async {
            // An error too says that the test is over.
            let _ = stopped.await;
        };
        let database = Database::memory().unwrap();
        serve_with_shutdown(listener, database, stop).await.unwrap();
    });
}
