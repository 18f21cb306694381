use weir_domain::AskedAction;
use weir_store::AskedRecord;

use crate::make;
use crate::tables_of::Tables;

#[tokio::test]
async fn a_request_counts_what_it_reads_and_the_store_counts_it_too() {
    let tables = Tables::new().await;
    tables.store.put_client(&make::client(1)).await.unwrap();
    let before = tables.store.capacity().total();
    let (one, other) = (tables.store.measured(), tables.store.measured());
    one.client(make::id(1)).await.unwrap();
    one.clone().clients(&[make::id(1)]).await.unwrap();
    other.put_client(&make::client(2)).await.unwrap();
    let (read, wrote) = (one.capacity().total(), other.capacity().total());
    assert!(read.read > 0.0 && read.write.abs() < 0.1, "{read:?}");
    assert!(wrote.write > 0.0 && wrote.read.abs() < 0.1, "{wrote:?}");
    let after = tables.store.capacity().total();
    assert!(after.read > before.read && after.write > before.write);
}

#[tokio::test]
async fn the_record_of_who_sent_a_file_is_one_write_unit() {
    let tables = Tables::new().await;
    let file = make::file(1);
    // The longest name of a key, in characters of four bytes.
    let actor = format!("{} ({})", "\u{1f600}".repeat(100), uuid::Uuid::nil());
    let asked = r#"{"parts":320,"size":5368709120,"validate_only":true}"#;
    for (number, length, units) in [(1, 36, 1.0), (2, 200, 1.0), (3, 1_024, 2.0)] {
        let store = tables.store.measured();
        let (id, correlation) = (uuid::Uuid::from_u128(number), "c".repeat(length));
        let (by, at) = ((actor.as_str(), correlation.as_str()), file.created_at);
        let record = AskedRecord {
            asked: asked.to_owned(),
            ..AskedRecord::of_file(&file, AskedAction::UploadFile, id, by, at)
        };
        store.record_asked(&record).await.unwrap();
        let wrote = store.capacity().total().write;
        assert!((wrote - units).abs() < 0.1, "{length}: {wrote}");
        // It is there once, and as it was first.
        let again = AskedRecord {
            correlation_id: "again".to_owned(),
            ..record.clone()
        };
        store.record_asked(&again).await.unwrap();
        assert_eq!(store.asked_before(&again).await.unwrap(), Some(record));
    }
}
