//! What stands still, because its messages are lost, is found by the sweeper.

use std::time::Duration;

use serde_json::json;
use weir_domain::{BatchOrdinal, FileId};
use weir_tests::rig::{delete, receive};
use weir_tests::text::{self, charge};

use super::super::stage::Stage;

impl Stage {
    /// The messages of files and details are lost.
    pub(super) async fn what_stands_still_is_swept(&mut self) {
        let charges = [charge("LOST-1", "1.00"), charge("LOST-2", "1.00")];
        self.announced("lost.xml", text::one_batch("LOST", &charges))
            .await;
        self.lose().await;
        let ended = self
            .settle(
                "ended.xml",
                text::one_batch("ENDED", &[charge("END", "1.00")]),
            )
            .await;
        let ended = ended.batch(BatchOrdinal::new(1).unwrap());
        self.parts.reopen(ended).await;
        // Its details end as dead letters before anybody has begun them.
        let text = text::one_batch("DEAD", &[charge("DEAD-1", "1.00")]);
        let dead = FileId::of_object(&self.announced("dead.xml", text).await);
        self.lose().await;
        let dead = dead.batch(BatchOrdinal::new(1).unwrap());
        let details = json!({"v": 1, "batch_id": dead, "lines": [1], "correlation_id": "stage"});
        self.dead_letter(details.to_string()).await;
        let posted = text::one_batch("LOST-POSTED", &[charge("LOST-3", "1.00")]);
        self.ask("POST", "/v1/settlements", "application/xml", &posted)
            .await;
        self.lose().await;
        self.parts.timeline.jump(Duration::from_hours(2));
        self.swept().await;
        self.work().await;
    }

    async fn lose(&self) {
        for url in [
            &self.parts.names.uploads_queue,
            &self.parts.names.details_queue,
        ] {
            loop {
                let received = receive(&self.parts.queues, url).await;
                if received.is_empty() {
                    break;
                }
                for message in &received {
                    delete(&self.parts.queues, url, message).await;
                }
            }
        }
    }
}
