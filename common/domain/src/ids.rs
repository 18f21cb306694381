//! Identifiers that say where a thing lives.
//!
//! File, batch, detail, history and log ids are derived: the same object bytes under the same name
//! give the same ids on every run, so a repeated split writes the same items again instead of
//! others beside them. They are UUIDs of version 8 (RFC 9562) whose 122 free bits are laid out as
//!
//! ```text
//! 64 bits  the file: head of SHA-256 over bucket, key and ETag
//! 14 bits  the batch's ordinal in the file, from 1    (0: the file itself)
//! 20 bits  the detail's line in the batch, from 1     (0: the batch itself)
//!  4 bits  what is meant: 0 the detail, 1 history, 2 log
//! 20 bits  which one: the event's number; a log adds the call's number in its last 4 bits
//! ```
//!
//! So a detail's batch and file, and a record's detail, are known from the id alone, without an
//! index and without a read. The hash is as long as the layout allows: among ten million files the
//! chance of one clash is about 3 in a million, and a clash is caught, because a file's item keeps
//! the object's whole identity and is refused when it differs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Most batches a file may hold (format limit).
pub const BATCH_ORDINAL_MAX: u16 = 10_000;
/// Most transactions a batch may hold (format limit).
pub const LINE_MAX: u32 = 1_000_000;
/// Most changes a detail can go through; 16 bits of the id.
pub const EVENT_NUMBER_MAX: u32 = 0xFFFF;
/// Most calls that one event can tell of; 4 bits of the id.
pub const CALLS_PER_EVENT_MAX: u8 = 16;

const KIND_DETAIL: u64 = 0;
const KIND_HISTORY: u64 = 1;
const KIND_LOG: u64 = 2;

/// Why a value is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a UUID at all.
    #[error("is not a UUID")]
    NotAUuid,
    /// A UUID, but not one that names this kind of thing.
    #[error("is not the id of a {0}")]
    OtherKind(&'static str),
    /// A number outside the range that ids can hold.
    #[error("{what} must be from {min} to {max}")]
    OutOfRange {
        /// What was numbered.
        what: &'static str,
        /// Least allowed value.
        min: u32,
        /// Greatest allowed value.
        max: u32,
    },
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $what:literal, $min:expr, $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u32", into = "u32")]
        pub struct $name($inner);

        impl $name {
            /// The first.
            pub const FIRST: Self = Self($min);
            /// The last.
            pub const LAST: Self = Self($max as $inner);

            /// Takes the number when it lies within the bounds above.
            pub fn new(value: u32) -> Result<Self, IdError> {
                let out = || IdError::OutOfRange { what: $what, min: $min, max: u32::from($max) };
                if !($min..=u32::from($max)).contains(&value) {
                    return Err(out());
                }
                <$inner>::try_from(value).map(Self).map_err(|_| out())
            }

            /// The number.
            pub fn get(self) -> u32 {
                u32::from(self.0)
            }
        }

        impl TryFrom<u32> for $name {
            type Error = IdError;
            fn try_from(value: u32) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl From<$name> for u32 {
            fn from(value: $name) -> u32 {
                value.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A batch's place in its file: 1 to 10 000.
    BatchOrdinal, u16, "a batch's ordinal", 1, BATCH_ORDINAL_MAX
);
number!(
    /// A detail's place in its batch: 1 to 1 000 000.
    LineNumber, u32, "a detail's line", 1, LINE_MAX
);
number!(
    /// The number of a change of a detail: 1 to 65 535.
    EventNumber, u32, "an event's number", 1, EVENT_NUMBER_MAX
);
number!(
    /// The place of a call to 3Rivers within its event: 0 to 15.
    CallNumber, u8, "a call's number", 0, CALLS_PER_EVENT_MAX - 1
);

/// What makes an uploaded object the same or another: where it lies and which bytes it has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectIdentity {
    /// Bucket name.
    pub bucket: String,
    /// Object key, decoded.
    pub key: String,
    /// Entity tag without its quotes; S3 changes it when the bytes change.
    pub etag: String,
}

impl ObjectIdentity {
    /// Builds an identity; surrounding quotes of the entity tag are dropped.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>, etag: &str) -> Self {
        Self {
            bucket: bucket.into(),
            key: key.into(),
            etag: etag.trim_matches('"').to_owned(),
        }
    }

    fn head_of_hash(&self) -> u64 {
        let mut hash = Sha256::new();
        // Each part is preceded by its length, so that no two identities run together alike.
        for part in [&self.bucket, &self.key, &self.etag] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize()
            .iter()
            .take(8)
            .fold(0, |head, byte| head << 8 | u64::from(*byte))
    }
}

/// The fields of a derived id, before and after they are laid out as a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    file: u64,
    batch: u64,
    line: u64,
    kind: u64,
    number: u64,
}

