//! The statuses of a file, a batch and a detail, and every step between them.
//!
//! A step that is not in a table does not exist: [`DetailStatus::after`] refuses it, and no other
//! code decides what a status becomes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A step that the table does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {thing} that is {status} takes no {event}")]
pub struct Refused {
    /// What refused it: file or batch detail.
    pub thing: &'static str,
    /// Its status.
    pub status: &'static str,
    /// What was to happen.
    pub event: &'static str,
}

/// A text that is not one of the names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {names}")]
pub struct UnknownName {
    /// The names that exist, comma separated.
    pub names: String,
}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name as the API and the tables have it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|value| value.name() == text).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|value| value.name()).collect();
                    UnknownName { names: names.join(", ") }
                })
            }
        }
    };
}

pub(crate) use names;

names!(
    /// Where a file stands.
    FileStatus {
        /// Known, not yet read.
        Stored,
        /// Being checked, split or enqueued.
        Processing,
        /// Every detail is stored and on the queue.
        Processed,
        /// Not sound: nothing of it exists.
        Error,
    }
);

names!(
    /// Where a batch stands.
    BatchStatus {
        /// Some detail is Unprocessed or Retry.
        Unprocessed,
        /// No detail is open and none is in Error.
        Processed,
        /// No detail is open and some are in Error; or the batch could not be taken.
        Error,
    }
);

names!(
    /// Where a detail stands.
    DetailStatus {
        /// To be sent.
        Unprocessed,
        /// Failed for now; to be sent again.
        Retry,
        /// Settled at 3Rivers: final.
        Processed,
        /// Refused, or given up: for a person to mend.
        Error,
        /// Withdrawn: never sent.
        Cancelled,
    }
);

names!(
    /// What a transaction does.
    TransactionType {
        /// Takes money from the buyer.
        Charge,
        /// Gives money of an earlier charge back.
        Refund,
    }
);

names!(
    /// What can happen to a file.
    FileEvent {
        /// Reading begins, or begins again after a stop.
        Started,
        /// Everything is on the queue.
        Enqueued,
        /// The file was found not to be sound.
        Rejected,
    }
);

names!(
    /// What can happen to a detail.
    DetailEvent {
        /// 3Rivers made the charge or the refund.
        Accepted,
        /// 3Rivers refused it, or nobody can know what it did.
        Rejected,
        /// A failure that may pass, with attempts left.
        Failed,
        /// A failure that may pass, with no attempt left.
        Exhausted,
        /// A refund whose charge is not settled yet.
        Waited,
        /// A refund whose charge was not settled in time.
        WaitedTooLong,
        /// A caller withdrew it.
        Cancelled,
        /// A caller wants it sent again.
        Retried,
        /// A caller wrote a draft of another request.
        Drafted,
        /// A caller dropped the draft.
        DraftDropped,
        /// A caller made the draft the request.
        DraftConfirmed,
    }
);

names!(
    /// What can be done to a whole batch.
    BatchAction {
        /// Withdraw what is not on its way.
        Cancel,
        /// Send what is in Error again.
        Retry,
        /// Send what was withdrawn after all.
        Revive,
        /// Make the drafts the requests.
        ConfirmDrafts,
        /// Drop the drafts.
        CancelDrafts,
        /// Take a batch that could not be taken again, from its file.
        Retake,
    }
);

names!(
    /// What somebody can ask for, as its record names it.
    AskedAction {
        /// Withdraw details.
        Cancel,
        /// Send details in Error again; of named ones, those that are Cancelled too.
        Retry,
        /// Send all that was withdrawn after all.
        Revive,
        /// Make drafts the requests.
        ConfirmDrafts,
        /// Drop drafts.
        CancelDrafts,
        /// Take a batch again from its file.
        Retake,
        /// Write drafts, by a table of errors.
        WriteDrafts,
        /// Take a file that is sent, or make a place for one.
        UploadFile,
        /// Make a file that is a name.
        RegisterFile,
        /// Give a file another name.
        RenameFile,
    }
);

