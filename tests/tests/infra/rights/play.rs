//! The play: what sellers, clients, operators and other systems make the functions do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weir_domain::{BatchAction, BatchOrdinal, FileId};
use weir_runtime::HttpRequest;
use weir_settlement::upload::Composite;
use weir_store::BatchTask;
use weir_tests::rig::{delete, receive};
use weir_tests::text::{self, BUYER, SELLERS, UNKNOWN_BUYER, charge, charge_of, refund};

use super::calls::Call;
use super::stage::{Stage, nothing_failed, sample};

/// An alternate id of a seller who is made known later.
const LATER: &str = "LA-0001";

/// The order that is charged under a number.
fn order(number: usize) -> String {
    format!("SO-{number}")
}

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
        self.everything_is_looked_at(file).await;
        self.seen()
    }

    /// Charges, refunds of them and of others, records in error, and a platform that is busy at first.
    async fn files_are_settled(&mut self) -> FileId {
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

    fn batch_path(file: FileId, ordinal: u32) -> String {
        let batch = file.batch(BatchOrdinal::new(ordinal).unwrap());
        format!("/v1/files/{file}/batches/{batch}")
    }

    async fn details(&self, batch: &str) -> Vec<Value> {
        let listed = self.get(&format!("{batch}/batchdetails")).await;
        listed.as_array().unwrap().clone()
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

    async fn details_are_mended(&mut self, file: FileId) {
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

    async fn batches_are_acted_on(&mut self) {
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

    async fn swept(&self) {
        let swept = weir_sweeper::handle(&self.sweep, sample("schedule"), self.deadline());
        assert_eq!(swept.await.unwrap()["complete"], true);
    }

    /// The messages of files and details are lost.
    async fn what_stands_still_is_swept(&mut self) {
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

    /// A batch whose seller is not known fails, and is taken again once the seller is.
    async fn batches_are_taken_again(&mut self) {
        let batch = text::batch("LATER", LATER, &[charge("LATER-1", "1.00")]);
        let file = self.settle("later.xml", text::file(&[batch])).await;
        let family = self.family().await;
        let body = json!({"name": "Later", "alternate_seller_id": LATER});
        self.post(&format!("{family}/sellers"), &body).await;
        let batch = Self::batch_path(file, 1);
        self.put(&batch, &json!({"status": "Unprocessed"})).await;
        self.work().await;
        assert_eq!(self.get(&batch).await["status"], "Processed");
    }

    /// The path of the demo's program.
    async fn family(&self) -> String {
        let program = &self.get("/v1/programs").await[0];
        let text = |name: &str| program[name].as_str().unwrap().to_owned();
        format!("/v1/clients/{}/programs/{}", text("client_id"), text("id"))
    }

    async fn reference_data_changes(&self) {
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
        for own in [
            of_seller, of_program, with_id, customer, seller, program, client,
        ] {
            self.ask("DELETE", &own, "", "").await;
        }
    }

    async fn files_are_sent(&mut self) {
        let sent = |number: &str| text::one_batch(number, &[charge(number, "1.00")]);
        let xml = "application/xml";
        self.ask("POST", "/v1/settlements", xml, &sent("POSTED"))
            .await;
        let judged = "/v1/settlements?validate_only=true";
        self.ask("POST", judged, xml, &sent("JUDGED")).await;
        let named = self.post("/v1/files", &json!({"name": "a-name.xml"})).await;
        let named = format!("/v1/files/{}", named["id"].as_str().unwrap());
        self.put(&named, &json!({"name": "another-name.xml"})).await;
        self.put(&named, &json!({"name": "a-name.xml"})).await;
        for (name, query) in [("PLACED", ""), ("PLACED-JUDGED", "?validate_only=true")] {
            let bytes = sent(name);
            let hash = Sha256::digest(bytes.as_bytes());
            let hex = |hex: String, byte: u8| format!("{hex}{byte:02x}");
            let hash = hash.into_iter().fold(String::new(), hex);
            let place = self.place(name, query, bytes.len(), &hash).await;
            self.fill(&place["upload"], bytes.into()).await;
            self.complete(&place).await;
        }
        self.a_file_is_sent_in_parts(sent("PARTS")).await;
        self.work().await;
    }

    async fn a_file_is_sent_in_parts(&self, bytes: String) {
        let hash: [u8; 32] = Sha256::digest(bytes.as_bytes()).into();
        let composite = Composite::of([hash]).to_string();
        let place = self.place("PARTS", "", bytes.len(), &composite).await;
        let hash = hash.iter().map(|byte| format!("{byte:02x}"));
        let part = json!({"number": 1, "checksum_sha256": hash.collect::<String>()});
        let file = place["file"]["id"].as_str().unwrap();
        let path = format!("/v1/settlements/uploads/{file}/parts");
        let asked = self.post(&path, &json!({ "parts": [part] })).await;
        self.fill(&asked["parts"][0], bytes.into()).await;
        self.complete(&place).await;
    }

    async fn place(&self, name: &str, query: &str, size: usize, checksum: &str) -> Value {
        let body = json!({"name": name, "size": size, "checksum_sha256": checksum});
        let path = format!("/v1/settlements/uploads{query}");
        self.post(&path, &body).await
    }

    async fn complete(&self, place: &Value) {
        let file = place["file"]["id"].as_str().unwrap();
        let path = format!("/v1/settlements/uploads/{file}/complete");
        self.ask("POST", &path, "", "").await;
    }

    /// Sends bytes as a place says.
    async fn fill(&self, place: &Value, bytes: Bytes) {
        let url = place["url"].as_str().unwrap();
        let mut request = HttpRequest::new(Method::PUT, url.parse().unwrap());
        for (name, value) in place["headers"].as_object().unwrap() {
            let name: HeaderName = name.parse().unwrap();
            if name != "content-length" && name != "host" {
                let value: HeaderValue = value.as_str().unwrap().parse().unwrap();
                request.headers.insert(name, value);
            }
        }
        request.body = bytes;
        let answer = self.parts.network.http.send(request).await.unwrap();
        let said = String::from_utf8_lossy(&answer.body);
        assert!(answer.status.is_success(), "{said}");
    }

    /// Messages that change reference data, that wait, that are poison, and dead letters.
    async fn messages_come(&self) {
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

    async fn dead_letter(&self, body: String) {
        let mut event = sample("sqs-dead-letter");
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

    /// Every operation that reads, and every list by what it can be narrowed to.
    async fn everything_is_looked_at(&self, file: FileId) {
        let batch = file.batch(BatchOrdinal::new(1).unwrap());
        let detail = self.details(&Self::batch_path(file, 1)).await[0].clone();
        let program = self.get("/v1/programs").await[0].clone();
        let seller = self.get("/v1/sellers").await[0].clone();
        let customer = self.get("/v1/customers").await[0].clone();
        let ids = [
            ("file_id", json!(file)),
            ("batch_id", json!(batch)),
            ("batch_detail_id", detail["id"].clone()),
            ("client_id", program["client_id"].clone()),
            ("program_id", program["id"].clone()),
            ("seller_id", seller["id"].clone()),
            ("customer_id", customer["id"].clone()),
        ];
        for operation in weir_api::operations() {
            if operation.method != Method::GET {
                continue;
            }
            let mut target = operation.path.to_owned();
            for (name, id) in &ids {
                target = target.replace(&format!("{{{name}}}"), id.as_str().unwrap());
            }
            if !target.contains('{') {
                self.get(&target).await;
                for (name, id) in &ids {
                    let narrowed = format!("{target}?{name}={}", id.as_str().unwrap());
                    self.ask_within("GET", &narrowed, "", "", self.deadline())
                        .await;
                }
                for status in ["Error", "Processed", "Unprocessed", "Failed"] {
                    let narrowed = format!("{target}?status={status}");
                    self.ask_within("GET", &narrowed, "", "", self.deadline())
                        .await;
                }
            } else if let Some((list, _)) = target.rsplit_once('/')
                && !list.contains('{')
                && let Some(id) = self.get(list).await[0]["id"].as_str()
            {
                self.get(&format!("{list}/{id}")).await;
            }
        }
    }
}
