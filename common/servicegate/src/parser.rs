//! The reader without input: bytes are pushed in, items are taken out.

use std::io::BufRead;

use quick_xml::Reader as Tokens;
use quick_xml::events::Event;

use crate::chars::{blank_len, excerpt, is_blank};
use crate::machine::{Flaw, Flow, Machine, Work};
use crate::state::{HeaderState, Pending, Phase, State};
use crate::window::Window;
use crate::{Checkpoint, FileProblem, FileRule, FileSummary, Item, Limit, Limits, Position};

/// What a reader keeps to, and what it keeps.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The limits; the format's by default.
    pub limits: Limits,
    /// Whether records and batch headers carry their source text. It is not needed for a check.
    pub keep_xml: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            keep_xml: true,
        }
    }
}

/// What a parser wants or has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The next item.
    Item(Item),
    /// Push more bytes, or say that there are none.
    NeedInput,
    /// Go back (or, when a batch's header stands behind its records, forward to it and back) and
    /// push from this byte of the file on, as if reading had been resumed there.
    Rewind {
        /// The byte of the file as uploaded.
        byte_offset: u64,
    },
    /// The file has ended; the last item was [`Item::End`].
    Done,
}

/// Reads a settlement file that is pushed in, in pieces of any size.
///
/// Memory is bounded by the limits and the largest piece: pieces of 64 KiB to 1 MiB are best. A
/// consumer that settles must have seen [`Item::End`] with no problems before it takes anything.
///
/// ```
/// use weir_servicegate::{Item, Options, Parser, Step};
///
/// # fn main() -> Result<(), weir_servicegate::FileProblem> {
/// let file: &[u8] = b"<SettlementFile version='2.0'>...";
/// let mut pieces = file.chunks(16);
/// let mut parser = Parser::new(Options::default());
/// let problem = loop {
///     match parser.next() {
///         Ok(Step::NeedInput) => match pieces.next() {
///             Some(piece) => parser.push(piece),
///             None => parser.finish(),
///         },
///         // Only when a batch's header stands behind its records.
///         Ok(Step::Rewind { byte_offset }) => pieces = file[byte_offset as usize..].chunks(16),
///         Ok(Step::Item(Item::Record(record))) => println!("{:?}", record.transaction),
///         Ok(Step::Item(_)) => {}
///         Ok(Step::Done) => return Ok(()),
///         Err(problem) => break problem,
///     }
/// };
/// assert_eq!(problem.rule.code(), "file.cut_off");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Parser {
    window: Window,
    state: State,
    work: Work,
    options: Options,
    /// Where to go back to, while the header of the current batch is looked for.
    ahead: Option<Box<Checkpoint>>,
    /// How much unread text is worth another try at the token that was not complete.
    wanted: usize,
    failed: Option<Box<FileProblem>>,
}

/// The longest markup around a text: `<![CDATA[` and `]]>`.
const MARKUP_BYTES_MAX: usize = 12;

/// How a run over the window ended.
enum Outcome {
    Produced,
    LookAhead,
    /// What follows the cursor is not a whole token.
    Starved,
}

impl Parser {
    /// Begins with a file's first byte.
    pub fn new(options: Options) -> Self {
        let window = Window::new(options.limits.file_bytes);
        Self::with(window, State::default(), options)
    }

    /// Goes on after a checkpoint; the first byte pushed must be that at
    /// [`Checkpoint::byte_offset`] of the same file.
    pub fn resume(checkpoint: Checkpoint, options: Options) -> Self {
        let Checkpoint {
            encoding,
            position,
            state,
        } = checkpoint;
        let window = Window::resume(encoding, position, options.limits.file_bytes);
        Self::with(window, state, options)
    }

    fn with(window: Window, state: State, options: Options) -> Self {
        Self {
            window,
            state,
            work: Work::default(),
            options,
            ahead: None,
            wanted: 0,
            failed: None,
        }
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.window.push(bytes);
    }

    /// Says that the file has no more bytes.
    pub fn finish(&mut self) {
        self.window.finish();
    }

    /// Bytes of the file that have been taken in.
    pub fn bytes_received(&self) -> u64 {
        self.window.received()
    }