impl From<BatchAction> for AskedAction {
    fn from(action: BatchAction) -> Self {
        match action {
            BatchAction::Cancel => Self::Cancel,
            BatchAction::Retry => Self::Retry,
            BatchAction::Revive => Self::Revive,
            BatchAction::ConfirmDrafts => Self::ConfirmDrafts,
            BatchAction::CancelDrafts => Self::CancelDrafts,
            BatchAction::Retake => Self::Retake,
        }
    }
}

impl FileStatus {
    /// The status after an event, or a refusal when the table has no such step.
    pub fn after(self, event: FileEvent) -> Result<Self, Refused> {
        match (self, event) {
            (Self::Stored | Self::Processing, FileEvent::Started) => Ok(Self::Processing),
            (Self::Processing, FileEvent::Enqueued) => Ok(Self::Processed),
            (Self::Stored | Self::Processing, FileEvent::Rejected) => Ok(Self::Error),
            _ => Err(Refused {
                thing: "file",
                status: self.name(),
                event: event.name(),
            }),
        }
    }
}

impl DetailStatus {
    /// The status after an event, or a refusal when the table has no such step. Whether a call is
    /// under way, or a draft exists, is the caller's to check: the status does not know.
    pub fn after(self, event: DetailEvent) -> Result<Self, Refused> {
        use DetailEvent as On;
        match (self, event) {
            (Self::Unprocessed | Self::Retry, On::Accepted) => Ok(Self::Processed),
            (Self::Unprocessed | Self::Retry, On::Rejected | On::Exhausted | On::WaitedTooLong) => {
                Ok(Self::Error)
            }
            (Self::Unprocessed | Self::Retry, On::Failed) => Ok(Self::Retry),
            (Self::Unprocessed | Self::Retry | Self::Error, On::Cancelled) => Ok(Self::Cancelled),
            (Self::Error | Self::Cancelled, On::Retried | On::DraftConfirmed) => {
                Ok(Self::Unprocessed)
            }
            (Self::Unprocessed | Self::Retry, On::Waited)
            | (Self::Error | Self::Cancelled, On::Drafted | On::DraftDropped) => Ok(self),
            _ => Err(Refused {
                thing: "batch detail",
                status: self.name(),
                event: event.name(),
            }),
        }
    }

    /// Whether the detail is still to be sent.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Unprocessed | Self::Retry)
    }
}

/// How many details of a batch stand where. They always equal a recount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// All details.
    pub details: u64,
    /// Unprocessed or Retry.
    pub unprocessed: u64,
    /// In Error.
    pub error: u64,
    /// With a draft.
    pub draft: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl Counters {
    /// Counts one more detail.
    pub fn add(&mut self, status: DetailStatus, has_draft: bool) {
        self.details += 1;
        self.draft += u64::from(has_draft);
        match status {
            DetailStatus::Unprocessed | DetailStatus::Retry => self.unprocessed += 1,
            DetailStatus::Error => self.error += 1,
            DetailStatus::Cancelled => self.cancelled += 1,
            DetailStatus::Processed => {}
        }
    }
}

