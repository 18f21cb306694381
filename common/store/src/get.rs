//! Many items by key, a hundred a request.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use futures::stream::{StreamExt, TryStreamExt};

use crate::error::{sorted, unavailable};
use crate::item::{Item, text};
use crate::{Store, StoreError, Table};

/// Most keys in one request (`BatchGetItem`).
const KEYS_PER_REQUEST: usize = 100;
/// How often in a row keys are asked for again of which none was read, before giving up.
const ROUNDS_MAX: u32 = 10;
/// The longest pause between two rounds.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How many requests are under way at a time.
const REQUESTS_MAX: usize = 8;

/// The keys of some items, each once: no key may be asked for twice.
pub(crate) fn keys_of<I: Copy + Ord>(ids: &[I], key: impl Fn(I) -> String) -> Vec<Item> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let key = |id: I| Item::from([("id".to_owned(), text(key(id)))]);
    ids.into_iter().map(key).collect()
}

/// Puts what was found in the order of some ids, each once.
pub(crate) fn in_order_of<I: Copy + Eq + Hash, T>(
    ids: &[I],
    id_of: impl Fn(&T) -> I,
    found: Vec<T>,
) -> Vec<T> {
    let mut found: HashMap<I, T> = found.into_iter().map(|one| (id_of(&one), one)).collect();
    ids.iter().filter_map(|id| found.remove(id)).collect()
}

impl Store {
    /// The items with some keys, strongly consistent, in any order; those that do not exist are
    /// missing. No key may be there twice.
    pub(crate) async fn items_by_key(
        &self,
        table: &Table,
        operation: &'static str,
        keys: Vec<Item>,
    ) -> Result<Vec<Item>, StoreError> {
        let chunks: Vec<Vec<Item>> = keys
            .chunks(KEYS_PER_REQUEST)
            .map(<[Item]>::to_vec)
            .collect();
        futures::stream::iter(chunks)
            .map(|chunk| self.chunk_by_key(table, operation, chunk))
            .buffer_unordered(REQUESTS_MAX)
            .try_concat()
            .await
    }

    /// At most a hundred of them, asking again for what DynamoDB leaves unread: when it is throttled,
    /// and beyond the 16 MB of one answer.
    async fn chunk_by_key(
        &self,
        table: &Table,
        operation: &'static str,
        keys: Vec<Item>,
    ) -> Result<Vec<Item>, StoreError> {
        let table = self.names.table(table);
        let mut found = Vec::with_capacity(keys.len());
        let mut left = keys;
        let mut rounds_in_vain = 0;
        loop {
            let asked = left.len();
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(left))
                .consistent_read(true)
                .build()
                .map_err(|_| unavailable(operation, "no keys"))?;
            let answer = self
                .dynamodb()
                .batch_get_item()
                .request_items(&table, wanted)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(sorted(operation))?;
            self.capacity.read(answer.consumed_capacity());
            found.extend(
                answer
                    .responses
                    .and_then(|mut tables| tables.remove(&table))
                    .unwrap_or_default(),
            );
            left = answer
                .unprocessed_keys
                .and_then(|mut tables| tables.remove(&table))
                .map(|unread| unread.keys)
                .unwrap_or_default();
            if left.is_empty() {
                return Ok(found);
            }
            rounds_in_vain = if left.len() < asked {
                0
            } else {
                rounds_in_vain + 1
            };
            if rounds_in_vain == ROUNDS_MAX {
                return Err(unavailable(operation, "throttled throughout"));
            }
            let most = Duration::from_millis(50).saturating_mul(1 << rounds_in_vain);
            self.clock
                .sleep(self.random.jitter(most.min(PAUSE_MAX)))
                .await;
        }
    }
}
