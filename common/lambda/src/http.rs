//! Requests that API Gateway brings as events (HTTP API, payload 2.0), and their answers.
//!
//! An event is turned into the request that the client sent, and the response into what API Gateway
//! makes an answer of. Invariants: path and query arrive byte for byte as the event has them; what a
//! URI cannot hold, since API Gateway undoes some of a path's escapes, is escaped again instead of
//! being refused; an answer's header that was given several times keeps all its values. No event makes
//! this panic.
//!
//! Refused are events of any other form, a body that is said to be base64 and is not, and more headers
//! than [`HEADERS_MAX`].

use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Most headers of a request. API Gateway brings 10 240 bytes of them, so far fewer; other gateways have
/// limits of their own. [`HeaderMap`] has slots for 24 576 names, and panics where it would have to grow
/// beyond: at the next one, or, as it grows early where names collide, from 6 554 names on that somebody
/// chose to that end.
pub const HEADERS_MAX: usize = 1_000;

/// Why an event has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpEventError {
    /// It is not API Gateway's.
    #[error("the event is no request of an HTTP API with payload 2.0: {0}")]
    NotHttp(String),
    /// It has more headers than are taken.
    #[error("the request has {0} headers, where {HEADERS_MAX} are taken")]
    Headers(usize),
    /// The body is said to be base64.
    #[error("the body of the request is not base64, though the event says so")]
    Body,
    /// The response has a header that is not UTF-8, or no end.
    #[error("the answer cannot be written as JSON: {0}")]
    Answer(String),
}

/// What API Gateway has found out about a request's sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Whether API Gateway has checked a signature by IAM, and let the sender pass.
    pub is_authorised_by_iam: bool,
}

/// What an event says that a request is made of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    raw_path: String,
    raw_query_string: Option<String>,
    headers: Option<Map<String, Value>>,
    cookies: Option<Vec<String>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    request_context: RequestContext,
}

#[derive(Deserialize)]
struct RequestContext {
    http: HttpContext,
    authorizer: Option<Authorizer>,
}

#[derive(Deserialize)]
struct HttpContext {
    method: String,
}

#[derive(Deserialize)]
struct Authorizer {
    iam: Option<Map<String, Value>>,
}

/// Gives the request of an event to `answer`, and its response as API Gateway takes it.
///
/// # Errors
/// [`HttpEventError`]: the invocation is then to fail.
pub async fn answer_http<F, B>(
    event: Value,
    answer: impl FnOnce(Request<Full<Bytes>>, Sender) -> F,
) -> Result<Value, HttpEventError>
where
    F: Future<Output = Response<B>>,
    B: BodyExt,
    B::Error: Display,
{
    let event = decode(event)?;
    let sender = Sender {
        is_authorised_by_iam: (event.request_context.authorizer.as_ref())
            .is_some_and(|authorizer| authorizer.iam.is_some()),
    };
    answered(answer(request(event)?, sender).await).await
}

fn decode(event: Value) -> Result<Event, HttpEventError> {
    let not_http = |reason: &str| HttpEventError::NotHttp(reason.to_owned());
    if event.get("version").and_then(Value::as_str) != Some("2.0") {
        return Err(not_http("`version` is not 2.0"));
    }
    serde_json::from_value(event).map_err(|error| not_http(&error.to_string()))
}

fn request(event: Event) -> Result<Request<Full<Bytes>>, HttpEventError> {
    let method = event.request_context.http.method;
    let method = Method::try_from(method.as_str())
        .map_err(|_| HttpEventError::NotHttp("its `method` is none".to_owned()))?;
    let sent = event.headers.unwrap_or_default();
    if sent.len() > HEADERS_MAX {
        return Err(HttpEventError::Headers(sent.len()));
    }
    let mut headers: HeaderMap = sent.iter().filter_map(header).collect();
    // Cookies are nowhere but in a place of their own.
    let cookies = event.cookies.map(|cookies| cookies.join("; "));
    if let Some(Ok(cookies)) = cookies.map(HeaderValue::try_from) {
        headers.insert(header::COOKIE, cookies);
    }
    let body = event.body.unwrap_or_default();
    let body = if event.is_base64_encoded.unwrap_or_default() {
        STANDARD.decode(body).map_err(|_| HttpEventError::Body)?
    } else {
        body.into_bytes()
    };
    let mut request = Request::new(Full::new(body.into()));
    *request.method_mut() = method;
    *request.uri_mut() = uri(
        &event.raw_path,
        event.raw_query_string.as_deref().unwrap_or_default(),
    );
    *request.headers_mut() = headers;
    Ok(request)
}

/// A header of an event; `None` for one that HTTP could not have brought.
fn header((name, value): (&String, &Value)) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let value = HeaderValue::from_bytes(value.as_str()?.as_bytes()).ok()?;
    Some((name, value))
}

/// The target of a request. Text that a URI can hold is taken as it is.
fn uri(path: &str, query: &str) -> Uri {
    let whole = |path: &str, query: &str| {
        let target = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        let target = PathAndQuery::try_from(target).ok()?;
        // Whatever ends a path or a query early is data here.
        let is_whole = target.path() == path && target.query().unwrap_or_default() == query;
        is_whole.then(|| Uri::from(target))
    };
    whole(path, query)
        .or_else(|| whole(&escaped(path, ""), &escaped(query, "?")))
        // A path that does not begin with a slash, nor is `*`: nothing is there.
        .or_else(|| whole(&format!("/{}", escaped(path, "")), &escaped(query, "?")))
        .unwrap_or_default()
}

/// The text with everything as `%XX` that RFC 3986 does not let stand in a path or a query as it is.
/// Escapes stay what they are; `also` may stand, too.
fn escaped(text: &str, also: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        let character = char::from(byte);
        let stands = byte.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/%".contains(character);
        if stands || also.contains(character) {
            escaped.push(character);
        } else {
            escaped.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(digit.into(), 16).unwrap_or('0');
                escaped.push(digit.to_ascii_uppercase());
            }
        }
    }
    escaped
}

/// The response as payload 2.0 has it: a header that was given several times is one list, but for
/// `Set-Cookie`, which has a place of its own; a body that is no text is in base64.
async fn answered<B>(response: Response<B>) -> Result<Value, HttpEventError>
where
    B: BodyExt,
    B::Error: Display,
{
    let (parts, body) = response.into_parts();
    let (mut headers, mut cookies) = (Map::new(), Vec::new());
    for (name, value) in &parts.headers {
        let value = std::str::from_utf8(value.as_bytes())
            .map_err(|_| HttpEventError::Answer(format!("{name} is not UTF-8")))?;
        if name == header::SET_COOKIE {
            cookies.push(value.to_owned());
            continue;
        }
        match headers.get_mut(name.as_str()) {
            Some(Value::String(list)) => {
                list.push_str(", ");
                list.push_str(value);
            }
            _ => _ = headers.insert(name.as_str().to_owned(), value.into()),
        }
    }
    let body = body.collect().await;
    let body = body.map_err(|error| HttpEventError::Answer(error.to_string()))?;
    let (body, is_base64_encoded) = match String::from_utf8(body.to_bytes().into()) {
        Ok(text) => (text, false),
        Err(bytes) => (STANDARD.encode(bytes.as_bytes()), true),
    };
    Ok(json!({
        "statusCode": parts.status.as_u16(),
        "headers": headers,
        "cookies": cookies,
        "body": body,
        "isBase64Encoded": is_base64_encoded,
    }))
}
