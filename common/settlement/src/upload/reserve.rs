//! Places for files that are too large for a request: a file that waits for its object, and a URL that
//! takes that object and no other.
//!
//! The URL is good for [`Uploader::PLACE_KEPT`], for so many bytes with that SHA-256, and once: where
//! the object is, it is refused. So whatever comes to lie under the key is what was announced, and the
//! file's id follows from the key alone. The object's event binds it to its file, or, should that be lost or
//! late, whoever sent it does.
//!
//! A file that was announced with a composite checksum comes in parts instead: see [`super::parts`].
//!
//! A key that looks like a place's and is none's is a drop-in like any other.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;
use weir_domain::{FileId, FileStatus, ObjectIdentity};
use weir_runtime::CorrelationId;
use weir_servicegate::FILE_BYTES_MAX;
use weir_store::{AwaitedParts, File, FileContent, SignedPut, StoreError};

use super::parts::{Composite, Unfinished, part_count};
use super::{FileName, UploadError, UploadScope, Uploader, key};
use crate::schema::{BodyError, BodySchema, Checked, MemberRule, Violation, required};

const NAME: &str = "name";
const SIZE: &str = "size";
pub(super) const CHECKSUM: &str = "checksum_sha256";
/// What the text of a digest must be.
pub(super) const DIGEST_RULE: &str =
    "must be a SHA-256: 64 hexadecimal digits, or base64 of 32 bytes";

/// The body that asks for a place.
pub static PLACE_BODY: BodySchema = BodySchema {
    name: "place for a file",
    members: &[
        required(
            NAME,
            MemberRule::Text {
                chars_min: 1,
                chars_max: None,
            },
            "What the file is called: at most 255 characters, none of them a control character",
        ),
        required(
            SIZE,
            MemberRule::Whole {
                min: 1,
                max: FILE_BYTES_MAX,
            },
            "How many bytes it has",
        ),
        required(
            CHECKSUM,
            MemberRule::Text {
                chars_min: 44,
                chars_max: Some(64),
            },
            "The SHA-256 of its bytes, in hexadecimal or in base64; or, to send it in parts, that of \
             the SHA-256s of its parts of 16 MiB, in base64 and followed by a hyphen and their count",
        ),
    ],
};

/// A file that is to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    name: FileName,
    size_bytes: u64,
    checksum: Checksum,
    validate_only: bool,
}

/// What a file is announced with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checksum {
    /// The SHA-256 of its bytes: it comes in one request.
    Whole([u8; 32]),
    /// That of its parts, in which it comes.
    Parts(Composite),
}

/// A place for a file.
#[derive(Debug, Clone)]
pub struct UploadPlace {
    /// The file that waits for its object.
    pub file: File,
    /// How the object is to be sent.
    pub sending: Sending,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// How an object is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sending {
    /// By this request.
    Whole(SignedPut),
    /// In so many parts, each by a request that is to be asked for.
    Parts(u64),
}

/// What came of looking for the object of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// The file, which has its object.
    Done(Box<File>),
    /// Nothing was sent to the place yet.
    Empty,
    /// Not all of its parts are there and as they must be.
    Unfinished(Unfinished),
    /// Its parts, or its object, change at this moment.
    Changing,
    /// Its upload in parts was given up, and they are gone.
    GivenUp,
    /// The file has no place: it is a name.
    NoPlace,
}

impl Announced {
    /// Reads the body that asks for a place.
    ///
    /// # Errors
    /// It is no JSON object, breaks its schema, or has a name or a checksum that is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, BodyError> {
        let mut members = PLACE_BODY.read(bytes)?;
        let mut text = |name| match members.remove(name) {
            Some(Checked::Text(text)) => text,
            _ => String::new(),
        };
        let name = FileName::new(text(NAME)).map_err(|error| (NAME, error.to_string()));
        let checksum = text(CHECKSUM);
        let size_bytes = match members.remove(SIZE) {
            Some(Checked::Whole(size)) => size,
            _ => 0,
        };
        let checksum = checksum_of(&checksum, size_bytes).map_err(|rule| (CHECKSUM, rule));
        match (name, checksum) {
            (Ok(name), Ok(checksum)) => Ok(Self {
                name,
                size_bytes,
                checksum,
                validate_only: false,
            }),
            (name, checksum) => {
                let wrong = [name.err(), checksum.err()].into_iter().flatten();
                let violation = |(name, rule)| Violation {
                    place: format!("/{name}"),
                    rule,
                };
                Err(BodyError::Invalid(wrong.map(violation).collect()))
            }
        }
    }
}

