//! `weir validate`: checks a settlement file on this machine by the rules that the service keeps.
//!
//! The file is read as a stream, so its size does not matter. What the service knows and a file does
//! not say (whose sellers exist, which batch numbers are taken) is not checked.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;

use serde::Serialize;
use weir_domain::Currency;
use weir_servicegate::{
    Amounts, BatchReport, CheckReport, Options, ProblemReport, SellerReference, Stated, Total,
    TotalCheck, Totals, check,
};

use crate::Report;
use crate::arguments::Validate;
use crate::failure::{EXIT_IN_ERROR, EXIT_WELL, Failure};
use crate::progress::Progress;
use crate::summary::{ROWS_MAX, to_json};
use crate::text::{Align, Paint, Table, append, cell, counted, grouped, grouped_decimal, plain};

/// The document that `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    file: String,
    /// Sound, and no record in error.
    valid: bool,
    /// Whether the service would take the file at all.
    sound: bool,
    totals: &'a Totals,
    /// How many problems of the file as a whole there are.
    file_problem_count: u64,
    /// How many problems of single records there are.
    record_problem_count: u64,
    /// The first of both, by place.
    problems: &'a [ProblemReport],
    notes: &'a [Note],
    batches: Vec<BatchDocument<'a>>,
}

#[derive(Serialize)]
struct BatchDocument<'a> {
    ordinal: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seller: Option<String>,
    charges: u32,
    refunds: u32,
    records_in_error: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge_total: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_total: Option<String>,
}

/// What is worth knowing and no problem.
#[derive(Serialize)]
struct Note {
    line: u64,
    column: u64,
    byte_offset: u64,
    path: String,
    message: &'static str,
}

/// Checks the file and reports.
pub(crate) fn run(
    arguments: &Validate,
    paint: Paint,
    progress: &mut Progress<'_>,
) -> Result<Report, Failure> {
    let path = arguments.file.as_path();
    let unreadable = |error| Failure::Unreadable {
        path: path.to_owned(),
        error,
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    Failure::unless_regular(path, &metadata)?;
    let checked = check_file(path, metadata.len(), progress);
    progress.clear();
    let report = checked.map_err(unreadable)?;
    let name = plain(&path.display().to_string());
    let findings = Findings::of(&report);
    let stdout = if arguments.output.json {
        to_json(&findings.document(&report, name))
    } else {
        findings.text(&report, &name, paint)
    };
    let exit_code = if findings.is_valid {
        EXIT_WELL
    } else {
        EXIT_IN_ERROR
    };
    Ok(Report {
        stdout,
        stderr: String::new(),
        exit_code,
    })
}

fn check_file(
    path: &Path,
    size_bytes: u64,
    progress: &mut Progress<'_>,
) -> io::Result<CheckReport> {
    let what = format!("checking {}", plain(&path.display().to_string()));
    let bar = progress.bytes(&what, size_bytes);
    let open_at = |byte_offset: u64| {
        let mut file = File::open(path)?;
        if byte_offset > 0 {
            file.seek(SeekFrom::Start(byte_offset))?;
        }
        Ok(file)
    };
    check(open_at, Options::default(), |bytes| bar.set_position(bytes))
}

/// What the report comes to.
struct Findings {
    is_valid: bool,
    problems: Vec<ProblemReport>,
    notes: Vec<Note>,
    totals: Totals,
}

impl Findings {
    fn of(report: &CheckReport) -> Self {
        let totals = totals(&report.batches);
        let of_file = report.problems.iter().map(ProblemReport::from);
        let records = report.record_problems.iter();
        let of_records = records.map(|record| ProblemReport::from(&record.problem));
        let mut problems: Vec<_> = of_file.chain(of_records).collect();
        problems.sort_by_key(|problem| problem.byte_offset);
        Self {
            is_valid: report.sound && report.record_problem_count == 0,
            problems,
            notes: report.batches.iter().flat_map(notes).collect(),
            totals,
        }
    }

    fn document<'a>(&'a self, report: &'a CheckReport, file: String) -> Document<'a> {
        Document {
            file,
            valid: self.is_valid,
            sound: report.sound,
            totals: &self.totals,
            file_problem_count: report.problem_count,
            record_problem_count: report.record_problem_count,
            problems: &self.problems,
            notes: &self.notes,
            batches: report.batches.iter().map(batch_document).collect(),
        }
    }

    fn text(&self, report: &CheckReport, name: &str, paint: Paint) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            let ProblemReport {
                line,
                column,
                code,
                path,
                message,
                ..
            } = problem;
            let (error, message) = (paint.bad("error"), plain(message));
            append(
                &mut text,
                format_args!(
                    "{name}:{line}:{column}: {error} {code} at {}: {message}\n",
                    plain(path)
                ),
            );
        }
        let listed = u64::try_from(self.problems.len()).unwrap_or(u64::MAX);
        let counted_all = report
            .problem_count
            .saturating_add(report.record_problem_count);
        let more = counted_all.saturating_sub(listed);
        if more > 0 {
            let more = counted(more, "more problem", "more problems");
            append(&mut text, format_args!("{name}: … and {more}\n"));
        }
        for note in self.notes.iter().take(ROWS_MAX) {
            let Note {
                line,
                column,
                path,
                message,
                ..
            } = note;
            let label = paint.note("note");
            append(
                &mut text,
                format_args!("{name}:{line}:{column}: {label} at {path}: {message}\n"),
            );
        }
        if !text.is_empty() {
            text.push('\n');
        }
        if !report.batches.is_empty() {
            text.push_str(&table(&report.batches, paint));
            text.push('\n');
        }
        text.push_str(&self.counts(report.summary.is_some()));
        text.push_str(&self.verdict(report, name, paint));
        text
    }

    fn counts(&self, is_whole: bool) -> String {
        let Totals {
            batches,
            charges,
            refunds,
            records_in_error,
            amounts,
        } = &self.totals;
        let mut text = String::new();
        if !is_whole {
            text.push_str("Up to where reading had to stop: ");
        }
        append(
            &mut text,
            format_args!(
                "{}, {}, {}, {}\n",
                counted(*batches, "batch", "batches"),
                counted(*charges, "charge", "charges"),
                counted(*refunds, "refund", "refunds"),
                counted(*records_in_error, "record in error", "records in error"),
            ),
        );
        for Amounts {
            currency,
            charge_total,
            refund_total,
        } in amounts.in_major()
        {
            let charged = grouped_decimal(&charge_total);
            let refunded = grouped_decimal(&refund_total);
            append(
                &mut text,
                format_args!("{currency}: charges {charged}, refunds {refunded}\n"),
            );
        }
        text
    }

    fn verdict(&self, report: &CheckReport, name: &str, paint: Paint) -> String {
        let (verdict, consequence) = if !report.sound {
            (paint.bad("not sound"), "nothing of it would be taken")
        } else if !self.is_valid {
            (
                paint.note("sound, with records in error"),
                "the others would be settled",
            )
        } else {
            return format!("{name}: {}\n", paint.good("sound"));
        };
        format!("{name}: {verdict}: {consequence}\n")
    }
}

