//! The body of a request that changes reference data, parsed once.

use serde_json::{Map, Value};
use uuid::Uuid;
use weir_domain::{
    AlternateSellerId, EmailAddress, ProgramStatus, ReportId, ScheduleFrequency, ScheduleZone,
    WeekDay,
};
use weir_store::ReferenceKind;

use super::schema::{CLIENT_BODY, CUSTOMER_BODY, PROGRAM_BODY, SCHEDULE_BODY, SELLER_BODY};
use crate::json;
use crate::schema::{BodyError, BodySchema, Checked, CheckedMembers, Violation};

/// What some reference data is to be, as its sender says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A client.
    Client(ClientBody),
    /// A program.
    Program(ProgramBody),
    /// A seller.
    Seller(SellerBody),
    /// A customer.
    Customer(CustomerBody),
    /// A report's schedule.
    ReportSchedule(ScheduleBody),
}

/// What a client is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientBody {
    /// Its name: 1 to 1 024 characters.
    pub name: String,
}

/// What a program is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramBody {
    /// Its name: 1 to 1 024 characters.
    pub name: String,
    /// Where it stands.
    pub status: ProgramStatus,
    /// Where answers to its mail go: at most 200 characters, as the others.
    pub reply_to_email: String,
    /// Where its people are helped.
    pub support_email: String,
    /// Where its mail comes from.
    pub sender_email: String,
}

/// What a seller is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SellerBody {
    /// The client's own id of it.
    pub alternate_seller_id: Option<AlternateSellerId>,
    /// Its name: 1 to 1 024 characters.
    pub name: String,
}

/// What a customer is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerBody {
    /// Its name: 1 to 1 024 characters.
    pub name: Option<String>,
}

/// What a report's schedule is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleBody {
    /// The report, one that there is.
    pub report_id: ReportId,
    /// The name of a time zone, as it was sent.
    pub schedule_tz: String,
    /// How often it is due; the report supports it.
    pub schedule_frequency: ScheduleFrequency,
    /// The day of a weekly one.
    pub schedule_week_day: Option<WeekDay>,
    /// Who gets it: at least one.
    pub recipient_emails: Vec<EmailAddress>,
}

/// A report that can be scheduled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulableReport {
    /// Its id.
    pub id: Uuid,
    /// How often it can be due.
    pub frequencies: Vec<ScheduleFrequency>,
}

