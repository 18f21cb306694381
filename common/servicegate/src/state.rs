//! What a reader knows between two items: small, and enough to go on in another process.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use weir_domain::{BatchOrdinal, Currency};

use crate::namespace::Namespaces;
use crate::{
    BatchHeader, BatchSummary, Element, Encoding, FileHeader, FileProblem, FileSummary, Item,
    Position, Total,
};

/// Where the document stands as XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Nothing has been read.
    Start,
    /// Before the root element.
    Prolog,
    /// Within it.
    Root,
    /// After it.
    Epilog,
    /// Nothing is left.
    End,
}

/// An open element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frame {
    /// What it is; none when it is unknown here, and all within it with it.
    pub(crate) node: Option<Element>,
    /// Where its name begins in the open names.
    pub(crate) name_start: u32,
    /// How many namespace bindings there were outside of it.
    pub(crate) bindings: u32,
    /// Which of its known children have been seen, a bit each.
    pub(crate) seen: u32,
    /// Where in its children's list the next one is looked for first.
    pub(crate) hint: u8,
    /// How many of its repeatable children have begun.
    pub(crate) repeated: u32,
    /// Its own number when it is repeatable, from 1; else 0.
    pub(crate) index: u32,
}

/// What is known of the current batch's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HeaderState {
    /// It has not been met.
    Unseen,
    /// It was looked up ahead, and its element is still to come.
    Ahead(Box<Header>),
    /// It has been read.
    Read(Box<Header>),
    /// It is missing or broken: its batch's records are read, their amounts are not judged where
    /// they depend on it.
    Broken {
        /// It was looked up ahead, and its element is still to come.
        ahead: bool,
    },
}

/// A sound header, without its source text.
pub(crate) type Header = BatchHeader;

/// The batch being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) ordinal: BatchOrdinal,
    pub(crate) start: Position,
    pub(crate) header: HeaderState,
    pub(crate) charges: u32,
    pub(crate) refunds: u32,
    pub(crate) errors: u32,
    pub(crate) sums: Sums,
}

impl Batch {
    pub(crate) fn records(&self) -> u32 {
        self.charges.saturating_add(self.refunds)
    }

    pub(crate) fn header(&self) -> Option<&Header> {
        match &self.header {
            HeaderState::Ahead(header) | HeaderState::Read(header) => Some(header),
            HeaderState::Unseen | HeaderState::Broken { .. } => None,
        }
    }
}

/// The sums of a batch, as long as they mean something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sums {
    /// No amount yet.
    Empty,
    /// All amounts so far could be read and are in this currency.
    In {
        currency: Currency,
        charges: Total,
        refunds: Total,
    },
    /// One could not, or was in another currency.
    Lost,
}

/// An item that has been made and not been handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Pending {
    FileHeader(Box<FileHeader>),
    BatchStart(Box<BatchHeader>),
    BatchEnd(Box<BatchSummary>),
    Problem(Box<FileProblem>),
    End(FileSummary),
}

impl From<Pending> for Item {
    fn from(pending: Pending) -> Self {
        match pending {
            Pending::FileHeader(header) => Self::FileHeader(header),
            Pending::BatchStart(header) => Self::BatchStart(header),
            Pending::BatchEnd(summary) => Self::BatchEnd(summary),
            Pending::Problem(problem) => Self::Problem(problem),
            Pending::End(summary) => Self::End(summary),
        }
    }
}

/// Everything a reader carries from item to item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) frames: Vec<Frame>,
    /// The names of the open elements, end to end, as their tags spell them; nothing for one that
    /// is spelt as the format spells it.
    pub(crate) names: String,
    pub(crate) namespaces: Namespaces,
    /// The file's header, for its controls.
    pub(crate) file_header: Option<Box<FileHeader>>,
    pub(crate) batches: u32,
    pub(crate) batch: Option<Batch>,
    /// Records of the batches that have ended.
    pub(crate) records: u64,
    /// Those of them in error.
    pub(crate) errors: u64,
    /// File problems so far.
    pub(crate) problems: u64,
    pub(crate) pending: VecDeque<Pending>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            phase: Phase::Start,
            frames: Vec::with_capacity(crate::DEPTH_MAX),
            names: String::new(),
            namespaces: Namespaces::default(),
            file_header: None,
            batches: 0,
            batch: None,
            records: 0,
            errors: 0,
            problems: 0,
            pending: VecDeque::new(),
        }
    }
}

impl State {
    /// The name of an open element as its tag spells it.
    pub(crate) fn name_of(&self, place: usize) -> &str {
        let Some(frame) = self.frames.get(place) else {
            return "";
        };
        let next = self.frames.get(place + 1).map(|next| next.name_start);
        let end = next.map_or(self.names.len(), |next| next as usize);
        let own = self.names.get(frame.name_start as usize..end);
        match (own, frame.node) {
            (Some("") | None, Some(element)) => element.name(),
            (own, _) => own.unwrap_or_default(),
        }
    }

    /// The path of the open element; `/` outside the root.
    pub(crate) fn path(&self) -> String {
        if self.frames.is_empty() {
            return "/".to_owned();
        }
        let mut path = String::new();
        for (place, frame) in self.frames.iter().enumerate() {
            let known = frame.node.map(Element::name);
            let name = known.unwrap_or_else(|| self.name_of(place));
            push_step(&mut path, name, frame.index);
        }
        path
    }

    /// The path of a batch's header, whether or not it is open.
    pub(crate) fn header_path(&self, element: Option<Element>) -> String {
        let mut path = String::new();
        push_step(&mut path, Element::SettlementFile.name(), 0);
        push_step(&mut path, Element::Batch.name(), self.batches);
        push_step(&mut path, Element::BatchHeader.name(), 0);
        if let Some(element) = element {
            push_step(&mut path, element.name(), 0);
        }
        path
    }
}

/// Appends `/name` or `/name[index]`.
pub(crate) fn push_step(path: &mut String, name: &str, index: u32) {
    path.push('/');
    path.push_str(name);
    if index > 0 {
        path.push('[');
        path.push_str(&index.to_string());
        path.push(']');
    }
}

/// Where a reader stood after an item: enough to go on from there in another process, with
/// exactly the items that would have followed. About a kilobyte as JSON, whatever the file's size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub(crate) encoding: Encoding,
    pub(crate) position: Position,
    pub(crate) state: State,
}

impl Checkpoint {
    /// The byte of the file, as uploaded, that the resumed reader must be fed from.
    pub fn byte_offset(&self) -> u64 {
        self.position.byte
    }

    /// The header of the batch that the checkpoint lies in, without its source text; none between
    /// batches.
    pub fn batch(&self) -> Option<&BatchHeader> {
        self.state.batch.as_ref().and_then(Batch::header)
    }

    /// How many records of that batch have been handed out.
    pub fn records_read(&self) -> u32 {
        self.state.batch.as_ref().map_or(0, Batch::records)
    }
}
