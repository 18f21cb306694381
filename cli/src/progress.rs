//! Progress on standard error: bars on a terminal, a line a step elsewhere, nothing with `--json`.
//!
//! Up to [`BATCH_BARS_MAX`] batches have a bar each; more share one.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use uuid::Uuid;
use weir_domain::{BatchStatus, FileStatus};

use crate::api::{ApiError, Batch, File};
use crate::text::{append, counted, cut, grouped, plain};

/// Most batches that get a bar of their own.
const BATCH_BARS_MAX: usize = 10;
/// So many entries of a file take a while.
const ENTRIES_MANY: usize = 500;
/// Widest that a bar's name gets, in terminal columns.
const NAME_WIDTH_MAX: usize = 28;

/// Where progress is shown.
pub(crate) enum Look {
    /// As bars.
    Bars(ProgressDrawTarget),
    /// As lines.
    Lines,
    /// Not at all.
    Silent,
}

/// What is shown of a command while it runs.
pub(crate) struct Progress<'a> {
    lines: Option<&'a mut dyn Write>,
    bars: MultiProgress,
    stage: Option<ProgressBar>,
    by_batch: BTreeMap<Uuid, ProgressBar>,
    status: Option<FileStatus>,
    batches_done: Option<usize>,
    left: Option<u64>,
    is_unanswered: bool,
}

impl<'a> Progress<'a> {
    /// Progress as `look` says; lines go to `stderr`.
    pub(crate) fn new(look: Look, stderr: &'a mut dyn Write) -> Self {
        let (target, lines) = match look {
            Look::Bars(target) => (target, None),
            Look::Lines => (ProgressDrawTarget::hidden(), Some(stderr)),
            Look::Silent => (ProgressDrawTarget::hidden(), None),
        };
        Self {
            lines,
            bars: MultiProgress::with_draw_target(target),
            stage: None,
            by_batch: BTreeMap::new(),
            status: None,
            batches_done: None,
            left: None,
            is_unanswered: false,
        }
    }

    /// A bar over the bytes of a file; whoever holds it moves it.
    pub(crate) fn bytes(&mut self, what: &str, bytes: u64) -> ProgressBar {
        self.stage(
            "{prefix} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}",
            what,
            Some(bytes),
        )
    }

    /// How much of a file is sent, and how much of that in the time that has passed, for who sees no bar.
    pub(crate) fn sent(&mut self, sent: u64, all: u64, moved: u64, elapsed: Duration) {
        self.tick();
        let rate = moved.checked_div(elapsed.as_secs()).unwrap_or(moved);
        let [sent, all, rate] = [sent, all, rate].map(HumanBytes);
        self.line(|| format!("{sent} of {all} sent, {rate} a second"));
    }

    /// Some parts of a file need not be sent, for who sees no bar.
    pub(crate) fn there(&mut self, parts: usize, all: usize) {
        let all = counted(count(all), "part", "parts");
        self.line(|| format!("{} of {all} are there already", grouped(count(parts))));
    }

    /// A part did not arrive, and is sent again after a pause; the others go on.
    pub(crate) fn part_again(&mut self, number: u32, reason: &str, pause: Duration) {
        let reason = plain(reason);
        self.line(|| {
            format!(
                "part {number}: {reason}; sending it again in {} s",
                pause.as_secs()
            )
        });
    }

    /// A file did not arrive, and is sent again after a pause.
    pub(crate) fn again(&mut self, reason: &str, pause: Duration) {
        let reason = plain(reason);
        self.line(|| format!("{reason}; sending again in {} s", pause.as_secs()));
        if let Some(stage) = &self.stage {
            stage.set_prefix(format!("{} (again)", stage.prefix()));
        }
    }

    /// A bar over the entries of a file; whoever holds it moves it. Elsewhere a line, if they are many.
    pub(crate) fn entries(&mut self, what: &str, entries: usize) -> ProgressBar {
        if entries >= ENTRIES_MANY {
            let all = counted(count(entries), "entry", "entries");
            self.line(|| format!("{what} {all}"));
        }
        self.stage(
            "{prefix} [{bar:30}] {pos}/{len}",
            what,
            Some(count(entries)),
        )
    }

