//! The reader with input: a [`Parser`] fed from a source that can be opened at any byte.

use std::io::{self, Read};

use crate::{Checkpoint, FileProblem, Item, Options, Parser, Position, Step};

/// Bytes asked of the source at a time: large enough that a read costs nothing next to the
/// parsing, small enough to stay in a processor's cache.
const CHUNK_BYTES: usize = 128 * 1024;

/// Where a file's bytes come from.
///
/// A closure `FnMut(u64) -> io::Result<impl Read>` is one. What it gives must always be the same
/// bytes: for an object in a store, pin its version.
pub trait Source {
    /// What the bytes are read from.
    type Read: Read;

    /// Opens the file at a byte, counted from 0.
    fn open_at(&mut self, byte_offset: u64) -> io::Result<Self::Read>;
}

impl<R: Read, F: FnMut(u64) -> io::Result<R>> Source for F {
    type Read = R;

    fn open_at(&mut self, byte_offset: u64) -> io::Result<R> {
        self(byte_offset)
    }
}

/// A source that can be read once from its beginning, such as standard input. It cannot serve a
/// file in which a batch's header stands behind its records, nor a resumption.
#[derive(Debug)]
pub struct Once<R>(Option<R>);

impl<R: Read> Once<R> {
    /// Takes the bytes of a whole file.
    pub fn new(read: R) -> Self {
        Self(Some(read))
    }
}

impl<R: Read> Source for Once<R> {
    type Read = R;

    fn open_at(&mut self, byte_offset: u64) -> io::Result<R> {
        let read = self.0.take().filter(|_| byte_offset == 0);
        read.ok_or_else(|| {
            let what = "this input cannot be read again: a batch has its BatchHeader behind its \
                        records, or reading is to be resumed; use a file";
            io::Error::new(io::ErrorKind::Unsupported, what)
        })
    }
}

/// Why a reader gives no item.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed; it says nothing about the file, and reading may be tried again.
    #[error("the file could not be read: {0}")]
    Source(#[from] io::Error),
    /// The file is broken beyond reading on.
    #[error(transparent)]
    File(#[from] Box<FileProblem>),
}

/// Reads a settlement file from a source.
#[derive(Debug)]
pub struct Reader<S: Source> {
    source: S,
    read: Option<S::Read>,
    parser: Parser,
    /// Where the source is to be opened next.
    offset: u64,
    chunk: Vec<u8>,
}

impl<S: Source> Reader<S> {
    /// Begins with a file's first byte. Nothing is opened yet.
    pub fn new(source: S, options: Options) -> Self {
        Self::with(source, Parser::new(options), 0)
    }

    /// Goes on after a checkpoint of the same file, with exactly the items that would have
    /// followed.
    pub fn resume(source: S, checkpoint: Checkpoint, options: Options) -> Self {
        let offset = checkpoint.byte_offset();
        Self::with(source, Parser::resume(checkpoint, options), offset)
    }

    fn with(source: S, parser: Parser, offset: u64) -> Self {
        Self {
            source,
            read: None,
            parser,
            offset,
            chunk: vec![0; CHUNK_BYTES],
        }
    }

    /// The next item; none after [`Item::End`]. After a failure of the source the same call may be
    /// tried again: it opens the source where it failed.
    pub fn next_item(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            match self.parser.next().map_err(Box::new)? {
                Step::Item(item) => return Ok(Some(item)),
                Step::Done => return Ok(None),
                Step::Rewind { byte_offset } => {
                    self.read = None;
                    self.offset = byte_offset;
                }
                Step::NeedInput => self.fill()?,
            }
        }
    }

    fn fill(&mut self) -> Result<(), io::Error> {
        let mut read = match self.read.take() {
            Some(read) => read,
            None => self.source.open_at(self.offset)?,
        };
        // A source that failed is not put back: it is opened anew where it stopped.
        let count = loop {
            match read.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.read = Some(read);
        self.offset += count as u64;
        match self.chunk.get(..count) {
            Some([]) | None => self.parser.finish(),
            Some(bytes) => self.parser.push(bytes),
        }
        Ok(())
    }

    /// See [`Parser::checkpoint`].
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        self.parser.checkpoint()
    }

    /// Where the reader is.
    pub fn position(&self) -> Position {
        self.parser.position()
    }
}
