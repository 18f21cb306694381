//! Who sent a file, as its first record tells.

use http::Request;
use serde_json::{Value, json};
use weir_settlement::upload::PART_BYTES;
use weir_tests::parts::scope;
use weir_tests::text::{self, charge};

use crate::reference_changes::id_of;
use crate::settlements::{changed, program_key};
use crate::upload_parts::announced;
use crate::uploads::hex;
use crate::validation::take;

/// Asks as the program, twice under one `Idempotency-Key`, and gives the first answer.
fn sent(target: &str, content_type: &str, body: &[u8], correlation: &str) -> Value {
    let ask = || {
        let request = Request::post(format!("/v1/settlements{target}"))
            .header("Authorization", program_key())
            .header("Content-Type", content_type)
            .header("X-Correlation-Id", correlation)
            .header("Idempotency-Key", correlation);
        let answered = changed().ask(request.body(body.to_vec().into()).unwrap());
        assert_eq!(answered.status, 200, "{}", answered.text);
        answered.body
    };
    let first = ask();
    assert_eq!(ask(), first);
    first
}

fn recorded(id: &str) -> Vec<Value> {
    changed().all(program_key(), &format!("/v1/files/{id}/actions"))
}

#[test]
fn the_first_record_of_a_file_says_who_sent_it_or_asked_for_its_place_once() {
    let xml = text::one_batch("SENDER-1", &[charge("SENDER-1", "1.00")]);
    let size = xml.len();
    let place = json!({"name": "a.xml", "size": size, "checksum_sha256": hex(xml.as_bytes())});
    let place = place.to_string();
    let whole = vec![b'x'; usize::try_from(PART_BYTES).unwrap() + 1];
    let parts = announced("parts.xml", &whole).to_string();
    let json = "application/json";
    for (target, content_type, body, asked) in [
        ("", "application/xml", &xml, json!({"size": size})),
        ("/uploads", json, &place, json!({"size": size})),
        (
            "/uploads?validate_only=true",
            json,
            &place,
            json!({"size": size, "validate_only": true}),
        ),
        (
            "/uploads",
            json,
            &parts,
            json!({"parts": 2, "size": whole.len()}),
        ),
    ] {
        let correlation = format!("sender-{}-{}", target.len(), asked.to_string().len());
        let answer = sent(target, content_type, body.as_bytes(), &correlation);
        let file = answer.get("file").unwrap_or(&answer);
        let records = recorded(&id_of(file));
        let [record] = &records[..] else {
            panic!("{target}: {records:#?}");
        };
        assert_eq!(record["action"], "UploadFile");
        assert_eq!(record["request_data"], asked.to_string());
        assert_eq!(record["correlation_id"], *correlation);
        let who = record["user_updated_by"].as_str().unwrap();
        assert!(who.starts_with("test ("), "{who}");
        assert!(record["user_updated_at"].is_string() && record["ended_at"].is_string());
        assert_eq!(record["program_id"], scope().program_id.to_string());
        assert_eq!(record.get("batch_id"), None);
    }
    // Nobody is known to have put an object into the bucket.
    let dropped = text::one_batch("SENDER-2", &[charge("SENDER-2", "1.00")]);
    let dropped = take(changed(), &scope().key("sender.xml"), dropped);
    assert_eq!(recorded(&dropped.id.to_string()), Vec::<Value>::new());
}
