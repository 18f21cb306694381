//! How the tables, queues and the bucket of one deployment are called.

use weir_runtime::Reader;

use crate::Table;

/// Names of one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// What every table's name begins with, such as `weir-dev-`.
    pub table_prefix: String,
    /// The bucket that settlement files are uploaded to.
    pub bucket: String,
    /// URL of the queue of object events and continuations.
    pub uploads_queue: String,
    /// URL of the queue that wakes details.
    pub details_queue: String,
}

impl Names {
    /// Reads `WEIR_TABLE_PREFIX`, `WEIR_BUCKET`, `WEIR_UPLOADS_QUEUE_URL` and
    /// `WEIR_DETAILS_QUEUE_URL`, all required; what is missing is noted in the reader.
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            table_prefix: reader.text("WEIR_TABLE_PREFIX"),
            bucket: reader.text("WEIR_BUCKET"),
            uploads_queue: reader.text("WEIR_UPLOADS_QUEUE_URL"),
            details_queue: reader.text("WEIR_DETAILS_QUEUE_URL"),
        }
    }

    /// Reads `WEIR_TABLE_PREFIX` alone, for whoever works on tables: DynamoDB's, and neither objects
    /// nor queues, which have no names then and are refused by the clients before anything is sent.
    pub fn read_tables(reader: &mut Reader) -> Self {
        Self {
            table_prefix: reader.text("WEIR_TABLE_PREFIX"),
            bucket: String::new(),
            uploads_queue: String::new(),
            details_queue: String::new(),
        }
    }

    /// Reads `WEIR_TABLE_PREFIX` and `WEIR_BUCKET`, for whoever also puts or reads objects; the queues
    /// have no names then.
    pub fn read_tables_and_bucket(reader: &mut Reader) -> Self {
        Self {
            bucket: reader.text("WEIR_BUCKET"),
            ..Self::read_tables(reader)
        }
    }

    /// The whole name of a table.
    pub fn table(&self, table: &Table) -> String {
        format!("{}{}", self.table_prefix, table.name)
    }
}
