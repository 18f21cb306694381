//! From markup to elements: the document's own grammar, checked token by token.
//!
//! The tokens come from `quick-xml`, which by design accepts more than XML does. What it leaves
//! open is closed here: one root, every element closed by its own name, nothing but comments and
//! instructions around the root, no DOCTYPE, legal names, attributes, references and comments,
//! prefixes that are bound, and a limit on everything.

use quick_xml::events::Event;

use crate::capture::{Capture, Fault};
use crate::chars::{blank_len, excerpt, is_blank, is_plain_name, resolve_reference};
use crate::markup::{read_declaration, undefined};
use crate::state::{Pending, Phase, State};
use crate::window::Window;
use crate::{Element, FileProblem, FileRule, Limit, Limits, Record};
use weir_domain::{Currency, ErrorCode};

/// A broken rule after which nothing can be read, and where in the window.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) rule: FileRule,
    pub(crate) at: usize,
}

impl Flaw {
    pub(crate) fn new(rule: FileRule, at: usize) -> Self {
        Self { rule, at }
    }

    pub(crate) fn malformed(detail: &str, at: usize) -> Self {
        let detail = detail.to_owned();
        Self::new(FileRule::Malformed { detail }, at)
    }

    pub(crate) fn limit(limit: Limit, max: u64, at: usize) -> Self {
        Self::new(FileRule::LimitExceeded { limit, max }, at)
    }
}

/// Whether to go on with the next token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Go,
    /// Something was produced.
    Stop,
    /// A record begins before its batch's header was met.
    LookAhead,
}

/// What a reader holds between two tokens besides its state; empty between two items.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) capture: Capture,
    /// The record that has just ended.
    pub(crate) record: Option<Box<Record>>,
    /// The currency that was last looked up.
    pub(crate) currency: Option<Currency>,
    /// The names of the attributes of the tag being read, and a scratch for their values.
    pub(crate) attribute_names: Vec<(String, String)>,
    pub(crate) value: String,
}

/// One run over the text in the window.
pub(crate) struct Machine<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) work: &'a mut Work,
    pub(crate) window: &'a Window,
    pub(crate) limits: &'a Limits,
    pub(crate) keep_xml: bool,
    /// Records are passed over: only the header of the current batch is wanted.
    pub(crate) ahead: bool,
    /// Where the captured element begins.
    pub(crate) kept: Option<usize>,
    /// Where the last complete token ended.
    pub(crate) cursor: usize,
}