    /// How much is left of something that goes on, of all that there was.
    pub(crate) fn task(&mut self, what: &str, left: u64, all: u64) {
        if self.left.replace(left) == Some(left) {
            self.tick();
            return;
        }
        let left = left.min(all);
        self.line(|| format!("{what}: {} of {} left", grouped(left), grouped(all)));
        let is_new = self.stage.as_ref().is_none_or(|bar| bar.prefix() != what);
        if is_new {
            self.stage("{prefix} [{bar:30}] {pos}/{len} {msg}", what, Some(all));
        }
        if let Some(bar) = &self.stage {
            bar.set_position(all.saturating_sub(left));
        }
    }

    /// Where the file stands.
    pub(crate) fn file(&mut self, file: &File) {
        if self.status.replace(file.status) == Some(file.status) {
            self.tick();
            return;
        }
        let name = file.name.as_deref().map(plain).unwrap_or_default();
        let said = format!("file {} {name}: {}", file.id, file.status).replace("  ", " ");
        self.line(|| said.clone());
        self.stage("{spinner} {prefix} {msg}", &said, None);
    }

    /// Where the batches stand.
    pub(crate) fn batches(&mut self, batches: &[Batch]) {
        let is_done = |batch: &&Batch| batch.status != BatchStatus::Unprocessed;
        let done = batches.iter().filter(is_done).count();
        if self.batches_done.replace(done) != Some(done) {
            let all = counted(count(batches.len()), "batch", "batches");
            self.line(|| format!("{} of {all} done", grouped(count(done))));
        }
        if batches.len() > BATCH_BARS_MAX {
            self.one_bar(batches);
        } else {
            self.bar_each(batches);
        }
    }

    /// An answer stayed away and is asked for again.
    pub(crate) fn unanswered(&mut self, error: &ApiError) {
        if !self.is_unanswered {
            self.is_unanswered = true;
            self.line(|| format!("{error}; asking again"));
            if let Some(stage) = &self.stage {
                stage.set_message("(no answer, asking again)");
            }
        }
        self.tick();
    }

    /// Answers come again.
    pub(crate) fn answered(&mut self) {
        self.is_unanswered = false;
        if let Some(stage) = &self.stage {
            stage.set_message("");
        }
    }

    /// Takes all bars off the terminal.
    pub(crate) fn clear(&mut self) {
        // A terminal that is gone has no bars either.
        let _ = self.bars.clear();
        self.stage = None;
        self.by_batch.clear();
    }

    fn one_bar(&mut self, batches: &[Batch]) {
        let (mut details, mut done, mut errors) = (0_u64, 0_u64, 0_u64);
        for batch in batches {
            details = details.saturating_add(batch.batch_detail_count);
            done = done.saturating_add(batch.done_count());
            errors = errors.saturating_add(batch.batch_detail_error_count);
        }
        let name = counted(count(batches.len()), "batch", "batches");
        if !self.by_batch.is_empty() || self.stage.as_ref().is_none_or(|bar| bar.prefix() != name) {
            self.clear();
            self.stage(BATCH_TEMPLATE, &name, Some(details));
        }
        if let Some(bar) = &self.stage {
            move_to(bar, done, details, errors);
        }
    }

    fn bar_each(&mut self, batches: &[Batch]) {
        for batch in batches {
            let bar = self.by_batch.entry(batch.id).or_insert_with(|| {
                let bar = bar(BATCH_TEMPLATE, Some(batch.batch_detail_count));
                let bar = self.bars.add(bar);
                let name = format!("{} {}", batch.label(), batch.seller());
                bar.set_prefix(cut(&name, NAME_WIDTH_MAX));
                bar
            });
            let (done, all) = (batch.done_count(), batch.batch_detail_count);
            move_to(bar, done, all, batch.batch_detail_error_count);
        }
        self.tick();
    }

    fn stage(&mut self, template: &str, name: &str, length: Option<u64>) -> ProgressBar {
        if let Some(before) = self.stage.take() {
            before.finish_and_clear();
            self.bars.remove(&before);
        }
        let bar = self.bars.insert(0, bar(template, length));
        bar.set_prefix(name.to_owned());
        bar.tick();
        self.stage = Some(bar.clone());
        bar
    }

