//! Files are sent over HTTP, at once, into a place or in parts.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weir_runtime::HttpRequest;
use weir_settlement::upload::Composite;
use weir_tests::text::{self, charge};

use super::super::stage::Stage;

impl Stage {
    pub(super) async fn files_are_sent(&mut self) {
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
            self.work().await;
            let file = place["file"]["id"].as_str().unwrap();
            self.get(&format!("/v1/files/{file}/problems")).await;
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
}
