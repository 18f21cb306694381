//! Writing details: made by the split, leased before a call, settled with its outcome.

use std::fmt::Write as _;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest, Put,
    ReturnConsumedCapacity, TransactWriteItem,
};
use chrono::{DateTime, Utc};
use weir_domain::{ChargeId, LineNumber};

use super::{Detail, DetailPlace, Event, KIND_DETAIL, Payload, sort_number};
use crate::error::{sorted, unavailable};
use crate::item::{number, text, time, uuid};
use crate::lookups::{charge_item, order_item};
use crate::tables::{DETAILS, LOOKUPS};
use crate::{Batch, ChangedBy, CounterChange, PutBuffer, Store, StoreError};

/// Most statements in one request (`BatchExecuteStatement`).
const STATEMENTS_PER_REQUEST: usize = 25;

const RECORD: &str = "record outcomes";

fn incomplete(_: BuildError) -> StoreError {
    unavailable(RECORD, "an item is incomplete")
}

/// What of a detail a [`Lease`] can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseState {
    /// Until when somebody works on it.
    pub lease_until: Option<DateTime<Utc>>,
    /// When the first call was begun whose effect is not known.
    pub attempted_at: Option<DateTime<Utc>>,
    /// Not to be sent before.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Since when a refund waits for its charge.
    pub waiting_since: Option<DateTime<Utc>>,
    /// The charge that is refunded, fixed before the first call.
    pub charge_id: Option<ChargeId>,
    /// What is to be told meanwhile, such as what a refund waits for.
    pub error_description: Option<String>,
}

/// A small change of a detail that is no event: taking, giving back or postponing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Which detail.
    pub line: LineNumber,
    /// The version that was read; the change takes place only on it, and adds one.
    version: u64,
    before: LeaseState,
    /// What is to be; at first what is.
    pub after: LeaseState,
}

/// What became of a [`Lease`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// The change took place.
    Taken,
    /// Somebody else changed the detail since it was read.
    Lost,
    /// It could not be tried; try again later.
    Failed(StoreError),
}

/// What came of a detail: the item as it becomes, and the event that tells why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The version that was leased; the outcome takes effect only on it.
    pub leased_version: u64,
    /// The event; its detail is what the item becomes.
    pub event: Event,
}

/// A change of a detail by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetailChange {
    /// The detail as it was read.
    pub before: Detail,
    /// The event, with the detail as it becomes.
    pub event: Event,
    /// The payload that becomes its draft, as the version that the detail then names.
    pub draft: Option<Payload>,
}

impl DetailChange {
    /// Most changes of one transaction, which may write a hundred items: the details, their events,
    /// their drafts, the batch, the record of what was asked.
    pub const TOGETHER_MAX: usize = 32;
}

impl LeaseState {
    fn of(detail: &Detail) -> Self {
        Self {
            lease_until: detail.lease_until,
            attempted_at: detail.attempted_at,
            next_attempt_at: detail.next_attempt_at,
            waiting_since: detail.waiting_since,
            charge_id: detail.charge_id,
            error_description: detail.error_description.clone(),
        }
    }

    /// The attributes and their values.
    fn attributes(&self) -> [(&'static str, Option<AttributeValue>); 6] {
        [
            ("lease_until", self.lease_until.map(time)),
            ("attempted_at", self.attempted_at.map(time)),
            ("next_attempt_at", self.next_attempt_at.map(time)),
            ("waiting_since", self.waiting_since.map(time)),
            ("charge_id", self.charge_id.map(uuid)),
            (
                "error_description",
                self.error_description.as_ref().map(text),
            ),
        ]
    }
}

impl Lease {
    /// The change that leaves everything of a detail as it is.
    pub fn of(detail: &Detail) -> Self {
        Self {
            line: detail.line(),
            version: detail.version,
            before: LeaseState::of(detail),
            after: LeaseState::of(detail),
        }
    }

    /// Whether a detail stands as this change, and no other, would have left it. Times are kept to
    /// the millisecond.
    pub fn has_taken_effect(&self, detail: &Detail) -> bool {
        let millis = |time: Option<DateTime<Utc>>| time.map(|time| time.timestamp_millis());
        detail.line() == self.line
            && detail.version == self.version + 1
            && millis(detail.lease_until) == millis(self.after.lease_until)
            && millis(detail.attempted_at) == millis(self.after.attempted_at)
            && millis(detail.next_attempt_at) == millis(self.after.next_attempt_at)
    }

    /// Carries the change over to the detail that was read.
    pub fn apply(self, detail: &mut Detail) {
        detail.version = self.version + 1;
        detail.lease_until = self.after.lease_until;
        detail.attempted_at = self.after.attempted_at;
        detail.next_attempt_at = self.after.next_attempt_at;
        detail.waiting_since = self.after.waiting_since;
        detail.charge_id = self.after.charge_id;
        detail.error_description = self.after.error_description;
    }

