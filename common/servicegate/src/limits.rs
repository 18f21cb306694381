//! What a file may hold at most. Every limit is a file problem when passed.

use std::fmt;

use serde::{Deserialize, Serialize};
use weir_domain::LINE_MAX;

/// Most bytes of a file: what one object of the store may be in the upload's own terms, 5 GiB.
pub const FILE_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Most charges and refunds of a batch.
pub const TRANSACTIONS_PER_BATCH_MAX: u32 = LINE_MAX;
/// Most batches of a file.
pub const BATCHES_PER_FILE_MAX: u32 = 10_000;
/// Most bytes (in UTF-8) of one text: an element's text, a run of text between two elements, an
/// attribute's value, a comment, a processing instruction.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Most bytes (in UTF-8) of one charge or refund from `<` to `>`; the same holds for a header and
/// for a single tag.
pub const TRANSACTION_BYTES_MAX: usize = 256 * 1024;
/// Most elements within each other, the root being the first.
pub const DEPTH_MAX: usize = 32;
/// Most attributes of an element, namespace declarations among them.
pub const ATTRIBUTES_PER_ELEMENT_MAX: usize = 64;

/// Most bytes (in UTF-8) of an element's or attribute's name, and of a namespace. Names that are
/// open are part of a checkpoint, which must stay small.
pub const NAME_BYTES_MAX: usize = 256;

/// The limits that a reader keeps. The default is the format's; tests use smaller ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// See [`FILE_BYTES_MAX`].
    pub file_bytes: u64,
    /// See [`TRANSACTIONS_PER_BATCH_MAX`].
    pub transactions_per_batch: u32,
    /// See [`BATCHES_PER_FILE_MAX`].
    pub batches_per_file: u32,
    /// See [`TEXT_BYTES_MAX`].
    pub text_bytes: usize,
    /// See [`TRANSACTION_BYTES_MAX`].
    pub transaction_bytes: usize,
    /// See [`DEPTH_MAX`].
    pub depth: usize,
    /// See [`ATTRIBUTES_PER_ELEMENT_MAX`].
    pub attributes_per_element: usize,
    /// See [`NAME_BYTES_MAX`].
    pub name_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: FILE_BYTES_MAX,
            transactions_per_batch: TRANSACTIONS_PER_BATCH_MAX,
            batches_per_file: BATCHES_PER_FILE_MAX,
            text_bytes: TEXT_BYTES_MAX,
            transaction_bytes: TRANSACTION_BYTES_MAX,
            depth: DEPTH_MAX,
            attributes_per_element: ATTRIBUTES_PER_ELEMENT_MAX,
            name_bytes: NAME_BYTES_MAX,
        }
    }
}

/// Which limit was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Limit {
    /// Bytes of the file.
    FileBytes,
    /// Charges and refunds of a batch.
    TransactionsPerBatch,
    /// Batches of the file.
    BatchesPerFile,
    /// Bytes of a text, an attribute's value, a comment or a processing instruction.
    TextBytes,
    /// Bytes of a charge, a refund, a header or a tag.
    TransactionBytes,
    /// Elements within each other.
    Depth,
    /// Attributes of an element.
    AttributesPerElement,
    /// Bytes of a name or a namespace.
    NameBytes,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FileBytes => "bytes in a file",
            Self::TransactionsPerBatch => "charges and refunds in a batch",
            Self::BatchesPerFile => "batches in a file",
            Self::TextBytes => "bytes in a text",
            Self::TransactionBytes => "bytes in a charge, a refund or a header",
            Self::Depth => "elements within each other",
            Self::AttributesPerElement => "attributes on an element",
            Self::NameBytes => "bytes in a name or a namespace",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_those_of_the_format() {
        let limits = Limits::default();
        assert_eq!(limits.file_bytes, 5_368_709_120);
        assert_eq!(limits.transactions_per_batch, 1_000_000);
        assert_eq!(limits.batches_per_file, 10_000);
        let ordinal_max = u32::from(weir_domain::BATCH_ORDINAL_MAX);
        assert_eq!(limits.batches_per_file, ordinal_max);
        assert_eq!(limits.text_bytes, 65_536);
        assert_eq!(limits.transaction_bytes, 262_144);
        assert_eq!(limits.depth, 32);
        assert_eq!(limits.attributes_per_element, 64);
        assert_eq!(limits.name_bytes, 256);
    }
}
