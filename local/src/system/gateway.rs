//! What API Gateway is before the API's functions: each HTTP request becomes an event of its form
//! (HTTP API, payload 2.0), and the function's answer a response.
//!
//! `GET` and `HEAD` go to `query-api`, all else to `action-api`, whatever the path: what is not there
//! is theirs to refuse. Invariants: path and query are in the event byte for byte as they were sent;
//! the event and the answer pass as JSON texts, as they do between AWS's parts.
//!
//! What AWS refuses by itself is refused here in its form, `{"message": …}`: see [`Refusal`].

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use serde::Deserialize;
use serde_json::{Value, json};
use weir_lambda::Deadline;
use weir_runtime::{Clock, Random};

use crate::embedded::ACCOUNT_ID;
use crate::system::invoke::{InvocationError, invoke};

/// Largest body of a request.
const REQUEST_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Largest event that Lambda takes.
const EVENT_BYTES_MAX: usize = 6_291_456;
/// Largest answer that Lambda lets pass.
const ANSWER_BYTES_MAX: usize = 6_291_556;
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(29);
/// Headers that are about a connection, not about what it carries.
const OF_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];
/// Where all requests come from.
const SOURCE_IP: &str = "127.0.0.1";

/// Why the gateway answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// 400: the body broke off.
    Broken,
    /// 413: the body, or the event with it, is too large.
    TooLarge,
    /// 500: the function failed, or its answer is too large or none.
    Failed,
    /// 503: the function was not done in time.
    Late,
}

impl Refusal {
    fn response(self) -> Response<Full<Bytes>> {
        let (status, message) = match self {
            Self::Broken => (StatusCode::BAD_REQUEST, "Bad Request"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            Self::Late => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        };
        let mut response = Response::new(Full::from(json!({"message": message}).to_string()));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}

/// The gateway, with the functions behind it.
#[derive(Debug, Clone)]
pub(super) struct Gateway {
    pub(super) query: weir_query_api::State,
    pub(super) action: weir_action_api::State,
    pub(super) clock: Clock,
    pub(super) random: Random,
}

impl Gateway {
    /// Answers a request, in any case.
    pub(super) async fn serve<B>(
        self,
        request: Request<B>,
    ) -> Result<Response<Full<Bytes>>, Infallible>
    where
        B: Body + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let answered = self.answer(request).await;
        Ok(answered.unwrap_or_else(Refusal::response))
    }

    async fn answer<B>(self, request: Request<B>) -> Result<Response<Full<Bytes>>, Refusal>
    where
        B: Body + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let body = read(&head.headers, body).await?;
        let event = self.event(&head, &body).to_string();
        if event.len() > EVENT_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        let answer = self.invoke(&head.method, &event).await?;
        response(&head.method, &answer.to_string())
    }

    async fn invoke(&self, method: &Method, event: &str) -> Result<Value, Refusal> {
        let event: Value = serde_json::from_str(event).map_err(|_| Refusal::Failed)?;
        let deadline = Deadline::after(TIMEOUT, &self.clock);
        let answered = if matches!(*method, Method::GET | Method::HEAD) {
            let state = self.query.clone();
            let handling = async move { weir_query_api::handle(&state, event, deadline).await };
            invoke(&self.clock, TIMEOUT, handling).await
        } else {
            let state = self.action.clone();
            let handling = async move { weir_action_api::handle(&state, event, deadline).await };
            invoke(&self.clock, TIMEOUT, handling).await
        };
        answered.map_err(|error| {
            tracing::error!(%error, "a function of the API failed");
            match error {
                InvocationError::TimedOut(_) => Refusal::Late,
                InvocationError::Failed(_) | InvocationError::Panicked => Refusal::Failed,
            }
        })
    }

    /// The event of a request.
    fn event(&self, head: &Parts, body: &[u8]) -> Value {
        let now = self.clock.now();
        let text = |name| head.headers.get(name).map(lossy);
        let host = text(header::HOST).unwrap_or_default();
        let path = head.uri.path();
        let mut event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": head.uri.query().unwrap_or_default(),
            "headers": headers(&head.headers, body.len()),
            "requestContext": {
                "accountId": ACCOUNT_ID,
                "apiId": "local",
                "domainName": host,
                "domainPrefix": "local",
                "http": {
                    "method": head.method.as_str(),
                    "path": path,
                    "protocol": format!("{:?}", head.version),
                    "sourceIp": SOURCE_IP,
                    "userAgent": text(header::USER_AGENT).unwrap_or_default(),
                },
                "requestId": self.random.uuid_v4().to_string(),
                "routeKey": "$default",
                "stage": "$default",
                "time": now.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
                "timeEpoch": now.timestamp_millis(),
            },
            "isBase64Encoded": false,
        });
        let cookies: Vec<_> = head.headers.get_all(header::COOKIE).iter().collect();
        let cookies = cookies.into_iter().map(lossy);
        let cookies: Vec<_> = cookies
            .flat_map(|line| line.split("; ").map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let mut put = |name: &str, value: Value| {
            if let Some(members) = event.as_object_mut() {
                members.insert(name.to_owned(), value);
            }
        };
        if !cookies.is_empty() {
            put("cookies", cookies.into());
        }
        match std::str::from_utf8(body) {
            Ok("") => {}
            Ok(text) => put("body", text.into()),
            Err(_) => {
                put("body", STANDARD.encode(body).into());
                put("isBase64Encoded", true.into());
            }
        }
        event
    }
}

