//! What a reader hands out, in file order.

use std::ops::Range;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use weir_domain::{
    AlternateSellerId, Amount, BatchNumber, BatchOrdinal, BuyerId, Currency, CustomerId,
    FileReference, LineNumber, OrderNumber, PoNumber, SellerId, Transaction, TransactionType,
    Vehicle,
};

use crate::record::facts_of;
use crate::{FileProblem, Position, RecordProblem};

/// The next thing in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The file's header, wherever it stands; at most once.
    FileHeader(Box<FileHeader>),
    /// A batch whose header is sound; before all of its records.
    BatchStart(Box<BatchHeader>),
    /// A charge or refund, sound or not.
    Record(Box<Record>),
    /// The end of a batch, also of one whose header is not sound.
    BatchEnd(Box<BatchSummary>),
    /// A broken rule of the file after which reading goes on. One is enough to refuse the file.
    Problem(Box<FileProblem>),
    /// The end of a file that was not cut off; always the last item, and the only sign that the
    /// file is whole.
    End(FileSummary),
}

/// A value together with where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated<T> {
    /// The value.
    pub value: T,
    /// Where its element begins.
    pub position: Position,
}

/// What `FileHeader` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHeader {
    /// The uploader's name for the file.
    pub reference: Option<FileReference>,
    /// When the file was made.
    pub created_at: Option<DateTime<Utc>>,
    /// Control: how many batches the file holds.
    pub batch_count: Option<Stated<u64>>,
    /// Control: how many charges and refunds the file holds.
    pub transaction_count: Option<Stated<u64>>,
}

/// How a batch names its seller.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SellerReference {
    /// By the platform's id.
    Id(SellerId),
    /// By the client's own id.
    Alternate(AlternateSellerId),
}

/// What `BatchHeader` holds, and where the batch is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHeader {
    /// The batch's place in the file.
    pub ordinal: BatchOrdinal,
    /// The seller's number for the batch.
    pub number: BatchNumber,
    /// Whose batch it is.
    pub seller: SellerReference,
    /// The currency of the transactions that name none.
    pub currency: Option<Currency>,
    /// Control: how many charges and refunds the batch holds.
    pub transaction_count: Option<Stated<u64>>,
    /// Control: the sum of its charges in major units, as written.
    pub charge_total: Option<Stated<String>>,
    /// Control: the sum of its refunds in major units, as written.
    pub refund_total: Option<Stated<String>>,
    /// Where `<Batch` begins.
    pub start: Position,
    /// The source text of `BatchHeader`; none when the reader was told not to keep it.
    pub xml: Option<String>,
}

/// A charge or refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The ordinal of its batch.
    pub batch: BatchOrdinal,
    /// Its place among the charges and refunds of its batch, from 1.
    pub line: LineNumber,
    /// Where it begins.
    pub position: Position,
    /// Its bytes in the file as uploaded, from `<` to the byte after `>`.
    pub byte_range: Range<u64>,
    /// Its source text, unknown elements included, in UTF-8; none when the reader was told not to
    /// keep it. Prefixes that it uses may be declared outside of it.
    pub xml: Option<String>,
    /// The transaction, or what is wrong with it.
    pub transaction: Result<Transaction, Box<Rejected>>,
}

impl Record {
    /// Charge or refund.
    pub fn transaction_type(&self) -> TransactionType {
        match &self.transaction {
            Ok(transaction) => transaction.transaction_type(),
            Err(rejected) => rejected.facts.transaction_type,
        }
    }

    /// What can be read of the record, sound or not.
    pub fn facts(&self) -> RecordFacts {
        match &self.transaction {
            Ok(transaction) => facts_of(transaction),
            Err(rejected) => rejected.facts.clone(),
        }
    }
}

/// A record that is in error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// What can be read of it.
    pub facts: RecordFacts,
    /// What is wrong with it, in file order, at most [`PROBLEMS_PER_RECORD_MAX`]: the first one
    /// gives the detail its code. Empty only in a batch whose header is broken, and so in a file
    /// that is refused: without the batch's currency the amounts cannot be judged.
    pub problems: Vec<RecordProblem>,
}

impl Rejected {
    pub(crate) fn new(
        transaction_type: TransactionType,
        facts: Option<RecordFacts>,
        problems: Vec<RecordProblem>,
    ) -> Self {
        let facts = facts.unwrap_or(RecordFacts {
            transaction_type,
            order_number: None,
            po_number: None,
            customer_id: None,
            buyer_id: None,
            currency: None,
            amount: None,
            vehicle: None,
        });
        Self { facts, problems }
    }
}

/// Most problems that are kept of one record; the rest would only repeat the picture.
pub const PROBLEMS_PER_RECORD_MAX: usize = 100;