    /// What comes next. After a problem that ends the reading, the same problem again.
    #[expect(
        clippy::should_implement_trait,
        reason = "a step can ask for input, which no iterator does"
    )]
    pub fn next(&mut self) -> Result<Step, FileProblem> {
        loop {
            if let Some(problem) = &self.failed {
                return Err((**problem).clone());
            }
            if let Some(record) = self.work.record.take() {
                return Ok(Step::Item(Item::Record(record)));
            }
            if let Some(pending) = self.state.pending.pop_front() {
                return Ok(Step::Item(pending.into()));
            }
            if self.state.phase == Phase::End {
                return Ok(Step::Done);
            }
            let unread = self.window.text().len() - self.window.cursor();
            let more = !self.window.complete() && self.window.flaw().is_none();
            if more && unread < self.wanted.max(1) {
                return Ok(Step::NeedInput);
            }
            match self.run() {
                Ok(Outcome::Produced) => {
                    if let Some(byte_offset) = self.header_found() {
                        return Ok(Step::Rewind { byte_offset });
                    }
                }
                Ok(Outcome::LookAhead) => self.look_ahead(),
                Ok(Outcome::Starved) => {
                    if let Err(flaw) = self.starve() {
                        self.fail(flaw);
                    }
                }
                Err(flaw) => self.fail(flaw),
            }
        }
    }

    /// Where the parser stands, to go on from there another time. There is one after every item;
    /// none amid a header or record, as after [`Step::NeedInput`], or after a failure.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let between = !self.work.capture.active() && self.ahead.is_none() && self.failed.is_none();
        (between && self.state.phase != Phase::Start).then(|| self.here())
    }

    fn here(&self) -> Checkpoint {
        Checkpoint {
            encoding: self.window.encoding(),
            position: self.window.position(self.window.cursor()),
            state: self.state.clone(),
        }
    }

    fn fail(&mut self, Flaw { rule, at }: Flaw) {
        self.state.problems += 1;
        self.failed = Some(Box::new(FileProblem {
            rule,
            position: self.window.position(at),
            path: self.state.path(),
        }));
    }

    /// Reads whole tokens until something is produced or the text ends.
    fn run(&mut self) -> Result<Outcome, Flaw> {
        let window = &self.window;
        let from = window.cursor();
        let text = window.text();
        let last = window.complete() && window.flaw().is_none();
        let mut machine = Machine {
            state: &mut self.state,
            work: &mut self.work,
            window,
            limits: &self.options.limits,
            keep_xml: self.options.keep_xml,
            ahead: self.ahead.is_some(),
            kept: window.kept(),
            cursor: from,
        };
        let result = read_tokens(&mut machine, text, from, last);
        let (cursor, kept) = (machine.cursor, machine.kept);
        self.window.advance(cursor, kept);
        result
    }

    /// What to do when the text in the window does not hold another whole token.
    fn starve(&mut self) -> Result<(), Flaw> {
        let (cursor, end) = (self.window.cursor(), self.window.text().len());
        let unread = self.window.text().get(cursor..).unwrap_or_default();
        self.check_partial(unread, cursor)?;
        if let Some(rule) = self.window.flaw() {
            return Err(Flaw::new(rule.clone(), end));
        }
        if !self.window.complete() {
            // Tried again only when it has doubled, so that tiny pieces do not cost a square.
            self.wanted = unread.len().saturating_mul(2);
            return Ok(());
        }
        self.wanted = 0;
        let missing = match self.state.frames.len().checked_sub(1) {
            Some(top) => format!("`</{}>`", excerpt(self.state.name_of(top))),
            None if self.state.phase != Phase::Epilog => "its root element".to_owned(),
            None if is_blank(unread) => {
                self.end();
                return Ok(());
            }
            None => "the end of what is begun".to_owned(),
        };
        Err(Flaw::new(FileRule::CutOff { missing }, end))
    }

    /// Refuses the beginning of a token that can become none, or only one that is too long.
    ///
    /// What a token alone passes is raised here; what it passes together with what is before it,
    /// when it is complete. So it does not matter where the window happens to end.
    fn check_partial(&self, unread: &str, from: usize) -> Result<(), Flaw> {
        let limits = &self.options.limits;
        let blank = blank_len(unread);
        let start = from + blank;
        let partial = unread.get(blank..).unwrap_or_default();
        let begins = |opening: &str| partial.starts_with(opening);
        let may_begin = |opening: &str| begins(opening) || opening.starts_with(partial);
        if begins("<!D") || begins("<!d") {
            return Err(Flaw::new(FileRule::Doctype, start));
        }
        if begins("<!") && !may_begin("<!--") && !may_begin("<![CDATA[") {
            let detail = "`<!` begins neither a comment nor character data";
            return Err(Flaw::malformed(detail, start));
        }
        let is_markup = begins("<");
        let is_tag = is_markup && !begins("<!") && !begins("<?");
        if is_tag && partial.len() > limits.transaction_bytes {
            let max = limits.transaction_bytes as u64;
            let at = self.window.kept().unwrap_or(start);
            return Err(Flaw::limit(Limit::TransactionBytes, max, at));
        }
        let long = match (is_tag, is_markup) {
            (true, _) => blank,
            (_, true) => blank.max(partial.len().saturating_sub(MARKUP_BYTES_MAX)),
            _ => unread.len(),
        };
        if long > limits.text_bytes {
            let space_fits = blank <= limits.text_bytes;
            let at = if is_markup && space_fits { start } else { from };
            return Err(Flaw::limit(Limit::TextBytes, limits.text_bytes as u64, at));
        }
        Ok(())
    }

    fn end(&mut self) {
        self.state.phase = Phase::End;
        self.state.pending.push_back(Pending::End(FileSummary {
            batches: self.state.batches,
            records: self.state.records,
            errors: self.state.errors,
            problems: self.state.problems,
            bytes: self.window.received(),
        }));
    }

    /// Reads on without taking records, until the batch's header is met.
    fn look_ahead(&mut self) {
        self.window.reach(self.window.cursor());
        self.ahead = Some(Box::new(self.here()));
    }

    /// Goes back with the header that has been found, or found missing.
    fn header_found(&mut self) -> Option<u64> {
        let header = match &self.state.batch.as_ref()?.header {
            _ if self.ahead.is_none() => return None,
            HeaderState::Unseen => {
                // What else is wrong on the way is noted when it is read in its turn.
                self.state.pending.clear();
                return None;
            }
            HeaderState::Read(header) => HeaderState::Ahead(header.clone()),
            other => other.clone(),
        };
        let Checkpoint {
            encoding,
            position,
            state: mut before,
        } = *self.ahead.take()?;
        let problems = |pending: &&Pending| matches!(pending, Pending::Problem(_));
        before.problems += self.state.pending.iter().filter(problems).count() as u64;
        before.pending = std::mem::take(&mut self.state.pending);
        if let Some(batch) = before.batch.as_mut() {
            batch.header = header;
        }
        self.state = before;
        self.window = Window::resume(encoding, position, self.options.limits.file_bytes);
        self.wanted = 0;
        Some(position.byte)
    }

    /// Where the parser is; for progress and for messages.
    pub fn position(&self) -> Position {
        self.window.position(self.window.cursor())
    }
}

