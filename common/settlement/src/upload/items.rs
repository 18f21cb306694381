//! The items of an object, read piece by piece with memory that does not depend on its size.

use weir_domain::ObjectIdentity;
use weir_servicegate::{Checkpoint, FileProblem, Item, Options, Parser, Step};
use weir_store::{ObjectReader, Store, StoreError};

/// Why there is no next item.
#[derive(Debug)]
pub(super) enum NextError {
    /// The object could not be read; it says nothing about the file.
    Store(StoreError),
    /// The file is broken beyond reading on.
    File(Box<FileProblem>),
}

/// Reads an object as a settlement file.
pub(super) struct ObjectItems<'a> {
    store: &'a Store,
    object: &'a ObjectIdentity,
    parser: Parser,
    /// Open where the parser wants its next bytes.
    body: Option<ObjectReader>,
    offset: u64,
}

impl<'a> ObjectItems<'a> {
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
            store,
            object,
            parser,
            body: None,
            offset,
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

    async fn fill(&mut self) -> Result<(), StoreError> {
        let mut body = match self.body.take() {
            Some(body) => body,
            None => self.store.read_object(self.object, self.offset).await?,
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
