//! A file in a form: `multipart/form-data` (RFC 7578) with one part, which is a file.

use std::convert::Infallible;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::{Field, Multipart};

use crate::ApiError;

/// The type of a form.
pub(crate) const FORM_TYPE: &str = "multipart/form-data";

/// The file of a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FormFile {
    /// What its sender calls it; `None` where that is empty.
    pub(crate) name: Option<String>,
    pub(crate) bytes: Bytes,
}

/// Whether a body is said to be a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let essence = content_type(headers).split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(FORM_TYPE)
}

fn content_type(headers: &HeaderMap) -> &str {
    let sent = headers.get(CONTENT_TYPE);
    sent.and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The one file of a form that has been read within its limit.
///
/// # Errors
/// [`ApiError::InvalidData`] for what is no form, for none or several parts, and for a part that is no
/// file.
pub(crate) async fn one_file(headers: &HeaderMap, body: Bytes) -> Result<FormFile, ApiError> {
    let broken = |why: &str| {
        ApiError::InvalidData(format!(
            "The form {why}: send multipart/form-data with one part, the file."
        ))
    };
    let boundary = multer::parse_boundary(content_type(headers))
        .map_err(|_| broken("has no boundary in its Content-Type"))?;
    let whole = futures::stream::iter([Ok::<_, Infallible>(body)]);
    let mut parts = Multipart::new(whole, boundary);
    let cut = |_| broken("is broken or cut off");
    let Some(part) = parts.next_field().await.map_err(cut)? else {
        return Err(broken("has no part"));
    };
    let name = part.file_name().map(str::to_owned);
    let name = name.ok_or_else(|| broken("has a part that is no file"))?;
    let bytes = part.bytes().await.map_err(cut)?;
    let other: Option<Field<'_>> = parts.next_field().await.map_err(cut)?;
    if other.is_some() {
        return Err(broken("has several parts"));
    }
    Ok(FormFile {
        name: Some(name).filter(|name| !name.is_empty()),
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())])
    }

    fn read(content_type: &'static str, body: impl Into<Bytes>) -> Result<FormFile, ApiError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(one_file(&headers(content_type), body.into()))
    }

    const TYPE: &str = "multipart/form-data; boundary=xyz";
    const FILE: &str =
        "--xyz\r\ncontent-disposition: form-data; name=\"f\"; filename=\"a b.xml\"\r\n\r\n<a/>\r\n";

    #[test]
    fn a_form_is_known_by_its_type_alone() {
        assert!(is_form(&headers("Multipart/Form-Data;boundary=x")));
        assert!(!is_form(&headers("multipart/mixed; boundary=x")));
        assert!(!is_form(&HeaderMap::new()));
    }

    #[test]
    fn a_form_has_one_part_and_that_is_a_file() {
        let file = read(TYPE, format!("{FILE}--xyz--\r\n")).unwrap();
        assert_eq!(file.name.as_deref(), Some("a b.xml"));
        assert_eq!(file.bytes, "<a/>");
        let unnamed = FILE.replace("a b.xml", "");
        let file = read(TYPE, format!("{unnamed}--xyz--")).unwrap();
        assert_eq!(file.name, None);
        let field = "--xyz\r\ncontent-disposition: form-data; name=\"f\"\r\n\r\n1\r\n";
        for (content_type, body, why) in [
            (TYPE, "--xyz--\r\n".to_owned(), "no part"),
            (TYPE, format!("{FILE}{FILE}--xyz--\r\n"), "several parts"),
            (TYPE, format!("{FILE}{field}--xyz--\r\n"), "several parts"),
            (TYPE, format!("{field}--xyz--\r\n"), "no file"),
            (TYPE, FILE.to_owned(), "cut off"),
            (TYPE, String::new(), "cut off"),
            (TYPE, "<a/>".to_owned(), "cut off"),
            ("multipart/form-data", format!("{FILE}--xyz--"), "boundary"),
        ] {
            let refused = read(content_type, body.clone()).unwrap_err();
            let told = matches!(&refused, ApiError::InvalidData(told) if told.contains(why));
            assert!(told, "{body}: {refused:?}");
        }
    }

    proptest! {
        #[test]
        fn the_bytes_of_a_file_come_as_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assume!(!bytes.windows(5).any(|five| five == b"--xyz"));
            let (head, _) = FILE.split_once("<a/>").unwrap();
            let body = [head.as_bytes(), &bytes, b"\r\n--xyz--\r\n"].concat();
            prop_assert_eq!(read(TYPE, body).unwrap().bytes, bytes);
        }

        #[test]
        fn any_bytes_are_a_form_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(TYPE, bytes);
        }
    }
}
