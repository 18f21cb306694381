//! Follows a file until nothing more happens to it.
//!
//! First the file is asked for until it is Processed or Error, then its batches until none is
//! Unprocessed. The list of batches comes from an index that may lag behind, so it counts as final
//! only when two readings in a row agree. A failure that passes by itself is waited out for
//! [`PATIENCE`]; the service goes on working whether or not anybody watches.

use std::time::Duration;

use weir_domain::{BatchStatus, FileStatus};
use weir_runtime::Clock;

use crate::api::{Api, ApiError, Batch, File};
use crate::progress::Progress;

/// The first pause between two questions.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long answers may stay away before the watch is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What has been seen of a file.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The file.
    pub(crate) file: File,
    /// Its batches, once they were asked for.
    pub(crate) batches: Option<Vec<Batch>>,
    /// Whether nothing more will happen by itself.
    pub(crate) done: bool,
}

impl Seen {
    /// What is known once the file itself is.
    pub(crate) fn new(file: File) -> Self {
        Self {
            done: file.status == FileStatus::Error,
            file,
            batches: None,
        }
    }

    /// Whether the file is Processed and yet shows no batch: a file has one at least, so its
    /// outcome is not known.
    pub(crate) fn shows_nothing(&self) -> bool {
        self.file.status == FileStatus::Processed
            && self.batches.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether the file or anything of it is in error.
    pub(crate) fn is_in_error(&self) -> bool {
        let in_error = |batches: &Vec<Batch>| batches.iter().any(Batch::is_in_error);
        self.file.status == FileStatus::Error || self.batches.as_ref().is_some_and(in_error)
    }
}

/// Pauses that grow by half from [`PAUSE_MIN`] to [`PAUSE_MAX`].
pub(crate) struct Pace(Duration);

impl Pace {
    /// From the shortest.
    pub(crate) fn start() -> Self {
        Self(PAUSE_MIN)
    }

    /// The next pause.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 3 / 2).min(PAUSE_MAX);
        pause
    }
}

/// Asks once for what there is to see.
pub(crate) async fn glance(api: &Api, seen: &mut Seen) -> Result<(), ApiError> {
    if matches!(seen.file.status, FileStatus::Stored | FileStatus::Error) {
        return Ok(());
    }
    let batches = api.batches(seen.file.id).await?;
    seen.done = seen.file.is_done() && !is_open(&batches);
    seen.batches = Some(batches);
    Ok(())
}

/// Asks until nothing more happens. When dropped or failed, `seen` holds what was seen last.
pub(crate) async fn follow(
    api: &Api,
    clock: &Clock,
    seen: &mut Seen,
    progress: &mut Progress<'_>,
) -> Result<(), ApiError> {
    let id = seen.file.id;
    let mut pace = Pace::start();
    progress.file(&seen.file);
    while !seen.file.is_done() {
        clock.sleep(pace.next()).await;
        seen.file = patiently(clock, progress, async || api.file(id).await).await?;
        progress.file(&seen.file);
    }
    if seen.file.status == FileStatus::Error {
        seen.done = true;
        return Ok(());
    }
    let mut pace = Pace::start();
    loop {
        let batches = patiently(clock, progress, async || api.batches(id).await).await?;
        progress.batches(&batches);
        let is_open = is_open(&batches);
        let is_confirmed = seen.batches.as_ref() == Some(&batches);
        seen.batches = Some(batches);
        if !is_open && is_confirmed {
            seen.done = true;
            return Ok(());
        }
        if !is_open {
            pace = Pace::start();
        }
        clock.sleep(pace.next()).await;
    }
}

fn is_open(batches: &[Batch]) -> bool {
    batches
        .iter()
        .any(|batch| batch.status == BatchStatus::Unprocessed)
}

/// Asks again while the failure is one that passes, for [`PATIENCE`] at most.
pub(crate) async fn patiently<T>(
    clock: &Clock,
    progress: &mut Progress<'_>,
    ask: impl AsyncFnMut() -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    patiently_for(PATIENCE, clock, progress, ask).await
}

/// Asks again while the failure is one that passes, for so long at most.
pub(crate) async fn patiently_for<T>(
    limit: Duration,
    clock: &Clock,
    progress: &mut Progress<'_>,
    mut ask: impl AsyncFnMut() -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let begun = clock.monotonic();
    let mut pace = Pace::start();
    loop {
        let error = match ask().await {
            Ok(answer) => {
                progress.answered();
                return Ok(answer);
            }
            Err(error) => error,
        };
        let Some(wanted) = error.passes() else {
            return Err(error);
        };
        let pause = wanted.max(pace.next());
        let elapsed = clock.monotonic().saturating_sub(begun);
        if elapsed.saturating_add(pause) > limit {
            return Err(error);
        }
        progress.unanswered(&error);
        clock.sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_a_fifth_of_a_second_to_two_seconds() {
        let mut pace = Pace::start();
        let pauses: Vec<_> = (0..9).map(|_| pace.next().as_millis()).collect();
        assert_eq!(pauses, [200, 300, 450, 675, 1012, 1518, 2000, 2000, 2000]);
    }
}
