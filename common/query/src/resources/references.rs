//! Reference data: clients, programs, sellers, customers, seller contacts, report schedules.

use std::future::Future;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::{ClientId, ProgramId, SellerId};
use weir_store::{
    Client, CreatedId, CreatedRange, Customer, Direction, Month, Program, ReferenceKind,
    ReferencesOf, ReportSchedule, Seller, SellerContact, Store, StoreError,
};

use super::described::{CLIENT, CUSTOMER, PROGRAM, REPORT_SCHEDULE, SELLER, SELLER_CONTACT};
use crate::schema::Resource;
use crate::scope::Scope;
use crate::walk::Keyed;
use crate::{Row, Value};

/// What a scan of a kind is narrowed by, the best first.
pub(crate) fn narrower(kind: ReferenceKind) -> &'static [&'static str] {
    match kind {
        ReferenceKind::Client => &["id", "created_at:gte"],
        ReferenceKind::Program => &["id", "client_id", "created_at:gte"],
        ReferenceKind::SellerContact => &["id", "seller_id", "created_at:gte"],
        _ => &["id", "program_id", "created_at:gte"],
    }
}

/// A kind of reference data.
pub(crate) trait Reference: Send + Sync + 'static {
    /// Which kind.
    const KIND: ReferenceKind;
    /// What it has.
    const RESOURCE: &'static Resource;
    /// The field by which an index holds it together, where there is one.
    const PARENT: Option<&'static str>;

    fn value(&self, field: &str) -> Value<'_>;
    fn id(&self) -> Uuid;
    fn created_at(&self) -> DateTime<Utc>;
    /// Whether a caller may see it.
    fn is_covered(&self, scope: &Scope) -> bool;
    fn by_ids(
        store: &Store,
        ids: &[Uuid],
    ) -> impl Future<Output = Result<Vec<Self>, StoreError>> + Send
    where
        Self: Sized;
}

/// Reference data as a row.
#[derive(Debug, Clone)]
pub struct ReferenceRow<R>(pub R);

impl<R: Reference> Row for ReferenceRow<R> {
    fn value(&self, field: &str) -> Value<'_> {
        self.0.value(field)
    }

    fn position(&self) -> CreatedId {
        CreatedId {
            created_ms: self.0.created_at().timestamp_millis(),
            id: self.0.id(),
        }
    }
}

/// A kind of reference data as it is kept.
#[derive(Debug)]
pub struct References<R>(std::marker::PhantomData<fn() -> R>);

impl<R: Reference> Keyed for References<R> {
    type Row = ReferenceRow<R>;
    type Partition = ReferencesOf;

    fn month(_: Month) -> Option<ReferencesOf> {
        None
    }

    async fn keys(
        store: &Store,
        partition: ReferencesOf,
        range: CreatedRange,
        direction: Direction,
        limit: u32,
    ) -> Result<Vec<CreatedId>, StoreError> {
        store
            .reference_keys(partition, range, direction, limit)
            .await
    }

    async fn items(store: &Store, ids: &[Uuid]) -> Result<Vec<ReferenceRow<R>>, StoreError> {
        let found = R::by_ids(store, ids).await?;
        Ok(found.into_iter().map(ReferenceRow).collect())
    }
}

fn of_kind<T: TryFrom<Uuid>>(ids: &[Uuid]) -> Vec<T> {
    ids.iter().filter_map(|id| (*id).try_into().ok()).collect()
}

/// Whether a scope covers what belongs to a client and a program, and to nobody in particular
/// among its sellers.
fn covers_program(scope: &Scope, client: ClientId, program: ProgramId) -> bool {
    scope.covers(Some(client), Some(program), None)
}

fn covers_seller(scope: &Scope, client: ClientId, program: ProgramId, seller: SellerId) -> bool {
    scope.covers(Some(client), Some(program), Some(seller))
}

impl Reference for Client {
    const KIND: ReferenceKind = ReferenceKind::Client;
    const RESOURCE: &'static Resource = &CLIENT;
    const PARENT: Option<&'static str> = None;