    fn tick(&self) {
        if let Some(stage) = &self.stage {
            stage.tick();
        }
    }

    fn line(&mut self, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            // Nobody reads progress on a closed pipe, and the result does not depend on it.
            let _ = writeln!(lines, "{}", text());
        }
    }
}

const BATCH_TEMPLATE: &str = "{prefix:28} [{bar:30}] {msg}";

fn bar(template: &str, length: Option<u64>) -> ProgressBar {
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    // The templates are constants; a wrong one would show in the tests as the default bar.
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

fn move_to(bar: &ProgressBar, done: u64, all: u64, errors: u64) {
    let mut said = format!("{}/{}", grouped(done), grouped(all));
    if errors > 0 {
        append(&mut said, format_args!(", {} in error", grouped(errors)));
    }
    bar.set_length(all);
    bar.set_position(done);
    bar.set_message(said);
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;
    use serde_json::{from_value, json};

    use super::*;

    /// A terminal that remembers all that was ever written to it.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)?;
            self.write_str("\n")
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Screen {
        fn look(&self) -> Look {
            Look::Bars(ProgressDrawTarget::term_like(Box::new(self.clone())))
        }

        /// What was written since it was last asked.
        fn written(&self) -> String {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    fn batches(count: u32, unprocessed: u32) -> Vec<Batch> {
        let batch = |n| {
            from_value(json!({
                "id": Uuid::from_u128(n), "batch_number": format!("B-{n:02}"),
                "seller_name": "Northwind\u{1b}[2J", "status": "Unprocessed",
                "batch_detail_count": 2000, "batch_detail_unprocessed_count": unprocessed,
                "batch_detail_error_count": 1500 - unprocessed,
            }))
        };
        (1..=u128::from(count)).map(|n| batch(n).unwrap()).collect()
    }

    fn file(status: &str) -> File {
        from_value(json!({"id": Uuid::nil(), "name": "a.xml", "status": status})).unwrap()
    }

    #[test]
    fn up_to_ten_batches_have_a_bar_each_and_more_share_one() {
        for (count, bars) in [(1, 1), (10, 10), (11, 0)] {
            let (screen, mut stderr) = (Screen::default(), Vec::new());
            let mut progress = Progress::new(screen.look(), &mut stderr);
            progress.file(&file("Processed"));
            assert!(screen.written().contains("a.xml: Processed"));
            progress.batches(&batches(count, 1500));
            progress.batches(&batches(count, 500));
            let written = screen.written();
            let names = batches(count, 0).into_iter().map(|batch| batch.label());
            assert_eq!(
                names.filter(|name| written.contains(name)).count(),
                bars,
                "{written}"
            );
            if bars > 0 {
                assert!(written.contains("1 500/2 000, 1 000 in error"), "{written}");
                assert!(!written.contains("\u{1b}[2J"), "{written}");
            } else {
                assert!(written.contains("11 batches"), "{written}");
                assert!(
                    written.contains("16 500/22 000, 11 000 in error"),
                    "{written}"
                );
            }
            progress.clear();
            drop(progress);
            assert!(stderr.is_empty());
        }
    }

    #[test]
    fn elsewhere_than_on_a_terminal_every_step_is_one_line() {
        let mut stderr = Vec::new();
        let mut progress = Progress::new(Look::Lines, &mut stderr);
        for status in ["Processing", "Processing", "Processed"] {
            progress.file(&file(status));
        }
        for unprocessed in [1500, 500, 400] {
            progress.batches(&batches(2, unprocessed));
        }
        let id = Uuid::nil();
        let expected = format!(
            "file {id} a.xml: Processing\nfile {id} a.xml: Processed\n0 of 2 batches done\n"
        );
        assert_eq!(String::from_utf8(stderr).unwrap(), expected);
    }

    #[test]
    fn silence_is_silent() {
        let mut stderr = Vec::new();
        let mut progress = Progress::new(Look::Silent, &mut stderr);
        progress.file(&file("Processing"));
        progress.batches(&batches(2, 0));
        progress.bytes("uploading a.xml", 7).inc(7);
        assert!(stderr.is_empty());
    }
}
