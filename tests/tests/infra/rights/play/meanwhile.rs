//! What comes in between: the same request once more, the end of the time, another object, a table
//! that has too much to do.

use std::time::Duration;

use serde_json::json;
use weir_domain::FileId;
use weir_lambda::Deadline;
use weir_tests::delivery::sqs_event;
use weir_tests::rig::{delete, receive};
use weir_tests::text::{self, charge};

use super::super::calls::Call;
use super::super::stage::{Stage, nothing_failed};

/// An alternate id of a seller who is made known while there is hardly any time.
const SOON: &str = "SO-0001";
/// So little that a file is begun and put off at once.
const HARDLY_ANY: Duration = Duration::from_secs(4);

impl Stage {
    /// A request that comes twice under its key is answered as it was; one that was refused before it
    /// did anything leaves its key free.
    pub(super) async fn requests_are_repeated(&self) {
        let body = json!({"name": "Adatum"}).to_string();
        let mut request = self.request("POST", "/v1/clients", "text/plain", &body);
        let refused = self.answered(request.clone(), self.deadline()).await;
        assert_eq!(refused["statusCode"], 415, "{refused}");
        request["headers"]["content-type"] = json!("application/json");
        let first = self.answered(request.clone(), self.deadline()).await;
        assert_eq!(first["statusCode"], 200, "{first}");
        let again = self.answered(request, self.deadline()).await;
        assert_eq!(again["headers"]["idempotent-replayed"], "true", "{again}");
        assert_eq!(again["body"], first["body"]);
    }

    /// A batch is taken again with hardly any time. Before it comes to that its object is another one, so
    /// that it is given up; and another file has the number that was claimed for it.
    pub(super) async fn time_runs_short(&mut self) {
        let batch = text::batch("SHORT", SOON, &[charge("SHORT-1", "1.00")]);
        let batch = text::file(&[batch]);
        let object = self.parts.put("short.xml", batch.clone()).await;
        self.announce(&object, self.hardly_any_time()).await;
        self.work().await;
        let file = FileId::of_object(&object);
        let path = Self::batch_path(file, 1);
        assert_eq!(self.get(&path).await["status"], "Error");
        self.seller_becomes_known(SOON).await;
        self.put(&path, &json!({"status": "Unprocessed"})).await;
        self.go_on_with_hardly_any_time().await;
        let other = text::one_batch("OTHER", &[charge("OTHER-1", "1.00")]);
        self.parts.put("short.xml", other).await;
        self.work().await;
        let given_up = self.get(&path).await;
        assert_eq!(given_up["status"], "Error", "{given_up}");
        assert!(given_up.to_string().contains("was replaced"), "{given_up}");
        let instead = self.settle("instead.xml", batch).await;
        let instead = self.get(&Self::batch_path(instead, 1)).await;
        assert_eq!(instead["status"], "Processed", "{instead}");
    }

    fn hardly_any_time(&self) -> Deadline {
        Deadline::after(HARDLY_ANY, self.parts.timeline.clock())
    }

    /// Hands over what waits in the uploads queue. On a machine that is busy the time may be over before
    /// anything is done, so that it comes again.
    async fn go_on_with_hardly_any_time(&self) {
        let url = &self.parts.names.uploads_queue;
        let received = receive(&self.parts.queues, url).await;
        assert!(!received.is_empty());
        let messages: Vec<_> = received.iter().collect();
        for times in 0.. {
            assert!(times < 20, "there is too little time");
            let (event, deadline) = (sqs_event(&messages), self.hardly_any_time());
            let handled = weir_settlement_upload::handle(&self.upload, event, deadline);
            if handled.await.unwrap() == nothing_failed() {
                break;
            }
        }
        for message in messages {
            delete(&self.parts.queues, url, message).await;
        }
    }

    /// The ways to charges cannot be put before the outcomes, so they are put together with them.
    pub(super) async fn ways_are_throttled(&mut self) {
        let (action, resource) = ("dynamodb:BatchWriteItem".to_owned(), "lookups".to_owned());
        self.throttle("detail-processor", Call { action, resource });
        let charges = ["WAY-1", "WAY-2"].map(|order| charge(order, "1.00"));
        let file = self
            .settle("ways.xml", text::one_batch("WAYS", &charges))
            .await;
        self.let_pass("detail-processor");
        let details = self.details(&Self::batch_path(file, 1)).await;
        assert_eq!(details.len(), charges.len());
        for detail in details {
            assert_eq!(detail["status"], "Processed", "{detail}");
            let charge = detail["charge_id"].as_str().unwrap();
            let made = format!("/v1/batchdetails?charge_id={charge}");
            assert_eq!(self.get(&made).await[0]["id"], detail["id"]);
        }
    }

    /// An object is deleted before it is read, and asked for afterwards.
    pub(super) async fn an_object_is_gone(&mut self) {
        let text = text::one_batch("GONE", &[charge("GONE-1", "1.00")]);
        let object = self.parts.put("gone.xml", text).await;
        let gone = self.parts.objects.delete_object();
        let gone = gone.bucket(&object.bucket).key(&object.key).send();
        gone.await.unwrap();
        self.announce(&object, self.deadline()).await;
        let file = format!("/v1/files/{}", FileId::of_object(&object));
        let found = self.get(&file).await;
        assert_eq!(found["status"], "Error", "{found}");
        assert!(found.to_string().contains("was deleted"), "{found}");
        let problems = format!("{file}/problems");
        let asked = self.ask_within("GET", &problems, "", "", self.deadline());
        let asked = asked.await;
        assert_eq!(asked["statusCode"], 409, "{asked}");
    }
}