/// Reads tokens from `from` on; `last` when nothing comes after the text.
fn read_tokens(
    machine: &mut Machine<'_>,
    text: &str,
    from: usize,
    last: bool,
) -> Result<Outcome, Flaw> {
    let Some(from) = leading_mark(machine, text, from, last)? else {
        return Ok(Outcome::Starved);
    };
    let unread = text.get(from..).unwrap_or_default();
    let mut tokens = Tokens::from_str(unread);
    let config = tokens.config_mut();
    // The names are compared here, where they outlive the window.
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    // Half of all tokens would be the white space between elements. It is passed over here, and
    // looked at in the window where it matters.
    config.trim_text_start = true;
    let offset_of = |tokens: &Tokens<&[u8]>| {
        usize::try_from(tokens.buffer_position()).map_or(text.len(), |offset| from + offset)
    };
    loop {
        let at = offset_of(&tokens);
        let event = tokens.read_event();
        let end = offset_of(&tokens);
        match event {
            Ok(Event::Eof) => return Ok(Outcome::Starved),
            // Text up to the end of the window may go on after it.
            Ok(Event::Text(_)) if end == text.len() && !last => return Ok(Outcome::Starved),
            Ok(event) => match machine.token(&event, at, end)? {
                // Only after a tag is the tokenizer surely between two tokens: after a text it has
                // already seen the next `<`.
                Flow::Go if matches!(event, Event::Start(_) | Event::End(_) | Event::Empty(_)) => {
                    let plain = machine.plain_elements(end);
                    tokens.stream().consume(plain - end);
                    machine.cursor = plain;
                }
                Flow::Go => machine.cursor = end,
                Flow::Stop => {
                    machine.cursor = end;
                    return Ok(Outcome::Produced);
                }
                Flow::LookAhead => return Ok(Outcome::LookAhead),
            },
            Err(error) => {
                let at = at + blank_len(text.get(at..).unwrap_or_default());
                // An error at the end of the window may be only a token that is not all there.
                let incomplete = end >= text.len() || text.len() - at < "<![CDATA[".len();
                if incomplete {
                    return Ok(Outcome::Starved);
                }
                let detail = error.to_string();
                return Err(Flaw::new(FileRule::Malformed { detail }, at));
            }
        }
    }
}

/// Reads a text that begins with U+FEFF. The tokenizer would take that for a byte order mark
/// wherever it is started, and drop it. Gives where the tokenizer may begin; none when the text
/// does not end in the window.
fn leading_mark(
    machine: &mut Machine<'_>,
    text: &str,
    from: usize,
    last: bool,
) -> Result<Option<usize>, Flaw> {
    let unread = text.get(from..).unwrap_or_default();
    if !unread.starts_with('\u{FEFF}') {
        return Ok(Some(from));
    }
    let end = match unread.find(['<', '&']) {
        Some(end) => end,
        None if last => unread.len(),
        None => return Ok(None),
    };
    let (piece, _) = unread.split_at(end);
    let end = from + end;
    let event = Event::Text(quick_xml::events::BytesText::from_escaped(piece));
    machine.token(&event, from, end)?;
    machine.cursor = end;
    Ok(Some(end))
}
