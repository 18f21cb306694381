//! From a request to an answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use uuid::Uuid;
use weir_runtime::Clock;

use crate::check;
use crate::faults::{Dice, Fault, Faults, Plan};
use crate::ledger::{Create, Facts, Ledger, head, not_found};
use crate::reply::{Reply, ReplyBody};
use crate::rules::{BuyerStanding, Rules};

/// The largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Most characters of an idempotency key.
const KEY_CHARS_MAX: usize = 255;
const PAGE_SIZE: usize = 100;
const PAGE_SIZE_MAX: usize = 1000;

/// No answer: the connection is to be closed.
#[derive(Debug, thiserror::Error)]
#[error("cut on purpose")]
pub(crate) struct CutConnection;

/// Faults and rules in force.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) faults: Faults,
    pub(crate) rules: Rules,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) clock: Clock,
    /// Fingerprints of the accepted API keys; `None` accepts any.
    pub(crate) accounts: Option<Vec<Uuid>>,
    pub(crate) settings: RwLock<Arc<Settings>>,
    pub(crate) dice: Mutex<Dice>,
    pub(crate) ledger: Mutex<Ledger>,
    /// Turns true when the simulator stops.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// The two collections that something can be made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Collection {
    Charges,
    Refunds,
}

/// Who an API key belongs to.
pub(crate) fn account(api_key: &str) -> Uuid {
    Uuid::from_bytes(head(&Sha256::digest(api_key)))
}

