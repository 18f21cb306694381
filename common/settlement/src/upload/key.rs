//! What an object's key says.
//!
//! | key | uploaded |
//! | --- | --- |
//! | `<client id>/<program id>/<name>` | for a program |
//! | `<client id>/<program id>/sellers/<seller id>/<name>` | for one seller: only its batches are taken |
//! | `…/uploads/<uuid>/<name>` | into a place that the API made for it, under either of the two |
//! | `…/validations/<uuid>/<name>` | into a place of a file that is only to be judged, under either of the two |
//! | `…/api/<uuid>.<correlation id>/<name>` | through the API, under either of the two; without the correlation id where the same upload may be sent again |
//!
//! The key is all that an object's event tells, so whatever must be known of an upload is in it;
//! and a policy on key prefixes is all that it takes to let a seller write its own files only.

use uuid::Uuid;
use weir_domain::{ClientId, ProgramId, SellerId};
use weir_runtime::CorrelationId;

use super::FileName;

/// The part that announces a seller's id.
const SELLERS: &str = "sellers";
/// The part that announces an upload through the API.
const API: &str = "api";
/// The part that announces a place that was made for an upload.
const PLACE: &str = "uploads";
/// The part that announces a place of a file that is only to be judged.
const VALIDATION: &str = "validations";
/// Most bytes of a file's name in a key, which may have 1 024 in all.
const NAME_BYTES_MAX: usize = 400;
/// What an upload is called that has no name.
const NAME_ELSE: &str = "settlement.xml";
/// Longer correlation ids do not travel in a key.
const CORRELATION_BYTES_MAX: usize = 128;

/// For whom a file was uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadScope {
    /// The client.
    pub client_id: ClientId,
    /// Its program.
    pub program_id: ProgramId,
    /// The only seller whose batches the file may hold.
    pub seller_id: Option<SellerId>,
}

/// A key that does not say for whom it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the object's key must be <client id>/<program id>/<name>, or <client id>/<program id>/sellers/\
     <seller id>/<name>, with ids in UUID form: upload the file under such a key"
)]
pub struct ObjectKeyError;

impl UploadScope {
    /// Reads a key, decoded.
    pub fn of_key(key: &str) -> Result<Self, ObjectKeyError> {
        let (client, rest) = key.split_once('/').ok_or(ObjectKeyError)?;
        let (program, name) = rest.split_once('/').ok_or(ObjectKeyError)?;
        let (seller, name) = match name.strip_prefix(SELLERS).and_then(|s| s.strip_prefix('/')) {
            Some(rest) => {
                let (seller, name) = rest.split_once('/').ok_or(ObjectKeyError)?;
                (Some(seller.parse().map_err(|_| ObjectKeyError)?), name)
            }
            None => (None, name),
        };
        if name.is_empty() {
            return Err(ObjectKeyError);
        }
        Ok(Self {
            client_id: client.parse().map_err(|_| ObjectKeyError)?,
            program_id: program.parse().map_err(|_| ObjectKeyError)?,
            seller_id: seller,
        })
    }

    /// The key of an object for this scope.
    pub fn key(&self, name: &str) -> String {
        let Self {
            client_id,
            program_id,
            seller_id,
        } = self;
        match seller_id {
            Some(seller) => format!("{client_id}/{program_id}/{SELLERS}/{seller}/{name}"),
            None => format!("{client_id}/{program_id}/{name}"),
        }
    }

    /// The key of a place for an upload.
    pub(super) fn place_key(&self, unique: Uuid, name: &FileName, validate_only: bool) -> String {
        let place = if validate_only { VALIDATION } else { PLACE };
        self.key(&format!("{place}/{unique}/{}", in_key(Some(name))))
    }

    /// The key of an upload through the API. `unique` keeps two uploads of one name apart. What a
    /// key cannot carry of the name (slashes, all beyond 400 bytes) is replaced or cut; a correlation
    /// id that is long or has other characters than letters, digits, `.`, `_` and `-` is left out.
    /// Without a correlation id, `unique` and name alone make the key.
    pub fn api_key(
        &self,
        unique: Uuid,
        correlation_id: Option<&CorrelationId>,
        name: Option<&FileName>,
    ) -> String {
        let id = correlation_id.map_or("", CorrelationId::as_str);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let id = if id.len() <= CORRELATION_BYTES_MAX && id.chars().all(plain) {
            id
        } else {
            ""
        };
        let name = in_key(name);
        self.key(&format!("{API}/{unique}.{id}/{name}"))
    }
}