    fn value(&self, field: &str) -> Value<'_> {
        match field {
            "id" => Value::id(self.id),
            "name" => Value::text(&self.name),
            "processed_message_ts" => Value::opt_time(self.processed_message_ts),
            "created_at" => Value::Time(self.created_at),
            "updated_at" => Value::Time(self.updated_at),
            _ => Value::Absent,
        }
    }

    fn id(&self) -> Uuid {
        self.id.uuid()
    }

    fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// A program's or a seller's key sees the client above it.
    fn is_covered(&self, scope: &Scope) -> bool {
        scope.client_id.is_none_or(|id| id == self.id)
    }

    async fn by_ids(store: &Store, ids: &[Uuid]) -> Result<Vec<Self>, StoreError> {
        store.clients(&of_kind(ids)).await
    }
}

impl Reference for Program {
    const KIND: ReferenceKind = ReferenceKind::Program;
    const RESOURCE: &'static Resource = &PROGRAM;
    const PARENT: Option<&'static str> = Some("client_id");

    fn value(&self, field: &str) -> Value<'_> {
        match field {
            "id" => Value::id(self.id),
            "client_id" => Value::id(self.client_id),
            "name" => Value::text(&self.name),
            "status" => Value::text(self.status.name()),
            "reply_to_email" => Value::opt_text(self.reply_to_email.as_deref()),
            "support_email" => Value::opt_text(self.support_email.as_deref()),
            "sender_email" => Value::opt_text(self.sender_email.as_deref()),
            "processed_message_ts" => Value::opt_time(self.processed_message_ts),
            "created_at" => Value::Time(self.created_at),
            "updated_at" => Value::Time(self.updated_at),
            _ => Value::Absent,
        }
    }

    fn id(&self) -> Uuid {
        self.id.uuid()
    }

    fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// A seller's key sees the program above it.
    fn is_covered(&self, scope: &Scope) -> bool {
        let above = Scope {
            seller_id: None,
            ..*scope
        };
        covers_program(&above, self.client_id, self.id)
    }

    async fn by_ids(store: &Store, ids: &[Uuid]) -> Result<Vec<Self>, StoreError> {
        store.programs(&of_kind(ids)).await
    }
}

impl Reference for Seller {
    const KIND: ReferenceKind = ReferenceKind::Seller;
    const RESOURCE: &'static Resource = &SELLER;
    const PARENT: Option<&'static str> = Some("program_id");

    fn value(&self, field: &str) -> Value<'_> {
        match field {
            "id" => Value::id(self.id),
            "client_id" => Value::id(self.client_id),
            "program_id" => Value::id(self.program_id),
            "alternate_seller_id" => Value::opt_text(
                self.alternate_seller_id
                    .as_ref()
                    .map(weir_domain::AlternateSellerId::as_str),
            ),
            "name" => Value::text(&self.name),
            "status" => Value::opt_text(self.status.as_deref()),
            "processed_message_ts" => Value::opt_time(self.processed_message_ts),
            "created_at" => Value::Time(self.created_at),
            "updated_at" => Value::Time(self.updated_at),
            _ => Value::Absent,
        }
    }

    fn id(&self) -> Uuid {
        self.id.uuid()
    }

    fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    fn is_covered(&self, scope: &Scope) -> bool {
        covers_seller(scope, self.client_id, self.program_id, self.id)
    }

    async fn by_ids(store: &Store, ids: &[Uuid]) -> Result<Vec<Self>, StoreError> {
        store.sellers(&of_kind(ids)).await
    }
}

impl Reference for Customer {
    const KIND: ReferenceKind = ReferenceKind::Customer;
    const RESOURCE: &'static Resource = &CUSTOMER;
    const PARENT: Option<&'static str> = Some("program_id");