impl Parts {
    fn to_uuid(self) -> Uuid {
        let high = (self.file >> 16 & 0xFFFF_FFFF_FFFF) << 16 | 0x8000 | (self.file >> 4 & 0xFFF);
        let low = 0b10 << 62
            | (self.file & 0xF) << 58
            | self.batch << 44
            | self.line << 24
            | self.kind << 20
            | self.number;
        Uuid::from_u64_pair(high, low)
    }

    /// The parts of a UUID that is known to be laid out so.
    fn decode(uuid: Uuid) -> Self {
        let (high, low) = uuid.as_u64_pair();
        Self {
            file: (high >> 16) << 16 | (high & 0xFFF) << 4 | (low >> 58 & 0xF),
            batch: low >> 44 & 0x3FFF,
            line: low >> 24 & 0xF_FFFF,
            kind: low >> 20 & 0xF,
            number: low & 0xF_FFFF,
        }
    }

    fn of(uuid: Uuid) -> Option<Self> {
        let (high, low) = uuid.as_u64_pair();
        (high >> 12 & 0xF == 8 && low >> 62 == 0b10).then(|| Self::decode(uuid))
    }

    fn batch_ordinal(self) -> Option<BatchOrdinal> {
        u32::try_from(self.batch)
            .ok()
            .and_then(|n| BatchOrdinal::new(n).ok())
    }

    fn line_number(self) -> Option<LineNumber> {
        u32::try_from(self.line)
            .ok()
            .and_then(|n| LineNumber::new(n).ok())
    }

    fn names_a_detail(self) -> bool {
        self.batch_ordinal().is_some() && self.line_number().is_some()
    }
}