/// What a key can carry of a name.
fn in_key(name: Option<&FileName>) -> String {
    let name = name.map_or(NAME_ELSE, FileName::as_str);
    let mut name = name.replace('/', "_");
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    name
}

/// Whether a key is of the form of a place's.
pub(super) fn is_place(key: &str) -> bool {
    matches!(place(key), Some(PLACE | VALIDATION))
}

/// Whether a key is of the form of that of a place whose file is only to be judged.
pub(super) fn is_validation(key: &str) -> bool {
    place(key) == Some(VALIDATION)
}

/// The part before the UUID that is before the name.
fn place(key: &str) -> Option<&str> {
    let mut parts = key.rsplit('/').skip(1);
    Uuid::try_parse(parts.next()?).ok()?;
    parts.next()
}

/// The correlation id of an upload through the API.
pub(super) fn correlation_id(key: &str) -> Option<CorrelationId> {
    let mut parts = key.rsplit('/').skip(1);
    let (unique, id) = parts.next()?.split_once('.')?;
    let from_api = parts.next() == Some(API) && Uuid::try_parse(unique).is_ok();
    if from_api {
        CorrelationId::new(id).ok()
    } else {
        None
    }
}

/// The last part of a key that is not empty.
pub(super) fn last_part(key: &str) -> &str {
    key.rsplit('/').find(|part| !part.is_empty()).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(seller: Option<u128>) -> UploadScope {
        UploadScope {
            client_id: Uuid::from_u128(1).try_into().unwrap(),
            program_id: Uuid::from_u128(2).try_into().unwrap(),
            seller_id: seller.map(|id| Uuid::from_u128(id).try_into().unwrap()),
        }
    }

    fn named(name: &str) -> FileName {
        FileName::new(name).unwrap()
    }

    #[test]
    fn a_key_names_client_program_and_perhaps_seller() {
        for scope in [scope(None), scope(Some(3))] {
            for name in ["a.xml", "2026/11/a b+ü.xml", "/x"] {
                assert_eq!(UploadScope::of_key(&scope.key(name)), Ok(scope), "{name}");
            }
            assert_eq!(UploadScope::of_key(&scope.key("")), Err(ObjectKeyError));
        }
        let one = scope(None);
        for key in ["", "a.xml", "x/y/z", &format!("{}/a.xml", one.client_id)] {
            assert_eq!(UploadScope::of_key(key), Err(ObjectKeyError), "{key}");
        }
        assert_eq!(
            UploadScope::of_key(&one.key("sellers/x/a.xml")),
            Err(ObjectKeyError)
        );
        assert_eq!(last_part("a/b/c.xml"), "c.xml");
        assert_eq!(last_part("a/b/"), "b");
    }

    #[test]
    fn an_upload_through_the_api_carries_its_correlation_id_and_name() {
        let id = CorrelationId::new("run-7").unwrap();
        let key = scope(Some(3)).api_key(Uuid::from_u128(9), Some(&id), Some(&named("a/b.xml")));
        assert_eq!(UploadScope::of_key(&key), Ok(scope(Some(3))));
        assert_eq!(correlation_id(&key), Some(id));
        assert_eq!(last_part(&key), "a_b.xml");
        assert_eq!(correlation_id(&scope(None).key("run.7/a.xml")), None);
    }

    #[test]
    fn a_key_stays_within_its_1024_bytes_for_any_name() {
        for length in [99, 100, 101, 255] {
            let id = CorrelationId::new("c".repeat(128)).unwrap();
            let key = scope(Some(3)).api_key(
                Uuid::from_u128(9),
                Some(&id),
                Some(&named(&"😀".repeat(length))),
            );
            assert!(key.len() <= 1_024, "{length}");
            assert!(last_part(&key).len() <= NAME_BYTES_MAX);
        }
        let id = CorrelationId::new("c".repeat(129)).unwrap();
        let key = scope(None).api_key(Uuid::from_u128(9), Some(&id), None);
        assert_eq!(
            (correlation_id(&key), last_part(&key)),
            (None, "settlement.xml")
        );
        let key = scope(None).api_key(Uuid::from_u128(9), None, Some(&named("a.xml")));
        assert_eq!((correlation_id(&key), last_part(&key)), (None, "a.xml"));
    }
}
