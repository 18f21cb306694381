//! Keys that lie in a secret: they change while details are sent, and the service that holds them fails.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use weir_domain::{ClientId, DetailStatus, FileId};
use weir_runtime::{Metric, Random};
use weir_settlement::credentials::{Credentials, KeySource, NoKey};
use weir_simulator::{Running, Simulator, SimulatorOptions};
use weir_tests::counted::Counted;
use weir_tests::parts::scope;
use weir_tests::rig::Rig;
use weir_tests::secrets::{Answers, SecretService};
use weir_tests::text;
use weir_three_rivers::{ApiKey, Client, ClientOptions};

const SECRET: &str = "three-rivers-keys";
const OLD: &str = "old-key-of-the-client";
const NEW: &str = "new-key-of-the-client";
const OTHER: &str = "key-of-another-client";
/// Past which the secret may be read again.
const APART: Duration = Duration::from_secs(11);
/// Past which what was read is old.
const AGE_MAX: Duration = Duration::from_mins(5);
/// How long the service is waited for, but where a test is about that.
const PATIENCE: Duration = Duration::from_secs(20);
const FAULTS: [Answers; 5] = [
    Answers::Throttled,
    Answers::Denied,
    Answers::Damaged,
    Answers::Cut,
    Answers::Late,
];

/// The rig, its processor with keys from a secret, at a 3Rivers that takes the new key alone.
struct Stage {
    rig: Rig,
    secrets: SecretService,
    simulator: Running,
    counted: Counted,
}

impl Stage {
    async fn set(patience: Duration) -> Self {
        let mut rig = Rig::start().await;
        let secrets = SecretService::start().await;
        let clock = rig.parts.timeline.clock().clone();
        let options = SimulatorOptions {
            api_keys: Some(vec![NEW.into()]),
            ..SimulatorOptions::default()
        };
        let loopback = ([127, 0, 0, 1], 0).into();
        let simulator = Simulator::start(loopback, options, clock.clone());
        let simulator = simulator.await.unwrap();
        let http = rig.parts.network.http.clone().with_clock(clock.clone());
        let options = ClientOptions::new(simulator.base_url().parse().unwrap());
        let counted = Counted::of("detail-processor", &clock);
        let metrics = counted.metrics.clone();
        let client = secrets.client(&rig.parts.network, patience).await;
        let processor = &mut rig.process.processor;
        processor.platform = Client::new(http, clock.clone(), options).unwrap();
        processor.metrics = metrics.clone();
        processor.credentials = Credentials::new(source(), client, clock, metrics);
        Self {
            rig,
            secrets,
            simulator,
            counted,
        }
    }

    /// Puts the client's key into the secret.
    fn put(&self, key: &str) {
        self.secrets.put(SECRET, object(&[(own(), key)]));
    }

    async fn charges(&self, name: &str, count: u32) -> FileId {
        let records: Vec<_> = (1..=count)
            .map(|line| text::charge(&format!("SO-{line}"), "12.50"))
            .collect();
        let text = text::one_batch(name, &records);
        self.rig.take(&format!("{name}.xml"), text).await
    }

    fn jump(&self, by: Duration) {
        self.rig.parts.timeline.jump(by);
    }

    /// Charges, and refusals of keys among them.
    fn requests(&self) -> u64 {
        self.simulator.summary().requests
    }

    /// How often something was counted.
    fn counted(&self, metric: Metric) -> u64 {
        self.counted.sum(metric)
    }

    async fn all_are(&self, file: FileId, status: DetailStatus) {
        for found in self.rig.statuses(file).await.into_iter().flatten() {
            assert_eq!(found, status);
        }
    }
}

fn source() -> KeySource {
    KeySource::Secret {
        id: SECRET.to_owned(),
        age_max: AGE_MAX,
    }
}

fn own() -> ClientId {
    scope().client_id
}

fn object(keys: &[(ClientId, &str)]) -> String {
    let keys = keys.iter().map(|(client, key)| (client.to_string(), *key));
    json!(keys.collect::<BTreeMap<_, _>>()).to_string()
}

fn print(key: &str) -> [u8; 32] {
    key.parse::<ApiKey>().unwrap().fingerprint()
}

