//! An element of interest, taken apart while its text goes by.
//!
//! A header or a record is first listed, element by element and in file order, as spans into its
//! source text; it is understood when it is complete, because a currency may stand after the
//! amounts that it decides. Nothing is allocated for an element whose text is in one piece.

use crate::chars::{excerpt, push_normalized, trim};
use crate::state::{State, push_step};
use crate::{Element, PROBLEMS_PER_RECORD_MAX};
use weir_domain::ErrorCode;

/// A piece of text: of the element's source, or of what had to be assembled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: usize,
    end: usize,
    assembled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A container begins.
    Open,
    /// It ends.
    Close,
    /// A whole element that holds text.
    Text,
    /// The name of the `Item` whose text follows.
    ItemName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) element: Element,
    /// Its number when it is repeatable, else 0.
    pub(crate) index: u32,
    /// Where it begins, in bytes of the captured element's source.
    pub(crate) at: usize,
    value: Span,
}

/// A broken rule within the captured element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where, in bytes of the captured element's source.
    pub(crate) at: usize,
    pub(crate) element: Element,
    pub(crate) path: String,
    pub(crate) code: ErrorCode,
    /// What follows the element's name in the sentence.
    pub(crate) reason: String,
}

/// The text of the open element so far.
#[derive(Debug, Clone, Copy, Default)]
struct OpenText {
    at: usize,
    span: Span,
    bytes: usize,
    begun: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Capture {
    /// The element that is captured.
    root: Option<Element>,
    /// How many elements are open when it is the innermost.
    pub(crate) depth: usize,
    pub(crate) entries: Vec<Entry>,
    assembled: String,
    pub(crate) faults: Vec<Fault>,
    /// Where in the entries the captured element's own currency is.
    pub(crate) currency: Option<usize>,
    text: OpenText,
}

impl Capture {
    pub(crate) fn begin(&mut self, root: Element, depth: usize) {
        self.entries.clear();
        self.assembled.clear();
        self.faults.clear();
        self.currency = None;
        self.depth = depth;
        self.root = Some(root);
    }

    pub(crate) fn end(&mut self) {
        self.root = None;
    }

    pub(crate) fn active(&self) -> bool {
        self.root.is_some()
    }

    pub(crate) fn open(&mut self, element: Element, index: u32, at: usize) {
        self.push(Kind::Open, element, index, at, Span::default());
    }

    pub(crate) fn close(&mut self, element: Element, at: usize) {
        self.push(Kind::Close, element, 0, at, Span::default());
    }

    fn push(&mut self, kind: Kind, element: Element, index: u32, at: usize, value: Span) {
        self.entries.push(Entry {
            kind,
            element,
            index,
            at,
            value,
        });
    }

    /// A text element begins.
    pub(crate) fn open_text(&mut self, at: usize) {
        self.text = OpenText {
            at,
            ..OpenText::default()
        };
    }

    /// A piece of its text, at `start` in the source; gives the bytes of its text so far.
    pub(crate) fn add_text(&mut self, piece: &str, start: usize, plain: bool) -> usize {
        if plain && !self.text.begun {
            self.text.span = Span {
                start,
                end: start + piece.len(),
                assembled: false,
            };
            self.text.begun = true;
            self.text.bytes = piece.len();
            return piece.len();
        }
        self.text.bytes += piece.len();
        push_normalized(&mut self.assembled, piece);
        self.text.bytes
    }

    /// Makes sure that the text so far is assembled, since more than one piece is to come.
    pub(crate) fn assemble(&mut self, source: &str) {
        if self.text.span.assembled {
            return;
        }
        let start = self.assembled.len();
        if self.text.begun {
            let Span { start, end, .. } = self.text.span;
            self.assembled
                .push_str(source.get(start..end).unwrap_or_default());
        }
        self.text.begun = true;
        self.text.span = Span {
            start,
            end: start,
            assembled: true,
        };
    }

    /// Where the open text element begins.
    pub(crate) fn text_at(&self) -> usize {
        self.text.at
    }

    /// Where the innermost open container begins; 0 when that is the captured element.
    pub(crate) fn container_at(&self) -> usize {
        let mut closed = 0_usize;
        for entry in self.entries.iter().rev() {
            match entry.kind {
                Kind::Close => closed += 1,
                Kind::Open if closed > 0 => closed -= 1,
                Kind::Open => return entry.at,
                Kind::Text | Kind::ItemName => {}
            }
        }
        0
    }

    /// The captured element.
    pub(crate) fn root(&self) -> Option<Element> {
        self.root
    }

    pub(crate) fn text_begun(&self) -> bool {
        self.text.begun
    }

    /// A character that was written as a reference; gives the bytes of the text so far.
    pub(crate) fn add_character(&mut self, c: char) -> usize {
        self.assembled.push(c);
        self.text.bytes += c.len_utf8();
        self.text.bytes
    }

