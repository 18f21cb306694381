//! Tables.

use serde_json::{Value, json};
use weir_store::{Key, KeyKind, TABLES};

use crate::template::Template;

fn attribute((name, kind): Key) -> Value {
    let kind = match kind {
        KeyKind::Text => "S",
        KeyKind::Number => "N",
    };
    json!({"AttributeName": name, "AttributeType": kind})
}

fn keys(partition: Key, sort: Option<Key>) -> Value {
    let mut keys = vec![json!({"AttributeName": partition.0, "KeyType": "HASH"})];
    keys.extend(sort.map(|sort| json!({"AttributeName": sort.0, "KeyType": "RANGE"})));
    Value::Array(keys)
}

#[test]
fn the_tables_are_those_that_the_code_uses() {
    let template = Template::read();
    let made = template.of("AWS::DynamoDB::Table");
    assert_eq!(made.len(), TABLES.len());
    for table in TABLES {
        let name = format!("weir-dev-{}", table.name);
        let resource = (made.iter())
            .find(|resource| template.text(&resource.properties["TableName"]) == name)
            .unwrap_or_else(|| panic!("{name} is not made"));
        let attributes: Vec<_> = table.key_attributes().into_iter().map(attribute).collect();
        assert_eq!(
            resource.properties["AttributeDefinitions"],
            json!(attributes),
            "{name}"
        );
        let schema = keys(table.partition, table.sort);
        assert_eq!(resource.properties["KeySchema"], schema, "{name}");
        let indexes: Vec<_> = (table.indexes.iter())
            .map(|index| {
                json!({
                    "IndexName": index.name,
                    "KeySchema": keys(index.partition, Some(index.sort)),
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                })
            })
            .collect();
        let made = &resource.properties["GlobalSecondaryIndexes"];
        let made = made.as_array().cloned().unwrap_or_default();
        assert_eq!(made, indexes, "{name}");
        let expiry = (table.expires).map_or(
            Value::Null,
            |name| json!({"AttributeName": name, "Enabled": true}),
        );
        assert_eq!(
            resource.properties["TimeToLiveSpecification"], expiry,
            "{name}"
        );
    }
}

#[test]
fn a_table_is_paid_for_by_use_restored_to_any_moment_and_deleted_by_nobody() {
    let template = Template::read();
    for table in template.of("AWS::DynamoDB::Table") {
        let properties = table.properties;
        assert_eq!(properties["BillingMode"], "PAY_PER_REQUEST", "{}", table.id);
        assert_eq!(
            properties["DeletionProtectionEnabled"], true,
            "{}",
            table.id
        );
        let recovery =
            &properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        assert_eq!(*recovery, true, "{}", table.id);
    }
}
