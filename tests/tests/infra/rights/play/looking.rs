//! Everything is asked for that can be.

use http::Method;
use serde_json::json;
use weir_domain::{BatchOrdinal, FileId};

use super::super::stage::Stage;

impl Stage {
    /// Every operation that reads, and every list by what it can be narrowed to and by whose key.
    pub(super) async fn everything_is_looked_at(&self, file: FileId) {
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
                for key in [&self.client_key, &self.program_key] {
                    let mut request = self.request("GET", &target, "", "");
                    request["headers"]["authorization"] = json!(key);
                    let answer = self.answered(request, self.deadline()).await;
                    assert!(answer["statusCode"].as_u64() < Some(400), "{answer}");
                }
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
