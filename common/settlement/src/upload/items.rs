//! The items of a settlement file: of an object, read piece by piece with memory that does not depend
//! on its size, or of bytes that are there already.

use bytes::Bytes;
use weir_domain::ObjectIdentity;
use weir_servicegate::{Checkpoint, FileProblem, Item, Options, Parser, Step};
use weir_store::{ObjectReader, Store, StoreError};

/// How much of the bytes the parser is given at a time.
const PIECE_BYTES: usize = 128 * 1024;

/// Why there is no next item.
#[derive(Debug)]
pub(super) enum NextError {
    /// The object could not be read; it says nothing about the file.
    Store(StoreError),
    /// The file is broken beyond reading on.
    File(Box<FileProblem>),
}

/// Where the bytes are.
enum Content<'a> {
    Object(&'a Store, &'a ObjectIdentity),
    Bytes(Bytes),
}

/// Reads a settlement file.
pub(super) struct FileItems<'a> {
    content: Content<'a>,
    parser: Parser,
    /// Open where the parser wants its next bytes.
    body: Option<ObjectReader>,
    offset: u64,
}

impl<'a> FileItems<'a> {
    /// Begins with the first byte, or goes on after a checkpoint.
    pub(super) fn new(
        store: &'a Store,
        object: &'a ObjectIdentity,
        from: Option<Checkpoint>,
        options: Options,
    ) -> Self {
        let offset = from.as_ref().map_or(0, Checkpoint::byte_offset);
        let parser = match from {
            Some(checkpoint) => Parser::resume(checkpoint, options),
            None => Parser::new(options),
        };
        Self {
            content: Content::Object(store, object),
            parser,
            body: None,
            offset,
        }
    }

    /// Begins with the first of some bytes.
    pub(super) fn of_bytes(bytes: Bytes, options: Options) -> Self {
        Self {
            content: Content::Bytes(bytes),
            parser: Parser::new(options),
            body: None,
            offset: 0,
        }
    }

    /// The next item; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Item>, NextError> {
        loop {
            match self
                .parser
                .next()
                .map_err(|problem| NextError::File(Box::new(problem)))?
            {
                Step::Item(item) => return Ok(Some(item)),
                Step::Done => return Ok(None),
                Step::Rewind { byte_offset } => {
                    self.body = None;
                    self.offset = byte_offset;
                }
                Step::NeedInput => self.fill().await.map_err(NextError::Store)?,
            }
        }
    }

    /// Where to go on another time; there is one after every item.
    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        self.parser.checkpoint()
    }

    /// Bytes of the file up to where the parser has been given them.
    pub(super) fn byte_offset(&self) -> u64 {
        self.offset
    }

    async fn fill(&mut self) -> Result<(), StoreError> {
        let (store, object) = match &self.content {
            Content::Object(store, object) => (store, object),
            Content::Bytes(bytes) => {
                let rest = usize::try_from(self.offset).ok();
                let rest = rest.and_then(|from| bytes.get(from..)).unwrap_or_default();
                match rest.get(..PIECE_BYTES.min(rest.len())) {
                    Some(piece) if !piece.is_empty() => {
                        self.offset += piece.len() as u64;
                        self.parser.push(piece);
                    }
                    _ => self.parser.finish(),
                }
                return Ok(());
            }
        };
        let mut body = match self.body.take() {
            Some(body) => body,
            None => store.read_object(object, self.offset).await?,
        };
        match body.next().await? {
            Some(bytes) => {
                self.offset += bytes.len() as u64;
                self.parser.push(&bytes);
                self.body = Some(body);
            }
            None => self.parser.finish(),
        }
        Ok(())
    }
}
