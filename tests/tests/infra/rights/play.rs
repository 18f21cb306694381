//! The play: what sellers, clients, operators and other systems make the functions do.

mod acting;
mod looking;
mod meanwhile;
mod reference;
mod sending;
mod settling;
mod standing;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use weir_domain::{BatchOrdinal, FileId};

use super::calls::Call;
use super::stage::{Stage, nothing_failed, sample};

impl Stage {
    /// Plays it, and gives what each function has asked for.
    pub(super) async fn play(mut self) -> BTreeMap<&'static str, BTreeSet<Call>> {
        // The embedded S3 knows no other time than the machine's, and signed requests are good for a while.
        self.files_are_sent().await;
        let file = self.files_are_settled().await;
        self.details_are_mended(file).await;
        self.reference_data_changes().await;
        self.batches_are_taken_again().await;
        self.messages_come().await;
        self.batches_are_acted_on().await;
        self.what_stands_still_is_swept().await;
        self.requests_are_repeated().await;
        self.time_runs_short().await;
        self.ways_are_throttled().await;
        self.an_object_is_gone().await;
        self.everything_is_looked_at(file).await;
        self.seen()
    }

    fn batch_path(file: FileId, ordinal: u32) -> String {
        let batch = file.batch(BatchOrdinal::new(ordinal).unwrap());
        format!("/v1/files/{file}/batches/{batch}")
    }

    async fn details(&self, batch: &str) -> Vec<Value> {
        let listed = self.get(&format!("{batch}/batchdetails")).await;
        listed.as_array().unwrap().clone()
    }

    async fn seller_becomes_known(&self, alternate_id: &str) {
        let family = self.family().await;
        let body = json!({"name": "Later", "alternate_seller_id": alternate_id});
        self.post(&format!("{family}/sellers"), &body).await;
    }

    /// The path of the demo's program.
    async fn family(&self) -> String {
        let program = &self.get("/v1/programs").await[0];
        let text = |name: &str| program[name].as_str().unwrap().to_owned();
        format!("/v1/clients/{}/programs/{}", text("client_id"), text("id"))
    }

    async fn swept(&self) {
        let swept = weir_sweeper::handle(&self.sweep, sample("schedule"), self.deadline());
        assert_eq!(swept.await.unwrap()["complete"], true);
    }

    async fn dead_letter(&self, body: String) {
        let mut event = sample("sqs-dead-letter-details");
        event["Records"][0]["body"] = json!(body);
        event["Records"][0]["messageId"] = json!(self.parts.random.uuid_v4());
        let sent_at = self.parts.timeline.now().timestamp_millis();
        event["Records"][0]["attributes"]["SentTimestamp"] = json!(sent_at.to_string());
        for _ in 0..2 {
            let event = event.clone();
            let kept = weir_dead_letter::handle(&self.dead_letter, event, self.deadline());
            assert_eq!(kept.await.unwrap(), nothing_failed());
        }
    }

    /// Text that is as long as it looks.
    fn noise(&self) -> String {
        let ids = (0..26_000).map(|_| self.parts.random.uuid_v4().to_string());
        ids.collect()
    }
}