    /// `UPDATE … SET a=? REMOVE b WHERE key AND version=?`: one write unit, with its own condition.
    /// Names only what changes.
    fn statement(&self, table: &str, place: &DetailPlace) -> (String, Vec<AttributeValue>) {
        let mut parameters = vec![number(self.version + 1)];
        let mut statement = format!("UPDATE \"{table}\" SET \"version\"=?");
        let mut removes = String::new();
        let changes = self
            .before
            .attributes()
            .into_iter()
            .zip(self.after.attributes());
        for ((name, before), (_, after)) in changes.filter(|((_, a), (_, b))| a != b) {
            match (before, after) {
                (_, Some(value)) => {
                    let _ = write!(statement, " SET \"{name}\"=?");
                    parameters.push(value);
                }
                (Some(_), None) => _ = write!(removes, " REMOVE \"{name}\""),
                (None, None) => {}
            }
        }
        statement.push_str(&removes);
        statement.push_str(" WHERE \"shard\"=? AND \"record\"=? AND \"version\"=?");
        parameters.push(place.partition(self.line));
        parameters.push(number(sort_number(KIND_DETAIL, self.line.get(), 0)));
        parameters.push(number(self.version));
        (statement, parameters)
    }
}

impl PutBuffer {
    /// Adds a new detail with its payload, its entry by order number and, for a refund that names
    /// its charge, the one by charge. A detail that exists stays as it is, so a repeated or late
    /// call never resets one.
    pub async fn put_detail(
        &mut self,
        place: &DetailPlace,
        seller: weir_domain::SellerId,
        detail: &Detail,
        payload: &Payload,
    ) -> Result<(), StoreError> {
        self.insert(&DETAILS, detail.to_item(place)).await?;
        self.put(&DETAILS, payload.to_item(place, detail.line(), 1)?)
            .await?;
        self.put_ways(seller, detail).await
    }

