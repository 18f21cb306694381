//! `weir errors put`: a mended table; its changed rows become drafts.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use uuid::Uuid;

use super::arguments::Put;
use super::table::{Part, Table};
use super::{PATIENCE, confirm, new_key, rendered};
use crate::api::{Standing, Taken};
use crate::failure::{EXIT_IN_ERROR, EXIT_WELL, Failure};
use crate::follow::patiently_for;
use crate::progress::Progress;
use crate::summary::to_json;
use crate::text::{Paint, append, counted, grouped, plain};
use crate::watch::Session;
use crate::{Outside, Report};

/// Most bytes of a file: more is put together by no person.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most details that a preview lists.
const DETAILS_SHOWN_MAX: usize = 10;

/// The document that `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    batch_id: Uuid,
    file_id: Uuid,
    /// How many rows became drafts.
    drafted: u64,
    /// How many rows asked for nothing.
    unchanged: u64,
    /// Whether all of the table was taken.
    done: bool,
    problems: &'a [Problem],
}

/// What is wrong with a cell.
#[derive(Debug, Serialize)]
struct Problem {
    /// As a spreadsheet counts: the header is 1.
    row: usize,
    /// The column, and within a cell with a list the place in it, as `lines/0/quantity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    message: String,
}

/// What came of it.
struct Outcome {
    taken: Taken,
    problems: Vec<Problem>,
    failure: Option<Failure>,
    /// How many rows were taken before it ended.
    rows: usize,
}

/// Sends the table, once a person has said yes.
pub(super) async fn run(arguments: &Put, outside: &mut Outside<'_>) -> Result<Report, Failure> {
    let mut session = crate::session(&arguments.connection, &arguments.output, outside)?;
    let table = Table::read(read(&arguments.file)?).map_err(|reason| Failure::NoTable {
        path: arguments.file.clone(),
        reason,
    })?;
    let standing = session.api.standing(arguments.batch_id).await?;
    if table.ids.is_empty() {
        let reason = "it has no row below its header".to_owned();
        let path = arguments.file.clone();
        return Err(Failure::NoTable { path, reason });
    }
    let preview = preview(&standing, &table);
    let flags = (session.json, arguments.yes);
    confirm(&preview, "Make drafts of what differs?", flags, outside)?;
    let keys: Vec<String> = table.parts.iter().map(|_| new_key(outside)).collect();
    let mut progress = crate::progress(&arguments.output, outside);
    let sent = send_all(&mut session, &standing, &table, &keys, &mut progress).await;
    progress.clear();
    Ok(report(arguments, &session, &standing, &sent?))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::Unreadable {
        path: path.to_owned(),
        error,
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    Failure::unless_regular(path, &metadata)?;
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let mut file = file.take(FILE_BYTES_MAX + 1);
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= FILE_BYTES_MAX) {
        return Ok(bytes);
    }
    let most = grouped(FILE_BYTES_MAX);
    let reason =
        format!("it has more than {most} bytes (256 MiB): send some of its rows, with the header");
    let path = path.to_owned();
    Err(Failure::NoTable { path, reason })
}

fn preview(standing: &Standing, table: &Table) -> String {
    let batch = &standing.batch;
    let rows = counted(count(table.ids.len()), "row", "rows");
    let parts = match table.parts.len() {
        1 => String::new(),
        parts => format!(
            ", in {} parts, each applied by itself",
            grouped(count(parts))
        ),
    };
    let mut text = format!(
        "Batch {} of {}: {} in error, {} with a draft\nTo be compared with it: {rows}{parts}\n",
        plain(&batch.label()),
        plain(&batch.seller()),
        counted(batch.batch_detail_error_count, "detail", "details"),
        grouped(standing.batch_detail_draft_count),
    );
    for id in table.ids.iter().take(DETAILS_SHOWN_MAX) {
        append(&mut text, format_args!("  {}\n", plain(id)));
    }
    let more = table.ids.len().saturating_sub(DETAILS_SHOWN_MAX);
    if more > 0 {
        append(
            &mut text,
            format_args!("  … and {} more\n", grouped(count(more))),
        );
    }
    text.push_str("Rows that differ become drafts; nothing is sent to 3Rivers yet.\n");
    text
}

