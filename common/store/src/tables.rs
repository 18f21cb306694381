//! The tables: one definition for the local system, the tests and the deployment.
//!
//! Every index is `KEYS_ONLY`, so that changing an attribute that is no key costs nothing there,
//! and the `open` indexes are sparse: only what is unfinished stands in them.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableDescription, TimeToLiveSpecification,
};
use aws_smithy_runtime_api::client::result::SdkError;

use crate::error::sorted;
use crate::{Store, StoreError};

/// A key attribute: its name and type.
pub type Key = (&'static str, KeyKind);

/// The type of a key attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// A string.
    Text,
    /// A number.
    Number,
}

/// A secondary index, always `KEYS_ONLY`.
#[derive(Debug, Clone, Copy)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// Its partition key.
    pub partition: Key,
    /// Its sort key.
    pub sort: Key,
}

/// A table.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name without the deployment's prefix.
    pub name: &'static str,
    /// Its partition key.
    pub partition: Key,
    /// Its sort key, when it has one.
    pub sort: Option<Key>,
    /// Its indexes.
    pub indexes: &'static [Index],
    /// The attribute that holds a time to live, in seconds since 1970.
    pub expires: Option<&'static str>,
}

use KeyKind::{Number, Text};

pub(crate) const BY_MONTH: Index = in_order_of_creation("by_month", "month");
pub(crate) const BY_CLIENT: Index = in_order_of_creation("by_client", "client");
pub(crate) const BY_PROGRAM: Index = in_order_of_creation("by_program", "program");
pub(crate) const BY_SELLER: Index = in_order_of_creation("by_seller", "seller");
pub(crate) const BY_KIND: Index = in_order_of_creation("by_kind", "kind");
pub(crate) const BY_PARENT: Index = in_order_of_creation("by_parent", "parent");
const OPEN: Index = Index {
    name: "open",
    partition: ("open", Text),
    sort: ("id", Text),
};

const fn in_order_of_creation(name: &'static str, partition: &'static str) -> Index {
    Index {
        name,
        partition: (partition, Text),
        sort: ("created_id", Text),
    }
}

pub(crate) const FILES: Table = Table {
    name: "files",
    partition: ("id", Text),
    sort: None,
    indexes: &[BY_MONTH, BY_CLIENT, BY_PROGRAM, OPEN],
    expires: None,
};
pub(crate) const BATCHES: Table = Table {
    name: "batches",
    partition: ("id", Text),
    sort: None,
    indexes: &[BY_MONTH, BY_CLIENT, BY_PROGRAM, BY_SELLER, OPEN],
    expires: None,
};
pub(crate) const DETAILS: Table = Table {
    name: "details",
    partition: ("shard", Text),
    sort: Some(("record", Number)),
    indexes: &[],
    expires: None,
};
pub(crate) const LOOKUPS: Table = Table {
    name: "lookups",
    partition: ("key", Text),
    sort: Some(("target", Text)),
    indexes: &[],
    expires: None,
};
pub(crate) const REFERENCE: Table = Table {
    name: "reference",
    partition: ("id", Text),
    sort: None,
    indexes: &[BY_KIND, BY_PARENT],
    expires: Some("expires_at"),
};
pub(crate) const MESSAGES: Table = Table {
    name: "messages",
    partition: ("id", Text),
    sort: None,
    indexes: &[BY_MONTH],
    expires: None,
};
pub(crate) const API_KEYS: Table = Table {
    name: "api-keys",
    partition: ("hash", Text),
    sort: None,
    indexes: &[],
    expires: Some("expires_at"),
};
pub(crate) const ANSWERS: Table = Table {
    name: "answers",
    partition: ("id", Text),
    sort: None,
    indexes: &[],
    expires: Some("expires_at"),
};

/// Every table.
pub const TABLES: &[Table] = &[
    FILES, BATCHES, DETAILS, LOOKUPS, REFERENCE, MESSAGES, API_KEYS, ANSWERS,
];

impl Store {
    /// Makes every table that does not exist yet. For the local system and tests: a deployment
    /// makes them with its template.
    pub async fn create_tables(&self) -> Result<(), StoreError> {
        for table in TABLES {
            self.create_table(table).await?;
        }
        Ok(())
    }

