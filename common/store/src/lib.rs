//! What Weir keeps, and how it changes: DynamoDB tables, S3 objects, SQS queues.
//!
//! One module an aggregate, plain functions over the real clients, no traits: tests run them on the
//! embedded parts. Invariants:
//!
//! - A change of state is a conditional write. [`StoreError::Conflict`] says that somebody was
//!   faster; whoever gets it reads again and decides again.
//! - What changes together is one transaction: a detail, its event and its batch's counters.
//! - Items that are read often stay under 1 KB, which is one write unit; XML, requests and
//!   responses lie beside them, compressed.
//! - A detail's place follows from its id, so nothing needs an index to be found, and lists of a
//!   batch are strongly consistent.

mod answers;
mod api_keys;
mod asked;
mod batches;
mod capacity;
mod details;
mod error;
mod file_names;
mod files;
mod get;
mod item;
mod keys;
mod lookups;
mod messages;
mod names;
mod objects;
mod order;
mod parts;
mod payload;
mod queues;
mod reference;
mod tables;
mod write;

use weir_runtime::{AwsClients, Clock, Random};

pub use answers::{
    ANSWER_BYTES_MAX, ANSWER_KEPT, Answer, AnswerClaim, AnswerId, AnswerRecord, AnswerState,
};
pub use api_keys::{ApiKeyHash, ApiKeyRecord};
pub use asked::AskedRecord;
pub use batches::{Batch, BatchTask, ChangedBy, CounterChange};
pub use capacity::{Capacity, Units};
pub use details::{
    Call, Detail, DetailChange, DetailPlace, DetailsWithPayloads, Event, Lease, LeaseOutcome,
    LeaseState, Outcome, Payload, ReadDetails, SHARD_BLOCK_LINES, shard_count_for,
};
pub use error::StoreError;
pub use file_names::NamedFile;
pub use files::{AwaitedParts, File, FileContent, RepeatedNumber, Stage};
pub use keys::{BatchesOf, FilesOf, ReferencesOf};
pub use lookups::{NumberHolder, Side};
pub use messages::{MESSAGES_PREFIX, Message, MessageMark};
pub use names::Names;
pub use objects::{ObjectReader, SignedPut};
pub use order::{CreatedId, CreatedIdError, CreatedRange, Direction, Month};
pub use parts::{Joining, PartsOf, StoredPart};
pub use queues::{BatchTaskMessage, DELAY_MAX, DetailsMessage, UploadContinuation};
pub use reference::{
    Changed, Client, Customer, Deletion, Kept, Owner, Parent, Program, Reference, ReferenceChange,
    ReferenceKind, ReferenceWrite, ReportSchedule, Seller, SellerContact, TOMBSTONE_DAYS, Written,
};
pub use tables::{Index, Key, KeyKind, TABLES, Table};
pub use write::PutBuffer;

/// Access to everything that is kept. Clones share connections and counts.
#[derive(Debug, Clone)]
pub struct Store {
    clients: AwsClients,
    names: Names,
    clock: Clock,
    random: Random,
    capacity: Capacity,
}

impl Store {
    /// Puts the parts together; nothing is sent.
    pub fn new(clients: AwsClients, names: Names, clock: Clock, random: Random) -> Self {
        Self {
            clients,
            names,
            clock,
            random,
            capacity: Capacity::default(),
        }
    }

    /// The capacity that DynamoDB has reported for the calls of this store and its clones.
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// The same store, counting what its own calls consume: for one request among others. What it
    /// counts, this store counts too.
    #[must_use]
    pub fn measured(&self) -> Self {
        Self {
            capacity: self.capacity.part(),
            ..self.clone()
        }
    }

    /// How tables, queues and the bucket are called.
    pub fn names(&self) -> &Names {
        &self.names
    }

    fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.clients.dynamodb
    }
}