/// The body, up to its limit.
async fn read<B>(headers: &HeaderMap, body: B) -> Result<Bytes, Refusal>
where
    B: Body + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > REQUEST_BYTES_MAX) {
        return Err(Refusal::TooLarge);
    }
    match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::Broken),
    }
}

/// The headers as an event has them: one text a name, what came several times with commas between.
fn headers(sent: &HeaderMap, body_bytes: usize) -> Value {
    let mut headers = serde_json::Map::new();
    for name in sent.keys() {
        if OF_CONNECTION.contains(name) || name == header::COOKIE {
            continue;
        }
        let values: Vec<_> = sent.get_all(name).iter().map(lossy).collect();
        headers.insert(name.as_str().to_owned(), values.join(",").into());
    }
    if body_bytes > 0 {
        // Also where it came in pieces.
        headers.insert("content-length".to_owned(), body_bytes.to_string().into());
    }
    headers.insert("x-forwarded-for".to_owned(), SOURCE_IP.into());
    headers.insert("x-forwarded-proto".to_owned(), "http".into());
    headers.into()
}

fn lossy(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// A function's answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// The response that an answer says.
fn response(method: &Method, answer: &str) -> Result<Response<Full<Bytes>>, Refusal> {
    if answer.len() > ANSWER_BYTES_MAX {
        tracing::error!(bytes = answer.len(), "a function's answer is too large");
        return Err(Refusal::Failed);
    }
    let answer = serde_json::from_str(answer).ok();
    answer
        .and_then(|answer| said(method, answer))
        .ok_or_else(|| {
            tracing::error!("a function's answer is none that API Gateway takes");
            Refusal::Failed
        })
}

fn said(method: &Method, answer: Answer) -> Option<Response<Full<Bytes>>> {
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded {
        STANDARD.decode(body).ok()?
    } else {
        body.into_bytes()
    };
    let mut response = Response::builder().status(answer.status_code);
    for (name, value) in answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        // What is sent has its own length; a `HEAD` has none but says what a `GET` would.
        if name != header::CONTENT_LENGTH || method == Method::HEAD {
            response = response.header(name, value);
        }
    }
    for cookie in answer.cookies {
        response = response.header(header::SET_COOKIE, cookie);
    }
    response.body(Full::from(body)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> String {
        let empty = json!({"statusCode": 200, "body": ""}).to_string().len();
        json!({"statusCode": 200, "body": "x".repeat(length - empty)}).to_string()
    }

    #[test]
    fn an_answer_may_be_as_large_as_lambda_lets_pass() {
        for (length, passes) in [
            (ANSWER_BYTES_MAX - 1, true),
            (ANSWER_BYTES_MAX, true),
            (ANSWER_BYTES_MAX + 1, false),
        ] {
            let text = text(length);
            assert_eq!(text.len(), length);
            assert_eq!(response(&Method::GET, &text).is_ok(), passes, "{length}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_the_response_it_says() {
        let answer = json!({
            "statusCode": 404,
            "headers": {"content-type": "application/json", "content-length": "7"},
            "cookies": ["a=1", "b=2"],
            "body": "/wD+",
            "isBase64Encoded": true,
        });
        for (method, lengths) in [(Method::GET, 0), (Method::HEAD, 1)] {
            let response = response(&method, &answer.to_string()).unwrap();
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            let headers = response.headers();
            assert_eq!(headers[header::CONTENT_TYPE], "application/json");
            assert_eq!(headers.get_all(header::SET_COOKIE).iter().count(), 2);
            let told = headers.get_all(header::CONTENT_LENGTH).iter().count();
            assert_eq!(told, lengths, "{method}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, &b"\xff\x00\xfe"[..]);
        }
    }

    #[test]
    fn an_answer_of_another_form_is_a_failure() {
        for answer in [
            json!(null),
            json!({}),
            json!("x"),
            json!({"statusCode": 99}),
            json!({"statusCode": "200"}),
            json!({"statusCode": 200, "headers": {"a b": "c"}}),
            json!({"statusCode": 200, "headers": {"a": "b\nc"}}),
            json!({"statusCode": 200, "body": "?", "isBase64Encoded": true}),
        ] {
            let refused = response(&Method::GET, &answer.to_string());
            assert_eq!(refused.unwrap_err(), Refusal::Failed, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_body_may_have_as_many_bytes_as_the_gateway_takes() {
        for (length, is_taken) in [
            (REQUEST_BYTES_MAX - 1, true),
            (REQUEST_BYTES_MAX, true),
            (REQUEST_BYTES_MAX + 1, false),
        ] {
            let body = Full::<Bytes>::from(vec![b' '; length]);
            let told = HeaderMap::from_iter([(header::CONTENT_LENGTH, length.into())]);
            for headers in [HeaderMap::new(), told] {
                let refusal = read(&headers, body.clone()).await.err();
                let expected = (!is_taken).then_some(Refusal::TooLarge);
                assert_eq!(refusal, expected, "{length}");
            }
        }
    }

    #[test]
    fn an_event_has_a_header_once_and_none_that_is_about_the_connection() {
        let mut sent = HeaderMap::new();
        for (name, value) in [
            ("authorization", "a"),
            ("authorization", "b"),
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("cookie", "a=1"),
        ] {
            sent.append(name, HeaderValue::from_static(value));
        }
        sent.append("x-any", HeaderValue::from_bytes(b"\xff").unwrap());
        let expected = json!({
            "authorization": "a,b",
            "x-any": "\u{fffd}",
            "content-length": "3",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-proto": "http",
        });
        assert_eq!(headers(&sent, 3), expected);
    }
}
