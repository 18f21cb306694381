//! Who asks, and what they may see.
//!
//! `Authorization` holds an API key, a UUID. A handler takes an [`Allowed`] with the permission it
//! needs, so it cannot be called without the check; what the caller sees is narrowed by its
//! [`Scope`]. A looked-up key is remembered for at most a minute.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use uuid::Uuid;
use weir_domain::{ClientId, ProgramId, SellerId};
use weir_store::{ApiKeyHash, ApiKeyRecord, Batch, File};

use crate::{Api, ApiError};

/// How long a looked-up key is remembered: so long a revoked key may go on.
const REMEMBERED: Duration = Duration::from_mins(1);
/// Most keys that are remembered; past it all are forgotten.
const KEYS_MAX: usize = 10_000;

/// A permission, as a type.
pub(crate) trait Permission: Send + Sync + 'static {
    /// Its name on a key.
    const NAME: &'static str;
}

macro_rules! permissions {
    ($($type:ident = $name:literal),+ $(,)?) => {
        $(
            #[doc = concat!("`", $name, "`")]
            #[derive(Debug)]
            pub(crate) struct $type;
            impl Permission for $type {
                const NAME: &'static str = $name;
            }
        )+
    };
}

permissions! {
    SettlementsWrite = "settlements:write",
    FilesRead = "files:read",
    BatchesRead = "batches:read",
}

/// A caller who has the permission `P`.
#[derive(Debug)]
pub(crate) struct Allowed<P> {
    pub(crate) scope: Scope,
    /// Which key they have.
    pub(crate) key: ApiKeyHash,
    permission: PhantomData<P>,
}

/// What a caller may see: everything that matches each id that is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) client_id: Option<ClientId>,
    pub(crate) program_id: Option<ProgramId>,
    pub(crate) seller_id: Option<SellerId>,
}

impl Scope {
    /// Whether a batch may be seen.
    pub(crate) fn covers_batch(&self, batch: &Batch) -> bool {
        self.client_id.is_none_or(|id| id == batch.client_id)
            && self.program_id.is_none_or(|id| id == batch.program_id)
            && self.seller_id.is_none_or(|id| Some(id) == batch.seller_id)
    }

    /// Whether a file may be seen as far as its client and program go. Whether it is a seller's
    /// is known from the upload, or from its batches.
    pub(crate) fn covers_program_of(&self, file: &File) -> bool {
        self.client_id.is_none_or(|id| Some(id) == file.client_id)
            && self.program_id.is_none_or(|id| Some(id) == file.program_id)
    }
}

impl<P: Permission> FromRequestParts<Api> for Allowed<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let (key, record) = authenticate(parts, api).await?;
        if !record
            .permissions
            .iter()
            .any(|permission| permission == P::NAME)
        {
            return Err(ApiError::Unauthorized(format!(
                "The key may not do this: it needs the permission {}.",
                P::NAME
            )));
        }
        let scope = Scope {
            client_id: record.client_id,
            program_id: record.program_id,
            seller_id: record.seller_id,
        };
        Ok(Self {
            scope,
            key,
            permission: PhantomData,
        })
    }
}

async fn authenticate(parts: &Parts, api: &Api) -> Result<(ApiKeyHash, ApiKeyRecord), ApiError> {
    let mut sent = parts.headers.get_all(AUTHORIZATION).iter();
    let key = match (sent.next(), sent.next()) {
        (None, _) => Err("Send your API key in the Authorization header."),
        (Some(_), Some(_)) => Err("Send one Authorization header only."),
        (Some(key), None) => key.to_str().map_err(|_| "The API key must be a UUID."),
    };
    let key = key.map_err(ApiError::Unauthenticated)?;
    // Written one way, whatever way it came, so that it has one hash.
    let key = Uuid::try_parse(key)
        .map_err(|_| ApiError::Unauthenticated("The API key must be a UUID."))?
        .to_string();
    let key = ApiKeyHash::of(&key);
    let record = api.keys.look_up(api, &key).await?;
    let record = record.ok_or(ApiError::Unauthenticated("The API key is not known."))?;
    if record.expires_at.is_some_and(|at| at <= api.clock.now()) {
        return Err(ApiError::Unauthenticated("The API key has expired."));
    }
    Ok((key, record))
}

type Remembered = HashMap<ApiKeyHash, (Duration, ApiKeyRecord)>;

/// Keys that were looked up lately. Unknown ones are not remembered: a new key works at once, and
/// nobody can fill the memory with guesses.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyCache(Arc<Mutex<Remembered>>);

impl KeyCache {
    async fn look_up(
        &self,
        api: &Api,
        hash: &ApiKeyHash,
    ) -> Result<Option<ApiKeyRecord>, ApiError> {
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Remembered> {
        // A map is whole between any two of its operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
