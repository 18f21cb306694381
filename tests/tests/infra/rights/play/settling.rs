//! Files are checked, split and settled.

use serde_json::json;
use weir_domain::FileId;
use weir_tests::text::{self, SELLERS, UNKNOWN_BUYER, charge, charge_of, refund};

use super::super::stage::Stage;

/// An alternate id of a seller who is made known later.
const LATER: &str = "LA-0001";

/// The order that is charged under a number.
fn order(number: usize) -> String {
    format!("SO-{number}")
}

impl Stage {
    /// Charges, refunds of them and of others, records in error, and a platform that is busy at first.
    pub(super) async fn files_are_settled(&mut self) -> FileId {
        let busy = json!({"errors": {"503": 0.4}});
        self.parts
            .simulator
            .set_faults(serde_json::from_value(busy).unwrap())
            .unwrap();
        let charges = (0..12).map(|number| charge(&order(number), "10.00"));
        let mut records: Vec<_> = charges.collect();
        records.push(refund(&order(0), "4.00"));
        let busy = self
            .settle("busy.xml", text::one_batch("BUSY", &records))
            .await;
        self.parts
            .simulator
            .set_faults(serde_json::from_value(json!({})).unwrap())
            .unwrap();
        self.work().await;
        let wrong = [
            charge("SO-20", "10.00"),
            charge_of(UNKNOWN_BUYER, "SO-21", "10.00"),
            text::wrong_charge("SO-22", "10.00"),
            refund("SO-20", "3.00"),
            refund(&order(1), "3.00"),
            refund("SO-404", "3.00"),
        ];
        let second = text::batch(
            "WRONG-2",
            SELLERS[1],
            &[charge_of(UNKNOWN_BUYER, "SO-30", "1.00")],
        );
        let file = text::file(&[text::batch("WRONG-1", SELLERS[0], &wrong), second]);
        let file = self.settle("wrong.xml", file).await;
        assert_ne!(busy, file);
        // The same number again: not taken.
        self.settle("again.xml", text::one_batch("BUSY", &records))
            .await;
        self.settle("no.xml", "<no".to_owned()).await;
        file
    }

    /// A batch whose seller is not known fails, and is taken again once the seller is.
    pub(super) async fn batches_are_taken_again(&mut self) {
        let batch = text::batch("LATER", LATER, &[charge("LATER-1", "1.00")]);
        let file = self.settle("later.xml", text::file(&[batch])).await;
        let batch = Self::batch_path(file, 1);
        self.seller_becomes_known(LATER).await;
        self.put(&batch, &json!({"status": "Unprocessed"})).await;
        self.work().await;
        assert_eq!(self.get(&batch).await["status"], "Processed");
    }
}
