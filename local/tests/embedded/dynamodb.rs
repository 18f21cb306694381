use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest,
    BillingMode, ConsumedCapacity, KeySchemaElement, KeyType, KeysAndAttributes, Put, PutRequest,
    ReturnConsumedCapacity, ScalarAttributeType, TimeToLiveSpecification, TransactWriteItem,
    Update, WriteRequest,
};
use weir_local::embedded::{Dynamodb, EmbeddedError, Outside};

use super::dynamodb_client;

pub(crate) const TABLE: &str = "details";

pub(crate) async fn create_table(client: &Client) {
    let attribute = |name, kind| {
        let definition = AttributeDefinition::builder().attribute_name(name);
        definition.attribute_type(kind).build().unwrap()
    };
    let key = |name, kind| {
        let element = KeySchemaElement::builder().attribute_name(name);
        element.key_type(kind).build().unwrap()
    };
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk", ScalarAttributeType::B))
        .attribute_definitions(attribute("sk", ScalarAttributeType::N))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .send()
        .await
        .unwrap();
}

async fn memory() -> (Dynamodb, Client) {
    let dynamodb = Dynamodb::start(None, None, Outside::system()).unwrap();
    let client = dynamodb_client(dynamodb.endpoint()).await;
    create_table(&client).await;
    (dynamodb, client)
}

fn number(value: impl Into<i64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

fn binary(value: u32) -> AttributeValue {
    AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(value.to_be_bytes()))
}

pub(crate) fn key(pk: u32) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".to_owned(), binary(pk)), ("sk".to_owned(), number(0))])
}

pub(crate) fn item(pk: u32, version: u32) -> HashMap<String, AttributeValue> {
    let mut item = key(pk);
    item.insert("version".to_owned(), number(version));
    item
}

/// Puts items, and gives the capacity it took.
async fn put_all(client: &Client, pks: std::ops::Range<u32>) -> String {
    let puts = pks.map(|pk| {
        let put = PutRequest::builder().set_item(Some(item(pk, 1))).build();
        WriteRequest::builder().put_request(put.unwrap()).build()
    });
    let answer = client
        .batch_write_item()
        .request_items(TABLE, puts.collect())
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .unwrap();
    assert!(answer.unprocessed_items().is_none_or(HashMap::is_empty));
    units(answer.consumed_capacity())
}

/// The capacity that the one table took.
fn units(consumed: &[ConsumedCapacity]) -> String {
    consumed[0].capacity_units().unwrap().to_string()
}

fn update(pk: u32, expected: u32) -> BatchStatementRequest {
    let statement =
        format!("UPDATE \"{TABLE}\" SET version = ? WHERE pk = ? AND sk = ? AND version = ?");
    BatchStatementRequest::builder()
        .statement(statement)
        .parameters(number(expected + 1))
        .parameters(binary(pk))
        .parameters(number(0))
        .parameters(number(expected))
        .build()
        .unwrap()
}

async fn version(client: &Client, pk: u32) -> Option<AttributeValue> {
    let got = client.get_item().table_name(TABLE).set_key(Some(key(pk)));
    let got = got.consistent_read(true).send().await.unwrap();
    got.item?.remove("version")
}

#[tokio::test]
async fn a_batch_of_conditional_statements_succeeds_and_fails_statement_by_statement() {
    let (dynamodb, client) = memory().await;
    assert_eq!(put_all(&client, 0..25).await, "25");
    // Every other one expects a version that is not there; the last one an item that is not there.
    let mut statements: Vec<_> = (0..24).map(|pk| update(pk, 1 + pk % 2)).collect();
    statements.push(update(99, 1));
    let answer = client
        .batch_execute_statement()
        .set_statements(Some(statements))
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.responses().len(), 25);
    for (index, response) in answer.responses().iter().enumerate() {
        let code = response.error().and_then(|error| error.code().cloned());
        let refused = index % 2 == 1 || index == 24;
        let expected = refused.then_some(BatchStatementErrorCodeEnum::ConditionalCheckFailed);
        assert_eq!(code, expected, "statement {index}");
    }
    assert_eq!(version(&client, 0).await, Some(number(2)));
    assert_eq!(version(&client, 1).await, Some(number(1)));
    assert_eq!(version(&client, 99).await, None);
    assert!(!answer.consumed_capacity().is_empty());
    dynamodb.stop().await.unwrap();
}

