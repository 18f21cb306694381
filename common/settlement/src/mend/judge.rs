//! One row against its detail: unchanged, a draft, or what is wrong with it.

use weir_domain::{Currency, DetailStatus, SellerId};
use weir_servicegate::{CellProblem, Column, Place, cells_of, record_of, xml_of};
use weir_store::{Detail, Payload};

use super::table::{Row, TableProblem};
use super::{ID, LINE, TYPE};
use crate::actions::draft;
use crate::request::request_of;

/// What all rows of a batch are judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grounds {
    /// Whose it is; nobody's where it could not be taken, and then it has no details.
    pub(super) seller: Option<SellerId>,
    /// The currency of the batch's header.
    pub(super) currency: Option<Currency>,
}

/// The cells of a detail as a table shows them: those of its draft, or of its record as it counts now.
/// A text that is empty and one that is not there look the same.
pub(super) fn shown_cells(payload: &Payload) -> Vec<Option<String>> {
    let cells = cells_of(&payload.xml).unwrap_or_else(|| vec![None; Column::all().len()]);
    let not_empty = |cell: Option<String>| cell.filter(|cell| !cell.is_empty());
    cells.into_iter().map(not_empty).collect()
}

/// The payload version that a table shows.
pub(super) fn shown_version(detail: &Detail) -> u32 {
    detail.draft_version.unwrap_or(detail.record_version())
}

/// What a row asks for: nothing, or a draft.
pub(super) fn judge(
    row: &Row,
    detail: Option<&Detail>,
    payload: &Payload,
    grounds: Grounds,
) -> Result<Option<Payload>, Vec<TableProblem>> {
    let number = row.number;
    let refused = |column, message: String| vec![TableProblem::of_column(number, column, message)];
    let (Some(detail), Some(seller)) = (detail, grounds.seller) else {
        return Err(refused(ID, "is not a detail of this batch".to_owned()));
    };
    // What the row says and what it can say: one that is for another detail is not judged further.
    let (line, kind) = (detail.line().to_string(), detail.transaction_type.name());
    for (column, said, is) in [
        (LINE, &row.line, line.as_str()),
        (TYPE, &row.transaction_type, kind),
    ] {
        if said.as_deref().is_some_and(|said| said != is) {
            return Err(refused(
                column,
                format!("must be {is}, as the detail has it"),
            ));
        }
    }
    if !matches!(detail.status, DetailStatus::Error | DetailStatus::Cancelled) {
        let why = match draft(detail) {
            Err(why) => why.to_string(),
            Ok(_) => format!("it is {}", detail.status),
        };
        return Err(refused(ID, format!("cannot be mended: {why}")));
    }
    let shown = shown_cells(payload);
    let wanted = cells_with(&shown, row);
    if is_unchanged(detail, &shown, &wanted) {
        return Ok(None);
    }
    if let Err(why) = draft(detail) {
        return Err(refused(ID, format!("cannot be mended: {why}")));
    }
    let problems = |problems: Vec<CellProblem>| {
        let told = problems.iter().map(|one| TableProblem::in_row(number, one));
        told.collect::<Vec<_>>()
    };
    let record = record_of(detail.transaction_type, grounds.currency, &wanted).map_err(problems)?;
    let whole = |message| {
        problems(vec![CellProblem {
            place: Place::default(),
            message,
        }])
    };
    let (Ok(transaction), Some(xml)) = (record.transaction, record.xml) else {
        return Err(whole("cannot be read".to_owned()));
    };
    match request_of(&transaction, seller, detail.id) {
        Ok(request) => Ok(Some(Payload { xml, request })),
        Err((_, words)) => Err(whole(words)),
    }
}

/// The cells that are wanted: the row's, and where the table does not have a column, what is.
fn cells_with(shown: &[Option<String>], row: &Row) -> Vec<Option<String>> {
    let wanted = |(shown, cell): (&Option<String>, &Option<String>)| match cell {
        None => shown.clone(),
        Some(cell) if is_blank(cell) => None,
        Some(cell) => Some(cell.clone()),
    };
    shown.iter().zip(&row.cells).map(wanted).collect()
}

/// Whether a cell holds nothing for a reader of XML.
fn is_blank(cell: &str) -> bool {
    cell.trim_matches([' ', '\t', '\r', '\n']).is_empty()
}

/// Whether cells say the same: as texts, or once they are read, where white space around a text and
/// the form of JSON do not count.
fn is_unchanged(detail: &Detail, shown: &[Option<String>], wanted: &[Option<String>]) -> bool {
    if shown == wanted {
        return true;
    }
    let read = |cells| {
        let xml = xml_of(detail.transaction_type, cells).ok()?;
        cells_of(&xml)
    };
    match (read(shown), read(wanted)) {
        (Some(shown), Some(wanted)) => shown == wanted,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
