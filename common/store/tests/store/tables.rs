use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use weir_store::StoreError;

use crate::tables_of::Tables;

#[tokio::test]
async fn tables_that_are_there_are_left_as_they_are() {
    let tables = Tables::new().await;
    let client = crate::make::client(1);
    tables.store.put_client(&client).await.unwrap();
    tables.store.create_tables().await.unwrap();
    assert_eq!(tables.store.client(client.id).await, Ok(Some(client)));
}

#[tokio::test]
async fn a_table_of_another_version_that_lacks_an_index_is_refused_by_name() {
    let tables = Tables::none().await;
    let key = KeySchemaElement::builder().attribute_name("id");
    let attribute = AttributeDefinition::builder().attribute_name("id");
    tables
        .clients
        .dynamodb
        .create_table()
        .table_name("weir-test-reference")
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key.key_type(KeyType::Hash).build().unwrap())
        .attribute_definitions(
            attribute
                .attribute_type(ScalarAttributeType::S)
                .build()
                .unwrap(),
        )
        .send()
        .await
        .unwrap();
    let refused = tables.store.create_tables().await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    let words = refused.to_string();
    assert!(
        words.contains("weir-test-reference has no index by_kind"),
        "{words}"
    );
}
