//! Mode `upstream`: a gateway of the site's own says who asks, in two headers of JSON.
//!
//! ```text
//! X-Authenticated-Request: {"version":"1.0.0","id":"<uuid>","name":"…"}
//! X-Authenticated-Request-Permissions: {"version":"1.0.0","permissions":["files:read",…],
//!     "scope":{"client_id":"<uuid>","program_id":"<uuid>","seller_id":"<uuid>"}}
//! ```
//!
//! Each member of the scope may be left out; what is left out does not narrow. Both headers are taken
//! only from a request that is [`AuthorisedByIam`]. Refused are another version, a header that came
//! twice, and in the scope any member beyond the three: a misspelt one would widen it in silence.
//! Other members elsewhere are ignored, and permissions that are not known grant nothing.

use http::HeaderName;
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;
use weir_domain::{ClientId, ProgramId, SellerId};
use weir_query::Scope;
use weir_store::ApiKeyHash;

use super::{AuthorisedByIam, Caller, Known};
use crate::ApiError;

const REQUEST: HeaderName = HeaderName::from_static("x-authenticated-request");
const PERMISSIONS: HeaderName = HeaderName::from_static("x-authenticated-request-permissions");
/// What only a gateway in front may say.
pub(super) const HEADERS: [HeaderName; 2] = [REQUEST, PERMISSIONS];

/// The one version of both payloads.
const VERSION: &str = "1.0.0";

const NOT_BY_IAM: &str =
    "The request did not come through the gateway in front: it is not authorised by IAM.";

/// What can be said of one of the two headers.
struct Reasons {
    missing: &'static str,
    twice: &'static str,
    version: &'static str,
    form: &'static str,
}

const REQUEST_REASONS: Reasons = Reasons {
    missing: "The X-Authenticated-Request header is missing.",
    twice: "The X-Authenticated-Request header must be given once.",
    version: "X-Authenticated-Request must be of version 1.0.0.",
    form: "X-Authenticated-Request must be a JSON object with version, id (a UUID) and name.",
};

const PERMISSIONS_REASONS: Reasons = Reasons {
    missing: "The X-Authenticated-Request-Permissions header is missing.",
    twice: "The X-Authenticated-Request-Permissions header must be given once.",
    version: "X-Authenticated-Request-Permissions must be of version 1.0.0.",
    form: "X-Authenticated-Request-Permissions must be a JSON object with version, permissions (a \
           list of texts) and scope (an object with client_id, program_id and seller_id, UUIDs, each \
           of which may be left out).",
};

/// A payload's own version, whatever else is in it.
#[derive(Deserialize)]
struct Versioned {
    version: String,
}

#[derive(Deserialize)]
struct RequestPayload {
    id: Uuid,
    name: String,
}

#[derive(Deserialize)]
struct PermissionsPayload {
    permissions: Vec<String>,
    scope: ScopePayload,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopePayload {
    client_id: Option<ClientId>,
    program_id: Option<ProgramId>,
    seller_id: Option<SellerId>,
}

/// What the gateway in front says of a request's caller.
pub(super) fn known(parts: &Parts) -> Result<Known, ApiError> {
    if parts.extensions.get::<AuthorisedByIam>().is_none() {
        return Err(ApiError::Unauthenticated(NOT_BY_IAM));
    }
    let request: RequestPayload =
        read(parts, &REQUEST, &REQUEST_REASONS).map_err(ApiError::Unauthenticated)?;
    let granted: PermissionsPayload =
        read(parts, &PERMISSIONS, &PERMISSIONS_REASONS).map_err(ApiError::Unauthenticated)?;
    Ok(Known {
        // No key has such a text, so a caller never shares what belongs to a key.
        key: ApiKeyHash::of(&format!("upstream {}", request.id)),
        who: Caller {
            id: request.id,
            name: request.name,
        },
        scope: Scope {
            client_id: granted.scope.client_id,
            program_id: granted.scope.program_id,
            seller_id: granted.scope.seller_id,
        },
        permissions: granted.permissions,
    })
}

fn read<T: DeserializeOwned>(
    parts: &Parts,
    name: &HeaderName,
    reasons: &Reasons,
) -> Result<T, &'static str> {
    let mut sent = parts.headers.get_all(name).iter();
    let json = match (sent.next(), sent.next()) {
        (None, _) => return Err(reasons.missing),
        (Some(_), Some(_)) => return Err(reasons.twice),
        (Some(json), None) => json.as_bytes(),
    };
    // An array would be taken for the members in their order.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(reasons.form);
    }
    let Versioned { version } = serde_json::from_slice(json).map_err(|_| reasons.form)?;
    if version != VERSION {
        return Err(reasons.version);
    }
    serde_json::from_slice(json).map_err(|_| reasons.form)
}