impl Machine<'_> {
    /// Takes one token, which lies between the two indices.
    pub(crate) fn token(&mut self, event: &Event<'_>, at: usize, end: usize) -> Result<Flow, Flaw> {
        // White space before markup belongs to no token, but to the element around it.
        let start = match event {
            Event::Text(_) => at,
            Event::Start(tag) => end - tag.len() - "<>".len(),
            Event::Empty(tag) => end - tag.len() - "</>".len(),
            _ => at + blank_len(self.window.text().get(at..end).unwrap_or_default()),
        };
        if start > at {
            self.blank(at, start)?;
        }
        let at = start;
        if self.state.phase == Phase::Start && !matches!(event, Event::Decl(_)) {
            self.state.phase = Phase::Prolog;
        }
        let flow = match event {
            Event::Start(_) | Event::Empty(_) | Event::End(_)
                if self.transaction_exceeded(end - at) =>
            {
                return Err(self.transaction_limit(self.kept.unwrap_or(at)));
            }
            Event::Start(tag) => self.start(tag, at)?,
            Event::Empty(tag) => match self.start(tag, at)? {
                Flow::LookAhead => Flow::LookAhead,
                started => match self.close(at, end)? {
                    Flow::Go => started,
                    closed => closed,
                },
            },
            Event::End(tag) => self.end(tag.name().into_inner(), at, end)?,
            Event::Text(_) => {
                let text = self.window.text().get(at..end).unwrap_or_default();
                self.text(text, at, at, true)?
            }
            Event::CData(text) => self.cdata(text, at)?,
            Event::GeneralRef(name) => self.reference(name, at)?,
            Event::Comment(text) => self.comment(text, at)?,
            Event::PI(instruction) => self.instruction(instruction, at)?,
            Event::Decl(declaration) => self.declaration(declaration, at)?,
            Event::DocType(_) => return Err(Flaw::new(FileRule::Doctype, at)),
            Event::Eof => Flow::Go,
        };
        if let Some(kept) = self
            .kept
            .filter(|kept| self.transaction_exceeded(end - kept))
        {
            return Err(self.transaction_limit(kept));
        }
        Ok(flow)
    }

    pub(crate) fn transaction_exceeded(&self, bytes: usize) -> bool {
        bytes > self.limits.transaction_bytes
    }

    pub(crate) fn transaction_limit(&self, at: usize) -> Flaw {
        let max = self.limits.transaction_bytes as u64;
        Flaw::limit(Limit::TransactionBytes, max, at)
    }

    pub(crate) fn text_limit(&self, at: usize) -> Flaw {
        Flaw::limit(Limit::TextBytes, self.limits.text_bytes as u64, at)
    }

    /// Notes a broken rule of the file after which reading goes on.
    pub(crate) fn problem(&mut self, rule: FileRule, at: usize, path: String) {
        let position = self.window.position(at);
        self.problem_at(FileProblem {
            rule,
            position,
            path,
        });
    }

    pub(crate) fn problem_at(&mut self, problem: FileProblem) {
        self.state.problems += 1;
        self.state
            .pending
            .push_back(Pending::Problem(Box::new(problem)));
    }

    /// Notes a broken rule within a captured element.
    pub(crate) fn fault(
        &mut self,
        at: usize,
        element: Element,
        path: String,
        (code, reason): (ErrorCode, &str),
    ) {
        let at = at - self.kept.unwrap_or(at);
        self.work.capture.fault(Fault {
            at,
            element,
            path,
            code,
            reason: reason.to_owned(),
        });
    }

    /// White space that stands before markup.
    fn blank(&mut self, at: usize, end: usize) -> Result<(), Flaw> {
        if end - at > self.limits.text_bytes {
            return Err(self.text_limit(at));
        }
        if self.state.phase == Phase::Start {
            self.state.phase = Phase::Prolog;
        }
        let node = self.state.frames.last().and_then(|frame| frame.node);
        if node.is_some_and(Element::holds_text) {
            let text = self.window.text().get(at..end).unwrap_or_default();
            self.add_text(text, at, at)?;
        }
        Ok(())
    }

    /// Text as written in the file, from `start` on; `at` is where its token begins.
    fn text(&mut self, text: &str, at: usize, start: usize, plain: bool) -> Result<Flow, Flaw> {
        if text.len() > self.limits.text_bytes {
            return Err(self.text_limit(at));
        }
        if plain && self.window.traits().bracket && text.contains("]]>") {
            return Err(Flaw::malformed(
                "`]]>` in a text must be written `]]&gt;`",
                at,
            ));
        }
        match self.state.frames.last().map(|frame| frame.node) {
            None if is_blank(text) => Ok(Flow::Go),
            None => Err(self.outside_root(at)),
            Some(None) => Ok(Flow::Go),
            Some(Some(element)) if element.holds_text() => self.add_text(text, at, start),
            Some(Some(_)) if is_blank(text) => Ok(Flow::Go),
            Some(Some(element)) => Ok(self.misplaced_text(text, element, at)),
        }
    }

    fn outside_root(&self, at: usize) -> Flaw {
        if self.state.phase == Phase::Epilog {
            Flaw::new(FileRule::ContentAfterRoot, at)
        } else {
            Flaw::malformed("a file must begin with `<`", at)
        }
    }

    fn add_text(&mut self, text: &str, at: usize, start: usize) -> Result<Flow, Flaw> {
        let base = self.kept.unwrap_or_default();
        let source = self.window.text().get(base..).unwrap_or_default();
        let whole = !self.work.capture.text_begun() && !self.window.traits().carriage_return;
        if !whole {
            self.work.capture.assemble(source);
        }
        let bytes = self.work.capture.add_text(text, start - base, whole);
        if bytes > self.limits.text_bytes {
            return Err(self.text_limit(at));
        }
        Ok(Flow::Go)
    }

    fn misplaced_text(&mut self, text: &str, element: Element, at: usize) -> Flow {
        let path = self.state.path();
        let at = at + blank_len(text);
        let text = excerpt(crate::chars::trim(text));
        if self.work.capture.active() {
            let reason = format!("holds the text `{text}` between its elements: remove it");
            self.fault(at, element, path, (ErrorCode::FormatInvalid, &reason));
            return Flow::Go;
        }
        self.problem(FileRule::TextMisplaced { text }, at, path);
        Flow::Stop
    }

    fn cdata(&mut self, text: &str, at: usize) -> Result<Flow, Flaw> {
        const OPENING: usize = "<![CDATA[".len();
        if self.state.frames.is_empty() {
            return Err(self.outside_root(at));
        }
        self.text(text, at, at + OPENING, false)
    }

    fn reference(&mut self, name: &str, at: usize) -> Result<Flow, Flaw> {
        if name.len() > self.limits.text_bytes {
            return Err(self.text_limit(at));
        }
        let c = resolve_reference(name).ok_or_else(|| Flaw::new(undefined(name), at))?;
        match self.state.frames.last().map(|frame| frame.node) {
            None => Err(self.outside_root(at)),
            Some(None) => Ok(Flow::Go),
            Some(Some(element)) if element.holds_text() => {
                let base = self.kept.unwrap_or_default();
                let source = self.window.text().get(base..).unwrap_or_default();
                self.work.capture.assemble(source);
                if self.work.capture.add_character(c) > self.limits.text_bytes {
                    return Err(self.text_limit(at));
                }
                Ok(Flow::Go)
            }
            Some(Some(element)) => Ok(self.misplaced_text(&format!("&{name};"), element, at)),
        }
    }

    fn comment(&self, text: &str, at: usize) -> Result<Flow, Flaw> {
        if text.len() > self.limits.text_bytes {
            return Err(self.text_limit(at));
        }
        if text.contains("--") || text.ends_with('-') {
            return Err(Flaw::malformed("`--` is not allowed in a comment", at));
        }
        Ok(Flow::Go)
    }

    fn instruction(&self, text: &str, at: usize) -> Result<Flow, Flaw> {
        if text.len() > self.limits.text_bytes {
            return Err(self.text_limit(at));
        }
        let target = text
            .split([' ', '\t', '\r', '\n'])
            .next()
            .unwrap_or_default();
        if !is_plain_name(target) || target.eq_ignore_ascii_case("xml") {
            let detail = "this is not the name of a processing instruction";
            return Err(Flaw::malformed(detail, at));
        }
        Ok(Flow::Go)
    }

    fn declaration(&mut self, text: &str, at: usize) -> Result<Flow, Flaw> {
        if self.state.phase != Phase::Start {
            let detail = "an XML declaration may stand only where the file begins";
            return Err(Flaw::malformed(detail, at));
        }
        self.state.phase = Phase::Prolog;
        let piece = text.strip_prefix("xml").unwrap_or_default();
        let declared = read_declaration(piece)
            .map_err(|(rule, inside)| Flaw::new(rule, at + "<?xml".len() + inside))?;
        let Some(label) = declared else {
            return Ok(Flow::Go);
        };
        let declared = excerpt(label);
        let actual = self.window.encoding();
        match actual.fits_label(label) {
            Some(true) => Ok(Flow::Go),
            Some(false) if label.to_ascii_lowercase().starts_with("utf-16") => {
                Err(Flaw::new(FileRule::MarkMissing, at))
            }
            Some(false) => Err(Flaw::new(
                FileRule::EncodingConflict { declared, actual },
                at,
            )),
            None => Err(Flaw::new(FileRule::EncodingUnsupported { declared }, at)),
        }
    }
}