fn totals(batches: &[BatchReport]) -> Totals {
    let mut totals = Totals::default();
    for batch in batches {
        totals.add(&batch.summary);
    }
    totals
}

/// The control totals of a batch that could not be compared.
fn notes(batch: &BatchReport) -> Vec<Note> {
    let Some(header) = &batch.header else {
        return Vec::new();
    };
    let summary = &batch.summary;
    let controls = [
        (
            "ChargeTotal",
            summary.charge_total_check,
            &header.charge_total,
        ),
        (
            "RefundTotal",
            summary.refund_total_check,
            &header.refund_total,
        ),
    ];
    let unchecked =
        controls
            .into_iter()
            .filter_map(|(element, outcome, stated)| {
                let Stated { position, .. } = stated.as_ref()?;
                (outcome == TotalCheck::NotCheckable).then(|| Note {
            line: position.line,
            column: position.column,
            byte_offset: position.byte,
            path: format!("/SettlementFile/Batch[{}]/BatchHeader/{element}", summary.ordinal),
            message: "not checkable: an amount of the batch cannot be read, or is in another \
                      currency",
        })
            });
    unchecked.collect()
}

fn seller(batch: &BatchReport) -> Option<String> {
    batch.header.as_ref().map(|header| match &header.seller {
        SellerReference::Id(id) => id.to_string(),
        SellerReference::Alternate(id) => id.to_string(),
    })
}

fn batch_document(batch: &BatchReport) -> BatchDocument<'_> {
    let summary = &batch.summary;
    BatchDocument {
        ordinal: summary.ordinal.get(),
        batch_number: batch
            .header
            .as_ref()
            .map(|header| header.number.to_string()),
        seller: seller(batch),
        charges: summary.charges,
        refunds: summary.refunds,
        records_in_error: summary.errors,
        currency: summary.currency.map(Currency::code),
        charge_total: total(summary.charge_total, summary.currency),
        refund_total: total(summary.refund_total, summary.currency),
    }
}

fn total(total: Option<Total>, currency: Option<Currency>) -> Option<String> {
    Some(total?.in_major(currency?))
}

fn table(batches: &[BatchReport], paint: Paint) -> String {
    let mut columns = vec![("Batch", Align::Left), ("Seller", Align::Left)];
    for name in ["Charges", "Refunds", "In error", "Charged", "Refunded"] {
        columns.push((name, Align::Right));
    }
    columns.push(("Currency", Align::Left));
    let mut table = Table::new(columns);
    for batch in batches.iter().take(ROWS_MAX) {
        let BatchDocument {
            batch_number,
            seller,
            charges,
            refunds,
            records_in_error,
            currency,
            charge_total,
            refund_total,
            ..
        } = batch_document(batch);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let amount = |text: Option<String>| or_dash(text.as_deref().map(grouped_decimal));
        let errors = grouped(u64::from(records_in_error));
        table.row(vec![
            cell(or_dash(batch_number)),
            cell(or_dash(seller)),
            cell(grouped(u64::from(charges))),
            cell(grouped(u64::from(refunds))),
            if records_in_error > 0 {
                (errors, Paint::bad)
            } else {
                cell(errors)
            },
            cell(amount(charge_total)),
            cell(amount(refund_total)),
            cell(or_dash(currency.map(str::to_owned))),
        ]);
    }
    let more = batches.len().saturating_sub(ROWS_MAX);
    if more > 0 {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let mut row = vec![cell(format!(
            "… {}",
            counted(more, "more batch", "more batches")
        ))];
        row.extend((0..7).map(|_| cell("")));
        table.row(row);
    }
    table.render(paint)
}
