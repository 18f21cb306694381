//! The words of Weir and the rules that bind them, free of I/O.
//!
//! Everything that reaches the rest of the system is parsed into one of these types first: a
//! [`DetailId`] cannot be a batch's id, an [`Amount`] is always whole minor units within bounds, a
//! status changes only along its transition table. What a type refuses is said on the type.

mod amount;
mod codes;
mod currency;
mod decimal;
mod ids;
mod permission;
mod reference;
mod request;
mod status;
mod text;
mod transaction;

pub use amount::{AMOUNT_MINOR_MAX, Amount, AmountError};
pub use codes::ErrorCode;
pub use currency::{Currency, CurrencyError};
pub use decimal::{Decimal, DecimalError};
pub use ids::{
    BATCH_ORDINAL_MAX, BatchId, BatchOrdinal, BuyerId, CALLS_PER_EVENT_MAX, CallNumber, ChargeId,
    ClientId, CustomerId, DetailId, EVENT_NUMBER_MAX, EventNumber, FileId, HistoryId, IdError,
    LINE_MAX, LineNumber, LogId, MessageId, ObjectIdentity, ProgramId, RefundId, ReportId,
    ReportScheduleId, SellerContactId, SellerId,
};
pub use permission::Permission;
pub use reference::{
    EmailAddress, EmailError, MessageStatus, ProgramStatus, ReportScope, ScheduleFrequency,
    ScheduleZone, WeekDay, ZoneError,
};
pub use request::{
    CONTROL_LINE_SKU, ChargeBody, MetadataEntry, RefundBody, RequestError, RequestLine,
    TransactionRequest,
};
pub use status::{
    AskedAction, BatchAction, BatchStatus, Counters, DetailEvent, DetailStatus, FileEvent,
    FileStatus, Refused, TransactionType, UnknownName,
};
pub use text::{
    AlternateSellerId, BatchNumber, FileReference, MetadataName, MetadataValue, OrderNumber,
    PoNumber, ShortText, TextError, VehicleText,
};
pub use transaction::{
    Address, Amounts, Charge, ChargeReference, Line, Metadata, Refund, RefundReason, ShipTo,
    Supplier, TaxDetail, Tracking, Transaction, UnknownReason, Vehicle,
};
