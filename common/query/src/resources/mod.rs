//! The resources: what each has, and where its rows are kept.

mod asked;
pub(crate) mod batches;
mod described;
pub(crate) mod details;
pub(crate) mod files;
mod history;
mod logs;
pub(crate) mod messages;
pub(crate) mod references;
mod reports;

pub use asked::{ASKED, AskedOf, AskedRow};
pub use batches::{BATCH, BatchRow, Batches};
pub use described::{CLIENT, CUSTOMER, PROGRAM, REPORT_SCHEDULE, SELLER, SELLER_CONTACT};
pub use details::{DETAIL, DetailRow, Details};
pub use files::{FILE, FileRow, Files};
pub use history::{HISTORY, History, HistoryRow};
pub use logs::{LOG, LogRow, Logs};
pub use messages::{MESSAGE, MessageRow, Messages};
pub use references::{ReferenceRow, References};
pub use reports::{REPORT, Report, Reports};

pub(crate) use batches::ids_of_file;