impl Platform {
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // The ledger is whole between any two of its steps.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        let settings = self.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut settings));
    }

    /// Answers one request.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<ReplyBody>, CutConnection> {
        let path = request.uri().path().to_owned();
        if let Some(path) = path.strip_prefix("/api/v2/") {
            return self.answer_api(path, request).await;
        }
        let reply = match path.strip_prefix("/_sim/") {
            Some(path) => self.answer_control(path, request).await,
            None => no_such_path(),
        };
        Ok(reply.into_response(false))
    }

    async fn answer_api(
        &self,
        path: &str,
        request: Request<Incoming>,
    ) -> Result<Response<ReplyBody>, CutConnection> {
        self.ledger().count_request();
        let Some(account) = self.account_of(request.headers()) else {
            return Ok(unauthenticated().into_response(false));
        };
        let settings = self.settings();
        let plan = self.plan(&settings.faults, request.headers());
        self.clock.sleep(plan.before).await;
        match plan.fault {
            Fault::Error { status, form } => {
                self.clock.sleep(plan.after).await;
                let retry_after_s = settings.faults.retry_after_s;
                return Ok(Reply::made_up(status, retry_after_s, form).into_response(false));
            }
            Fault::CutBefore => return Err(CutConnection),
            Fault::NeverAnswer { is_made: false } => return self.never().await,
            _ => {}
        }
        let reply = self.judge(account, path, request, &settings.rules).await;
        self.clock.sleep(plan.after).await;
        match plan.fault {
            Fault::CutAfterCommit => Err(CutConnection),
            Fault::NeverAnswer { .. } => self.never().await,
            fault => Ok(reply.into_response(fault == Fault::CutInAnswer)),
        }
    }

    fn plan(&self, faults: &Faults, headers: &HeaderMap) -> Plan {
        let key = headers
            .get("idempotency-key")
            .and_then(|key| key.to_str().ok());
        if *faults == Faults::default() {
            return Plan::NOTHING;
        }
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        dice.plan(faults, key)
    }

    /// Says nothing until the caller gives up or the simulator stops.
    async fn never(&self) -> Result<Response<ReplyBody>, CutConnection> {
        let mut stopping = self.stopping.clone();
        // An error means that the simulator is gone: the same to the caller.
        let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
        Err(CutConnection)
    }

    fn account_of(&self, headers: &HeaderMap) -> Option<Uuid> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let api_key = value.strip_prefix("Bearer ")?.trim();
        let account = (!api_key.is_empty()).then(|| account(api_key))?;
        let is_accepted = self
            .accounts
            .as_ref()
            .is_none_or(|accepted| accepted.contains(&account));
        is_accepted.then_some(account)
    }

    async fn judge(
        &self,
        account: Uuid,
        path: &str,
        request: Request<Incoming>,
        rules: &Rules,
    ) -> Reply {
        let (collection, id) = match path.split_once('/') {
            Some((collection, id)) => (collection, Some(id)),
            None => (path, None),
        };
        let query = request.uri().query().unwrap_or_default().to_owned();
        match (request.method(), collection, id) {
            (&Method::POST, "charges", None) => {
                self.create(account, Collection::Charges, request, rules)
                    .await
            }
            (&Method::POST, "refunds", None) => {
                self.create(account, Collection::Refunds, request, rules)
                    .await
            }
            (&Method::GET, "charges", None) => self.list(account, Collection::Charges, &query),
            (&Method::GET, "refunds", None) => self.list(account, Collection::Refunds, &query),
            (&Method::GET, "charges", Some(id)) => {
                found("charge", id, |id| self.ledger().charge(account, id))
            }
            (&Method::GET, "refunds", Some(id)) => {
                found("refund", id, |id| self.ledger().refund(account, id))
            }
            (&Method::GET, "buyers", Some(id)) => found("buyer", id, |id| buyer(id, rules)),
            (_, "charges" | "refunds", _) | (_, "buyers", Some(_)) => no_such_method(),
            _ => no_such_path(),
        }
    }

    async fn create(
        &self,
        account: Uuid,
        collection: Collection,
        request: Request<Incoming>,
        rules: &Rules,
    ) -> Reply {
        let (head_part, body) = request.into_parts();
        let Some(key) = idempotency_key(&head_part.headers) else {
            return Reply::error(
                StatusCode::BAD_REQUEST,
                "idempotency.key_missing",
                "Idempotency-Key is required: 1 to 255 visible characters",
            );
        };
        let body = match whole(body).await {
            Ok(body) => body,
            Err(reply) => return reply,
        };
        let Ok(json) = std::str::from_utf8(&body) else {
            let message = "The request is not UTF-8";
            return Reply::error(StatusCode::BAD_REQUEST, "request.malformed", message);
        };
        let name: &[u8] = match collection {
            Collection::Charges => b"charges",
            Collection::Refunds => b"refunds",
        };
        let hash = Sha256::new().chain_update(name).chain_update(&body);
        let facts = match collection {
            Collection::Charges => check::charge(json).map(Facts::Charge),
            Collection::Refunds => check::refund(json).map(Facts::Refund),
        };
        let create = Create {
            key,
            account,
            request: Uuid::from_bytes(head(&hash.finalize())),
            json,
            facts: facts.map_err(|invalid| refusal(&invalid)),
            now: self.clock.now(),
        };
        self.ledger().create(&create, rules)
    }

    fn list(&self, account: Uuid, collection: Collection, query: &str) -> Reply {
        let Ok(page) = Page::parse(query) else {
            return Reply::error(
                StatusCode::BAD_REQUEST,
                "request.malformed",
                "page_size is from 1 to 1000, page_number from 1, charge_id a UUID",
            );
        };
        let skip = page.number.saturating_sub(1).saturating_mul(page.size);
        let ledger = self.ledger();
        let body = match collection {
            Collection::Charges => ledger.charges(account, skip, page.size),
            Collection::Refunds => ledger.refunds(account, page.charge_id, skip, page.size),
        };
        Reply::json(StatusCode::OK, body)
    }

    async fn answer_control(&self, path: &str, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        match (&head.method, path) {
            (&Method::GET, "summary") => Reply::of(&self.ledger().summary()),
            (&Method::GET, "faults") => Reply::of(&self.settings().faults),
            (&Method::GET, "rules") => Reply::of(&self.settings().rules),
            (&Method::POST, "reset") => self.reset(),
            (&Method::PUT, "faults") => match read::<Faults>(body).await {
                Ok(faults) => match faults.check() {
                    Ok(()) => {
                        self.change_settings(|settings| settings.faults = faults);
                        Reply::of(&self.settings().faults)
                    }
                    Err(error) => malformed(&error.to_string()),
                },
                Err(reply) => reply,
            },
            (&Method::PUT, "rules") => match read::<Rules>(body).await {
                Ok(rules) => {
                    self.change_settings(|settings| settings.rules = rules);
                    Reply::of(&self.settings().rules)
                }
                Err(reply) => reply,
            },
            (_, "summary" | "faults" | "rules" | "reset") => no_such_method(),
            _ => no_such_path(),
        }
    }

    fn reset(&self) -> Reply {
        let mut ledger = self.ledger();
        if let Err(error) = ledger.reset() {
            return Reply::internal(&error.to_string());
        }
        self.dice
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .reset();
        Reply::of(&ledger.summary())
    }
}

