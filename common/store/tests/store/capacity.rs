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