impl Announced {
    /// What was said of it, for the record.
    pub fn asked(&self) -> Value {
        let mut asked = serde_json::Map::from_iter([(SIZE.to_owned(), self.size_bytes.into())]);
        if let Checksum::Parts(_) = self.checksum {
            asked.insert("parts".to_owned(), part_count(self.size_bytes).into());
        }
        if self.validate_only {
            asked.insert("validate_only".to_owned(), true.into());
        }
        asked.into()
    }

    /// The same, which is only to be judged if so said.
    #[must_use]
    pub fn validated_only(self, validate_only: bool) -> Self {
        Self {
            validate_only,
            ..self
        }
    }
}

/// Whether a file is only judged: nothing of it is ever split or sent. Its key says so, and that it was
/// made for a place: a drop-in under such a key is a file like any other.
pub(super) fn is_validated_only(file: &File) -> bool {
    file.object().is_some_and(|object| {
        key::is_validation(&object.key) && file.id == id_of(&object.bucket, &object.key)
    })
}

/// The checksum of a file of so many bytes, or the rule that it breaks.
fn checksum_of(text: &str, size_bytes: u64) -> Result<Checksum, String> {
    if let Some(composite) = Composite::parse(text) {
        let misfit = composite.misfit(size_bytes);
        return misfit.map_or(Ok(Checksum::Parts(composite)), Err);
    }
    let sha256 = digest(text).map(Checksum::Whole);
    sha256.ok_or_else(|| {
        format!("{DIGEST_RULE}; or the base64 of one of parts, a hyphen and how many they are")
    })
}

/// The bytes of a digest in either form.
pub(super) fn digest(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return STANDARD.decode(text).ok()?.try_into().ok();
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        let mut digits = pair.iter().map(|digit| char::from(*digit).to_digit(16));
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(digest)
}

/// The id of the file whose object is to come under a key.
fn id_of(bucket: &str, key: &str) -> FileId {
    // No object has an empty entity tag.
    FileId::of_object(&ObjectIdentity::new(bucket, key, ""))
}

/// A file that waits for what is to lie under a key.
fn awaiting(file: File, key: String, bucket: &str, parts: Option<AwaitedParts>) -> File {
    File {
        content: FileContent::Awaited {
            bucket: bucket.to_owned(),
            key,
            parts,
        },
        ..file
    }
}

impl Uploader {
    /// How long a place, or that of a part, is kept.
    pub const PLACE_KEPT: Duration = Duration::from_mins(15);

    /// Makes a place for a file. With the same `unique` it is the same place, for as long again.
    pub async fn reserve(
        &self,
        scope: UploadScope,
        announced: &Announced,
        unique: Uuid,
        correlation_id: &CorrelationId,
    ) -> Result<UploadPlace, UploadError> {
        let now = self.clock.now();
        let bucket = &self.store.names().bucket;
        let key = scope.place_key(unique, &announced.name, announced.validate_only);
        let id = id_of(bucket, &key);
        let mut file = self.new_file(id, scope, correlation_id);
        key::last_part(&key).clone_into(&mut file.name);
        let size_bytes = announced.size_bytes;
        match announced.checksum {
            Checksum::Whole(sha256) => {
                let sha256 = STANDARD.encode(sha256);
                let kept = Self::PLACE_KEPT;
                let put = self.store.sign_upload(&key, size_bytes, &sha256, now, kept);
                let sending = Sending::Whole(put.await?);
                let kept = TimeDelta::from_std(kept).unwrap_or_default();
                Ok(UploadPlace {
                    file: self.made(awaiting(file, key, bucket, None)).await?,
                    sending,
                    expires_at: now + kept,
                })
            }
            Checksum::Parts(composite) => {
                // One upload a file, whoever asks again: what it keeps is what S3 was asked for first.
                let file = if let Some(made) = self.store.file(id).await? {
                    made
                } else {
                    let parts = AwaitedParts {
                        upload_id: self.store.begin_parts(&key).await?,
                        size_bytes,
                        checksum: composite.to_string(),
                    };
                    self.made(awaiting(file, key, bucket, Some(parts))).await?
                };
                Ok(UploadPlace {
                    expires_at: Self::parts_kept_until(&file),
                    file,
                    sending: Sending::Parts(part_count(size_bytes)),
                })
            }
        }
    }