/// Which part of a collection is asked for.
struct Page {
    size: usize,
    number: usize,
    charge_id: Option<Uuid>,
}

impl Page {
    /// Reads a query; parameters that it does not know are ignored.
    fn parse(query: &str) -> Result<Self, ()> {
        let mut page = Self {
            size: PAGE_SIZE,
            number: 1,
            charge_id: None,
        };
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "page_size" => page.size = value.parse().map_err(drop)?,
                "page_number" => page.number = value.parse().map_err(drop)?,
                "charge_id" => page.charge_id = Some(Uuid::try_parse(value).map_err(drop)?),
                _ => {}
            }
        }
        let is_valid = (1..=PAGE_SIZE_MAX).contains(&page.size) && page.number > 0;
        is_valid.then_some(page).ok_or(())
    }
}

fn idempotency_key(headers: &HeaderMap) -> Option<&str> {
    let key = headers.get("idempotency-key")?.to_str().ok()?;
    let is_valid =
        (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    is_valid.then_some(key)
}

async fn whole(body: Incoming) -> Result<Bytes, Reply> {
    match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Reply::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request.too_large",
            "The request is larger than 1 MiB",
        )),
        Err(_) => Err(malformed("The request broke off")),
    }
}

async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, Reply> {
    let body = whole(body).await?;
    // A derived reader would take an array for an object.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(malformed("must be an object"));
    }
    serde_json::from_slice(&body).map_err(|error| malformed(&error.to_string()))
}

fn found(what: &str, id: &str, find: impl FnOnce(Uuid) -> Option<Bytes>) -> Reply {
    let resource = Uuid::try_parse(id).ok().and_then(find);
    resource.map_or_else(|| not_found(what), |body| Reply::json(StatusCode::OK, body))
}

fn buyer(id: Uuid, rules: &Rules) -> Option<Bytes> {
    let status = match rules.buyers.standing(id) {
        BuyerStanding::Active => "Active",
        BuyerStanding::Suspended => "Suspended",
        BuyerStanding::Unknown => return None,
    };
    let customer = uuid::Builder::from_custom_bytes(head(&Sha256::digest(id))).into_uuid();
    let short = id.simple().to_string().split_off(24);
    let body = json!({
        "id": id, "customer_id": customer, "name": format!("Buyer {short}"),
        "client_reference_buyer_id": short, "buyer_status": status, "currency": "USD",
        "credit_limit": 100_000_000, "credit_available": 100_000_000, "credit_balance": 0,
        "credit_authorized": 0, "email": format!("buyer-{short}@example.com"), "phone": null,
        "role": "Purchaser",
    });
    Some(Bytes::from(body.to_string()))
}

fn refusal(invalid: &check::Invalid) -> Reply {
    let (status, code, message) = if invalid.is_malformed {
        (
            StatusCode::BAD_REQUEST,
            "request.malformed",
            "The request is malformed",
        )
    } else {
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "request.invalid",
            "The amounts do not fit together",
        )
    };
    Reply::refused(status, code, message, &invalid.problems)
}

fn malformed(message: &str) -> Reply {
    Reply::error(StatusCode::BAD_REQUEST, "request.malformed", message)
}

fn unauthenticated() -> Reply {
    Reply::error(
        StatusCode::UNAUTHORIZED,
        "authorization.unauthenticated_not_allowed",
        "Unauthenticated access is not allowed",
    )
}

fn no_such_path() -> Reply {
    Reply::error(
        StatusCode::NOT_FOUND,
        "path.not_found",
        "There is no such path",
    )
}

fn no_such_method() -> Reply {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Reply::error(status, "method.not_allowed", "There is no such method here")
}
