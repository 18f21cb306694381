//! The transport that opens connections: a reqwest client without what reqwest does on its own.

use std::error::Error;
use std::io;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::{self, Stream, StreamExt};
use http::header::{CONTENT_LENGTH, HeaderValue};
use reqwest::{Body, Client, Response, redirect, retry};

use super::{HttpError, HttpOptions, HttpRequest, HttpResponse, StreamBody, Transport};

pub(super) struct Network {
    client: Client,
}

impl Network {
    pub(super) fn new(options: &HttpOptions) -> Result<Self, HttpError> {
        #[expect(clippy::disallowed_methods, reason = "the one place that makes it")]
        let builder = Client::builder();
        let client = builder
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never())
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(options.pool_idle_timeout)
            .pool_max_idle_per_host(options.pool_idle_max)
            .build()
            .map_err(|error| HttpError::Invalid {
                reason: reason(error),
            })?;
        Ok(Self { client })
    }

    async fn exchange(
        &self,
        request: HttpRequest,
        body: Body,
        length_bytes: Option<u64>,
    ) -> Result<HttpResponse, HttpError> {
        if !matches!(request.url.scheme(), "http" | "https") || !request.url.has_host() {
            return Err(HttpError::Invalid {
                reason: "the URL is not http or https with a host".to_owned(),
            });
        }
        let mut headers = request.headers;
        if let Some(length_bytes) = length_bytes {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length_bytes));
        }
        let response = self
            .client
            .request(request.method, request.url)
            .headers(headers)
            .body(body)
            .send()
            .await
            .map_err(|error| {
                if error.is_builder() {
                    HttpError::Invalid {
                        reason: reason(error),
                    }
                } else if error.is_connect() {
                    HttpError::Connect {
                        reason: reason(error),
                    }
                } else {
                    HttpError::Cut {
                        status: None,
                        reason: reason(error),
                    }
                }
            })?;
        read(response, request.response_bytes_max).await
    }
}

impl Transport for Network {
    fn send(&self, mut request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        let body = std::mem::take(&mut request.body);
        Box::pin(self.exchange(request, Body::from(body), None))
    }

    fn send_stream(
        &self,
        request: HttpRequest,
        body: StreamBody,
    ) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        let length_bytes = body.length_bytes;
        let body = Body::wrap_stream(exactly(body));
        Box::pin(self.exchange(request, body, Some(length_bytes)))
    }
}

async fn read(mut response: Response, limit: usize) -> Result<HttpResponse, HttpError> {
    let status = response.status();
    let too_large = HttpError::ResponseTooLarge { status, limit };
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).is_ok_and(|announced| announced > limit) {
        return Err(too_large);
    }
    let headers = std::mem::take(response.headers_mut());
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                if chunk.len() > limit.saturating_sub(body.len()) {
                    return Err(too_large);
                }
                body.extend_from_slice(&chunk);
            }
            Ok(None) => break,
            Err(error) => {
                return Err(HttpError::Cut {
                    status: Some(status),
                    reason: reason(error),
                });
            }
        }
    }
    Ok(HttpResponse {
        status,
        headers,
        body: body.freeze(),
    })
}

/// The parts of `body`, then an error if they are not as long together as announced.
pub(super) fn exactly(body: StreamBody) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let announced = body.length_bytes;
    let mut produced = 0_u64;
    let end = stream::once(std::future::ready(Ok(None)));
    let parts = body.stream.map(|part| part.map(Some)).chain(end);
    parts.filter_map(move |part| {
        let checked = part.and_then(|part| {
            let part_bytes = part.as_ref().map_or(0, Bytes::len);
            produced = produced.saturating_add(u64::try_from(part_bytes).unwrap_or(u64::MAX));
            if produced > announced || (part.is_none() && produced < announced) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the body was announced with {announced} bytes but has not as many"),
                ));
            }
            Ok(part)
        });
        std::future::ready(checked.transpose())
    })
}

/// What went wrong with all its causes, without the URL, whose query may be a signature.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
