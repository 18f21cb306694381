//! `weir errors get`: the details in error of a batch, as a table.
//!
//! Where the service says that the table is too large for one answer, and up to which line it fits, it
//! is fetched in parts. A file is written beside its place and put there when all of it is there.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use uuid::Uuid;
use weir_settlement::mend::csv_rows;

use super::arguments::Get;
use crate::api::{Part, Standing};
use crate::arguments::Output;
use crate::failure::{EXIT_WELL, Failure};
use crate::follow::patiently;
use crate::progress::Progress;
use crate::summary::to_json;
use crate::text::{counted, plain};
use crate::watch::Session;
use crate::{Outside, Report};

/// The document that `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    batch_id: Uuid,
    file_id: Uuid,
    rows: usize,
    out: &'a Path,
}

/// Fetches the table.
pub(super) async fn run(arguments: &Get, outside: &mut Outside<'_>) -> Result<Report, Failure> {
    let output = Output {
        json: arguments.json,
    };
    let mut session = crate::session(&arguments.connection, &output, outside)?;
    let mut sink = Sink::new(arguments.out.clone())?;
    let standing = session.api.standing(arguments.batch_id).await?;
    let mut progress = crate::progress(&output, outside);
    let fetched = fetch(&mut session, &standing, &mut sink, &mut progress).await;
    progress.clear();
    let rows = match fetched {
        Ok(rows) => rows,
        Err(failure) => {
            sink.give_up();
            return Err(failure);
        }
    };
    let text = sink.finish()?;
    let stdout = match &arguments.out {
        Some(out) if arguments.json => to_json(&Document {
            batch_id: standing.batch.id,
            file_id: standing.file_id,
            rows,
            out,
        }),
        Some(out) => format!(
            "{} in error of batch {} in {}\n",
            details(rows),
            plain(&standing.batch.label()),
            plain(&out.display().to_string())
        ),
        None => text,
    };
    let stderr = if arguments.json {
        String::new()
    } else {
        hint(arguments, rows, &session)
    };
    Ok(Report {
        stdout,
        stderr,
        exit_code: EXIT_WELL,
    })
}

fn details(rows: usize) -> String {
    counted(u64::try_from(rows).unwrap_or(u64::MAX), "detail", "details")
}

fn hint(arguments: &Get, rows: usize, session: &Session) -> String {
    let help = session.paint_stderr.note("help:");
    if rows == 0 {
        return format!("{help} no detail of the batch is in error\n");
    }
    let id = arguments.batch_id;
    let file = arguments.out.as_deref().map(Path::display);
    let file = file.map_or_else(|| "FILE".to_owned(), |file| plain(&file.to_string()));
    format!("{help} mend the table, then send it with: weir errors put {id} {file}\n")
}

/// Fetches all of it; gives how many rows it has.
async fn fetch(
    session: &mut Session,
    of: &Standing,
    sink: &mut Sink,
    progress: &mut Progress<'_>,
) -> Result<usize, Failure> {
    let Session {
        api,
        clock,
        interrupt,
        ..
    } = session;
    let lines = of.batch.batch_detail_count;
    let mut rows = 0;
    let (mut from, mut to) = (1, None);
    loop {
        let fetching = patiently(clock, progress, async || {
            api.errors_table(of, from, to).await
        });
        let part = tokio::select! {
            biased;
            () = &mut *interrupt => return Err(Failure::Interrupted),
            part = fetching => part?,
        };
        match part {
            // Smaller each time, so this ends.
            Part::UpTo(line) if line >= from && to.is_none_or(|to| line < to) => to = Some(line),
            Part::UpTo(line) => {
                return Err(sink.no_table(format!("the service gives no part up to line {line}")));
            }
            Part::Table(table) => {
                rows += sink.take(&table)?;
                let Some(last) = to.filter(|last| u64::from(*last) < lines) else {
                    return Ok(rows);
                };
                progress.task("fetching lines", lines.saturating_sub(last.into()), lines);
                (from, to) = (last.saturating_add(1), None);
            }
        }
    }
}