impl BatchStatus {
    /// The status that the counters of a taken batch give.
    pub fn of(counters: &Counters) -> Self {
        if counters.unprocessed > 0 {
            Self::Unprocessed
        } else if counters.error > 0 {
            Self::Error
        } else {
            Self::Processed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DetailEvent as On;
    use DetailStatus as Is;

    /// The whole table: everything that is not here is refused.
    const STEPS: &[(Is, On, Is)] = &[
        (Is::Unprocessed, On::Accepted, Is::Processed),
        (Is::Retry, On::Accepted, Is::Processed),
        (Is::Unprocessed, On::Rejected, Is::Error),
        (Is::Retry, On::Rejected, Is::Error),
        (Is::Unprocessed, On::Exhausted, Is::Error),
        (Is::Retry, On::Exhausted, Is::Error),
        (Is::Unprocessed, On::WaitedTooLong, Is::Error),
        (Is::Retry, On::WaitedTooLong, Is::Error),
        (Is::Unprocessed, On::Failed, Is::Retry),
        (Is::Retry, On::Failed, Is::Retry),
        (Is::Unprocessed, On::Waited, Is::Unprocessed),
        (Is::Retry, On::Waited, Is::Retry),
        (Is::Unprocessed, On::Cancelled, Is::Cancelled),
        (Is::Retry, On::Cancelled, Is::Cancelled),
        (Is::Error, On::Cancelled, Is::Cancelled),
        (Is::Error, On::Retried, Is::Unprocessed),
        (Is::Cancelled, On::Retried, Is::Unprocessed),
        (Is::Error, On::Drafted, Is::Error),
        (Is::Cancelled, On::Drafted, Is::Cancelled),
        (Is::Error, On::DraftDropped, Is::Error),
        (Is::Cancelled, On::DraftDropped, Is::Cancelled),
        (Is::Error, On::DraftConfirmed, Is::Unprocessed),
        (Is::Cancelled, On::DraftConfirmed, Is::Unprocessed),
    ];

    #[test]
    fn a_detail_takes_exactly_the_steps_of_the_table() {
        for status in Is::ALL {
            for event in On::ALL {
                let step = STEPS
                    .iter()
                    .find(|(from, on, _)| from == status && on == event);
                assert_eq!(
                    status.after(*event).ok(),
                    step.map(|(_, _, to)| *to),
                    "{status} {event}"
                );
            }
        }
    }

    #[test]
    fn a_settled_detail_never_changes() {
        for event in On::ALL {
            assert!(Is::Processed.after(*event).is_err(), "{event}");
        }
    }

    #[test]
    fn a_cancelled_detail_is_not_sent_before_a_caller_wants_it() {
        for event in [
            On::Accepted,
            On::Rejected,
            On::Failed,
            On::Exhausted,
            On::Waited,
        ] {
            assert!(Is::Cancelled.after(event).is_err(), "{event}");
        }
    }

    #[test]
    fn a_file_takes_exactly_the_steps_of_the_table() {
        let steps = [
            (
                FileStatus::Stored,
                FileEvent::Started,
                FileStatus::Processing,
            ),
            (
                FileStatus::Processing,
                FileEvent::Started,
                FileStatus::Processing,
            ),
            (
                FileStatus::Processing,
                FileEvent::Enqueued,
                FileStatus::Processed,
            ),
            (FileStatus::Stored, FileEvent::Rejected, FileStatus::Error),
            (
                FileStatus::Processing,
                FileEvent::Rejected,
                FileStatus::Error,
            ),
        ];
        for status in FileStatus::ALL {
            for event in FileEvent::ALL {
                let step = steps
                    .iter()
                    .find(|(from, on, _)| from == status && on == event);
                assert_eq!(
                    status.after(*event).ok(),
                    step.map(|(_, _, to)| *to),
                    "{status} {event}"
                );
            }
        }
    }

    #[test]
    fn a_batch_is_processed_when_nothing_is_open_and_nothing_is_in_error() {
        let of = |statuses: &[Is]| {
            let mut counters = Counters::default();
            for status in statuses {
                counters.add(*status, false);
            }
            BatchStatus::of(&counters)
        };
        assert_eq!(of(&[Is::Processed, Is::Cancelled]), BatchStatus::Processed);
        assert_eq!(of(&[Is::Processed, Is::Error]), BatchStatus::Error);
        assert_eq!(of(&[Is::Retry, Is::Error]), BatchStatus::Unprocessed);
        assert_eq!(of(&[Is::Unprocessed]), BatchStatus::Unprocessed);
    }

    #[test]
    fn names_read_back_and_others_are_refused_with_the_list() {
        for status in Is::ALL {
            assert_eq!(status.name().parse::<Is>().as_ref(), Ok(status));
        }
        let refused = "processed".parse::<FileStatus>().unwrap_err().to_string();
        assert_eq!(
            refused,
            "must be one of Stored, Processing, Processed, Error"
        );
    }
}
