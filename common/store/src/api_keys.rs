//! API keys: only their hashes are kept.

use std::fmt;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use weir_domain::{ClientId, ProgramId, SellerId};

use crate::error::sorted;
use crate::item::{Item, Reader, Writer, number, text, time, uuid};
use crate::tables::API_KEYS;
use crate::{Store, StoreError};

/// SHA-256 of a key: enough to find it, not enough to use it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApiKeyHash(String);

impl ApiKeyHash {
    /// The hash of a key as the caller sends it. A key is a random UUID, so a fast hash is safe.
    pub fn of(key: &str) -> Self {
        Self(
            Sha256::digest(key.as_bytes())
                .iter()
                .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")),
        )
    }

    /// The hash in hexadecimal, to derive other things from that belong to the key.
    pub fn as_hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyHash({}…)", self.0.get(..8).unwrap_or_default())
    }
}

/// What a key may do, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// What the key is known by where the key itself must not be shown.
    pub id: Uuid,
    /// What the key is called.
    pub name: String,
    /// What it may do, such as `files:read`.
    pub permissions: Vec<String>,
    /// The client it is limited to.
    pub client_id: Option<ClientId>,
    /// The program it is limited to.
    pub program_id: Option<ProgramId>,
    /// The seller it is limited to.
    pub seller_id: Option<SellerId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops to be valid, in whole seconds.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked; it is not valid any more.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ApiKeyRecord {
    fn item(&self, hash: &ApiKeyHash) -> Item {
        let permissions = self.permissions.iter().map(text).collect();
        let expires_at = self.expires_at.map(|at| number(at.timestamp()));
        Writer::default()
            .with("hash", text(&hash.0))
            .with("id", uuid(self.id))
            .with("name", text(&self.name))
            .with("permissions", AttributeValue::L(permissions))
            .with_some("client_id", self.client_id.map(uuid))
            .with_some("program_id", self.program_id.map(uuid))
            .with_some("seller_id", self.seller_id.map(uuid))
            .with("created_at", time(self.created_at))
            .with_some("expires_at", expires_at)
            .with_some("revoked_at", self.revoked_at.map(time))
            .finish()
    }

    fn of(hash: &ApiKeyHash, item: &Item) -> Result<Self, StoreError> {
        let read = Reader::new(API_KEYS.name, format!("{hash:?}"), item);
        let permissions = item
            .get("permissions")
            .and_then(|value| value.as_l().ok())
            .ok_or_else(|| read.corrupt("permissions"))?;
        Ok(Self {
            id: read.id("id")?,
            name: read.text("name")?.to_owned(),
            permissions: permissions
                .iter()
                .filter_map(|value| value.as_s().ok())
                .cloned()
                .collect(),
            client_id: read.opt_id("client_id")?,
            program_id: read.opt_id("program_id")?,
            seller_id: read.opt_id("seller_id")?,
            created_at: read.time("created_at")?,
            // A time that cannot be read must not become "never".
            expires_at: match read.opt_number("expires_at")? {
                None => None,
                Some(seconds) => Some(
                    DateTime::from_timestamp(seconds, 0)
                        .ok_or_else(|| read.corrupt("expires_at"))?,
                ),
            },
            revoked_at: read.opt_time("revoked_at")?,
        })
    }
}

impl Store {
    /// Writes what a key may do, over what is there.
    pub async fn put_api_key(
        &self,
        hash: &ApiKeyHash,
        record: &ApiKeyRecord,
    ) -> Result<(), StoreError> {
        self.write_api_key(hash, record, None).await
    }

    /// Makes a key; [`StoreError::Conflict`] when there is one with that hash.
    pub async fn create_api_key(
        &self,
        hash: &ApiKeyHash,
        record: &ApiKeyRecord,
    ) -> Result<(), StoreError> {
        let absent = Some("attribute_not_exists(#hash)");
        self.write_api_key(hash, record, absent).await
    }

    async fn write_api_key(
        &self,
        hash: &ApiKeyHash,
        record: &ApiKeyRecord,
        condition: Option<&str>,
    ) -> Result<(), StoreError> {
        let names = condition.map(|_| [("#hash".to_owned(), "hash".to_owned())].into());
        let answer = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&API_KEYS))
            .set_item(Some(record.item(hash)))
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_names(names)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("write an API key"))?;
        self.capacity.wrote(answer.consumed_capacity());
        Ok(())
    }

    /// What a key may do; `None` when it is unknown. Whether it has expired or was revoked is the
    /// caller's to see.
    pub async fn api_key(&self, hash: &ApiKeyHash) -> Result<Option<ApiKeyRecord>, StoreError> {
        let answer = self
            .dynamodb()
            .get_item()
            .table_name(self.names.table(&API_KEYS))
            .key("hash", text(&hash.0))
            // A key works as soon as it is made, and no later than a minute after it is revoked.
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("read an API key"))?;
        self.capacity.read(answer.consumed_capacity());
        let record = answer.item().map(|item| ApiKeyRecord::of(hash, item));
        record.transpose()
    }

    /// Every key, in no order: for the few people who look after them.
    pub async fn api_keys(&self) -> Result<Vec<(ApiKeyHash, ApiKeyRecord)>, StoreError> {
        let mut keys = Vec::new();
        let mut from = None;
        loop {
            let answer = self
                .dynamodb()
                .scan()
                .table_name(self.names.table(&API_KEYS))
                .consistent_read(true)
                .set_exclusive_start_key(from)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(sorted("list the API keys"))?;
            self.capacity.read(answer.consumed_capacity());
            for item in answer.items() {
                let hash = Reader::new(API_KEYS.name, "a key", item).text("hash")?;
                let hash = ApiKeyHash(hash.to_owned());
                let record = ApiKeyRecord::of(&hash, item)?;
                keys.push((hash, record));
            }
            from = answer.last_evaluated_key;
            if from.as_ref().is_none_or(Item::is_empty) {
                return Ok(keys);
            }
        }
    }

    /// Revokes every key with an id, and tells whether there is one: nothing keeps two keys from having
    /// one id, and whoever revokes it means what goes by it. The first time that each was revoked at
    /// stays. Where it fails some may be revoked; doing it again revokes the rest.
    pub async fn revoke_api_key(&self, id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let keys = self.api_keys().await?;
        let mut is_there = false;
        for (hash, _) in keys.iter().filter(|(_, record)| record.id == id) {
            is_there |= self.revoke_one(hash, now).await?;
        }
        Ok(is_there)
    }

    async fn revoke_one(&self, hash: &ApiKeyHash, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let answer = self
            .dynamodb()
            .update_item()
            .table_name(self.names.table(&API_KEYS))
            .key("hash", text(&hash.0))
            .update_expression("SET revoked_at = if_not_exists(revoked_at, :now)")
            // Never a record of nothing but this, should the key be gone meanwhile.
            .condition_expression("attribute_exists(#hash)")
            .expression_attribute_names("#hash", "hash")
            .expression_attribute_values(":now", time(now))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("revoke an API key"));
        match answer {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(true)
            }
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
