//! Faults where the AWS clients send their requests.
//!
//! A network loses requests and answers, holds them back and repeats them; a service throttles and
//! fails. Whether something took effect is another matter in each case, and that is what the code
//! under test must not guess.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use weir_runtime::{Clock, Random};

/// Which service a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// DynamoDB.
    Dynamodb,
    /// SQS.
    Sqs,
    /// S3.
    S3,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It never leaves.
    NotSent,
    /// It takes effect, and the answer is lost.
    AnswerLost,
    /// The caller is told that it failed; it takes effect later all the same.
    Late,
    /// It takes effect twice, and the second answer is given.
    Repeated,
    /// 400 with `ThrottlingException`; it has no effect.
    Throttled,
    /// 500; it has no effect.
    Failed,
    /// It takes its time.
    Slow,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 7] = [
        Self::NotSent,
        Self::AnswerLost,
        Self::Late,
        Self::Repeated,
        Self::Throttled,
        Self::Failed,
        Self::Slow,
    ];
}

/// How often each fault meets a request to a service, in a thousand; one fault at most.
#[derive(Debug, Clone, Default)]
pub struct Rates(BTreeMap<(Service, Fault), u64>);

impl Rates {
    /// Adds faults of a service.
    #[must_use]
    pub fn of(mut self, service: Service, rates: &[(Fault, u64)]) -> Self {
        for (fault, per_thousand) in rates {
            self.0.insert((service, *fault), *per_thousand);
        }
        self
    }
}

/// An HTTP client for the AWS clients with faults in it. Clones share them.
#[derive(Clone)]
pub struct FaultyClient {
    inner: SharedHttpClient,
    shared: Arc<Shared>,
}

struct Shared {
    rates: Rates,
    random: Random,
    clock: Clock,
    slow_max: Duration,
    is_on: AtomicBool,
    /// Requests that were said to have failed and are yet to be sent.
    late_count: AtomicUsize,
    met: Mutex<BTreeMap<(Service, Fault), u64>>,
    /// Words of requests that are throttled, all of them.
    throttled: Mutex<Option<String>>,
}

impl FaultyClient {
    /// Puts faults around a client. What is slow or late is so by at most `slow_max`.
    pub fn new(
        inner: SharedHttpClient,
        rates: Rates,
        random: Random,
        clock: Clock,
        slow_max: Duration,
    ) -> Self {
        let shared = Shared {
            rates,
            random,
            clock,
            slow_max,
            is_on: AtomicBool::new(true),
            late_count: AtomicUsize::new(0),
            met: Mutex::default(),
            throttled: Mutex::default(),
        };
        Self {
            inner,
            shared: Arc::new(shared),
        }
    }

    /// The client in the form that AWS clients take.
    pub fn shared(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// Throttles every request whose body has some words, until it is told otherwise.
    pub fn throttle(&self, words: Option<&str>) {
        let mut throttled = self.shared.throttled.lock();
        let throttled = throttled.as_deref_mut();
        *throttled.expect("no test panics while it holds it") = words.map(str::to_owned);
    }

    /// Lets no fault happen until they are let again.
    pub fn hold(&self, is_held: bool) {
        self.shared.is_on.store(!is_held, Ordering::SeqCst);
    }

    /// Ends the faults, and waits until every late request has arrived.
    pub async fn heal(&self) {
        self.shared.is_on.store(false, Ordering::SeqCst);
        while self.shared.late_count.load(Ordering::SeqCst) > 0 {
            Clock::system().sleep(Duration::from_millis(1)).await;
        }
    }

    /// How often each fault met a request.
    pub fn met(&self) -> BTreeMap<(Service, Fault), u64> {
        let met = self.shared.met.lock();
        met.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for FaultyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyClient")
    }
}

impl HttpClient for FaultyClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(FaultyConnector {
            inner: self.inner.http_connector(settings, components),
            shared: Arc::clone(&self.shared),
        })
    }
}

struct FaultyConnector {
    inner: SharedHttpConnector,
    shared: Arc<Shared>,
}

impl fmt::Debug for FaultyConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyConnector")
    }
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, shared) = (self.inner.clone(), Arc::clone(&self.shared));
        let fault = if shared.is_throttled(&request) {
            Some(Fault::Throttled)
        } else {
            shared.draw(service_of(&request))
        };
        match fault {
            None => inner.call(request),
            Some(fault) => HttpConnectorFuture::new(meet(fault, inner, shared, request)),
        }
    }
}

async fn meet(
    fault: Fault,
    inner: SharedHttpConnector,
    shared: Arc<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    match fault {
        Fault::NotSent => Err(shared.lost("the request never left")),
        Fault::AnswerLost => {
            let _ = inner.call(request).await;
            Err(shared.lost("the answer was lost"))
        }
        Fault::Late => {
            shared.late_count.fetch_add(1, Ordering::SeqCst);
            let late = Arc::clone(&shared);
            tokio::spawn(async move {
                late.pause().await;
                let _ = inner.call(request).await;
                late.late_count.fetch_sub(1, Ordering::SeqCst);
            });
            Err(shared.lost("no answer came"))
        }
        Fault::Repeated => {
            let again = request.try_clone();
            let first = inner.call(request).await;
            match again {
                Some(again) => inner.call(again).await,
                None => first,
            }
        }
        Fault::Throttled => Ok(refusal(400, "ThrottlingException")),
        Fault::Failed => Ok(refusal(500, "InternalServerError")),
        Fault::Slow => {
            shared.pause().await;
            inner.call(request).await
        }
    }
}

impl Shared {
    fn is_throttled(&self, request: &HttpRequest) -> bool {
        let throttled = self.throttled.lock();
        let throttled = throttled.unwrap_or_else(PoisonError::into_inner);
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
        throttled.as_ref().is_some_and(|words| body.contains(words))
    }

    /// What meets the next request.
    fn draw(&self, service: Service) -> Option<Fault> {
        if !self.is_on.load(Ordering::SeqCst) {
            return None;
        }
        let mut point = self.random.below(1_000);
        for fault in Fault::ALL {
            let rate = self.rates.0.get(&(service, fault)).copied().unwrap_or(0);
            if point < rate {
                let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
                *met.entry((service, fault)).or_default() += 1;
                return Some(fault);
            }
            point -= rate;
        }
        None
    }

    async fn pause(&self) {
        self.clock.sleep(self.random.jitter(self.slow_max)).await;
    }

    /// A failure that the AWS client tries again by itself in one of eight cases; the others reach
    /// the code under test.
    fn lost(&self, what: &str) -> ConnectorError {
        if self.random.below(8) == 0 {
            ConnectorError::io(what.into())
        } else {
            ConnectorError::other(what.into(), None)
        }
    }
}

fn service_of(request: &HttpRequest) -> Service {
    match request.headers().get("x-amz-target") {
        Some(target) if target.starts_with("DynamoDB") => Service::Dynamodb,
        Some(_) => Service::Sqs,
        None => Service::S3,
    }
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    let body = format!(r#"{{"__type":"com.amazonaws#{code}","message":"injected"}}"#);
    let status = status.try_into().expect("a status");
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    let content_type = "application/x-amz-json-1.0";
    response.headers_mut().insert("content-type", content_type);
    response
}
