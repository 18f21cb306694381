//! Reference data: clients, programs, sellers, customers, seller contacts, report schedules.
//!
//! One table holds them all, under `<kind>#<id>`, and besides, under `alternate-seller#…`, the ways to
//! sellers from the ids that their clients have given them. A `put_…` replaces whatever is there;
//! [`Store::change_reference`] keeps whatever is newer, and leaves a tombstone of what it deletes.

mod change;
mod deletion;
mod model;
mod owner;
mod rank;
mod write;

use std::fmt;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use uuid::Uuid;
use weir_domain::{
    AlternateSellerId, ClientId, CustomerId, ProgramId, ReportScheduleId, SellerContactId, SellerId,
};

pub use change::{Changed, ReferenceChange};
pub use deletion::Deletion;
pub use model::{Client, Customer, Program, ReportSchedule, Seller, SellerContact};
pub use owner::Owner;
pub use write::{Kept, Parent, Reference, ReferenceWrite, TOMBSTONE_DAYS, Written};

use crate::error::sorted;
use crate::get::{in_order_of, keys_of};
use crate::item::{Item, Reader, Writer, text, uuid};
use crate::tables::REFERENCE;
use crate::{Store, StoreError};
use model::Resource;
use write::is_tombstone;

const READ: &str = "read reference data";

/// A kind of reference data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferenceKind {
    /// A [`Client`].
    Client,
    /// A [`Program`], which belongs to a client.
    Program,
    /// A [`Seller`], which belongs to a program.
    Seller,
    /// A [`Customer`], which belongs to a program.
    Customer,
    /// A [`SellerContact`], which belongs to a seller.
    SellerContact,
    /// A [`ReportSchedule`], which belongs to a program.
    ReportSchedule,
}

impl ReferenceKind {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Program => "program",
            Self::Seller => "seller",
            Self::Customer => "customer",
            Self::SellerContact => "seller-contact",
            Self::ReportSchedule => "report-schedule",
        }
    }

    /// What the one with an id is stored under.
    fn key(self, id: Uuid) -> String {
        format!("{self}#{id}")
    }
}

impl fmt::Display for ReferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn alternate_key(program: ProgramId, alternate: &AlternateSellerId) -> String {
    format!("alternate-seller#{program}#{alternate}")
}

impl Store {
    /// Writes a client.
    pub async fn put_client(&self, client: &Client) -> Result<(), StoreError> {
        self.put_reference(client.to_item()).await
    }

    /// Writes a program.
    pub async fn put_program(&self, program: &Program) -> Result<(), StoreError> {
        self.put_reference(program.to_item()).await
    }

    /// Writes a seller, and the way to it from its alternate id.
    pub async fn put_seller(&self, seller: &Seller) -> Result<(), StoreError> {
        self.put_reference(seller.to_item()).await?;
        let Some(alternate) = &seller.alternate_seller_id else {
            return Ok(());
        };
        let item = Writer::default()
            .with("id", text(alternate_key(seller.program_id, alternate)))
            .with("seller_id", uuid(seller.id));
        self.put_reference(item.finish()).await
    }

    /// Writes a customer.
    pub async fn put_customer(&self, customer: &Customer) -> Result<(), StoreError> {
        self.put_reference(customer.to_item()).await
    }

    /// Writes a seller's contact.
    pub async fn put_seller_contact(&self, contact: &SellerContact) -> Result<(), StoreError> {
        self.put_reference(contact.to_item()).await
    }

    /// Writes a report's schedule.
    pub async fn put_report_schedule(&self, schedule: &ReportSchedule) -> Result<(), StoreError> {
        self.put_reference(schedule.to_item()).await
    }

    /// A client.
    pub async fn client(&self, id: ClientId) -> Result<Option<Client>, StoreError> {
        self.resource(id.uuid()).await
    }

    /// A program.
    pub async fn program(&self, id: ProgramId) -> Result<Option<Program>, StoreError> {
        self.resource(id.uuid()).await
    }

    /// A seller by its id.
    pub async fn seller(&self, id: SellerId) -> Result<Option<Seller>, StoreError> {
        self.resource(id.uuid()).await
    }

    /// The seller that a client calls so in a program.
    pub async fn seller_by_alternate_id(
        &self,
        program: ProgramId,
        alternate: &AlternateSellerId,
    ) -> Result<Option<Seller>, StoreError> {
        let key = alternate_key(program, alternate);
        let Some(item) = self.get_reference(&key).await? else {
            return Ok(None);
        };
        let id = Reader::new(REFERENCE.name, key, &item).id("seller_id")?;
        // The way may outlive what it leads to.
        let seller = self.seller(id).await?;
        Ok(seller.filter(|seller| seller.alternate_seller_id.as_ref() == Some(alternate)))
    }

