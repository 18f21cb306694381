//! Secrets, read from AWS Secrets Manager.
//!
//! Invariant: what a secret holds is in no error, no `Debug` output and no log line, whatever the level.
//! So an error says what the service calls it and what it says about it, and of an answer that is not the
//! service's nothing but that.

use std::fmt;

use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use secrecy::SecretString;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::{AwsClients, AwsOptions, service_config};

/// Reads secrets. Clones share connections and credentials with the clients that it came from.
#[derive(Clone)]
pub struct Secrets {
    client: aws_sdk_secretsmanager::Client,
}

/// Why a secret was not read. It shows nothing of the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The service could not be reached, or did not answer in time.
    #[error("Secrets Manager did not answer: {0}")]
    Unreachable(&'static str),
    /// The service answered with an error: no right to the secret, no such secret, too many requests.
    #[error("Secrets Manager answered {code}: {message}")]
    Refused {
        /// The error's name, such as `AccessDeniedException`; `unknown` when it has none.
        code: String,
        /// The service's words.
        message: String,
    },
    /// An answer that is not the service's.
    #[error("Secrets Manager gave an answer that cannot be read")]
    Damaged,
    /// The secret holds bytes, or nothing.
    #[error("the secret holds no text")]
    NoText,
}

impl AwsClients {
    /// Reads secrets over the same connections. Apart from the other clients, as only who asks for it has
    /// the service's part of the SDK in its package.
    pub fn secrets(&self, options: &AwsOptions) -> Secrets {
        let config = service_config(
            &self.shared,
            options,
            options.endpoint_secrets.as_deref(),
            options.timeouts_secrets,
        );
        Secrets {
            client: aws_sdk_secretsmanager::Client::new(&config),
        }
    }
}

