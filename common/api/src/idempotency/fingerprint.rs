//! What makes two requests the same: method, path, query, type, file name and body.
//!
//! The boundary of a form is drawn anew each time a form is sent, so it is left out: two forms with the
//! same parts are the same.

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use sha2::{Digest, Sha256};

const NAME_HEADER: &str = "x-file-name";

/// SHA-256 of all that makes a request what it is.
pub(super) fn fingerprint(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let mut hash = Hash::default();
    hash.part(parts.method.as_str().as_bytes());
    hash.part(parts.uri.path().as_bytes());
    hash.optional(parts.uri.query().map(str::as_bytes));
    let names = || parts.headers.get_all(NAME_HEADER).iter();
    hash.part(&names().count().to_be_bytes());
    names().for_each(|name| hash.part(name.as_bytes()));
    let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match content_type.and_then(boundary) {
        None => {
            hash.optional(content_type);
            hash.part(body);
        }
        Some(boundary) => {
            hash.part(b"a form");
            for piece in pieces(body, boundary.as_bytes()) {
                hash.part(piece);
            }
        }
    }
    hash.0.finalize().into()
}

/// The boundary of a form's parts.
fn boundary(content_type: &[u8]) -> Option<String> {
    multer::parse_boundary(std::str::from_utf8(content_type).ok()?).ok()
}

/// What lies between the lines that divide a form: `--` and the boundary at the beginning of a line.
fn pieces<'b>(body: &'b [u8], boundary: &[u8]) -> Vec<&'b [u8]> {
    let line = [b"\r\n--", boundary].concat();
    let mut pieces = Vec::new();
    let first = line.get(2..).unwrap_or_default();
    let mut rest = body.strip_prefix(first).unwrap_or(body);
    // Whether it begins with such a line at once.
    pieces.push(if rest.len() < body.len() {
        &[][..]
    } else {
        b"-"
    });
    while let Some(at) = rest.windows(line.len()).position(|window| window == line) {
        let (piece, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        pieces.push(piece);
        rest = after.get(line.len()..).unwrap_or_default();
    }
    pieces.push(rest);
    pieces
}

/// Takes parts with their lengths, so that no two lists of parts are the same bytes.
#[derive(Default)]
struct Hash(Sha256);

impl Hash {
    fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    /// What is absent is told from what is empty.
    fn optional(&mut self, bytes: Option<&[u8]>) {
        self.part(&[u8::from(bytes.is_some())]);
        self.part(bytes.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    fn of(target: &str, headers: &[(&str, &str)], body: &str) -> [u8; 32] {
        let mut request = Request::post(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        fingerprint(&parts, body.as_bytes())
    }

    const XML: (&str, &str) = ("content-type", "application/xml");

    #[test]
    fn whatever_makes_a_request_another_makes_its_fingerprint_another() {
        let one = of("/v1/a?b=c", &[XML, ("x-file-name", "n")], "body");
        let again = [
            ("X-Correlation-Id", "x"),
            ("x-file-name", "n"),
            XML,
            ("authorization", "y"),
        ];
        assert_eq!(one, of("/v1/a?b=c", &again, "body"));
        for (target, headers, body) in [
            ("/v1/b?b=c", &[XML, ("x-file-name", "n")][..], "body"),
            ("/v1/a?b=d", &[XML, ("x-file-name", "n")], "body"),
            ("/v1/a", &[XML, ("x-file-name", "n")], "body"),
            ("/v1/a?b=c", &[("x-file-name", "n")], "body"),
            ("/v1/a?b=c", &[XML, ("x-file-name", "m")], "body"),
            ("/v1/a?b=c", &[XML], "body"),
            ("/v1/a?b=c", &[XML, ("x-file-name", "n")], "bodY"),
            ("/v1/a?b=c", &[XML, ("x-file-name", "n")], ""),
        ] {
            assert_ne!(
                one,
                of(target, headers, body),
                "{target} {headers:?} {body}"
            );
        }
        assert_ne!(of("/v1/a", &[], ""), of("/v1/a?", &[], ""));
        let empty = [("x-file-name", "")];
        assert_ne!(of("/v1/a", &[], ""), of("/v1/a", &empty, ""));
    }

    fn form(boundary: &str, parts: &[&str]) -> [u8; 32] {
        let mut body = String::new();
        for part in parts {
            let _ = write!(body, "--{boundary}\r\n\r\n{part}\r\n");
        }
        let _ = write!(body, "--{boundary}--\r\n");
        let content_type = format!("multipart/form-data; boundary={boundary}");
        of("/v1/a", &[("content-type", &content_type)], &body)
    }

    #[test]
    fn a_form_is_the_same_under_another_boundary_and_another_with_other_parts() {
        let one = form("xyz", &["first", "second"]);
        assert_eq!(one, form("abc", &["first", "second"]));
        for other in [
            form("abc", &["first"]),
            form("abc", &["first", "Second"]),
            form("abc", &["first\r\n", "second"]),
            form("abc", &["first--xyz", "second"]),
        ] {
            assert_ne!(one, other);
        }
    }

    proptest! {
        #[test]
        fn two_forms_have_one_fingerprint_exactly_if_their_parts_are_the_same(
            one in prop::collection::vec("[a\r\n-]{0,6}", 0..4),
            other in prop::collection::vec("[a\r\n-]{0,6}", 0..4),
        ) {
            let of = |boundary: &str, parts: &[String]| {
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                form(boundary, &parts)
            };
            prop_assert_eq!(of("xyz", &one) == of("qrs", &other), one == other);
        }
    }
}
