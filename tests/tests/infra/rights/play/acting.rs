//! Details and whole batches are cancelled, retried and mended.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use weir_domain::{BatchAction, BatchOrdinal, FileId};
use weir_store::BatchTask;
use weir_tests::text::{self, BUYER, UNKNOWN_BUYER, charge_of};

use super::super::stage::Stage;

impl Stage {
    pub(super) async fn details_are_mended(&mut self, file: FileId) {
        let batch = Self::batch_path(file, 1);
        let wrong = self.in_error(&batch).await;
        let one = |number: usize| json!({"batch_detail_ids": [wrong[number]]});
        self.mend(&batch).await;
        self.post(&format!("{batch}/cancel-drafts"), &one(0)).await;
        self.mend(&batch).await;
        self.post(&format!("{batch}/confirm-drafts"), &one(0)).await;
        self.work().await;
        self.post(&format!("{batch}/cancel-drafts"), &json!({}))
            .await;
        self.post(&format!("{batch}/cancel"), &one(2)).await;
        self.post(&format!("{batch}/retry"), &one(2)).await;
        self.work().await;
        let detail = format!("{batch}/details/{}", wrong[2]);
        self.put(&detail, &json!({"status": "Unprocessed"})).await;
        self.work().await;
    }

    async fn in_error(&self, batch: &str) -> Vec<String> {
        let details = self.details(batch).await;
        let wrong = details.iter().filter(|detail| detail["status"] == "Error");
        wrong
            .map(|detail| detail["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Sends the table of a batch's errors back, with a buyer that is known.
    async fn mend(&self, batch: &str) {
        let errors = format!("{batch}/errors");
        let table = self.get(&errors).await;
        let table = table.as_str().unwrap().replace(UNKNOWN_BUYER, BUYER);
        self.ask("POST", &errors, "text/csv", &table).await;
    }

    pub(super) async fn batches_are_acted_on(&mut self) {
        let records: Vec<_> = (0..40)
            .map(|number| charge_of(UNKNOWN_BUYER, &format!("ACT-{number}"), "1.00"))
            .collect();
        let file = self
            .settle("acted.xml", text::one_batch("ACTED", &records))
            .await;
        let batch = Self::batch_path(file, 1);
        self.post(&format!("{batch}/retry"), &json!({})).await;
        self.work().await;
        let table = self.get(&format!("{batch}/errors")).await;
        let table = table.as_str().unwrap().replace(UNKNOWN_BUYER, BUYER);
        self.ask("POST", &format!("{batch}/errors"), "text/csv", &table)
            .await;
        self.post(&format!("{batch}/confirm-drafts"), &json!({}))
            .await;
        self.post(&format!("{batch}/cancel"), &json!({})).await;
        self.work().await;
        self.put(&batch, &json!({"status": "Unprocessed"})).await;
        self.post(&format!("{batch}/retry"), &json!({"status": "Cancelled"}))
            .await;
        self.work().await;

        // What is begun and not gone on with is woken by the sweeper and carried on by the processor.
        for (name, action) in [
            ("CARRIED-1", BatchAction::Retry),
            ("CARRIED-2", BatchAction::Cancel),
            ("CARRIED-3", BatchAction::ConfirmDrafts),
            ("CARRIED-4", BatchAction::CancelDrafts),
        ] {
            let text = text::one_batch(name, &records[..3]).replace("ACT-", name);
            let file = self.settle(&format!("{name}.xml"), text).await;
            let batch = Self::batch_path(file, 1);
            let table = self.get(&format!("{batch}/errors")).await;
            let table = table.as_str().unwrap().replace(UNKNOWN_BUYER, BUYER);
            self.ask("POST", &format!("{batch}/errors"), "text/csv", &table)
                .await;
            let task = BatchTask {
                id: self.parts.random.uuid_v4(),
                action,
                actor: "stage".to_owned(),
                correlation_id: "stage".to_owned(),
                at: self.parts.timeline.now(),
                next_line: 1,
                checkpoint: None,
                changed: 0,
                left_out: BTreeSet::new(),
            };
            let id = file.batch(BatchOrdinal::new(1).unwrap());
            let store = &self.parts.store;
            let seen = store.batch(id).await.unwrap().unwrap();
            assert!(store.begin_task(&seen, &task).await.unwrap());
        }
        self.parts.timeline.jump(Duration::from_hours(2));
        self.swept().await;
        self.work().await;
    }
}
