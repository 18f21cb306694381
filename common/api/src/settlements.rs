//! `POST /v1/settlements`: a settlement file as the body.
//!
//! With an `Idempotency-Key`, the object's key is derived from it, the API key, the name and the
//! body: the same upload sent again is the same object and so the same file, as it then stands.
//! Another body or name under the same `Idempotency-Key` is another upload.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};
use weir_query::{FILE, Field, FileRow, Scope, Shown};
use weir_runtime::CorrelationId;
use weir_settlement::upload::UploadScope;
use weir_store::ApiKeyHash;

use crate::auth::Allowed;
use crate::auth::permission::SettlementsWrite;
use crate::{Api, ApiError, body};

/// The largest body: what surely fits a Lambda's payload.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What the file is to be called, percent-encoded.
const NAME_HEADER: &str = "x-file-name";

/// What makes the same upload known again.
const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// Most characters of it.
const IDEMPOTENCY_CHARS_MAX: usize = 255;

/// Stores the file under the caller's client and program, and answers it as it stands: `Stored`,
/// unless it was uploaded before.
pub(crate) async fn create(
    State(api): State<Api>,
    allowed: Allowed<SettlementsWrite>,
    Extension(correlation_id): Extension<CorrelationId>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let scope = upload_scope(&allowed.scope)?;
    body::no_query(&uri).map_err(ApiError::InvalidParameter)?;
    check_type(&headers)?;
    let name = file_name(&headers)?;
    let idempotency_key = idempotency_key(&headers)?;
    let body = read_body(&headers, body, &scope).await?;
    let key = if let Some(key) = idempotency_key {
        // Each time it comes it may have another correlation id.
        scope.api_key(unique_to(&allowed.key, key, &body), None, &name)
    } else {
        let unique = api.random.uuid_v7(api.clock.now());
        scope.api_key(unique, Some(&correlation_id), &name)
    };
    let object = api.store.put_upload(&key, body).await?;
    // The object's own event does the same, should this not be reached.
    let file = api.uploader.register(object, &correlation_id).await?;
    let (caller_id, caller) = (allowed.who.id, allowed.who.name);
    tracing::info!(%caller_id, caller, file_id = %file.id, "a settlement file was sent");
    let fields: Vec<&Field> = FILE.fields.iter().collect();
    Ok(Json(Shown {
        row: &FileRow(file),
        fields: &fields,
    })
    .into_response())
}

/// The `Idempotency-Key`, if there is one.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&[u8]>, ApiError> {
    let mut sent = headers.get_all(IDEMPOTENCY_HEADER).iter();
    let refused = |message: &str| Err(ApiError::invalid_header("Idempotency-Key", message));
    match (sent.next().map(HeaderValue::as_bytes), sent.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => refused("must be given once"),
        (Some(key), None)
            if (1..=IDEMPOTENCY_CHARS_MAX).contains(&key.len())
                && key.iter().all(u8::is_ascii_graphic) =>
        {
            Ok(Some(key))
        }
        _ => refused("must be 1 to 255 visible ASCII characters"),
    }
}

/// A UUID that the same upload always gets. It cannot be foreseen without the API key's hash, so
/// nobody meets another's object.
fn unique_to(api_key: &ApiKeyHash, idempotency_key: &[u8], body: &[u8]) -> Uuid {
    let mut hash = Sha256::new();
    for part in [api_key.as_hex().as_bytes(), idempotency_key, body] {
        // With their lengths, so that no two lists of parts are the same bytes.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash.finalize()) {
        *byte = hashed;
    }
    Builder::from_custom_bytes(bytes).into_uuid()
}

fn upload_scope(scope: &Scope) -> Result<UploadScope, ApiError> {
    match (scope.client_id, scope.program_id) {
        (Some(client_id), Some(program_id)) => Ok(UploadScope {
            client_id,
            program_id,
            seller_id: scope.seller_id,
        }),
        _ => Err(ApiError::Unauthorized(
            "The key is not limited to one client and program, so it is not known for whom the \
             file is: upload with a key of the program."
                .to_owned(),
        )),
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let types = ["application/xml", "text/xml"];
    let remedy = "Send the file as application/xml or text/xml.";
    body::check_type(headers, &types, remedy)
}

fn file_name(headers: &HeaderMap) -> Result<String, ApiError> {
    let Some(value) = headers.get(NAME_HEADER) else {
        return Ok(String::new());
    };
    let invalid = || ApiError::invalid_header("X-File-Name", "must be percent-encoded UTF-8");
    percent_decode(value.as_bytes()).ok_or_else(invalid)
}

/// Undoes percent encoding; `None` for a broken escape or what is not UTF-8.
fn percent_decode(encoded: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'%' {
            let mut digit = || char::from(*bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            decoded.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            decoded.push(*byte);
        }
    }
    String::from_utf8(decoded).ok()
}

async fn read_body(
    headers: &HeaderMap,
    body: Body,
    scope: &UploadScope,
) -> Result<Bytes, ApiError> {
    let remedy = || {
        format!(
            "A body may have {BODY_BYTES_MAX} bytes. Put a larger file into the upload bucket, \
             under a key such as {}.",
            scope.key("settlement.xml")
        )
    };
    let body = body::read(headers, body, BODY_BYTES_MAX, remedy).await?;
    if body.is_empty() {
        return Err(ApiError::InvalidData(
            "The body is empty: send the file as the body.".to_owned(),
        ));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CONTENT_TYPE;

    #[test]
    fn a_file_name_is_percent_decoded_or_refused() {
        assert_eq!(
            percent_decode(b"a%20b%C3%BC.xml").as_deref(),
            Some("a bü.xml")
        );
        for broken in [&b"%"[..], b"%4", b"%zz", b"%ff"] {
            assert_eq!(percent_decode(broken), None);
        }
    }

    #[test]
    fn an_idempotency_key_has_1_to_255_visible_characters_and_comes_once() {
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IDEMPOTENCY_HEADER, HeaderValue::from_bytes(value).unwrap());
            }
            idempotency_key(&headers).map(|key| key.map(<[u8]>::to_vec))
        };
        assert_eq!(read(&[]), Ok(None));
        for length in [1, 254, 255] {
            let key = vec![b'k'; length];
            assert_eq!(read(&[&key]), Ok(Some(key)));
        }
        for broken in [
            &[&b""[..]][..],
            &[&[b'k'; 256]],
            &[b"a b"],
            &[b"\xff"],
            &[b"a", b"a"],
        ] {
            assert!(
                matches!(read(broken), Err(ApiError::InvalidParameter(errors))
                    if errors[0].data_path == "/headers/Idempotency-Key"),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn only_the_same_key_idempotency_key_and_body_are_the_same_upload() {
        let of = |api_key, key: &str, body: &str| {
            unique_to(&ApiKeyHash::of(api_key), key.as_bytes(), body.as_bytes())
        };
        let one = of("a", "k", "body");
        assert_eq!(one, of("a", "k", "body"));
        assert_eq!(one.get_version_num(), 8);
        for other in [
            of("b", "k", "body"),
            of("a", "l", "body"),
            of("a", "k", "bodY"),
            of("a", "kb", "ody"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn only_xml_is_taken() {
        let check = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
            check_type(&headers).is_ok()
        };
        assert!(check("application/xml"));
        assert!(check("Text/XML; charset=utf-8"));
        assert!(!check("application/json"));
        assert!(!check("application/xmlx"));
        assert!(check_type(&HeaderMap::new()).is_err());
    }
}
