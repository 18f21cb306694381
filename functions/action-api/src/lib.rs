//! The `action-api` function: everything of the API that changes something.
//!
//! Triggered by API Gateway (HTTP API, payload 2.0), which sends it every method but `GET` and `HEAD`,
//! whatever the path: what is not there is refused here, in the API's own form.

use axum::Router;
use serde_json::Value;
use weir_api::{Api, AuthOptions, Gateway};
use weir_lambda::{BuildError, Deadline, HttpEventError, Parts, answer_http};
use weir_runtime::{AwsClients, AwsOptions, Reader};
use weir_store::{Names, Store};

/// What the function reads from its environment.
#[derive(Debug)]
pub struct Settings {
    aws: AwsOptions,
    names: Names,
    auth: AuthOptions,
}

/// What lives from one invocation to the next.
#[derive(Debug, Clone)]
pub struct State {
    /// The routes.
    pub router: Router,
}

/// Reads the settings; problems are noted in the reader.
pub fn read(reader: &mut Reader) -> Settings {
    Settings {
        aws: AwsOptions::read(reader),
        names: Names::read(reader),
        auth: AuthOptions::read(reader),
    }
}

/// Builds the state.
pub async fn build(settings: Settings, parts: Parts) -> Result<State, BuildError> {
    let clients = AwsClients::new(&settings.aws).await;
    let (clock, random) = (parts.clock, parts.random);
    let store = Store::new(clients, settings.names, clock.clone(), random.clone());
    let api = Api::new(store, clock, random, parts.metrics).with_auth(settings.auth);
    Ok(State {
        router: api.changing_router(),
    })
}

/// Answers one request. What cannot be done in time is answered with 503 before the time is over.
///
/// # Errors
/// The event is no request.
pub async fn handle(
    state: &State,
    event: Value,
    deadline: Deadline,
) -> Result<Value, HttpEventError> {
    answer_http(event, |request, sender| {
        let gateway = Gateway {
            authorised_by_iam: sender.is_authorised_by_iam,
            within: deadline.usable(),
        };
        gateway.answer(state.router.clone(), request)
    })
    .await
}
