//! Why a question gets no answer.

use weir_store::StoreError;

/// Why a question gets no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// More would have to be read than one request may.
    #[error("more than {rows_max} rows would have to be read")]
    TooWide {
        /// How many rows may be read.
        rows_max: u64,
        /// Parameters that would narrow it, the best first.
        narrower: Vec<&'static str>,
    },
    /// What is sorted by takes more memory than one request may.
    #[error("what is sorted by takes more than {bytes_max} bytes")]
    TooHeavy {
        /// How many bytes there may be.
        bytes_max: usize,
        /// Parameters that would narrow it, the best first.
        narrower: Vec<&'static str>,
    },
    /// The cursor is of no row that there could be.
    #[error("the cursor is not one of ours")]
    ForeignCursor,
    /// The row that the cursor follows is not in the list any more.
    #[error("the row that the cursor follows is gone")]
    LostCursor,
    /// A table cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
