//! What a detail costs, as DynamoDB reports it.

use weir_domain::DetailStatus;
use weir_tests::rig::Rig;
use weir_tests::text;

/// Most write units of a detail on its way from the file to Processed.
const WRITE_UNITS_MAX: u32 = 15;

#[tokio::test]
async fn a_detail_takes_at_most_fifteen_write_units_from_file_to_processed() {
    let rig = Rig::start().await;
    let (bytes, contents) = text::generated("COST", 4, 2, 250, 0);
    let file = rig.take("cost.xml", bytes).await;
    rig.settle().await;
    let books = rig.audit(&[file]).await.remove(0);
    let details = contents.charges + contents.refunds;
    let processed = books.count(DetailStatus::Processed);
    assert_eq!(u64::try_from(processed).unwrap(), details);
    // The functions share one store, and so one count.
    let used = rig.process.processor.store.capacity().total().write;
    assert!(used > 0.0);
    let details = u32::try_from(details).unwrap();
    let each = used / f64::from(details);
    assert!(each <= f64::from(WRITE_UNITS_MAX), "{each} write units");
}
