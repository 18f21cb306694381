//! The two reports that there are.

use chrono::DateTime;
use uuid::Uuid;
use weir_store::{CreatedId, Direction};

use crate::budget::Budget;
use crate::engine::{self, Answer, Collection, Source};
use crate::list::{Ask, Listed};
use crate::parse::Query;
use crate::schema::{Field, Parameter, Resource, Rule, text};
use crate::{QueryError, Row, Value};

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

/// The two reports, which everybody may see.
#[derive(Debug)]
pub struct Reports;

/// Both, one after the other.
struct ReportSource(Vec<Report>);

impl Source for ReportSource {
    type Row = Report;

    async fn next(&mut self, _: usize) -> Result<Vec<Report>, QueryError> {
        Ok(std::mem::take(&mut self.0))
    }

    async fn pass(&mut self, _: u64) -> Result<u64, QueryError> {
        Ok(0)
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

/// The collection of both.
struct BothReports;

impl Collection for BothReports {
    type Row = Report;
    type Source = ReportSource;

    fn resource(&self) -> &'static Resource {
        &REPORT
    }

    async fn open(
        &self,
        direction: Direction,
        after: Option<CreatedId>,
    ) -> Result<ReportSource, QueryError> {
        let mut reports = Report::ALL.to_vec();
        reports.sort_unstable_by_key(Row::position);
        if direction == Direction::Backward {
            reports.reverse();
            reports.retain(|report| after.is_none_or(|after| report.position() < after));
        } else {
            reports.retain(|report| after.is_none_or(|after| report.position() > after));
        }
        Ok(ReportSource(reports))
    }

    async fn load(&self, _: &mut [Report]) -> Result<(), QueryError> {
        Ok(())
    }

    async fn fetch(&self, positions: &[CreatedId]) -> Result<Vec<Report>, QueryError> {
        let report = |position: &CreatedId| {
            let mut reports = Report::ALL.into_iter();
            reports.find(|report| report.id() == position.id)
        };
        Ok(positions.iter().filter_map(report).collect())
    }
}

impl Listed for Reports {
    type Row = Report;
    const RESOURCE: &'static Resource = &REPORT;

    async fn list(ask: &Ask, query: &Query) -> Result<Answer<Report>, QueryError> {
        let budget = Budget::new(ask.limits, &[], &query.filters);
        engine::answer(&BothReports, query, &budget).await
    }

    async fn get(_: &Ask, id: Uuid) -> Result<Option<Report>, QueryError> {
        Ok(Report::ALL.into_iter().find(|report| report.id() == id))
    }
}
