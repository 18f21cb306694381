//! The errors CSV: the details of a batch that are in error, as a table, and the table mended.

mod download;
mod upload;

pub(crate) use download::download;
pub(crate) use upload::upload;
