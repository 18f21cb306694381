//! What a request that sends a settlement file holds: the file and its name.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use weir_settlement::upload::{FileName, UploadScope};

use super::BODY_BYTES_MAX;
use crate::form::{FORM_TYPE, is_form, one_file};
use crate::{ApiError, body};

/// What the file is to be called, percent-encoded.
const NAME_HEADER: HeaderName = HeaderName::from_static("x-file-name");

/// A settlement file that was sent.
pub(super) struct Sent {
    /// Of the header, else of the form's part.
    pub(super) name: Option<FileName>,
    pub(super) bytes: Bytes,
}

impl Sent {
    /// Reads the body: the file itself, or a form with it.
    pub(super) async fn read(
        headers: &HeaderMap,
        body: Body,
        scope: Option<&UploadScope>,
    ) -> Result<Self, ApiError> {
        check_type(headers)?;
        let named = file_name(headers)?;
        let whole = read_body(headers, body, scope).await?;
        let (of_part, bytes) = if is_form(headers) {
            let file = one_file(headers, whole).await?;
            (file.name, file.bytes)
        } else {
            (None, whole)
        };
        if bytes.is_empty() {
            return Err(ApiError::InvalidData(
                "The file is empty: send the file as the body.".to_owned(),
            ));
        }
        let name = match (named, of_part) {
            (Some(name), _) => Some(name),
            (None, Some(name)) => Some(FileName::new(name).map_err(|error| {
                ApiError::InvalidData(format!("The name of the form's file {error}."))
            })?),
            (None, None) => None,
        };
        Ok(Self { name, bytes })
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let types = ["application/xml", "text/xml", FORM_TYPE];
    let remedy = "Send the file as application/xml or text/xml, or as multipart/form-data.";
    body::check_type(headers, &types, remedy)
}

/// The name that the header says, if there is one.
fn file_name(headers: &HeaderMap) -> Result<Option<FileName>, ApiError> {
    let refused = |message: &str| ApiError::invalid_header("X-File-Name", message);
    let mut sent = headers.get_all(NAME_HEADER).iter();
    let Some(value) = sent.next() else {
        return Ok(None);
    };
    if sent.next().is_some() {
        return Err(refused("must be given once"));
    }
    let name =
        percent_decode(value.as_bytes()).ok_or_else(|| refused("must be percent-encoded UTF-8"))?;
    let name = FileName::new(name).map_err(|error| refused(&error.to_string()))?;
    Ok(Some(name))
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
    scope: Option<&UploadScope>,
) -> Result<Bytes, ApiError> {
    let remedy = || {
        let key = match scope {
            Some(scope) => scope.key("settlement.xml"),
            None => "<client id>/<program id>/settlement.xml".to_owned(),
        };
        format!(
            "A body may have {BODY_BYTES_MAX} bytes. Ask for a place for a larger file with POST \
             /v1/settlements/uploads, or put it into the upload bucket, under a key such as {key}."
        )
    };
    body::read(headers, body, BODY_BYTES_MAX, remedy).await
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
    fn a_file_name_has_1_to_255_characters_once_decoded_and_comes_once() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(NAME_HEADER, value.parse().unwrap());
            }
            file_name(&headers).map(|name| name.map(|name| name.as_str().chars().count()))
        };
        assert_eq!(read(&[]), Ok(None));
        for count in [1, 254, 255] {
            assert_eq!(read(&[&"%C3%BC".repeat(count)]), Ok(Some(count)));
        }
        for refused in [
            &[""][..],
            &["%C3%BC".repeat(256).as_str()],
            &["a%0Ab"],
            &["%FF"],
            &["a", "a"],
        ] {
            assert!(
                matches!(read(refused), Err(ApiError::InvalidParameter(errors))
                    if errors[0].data_path == "/headers/X-File-Name"),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn only_xml_and_forms_are_taken() {
        let check = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
            check_type(&headers).is_ok()
        };
        assert!(check("application/xml"));
        assert!(check("Text/XML; charset=utf-8"));
        assert!(check("multipart/form-data; boundary=x"));
        assert!(!check("application/json"));
        assert!(!check("application/xmlx"));
        assert!(!check("multipart/mixed; boundary=x"));
        assert!(check_type(&HeaderMap::new()).is_err());
    }
}
