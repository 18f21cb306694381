//! Reference data is changed over HTTP and by messages.

use serde_json::{Value, json};

use super::super::stage::{Stage, sample};

impl Stage {
    pub(super) async fn reference_data_changes(&self) {
        let program = json!({
            "name": "Fleet",
            "status": "Active",
            "reply_to_email": "reply@example.com",
            "support_email": "support@example.com",
            "sender_email": "sender@example.com",
        });
        let schedule = json!({
            "report_id": self.get("/v1/reports").await[0]["id"],
            "schedule_frequency": "Daily",
            "schedule_tz": "Europe/Vienna",
            "schedule_hour": 6,
            "recipient_emails": ["reports@example.com"],
        });
        let made = async |above: &str, body: &Value| {
            let made = self.post(above, body).await;
            let own = format!("{above}/{}", made["id"].as_str().unwrap());
            self.put(&own, body).await;
            own
        };
        let client = made("/v1/clients", &json!({"name": "Contoso"})).await;
        let program = made(&format!("{client}/programs"), &program).await;
        let seller = json!({"name": "Northwind", "alternate_seller_id": "ALT-1"});
        let seller = made(&format!("{program}/sellers"), &seller).await;
        let renamed = json!({"name": "Northwind", "alternate_seller_id": "ALT-2"});
        self.put(&seller, &renamed).await;
        let customer = made(
            &format!("{program}/customers"),
            &json!({"name": "Tailspin"}),
        )
        .await;
        let id = self.parts.random.uuid_v4();
        let with_id = format!("{program}/customers/{id}");
        self.post(&with_id, &json!({"name": "Fabrikam"})).await;
        let of_program = made(&format!("{program}/reportschedules"), &schedule).await;
        let of_seller = made(&format!("{seller}/reportschedules"), &schedule).await;
        // Something hangs on each of them.
        for own in [&client, &program, &seller] {
            let refused = self.ask_within("DELETE", own, "", "", self.deadline());
            assert_eq!(refused.await["statusCode"], 409, "{own}");
        }
        for own in [
            of_seller, of_program, with_id, customer, seller, program, client,
        ] {
            self.ask("DELETE", &own, "", "").await;
        }
    }

    /// Messages that change reference data, that wait, that are poison, and dead letters.
    pub(super) async fn messages_come(&self) {
        let family = self.family().await;
        let mut ids = family.split('/').skip(3).step_by(2);
        let (client, program) = (ids.next().unwrap(), ids.next().unwrap());
        let id = self.parts.random.uuid_v4();
        let data = |name: &str, alternate: &str| {
            json!({
                "id": id, "client_id": client, "program_id": program, "name": name,
                "status": "Active", "alternate_seller_id": alternate,
            })
        };
        let long = "n".repeat(200);
        for (at, kind, data) in [
            (1, "seller.created", data("One", "MSG-1")),
            (2, "seller.updated", data(&long, "MSG-2")),
            (3, "seller.deleted", json!({"id": id})),
        ] {
            let occurred_at = format!("2026-11-21T07:30:0{at}Z");
            let body = json!({"type": kind, "occurred_at": occurred_at, "data": data});
            self.message(&body.to_string()).await;
        }
        // More than lies well in an item.
        let bulky = json!({
            "type": "seller.created", "occurred_at": "2026-11-21T07:31:00Z",
            "data": data("Bulky", "MSG-3"), "more": self.noise(),
        });
        self.message(&bulky.to_string()).await;
        let customer = self.parts.random.uuid_v4();
        for (at, name) in [(1, "One"), (2, "Two")] {
            let body = json!({
                "type": "customer.updated", "occurred_at": format!("2026-11-21T08:30:0{at}Z"),
                "data": {
                    "id": customer, "client_id": client, "program_id": program, "name": name,
                },
            });
            self.message(&body.to_string()).await;
        }
        self.message("poison").await;

        let batch = self.get("/v1/batches").await[0]["id"].clone();
        let details =
            json!({"v": 1, "batch_id": batch, "lines": [1, 2], "correlation_id": "stage"});
        for body in [details.to_string(), self.noise()] {
            self.dead_letter(body).await;
        }
    }

    async fn message(&self, body: &str) {
        let mut event = sample("sqs-reference");
        event["Records"][0]["body"] = json!(body);
        event["Records"][0]["messageId"] = json!(self.parts.random.uuid_v4());
        // Twice, as a queue may.
        for _ in 0..2 {
            let event = event.clone();
            let taken = weir_reference_sync::handle(&self.synchronize, event, self.deadline());
            taken.await.unwrap();
        }
    }
}