macro_rules! uuid_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "Uuid", into = "Uuid")]
        pub struct $name(Uuid);

        impl $name {
            /// The id as a plain UUID.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl TryFrom<Uuid> for $name {
            type Error = IdError;
            fn try_from(uuid: Uuid) -> Result<Self, IdError> {
                let valid: fn(Uuid) -> bool = $valid;
                if valid(uuid) { Ok(Self(uuid)) } else { Err(IdError::OtherKind($what)) }
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Uuid {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            /// Reads the hyphenated form; upper case is taken too.
            fn from_str(text: &str) -> Result<Self, IdError> {
                if text.len() != 36 {
                    return Err(IdError::NotAUuid);
                }
                Uuid::try_parse(text).map_err(|_| IdError::NotAUuid)?.try_into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

uuid_type!(
    /// A settlement file.
    FileId, "file",
    |uuid| Parts::of(uuid).is_some_and(|p| p.batch == 0 && p.line == 0 && p.kind == 0 && p.number == 0)
);
uuid_type!(
    /// A batch of a file.
    BatchId, "batch",
    |uuid| Parts::of(uuid).is_some_and(|p| {
        p.batch_ordinal().is_some() && p.line == 0 && p.kind == 0 && p.number == 0
    })
);
uuid_type!(
    /// A charge or refund of a batch.
    DetailId, "batch detail",
    |uuid| Parts::of(uuid)
        .is_some_and(|p| p.names_a_detail() && p.kind == KIND_DETAIL && p.number == 0)
);
uuid_type!(
    /// A history record: a detail as one event left it.
    HistoryId, "batch detail history record",
    |uuid| Parts::of(uuid).is_some_and(|p| {
        p.names_a_detail() && p.kind == KIND_HISTORY && (1..=u64::from(EVENT_NUMBER_MAX)).contains(&p.number)
    })
);
uuid_type!(
    /// A log record: one call to 3Rivers.
    LogId, "batch detail log record",
    |uuid| Parts::of(uuid)
        .is_some_and(|p| p.names_a_detail() && p.kind == KIND_LOG && p.number >> 4 != 0)
);
uuid_type!(
    /// A seller, as 3Rivers knows it.
    SellerId, "seller", |_| true
);
uuid_type!(
    /// A client: the company that sellers settle for.
    ClientId, "client", |_| true
);
uuid_type!(
    /// A program of a client.
    ProgramId, "program", |_| true
);
uuid_type!(
    /// A customer of a program.
    CustomerId, "customer", |_| true
);
uuid_type!(
    /// A buyer at 3Rivers.
    BuyerId, "buyer", |_| true
);
uuid_type!(
    /// A charge at 3Rivers.
    ChargeId, "charge", |_| true
);
uuid_type!(
    /// A refund at 3Rivers.
    RefundId, "refund", |_| true
);
uuid_type!(
    /// A contact of a seller.
    SellerContactId, "seller contact", |_| true
);
uuid_type!(
    /// A report that can be had.
    ReportId, "report", |_| true
);
uuid_type!(
    /// A schedule by which a report is mailed.
    ReportScheduleId, "report schedule", |_| true
);
uuid_type!(
    /// A message that was taken from a queue and kept.
    MessageId, "message", |_| true
);

impl MessageId {
    /// The id of the message that a sender (such as `sns`) calls so: a UUID of version 8.
    pub fn of_delivery(sender: &str, id: &str) -> Self {
        let hash = Sha256::new()
            .chain_update(sender)
            .chain_update([0])
            .chain_update(id)
            .finalize();
        let mut head = [0; 16];
        for (to, from) in head.iter_mut().zip(hash) {
            *to = from;
        }
        Self(uuid::Builder::from_custom_bytes(head).into_uuid())
    }
}

impl FileId {
    /// The id of the file that an object holds.
    pub fn of_object(object: &ObjectIdentity) -> Self {
        let file = object.head_of_hash();
        Self(
            Parts {
                file,
                batch: 0,
                line: 0,
                kind: KIND_DETAIL,
                number: 0,
            }
            .to_uuid(),
        )
    }

    /// The id of a batch of this file.
    pub fn batch(self, ordinal: BatchOrdinal) -> BatchId {
        BatchId(
            Parts {
                batch: u64::from(ordinal.get()),
                ..Parts::decode(self.0)
            }
            .to_uuid(),
        )
    }
}

impl BatchId {
    fn parts(self) -> Parts {
        Parts::decode(self.0)
    }

    /// The batch's place in its file.
    pub fn ordinal(self) -> BatchOrdinal {
        // Checked when the id was made, so the second value is never taken.
        self.parts().batch_ordinal().unwrap_or(BatchOrdinal(1))
    }

    /// The id of the file that holds this batch.
    pub fn file(self) -> FileId {
        FileId(
            Parts {
                batch: 0,
                ..self.parts()
            }
            .to_uuid(),
        )
    }

    /// The id of a detail of this batch.
    pub fn detail(self, line: LineNumber) -> DetailId {
        DetailId(
            Parts {
                line: u64::from(line.get()),
                ..self.parts()
            }
            .to_uuid(),
        )
    }
}

impl DetailId {
    fn parts(self) -> Parts {
        Parts::decode(self.0)
    }

    /// The batch that this detail belongs to.
    pub fn batch(self) -> BatchId {
        BatchId(
            Parts {
                line: 0,
                ..self.parts()
            }
            .to_uuid(),
        )
    }

    /// The detail's place in its batch.
    pub fn line(self) -> LineNumber {
        // Checked when the id was made, so the second value is never taken.
        self.parts().line_number().unwrap_or(LineNumber(1))
    }

    /// The id of the history record of an event.
    pub fn history(self, event: EventNumber) -> HistoryId {
        let number = u64::from(event.get());
        HistoryId(
            Parts {
                kind: KIND_HISTORY,
                number,
                ..self.parts()
            }
            .to_uuid(),
        )
    }

    /// The id of the log record of a call within an event.
    pub fn log(self, event: EventNumber, call: CallNumber) -> LogId {
        let number = u64::from(event.get()) << 4 | u64::from(call.get());
        LogId(
            Parts {
                kind: KIND_LOG,
                number,
                ..self.parts()
            }
            .to_uuid(),
        )
    }
}

impl HistoryId {
    /// The detail and the event that this record tells of.
    pub fn place(self) -> Option<(DetailId, EventNumber)> {
        let parts = Parts::of(self.0)?;
        let event = EventNumber::new(u32::try_from(parts.number).ok()?).ok()?;
        Some((
            DetailId(
                Parts {
                    kind: KIND_DETAIL,
                    number: 0,
                    ..parts
                }
                .to_uuid(),
            ),
            event,
        ))
    }
}

impl LogId {
    /// The detail, the event and the call that this record tells of.
    pub fn place(self) -> Option<(DetailId, EventNumber, CallNumber)> {
        let parts = Parts::of(self.0)?;
        let event = EventNumber::new(u32::try_from(parts.number >> 4).ok()?).ok()?;
        let call = CallNumber::new(u32::try_from(parts.number & 0xF).ok()?).ok()?;
        Some((
            DetailId(
                Parts {
                    kind: KIND_DETAIL,
                    number: 0,
                    ..parts
                }
                .to_uuid(),
            ),
            event,
            call,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn object(key: &str, etag: &str) -> ObjectIdentity {
        ObjectIdentity::new("uploads", key, etag)
    }

    #[test]
    fn the_same_object_is_the_same_file_and_other_bytes_or_names_are_another() {
        let id = FileId::of_object(&object("a.xml", "\"e1\""));
        assert_eq!(id, FileId::of_object(&object("a.xml", "e1")));
        assert_ne!(id, FileId::of_object(&object("a.xml", "e2")));
        assert_ne!(id, FileId::of_object(&object("b.xml", "e1")));
        assert_eq!(id.uuid().get_version_num(), 8);
    }

    #[test]
    fn parts_of_an_identity_cannot_run_together() {
        let one = ObjectIdentity::new("ab", "c", "d");
        let other = ObjectIdentity::new("a", "bc", "d");
        assert_ne!(FileId::of_object(&one), FileId::of_object(&other));
    }

    #[test]
    fn an_id_of_one_kind_is_refused_as_another() {
        let file = FileId::of_object(&object("a.xml", "e1"));
        let batch = file.batch(BatchOrdinal::new(7).unwrap());
        let detail = batch.detail(LineNumber::new(9).unwrap());
        assert_eq!(
            BatchId::try_from(detail.uuid()),
            Err(IdError::OtherKind("batch"))
        );
        assert_eq!(
            DetailId::try_from(batch.uuid()),
            Err(IdError::OtherKind("batch detail"))
        );
        assert_eq!(
            FileId::try_from(batch.uuid()),
            Err(IdError::OtherKind("file"))
        );
        assert_eq!("x".parse::<DetailId>(), Err(IdError::NotAUuid));
        assert_eq!(batch.file(), file);
    }

    #[test]
    fn numbers_hold_their_limits_and_nothing_beyond() {
        assert!(BatchOrdinal::new(0).is_err());
        assert_eq!(BatchOrdinal::new(9_999).unwrap().get(), 9_999);
        assert_eq!(BatchOrdinal::new(10_000).unwrap().get(), 10_000);
        assert!(BatchOrdinal::new(10_001).is_err());
        assert!(LineNumber::new(0).is_err());
        assert_eq!(LineNumber::new(999_999).unwrap().get(), 999_999);
        assert_eq!(LineNumber::new(1_000_000).unwrap().get(), 1_000_000);
        assert!(LineNumber::new(1_000_001).is_err());
        assert!(EventNumber::new(0).is_err());
        assert_eq!(EventNumber::new(65_535).unwrap().get(), 65_535);
        assert!(EventNumber::new(65_536).is_err());
        assert_eq!(CallNumber::new(15).unwrap().get(), 15);
        assert!(CallNumber::new(16).is_err());
    }

    proptest! {
        #[test]
        fn an_id_says_where_its_thing_lives(
            key in ".{1,40}", etag in "[0-9a-f]{32}",
            batch in 1..=10_000_u32, line in 1..=1_000_000_u32,
            event in 1..=65_535_u32, call in 0..16_u32,
        ) {
            let file = FileId::of_object(&object(&key, &etag));
            let batch = BatchOrdinal::new(batch).unwrap();
            let line = LineNumber::new(line).unwrap();
            let event = EventNumber::new(event).unwrap();
            let call = CallNumber::new(call).unwrap();
            let detail = file.batch(batch).detail(line);
            prop_assert_eq!(detail.batch(), file.batch(batch));
            prop_assert_eq!(detail.batch().ordinal(), batch);
            prop_assert_eq!(detail.line(), line);
            prop_assert_eq!(detail.history(event).place(), Some((detail, event)));
            prop_assert_eq!(detail.log(event, call).place(), Some((detail, event, call)));
            let text = detail.log(event, call).to_string();
            prop_assert_eq!(text.parse::<LogId>().unwrap(), detail.log(event, call));
            prop_assert_eq!(&text[..30], &detail.to_string()[..30]);
        }

        #[test]
        fn reading_an_id_never_panics(bits in any::<u128>()) {
            let uuid = Uuid::from_u128(bits);
            let _ = (FileId::try_from(uuid), BatchId::try_from(uuid), DetailId::try_from(uuid));
            let _ = (HistoryId::try_from(uuid), LogId::try_from(uuid));
        }
    }
}
