use super::*;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// Loses every request, and keeps where it was to go.
#[derive(Debug, Clone, Default)]
struct Lossy(Arc<Mutex<Vec<String>>>);

impl HttpConnector for Lossy {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.lock().unwrap().push(request.uri().to_owned());
        HttpConnectorFuture::ready(Err(ConnectorError::io("lost".into())))
    }
}

impl HttpClient for Lossy {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn options() -> (AwsOptions, Lossy) {
    let lossy = Lossy::default();
    let options = AwsOptions {
        http_client: Some(SharedHttpClient::new(lossy.clone())),
        credentials: Some(Credentials::new("id", "secret", None, None, "test")),
        ..AwsOptions::new("eu-central-1")
    };
    (options, lossy)
}

#[tokio::test]
async fn a_lost_request_is_tried_three_times_in_all() {
    let (options, lossy) = options();
    let clients = AwsClients::new(&options).await;
    clients.dynamodb.list_tables().send().await.unwrap_err();
    assert_eq!(
        *lossy.0.lock().unwrap(),
        ["https://dynamodb.eu-central-1.amazonaws.com/"; 3]
    );
}

#[tokio::test]
async fn each_service_has_its_own_endpoint_and_s3_names_the_bucket_in_the_path() {
    let (mut options, lossy) = options();
    options.endpoint_dynamodb = Some("http://127.0.0.1:1".to_owned());
    options.endpoint_s3 = Some("http://127.0.0.1:2".to_owned());
    options.endpoint_sqs = Some("http://127.0.0.1:3".to_owned());
    let clients = AwsClients::new(&options).await;
    clients.dynamodb.list_tables().send().await.unwrap_err();
    clients.sqs.list_queues().send().await.unwrap_err();
    let head = clients.s3.head_object().bucket("files").key("a.xml");
    head.send().await.unwrap_err();
    let mut seen = lossy.0.lock().unwrap().clone();
    seen.dedup();
    assert_eq!(
        seen,
        [
            "http://127.0.0.1:1/",
            "http://127.0.0.1:3/",
            "http://127.0.0.1:2/files/a.xml"
        ]
    );
}

#[tokio::test]
async fn without_an_endpoint_s3_names_the_bucket_in_the_host() {
    let (options, lossy) = options();
    let clients = AwsClients::new(&options).await;
    let head = clients.s3.head_object().bucket("files").key("a.xml");
    head.send().await.unwrap_err();
    assert_eq!(
        lossy.0.lock().unwrap()[0],
        "https://files.s3.eu-central-1.amazonaws.com/a.xml"
    );
}

#[test]
fn options_are_read_from_the_variables_that_the_sdk_names() {
    let variables = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9324"),
        ("WEIR_S3_TIMEOUT", "90"),
    ];
    let mut reader =
        Reader::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let options = AwsOptions::read(&mut reader);
    reader.finish().unwrap();
    assert_eq!(options.region, "us-east-1");
    assert_eq!(
        options.endpoint_sqs.as_deref(),
        Some("http://127.0.0.1:9324/")
    );
    assert_eq!(options.endpoint_s3, None);
    assert_eq!(options.timeouts_s3.attempt, Duration::from_secs(90));
    assert_eq!(options.timeouts_s3.operation, Duration::from_secs(275));
}

#[test]
fn a_region_is_required_and_a_receive_may_always_wait_twenty_seconds() {
    let mut reader = Reader::new([("WEIR_SQS_TIMEOUT".to_owned(), "20".to_owned())]);
    let _ = AwsOptions::read(&mut reader);
    let error = reader.finish().unwrap_err().to_string();
    assert!(error.contains("AWS_REGION"), "{error}");
    assert!(error.contains("WEIR_SQS_TIMEOUT"), "{error}");
}

#[test]
fn options_never_show_the_secret_key() {
    let (options, _) = options();
    let shown = format!("{options:?}");
    assert!(!shown.contains("\"secret\""), "{shown}");
}

#[test]
fn half_a_pair_of_credentials_is_a_problem_and_none_at_all_is_not() {
    const ID: &str = "AWS_ACCESS_KEY_ID";
    const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
    for (set, missing) in [
        (&[][..], None),
        (&[ID, SECRET][..], None),
        (&[ID][..], Some(SECRET)),
        (&[SECRET][..], Some(ID)),
    ] {
        let set = set.iter().chain(&["AWS_REGION"]);
        let mut reader = Reader::new(set.map(|name| ((*name).to_owned(), "s3cret".to_owned())));
        let options = AwsOptions::read(&mut reader);
        match (reader.finish(), missing) {
            (Ok(()), None) => {}
            (Err(error), Some(name)) => {
                assert_eq!(error.problems().len(), 1, "{error}");
                assert_eq!(error.problems()[0].name, name);
                assert!(options.credentials.is_none());
            }
            (outcome, _) => panic!("{outcome:?}, {missing:?} is missing"),
        }
    }
}
