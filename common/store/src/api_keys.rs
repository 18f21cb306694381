//! API keys: only their hashes are kept.

use std::fmt;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use weir_domain::{ClientId, ProgramId, SellerId};

use crate::error::sorted;
use crate::item::{Reader, Writer, number, text, uuid};
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
    /// When it stops to be valid.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Writes what a key may do.
    pub async fn put_api_key(
        &self,
        hash: &ApiKeyHash,
        record: &ApiKeyRecord,
    ) -> Result<(), StoreError> {
        let permissions = record.permissions.iter().map(text).collect();
        let item = Writer::default()
            .with("hash", text(&hash.0))
            .with("name", text(&record.name))
            .with("permissions", AttributeValue::L(permissions))
            .with_some("client_id", record.client_id.map(uuid))
            .with_some("program_id", record.program_id.map(uuid))
            .with_some("seller_id", record.seller_id.map(uuid))
            .with_some(
                "expires_at",
                record.expires_at.map(|at| number(at.timestamp())),
            )
            .finish();
        let answer = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&API_KEYS))
            .set_item(Some(item))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("write an API key"))?;
        self.capacity.wrote(answer.consumed_capacity());
        Ok(())
    }

    /// What a key may do; `None` when it is unknown. Whether it has expired is the caller's to see.
    pub async fn api_key(&self, hash: &ApiKeyHash) -> Result<Option<ApiKeyRecord>, StoreError> {
        let answer = self
            .dynamodb()
            .get_item()
            .table_name(self.names.table(&API_KEYS))
            .key("hash", text(&hash.0))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("read an API key"))?;
        self.capacity.read(answer.consumed_capacity());
        let Some(item) = answer.item() else {
            return Ok(None);
        };
        let read = Reader::new(API_KEYS.name, format!("{hash:?}"), item);
        let permissions = item
            .get("permissions")
            .and_then(|value| value.as_l().ok())
            .ok_or_else(|| read.corrupt("permissions"))?;
        Ok(Some(ApiKeyRecord {
            name: read.text("name")?.to_owned(),
            permissions: permissions
                .iter()
                .filter_map(|value| value.as_s().ok())
                .cloned()
                .collect(),
            client_id: read.opt_id("client_id")?,
            program_id: read.opt_id("program_id")?,
            seller_id: read.opt_id("seller_id")?,
            // A time that cannot be read must not become "never".
            expires_at: match read.opt_number("expires_at")? {
                None => None,
                Some(seconds) => Some(
                    DateTime::from_timestamp(seconds, 0)
                        .ok_or_else(|| read.corrupt("expires_at"))?,
                ),
            },
        }))
    }
}
