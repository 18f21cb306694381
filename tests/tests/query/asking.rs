//! A world, the API on it, and keys of every scope.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use axum::Router;
use axum::body::{Body, to_bytes};
use chrono::{DateTime, Utc};
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;
use uuid::Uuid;
use weir_api::Api;
use weir_domain::{BatchAction, BatchOrdinal, Permission};
use weir_query::{QueryLimits, Scope};
use weir_runtime::{Metrics, Random};
use weir_store::{ApiKeyHash, ApiKeyRecord, BatchTask};
use weir_tests::parts::{Network, Parts};
use weir_tests::world::{Size, World};

/// Every test asks the same world, or the same small one.
static SHARED: OnceLock<Asked> = OnceLock::new();
static SMALL: OnceLock<Asked> = OnceLock::new();

/// A world that can be asked.
pub(crate) struct Asked {
    pub(crate) world: World,
    pub(crate) parts: Parts,
    /// The list of what was asked of the only file of which anything was.
    pub(crate) acted: &'static str,
    router: Router,
    runtime: Runtime,
}

/// What is answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body as it came.
    pub(crate) text: String,
    /// The body as JSON, where it is.
    pub(crate) body: Value,
}

impl Answered {
    /// The rows of a list.
    pub(crate) fn rows(&self) -> &Vec<Value> {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.body);
        self.body.as_array().unwrap()
    }

    /// Where the next page is.
    pub(crate) fn next(&self) -> Option<String> {
        let link = self.headers.get("link")?.to_str().unwrap();
        let target = link.strip_prefix('<').unwrap();
        Some(target.strip_suffix(">; rel=\"next\"").unwrap().to_owned())
    }
}

/// The world that all tests of what is in it ask.
pub(crate) fn asked() -> &'static Asked {
    SHARED.get_or_init(|| {
        Asked::start(Size {
            files: 14,
            batches_max: 4,
            details_max: 30,
        })
    })
}

/// A small world, for questions about each parameter of each operation.
pub(crate) fn small() -> &'static Asked {
    SMALL.get_or_init(|| {
        Asked::start(Size {
            files: 8,
            batches_max: 2,
            details_max: 3,
        })
    })
}

impl Asked {
    /// A world with files that have nothing in them, for a test's own.
    pub(crate) fn bare() -> Self {
        Self::start(Size {
            files: 6,
            batches_max: 0,
            details_max: 0,
        })
    }

    fn start(size: Size) -> Self {
        let runtime = Runtime::new().unwrap();
        let (world, parts) = runtime.block_on(async {
            let network = Network::new().await;
            let parts = Parts::start(&network, 7, 1).await;
            let random = Random::seeded(7);
            let now = parts.timeline.now();
            let world = World::make(&parts.store, &random, now, size).await;
            (world, parts)
        });
        let acted = runtime.block_on(acted(&world, &parts));
        Self {
            world,
            router: api(&parts).router(),
            parts,
            acted,
            runtime,
        }
    }

    /// The same with other limits of what one request may read.
    pub(crate) fn get_within(&self, limits: QueryLimits, key: &str, target: &str) -> Answered {
        let router = api(&self.parts).with_limits(limits).router();
        let request = Request::get(target).header("Authorization", key);
        let request = request.body(Body::empty()).unwrap();
        self.runtime.block_on(answered(router, request))
    }

    /// Waits for something to be done to the world.
    pub(crate) fn wait<T>(&self, doing: impl Future<Output = T>) -> T {
        self.runtime.block_on(doing)
    }

    /// A key with some permissions and a scope.
    pub(crate) fn key(&self, permissions: &[Permission], scope: Scope) -> String {
        self.key_until(permissions, scope, None, None)
    }

