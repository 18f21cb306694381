//! `weir messages` on a local system whose functions take messages from its queue.

use std::time::Duration;

use serde_json::json;
use weir_domain::{MessageId, MessageStatus};
use weir_local::system::{Ports, System, SystemOptions};
use weir_runtime::{AwsClients, AwsOptions, Clock, Reader};
use weir_simulator::Faults;
use weir_store::Message;

use crate::weir::{Run, command, run};

const CLIENT: &str = "0190a6a0-0000-7000-8000-00000000000c";
const PROGRAM: &str = "0190a6a0-0000-7000-8000-0000000000aa";

/// A running local system whose messages wait for nothing.
struct Local {
    system: System,
    clients: AwsClients,
    _folder: tempfile::TempDir,
}

impl Local {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SystemOptions {
            data: folder.path().to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            ports: Ports::default(),
            faults: Faults::default(),
            seed: 1,
            register_sellers_of: None,
            sweep_every: Duration::from_secs(5),
            settings: vec![("WEIR_MESSAGES_RECEIVES_MAX".to_owned(), "1".to_owned())],
        };
        let system = System::start(options).await.unwrap();
        let mut settings = Reader::new(system.environment().to_vec());
        let aws = AwsOptions::read(&mut settings);
        settings.finish().unwrap();
        Self {
            system,
            clients: AwsClients::new(&aws).await,
            _folder: folder,
        }
    }

    fn setting(&self, name: &str) -> String {
        let mut settings = self.system.environment().iter();
        let found = settings.find(|(known, _)| known == name);
        found.unwrap().1.clone()
    }

    /// The binary with the settings of the functions.
    fn weir(&self, arguments: &[&str]) -> Run {
        let mut command = command(arguments);
        command.envs(self.system.environment().iter().cloned());
        run(command)
    }

    /// Puts a text on the messages queue, and gives the id of the message that is kept of it.
    async fn send(&self, body: &str) -> MessageId {
        let request = self.clients.sqs.send_message();
        let request = request.queue_url(self.setting("WEIR_MESSAGES_QUEUE_URL"));
        let sent = request.message_body(body).send().await.unwrap();
        MessageId::of_delivery("sqs", sent.message_id().unwrap())
    }

    /// The message once it is so.
    async fn message(&self, id: MessageId, status: MessageStatus) -> Message {
        for _ in 0..400 {
            let found = self.system.store().messages(&[id]).await.unwrap();
            if let Some(message) = found.into_iter().find(|message| message.status == status) {
                return message;
            }
            Clock::system().sleep(Duration::from_millis(50)).await;
        }
        panic!("no message {id} was {status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_failed_is_applied_once_it_is_replayed_after_a_fix() {
    let local = Local::start().await;
    let told = |kind: &str, data| {
        let at = "2026-01-02T03:04:05Z";
        json!({"type": format!("{kind}.created"), "occurred_at": at, "data": data}).to_string()
    };
    let program = json!({
        "id": PROGRAM, "client_id": CLIENT, "name": "Fleet", "status": "Active",
        "reply_to_email": "a@example.com", "support_email": "b@example.com",
        "sender_email": "c@example.com",
    });
    let orphan = local.send(&told("program", program)).await;
    let failed = local.message(orphan, MessageStatus::Failed).await;
    let why = failed.error_log.unwrap();
    assert!(
        why.starts_with(&format!("there is no client {CLIENT} yet")),
        "{why}"
    );

    let client = told("client", json!({"id": CLIENT, "name": "Northwind"}));
    let client = local.send(&client).await;
    local.message(client, MessageStatus::Processed).await;
    let ran = local.weir(&["messages", "replay", &orphan.to_string()]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let words = format!("The message {orphan} is on its queue again; it was Failed.\n");
    assert_eq!(ran.stdout, words);
    local.message(orphan, MessageStatus::Processed).await;
    let program = local.system.store().program(PROGRAM.parse().unwrap()).await;
    assert_eq!(program.unwrap().unwrap().name, "Fleet");

    let ran = local.weir(&["messages", "replay", &orphan.to_string(), "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(shown["status"], "Processed");
    local.system.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_there_is_not_cannot_be_replayed() {
    let local = Local::start().await;
    let ran = local.weir(&["messages", "replay", CLIENT]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert!(
        ran.stderr
            .contains(&format!("there is no message {CLIENT}")),
        "{}",
        ran.stderr
    );
    local.system.stop().await.unwrap();
}

#[test]
fn a_setting_that_is_missing_is_named() {
    let ran = run(command(&["messages", "replay", CLIENT]));
    assert_eq!(ran.code, 2);
    for name in [
        "WEIR_TABLE_PREFIX",
        "WEIR_BUCKET",
        "WEIR_MESSAGES_QUEUE_URL",
    ] {
        assert!(ran.stderr.contains(name), "{}", ran.stderr);
    }
}
