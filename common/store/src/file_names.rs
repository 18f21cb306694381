//! Names of files that were given by callers, each to one file of a program.
//!
//! A name is claimed by an item of the look-ups, `file-name#<program>#<name>`, which is written and
//! given up in the same transaction as the file. Files that were uploaded claim nothing: two uploads
//! may have one name.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnConsumedCapacity, TransactWriteItem,
};
use weir_domain::{FileId, ProgramId};

use crate::details::transaction_error;
use crate::error::sorted;
use crate::files::File;
use crate::item::{Item, Reader, number, text};
use crate::tables::{FILES, LOOKUPS};
use crate::{AskedRecord, Store, StoreError};

const OPERATION: &str = "name a file";
/// What every claim is sorted under.
const CLAIM: &str = "claim";

/// What came of giving a file a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedFile {
    /// It has the name.
    Done,
    /// Another file of the program has it.
    Taken(FileId),
}

fn key_of(program: Option<ProgramId>, name: &str) -> String {
    match program {
        Some(program) => format!("file-name#{program}#{name}"),
        // Of an object whose key says no program.
        None => format!("file-name##{name}"),
    }
}

fn item_key(key: &str) -> Item {
    Item::from([
        ("key".to_owned(), text(key)),
        ("target".to_owned(), text(CLAIM)),
    ])
}

fn refused(_: BuildError) -> StoreError {
    StoreError::Refused {
        operation: OPERATION,
        reason: "a request could not be built".to_owned(),
    }
}

impl Store {
    /// Makes a file whose name no other file of its program was given, with the record of who asked; [`StoreError::Conflict`] when
    /// the file exists.
    pub async fn register_file(
        &self,
        file: &File,
        asked: &AskedRecord,
    ) -> Result<NamedFile, StoreError> {
        let put = Put::builder()
            .table_name(self.names.table(&FILES))
            .set_item(Some(file.to_item()?))
            .condition_expression("attribute_not_exists(id)");
        let put = put.build().map_err(refused)?;
        self.write_named(file, None, put, asked).await
    }

    /// Gives a file a name that no other file of its program was given, and gives up the one it had;
    /// [`StoreError::Conflict`] when somebody else wrote it since. Unless it is done, `file` stays as
    /// it is.
    pub async fn rename_file(
        &self,
        file: &mut File,
        renamed: File,
        asked: &AskedRecord,
    ) -> Result<NamedFile, StoreError> {
        let mut written = renamed;
        written.version = file.version + 1;
        let put = Put::builder()
            .table_name(self.names.table(&FILES))
            .set_item(Some(written.to_item()?))
            .condition_expression("version = :read")
            .expression_attribute_values(":read", number(file.version));
        let put = put.build().map_err(refused)?;
        let old = key_of(file.program_id, &file.name);
        let is_other = file.name != written.name;
        let is_given_up = is_other && self.name_holder(&old).await? == Some(file.id);
        let done = self
            .write_named(&written, is_given_up.then_some(old), put, asked)
            .await?;
        if done == NamedFile::Done {
            *file = written;
        }
        Ok(done)
    }

    async fn write_named(
        &self,
        file: &File,
        given_up: Option<String>,
        put: Put,
        asked: &AskedRecord,
    ) -> Result<NamedFile, StoreError> {
        let key = key_of(file.program_id, &file.name);
        let id = || AttributeValue::S(file.id.to_string());
        let mut claim = item_key(&key);
        claim.insert("file".to_owned(), id());
        let claim = Put::builder()
            .table_name(self.names.table(&LOOKUPS))
            .set_item(Some(claim))
            .condition_expression("attribute_not_exists(#key) OR #file = :file")
            .expression_attribute_names("#key", "key")
            .expression_attribute_names("#file", "file")
            .expression_attribute_values(":file", id());
        let mut actions = vec![
            TransactWriteItem::builder()
                .put(claim.build().map_err(refused)?)
                .build(),
            TransactWriteItem::builder().put(put).build(),
            self.asked_update(asked, 0, asked.updated_at)?,
        ];
        if let Some(old) = given_up {
            let delete = Delete::builder()
                .table_name(self.names.table(&LOOKUPS))
                .set_key(Some(item_key(&old)))
                .condition_expression("#file = :file")
                .expression_attribute_names("#file", "file")
                .expression_attribute_values(":file", id());
            let delete = delete.build().map_err(refused)?;
            actions.push(TransactWriteItem::builder().delete(delete).build());
        }
        let answer = self
            .dynamodb()
            .transact_write_items()
            .set_transact_items(Some(actions))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| transaction_error(OPERATION, error));
        match answer {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(NamedFile::Done)
            }
            Err(conflict @ StoreError::Conflict { .. }) => {
                // The first try may have taken effect and only its answer been lost.
                let stored = self.file(file.id).await?;
                if stored.is_some_and(|stored| stored.is_same_write(file)) {
                    return Ok(NamedFile::Done);
                }
                match self.name_holder(&key).await? {
                    Some(other) if other != file.id => Ok(NamedFile::Taken(other)),
                    _ => Err(conflict),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The file that claims a name, strongly consistent.
    async fn name_holder(&self, key: &str) -> Result<Option<FileId>, StoreError> {
        let answer = self
            .dynamodb()
            .get_item()
            .table_name(self.names.table(&LOOKUPS))
            .set_key(Some(item_key(key)))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted(OPERATION))?;
        self.capacity.read(answer.consumed_capacity());
        let read = |item| Reader::new(LOOKUPS.name, key, item).parsed("file");
        answer.item().map(read).transpose()
    }
}