    /// A key that has expired, or was revoked, at some time.
    pub(crate) fn key_until(
        &self,
        permissions: &[Permission],
        scope: Scope,
        expires_at: Option<DateTime<Utc>>,
        revoked_at: Option<DateTime<Utc>>,
    ) -> String {
        let key = self.parts.random.uuid_v4().to_string();
        let record = ApiKeyRecord {
            id: Uuid::from_u128(1),
            name: "test".to_owned(),
            permissions: permissions
                .iter()
                .map(|one| one.name().to_owned())
                .collect(),
            client_id: scope.client_id,
            program_id: scope.program_id,
            seller_id: scope.seller_id,
            created_at: self.parts.timeline.now(),
            expires_at,
            revoked_at,
        };
        let hash = ApiKeyHash::of(&key);
        let put = self.parts.store.put_api_key(&hash, &record);
        self.runtime.block_on(put).unwrap();
        key
    }

    /// What a request is answered.
    pub(crate) fn ask(&self, request: Request<Body>) -> Answered {
        self.runtime
            .block_on(answered(self.router.clone(), request))
    }

    /// What a target is answered with a key.
    pub(crate) fn get(&self, key: &str, target: &str) -> Answered {
        self.send(Method::GET, key, target)
    }

    /// What a request without a body is answered with a key.
    pub(crate) fn send(&self, method: Method, key: &str, target: &str) -> Answered {
        let request = Request::builder().method(method).uri(target);
        let request = request.header("Authorization", key);
        self.ask(request.body(Body::empty()).unwrap())
    }

    /// What a target that is no JSON is answered.
    pub(crate) fn text(&self, key: &str, target: &str) -> (StatusCode, HeaderMap, String) {
        let request = Request::get(target).header("Authorization", key);
        let request = request.body(Body::empty()).unwrap();
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (status, headers) = (response.status(), response.headers().clone());
            let body = to_bytes(response.into_body(), 64 << 20).await.unwrap();
            (status, headers, String::from_utf8(body.to_vec()).unwrap())
        })
    }

    /// Every row of a list, page by page along its links.
    pub(crate) fn all(&self, key: &str, target: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut next = Some(target.to_owned());
        while let Some(target) = next {
            let page = self.get(key, &target);
            rows.extend(page.rows().iter().cloned());
            next = page.next();
        }
        rows
    }
}

/// Two things are asked of a batch whose seller is known, if there is one.
async fn acted(world: &World, parts: &Parts) -> &'static str {
    let firsts = world
        .files
        .iter()
        .map(|(file, _)| file.batch(BatchOrdinal::new(1).unwrap()));
    let batches = parts.store.batches(&firsts.collect::<Vec<_>>()).await;
    let mut batches = batches.unwrap().into_iter();
    let Some(batch) = batches.rfind(|batch| batch.seller_id.is_some()) else {
        return "";
    };
    for action in [BatchAction::Cancel, BatchAction::CancelDrafts] {
        let batch = parts.store.batch(batch.id).await.unwrap().unwrap();
        let now = parts.timeline.now();
        let task = BatchTask {
            id: parts.random.uuid_v7(now),
            action,
            actor: "ann (1)".to_owned(),
            correlation_id: "asked-by-ann".to_owned(),
            at: now,
            next_line: 1,
            checkpoint: None,
            changed: 0,
            left_out: BTreeSet::new(),
        };
        assert!(parts.store.begin_task(&batch, &task).await.unwrap());
        let ended = parts.store.end_task(&batch, &task, &task.left_out, now);
        assert!(ended.await.unwrap());
    }
    format!("/v1/files/{}/actions", batch.id.file()).leak()
}

fn api(parts: &Parts) -> Api {
    let clock = parts.timeline.clock().clone();
    let metrics = Metrics::discarded(clock.clone());
    Api::new(parts.store.clone(), clock, Random::seeded(8), metrics)
}

pub(crate) async fn answered(router: Router, request: Request<Body>) -> Answered {
    let response = router.oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body(), 64 << 20).await.unwrap();
    Answered {
        status,
        headers,
        text: String::from_utf8_lossy(&body).into_owned(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}