impl Body {
    /// What the body of a kind holds; seller contacts have none.
    pub fn schema(kind: ReferenceKind) -> Option<&'static BodySchema> {
        match kind {
            ReferenceKind::Client => Some(&CLIENT_BODY),
            ReferenceKind::Program => Some(&PROGRAM_BODY),
            ReferenceKind::Seller => Some(&SELLER_BODY),
            ReferenceKind::Customer => Some(&CUSTOMER_BODY),
            ReferenceKind::ReportSchedule => Some(&SCHEDULE_BODY),
            ReferenceKind::SellerContact => None,
        }
    }

    /// Reads a body. `reports` are those that a schedule may name.
    ///
    /// # Errors
    /// The first stage that it fails, with everything that is wrong there.
    pub fn parse(
        kind: ReferenceKind,
        bytes: &[u8],
        reports: &[SchedulableReport],
    ) -> Result<Self, BodyError> {
        let members = json::object(bytes).map_err(BodyError::NotAnObject)?;
        Self::of(kind, &members, reports)
    }

    /// Takes an object for a body, as [`Body::parse`].
    pub fn of(
        kind: ReferenceKind,
        members: &Map<String, Value>,
        reports: &[SchedulableReport],
    ) -> Result<Self, BodyError> {
        let none = || BodyError::NotAnObject(format!("A {kind} takes no body."));
        let schema = Self::schema(kind).ok_or_else(none)?;
        let checked = schema.check(members).map_err(BodyError::Schema)?;
        // Whatever the schema requires is there, and of its type.
        let body = Self::typed(kind, Members(checked)).ok_or_else(none)?;
        match &body {
            Self::ReportSchedule(schedule) => {
                let problems = schedule.problems(reports);
                if problems.is_empty() {
                    Ok(body)
                } else {
                    Err(BodyError::Invalid(problems))
                }
            }
            _ => Ok(body),
        }
    }

    fn typed(kind: ReferenceKind, mut members: Members) -> Option<Self> {
        Some(match kind {
            ReferenceKind::Client => Self::Client(ClientBody {
                name: members.text("name")?,
            }),
            ReferenceKind::Program => Self::Program(ProgramBody {
                name: members.text("name")?,
                status: members.text("status")?.parse().ok()?,
                reply_to_email: members.text("reply_to_email")?,
                support_email: members.text("support_email")?,
                sender_email: members.text("sender_email")?,
            }),
            ReferenceKind::Seller => Self::Seller(SellerBody {
                alternate_seller_id: match members.text("alternate_seller_id") {
                    Some(text) => Some(text.parse().ok()?),
                    None => None,
                },
                name: members.text("name")?,
            }),
            ReferenceKind::Customer => Self::Customer(CustomerBody {
                name: members.text("name"),
            }),
            ReferenceKind::ReportSchedule => Self::ReportSchedule(ScheduleBody {
                report_id: members.id("report_id")?.try_into().ok()?,
                schedule_tz: members.text("schedule_tz")?,
                schedule_frequency: members.text("schedule_frequency")?.parse().ok()?,
                schedule_week_day: match members.text("schedule_week_day") {
                    Some(text) => Some(text.parse().ok()?),
                    None => None,
                },
                recipient_emails: members.emails("recipient_emails")?,
            }),
            ReferenceKind::SellerContact => return None,
        })
    }

    /// Of which kind it is the body.
    pub fn kind(&self) -> ReferenceKind {
        match self {
            Self::Client(_) => ReferenceKind::Client,
            Self::Program(_) => ReferenceKind::Program,
            Self::Seller(_) => ReferenceKind::Seller,
            Self::Customer(_) => ReferenceKind::Customer,
            Self::ReportSchedule(_) => ReferenceKind::ReportSchedule,
        }
    }
}

impl ScheduleBody {
    /// What of it cannot be, taken together.
    fn problems(&self, reports: &[SchedulableReport]) -> Vec<Violation> {
        let mut problems = Vec::new();
        let mut wrong = |name: &str, rule: String| {
            problems.push(Violation {
                place: format!("/{name}"),
                rule,
            });
        };
        let frequency = self.schedule_frequency;
        match reports.iter().find(|one| one.id == self.report_id.uuid()) {
            None => wrong("report_id", "must be a report that there is".to_owned()),
            Some(report) if !report.frequencies.contains(&frequency) => {
                let names: Vec<&str> = report.frequencies.iter().map(|one| one.name()).collect();
                wrong(
                    "schedule_frequency",
                    format!("this report can be due {}", names.join(", ")),
                );
            }
            Some(_) => {}
        }
        if let Err(error) = self.schedule_tz.parse::<ScheduleZone>() {
            wrong("schedule_tz", error.to_string());
        }
        match (frequency, self.schedule_week_day) {
            (ScheduleFrequency::Weekly, None) => {
                wrong("schedule_week_day", "is required for Weekly".to_owned());
            }
            (ScheduleFrequency::Daily | ScheduleFrequency::Monthly, Some(_)) => {
                wrong("schedule_week_day", "only Weekly has a day".to_owned());
            }
            _ => {}
        }
        problems
    }
}

/// Checked members, to be taken out by name.
struct Members(CheckedMembers);

impl Members {
    fn text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name)? {
            Checked::Text(text) => Some(text),
            _ => None,
        }
    }

    fn id(&mut self, name: &str) -> Option<Uuid> {
        match self.0.remove(name)? {
            Checked::Id(id) => Some(id),
            _ => None,
        }
    }

    fn emails(&mut self, name: &str) -> Option<Vec<EmailAddress>> {
        match self.0.remove(name)? {
            Checked::Emails(addresses) => Some(addresses),
            _ => None,
        }
    }
}