    /// Makes a file, or finds what an earlier run of the same request made.
    async fn made(&self, file: File) -> Result<File, UploadError> {
        match self.store.create_file(&file).await {
            Ok(()) => Ok(file),
            Err(StoreError::Conflict { .. }) => {
                let made = self.store.file(file.id).await?;
                made.ok_or(UploadError::NoFile(file.id))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Looks for the object that a file waits for, or makes it of its parts, and does what the object's event does. Any number of
    /// calls, before or after the event, come to the same.
    pub async fn complete(
        &self,
        file: File,
        correlation_id: &CorrelationId,
    ) -> Result<Completion, UploadError> {
        let file = match file.content {
            FileContent::Nothing => return Ok(Completion::NoPlace),
            FileContent::Object(_) => file,
            FileContent::Awaited { bucket, key, parts } => {
                let found = self.store.find_object(&bucket, &key).await?;
                let object = match (found, parts) {
                    (Some(object), _) => object,
                    (None, None) => return Ok(Completion::Empty),
                    (None, Some(parts)) => match self.join(&bucket, &key, &parts).await? {
                        Ok(object) => object,
                        Err(nothing) => return Ok(nothing),
                    },
                };
                self.register(object, correlation_id).await?
            }
        };
        // It may be that an earlier call found the object and did not get further. Whoever works on the
        // file sees to it that it is done once.
        if file.status == FileStatus::Stored {
            self.wake(&file).await?;
        }
        Ok(Completion::Done(Box::new(file)))
    }

    /// The file that waited for an object, which is its own from now on; `None` when none did.
    pub(super) async fn bound(&self, object: &ObjectIdentity) -> Result<Option<File>, UploadError> {
        if !key::is_place(&object.key) {
            return Ok(None);
        }
        let id = id_of(&object.bucket, &object.key);
        loop {
            let Some(mut file) = self.store.file(id).await? else {
                return Ok(None);
            };
            if !matches!(file.content, FileContent::Awaited { .. }) {
                return Ok(Some(file));
            }
            file.content = FileContent::Object(object.clone());
            match self.save(&mut file).await {
                Ok(()) => {
                    tracing::info!(file_id = %id, name = file.name, "a file's object has come");
                    return Ok(Some(file));
                }
                // Renamed, or bound by the same event, at the same time.
                Err(UploadError::Store(StoreError::Conflict { .. })) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_the_same_in_hexadecimal_and_in_base64() {
        let bytes: [u8; 32] = std::array::from_fn(|place| u8::try_from(place * 7).unwrap());
        let hex = bytes
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        assert_eq!(digest(&hex), Some(bytes));
        assert_eq!(digest(&hex.to_uppercase()), Some(bytes));
        assert_eq!(digest(&STANDARD.encode(bytes)), Some(bytes));
        for wrong in [
            "",
            &hex[1..],
            &hex.replace('0', "g"),
            &STANDARD.encode([1; 31]),
        ] {
            assert_eq!(digest(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_place_is_for_1_byte_to_5_gib() {
        for (size, is_taken) in [
            (0, false),
            (1, true),
            (FILE_BYTES_MAX - 1, true),
            (FILE_BYTES_MAX, true),
            (FILE_BYTES_MAX + 1, false),
        ] {
            let checksum = "0".repeat(64);
            let body = format!(r#"{{"name":"a","size":{size},"checksum_sha256":"{checksum}"}}"#);
            assert_eq!(
                Announced::parse(body.as_bytes()).is_ok(),
                is_taken,
                "{size}"
            );
        }
    }
}