    /// Adds the entry of a detail by order number and, for a refund that names its charge, the one
    /// by charge.
    pub async fn put_ways(
        &mut self,
        seller: weir_domain::SellerId,
        detail: &Detail,
    ) -> Result<(), StoreError> {
        if let Some(order_number) = &detail.order_number {
            self.put(&LOOKUPS, order_item(seller, order_number, detail))
                .await?;
        }
        if let Some(charge) = detail.charge_id {
            self.put_charge(charge, detail).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Tries some small changes, each for itself; the answers are in the same order.
    pub async fn change_leases(&self, place: &DetailPlace, leases: &[Lease]) -> Vec<LeaseOutcome> {
        let mut outcomes = Vec::with_capacity(leases.len());
        for chunk in leases.chunks(STATEMENTS_PER_REQUEST) {
            match self.change_leases_once(place, chunk).await {
                Ok(answers) => outcomes.extend(answers),
                Err(error) => {
                    outcomes.extend(chunk.iter().map(|_| LeaseOutcome::Failed(error.clone())));
                }
            }
        }
        outcomes
    }

    async fn change_leases_once(
        &self,
        place: &DetailPlace,
        leases: &[Lease],
    ) -> Result<Vec<LeaseOutcome>, StoreError> {
        const OPERATION: &str = "take details";
        let table = self.names.table(&DETAILS);
        let mut request = self
            .dynamodb()
            .batch_execute_statement()
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        for lease in leases {
            let (statement, parameters) = lease.statement(&table, place);
            let statement = BatchStatementRequest::builder()
                .statement(statement)
                .set_parameters(Some(parameters))
                .build()
                .map_err(|_| unavailable(OPERATION, "a statement could not be built"))?;
            request = request.statements(statement);
        }
        let answer = request.send().await.map_err(sorted(OPERATION))?;
        self.capacity.wrote(answer.consumed_capacity());
        let responses = answer.responses();
        Ok((0..leases.len())
            .map(
                |index| match responses.get(index).map(|response| response.error()) {
                    Some(None) => LeaseOutcome::Taken,
                    Some(Some(error)) => match error.code() {
                        Some(BatchStatementErrorCodeEnum::ConditionalCheckFailed) => {
                            LeaseOutcome::Lost
                        }
                        code => LeaseOutcome::Failed(unavailable(
                            OPERATION,
                            &format!("{code:?}: {}", error.message().unwrap_or("no message")),
                        )),
                    },
                    None => LeaseOutcome::Failed(unavailable(OPERATION, "an answer is missing")),
                },
            )
            .collect())
    }

    /// Records what came of at most 25 leased details of one batch, in one transaction: the
    /// details, their events and the batch's counters. All of it takes effect, or none.
    ///
    /// A [`StoreError::Conflict`] says that a lease was lost, or that the batch was being written
    /// at the same moment; [`StoreError::Unavailable`] leaves open whether it took effect.
    pub async fn record_outcomes(
        &self,
        batch: &Batch,
        outcomes: &[Outcome],
        change: &CounterChange,
    ) -> Result<(), StoreError> {
        let actions = self.outcome_actions(batch, outcomes)?;
        self.record_together(batch, change, actions, None).await
    }

    /// Makes at most [`DetailChange::TOGETHER_MAX`] changes of one batch by hand, in one transaction:
    /// the details, their events and drafts, the batch's counters, the record of who asked for it. All
    /// of it takes effect, or none.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a detail is not what was read any more, or when another task of
    /// the batch is going on than `by` names; [`StoreError::Unavailable`] leaves open whether it took
    /// effect.
    pub async fn change_details(
        &self,
        batch: &Batch,
        changes: &[DetailChange],
        by: &ChangedBy,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let place = batch.place();
        let table = self.names.table(&DETAILS);
        let mut counters = CounterChange {
            at: now,
            ..CounterChange::default()
        };
        let mut outcomes = Vec::with_capacity(changes.len());
        let mut drafts = Vec::new();
        for change in changes {
            counters.add(&change.before, &change.event.detail);
            outcomes.push(Outcome {
                leased_version: change.before.version,
                event: change.event.clone(),
            });
            let detail = &change.event.detail;
            if let (Some(draft), Some(version)) = (&change.draft, detail.draft_version) {
                let put = Put::builder()
                    .table_name(&table)
                    .set_item(Some(draft.to_item(&place, detail.line(), version)?))
                    .condition_expression("attribute_not_exists(#shard)")
                    .expression_attribute_names("#shard", "shard")
                    .build()
                    .map_err(incomplete)?;
                drafts.push(TransactWriteItem::builder().put(put).build());
            }
        }
        let mut actions = self.outcome_actions(batch, &outcomes)?;
        actions.extend(drafts);
        actions.push(self.asked_update(&by.record, changes.len(), now)?);
        let by = (by, changes.len());
        self.record_together(batch, &counters, actions, Some(by))
            .await
    }

    /// The same, with the ways from charges to the details that made them: at twice the price of
    /// putting them before, for when that did not work.
    pub async fn record_outcomes_with_ways(
        &self,
        batch: &Batch,
        outcomes: &[Outcome],
        change: &CounterChange,
    ) -> Result<(), StoreError> {
        let table = self.names.table(&LOOKUPS);
        let mut actions = self.outcome_actions(batch, outcomes)?;
        for outcome in outcomes {
            let detail = &outcome.event.detail;
            if let Some(charge) = detail.charge_id {
                let way = Put::builder()
                    .table_name(&table)
                    .set_item(Some(charge_item(charge, detail)))
                    .build()
                    .map_err(incomplete)?;
                actions.push(TransactWriteItem::builder().put(way).build());
            }
        }
        self.record_together(batch, change, actions, None).await
    }

    fn outcome_actions(
        &self,
        batch: &Batch,
        outcomes: &[Outcome],
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let place = batch.place();
        let table = self.names.table(&DETAILS);
        let mut actions = Vec::with_capacity(outcomes.len() * 2 + 1);
        for outcome in outcomes {
            let detail = Put::builder()
                .table_name(&table)
                .set_item(Some(outcome.event.detail.to_item(&place)))
                .condition_expression("version = :leased")
                .expression_attribute_values(":leased", number(outcome.leased_version))
                .build()
                .map_err(incomplete)?;
            let event = Put::builder()
                .table_name(&table)
                .set_item(Some(outcome.event.to_item(&place)?))
                .build()
                .map_err(incomplete)?;
            actions.push(TransactWriteItem::builder().put(detail).build());
            actions.push(TransactWriteItem::builder().put(event).build());
        }
        Ok(actions)
    }

    async fn record_together(
        &self,
        batch: &Batch,
        change: &CounterChange,
        mut actions: Vec<TransactWriteItem>,
        by: Option<(&ChangedBy, usize)>,
    ) -> Result<(), StoreError> {
        actions.extend(self.counter_update(batch, change, by)?);
        let answer = self
            .dynamodb()
            .transact_write_items()
            .set_transact_items(Some(actions))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(())
            }
            Err(error) => Err(transaction_error(RECORD, error)),
        }
    }
}

/// A cancelled transaction says for every action why; one failed condition makes it a conflict.
pub(crate) fn transaction_error(
    operation: &'static str,
    error: aws_sdk_dynamodb::error::SdkError<
        aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError,
    >,
) -> StoreError {
    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError as Error;
    let Some(Error::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return sorted(operation)(error);
    };
    let reasons: Vec<&str> = cancelled
        .cancellation_reasons()
        .iter()
        .filter_map(|reason| reason.code())
        .collect();
    if reasons.contains(&"ConditionalCheckFailed") {
        return StoreError::Conflict { operation };
    }
    if reasons.contains(&"ValidationError") || reasons.contains(&"ItemCollectionSizeLimitExceeded")
    {
        return StoreError::Refused {
            operation,
            reason: reasons.join(", "),
        };
    }
    unavailable(operation, &reasons.join(", "))
}
