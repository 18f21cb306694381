//! What the platform checks of a request before anything is made, and what it needs to know of it.
//!
//! Everything that is wrong is told at once, each with the path of its field (`.details[0].subtotal`).
//! Two kinds: a request that is not of the documented shape, and one whose amounts do not fit
//! together. Rules: what is required is there, ids are UUIDs, amounts whole numbers, texts within
//! their length; a line's subtotal is quantity × price + tax − discount, rounded half up; the total is
//! the sum of the subtotals and shipping. Fields that the platform sets itself are refused; unknown
//! ones are repeated in the answer and otherwise ignored.

mod charge;
mod fields;
mod lines;
mod refund;

pub(crate) use charge::charge;
pub(crate) use refund::refund;

use uuid::Uuid;

use crate::reply::Problem;

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// Whether it is not of the documented shape; else its amounts do not fit together.
    pub(crate) is_malformed: bool,
    /// At least one.
    pub(crate) problems: Vec<Problem>,
}

/// A charge that may be made, as far as its own amounts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChargeFacts {
    pub(crate) seller_id: Uuid,
    pub(crate) buyer_id: Uuid,
    pub(crate) currency: weir_domain::Currency,
    pub(crate) total: i64,
    /// The value of the metadata item `batch_detail_id`; of the first, should there be more.
    pub(crate) batch_detail_id: Option<String>,
}

/// A refund that may be made, as far as its own amounts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefundFacts {
    pub(crate) charge_id: Uuid,
    pub(crate) total: i64,
}

#[cfg(test)]
mod tests;
