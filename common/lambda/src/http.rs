//! Requests that API Gateway brings as events (HTTP API, payload 2.0), and their answers.
//!
//! An event is turned into the request that the client sent, and the response into what API Gateway
//! makes an answer of. Invariants: path and query arrive byte for byte as the event has them; what a
//! URI cannot hold, since API Gateway undoes some of a path's escapes, is escaped again instead of
//! being refused; an answer's header that was given several times keeps all its values. No event makes
//! this panic.
//!
//! Refused are events of any other form, and a body that is said to be base64 and is not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Context, IntoResponse, LambdaEvent, Service};
use serde_json::Value;

/// Why an event has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpEventError {
    /// It is not API Gateway's.
    #[error("the event is no request of an HTTP API with payload 2.0: {0}")]
    NotHttp(String),
    /// The body is said to be base64.
    #[error("the body of the request is not base64, though the event says so")]
    Body,
    /// The response has a header that is not UTF-8.
    #[error("the answer cannot be written as JSON: {0}")]
    Answer(String),
}

/// What API Gateway has found out about a request's sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Whether API Gateway has checked a signature by IAM, and let the sender pass.
    pub is_authorised_by_iam: bool,
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
    F: Future<Output = Response<B>> + Send,
    Response<B>: IntoResponse,
{
    let mut event = decode(event)?;
    let taken = Taken::from(&mut event)?;
    let sender = Sender {
        is_authorised_by_iam: (event.request_context.authorizer.as_ref())
            .is_some_and(|authorizer| authorizer.iam.is_some()),
    };
    // A service may be called again and again; this one is called once.
    let mut once = Some((answer, taken));
    let service = lambda_http::service_fn(move |request: lambda_http::Request| {
        let answering = once
            .take()
            .map(|(answer, taken)| answer(taken.into_request(request), sender));
        async move {
            match answering {
                Some(answering) => Ok(joined(answering.await)),
                None => Err(HttpEventError::Answer("it was asked for twice".to_owned())),
            }
        }
    });
    let event = LambdaEvent::new(LambdaRequest::ApiGatewayV2(event), Context::default());
    // The adapter itself cannot be kept over a wait.
    let answering = Adapter::from(service).call(event);
    let response = answering.await?;
    serde_json::to_value(response).map_err(|error| HttpEventError::Answer(error.to_string()))
}

fn decode(mut event: Value) -> Result<ApiGatewayV2httpRequest, HttpEventError> {
    let not_http = |reason: &str| HttpEventError::NotHttp(reason.to_owned());
    if event.get("version").and_then(Value::as_str) != Some("2.0") {
        return Err(not_http("`version` is not 2.0"));
    }
    if event.get("rawPath").and_then(Value::as_str).is_none() {
        return Err(not_http("there is no `rawPath`"));
    }
    if event.pointer("/requestContext/http").is_none() {
        return Err(not_http("there is no `requestContext.http`"));
    }
    // The type takes visible ASCII only: one odd header would cost the request its answer.
    let headers = event.get_mut("headers").map(Value::take);
    let mut event: ApiGatewayV2httpRequest =
        serde_json::from_value(event).map_err(|error| not_http(&error.to_string()))?;
    event.headers = match headers {
        None | Some(Value::Null) => HeaderMap::new(),
        Some(Value::Object(headers)) => headers.iter().filter_map(header).collect(),
        Some(_) => return Err(not_http("`headers` is no object")),
    };
    Ok(event)
}

/// A header of an event; `None` for one that HTTP could not have brought.
fn header((name, value): (&String, &Value)) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let value = HeaderValue::from_bytes(value.as_str()?.as_bytes()).ok()?;
    Some((name, value))
}

/// What the adapter would write anew, or panic over, and so never sees.
struct Taken {
    uri: Uri,
    host: Option<HeaderValue>,
    body: Bytes,
}

impl Taken {
    fn from(event: &mut ApiGatewayV2httpRequest) -> Result<Self, HttpEventError> {
        let path = event.raw_path.replace("/".to_owned()).unwrap_or_default();
        let query = event.raw_query_string.take().unwrap_or_default();
        event.request_context.domain_name = None;
        // A stage other than the default one is part of the path already.
        event.request_context.stage = None;
        let body = event.body.take().unwrap_or_default();
        let body = if std::mem::take(&mut event.is_base64_encoded) {
            STANDARD.decode(body).map_err(|_| HttpEventError::Body)?
        } else {
            body.into_bytes()
        };
        Ok(Self {
            uri: uri(&path, &query),
            host: event.headers.remove(header::HOST),
            body: body.into(),
        })
    }

    fn into_request(self, request: lambda_http::Request) -> Request<Full<Bytes>> {
        let (mut parts, _) = request.into_parts();
        parts.uri = self.uri;
        if let Some(host) = self.host {
            parts.headers.insert(header::HOST, host);
        }
        Request::from_parts(parts, Full::new(self.body))
    }
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

/// The response with one value a header, as payload 2.0 has it: several are one list. `Set-Cookie`,
/// which cannot be one, has a place of its own there.
fn joined<B>(mut response: Response<B>) -> Response<B> {
    let mut headers = HeaderMap::with_capacity(response.headers().keys_len());
    for name in response.headers().keys() {
        let mut values = response.headers().get_all(name).iter();
        let (Some(first), rest) = (values.next(), values) else {
            continue;
        };
        if name == header::SET_COOKIE {
            headers.insert(name, first.clone());
            rest.for_each(|value| _ = headers.append(name, value.clone()));
            continue;
        }
        let mut list = first.as_bytes().to_vec();
        for value in rest {
            list.extend_from_slice(b", ");
            list.extend_from_slice(value.as_bytes());
        }
        // Values that are allowed stay allowed side by side.
        let list = HeaderValue::from_bytes(&list).unwrap_or_else(|_| first.clone());
        headers.insert(name, list);
    }
    *response.headers_mut() = headers;
    response
}
