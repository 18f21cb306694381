//! Names of files as callers give them: a file that is a name yet, and another name for one.

use serde_json::{Value, json};
use uuid::Uuid;
use weir_domain::{AskedAction, FileId, ObjectIdentity};
use weir_runtime::CorrelationId;
use weir_store::{AskedRecord, File, NamedFile, StoreError};

use super::{FileName, UploadError, UploadScope, Uploader};
use crate::actions::Asked;
use crate::schema::{BodyError, BodySchema, Checked, MemberRule, Violation, required};

const NAME: &str = "name";
/// How often a file is read again that somebody else changes at the same time.
const ATTEMPTS_MAX: u32 = 5;

/// The body that names a file.
pub static FILE_BODY: BodySchema = BodySchema {
    name: "file",
    members: &[required(
        NAME,
        MemberRule::Text {
            chars_min: 1,
            chars_max: None,
        },
        "What it is called: at most 255 characters, none of them a control character, as no other \
         file of the program was named by a caller",
    )],
};

/// What came of naming a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// The file as it is now.
    Done(Box<File>),
    /// Another file of the program has the name.
    Taken,
    /// Somebody works on the file.
    Busy(Box<File>),
}

impl FileName {
    /// Reads the body that names a file.
    ///
    /// # Errors
    /// It is no JSON object, breaks its schema, or is no name.
    pub fn parse(bytes: &[u8]) -> Result<Self, BodyError> {
        let mut members = FILE_BODY.read(bytes)?;
        let name = match members.remove(NAME) {
            Some(Checked::Text(name)) => name,
            _ => String::new(),
        };
        Self::new(name).map_err(|error| {
            BodyError::Invalid(vec![Violation {
                place: format!("/{NAME}"),
                rule: error.to_string(),
            }])
        })
    }
}

impl Uploader {
    /// Makes a file that is a name and nothing more, which nothing waits for, with the record that
    /// `actor` asked for it. With the same `unique` it is the same file.
    pub async fn register_name(
        &self,
        scope: UploadScope,
        name: &FileName,
        unique: Uuid,
        correlation_id: &CorrelationId,
        actor: &str,
    ) -> Result<Naming, UploadError> {
        // No object has an empty key's bucket and tag, so no object's file has this id.
        let place = ObjectIdentity::new("", scope.key(&unique.to_string()), "");
        let id = FileId::of_object(&place);
        let file = File {
            name: name.as_str().to_owned(),
            ..self.new_file(id, scope, correlation_id)
        };
        let by = (actor, correlation_id.as_str());
        let record = AskedRecord {
            asked: json!({ NAME: name.as_str() }).to_string(),
            ..AskedRecord::of_file(
                &file,
                AskedAction::RegisterFile,
                unique,
                by,
                file.created_at,
            )
        };
        match self.store.register_file(&file, &record).await {
            Ok(NamedFile::Done) => Ok(Naming::Done(Box::new(file))),
            Ok(NamedFile::Taken(_)) => Ok(Naming::Taken),
            // Made by an earlier run of the same request.
            Err(StoreError::Conflict { .. }) => {
                let file = self.store.file(file.id).await?;
                let file = file.ok_or(UploadError::NoFile(FileId::of_object(&place)))?;
                Ok(Naming::Done(Box::new(file)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Records who sent a file or asked for its place, and what they said of it. With the same `unique`
    /// it is the same record.
    pub async fn record_sender(
        &self,
        file: &File,
        unique: Uuid,
        by: (&str, &str),
        asked: &Value,
    ) -> Result<(), UploadError> {
        let action = AskedAction::UploadFile;
        let record = AskedRecord {
            asked: asked.to_string(),
            ..AskedRecord::of_file(file, action, unique, by, file.created_at)
        };
        Ok(self.store.record_asked(&record).await?)
    }

    /// Gives a file another name, with a record of who asked, whose id is `unique`. One that somebody works on stays as it is.
    pub async fn rename(
        &self,
        id: FileId,
        name: &FileName,
        unique: Uuid,
        asked: &Asked,
    ) -> Result<Naming, UploadError> {
        let mut attempts = 0;
        loop {
            let file = self.store.file(id).await?;
            let mut file = file.ok_or(UploadError::NoFile(id))?;
            let now = self.clock.now();
            if file.lease_until.is_some_and(|until| until > now) {
                return Ok(Naming::Busy(Box::new(file)));
            }
            let renamed = File {
                name: name.as_str().to_owned(),
                updated_at: now,
                ..file.clone()
            };
            let by = (asked.actor.as_str(), asked.correlation_id.as_str());
            let record = AskedRecord {
                asked: json!({ NAME: name.as_str(), "before": file.name }).to_string(),
                ..AskedRecord::of_file(&file, AskedAction::RenameFile, unique, by, now)
            };
            attempts += 1;
            match self.store.rename_file(&mut file, renamed, &record).await {
                Ok(NamedFile::Done) => return Ok(Naming::Done(Box::new(file))),
                Ok(NamedFile::Taken(_)) => return Ok(Naming::Taken),
                Err(StoreError::Conflict { .. }) if attempts < ATTEMPTS_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
