//! The two reports that there are.

use chrono::DateTime;
use uuid::Uuid;
use weir_store::CreatedId;

use crate::schema::{Field, Parameter, Resource, Rule, text};
use crate::{Row, Value};

/// How often a schedule may be due.
pub(crate) const FREQUENCIES: &[&str] = &["Daily", "Weekly", "Monthly"];
/// The moment from which both exist: 2026-01-01, in milliseconds since 1970.
const CREATED_MS: i64 = 1_767_225_600_000;

/// A report: an answer to `/v1/reports`.
pub static REPORT: Resource = Resource {
    name: "report",
    is_in_order_of_creation: true,
    fields: &[
        Field::id("id", "The report"),
        Field::text("name", "What it is called"),
        Field::several(
            "supported_schedule_frequencies",
            FREQUENCIES,
            "How often it can be scheduled",
        ),
        Field::time("created_at", "Since when there is such a report"),
        Field::time("updated_at", "The same"),
    ],
    parameters: &[
        Parameter::by("id", Rule::Id),
        Parameter::of("report_id", "id", Rule::Id),
        Parameter::by("name", text(1_024)),
        Parameter::by("supported_schedule_frequencies", Rule::SomeOf(FREQUENCIES)),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

/// A report. There are two, and their ids never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Every detail with what became of it.
    TransactionProcessing,
    /// The details that were rejected, or are in error.
    TransactionRejection,
}

impl Report {
    /// Both.
    pub const ALL: [Self; 2] = [Self::TransactionProcessing, Self::TransactionRejection];

    /// Its id.
    pub fn id(self) -> Uuid {
        Uuid::from_u128(match self {
            Self::TransactionProcessing => 0x0197_51b0_0000_7000_8000_0000_0000_0001,
            Self::TransactionRejection => 0x0197_51b0_0000_7000_8000_0000_0000_0002,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::TransactionProcessing => "Transaction Processing Report",
            Self::TransactionRejection => "Transaction Rejection Report",
        }
    }
}

impl Row for Report {
    fn value(&self, field: &str) -> Value<'_> {
        match field {
            "id" => Value::Id(self.id()),
            "name" => Value::text(self.name()),
            "supported_schedule_frequencies" => {
                let words = FREQUENCIES.iter().map(|word| (*word).to_owned());
                Value::Texts(words.collect::<Vec<_>>().into())
            }
            "created_at" | "updated_at" => {
                Value::opt_time(DateTime::from_timestamp_millis(CREATED_MS))
            }
            _ => Value::Absent,
        }
    }

    fn position(&self) -> CreatedId {
        CreatedId {
            created_ms: CREATED_MS,
            id: self.id(),
        }
    }
}
