//! What became of a file, for people and for programs.
//!
//! The text is bounded whatever the file holds: [`ROWS_MAX`] batches, those in error first, and
//! [`DETAILS_SHOWN_MAX`] details in error of each of [`BATCHES_DETAILED_MAX`] batches. The JSON
//! document has every batch.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;
use weir_domain::{BatchStatus, FileStatus};

use crate::api::{Batch, Detail, File};
use crate::follow::Seen;
use crate::text::{Align, Cell, Paint, Table, append, cell, counted, grouped, plain};

/// Most batches that the table shows.
pub(crate) const ROWS_MAX: usize = 50;
/// Most batches whose details in error are shown.
pub(crate) const BATCHES_DETAILED_MAX: usize = 20;
/// Most details in error that are shown of one batch.
pub(crate) const DETAILS_SHOWN_MAX: usize = 5;

/// The details in error that were asked for, by batch.
pub(crate) type DetailsInError = BTreeMap<Uuid, Vec<Detail>>;

/// The document that `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    /// Whether nothing more will happen by itself.
    done: bool,
    /// Whether the file, a batch or a detail is in error.
    in_error: bool,
    file: &'a File,
    /// Only when the batches were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<Totals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batches: Option<Vec<BatchDocument<'a>>>,
}

#[derive(Serialize)]
struct BatchDocument<'a> {
    #[serde(flatten)]
    batch: &'a Batch,
    batch_detail_processed_count: u64,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    details_in_error: Option<&'a [Detail]>,
}

/// The counters of all batches together.
#[derive(Debug, Default, Serialize)]
struct Totals {
    batches: u64,
    batches_in_error: u64,
    details: u64,
    unprocessed: u64,
    processed: u64,
    error: u64,
    cancelled: u64,
}

impl Totals {
    fn of(batches: &[Batch]) -> Self {
        batches.iter().fold(Self::default(), |sum, batch| Self {
            batches: sum.batches + 1,
            batches_in_error: sum.batches_in_error + u64::from(batch.is_in_error()),
            details: sum.details.saturating_add(batch.batch_detail_count),
            unprocessed: sum
                .unprocessed
                .saturating_add(batch.batch_detail_unprocessed_count),
            processed: sum.processed.saturating_add(batch.processed_count()),
            error: sum.error.saturating_add(batch.batch_detail_error_count),
            cancelled: sum
                .cancelled
                .saturating_add(batch.batch_detail_cancelled_count),
        })
    }
}

/// The JSON document, its line ended.
pub(crate) fn json(seen: &Seen, details: &DetailsInError) -> String {
    let batches = seen.batches.as_ref();
    let document = Document {
        done: seen.done,
        in_error: seen.is_in_error(),
        file: &seen.file,
        totals: batches.map(|batches| Totals::of(batches)),
        batches: batches.map(|batches| {
            let document = |batch| document(batch, details);
            batches.iter().map(document).collect()
        }),
    };
    to_json(&document)
}

fn document<'a>(batch: &'a Batch, details: &'a DetailsInError) -> BatchDocument<'a> {
    BatchDocument {
        batch,
        batch_detail_processed_count: batch.processed_count(),
        details_in_error: details.get(&batch.id).map(Vec::as_slice),
    }
}