/// Where the table goes.
struct Sink {
    /// Where it is to be in the end; nowhere, for standard output.
    path: Option<PathBuf>,
    /// Where it is until then.
    file: Option<(PathBuf, File)>,
    text: String,
    has_header: bool,
}

impl Sink {
    fn new(path: Option<PathBuf>) -> Result<Self, Failure> {
        match path {
            Some(path) if path.exists() => Err(Failure::Exists(path)),
            path => Ok(Self {
                path,
                file: None,
                text: String::new(),
                has_header: false,
            }),
        }
    }

    /// Adds a part of the table, without its header unless it is the first; gives how many rows it has.
    fn take(&mut self, part: &[u8]) -> Result<usize, Failure> {
        let rows = csv_rows(part).map_err(|error| self.no_table(error.to_string()))?;
        let text = String::from_utf8_lossy(part);
        // No column's name has a line break.
        let body = text.split_once('\n').map_or("", |(_, body)| body);
        let text = if self.has_header { body } else { &text };
        self.has_header = true;
        let written = match &self.path {
            None => {
                self.text.push_str(text);
                Ok(())
            }
            Some(path) => {
                open(&mut self.file, path).and_then(|file| file.write_all(text.as_bytes()))
            }
        };
        written.map_err(|error| self.unwritable(error))?;
        Ok(rows.len().saturating_sub(1))
    }

    /// Puts the file in its place; gives what is for standard output.
    fn finish(mut self) -> Result<String, Failure> {
        if let (Some(path), Some((beside, mut file))) = (&self.path, self.file.take()) {
            let kept = file.flush().and_then(|()| file.sync_all());
            let kept = kept.and_then(|()| std::fs::rename(beside, path));
            kept.map_err(|error| self.unwritable(error))?;
        }
        Ok(self.text)
    }

    /// Leaves nothing.
    fn give_up(self) {
        if let Some((beside, file)) = self.file {
            drop(file);
            // What cannot be removed is not taken for the table.
            let _ = std::fs::remove_file(beside);
        }
    }

    fn no_table(&self, reason: String) -> Failure {
        let path = self.path.clone().unwrap_or_else(|| "the table".into());
        Failure::NoTable { path, reason }
    }

    fn unwritable(&self, error: io::Error) -> Failure {
        let path = self.path.clone().unwrap_or_default();
        Failure::Unwritable { path, error }
    }
}

/// The file beside the place, made when there is something to be kept.
fn open<'a>(file: &'a mut Option<(PathBuf, File)>, path: &Path) -> io::Result<&'a mut File> {
    let file = if let Some(file) = file {
        file
    } else {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".part");
        let made = File::create(&beside)?;
        file.insert((beside.into(), made))
    };
    Ok(&mut file.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_one_table_with_one_header() {
        let mut sink = Sink::new(None).unwrap();
        assert_eq!(sink.take(b"a,b\r\n1,\"x\r\ny\"\r\n").unwrap(), 1);
        assert_eq!(sink.take(b"a,b\r\n").unwrap(), 0);
        assert_eq!(sink.take(b"a,b\r\n2,z\r\n3,z\r\n").unwrap(), 2);
        let whole = "a,b\r\n1,\"x\r\ny\"\r\n2,z\r\n3,z\r\n";
        assert_eq!(sink.finish().unwrap(), whole);
    }

    #[test]
    fn a_file_is_in_its_place_only_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("errors.csv");
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        let mut sink = Sink::new(Some(path.clone())).unwrap();
        sink.take(b"a\r\n1\r\n").unwrap();
        assert!(!path.exists());
        sink.give_up();
        assert_eq!(names(), 0);
        let mut sink = Sink::new(Some(path.clone())).unwrap();
        sink.take(b"a\r\n1\r\n").unwrap();
        sink.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"a\r\n1\r\n");
        assert_eq!(names(), 1);
        assert!(matches!(Sink::new(Some(path)), Err(Failure::Exists(_))));
    }
}