/// What can be read of a record even when it is in error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFacts {
    /// Charge or refund.
    pub transaction_type: TransactionType,
    /// The order's number.
    pub order_number: Option<OrderNumber>,
    /// The purchase order's number.
    pub po_number: Option<PoNumber>,
    /// The customer.
    pub customer_id: Option<CustomerId>,
    /// The buyer.
    pub buyer_id: Option<BuyerId>,
    /// The currency: its own, else its batch's.
    pub currency: Option<Currency>,
    /// The total.
    pub amount: Option<Amount>,
    /// The vehicle, with those of its texts that can be read.
    pub vehicle: Option<Vehicle>,
}

/// What a control total came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TotalCheck {
    /// The header states none.
    NotStated,
    /// It is right.
    Matched,
    /// It is not; there is a file problem that says so.
    Mismatched,
    /// It cannot be told: an amount of the batch cannot be read, or is in another currency.
    NotCheckable,
}

/// What a batch held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchSummary {
    /// The batch's place in the file.
    pub ordinal: BatchOrdinal,
    /// Charges and refunds, sound or not.
    pub records: u32,
    /// Charges.
    pub charges: u32,
    /// Refunds.
    pub refunds: u32,
    /// How many of them are in error.
    pub errors: u32,
    /// The currency that all its amounts are in, when there is one and all can be read.
    pub currency: Option<Currency>,
    /// The sum of its charges in minor units, when `currency` is there.
    pub charge_total: Option<Total>,
    /// The sum of its refunds, likewise.
    pub refund_total: Option<Total>,
    /// What `ChargeTotal` came to.
    pub charge_total_check: TotalCheck,
    /// What `RefundTotal` came to.
    pub refund_total_check: TotalCheck,
    /// Its bytes in the file as uploaded, from `<Batch` to the byte after `</Batch>`.
    pub byte_range: Range<u64>,
}

/// What a whole file held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSummary {
    /// Batches.
    pub batches: u32,
    /// Charges and refunds, sound or not.
    pub records: u64,
    /// How many of them are in error.
    pub errors: u64,
    /// Broken rules of the file itself: more than none means that nothing of it may be taken.
    pub problems: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A sum of amounts in minor units. A batch of the largest amounts passes 64 bits, so it is wider,
/// and a text in JSON.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Total(i128);

impl Total {
    /// The number of minor units.
    pub fn minor(self) -> i128 {
        self.0
    }

    pub(crate) fn of_minor(minor: i128) -> Self {
        Self(minor)
    }

    /// With one amount more. Cannot overflow: a batch has at most a million amounts of 50 bits.
    #[must_use]
    pub fn plus(self, amount: Amount) -> Self {
        Self(self.0.saturating_add(i128::from(amount.minor())))
    }

    /// Reads a sum in major units exactly, as [`Amount::parse`] does, but up to 27 digits.
    pub(crate) fn parse(text: &str, currency: Currency) -> Option<Self> {
        const WHOLE_DIGITS_MAX: usize = 24;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let decimals = usize::from(currency.decimals());
        let digits_only = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let dangling = text.ends_with('.');
        if whole.is_empty() || dangling || !digits_only(whole) || !digits_only(fraction) {
            return None;
        }
        if whole.len() > WHOLE_DIGITS_MAX || fraction.len() > decimals {
            return None;
        }
        format!("{whole}{fraction:0<decimals$}")
            .parse()
            .ok()
            .map(Self)
    }

    /// The sum in major units with all decimals of the currency, such as `115.50`.
    pub fn in_major(self, currency: Currency) -> String {
        let decimals = usize::from(currency.decimals());
        let digits = format!("{:0>width$}", self.0.unsigned_abs(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{whole}{point}{fraction}")
    }
}

impl TryFrom<String> for Total {
    type Error = std::num::ParseIntError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<Total> for String {
    fn from(total: Total) -> String {
        total.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_may_be_wider_than_an_amount() {
        let read =
            |text: &str, code: &str| Total::parse(text, code.parse().unwrap()).map(Total::minor);
        assert_eq!(read("115.5", "USD"), Some(11_550));
        assert_eq!(read("7", "JPY"), Some(7));
        let widest = 900_000_000_000_000_i128 * 1_000_000;
        assert_eq!(read("9000000000000000000.00", "USD"), Some(widest));
        assert_eq!(read(&"9".repeat(24), "KWD").map(|t| t % 1000), Some(0));
        for text in ["", ".5", "5.", "-1", "1,0", "1.005", &"9".repeat(25)] {
            assert_eq!(read(text, "USD"), None, "{text}");
        }
    }

    #[test]
    fn a_total_is_written_with_the_decimals_of_its_currency() {
        let usd = "USD".parse().unwrap();
        assert_eq!(Total(5).in_major(usd), "0.05");
        assert_eq!(Total(11_550).in_major(usd), "115.50");
        assert_eq!(Total(7).in_major("JPY".parse().unwrap()), "7");
    }
}