    async fn create_table(&self, table: &Table) -> Result<(), StoreError> {
        const OPERATION: &str = "create a table";
        let malformed = |_| StoreError::Refused {
            operation: OPERATION,
            reason: "the definition is incomplete".to_owned(),
        };
        let mut request = self
            .dynamodb()
            .create_table()
            .table_name(self.names.table(table))
            .billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in table.key_attributes() {
            let attribute = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(kind.scalar())
                .build()
                .map_err(malformed)?;
            request = request.attribute_definitions(attribute);
        }
        for key in key_schema(table.partition, table.sort).map_err(malformed)? {
            request = request.key_schema(key);
        }
        for index in table.indexes {
            let keys = key_schema(index.partition, Some(index.sort)).map_err(malformed)?;
            let projection = Projection::builder()
                .projection_type(ProjectionType::KeysOnly)
                .build();
            let index = GlobalSecondaryIndex::builder()
                .index_name(index.name)
                .set_key_schema(Some(keys))
                .projection(projection)
                .build()
                .map_err(malformed)?;
            request = request.global_secondary_indexes(index);
        }
        match request.send().await {
            Ok(_) => {}
            Err(SdkError::ServiceError(error)) if error.err().is_resource_in_use_exception() => {
                return self.check_indexes(table).await;
            }
            Err(error) => return Err(sorted(OPERATION)(error)),
        }
        let Some(attribute) = table.expires else {
            return Ok(());
        };
        let expiry = TimeToLiveSpecification::builder()
            .attribute_name(attribute)
            .enabled(true)
            .build()
            .map_err(malformed)?;
        self.dynamodb()
            .update_time_to_live()
            .table_name(self.names.table(table))
            .time_to_live_specification(expiry)
            .send()
            .await
            .map_err(sorted("set a table's expiry"))?;
        Ok(())
    }
}

impl Store {
    /// Refuses a table that lacks an index, as one does that an earlier version has made: what is read
    /// through it would fail later, one request at a time.
    async fn check_indexes(&self, table: &Table) -> Result<(), StoreError> {
        const OPERATION: &str = "check a table";
        let name = self.names.table(table);
        let answer = self
            .dynamodb()
            .describe_table()
            .table_name(&name)
            .send()
            .await
            .map_err(sorted(OPERATION))?;
        let found: Vec<&str> = answer
            .table()
            .map(TableDescription::global_secondary_indexes)
            .unwrap_or_default()
            .iter()
            .filter_map(|index| index.index_name())
            .collect();
        let missing = |index: &&Index| !found.contains(&index.name);
        match table.indexes.iter().find(missing) {
            None => Ok(()),
            Some(index) => Err(StoreError::Refused {
                operation: OPERATION,
                reason: format!(
                    "{name} has no index {}: another version has made it",
                    index.name
                ),
            }),
        }
    }
}

impl Table {
    /// Every attribute that is a key of the table or of an index, each once.
    pub fn key_attributes(&self) -> Vec<Key> {
        let mut keys = vec![self.partition];
        keys.extend(self.sort);
        for index in self.indexes {
            keys.extend([index.partition, index.sort]);
        }
        keys.sort_by_key(|(name, _)| *name);
        keys.dedup();
        keys
    }
}

impl KeyKind {
    fn scalar(self) -> ScalarAttributeType {
        match self {
            Text => ScalarAttributeType::S,
            Number => ScalarAttributeType::N,
        }
    }
}

fn key_schema(
    partition: Key,
    sort: Option<Key>,
) -> Result<Vec<KeySchemaElement>, aws_sdk_dynamodb::error::BuildError> {
    let element = |(name, _): Key, kind| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
    };
    let mut keys = vec![element(partition, KeyType::Hash)?];
    if let Some(sort) = sort {
        keys.push(element(sort, KeyType::Range)?);
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_attribute_has_one_type_throughout_its_table() {
        for table in TABLES {
            let keys = table.key_attributes();
            let mut names: Vec<_> = keys.iter().map(|(name, _)| name).collect();
            names.dedup();
            assert_eq!(names.len(), keys.len(), "{}", table.name);
        }
    }
}