    /// The text element ends.
    pub(crate) fn close_text(&mut self, element: Element, index: u32, own: bool) {
        let mut span = self.text.span;
        if span.assembled {
            span.end = self.assembled.len();
        }
        if own && element == Element::Currency {
            self.currency = Some(self.entries.len());
        }
        self.push(Kind::Text, element, index, self.text.at, span);
    }

    /// A text element in one piece; `value` is where its text begins and how long it is.
    pub(crate) fn plain_text(
        &mut self,
        element: Element,
        at: usize,
        value: (usize, usize),
        own: bool,
    ) {
        if own && element == Element::Currency {
            self.currency = Some(self.entries.len());
        }
        let (start, length) = value;
        let span = Span {
            start,
            end: start + length,
            assembled: false,
        };
        self.push(Kind::Text, element, 0, at, span);
    }

    /// The name of an `Item`, resolved.
    pub(crate) fn item_name(&mut self, index: u32, at: usize, name: &str) {
        let start = self.assembled.len();
        self.assembled.push_str(name);
        let value = Span {
            start,
            end: self.assembled.len(),
            assembled: true,
        };
        self.push(Kind::ItemName, Element::Item, index, at, value);
    }

    /// An entry's text without white space around it.
    pub(crate) fn value<'a>(&'a self, entry: &Entry, source: &'a str) -> &'a str {
        let Span {
            start,
            end,
            assembled,
        } = entry.value;
        let from = if assembled { &self.assembled } else { source };
        trim(from.get(start..end).unwrap_or_default())
    }

    /// Whether no more broken rules are kept, so that none need be described.
    pub(crate) fn full(&self) -> bool {
        self.faults.len() >= PROBLEMS_PER_RECORD_MAX
    }

    /// Notes a broken rule. Beyond the most that are kept it is dropped: the record is in error
    /// already.
    pub(crate) fn fault(&mut self, fault: Fault) {
        if !self.full() {
            self.faults.push(fault);
        }
    }

    /// The path of an entry, given the path of the captured element.
    pub(crate) fn path_of(&self, place: usize, root_path: &str) -> String {
        let mut steps = Vec::new();
        let mut closed = 0_usize;
        for (back, entry) in self.entries.iter().take(place + 1).rev().enumerate() {
            match entry.kind {
                Kind::Close if back > 0 => closed += 1,
                Kind::Open if closed > 0 => closed -= 1,
                Kind::Open => steps.push(entry),
                Kind::Text | Kind::ItemName if back == 0 => steps.push(entry),
                _ => {}
            }
        }
        let mut path = root_path.to_owned();
        for entry in steps.iter().rev() {
            push_step(&mut path, entry.element.name(), entry.index);
            if entry.kind == Kind::ItemName {
                path.push_str("/@");
                path.push_str(crate::element::NAME_ATTRIBUTE);
            }
        }
        path
    }
}

/// Reads a captured element's entries one after the other.
pub(crate) struct Fields<'a> {
    pub(crate) capture: &'a mut Capture,
    pub(crate) source: &'a str,
    pub(crate) state: &'a State,
    next: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(capture: &'a mut Capture, source: &'a str, state: &'a State) -> Self {
        Self {
            capture,
            source,
            state,
            next: 0,
        }
    }

    /// The next entry and its place.
    pub(crate) fn take(&mut self) -> Option<(usize, Entry)> {
        let place = self.next;
        let entry = *self.capture.entries.get(place)?;
        self.next += 1;
        Some((place, entry))
    }

    pub(crate) fn value(&self, entry: &Entry) -> &str {
        self.capture.value(entry, self.source)
    }

    /// Notes what is wrong with an entry.
    pub(crate) fn fault(&mut self, place: usize, code: ErrorCode, reason: impl Into<String>) {
        if self.capture.full() {
            return;
        }
        let Some(entry) = self.capture.entries.get(place).copied() else {
            return;
        };
        let path = self.capture.path_of(place, &self.state.path());
        self.capture.fault(Fault {
            at: entry.at,
            element: entry.element,
            path,
            code,
            reason: reason.into(),
        });
    }

    /// Reads an entry's value; says what is wrong with it, and shows it, when it cannot be read.
    pub(crate) fn read<T>(
        &mut self,
        place: usize,
        entry: &Entry,
        read: impl FnOnce(&str) -> Result<T, (ErrorCode, String)>,
    ) -> Option<T> {
        let value = self.value(entry);
        let refused = if value.is_empty() {
            let reason = "must not be empty: leave it out where there is no value";
            (ErrorCode::LengthInvalid, reason.to_owned())
        } else {
            match read(value) {
                Ok(read) => return Some(read),
                Err((code, reason)) => (code, format!("{reason}; it is `{}`", excerpt(value))),
            }
        };
        self.fault(place, refused.0, refused.1);
        None
    }
}
