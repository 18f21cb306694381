//! What reference data there is, and its items.
//!
//! An item stands in the index of its kind and, under what it belongs to, in the index of parents.
//! `processed_message_ts` is the time of the newest message that was applied, as its sender gave it.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::{
    AlternateSellerId, ClientId, CustomerId, ProgramId, ProgramStatus, ReportId, ReportScheduleId,
    ReportScope, ScheduleFrequency, SellerContactId, SellerId, WeekDay,
};

use super::ReferenceKind;
use crate::item::{Item, Reader, Writer, text, texts, time, uuid};
use crate::keys::parent_key;
use crate::{CreatedId, StoreError};

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// Its name.
    pub name: String,
    /// The time of the newest message about it.
    pub processed_message_ts: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A program of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its id.
    pub id: ProgramId,
    /// Its client.
    pub client_id: ClientId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: ProgramStatus,
    /// Where answers to its mail go.
    pub reply_to_email: Option<String>,
    /// Where its people are helped.
    pub support_email: Option<String>,
    /// Where its mail comes from.
    pub sender_email: Option<String>,
    /// The time of the newest message about it.
    pub processed_message_ts: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A seller in a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seller {
    /// Its id at 3Rivers.
    pub id: SellerId,
    /// Its client.
    pub client_id: ClientId,
    /// Its program.
    pub program_id: ProgramId,
    /// The client's own id of it.
    pub alternate_seller_id: Option<AlternateSellerId>,
    /// Its name.
    pub name: String,
    /// Where it stands, in the words of the message that said so: there is no list of them.
    pub status: Option<String>,
    /// The time of the newest message about it.
    pub processed_message_ts: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A customer of a program: a buyer's company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// Its client.
    pub client_id: ClientId,
    /// Its program.
    pub program_id: ProgramId,
    /// Its name.
    pub name: Option<String>,
    /// The time of the newest message about it.
    pub processed_message_ts: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A contact of a seller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SellerContact {
    /// Its id.
    pub id: SellerContactId,
    /// Its client.
    pub client_id: ClientId,
    /// Its program.
    pub program_id: ProgramId,
    /// Its seller.
    pub seller_id: SellerId,
    /// Its name.
    pub name: Option<String>,
    /// Its address for mail.
    pub email: Option<String>,
    /// The country.
    pub country: Option<String>,
    /// The state or province.
    pub state: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The street and number.
    pub street: Option<String>,
    /// The post code.
    pub post_code: Option<String>,
    /// The time of the newest message about it.
    pub processed_message_ts: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A schedule by which a report of a program, or of one of its sellers, is mailed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportSchedule {
    /// Its id.
    pub id: ReportScheduleId,
    /// Its client.
    pub client_id: ClientId,
    /// Its program.
    pub program_id: ProgramId,
    /// The seller that it is about, when it is about one.
    pub seller_id: Option<SellerId>,
    /// The report.
    pub report_id: ReportId,
    /// Whether it is about the whole program or one seller.
    pub report_scope: ReportScope,
    /// The time zone whose days it goes by.
    pub schedule_tz: String,
    /// How often it is due.
    pub schedule_frequency: ScheduleFrequency,
    /// The day of a weekly one.
    pub schedule_week_day: Option<WeekDay>,
    /// Who gets it.
    pub recipient_emails: Vec<String>,
    /// When it was last due.
    pub last_scheduled_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Reference data, as its items are written and read.
pub(super) trait Resource: Sized {
    const KIND: ReferenceKind;

    fn to_item(&self) -> Item;

    fn from_item(read: &Reader<'_>, id: Uuid) -> Result<Self, StoreError>;
}

/// An item with its keys, those of the indexes too.
fn item(
    kind: ReferenceKind,
    id: impl Into<Uuid>,
    parent: Option<Uuid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
) -> Writer {
    let id = id.into();
    let place = CreatedId::new(created_at, id);
    Writer::default()
        .with("id", text(kind.key(id)))
        .with("kind", text(kind.name()))
        .with_some(
            "parent",
            parent.map(|parent| text(parent_key(kind, parent))),
        )
        .with("created_id", text(place.to_string()))
        .with("created_at", time(created_at))
        .with("updated_at", time(updated_at))
}

fn opt_text(read: &Reader<'_>, name: &'static str) -> Result<Option<String>, StoreError> {
    Ok(read.opt_text(name)?.map(str::to_owned))
}

/// The id that an item is stored under, as what it is the id of.
fn own_id<T: TryFrom<Uuid>>(read: &Reader<'_>, id: Uuid) -> Result<T, StoreError> {
    id.try_into().map_err(|_| read.corrupt("id"))
}

impl Resource for Client {
    const KIND: ReferenceKind = ReferenceKind::Client;

    fn to_item(&self) -> Item {
        item(Self::KIND, self.id, None, self.created_at, self.updated_at)
            .with("name", text(&self.name))
            .with_some("processed_message_ts", self.processed_message_ts.map(time))
            .finish()
    }

    fn from_item(read: &Reader<'_>, id: Uuid) -> Result<Self, StoreError> {
        Ok(Self {
            id: own_id(read, id)?,
            name: read.text("name")?.to_owned(),
            processed_message_ts: read.opt_time("processed_message_ts")?,
            created_at: read.time("created_at")?,
            updated_at: read.time("updated_at")?,
        })
    }
}

impl Resource for Program {
    const KIND: ReferenceKind = ReferenceKind::Program;

    fn to_item(&self) -> Item {
        let parent = Some(self.client_id.uuid());
        item(
            Self::KIND,
            self.id,
            parent,
            self.created_at,
            self.updated_at,
        )
        .with("client_id", uuid(self.client_id))
        .with("name", text(&self.name))
        .with("status", text(self.status.name()))
        .with_some("reply_to_email", self.reply_to_email.as_ref().map(text))
        .with_some("support_email", self.support_email.as_ref().map(text))
        .with_some("sender_email", self.sender_email.as_ref().map(text))
        .with_some("processed_message_ts", self.processed_message_ts.map(time))
        .finish()
    }

    fn from_item(read: &Reader<'_>, id: Uuid) -> Result<Self, StoreError> {
        Ok(Self {
            id: own_id(read, id)?,
            client_id: read.id("client_id")?,
            name: read.text("name")?.to_owned(),
            status: read.parsed("status")?,
            reply_to_email: opt_text(read, "reply_to_email")?,
            support_email: opt_text(read, "support_email")?,
            sender_email: opt_text(read, "sender_email")?,
            processed_message_ts: read.opt_time("processed_message_ts")?,
            created_at: read.time("created_at")?,
            updated_at: read.time("updated_at")?,
        })
    }
}

impl Resource for Seller {
    const KIND: ReferenceKind = ReferenceKind::Seller;

    fn to_item(&self) -> Item {
        let parent = Some(self.program_id.uuid());
        let alternate = self.alternate_seller_id.as_ref();
        item(
            Self::KIND,
            self.id,
            parent,
            self.created_at,
            self.updated_at,
        )
        .with("client_id", uuid(self.client_id))
        .with("program_id", uuid(self.program_id))
        .with_some("alternate_seller_id", alternate.map(|id| text(id.as_str())))
        .with("name", text(&self.name))
        .with_some("status", self.status.as_ref().map(text))
        .with_some("processed_message_ts", self.processed_message_ts.map(time))
        .finish()
    }

    fn from_item(read: &Reader<'_>, id: Uuid) -> Result<Self, StoreError> {
        Ok(Self {
            id: own_id(read, id)?,
            client_id: read.id("client_id")?,
            program_id: read.id("program_id")?,
            alternate_seller_id: read.opt_parsed("alternate_seller_id")?,
            name: read.text("name")?.to_owned(),
            status: opt_text(read, "status")?,
            processed_message_ts: read.opt_time("processed_message_ts")?,
            created_at: read.time("created_at")?,
            updated_at: read.time("updated_at")?,
        })
    }
}

impl Resource for Customer {
    const KIND: ReferenceKind = ReferenceKind::Customer;

    fn to_item(&self) -> Item {
        let parent = Some(self.program_id.uuid());
        item(
            Self::KIND,
            self.id,
            parent,
            self.created_at,
            self.updated_at,
        )
        .with("client_id", uuid(self.client_id))
        .with("program_id", uuid(self.program_id))
        .with_some("name", self.name.as_ref().map(text))
        .with_some("processed_message_ts", self.processed_message_ts.map(time))
        .finish()
    }

    fn from_item(read: &Reader<'_>, id: Uuid) -> Result<Self, StoreError> {
        Ok(Self {
            id: own_id(read, id)?,
            client_id: read.id("client_id")?,
            program_id: read.id("program_id")?,
            name: opt_text(read, "name")?,
            processed_message_ts: read.opt_time("processed_message_ts")?,
            created_at: read.time("created_at")?,
            updated_at: read.time("updated_at")?,
        })
    }
}

impl Resource for SellerContact {
    const KIND: ReferenceKind = ReferenceKind::SellerContact;

    fn to_item(&self) -> Item {
        let parent = Some(self.seller_id.uuid());
        item(
            Self::KIND,
            self.id,
            parent,
            self.created_at,
            self.updated_at,
        )
        .with("client_id", uuid(self.client_id))
        .with("program_id", uuid(self.program_id))
        .with("seller_id", uuid(self.seller_id))
        .with_some("name", self.name.as_ref().map(text))
        .with_some("email", self.email.as_ref().map(text))
        .with_some("country", self.country.as_ref().map(text))
        .with_some("state", self.state.as_ref().map(text))
        .with_some("city", self.city.as_ref().map(text))
        .with_some("street", self.street.as_ref().map(text))
        .with_some("post_code", self.post_code.as_ref().map(text))
        .with_some("processed_message_ts", self.processed_message_ts.map(time))
        .finish()
    }

    fn from_item(read: &Reader<'_>, id: Uuid) -> Result<Self, StoreError> {
        Ok(Self {
            id: own_id(read, id)?,
            client_id: read.id("client_id")?,
            program_id: read.id("program_id")?,
            seller_id: read.id("seller_id")?,
            name: opt_text(read, "name")?,
            email: opt_text(read, "email")?,
            country: opt_text(read, "country")?,
            state: opt_text(read, "state")?,
            city: opt_text(read, "city")?,
            street: opt_text(read, "street")?,
            post_code: opt_text(read, "post_code")?,
            processed_message_ts: read.opt_time("processed_message_ts")?,
            created_at: read.time("created_at")?,
            updated_at: read.time("updated_at")?,
        })
    }
}

impl Resource for ReportSchedule {
    const KIND: ReferenceKind = ReferenceKind::ReportSchedule;

    fn to_item(&self) -> Item {
        let parent = Some(self.program_id.uuid());
        let day = self.schedule_week_day;
        item(
            Self::KIND,
            self.id,
            parent,
            self.created_at,
            self.updated_at,
        )
        .with("client_id", uuid(self.client_id))
        .with("program_id", uuid(self.program_id))
        .with_some("seller_id", self.seller_id.map(uuid))
        .with("report_id", uuid(self.report_id))
        .with("report_scope", text(self.report_scope.name()))
        .with("schedule_tz", text(&self.schedule_tz))
        .with("schedule_frequency", text(self.schedule_frequency.name()))
        .with_some("schedule_week_day", day.map(|day| text(day.name())))
        .with("recipient_emails", texts(&self.recipient_emails))
        .with_some("last_scheduled_at", self.last_scheduled_at.map(time))
        .finish()
    }

    fn from_item(read: &Reader<'_>, id: Uuid) -> Result<Self, StoreError> {
        Ok(Self {
            id: own_id(read, id)?,
            client_id: read.id("client_id")?,
            program_id: read.id("program_id")?,
            seller_id: read.opt_id("seller_id")?,
            report_id: read.id("report_id")?,
            report_scope: read.parsed("report_scope")?,
            schedule_tz: read.text("schedule_tz")?.to_owned(),
            schedule_frequency: read.parsed("schedule_frequency")?,
            schedule_week_day: read.opt_parsed("schedule_week_day")?,
            recipient_emails: read.texts("recipient_emails")?,
            last_scheduled_at: read.opt_time("last_scheduled_at")?,
            created_at: read.time("created_at")?,
            updated_at: read.time("updated_at")?,
        })
    }
}
