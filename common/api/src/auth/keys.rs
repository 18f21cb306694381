//! Mode `keys`: an API key in `Authorization`, looked up by its SHA-256.
//!
//! A key that was looked up is remembered for at most [`REMEMBERED`], so one that is revoked stops
//! within that time. What a remembered key's own times say is asked anew with each request. Unknown
//! keys are not remembered: a new key works at once, and nobody can fill the memory with guesses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::header::AUTHORIZATION;
use http::request::Parts;
use uuid::Uuid;
use weir_query::Scope;
use weir_store::{ApiKeyHash, ApiKeyRecord};

use super::{Caller, Known};
use crate::{Api, ApiError};

/// How long a looked-up key is remembered: so long a revoked key may go on.
const REMEMBERED: Duration = Duration::from_mins(1);
/// Most keys that are remembered; past it all are forgotten.
const KEYS_MAX: usize = 10_000;

const NOT_SENT: &str = "Send your API key in the Authorization header.";
const SENT_TWICE: &str = "Send one Authorization header only.";
const NOT_A_UUID: &str = "The API key must be a UUID.";
const UNKNOWN: &str = "The API key is not known.";
const REVOKED: &str = "The API key has been revoked.";
const EXPIRED: &str = "The API key has expired.";

/// What is known of a request's caller by its key.
pub(super) async fn known(parts: &Parts, api: &Api) -> Result<Known, ApiError> {
    let key = sent(parts).map_err(ApiError::Unauthenticated)?;
    let record = api.keys.look_up(api, &key).await?;
    let record = record.ok_or(ApiError::Unauthenticated(UNKNOWN))?;
    valid(&record, api.clock.now()).map_err(ApiError::Unauthenticated)?;
    Ok(Known {
        who: Caller {
            id: record.id,
            name: record.name,
        },
        key,
        scope: Scope {
            client_id: record.client_id,
            program_id: record.program_id,
            seller_id: record.seller_id,
        },
        permissions: record.permissions,
    })
}

/// The key that was sent, written one way, whatever way it came, so that it has one hash.
fn sent(parts: &Parts) -> Result<ApiKeyHash, &'static str> {
    let mut sent = parts.headers.get_all(AUTHORIZATION).iter();
    let key = match (sent.next(), sent.next()) {
        (None, _) => return Err(NOT_SENT),
        (Some(_), Some(_)) => return Err(SENT_TWICE),
        (Some(key), None) => Uuid::try_parse_ascii(key.as_bytes()).map_err(|_| NOT_A_UUID)?,
    };
    Ok(ApiKeyHash::of(&key.to_string()))
}

/// Whether a key is good now. One that was both revoked and has expired was revoked.
fn valid(record: &ApiKeyRecord, now: DateTime<Utc>) -> Result<(), &'static str> {
    if record.revoked_at.is_some() {
        return Err(REVOKED);
    }
    if record.expires_at.is_some_and(|at| at <= now) {
        return Err(EXPIRED);
    }
    Ok(())
}

type Remembered = HashMap<ApiKeyHash, (Duration, ApiKeyRecord)>;

/// Keys that were looked up lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyCache(Arc<Mutex<Remembered>>);

impl KeyCache {
    async fn look_up(
        &self,
        api: &Api,
        hash: &ApiKeyHash,
    ) -> Result<Option<ApiKeyRecord>, ApiError> {
        // From before the question: the record is no older than the answer.
        let now = api.clock.monotonic();
        if let Some((at, record)) = self.lock().get(hash)
            && now.saturating_sub(*at) < REMEMBERED
        {
            return Ok(Some(record.clone()));
        }
        let record = api.store.api_key(hash).await?;
        let mut keys = self.lock();
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        match &record {
            Some(record) => keys.insert(hash.clone(), (now, record.clone())),
            None => keys.remove(hash),
        };
        Ok(record)
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // A map is whole between any two of its operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
