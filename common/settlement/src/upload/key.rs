//! What an object's key says: `<client id>/<program id>/<anything>`.

use weir_domain::{ClientId, ProgramId};

/// For whom a file was uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadScope {
    /// The client.
    pub client_id: ClientId,
    /// Its program.
    pub program_id: ProgramId,
}

/// A key that does not say for whom it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the object's key must be <client id>/<program id>/<name>, both ids in lower-case UUID form: \
     upload the file again under such a key"
)]
pub struct ObjectKeyError;

impl UploadScope {
    /// Reads a key, decoded.
    pub fn of_key(key: &str) -> Result<Self, ObjectKeyError> {
        let mut parts = key.splitn(3, '/');
        let mut part = || {
            parts
                .next()
                .filter(|part| !part.is_empty())
                .ok_or(ObjectKeyError)
        };
        let (client, program, _name) = (part()?, part()?, part()?);
        Ok(Self {
            client_id: client.parse().map_err(|_| ObjectKeyError)?,
            program_id: program.parse().map_err(|_| ObjectKeyError)?,
        })
    }

    /// The key of an object for this scope.
    pub fn key(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.client_id, self.program_id)
    }
}

/// The last part of a key that is not empty.
pub(super) fn last_part(key: &str) -> &str {
    key.rsplit('/').find(|part| !part.is_empty()).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_key_names_client_program_and_file() {
        let scope = UploadScope {
            client_id: Uuid::from_u128(1).try_into().unwrap(),
            program_id: Uuid::from_u128(2).try_into().unwrap(),
        };
        for name in ["a.xml", "2026/11/a b+ü.xml", "/x"] {
            assert_eq!(UploadScope::of_key(&scope.key(name)), Ok(scope), "{name}");
        }
        for key in [
            "",
            "a.xml",
            "x/y/z",
            &format!("{}/a.xml", scope.client_id),
            &scope.key(""),
        ] {
            assert_eq!(UploadScope::of_key(key), Err(ObjectKeyError), "{key}");
        }
        assert_eq!(last_part("a/b/c.xml"), "c.xml");
        assert_eq!(last_part("a/b/"), "b");
    }
}