#[tokio::test]
async fn a_rotated_key_is_in_use_at_the_first_refusal_and_no_detail_notices() {
    let stage = Stage::set(PATIENCE).await;
    stage.put(OLD);
    let credentials = &stage.rig.process.processor.credentials;
    credentials.of(own()).await.unwrap();
    stage.jump(APART);
    stage.put(NEW);
    let file = stage.charges("rotated", 40).await;
    stage.rig.process_messages().await;
    stage.all_are(file, DetailStatus::Processed).await;
    assert_eq!(stage.simulator.summary().charges, 40);
    assert_eq!(stage.secrets.requests(), 2);
    for metric in [Metric::CredentialsRefused, Metric::DetailsRetried] {
        assert_eq!(stage.counted(metric), 0, "{}", metric.name());
    }
}

#[tokio::test]
async fn a_rotated_key_is_in_use_within_minutes_without_any_refusal() {
    let stage = Stage::set(PATIENCE).await;
    stage.put(OLD);
    let credentials = &stage.rig.process.processor.credentials;
    credentials.of(own()).await.unwrap();
    stage.put(NEW);
    credentials.keep_fresh().await;
    let held = credentials.of(own()).await.unwrap();
    assert_eq!(held.fingerprint(), print(OLD));
    stage.jump(AGE_MAX);
    credentials.keep_fresh().await;
    let held = credentials.of(own()).await.unwrap();
    assert_eq!(held.fingerprint(), print(NEW));
    assert_eq!(stage.secrets.requests(), 2);
}

#[tokio::test]
async fn a_refusal_stands_when_the_secret_still_holds_that_key_and_a_storm_of_them_is_one_read() {
    let stage = Stage::set(PATIENCE).await;
    stage.put(OLD);
    let credentials = &stage.rig.process.processor.credentials;
    credentials.of(own()).await.unwrap();
    stage.jump(APART);
    let file = stage.charges("refused", 60).await;
    stage.rig.process_messages().await;
    stage.all_are(file, DetailStatus::Error).await;
    let detail = stage.rig.detail(file, 1, 1).await;
    let code = detail.error_code.as_deref();
    assert_eq!(code, Some("authorization.unauthenticated_not_allowed"));
    assert_eq!(detail.attempted_at, None);
    assert_eq!(stage.requests(), 60);
    assert_eq!(stage.counted(Metric::CredentialsRefused), 60);
    assert_eq!(stage.secrets.requests(), 2);
}

#[tokio::test]
async fn a_refusal_just_after_a_read_ends_no_detail() {
    let stage = Stage::set(PATIENCE).await;
    stage.put(OLD);
    let credentials = &stage.rig.process.processor.credentials;
    credentials.of(own()).await.unwrap();
    stage.put(NEW);
    let file = stage.charges("lately", 5).await;
    stage.rig.process_messages().await;
    assert_eq!(stage.secrets.requests(), 1);
    stage.all_are(file, DetailStatus::Retry).await;
    assert_eq!(stage.counted(Metric::CredentialsRefused), 0);
    stage.jump(Duration::from_mins(2));
    stage.rig.settle().await;
    stage.all_are(file, DetailStatus::Processed).await;
    assert_eq!(stage.simulator.summary().charges, 5);
    assert_eq!(stage.secrets.requests(), 2);
}

#[tokio::test]
async fn a_refusal_while_the_secret_cannot_be_read_ends_no_detail() {
    let stage = Stage::set(PATIENCE).await;
    stage.put(OLD);
    let credentials = &stage.rig.process.processor.credentials;
    credentials.of(own()).await.unwrap();
    stage.jump(APART);
    stage.secrets.set_answers(Answers::Denied);
    let file = stage.charges("denied", 3).await;
    stage.rig.process_messages().await;
    stage.all_are(file, DetailStatus::Retry).await;
    assert_eq!(stage.counted(Metric::CredentialsUnread), 1);
    stage.put(NEW);
    stage.secrets.set_answers(Answers::Well);
    stage.jump(Duration::from_mins(2));
    stage.rig.settle().await;
    stage.all_are(file, DetailStatus::Processed).await;
}