#[tokio::test]
async fn a_transaction_of_100_actions_is_all_or_nothing_and_101_are_refused() {
    let (_dynamodb, client) = memory().await;
    put_all(&client, 0..1).await;
    let put = |pk: u32| {
        let put = Put::builder().table_name(TABLE).set_item(Some(item(pk, 1)));
        let put = put.condition_expression("attribute_not_exists(pk)");
        TransactWriteItem::builder()
            .put(put.build().unwrap())
            .build()
    };
    let count = |expected: u32| {
        let update = Update::builder()
            .table_name(TABLE)
            .set_key(Some(key(0)))
            .update_expression("SET version = version + :one")
            .condition_expression("version = :expected")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":expected", number(expected));
        TransactWriteItem::builder()
            .update(update.build().unwrap())
            .build()
    };
    let send = |puts: std::ops::Range<u32>, expected| {
        let mut actions: Vec<_> = puts.map(put).collect();
        actions.push(count(expected));
        client
            .transact_write_items()
            .set_transact_items(Some(actions))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
    };
    let refused = send(1..100, 7).await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = refused else {
        panic!("{refused:?}");
    };
    let last = cancelled.cancellation_reasons().last().unwrap();
    assert_eq!(last.code(), Some("ConditionalCheckFailed"));
    assert_eq!(version(&client, 1).await, None);

    let answer = send(1..100, 1).await.unwrap();
    assert_eq!(units(answer.consumed_capacity()), "200");
    assert_eq!(version(&client, 0).await, Some(number(2)));
    assert_eq!(version(&client, 99).await, Some(number(1)));

    let too_many = send(200..300, 2).await.unwrap_err();
    assert_eq!(too_many.code(), Some("ValidationException"));
}

#[tokio::test]
async fn a_batch_get_brings_100_items_and_refuses_101() {
    let (_dynamodb, client) = memory().await;
    for start in [0, 25, 50, 75] {
        put_all(&client, start..start + 25).await;
    }
    let get = |pks: std::ops::Range<u32>| {
        let keys = KeysAndAttributes::builder().set_keys(Some(pks.map(key).collect()));
        client
            .batch_get_item()
            .request_items(TABLE, keys.build().unwrap())
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
    };
    let answer = get(0..100).await.unwrap();
    assert_eq!(answer.responses().unwrap()[TABLE].len(), 100);
    assert_eq!(units(answer.consumed_capacity()), "50");
    assert_eq!(
        get(0..101).await.unwrap_err().code(),
        Some("ValidationException")
    );
}

#[tokio::test]
async fn a_failed_condition_is_told_apart_from_other_errors() {
    let (_dynamodb, client) = memory().await;
    let put = || {
        let put = client
            .put_item()
            .table_name(TABLE)
            .set_item(Some(item(1, 1)));
        put.condition_expression("attribute_not_exists(pk)").send()
    };
    put().await.unwrap();
    let refused = put().await.unwrap_err().into_service_error();
    assert!(refused.is_conditional_check_failed_exception());
}

#[tokio::test]
async fn tables_in_a_file_survive_a_restart_and_the_file_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/dynamodb.sqlite");
    let start = || Dynamodb::start(Some(&path), None, Outside::system());
    let dynamodb = start().unwrap();
    let client = dynamodb_client(dynamodb.endpoint()).await;
    create_table(&client).await;
    put_all(&client, 0..25).await;
    let refused = start().unwrap_err();
    assert!(
        matches!(refused, EmbeddedError::FolderInUse { .. }),
        "{refused}"
    );
    dynamodb.stop().await.unwrap();

    let again = start().unwrap();
    let client = dynamodb_client(again.endpoint()).await;
    assert_eq!(version(&client, 24).await, Some(number(1)));
    again.stop().await.unwrap();
}

#[tokio::test]
async fn items_past_their_time_to_live_go_when_somebody_sweeps() {
    let (dynamodb, client) = memory().await;
    let specification = TimeToLiveSpecification::builder().attribute_name("expires_at");
    client
        .update_time_to_live()
        .table_name(TABLE)
        .time_to_live_specification(specification.enabled(true).build().unwrap())
        .send()
        .await
        .unwrap();
    let now = Outside::system().clock.now().timestamp();
    for (pk, expires_at) in [(1, now - 60), (2, now + 600)] {
        let put = client.put_item().table_name(TABLE);
        let put = put.set_item(Some(item(pk, 1)));
        put.item("expires_at", number(expires_at))
            .send()
            .await
            .unwrap();
    }
    assert_eq!(dynamodb.sweep_expired().await.unwrap(), 1);
    assert_eq!(version(&client, 1).await, None);
    assert_eq!(version(&client, 2).await, Some(number(1)));
}

#[tokio::test]
async fn a_port_in_use_a_folder_that_is_none_and_a_file_of_another_kind_are_named() {
    let dynamodb = Dynamodb::start(None, None, Outside::system()).unwrap();
    let taken = Dynamodb::start(None, Some(dynamodb.addr().port()), Outside::system());
    let error = taken.unwrap_err();
    assert!(matches!(error, EmbeddedError::PortInUse { .. }), "{error}");
    assert!(error.to_string().contains("choose another port"));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "this is no database, and long enough to tell").unwrap();
    let below = Dynamodb::start(Some(&file.join("db")), None, Outside::system());
    assert!(matches!(
        below.unwrap_err(),
        EmbeddedError::FolderUnusable { .. }
    ));
    let other = Dynamodb::start(Some(&file), None, Outside::system());
    assert!(matches!(other.unwrap_err(), EmbeddedError::Damaged { .. }));
}