/// Any document as JSON for people to read, its line ended.
pub(crate) fn to_json(document: &impl Serialize) -> String {
    // Fails only for maps whose keys are no texts; the documents here have none.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

/// The text for people, each line ended.
pub(crate) fn text(seen: &Seen, details: &DetailsInError, paint: Paint) -> String {
    let mut text = heading(&seen.file, paint);
    if let Some(batches) = &seen.batches {
        if batches.is_empty() {
            text.push_str("No batch of it can be seen with this key.\n");
        } else {
            text.push('\n');
            text.push_str(&table(batches, paint));
            text.push_str(&reasons(batches, details, paint));
        }
    }
    text
}

fn heading(file: &File, paint: Paint) -> String {
    let status = paint_file(file.status)(paint, file.status.name());
    let name = file.name.as_deref().map(plain);
    let name = name.map_or_else(String::new, |name| format!(" ({name})"));
    let mut text = format!("File {}{name}: {status}\n", file.id);
    if let Some(log) = &file.error_log {
        for line in log.lines() {
            append(&mut text, format_args!("  {}\n", plain(line)));
        }
    }
    text
}

/// Batches with their counters, [`ROWS_MAX`] of them at most.
pub(crate) fn table(batches: &[Batch], paint: Paint) -> String {
    let mut columns = vec![("Batch", Align::Left), ("Seller", Align::Left)];
    for name in ["Details", "Unprocessed", "Processed", "Error", "Cancelled"] {
        columns.push((name, Align::Right));
    }
    columns.push(("Status", Align::Left));
    let mut table = Table::new(columns);
    let (in_error, others): (Vec<_>, Vec<_>) =
        batches.iter().partition(|batch| batch.is_in_error());
    let shown: Vec<&Batch> = if batches.len() > ROWS_MAX {
        in_error.into_iter().chain(others).take(ROWS_MAX).collect()
    } else {
        batches.iter().collect()
    };
    for batch in &shown {
        table.row(vec![
            cell(batch.label()),
            cell(batch.seller()),
            cell(grouped(batch.batch_detail_count)),
            cell(grouped(batch.batch_detail_unprocessed_count)),
            cell(grouped(batch.processed_count())),
            errors(batch.batch_detail_error_count),
            cell(grouped(batch.batch_detail_cancelled_count)),
            (batch.status.name().to_owned(), paint_batch(batch.status)),
        ]);
    }
    let more = batches.len() - shown.len();
    if more > 0 {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let more = counted(more, "more batch", "more batches");
        let mut row = vec![cell(format!("… {more}"))];
        row.extend((0..7).map(|_| cell("")));
        table.row(row);
    }
    if batches.len() > 1 {
        let totals = Totals::of(batches);
        table.row(vec![
            ("Total".to_owned(), Paint::strong),
            cell(""),
            cell(grouped(totals.details)),
            cell(grouped(totals.unprocessed)),
            cell(grouped(totals.processed)),
            errors(totals.error),
            cell(grouped(totals.cancelled)),
            cell(""),
        ]);
    }
    table.render(paint)
}

fn errors(count: u64) -> Cell {
    if count == 0 {
        cell("0")
    } else {
        (grouped(count), Paint::bad)
    }
}

/// Why batches and their details are in error.
fn reasons(batches: &[Batch], details: &DetailsInError, paint: Paint) -> String {
    let mut text = String::new();
    let in_error: Vec<_> = batches.iter().filter(|batch| batch.is_in_error()).collect();
    for batch in in_error.iter().take(BATCHES_DETAILED_MAX) {
        let label = paint.strong(&format!("Batch {}", plain(&batch.label())));
        let count = batch.batch_detail_error_count;
        let state = match batch.error_log.as_deref().map(plain) {
            Some(log) => log,
            None => counted(count, "detail in error", "details in error"),
        };
        append(&mut text, format_args!("\n{label}: {state}\n"));
        let shown = details.get(&batch.id).map_or(&[][..], Vec::as_slice);
        for detail in shown {
            text.push_str(&detail_line(detail, paint));
        }
        let more = count.saturating_sub(u64::try_from(shown.len()).unwrap_or(u64::MAX));
        if more > 0 && !shown.is_empty() {
            append(&mut text, format_args!("  … and {} more\n", grouped(more)));
        }
        text.push_str(&next_step(batch));
    }
    let more = in_error.len().saturating_sub(BATCHES_DETAILED_MAX);
    if more > 0 {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let more = counted(more, "more batch", "more batches");
        append(&mut text, format_args!("\n… and {more} with errors\n"));
    }
    text
}

/// What a person may do about a batch in error, as a line.
fn next_step(batch: &Batch) -> String {
    let id = batch.id;
    if batch.batch_detail_error_count > 0 {
        format!("  To mend them: weir errors get {id} --out errors.csv\n")
    } else if batch.batch_detail_count == 0 {
        format!("  Once that is put right: weir retry {id}\n")
    } else {
        String::new()
    }
}

fn detail_line(detail: &Detail, paint: Paint) -> String {
    let kind = detail.transaction_type.map_or("Detail", |kind| kind.name());
    let order = detail.order_number.as_deref().map(plain);
    let order = order.unwrap_or_else(|| detail.id.to_string());
    let code = detail.error_code.as_deref().map(plain).unwrap_or_default();
    let reason = plain(detail.reason());
    let line = format!("  {kind} {order}: {} {reason}", paint.bad(&code));
    format!("{}\n", line.trim_end())
}

fn paint_file(status: FileStatus) -> fn(Paint, &str) -> String {
    match status {
        FileStatus::Stored | FileStatus::Processing => Paint::note,
        FileStatus::Processed => Paint::good,
        FileStatus::Error => Paint::bad,
    }
}

fn paint_batch(status: BatchStatus) -> fn(Paint, &str) -> String {
    match status {
        BatchStatus::Unprocessed => Paint::note,
        BatchStatus::Processed => Paint::good,
        BatchStatus::Error => Paint::bad,
    }
}