#[tokio::test]
async fn a_client_without_a_key_waits_and_is_sent_once_it_has_one() {
    let stage = Stage::set(PATIENCE).await;
    let other = ClientId::try_from(Random::seeded(3).uuid_v4()).unwrap();
    stage.secrets.put(SECRET, object(&[(other, OTHER)]));
    let file = stage.charges("keyless", 30).await;
    let began = stage.rig.parts.timeline.now();
    stage.rig.process_messages().await;
    // Nobody else's key is tried.
    assert_eq!(stage.requests(), 0);
    assert_eq!(stage.counted(Metric::CredentialsMissing), 30);
    let detail = stage.rig.detail(file, 1, 30).await;
    assert_eq!(detail.status, DetailStatus::Unprocessed);
    assert_eq!((detail.events, detail.retry_count), (0, 0));
    let waits = detail.next_attempt_at.unwrap() - began;
    assert!(waits >= TimeDelta::minutes(1), "{waits}");
    assert!(waits < TimeDelta::minutes(2), "{waits}");
    let description = detail.error_description.unwrap();
    assert!(description.contains("3Rivers key"), "{description}");
    // Whatever wakes it before its time finds that it is not due; a sweep wakes nothing.
    assert_eq!(stage.rig.sweep().await.details, 0);
    // Hours later it waits still, in the queue.
    for _ in 0..30 {
        stage.jump(Duration::from_mins(10));
        stage.rig.process_messages().await;
    }
    stage.all_are(file, DetailStatus::Unprocessed).await;
    let keys = [(own(), NEW), (other, OTHER)];
    stage.secrets.put(SECRET, object(&keys));
    stage.jump(Duration::from_mins(20));
    stage.rig.settle().await;
    stage.all_are(file, DetailStatus::Processed).await;
    assert_eq!(stage.simulator.summary().charges, 30);
    let detail = stage.rig.detail(file, 1, 30).await;
    assert_eq!(
        (detail.error_description, detail.next_attempt_at),
        (None, None)
    );
}

#[tokio::test]
async fn keys_that_cannot_be_read_at_first_hold_details_up_and_lose_none() {
    for answers in FAULTS {
        let stage = Stage::set(Duration::from_secs(1)).await;
        stage.put(NEW);
        stage.secrets.set_answers(answers);
        let file = stage.charges("unread", 3).await;
        stage.rig.process_messages().await;
        assert_eq!(stage.requests(), 0, "{answers:?}");
        let detail = stage.rig.detail(file, 1, 1).await;
        assert_eq!(detail.status, DetailStatus::Unprocessed, "{answers:?}");
        let description = detail.error_description.unwrap();
        assert!(description.contains("could not be read"), "{description}");
        assert!(stage.counted(Metric::CredentialsUnread) > 0, "{answers:?}");
        stage.secrets.go_on();
        stage.jump(Duration::from_mins(3));
        stage.rig.settle().await;
        stage.all_are(file, DetailStatus::Processed).await;
    }
}

#[tokio::test]
async fn keys_that_could_not_be_read_put_old_details_off_by_a_minute_and_count_no_client_as_keyless()
 {
    let stage = Stage::set(PATIENCE).await;
    stage.put(NEW);
    stage.secrets.set_answers(Answers::Denied);
    let file = stage.charges("old", 3).await;
    stage.jump(Duration::from_mins(30));
    let began = stage.rig.parts.timeline.now();
    stage.rig.process_messages().await;
    let waits = stage.rig.detail(file, 1, 1).await.next_attempt_at.unwrap() - began;
    assert!(waits >= TimeDelta::minutes(1), "{waits}");
    assert!(waits < TimeDelta::minutes(2), "{waits}");
    assert_eq!(stage.counted(Metric::CredentialsMissing), 0);
    assert!(stage.counted(Metric::CredentialsUnread) > 0);
    stage.secrets.go_on();
    stage.jump(Duration::from_mins(2));
    stage.rig.settle().await;
    stage.all_are(file, DetailStatus::Processed).await;
}

