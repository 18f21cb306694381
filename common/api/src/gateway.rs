//! What is known of a request besides what the client has sent.

use std::time::Duration;

use axum::Router;
use axum::body::HttpBody;
use axum::response::Response;
use bytes::Bytes;
use http::Request;
use tower::ServiceExt;

use crate::AuthorisedByIam;

/// How long a request may take, as an extension of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AnswerWithin(pub(crate) Duration);

/// The way on which a request came to a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gateway {
    /// Whether its sender was authorised by IAM.
    pub authorised_by_iam: bool,
    /// How long it may take. Past it the caller is asked to try again (503), which is more than a
    /// function can say once it is stopped from outside.
    pub within: Duration,
}

impl Gateway {
    /// Has the request answered.
    pub async fn answer<B>(self, router: Router, mut request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let extensions = request.extensions_mut();
        extensions.insert(AnswerWithin(self.within));
        if self.authorised_by_iam {
            extensions.insert(AuthorisedByIam);
        }
        match router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