/// Sends part after part, until one is refused. A failure after something was taken is part of the
/// outcome.
async fn send_all(
    session: &mut Session,
    on: &Standing,
    table: &Table,
    keys: &[String],
    progress: &mut Progress<'_>,
) -> Result<Outcome, Failure> {
    let mut outcome = Outcome {
        taken: Taken {
            drafted: 0,
            unchanged: 0,
        },
        problems: Vec::new(),
        failure: None,
        rows: 0,
    };
    let all = count(table.ids.len());
    for (part, key) in table.parts.iter().zip(keys) {
        if table.parts.len() > 1 {
            progress.task("sending rows", all.saturating_sub(count(outcome.rows)), all);
        }
        match send(session, on, part, key, progress).await {
            Ok(taken) => {
                outcome.taken.drafted += taken.drafted;
                outcome.taken.unchanged += taken.unchanged;
                outcome.rows += part.rows;
            }
            Err(failure) => {
                outcome.problems = problems(&failure, part);
                if outcome.problems.is_empty() && outcome.rows == 0 {
                    return Err(failure);
                }
                if outcome.problems.is_empty() {
                    outcome.failure = Some(failure);
                }
                break;
            }
        }
    }
    Ok(outcome)
}

async fn send(
    session: &mut Session,
    on: &Standing,
    part: &Part,
    key: &str,
    progress: &mut Progress<'_>,
) -> Result<Taken, Failure> {
    let Session {
        api,
        clock,
        interrupt,
        ..
    } = session;
    let sending = patiently_for(PATIENCE, clock, progress, async || {
        api.put_errors(on, part.bytes.clone(), key).await
    });
    tokio::select! {
        biased;
        () = interrupt => Err(Failure::ChangeInterrupted),
        sent = sending => sent.map_err(Failure::from),
    }
}

/// What is wrong with a part, by row and column of the file; nothing when it was refused otherwise.
fn problems(failure: &Failure, part: &Part) -> Vec<Problem> {
    let Failure::Api(error) = failure else {
        return Vec::new();
    };
    let problem = |(place, message): (&str, &str)| problem(place, message, part);
    error.faults().into_iter().map(problem).collect()
}

/// A problem by its place: `/header/po_nmber`, `/rows/3/total_amount`, `/rows/3/lines/0/quantity`.
fn problem(place: &str, message: &str, part: &Part) -> Problem {
    let mut steps = place.trim_start_matches('/').splitn(3, '/');
    let (row, column) = match (steps.next(), steps.next(), steps.next()) {
        (Some("rows"), Some(row), column) => (row.parse().unwrap_or(1), column),
        (Some("header"), name, _) => (1, name),
        _ => (1, None),
    };
    let column = column.map(|column| column.replace("~1", "/").replace("~0", "~"));
    Problem {
        row: part.row_of_file(row),
        column,
        message: message.to_owned(),
    }
}

fn report(arguments: &Put, session: &Session, on: &Standing, outcome: &Outcome) -> Report {
    let is_done = outcome.problems.is_empty() && outcome.failure.is_none();
    let stdout = if session.json {
        to_json(&Document {
            batch_id: on.batch.id,
            file_id: on.file_id,
            drafted: outcome.taken.drafted,
            unchanged: outcome.taken.unchanged,
            done: is_done,
            problems: &outcome.problems,
        })
    } else {
        text(arguments, outcome, session.paint)
    };
    let again =
        "the parts before it were taken; send the table again: what is drafted is unchanged then";
    let stderr = match &outcome.failure {
        Some(failure) => rendered(failure, again, session.paint_stderr),
        None => String::new(),
    };
    let exit_code = match &outcome.failure {
        Some(failure) => failure.exit_code(),
        None if is_done => EXIT_WELL,
        None => EXIT_IN_ERROR,
    };
    Report {
        stdout,
        stderr,
        exit_code,
    }
}

fn text(arguments: &Put, outcome: &Outcome, paint: Paint) -> String {
    let mut text = String::new();
    let file = plain(&arguments.file.display().to_string());
    for problem in &outcome.problems {
        let error = paint.bad("error");
        let at = problem.column.as_deref().map(plain);
        let at = at.map_or_else(String::new, |column| format!(" at {column}"));
        let (row, message) = (problem.row, plain(&problem.message));
        append(
            &mut text,
            format_args!("{file}:{row}: {error}{at}: {message}\n"),
        );
    }
    let Taken { drafted, unchanged } = outcome.taken;
    let id = arguments.batch_id;
    if !outcome.problems.is_empty() {
        let problems = counted(count(outcome.problems.len()), "problem", "problems");
        let nothing = if outcome.rows == 0 {
            "nothing of the table was taken".to_owned()
        } else {
            let rows = counted(count(outcome.rows), "row", "rows");
            format!("the first {rows} were taken, {drafted} of them as drafts, and nothing more")
        };
        append(
            &mut text,
            format_args!("\n{problems}: {nothing}. Mend the table, and send it again.\n"),
        );
        return text;
    }
    let drafts = counted(drafted, "row became a draft", "rows became drafts");
    append(
        &mut text,
        format_args!("{drafts}; {} asked for nothing new.\n", grouped(unchanged)),
    );
    if drafted > 0 {
        append(
            &mut text,
            format_args!(
                "Send them with: weir drafts confirm {id}\nDrop them with: weir drafts discard {id}\n"
            ),
        );
    }
    text
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