#[tokio::test]
async fn what_was_read_stays_in_use_whatever_becomes_of_the_service_or_the_secret() {
    let stage = Stage::set(Duration::from_secs(1)).await;
    stage.put(NEW);
    let credentials = &stage.rig.process.processor.credentials;
    credentials.of(own()).await.unwrap();
    let damaged = ["", "no JSON", "[]", r#"{"name":"value-of-it"}"#, "{"];
    let mut rounds = 0;
    for text in damaged {
        stage.secrets.put(SECRET, text);
        stage.jump(AGE_MAX);
        let file = stage.charges(&format!("round-{rounds}"), 2).await;
        stage.rig.process_messages().await;
        stage.all_are(file, DetailStatus::Processed).await;
        rounds += 1;
        assert_eq!(stage.counted(Metric::CredentialsUnread), rounds, "{text}");
    }
    for answers in FAULTS {
        stage.secrets.set_answers(answers);
        stage.jump(AGE_MAX);
        let file = stage.charges(&format!("round-{rounds}"), 2).await;
        stage.rig.process_messages().await;
        stage.all_are(file, DetailStatus::Processed).await;
        rounds += 1;
        let counted = stage.counted(Metric::CredentialsUnread);
        assert_eq!(counted, rounds, "{answers:?}");
    }
}

#[tokio::test]
async fn an_entry_with_a_fault_takes_no_key_away() {
    let stage = Stage::set(PATIENCE).await;
    let other = ClientId::try_from(Random::seeded(3).uuid_v4()).unwrap();
    let credentials = &stage.rig.process.processor.credentials;
    stage
        .secrets
        .put(SECRET, object(&[(own(), OLD), (other, OTHER)]));
    credentials.of(own()).await.unwrap();
    stage
        .secrets
        .put(SECRET, object(&[(own(), NEW), (other, "short")]));
    stage.jump(AGE_MAX);
    credentials.keep_fresh().await;
    for (client, key) in [(own(), NEW), (other, OTHER)] {
        let held = credentials.of(client).await.unwrap();
        assert_eq!(held.fingerprint(), print(key));
    }
    assert_eq!(stage.counted(Metric::CredentialsUnread), 1);
}

#[tokio::test]
async fn no_work_waits_for_keys_that_are_only_old() {
    let stage = Stage::set(PATIENCE).await;
    stage.put(NEW);
    let credentials = &stage.rig.process.processor.credentials;
    credentials.of(own()).await.unwrap();
    stage.jump(AGE_MAX);
    stage.secrets.set_answers(Answers::Late);
    let file = stage.charges("late", 10).await;
    let began = stage.rig.parts.timeline.now();
    stage.rig.process_messages().await;
    // Nor does the invocation, but for two seconds.
    let took = stage.rig.parts.timeline.now() - began;
    assert!(took < TimeDelta::seconds(15), "{took}");
    assert_eq!(stage.secrets.requests(), 2);
    assert_eq!(stage.counted(Metric::CredentialsUnread), 1);
    stage.all_are(file, DetailStatus::Processed).await;
    // What was given up stands in nobody's way.
    credentials.keep_fresh().await;
    assert_eq!(stage.secrets.requests(), 2);
    stage.secrets.go_on();
    stage.put(OTHER);
    stage.jump(APART);
    credentials.keep_fresh().await;
    assert_eq!(stage.secrets.requests(), 3);
    let held = credentials.of(own()).await.unwrap();
    assert_eq!(held.fingerprint(), print(OTHER));
}

#[tokio::test]
async fn no_client_is_ever_given_another_s_key_however_they_change() {
    let stage = Stage::set(PATIENCE).await;
    let credentials = &stage.rig.process.processor.credentials;
    let random = Random::seeded(11);
    let clients: Vec<ClientId> = (0..6)
        .map(|_| ClientId::try_from(random.uuid_v4()).unwrap())
        .collect();
    let mut ever: BTreeMap<ClientId, Vec<[u8; 32]>> = BTreeMap::new();
    for round in 0..150 {
        let mut put = BTreeMap::new();
        for client in &clients {
            let key = format!("key-{round}-{}", random.uuid_v4());
            match random.below(4) {
                0 => {}
                1 => drop(put.insert(client.to_string(), "bad".to_owned())),
                _ => {
                    ever.entry(*client).or_default().push(print(&key));
                    put.insert(client.to_string(), key);
                }
            }
        }
        let mut text = json!(put).to_string();
        if random.below(5) == 0 {
            text.truncate(text.len() / 2);
        }
        stage.secrets.put(SECRET, text);
        stage.jump(Duration::from_secs(random.below(400)));
        credentials.keep_fresh().await;
        for client in &clients {
            match credentials.of(*client).await {
                Ok(key) => assert!(ever[client].contains(&key.fingerprint())),
                Err(NoKey::OfClient(named)) => assert_eq!(named, *client),
                Err(NoKey::Unread) => {}
            }
        }
    }
    assert!(stage.secrets.requests() <= 150);
}

#[tokio::test]
async fn however_many_ask_for_keys_that_are_not_there_the_service_is_asked_once_in_ten_seconds() {
    let stage = Stage::set(PATIENCE).await;
    stage.secrets.put(SECRET, "{}");
    let credentials = &stage.rig.process.processor.credentials;
    let random = Random::seeded(5);
    for round in 1..=3 {
        let asked = (0..100).map(|_| {
            let client = ClientId::try_from(random.uuid_v4()).unwrap();
            async move {
                let refused = credentials.of(client).await.unwrap_err();
                assert_eq!(refused, NoKey::OfClient(client));
            }
        });
        futures::future::join_all(asked).await;
        assert_eq!(stage.secrets.requests(), round);
        stage.jump(APART);
    }
}
