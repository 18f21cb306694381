//! Things to keep, complete but for what a test is about.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::{
    BatchOrdinal, BatchStatus, Counters, DetailStatus, FileId, FileStatus, LineNumber,
    MessageStatus, ObjectIdentity, ProgramStatus, ReportScope, ScheduleFrequency, TransactionType,
    WeekDay,
};
use weir_store::{
    Batch, Client, Customer, Detail, File, FileContent, Message, Program, ReportSchedule, Seller,
    SellerContact, Stage,
};

/// An id of any kind that is a plain UUID.
pub(crate) fn id<T: TryFrom<Uuid>>(number: u128) -> T {
    let uuid = Uuid::from_u128(0x5000_0000_0000_4000_8000_0000_0000_0000 + number);
    uuid.try_into().unwrap_or_else(|_| panic!("{uuid}"))
}

/// A time in November 2026, so many milliseconds later.
pub(crate) fn at(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_793_500_000_000 + millis).unwrap()
}

pub(crate) fn file_id(number: u32) -> FileId {
    FileId::of_object(&ObjectIdentity::new("b", format!("{number}.xml"), "e"))
}

pub(crate) fn line(number: u32) -> LineNumber {
    LineNumber::new(number).unwrap()
}

pub(crate) fn file(number: u32) -> File {
    File {
        id: file_id(number),
        version: 1,
        content: FileContent::Object(ObjectIdentity::new("b", format!("{number}.xml"), "e")),
        name: format!("{number}.xml"),
        client_id: Some(id(1)),
        program_id: Some(id(1)),
        seller_id: None,
        correlation_id: "c".to_owned(),
        status: FileStatus::Processed,
        stage: Stage::Done,
        checkpoint: None,
        lease_until: None,
        retry_count: 0,
        stalled_count: 0,
        batch_count: 1,
        detail_count: 1,
        repeated_numbers: Vec::new(),
        error_log: None,
        error_at: None,
        processed_at: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub(crate) fn batch(file: u32, ordinal: u32) -> Batch {
    Batch {
        id: file_id(file).batch(BatchOrdinal::new(ordinal).unwrap()),
        client_id: id(1),
        program_id: id(1),
        seller_id: Some(id(1)),
        seller_name: Some("Northwind Parts".to_owned()),
        batch_number: format!("B-{ordinal}"),
        currency: None,
        header_xml: "<BatchHeader/>".to_owned(),
        byte_start: 0,
        byte_end: 100,
        shards: 1,
        counters: Counters::default(),
        status: BatchStatus::Processed,
        correlation_id: "c".to_owned(),
        error_log: None,
        error_at: None,
        processed_at: None,
        created_at: at(0),
        updated_at: at(0),
        user_updated_at: None,
        user_updated_by: None,
        task: None,
        last_task: None,
    }
}

pub(crate) fn detail(batch: &Batch, number: u32) -> Detail {
    Detail {
        id: batch.id.detail(line(number)),
        version: 1,
        status: DetailStatus::Unprocessed,
        transaction_type: TransactionType::Charge,
        order_number: Some(format!("SO-{number}")),
        po_number: None,
        amount: None,
        currency: None,
        buyer_id: None,
        customer_id: None,
        vehicle_odometer: None,
        vehicle_identification_number: None,
        vehicle_unit_number: None,
        charge_id: None,
        refund_id: None,
        request_version: 1,
        events: 0,
        answered_in: None,
        retry_count: 0,
        draft_version: None,
        payload_versions: 1,
        waiting_since: None,
        next_attempt_at: None,
        lease_until: None,
        attempted_at: None,
        created_at: batch.created_at,
        updated_at: batch.created_at,
        processed_at: None,
        error_code: None,
        error_description: None,
        error_at: None,
        user_updated_at: None,
        user_updated_by: None,
        changed_in: None,
    }
}

pub(crate) fn client(number: u128) -> Client {
    Client {
        id: id(number),
        name: "Adventure Works".to_owned(),
        processed_message_ts: Some(at(1)),
        created_at: at(2),
        updated_at: at(3),
    }
}

pub(crate) fn program(number: u128) -> Program {
    Program {
        id: id(number),
        client_id: id(1),
        name: "Adventure Works Fleet".to_owned(),
        status: ProgramStatus::Terminated,
        reply_to_email: Some("пошта@example.com".to_owned()),
        support_email: Some("help@example.com".to_owned()),
        sender_email: Some("reports@example.com".to_owned()),
        processed_message_ts: Some(at(1)),
        created_at: at(2),
        updated_at: at(3),
    }
}

pub(crate) fn seller(number: u128) -> Seller {
    Seller {
        id: id(number),
        client_id: id(1),
        program_id: id(2),
        alternate_seller_id: Some(format!("NW-{number}").parse().unwrap()),
        name: "Northwind Parts".to_owned(),
        status: Some("Active".to_owned()),
        processed_message_ts: Some(at(1)),
        created_at: at(2),
        updated_at: at(3),
    }
}

pub(crate) fn customer(number: u128) -> Customer {
    Customer {
        id: id(number),
        client_id: id(1),
        program_id: id(2),
        name: Some("Fabrikam Fleet".to_owned()),
        processed_message_ts: Some(at(1)),
        created_at: at(2),
        updated_at: at(3),
    }
}

pub(crate) fn contact(number: u128) -> SellerContact {
    let some = |text: &str| Some(text.to_owned());
    SellerContact {
        id: id(number),
        client_id: id(1),
        program_id: id(2),
        seller_id: id(3),
        name: some("Ada"),
        email: some("ada@example.com"),
        country: some("US"),
        state: some("KS"),
        city: some("Lenexa"),
        street: some("1 Main Street"),
        post_code: some("66219"),
        processed_message_ts: Some(at(1)),
        created_at: at(2),
        updated_at: at(3),
    }
}

pub(crate) fn schedule(number: u128) -> ReportSchedule {
    ReportSchedule {
        id: id(number),
        client_id: id(1),
        program_id: id(2),
        seller_id: Some(id(3)),
        report_id: id(4),
        report_scope: ReportScope::Seller,
        schedule_tz: "Europe/Kyiv".to_owned(),
        schedule_frequency: ScheduleFrequency::Weekly,
        schedule_week_day: Some(WeekDay::Tuesday),
        recipient_emails: vec!["a@example.com".to_owned(), "б@example.com".to_owned()],
        last_scheduled_at: Some(at(1)),
        created_at: at(2),
        updated_at: at(3),
    }
}

pub(crate) fn message(number: u128) -> Message {
    let some = |text: &str| Some(text.to_owned());
    Message {
        id: id(number),
        correlation_id: "c".to_owned(),
        queue_url: "https://queue.example.com/messages".to_owned(),
        group_id: some("g"),
        subject: some("seller.updated"),
        body: r#"{"type":"seller.updated"}"#.to_owned(),
        attributes: some(r#"{"SenderId":"x"}"#),
        status: MessageStatus::Failed,
        error_log: some("no such program"),
        failure_count: 2,
        failed_at: Some(at(1)),
        processed_at: Some(at(2)),
        created_at: at(3),
        updated_at: at(4),
    }
}
