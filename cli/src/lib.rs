//! The `weir` command: checks a settlement file on this machine, submits it, and follows what becomes
//! of it; cancels, retries and mends what it holds; looks after the keys of the API and the messages
//! that bring reference data, and loads it out of files.
//!
//! Everything that the command takes from outside (time, randomness, connections, settings, its input
//! and its two outputs, whether they are terminals, the wish to stop) comes in as [`Outside`], so that
//! tests own it.
//!
//! Invariants: standard output carries the result alone and is written once, at the end; progress,
//! errors and hints go to standard error; the API key that is used is never shown, one that is made
//! only then. The codes that the process ends with are listed by `weir --help`.

mod api;
mod arguments;
mod batches;
mod failure;
mod follow;
mod keys;
mod messages;
mod progress;
mod seed;
mod status;
mod submit;
mod summary;
mod text;
mod validate;
mod watch;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead, Write};

use clap::Parser;
use futures::future::BoxFuture;
use indicatif::ProgressDrawTarget;
use weir_runtime::{Clock, Http, HttpError, Random, Reader};

use arguments::{Arguments, Command, Connection, Output, Status, Submit, Validate};
use failure::Failure;
use progress::{Look, Progress};
pub use submit::WHOLE_BYTES_MAX;
use text::Paint;
use watch::Session;

/// Makes the client for outgoing HTTP; called only by commands that need it.
pub type Connect<'a> = &'a dyn Fn() -> Result<Http, HttpError>;

/// Reads the settings of the tables; called only by commands that need them.
pub type Settings<'a> = &'a dyn Fn() -> Reader;

/// What the command takes from outside.
pub struct Outside<'a> {
    /// Time.
    pub clock: Clock,
    /// Randomness, for correlation ids.
    pub random: Random,
    /// Connections.
    pub connect: Connect<'a>,
    /// Settings of the tables.
    pub settings: Settings<'a>,
    /// Where answers come from; `None` when there is nobody to ask.
    pub answers: Option<&'a mut dyn BufRead>,
    /// Where the result goes.
    pub stdout: &'a mut dyn Write,
    /// Where progress, errors and hints go.
    pub stderr: &'a mut dyn Write,
    /// Whether results may be coloured.
    pub stdout_colours: bool,
    /// Whether errors and hints may be coloured.
    pub stderr_colours: bool,
    /// Whether progress may be drawn over what is on the terminal behind standard error.
    pub stderr_is_terminal: bool,
    /// Most bytes of a file that `submit` sends in one go: [`WHOLE_BYTES_MAX`], or fewer for whoever
    /// tries how it sends parts.
    pub whole_bytes_max: u64,
    /// Ends when the command is to stop. Not asked by a command that is done without waiting.
    pub interrupt: BoxFuture<'static, ()>,
}

impl fmt::Debug for Outside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").finish_non_exhaustive()
    }
}

/// What a command has to say at its end.
struct Report {
    stdout: String,
    stderr: String,
    exit_code: u8,
}

/// Runs the command that `arguments` say, the first of them being the command's own name, and gives
/// the code that the process is to end with.
pub async fn run(arguments: impl IntoIterator<Item = OsString>, mut outside: Outside<'_>) -> u8 {
    let paint_stderr = Paint(outside.stderr_colours);
    let report = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => dispatch(arguments.command, &mut outside).await,
        Err(refusal) => Ok(usage(&refusal, &outside)),
    };
    let report = report.unwrap_or_else(|failure| Report {
        stdout: String::new(),
        stderr: failure.render(paint_stderr),
        exit_code: failure.exit_code(),
    });
    // Without standard error there is nobody to tell that there is none.
    let _ = outside.stderr.write_all(report.stderr.as_bytes());
    let written = outside.stdout.write_all(report.stdout.as_bytes());
    match written.and_then(|()| outside.stdout.flush()) {
        Ok(()) => report.exit_code,
        // Whoever closed the pipe has read enough; the verdict is the same.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => report.exit_code,
        Err(error) => {
            let failure = Failure::Output(error);
            let _ = outside
                .stderr
                .write_all(failure.render(paint_stderr).as_bytes());
            failure.exit_code()
        }
    }
}

async fn dispatch(command: Command, outside: &mut Outside<'_>) -> Result<Report, Failure> {
    match command {
        Command::Validate(arguments) => validate(&arguments, outside),
        Command::Submit(arguments) => submit(&arguments, outside).await,
        Command::Status(arguments) => status(&arguments, outside).await,
        Command::Cancel(arguments) => batches::cancel(&arguments, outside).await,
        Command::Retry(arguments) => batches::retry(&arguments, outside).await,
        Command::Errors(arguments) => batches::errors(&arguments, outside).await,
        Command::Drafts(arguments) => batches::drafts(&arguments, outside).await,
        Command::Keys(arguments) => keys::run(&arguments, outside).await,
        Command::Messages(arguments) => messages::run(&arguments, outside).await,
        Command::Seed(arguments) => seed::run(&arguments, outside).await,
    }
}

fn validate(arguments: &Validate, outside: &mut Outside<'_>) -> Result<Report, Failure> {
    let paint = Paint(outside.stdout_colours);
    let mut progress = progress(&arguments.output, outside);
    validate::run(arguments, paint, &mut progress)
}

async fn submit(arguments: &Submit, outside: &mut Outside<'_>) -> Result<Report, Failure> {
    let session = session(&arguments.connection, &arguments.output, outside)?;
    let (file, name) = (&arguments.file, arguments.name.as_deref());
    let upload = submit::Upload::open(file, name, outside.whole_bytes_max).await?;
    let mut progress = progress(&arguments.output, outside);
    submit::run(arguments, upload, session, &mut progress).await
}

async fn status(arguments: &Status, outside: &mut Outside<'_>) -> Result<Report, Failure> {
    let session = session(&arguments.connection, &arguments.output, outside)?;
    let mut progress = progress(&arguments.output, outside);
    status::run(arguments, session, &mut progress).await
}

fn session(
    connection: &Connection,
    output: &Output,
    outside: &mut Outside<'_>,
) -> Result<Session, Failure> {
    let never: BoxFuture<'static, ()> = Box::pin(std::future::pending());
    Ok(Session {
        api: watch::open(connection, outside.connect, &outside.clock, &outside.random)?,
        clock: outside.clock.clone(),
        interrupt: std::mem::replace(&mut outside.interrupt, never),
        json: output.json,
        paint: Paint(outside.stdout_colours),
        paint_stderr: Paint(outside.stderr_colours),
    })
}

fn progress<'a>(output: &Output, outside: &'a mut Outside<'_>) -> Progress<'a> {
    let look = if output.json {
        Look::Silent
    } else if outside.stderr_is_terminal {
        Look::Bars(ProgressDrawTarget::stderr())
    } else {
        Look::Lines
    };
    Progress::new(look, outside.stderr)
}

/// What the parser of the arguments has to say: help, the version, or what is wrong with them.
fn usage(refusal: &clap::Error, outside: &Outside<'_>) -> Report {
    let text = refusal.render();
    let (is_error, colours) = if refusal.use_stderr() {
        (true, outside.stderr_colours)
    } else {
        (false, outside.stdout_colours)
    };
    let text = if colours {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    let (stdout, stderr) = if is_error {
        (String::new(), text)
    } else {
        (text, String::new())
    };
    Report {
        stdout,
        stderr,
        exit_code: if is_error {
            failure::EXIT_USAGE
        } else {
            failure::EXIT_WELL
        },
    }
}
