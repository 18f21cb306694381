//! Many items, 25 a request, each for one write unit.
//!
//! A put overwrites: it is for items that never change once written, so that writing them twice
//! writes the same. An insert leaves what exists as it is: it is for items that others change
//! later, so that a repeated, late or delayed write can never reset one. (`BatchWriteItem` takes
//! no conditions; an `INSERT` statement has this one built in, at the same price.)

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    BatchStatementErrorCodeEnum as ErrorCode, BatchStatementRequest, PutRequest,
    ReturnConsumedCapacity, WriteRequest,
};
use tokio::task::JoinSet;

use crate::error::{sorted, unavailable};
use crate::item::Item;
use crate::{Store, StoreError, Table};

/// Most items in one request (`BatchWriteItem`, `BatchExecuteStatement`).
const ITEMS_PER_REQUEST: usize = 25;
/// How often what DynamoDB left unprocessed is sent again before giving up.
const ROUNDS_MAX: u32 = 10;
/// The longest pause between two rounds.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Collects puts and inserts and sends them, several requests at a time.
#[derive(Debug)]
pub struct PutBuffer {
    store: Store,
    puts: Vec<(String, Item)>,
    inserts: Vec<BatchStatementRequest>,
    sending: JoinSet<Result<(), StoreError>>,
    requests_max: usize,
}

impl PutBuffer {
    /// A buffer that keeps at most `requests_max` requests under way.
    pub fn new(store: &Store, requests_max: usize) -> Self {
        Self {
            store: store.clone(),
            puts: Vec::with_capacity(ITEMS_PER_REQUEST),
            inserts: Vec::with_capacity(ITEMS_PER_REQUEST),
            sending: JoinSet::new(),
            requests_max: requests_max.max(1),
        }
    }

    /// Adds a put; waits while too many requests are under way.
    pub(crate) async fn put(&mut self, table: &Table, item: Item) -> Result<(), StoreError> {
        self.puts.push((self.store.names.table(table), item));
        if self.puts.len() == ITEMS_PER_REQUEST {
            self.send_puts().await
        } else {
            Ok(())
        }
    }

    /// Adds an insert; waits while too many requests are under way.
    pub(crate) async fn insert(&mut self, table: &Table, item: Item) -> Result<(), StoreError> {
        let statement = insert_statement(&self.store.names.table(table), item)?;
        self.inserts.push(statement);
        if self.inserts.len() == ITEMS_PER_REQUEST {
            self.send_inserts().await
        } else {
            Ok(())
        }
    }

    /// Sends what is left and waits until everything is written.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        self.send_puts().await?;
        self.send_inserts().await?;
        while !self.sending.is_empty() {
            self.wait_for_one().await?;
        }
        Ok(())
    }

    async fn send_puts(&mut self) -> Result<(), StoreError> {
        if self.puts.is_empty() {
            return Ok(());
        }
        self.wait_for_room().await?;
        let puts = std::mem::replace(&mut self.puts, Vec::with_capacity(ITEMS_PER_REQUEST));
        let store = self.store.clone();
        self.sending.spawn(async move { store.put_all(puts).await });
        Ok(())
    }

    async fn send_inserts(&mut self) -> Result<(), StoreError> {
        if self.inserts.is_empty() {
            return Ok(());
        }
        self.wait_for_room().await?;
        let inserts = std::mem::replace(&mut self.inserts, Vec::with_capacity(ITEMS_PER_REQUEST));
        let store = self.store.clone();
        self.sending
            .spawn(async move { store.insert_all(inserts).await });
        Ok(())
    }

    async fn wait_for_room(&mut self) -> Result<(), StoreError> {
        while self.sending.len() >= self.requests_max {
            self.wait_for_one().await?;
        }
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<(), StoreError> {
        match self.sending.join_next().await {
            None => Ok(()),
            Some(Ok(sent)) => sent,
            Some(Err(_)) => Err(unavailable(
                "write a batch of items",
                "the task was stopped",
            )),
        }
    }
}

/// `INSERT INTO "table" VALUE {'a': ?, …}`, which fails for an item that exists.
fn insert_statement(table: &str, item: Item) -> Result<BatchStatementRequest, StoreError> {
    let mut statement = format!("INSERT INTO \"{table}\" VALUE {{");
    let mut parameters = Vec::with_capacity(item.len());
    for (name, value) in item {
        let comma = if parameters.is_empty() { "" } else { ", " };
        let _ = write!(statement, "{comma}'{name}': ?");
        parameters.push(value);
    }
    statement.push('}');
    BatchStatementRequest::builder()
        .statement(statement)
        .set_parameters(Some(parameters))
        .build()
        .map_err(|_| unavailable("insert items", "a statement could not be built"))
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
            self.pause_before(round).await;
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

    /// Writes at most 25 items that do not exist yet; those that do stay as they are.
    async fn insert_all(&self, inserts: Vec<BatchStatementRequest>) -> Result<(), StoreError> {
        const OPERATION: &str = "insert items";
        let mut left = inserts;
        for round in 0..ROUNDS_MAX {
            self.pause_before(round).await;
            let answer = self
                .dynamodb()
                .batch_execute_statement()
                .set_statements(Some(left.clone()))
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(sorted(OPERATION))?;
            self.capacity.wrote(answer.consumed_capacity());
            let responses = answer.responses();
            let mut again = Vec::new();
            for (index, insert) in left.into_iter().enumerate() {
                let Some(response) = responses.get(index) else {
                    again.push(insert);
                    continue;
                };
                let Some(error) = response.error() else {
                    continue;
                };
                match error.code() {
                    Some(ErrorCode::DuplicateItem) => {}
                    Some(
                        ErrorCode::ThrottlingError
                        | ErrorCode::ProvisionedThroughputExceeded
                        | ErrorCode::RequestLimitExceeded
                        | ErrorCode::InternalServerError
                        | ErrorCode::TransactionConflict,
                    ) => again.push(insert),
                    code => {
                        let message = error.message().unwrap_or("no message");
                        let reason = format!("{code:?}: {message}");
                        return Err(StoreError::Refused {
                            operation: OPERATION,
                            reason,
                        });
                    }
                }
            }
            left = again;
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(unavailable(OPERATION, "throttled throughout"))
    }

    /// A jittered pause before another round; none before the first.
    pub(crate) async fn pause_before(&self, round: u32) {
        if round > 0 {
            let most = Duration::from_millis(50)
                .saturating_mul(1 << round)
                .min(PAUSE_MAX);
            self.clock.sleep(self.random.jitter(most)).await;
        }
    }
}