impl Secrets {
    /// The current version of the secret with this name or ARN, at most 64 KB of text.
    pub async fn read(&self, id: &str) -> Result<SecretString, SecretError> {
        let asked = self.client.get_secret_value().secret_id(id).send();
        // At its lowest level the SDK would log what it has received.
        let answer = asked.with_subscriber(NoSubscriber::default()).await;
        let answer = answer.map_err(|error| shown(&error))?;
        let text = answer.secret_string.ok_or(SecretError::NoText)?;
        Ok(SecretString::from(text))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// What may be shown of an error: the SDK's own words for an answer that it could not read would hold
/// the answer.
fn shown<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> SecretError {
    match error {
        SdkError::ServiceError(refused) => {
            let refused = refused.err();
            SecretError::Refused {
                code: refused.code().unwrap_or("unknown").to_owned(),
                message: refused.message().unwrap_or_default().to_owned(),
            }
        }
        SdkError::TimeoutError(_) => SecretError::Unreachable("there was no answer in time"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            SecretError::Unreachable("there was no answer in time")
        }
        SdkError::DispatchFailure(_) => SecretError::Unreachable("the connection failed"),
        SdkError::ConstructionFailure(_) => SecretError::Unreachable("the request was not made"),
        _ => SecretError::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use aws_credential_types::Credentials;
    use aws_sdk_s3::primitives::SdkBody;
    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
    use secrecy::ExposeSecret;

    use super::super::ServiceTimeouts;
    use super::*;
    use crate::clock::Clock;
    use crate::config::Reader;
    use crate::telemetry::{TelemetryOptions, subscriber};

    const KEY: &str = "s3cret-of-a-client";

    /// Gives each request the same answer, or none.
    #[derive(Debug, Clone)]
    struct Says(Option<(u16, String)>);

    impl HttpConnector for Says {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            assert_eq!(
                request.headers().get("x-amz-target"),
                Some("secretsmanager.GetSecretValue")
            );
            HttpConnectorFuture::ready(match &self.0 {
                Some((status, body)) => {
                    let status = (*status).try_into().unwrap();
                    Ok(HttpResponse::new(status, SdkBody::from(body.as_str())))
                }
                None => Err(ConnectorError::io("lost".into())),
            })
        }
    }

    impl HttpClient for Says {
        fn http_connector(
            &self,
            _: &HttpConnectorSettings,
            _: &RuntimeComponents,
        ) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    async fn read(says: Option<(u16, &str)>) -> Result<SecretString, SecretError> {
        let says = Says(says.map(|(status, body)| (status, body.to_owned())));
        let options = AwsOptions {
            http_client: Some(SharedHttpClient::new(says)),
            credentials: Some(Credentials::new("id", "secret", None, None, "test")),
            ..AwsOptions::new("eu-central-1")
        };
        let secrets = AwsClients::new(&options).await.secrets(&options);
        secrets.read("keys").await
    }

    #[tokio::test]
    async fn a_secret_is_read_as_it_is() {
        let body = format!(r#"{{"Name":"keys","SecretString":"{{\"a\":\"{KEY}\"}}"}}"#);
        let read = read(Some((200, &body))).await.unwrap();
        assert_eq!(read.expose_secret(), format!(r#"{{"a":"{KEY}"}}"#));
    }

    #[tokio::test]
    async fn an_error_says_what_the_service_says() {
        let body = r#"{"__type":"AccessDeniedException","Message":"not you"}"#;
        let refused = read(Some((400, body))).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Secrets Manager answered AccessDeniedException: not you"
        );
        let lost = read(None).await.unwrap_err();
        assert_eq!(lost, SecretError::Unreachable("the connection failed"));
        let bytes = read(Some((200, r#"{"SecretBinary":"AAAA"}"#))).await;
        assert_eq!(bytes.map(drop), Err(SecretError::NoText));
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn no_log_line_of_any_level_and_no_error_shows_a_secret() {
        let written = Written::default();
        let mut reader = Reader::new([("WEIR_LOG".to_owned(), "trace".to_owned())]);
        let options = TelemetryOptions::read(&mut reader);
        let logs = subscriber(&options, Clock::system(), {
            let written = written.clone();
            move || written.clone()
        });
        let whole = format!(r#"{{"SecretString":"{KEY}"}}"#);
        let mut shown = Vec::new();
        async {
            for (status, body) in [
                (200, whole.clone()),
                (200, whole.replace("\"}", "")),
                (200, format!(r#"{{"SecretString":{{"{KEY}":1}}}}"#)),
                (200, KEY.to_owned()),
                (400, whole.clone()),
                (400, KEY.to_owned()),
                (302, whole.clone()),
                (500, whole.clone()),
            ] {
                let read = read(Some((status, &body))).await;
                assert_eq!(read.is_ok(), status == 200 && body == whole, "{body}");
                shown.push(format!("{read:?}"));
                shown.extend(read.err().map(|error| error.to_string()));
            }
        }
        .with_subscriber(logs)
        .await;
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(written.contains("TRACE"), "nothing is logged");
        shown.push(written);
        for text in shown {
            assert!(!text.contains(KEY), "{text}");
        }
    }

    #[test]
    fn the_time_of_an_attempt_and_the_endpoint_can_be_set() {
        let variables = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:4000"),
            ("WEIR_SECRETS_TIMEOUT", "10"),
        ];
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut reader = Reader::new(variables.map(own));
        let options = AwsOptions::read(&mut reader);
        reader.finish().unwrap();
        assert_eq!(
            options.endpoint_secrets.as_deref(),
            Some("http://127.0.0.1:4000/")
        );
        let ten = ServiceTimeouts::of_attempt(Duration::from_secs(10));
        assert_eq!(options.timeouts_secrets, ten);
        for (value, is_taken) in [("0", false), ("1", true), ("11", false)] {
            let mut reader = Reader::new([own(("WEIR_SECRETS_TIMEOUT", value))]);
            let _ = AwsOptions::read(&mut reader);
            let problems = reader.finish().unwrap_err().to_string();
            assert_eq!(!problems.contains("SECRETS"), is_taken, "{value}");
        }
    }
}
