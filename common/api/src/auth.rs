//! Who asks, and what they may see.
//!
//! A handler takes an [`Allowed`] with the permission it needs, so it cannot be called without the
//! check; what the caller sees is narrowed by its [`Scope`]. Who asks is told in one of two ways, set
//! once for the function ([`AuthOptions`]):
//!
//! | mode | who asks is told by |
//! | --- | --- |
//! | `keys` | an API key, a UUID, in `Authorization` |
//! | `upstream` | the site's own gateway, in two headers |
//!
//! Invariants: in mode `keys` the two headers are taken off every request before anything reads them;
//! in mode `upstream` they count only on a request that API Gateway has authorised by IAM, so nobody
//! but that gateway can say who somebody is. Whoever cannot be told is refused with 401
//! `unauthenticated` and the reason; whoever lacks the permission with 403 `unauthorized`. There is no
//! `WWW-Authenticate` header: neither way is one that a browser could offer.

mod keys;
pub mod permission;
mod upstream;

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use uuid::Uuid;
use weir_domain::Permission;
use weir_query::Scope;
use weir_runtime::Reader;
use weir_store::ApiKeyHash;

use crate::{Api, ApiError};

pub(crate) use keys::KeyCache;
pub use permission::Permitted;

/// How it is known who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthOptions {
    /// By an API key of the table.
    #[default]
    Keys,
    /// By the headers of a gateway in front, on requests that are [`AuthorisedByIam`].
    Upstream,
}

impl AuthOptions {
    /// Reads `WEIR_API_AUTH`: `keys` or `upstream`. Default: `keys`.
    pub fn read(reader: &mut Reader) -> Self {
        let modes = [("keys", Self::Keys), ("upstream", Self::Upstream)];
        reader.choice("WEIR_API_AUTH", &modes).unwrap_or_default()
    }

    /// Takes off a request what only a gateway in front may say.
    pub(crate) fn strip(self, headers: &mut HeaderMap) {
        if self == Self::Keys {
            for name in upstream::HEADERS {
                headers.remove(name);
            }
        }
    }
}

/// Marks a request that API Gateway has authorised by IAM. Nothing that a client sends sets it: the
/// function's handler does, from the request's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorisedByIam;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The public id of the key, or the id that the gateway in front gave.
    pub id: Uuid,
    /// What the key or the caller is called.
    pub name: String,
}

impl Caller {
    /// Who it is, as records and history show it.
    pub(crate) fn shown(&self) -> String {
        format!("{} ({})", self.name, self.id)
    }
}

/// A caller who has the permission `P`.
#[derive(Debug)]
pub(crate) struct Allowed<P> {
    pub(crate) scope: Scope,
    /// Who it is.
    pub(crate) who: Caller,
    permission: PhantomData<P>,
}

/// What is known of whoever asks, before it is asked what for.
#[derive(Debug)]
pub(crate) struct Known {
    who: Caller,
    /// What is theirs alone: the hash of the key, or of the caller's id where there is no key.
    pub(crate) key: ApiKeyHash,
    scope: Scope,
    permissions: Vec<String>,
}

impl Known {
    /// What is known of a request's caller.
    pub(crate) async fn of(parts: &Parts, api: &Api) -> Result<Self, ApiError> {
        match api.auth {
            AuthOptions::Keys => keys::known(parts, api).await,
            AuthOptions::Upstream => upstream::known(parts),
        }
    }

    /// Refuses whoever lacks a permission.
    pub(crate) fn must(&self, permission: Permission) -> Result<(), ApiError> {
        if self.may(permission) {
            return Ok(());
        }
        Err(ApiError::Unauthorized(format!(
            "You may not do this: it needs the permission {permission}."
        )))
    }

    /// Names that are no permission grant nothing.
    fn may(&self, permission: Permission) -> bool {
        self.permissions
            .iter()
            .any(|name| name == permission.name())
    }
}

impl<P: Permitted> FromRequestParts<Api> for Allowed<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let known = Known::of(parts, api).await?;
        known.must(P::PERMISSION)?;
        Ok(Self {
            scope: known.scope,
            who: known.who,
            permission: PhantomData,
        })
    }
}
