//! Puts without a condition, 25 a request: the cheapest way to write many items.
//!
//! Only for items that are derived, so that writing them twice writes the same; whoever uses it
//! must hold the lease of what it writes.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{PutRequest, ReturnConsumedCapacity, WriteRequest};
use tokio::task::JoinSet;

use crate::error::{sorted, unavailable};
use crate::item::Item;
use crate::{Store, StoreError, Table};

/// Most puts in one request (`BatchWriteItem`).
const PUTS_PER_REQUEST: usize = 25;
/// How often what DynamoDB left unprocessed is sent again before giving up.
const ROUNDS_MAX: u32 = 10;
/// The longest pause between two rounds.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Collects puts and sends them, several requests at a time.
#[derive(Debug)]
pub struct PutBuffer {
    store: Store,
    pending: Vec<(String, Item)>,
    sending: JoinSet<Result<(), StoreError>>,
    requests_max: usize,
}

impl PutBuffer {
    /// A buffer that keeps at most `requests_max` requests under way.
    pub fn new(store: &Store, requests_max: usize) -> Self {
        Self {
            store: store.clone(),
            pending: Vec::with_capacity(PUTS_PER_REQUEST),
            sending: JoinSet::new(),
            requests_max: requests_max.max(1),
        }
    }

    /// Adds a put; waits while too many requests are under way.
    pub(crate) async fn put(&mut self, table: &Table, item: Item) -> Result<(), StoreError> {
        self.pending.push((self.store.names.table(table), item));
        if self.pending.len() == PUTS_PER_REQUEST {
            self.send().await
        } else {
            Ok(())
        }
    }

    /// Sends what is left and waits until everything is written.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        self.send().await?;
        while let Some(sent) = self.sending.join_next().await {
            sent.map_err(|_| unavailable("write a batch of items", "the task was stopped"))??;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        while self.sending.len() >= self.requests_max {
            if let Some(sent) = self.sending.join_next().await {
                sent.map_err(|_| unavailable("write a batch of items", "the task was stopped"))??;
            }
        }
        let puts = std::mem::replace(&mut self.pending, Vec::with_capacity(PUTS_PER_REQUEST));
        let store = self.store.clone();
        self.sending.spawn(async move { store.put_all(puts).await });
        Ok(())
    }
}

impl Store {
    /// Writes at most 25 items, sending again what DynamoDB leaves unprocessed.
    pub(crate) async fn put_all(&self, puts: Vec<(String, Item)>) -> Result<(), StoreError> {
        const OPERATION: &str = "write a batch of items";
        let mut left: HashMap<String, Vec<WriteRequest>> = HashMap::new();
        for (table, item) in puts {
            let put = PutRequest::builder()
                .set_item(Some(item))
                .build()
                .map_err(|_| StoreError::Refused {
                    operation: OPERATION,
                    reason: "an item is empty".to_owned(),
                })?;
            left.entry(table)
                .or_default()
                .push(WriteRequest::builder().put_request(put).build());
        }
        for round in 0..ROUNDS_MAX {
            if left.is_empty() {
                return Ok(());
            }
            if round > 0 {
                let most = Duration::from_millis(50)
                    .saturating_mul(1 << round)
                    .min(PAUSE_MAX);
                self.clock.sleep(self.random.jitter(most)).await;
            }
            let answer = self
                .dynamodb()
                .batch_write_item()
                .set_request_items(Some(left))
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(sorted(OPERATION))?;
            self.capacity.wrote(answer.consumed_capacity());
            left = answer.unprocessed_items.unwrap_or_default();
        }
        if left.is_empty() {
            Ok(())
        } else {
            Err(unavailable(OPERATION, "throttled throughout"))
        }
    }
}