    /// The clients with some ids, any number, in the order of the ids and each once; those that do
    /// not exist are missing. Strongly consistent.
    pub async fn clients(&self, ids: &[ClientId]) -> Result<Vec<Client>, StoreError> {
        self.resources(ids, |client: &Client| client.id).await
    }

    /// The programs with some ids, as [`Store::clients`].
    pub async fn programs(&self, ids: &[ProgramId]) -> Result<Vec<Program>, StoreError> {
        self.resources(ids, |program: &Program| program.id).await
    }

    /// The sellers with some ids, as [`Store::clients`].
    pub async fn sellers(&self, ids: &[SellerId]) -> Result<Vec<Seller>, StoreError> {
        self.resources(ids, |seller: &Seller| seller.id).await
    }

    /// The customers with some ids, as [`Store::clients`].
    pub async fn customers(&self, ids: &[CustomerId]) -> Result<Vec<Customer>, StoreError> {
        self.resources(ids, |customer: &Customer| customer.id).await
    }

    /// The sellers' contacts with some ids, as [`Store::clients`].
    pub async fn seller_contacts(
        &self,
        ids: &[SellerContactId],
    ) -> Result<Vec<SellerContact>, StoreError> {
        self.resources(ids, |contact: &SellerContact| contact.id)
            .await
    }

    /// The reports' schedules with some ids, as [`Store::clients`].
    pub async fn report_schedules(
        &self,
        ids: &[ReportScheduleId],
    ) -> Result<Vec<ReportSchedule>, StoreError> {
        self.resources(ids, |schedule: &ReportSchedule| schedule.id)
            .await
    }

    /// What there is of a kind with some ids, any number, each once and in any order. Strongly consistent.
    pub async fn references(
        &self,
        kind: ReferenceKind,
        ids: &[Uuid],
    ) -> Result<Vec<Reference>, StoreError> {
        let keys = keys_of(ids, |id| kind.key(id));
        let items = self.items_by_key(&REFERENCE, READ, keys).await?;
        let alive = items.iter().filter(|item| !is_tombstone(item));
        alive.map(|item| Reference::of(kind, item)).collect()
    }

    async fn resource<R: Resource>(&self, id: Uuid) -> Result<Option<R>, StoreError> {
        let item = self.get_reference(&R::KIND.key(id)).await?;
        let alive = item.filter(|item| !is_tombstone(item));
        alive.as_ref().map(resource_from_item).transpose()
    }

    async fn resources<I, R>(&self, ids: &[I], id_of: fn(&R) -> I) -> Result<Vec<R>, StoreError>
    where
        I: Copy + Ord + std::hash::Hash + Into<Uuid>,
        R: Resource,
    {
        let keys = keys_of(ids, |id| R::KIND.key(id.into()));
        let items = self.items_by_key(&REFERENCE, READ, keys).await?;
        let found: Result<Vec<R>, StoreError> = items
            .iter()
            .filter(|item| !is_tombstone(item))
            .map(resource_from_item)
            .collect();
        Ok(in_order_of(ids, id_of, found?))
    }

    /// Whether there is, or was, something of a kind with an id.
    pub async fn is_reference_known(
        &self,
        kind: ReferenceKind,
        id: Uuid,
    ) -> Result<bool, StoreError> {
        Ok(self.get_reference(&kind.key(id)).await?.is_some())
    }

    async fn put_reference(&self, item: Item) -> Result<(), StoreError> {
        let answer = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&REFERENCE))
            .set_item(Some(item))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("write reference data"))?;
        self.capacity.wrote(answer.consumed_capacity());
        Ok(())
    }

    async fn get_reference(&self, key: &str) -> Result<Option<Item>, StoreError> {
        let answer = self
            .dynamodb()
            .get_item()
            .table_name(self.names.table(&REFERENCE))
            .key("id", text(key))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted(READ))?;
        self.capacity.read(answer.consumed_capacity());
        Ok(answer.item)
    }
}

fn resource_from_item<R: Resource>(item: &Item) -> Result<R, StoreError> {
    let key = item
        .get("id")
        .and_then(|value| value.as_s().ok())
        .cloned()
        .unwrap_or_default();
    let id = key
        .strip_prefix(R::KIND.name())
        .and_then(|rest| rest.strip_prefix('#'))
        .and_then(|id| Uuid::try_parse(id).ok());
    let read = Reader::new(REFERENCE.name, key, item);
    let id = id.ok_or_else(|| read.corrupt("id"))?;
    R::from_item(&read, id)
}
