//! What reference data is made of: closed lists, e-mail addresses, time zones.

mod email;
mod zone;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::UnknownName;
use crate::status::names;
pub use email::{EmailAddress, EmailError};
pub use zone::{ScheduleZone, ZoneError};

names!(
    /// Where a program stands.
    ProgramStatus {
        /// Known, not in use yet.
        Created,
        /// In use.
        Active,
        /// Not in use for now.
        Inactive,
        /// Ended.
        Terminated,
        /// Ended and put away.
        Archived,
    }
);

names!(
    /// Whose transactions a scheduled report is about.
    ReportScope {
        /// All of a client's program.
        Client,
        /// One seller's.
        Seller,
    }
);

names!(
    /// How often a scheduled report is due.
    ScheduleFrequency {
        /// Every day.
        Daily,
        /// Every week, on a day.
        Weekly,
        /// Every month, on its first day.
        Monthly,
    }
);

names!(
    /// A day of the week.
    WeekDay {
        /// The first, as the contract counts.
        Sunday,
        /// The second.
        Monday,
        /// The third.
        Tuesday,
        /// The fourth.
        Wednesday,
        /// The fifth.
        Thursday,
        /// The sixth.
        Friday,
        /// The last.
        Saturday,
    }
);

names!(
    /// Where a message that was kept stands.
    MessageStatus {
        /// Kept, not applied yet.
        Unprocessed,
        /// Applied, or known to change nothing.
        Processed,
        /// Could not be applied.
        Failed,
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_nothing_else_is() {
        fn holds<T: FromStr<Err = UnknownName> + fmt::Display + Copy + PartialEq + fmt::Debug>(
            all: &[T],
        ) {
            for value in all {
                assert_eq!(value.to_string().parse(), Ok(*value));
                let lower = value.to_string().to_lowercase();
                assert!(lower.parse::<T>().is_err(), "{lower}");
            }
        }
        holds(ProgramStatus::ALL);
        holds(ReportScope::ALL);
        holds(ScheduleFrequency::ALL);
        holds(WeekDay::ALL);
        holds(MessageStatus::ALL);
    }
}