    fn value(&self, field: &str) -> Value<'_> {
        match field {
            "id" => Value::id(self.id),
            "client_id" => Value::id(self.client_id),
            "program_id" => Value::id(self.program_id),
            "name" => Value::opt_text(self.name.as_deref()),
            "processed_message_ts" => Value::opt_time(self.processed_message_ts),
            "created_at" => Value::Time(self.created_at),
            "updated_at" => Value::Time(self.updated_at),
            _ => Value::Absent,
        }
    }

    fn id(&self) -> Uuid {
        self.id.uuid()
    }

    fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// Customers are the program's: who buys from one seller is not another's to know.
    fn is_covered(&self, scope: &Scope) -> bool {
        covers_program(scope, self.client_id, self.program_id)
    }

    async fn by_ids(store: &Store, ids: &[Uuid]) -> Result<Vec<Self>, StoreError> {
        store.customers(&of_kind(ids)).await
    }
}

impl Reference for SellerContact {
    const KIND: ReferenceKind = ReferenceKind::SellerContact;
    const RESOURCE: &'static Resource = &SELLER_CONTACT;
    const PARENT: Option<&'static str> = Some("seller_id");

    fn value(&self, field: &str) -> Value<'_> {
        match field {
            "id" => Value::id(self.id),
            "client_id" => Value::id(self.client_id),
            "program_id" => Value::id(self.program_id),
            "seller_id" => Value::id(self.seller_id),
            "name" => Value::opt_text(self.name.as_deref()),
            "email" => Value::opt_text(self.email.as_deref()),
            "country" => Value::opt_text(self.country.as_deref()),
            "state" => Value::opt_text(self.state.as_deref()),
            "city" => Value::opt_text(self.city.as_deref()),
            "street" => Value::opt_text(self.street.as_deref()),
            "post_code" => Value::opt_text(self.post_code.as_deref()),
            "processed_message_ts" => Value::opt_time(self.processed_message_ts),
            "created_at" => Value::Time(self.created_at),
            "updated_at" => Value::Time(self.updated_at),
            _ => Value::Absent,
        }
    }

    fn id(&self) -> Uuid {
        self.id.uuid()
    }

    fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    fn is_covered(&self, scope: &Scope) -> bool {
        covers_seller(scope, self.client_id, self.program_id, self.seller_id)
    }

    async fn by_ids(store: &Store, ids: &[Uuid]) -> Result<Vec<Self>, StoreError> {
        store.seller_contacts(&of_kind(ids)).await
    }
}

impl Reference for ReportSchedule {
    const KIND: ReferenceKind = ReferenceKind::ReportSchedule;
    const RESOURCE: &'static Resource = &REPORT_SCHEDULE;
    const PARENT: Option<&'static str> = Some("program_id");

    fn value(&self, field: &str) -> Value<'_> {
        match field {
            "id" => Value::id(self.id),
            "client_id" => Value::id(self.client_id),
            "program_id" => Value::id(self.program_id),
            "seller_id" => Value::opt_id(self.seller_id),
            "report_id" => Value::id(self.report_id),
            "report_scope" => Value::text(self.report_scope.name()),
            "schedule_tz" => Value::text(&self.schedule_tz),
            "schedule_frequency" => Value::text(self.schedule_frequency.name()),
            "schedule_week_day" => {
                Value::opt_text(self.schedule_week_day.map(weir_domain::WeekDay::name))
            }
            "recipient_emails" => Value::Texts(self.recipient_emails.as_slice().into()),
            "last_scheduled_at" => Value::opt_time(self.last_scheduled_at),
            "created_at" => Value::Time(self.created_at),
            "updated_at" => Value::Time(self.updated_at),
            _ => Value::Absent,
        }
    }

    fn id(&self) -> Uuid {
        self.id.uuid()
    }

    fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    fn is_covered(&self, scope: &Scope) -> bool {
        scope.covers(Some(self.client_id), Some(self.program_id), self.seller_id)
    }

    async fn by_ids(store: &Store, ids: &[Uuid]) -> Result<Vec<Self>, StoreError> {
        store.report_schedules(&of_kind(ids)).await
    }
}
