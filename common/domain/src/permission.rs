//! What a caller of the API may be allowed to do.
//!
//! The list is closed: an operation needs one of these, and a key is made with some of them. A name
//! outside the list grants nothing.

use std::fmt;
use std::str::FromStr;

use crate::UnknownName;

/// One thing that a caller may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// See batches, their details, histories and logs.
    BatchesRead,
    /// Cancel, retry and mend batches and details.
    BatchesWrite,
    /// See files.
    FilesRead,
    /// Register and rename files.
    FilesWrite,
    /// Send settlement files.
    SettlementsWrite,
    /// See clients, programs, sellers, customers and contacts.
    ReferenceRead,
    /// Create, change and delete clients, programs, sellers and customers.
    ReferenceWrite,
    /// See reports and their schedules.
    ReportsRead,
    /// Create, change and delete the schedules of reports.
    ReportsWrite,
    /// See the messages that brought reference data.
    MessagesRead,
}

impl Permission {
    /// Every permission.
    pub const ALL: &'static [Self] = &[
        Self::BatchesRead,
        Self::BatchesWrite,
        Self::FilesRead,
        Self::FilesWrite,
        Self::SettlementsWrite,
        Self::ReferenceRead,
        Self::ReferenceWrite,
        Self::ReportsRead,
        Self::ReportsWrite,
        Self::MessagesRead,
    ];

    /// Its name on a key: what it is about, and whether it reads or writes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BatchesRead => "batches:read",
            Self::BatchesWrite => "batches:write",
            Self::FilesRead => "files:read",
            Self::FilesWrite => "files:write",
            Self::SettlementsWrite => "settlements:write",
            Self::ReferenceRead => "reference:read",
            Self::ReferenceWrite => "reference:write",
            Self::ReportsRead => "reports:read",
            Self::ReportsWrite => "reports:write",
            Self::MessagesRead => "messages:read",
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(self) -> bool {
        self.name().ends_with(":read")
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Permission {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let mut known = Self::ALL.iter().copied();
        known.find(|known| known.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|known| known.name()).collect();
            UnknownName {
                names: names.join(", "),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_read_by_its_own_name_and_no_other() {
        for permission in Permission::ALL {
            assert_eq!(permission.name().parse(), Ok(*permission));
            assert_eq!(permission.to_string(), permission.name());
        }
        for text in ["", "batches", "Batches:Read", "batches:read ", "keys:write"] {
            let refused = text.parse::<Permission>().unwrap_err();
            for permission in Permission::ALL {
                assert!(refused.names.contains(permission.name()), "{text}");
            }
        }
    }

    #[test]
    fn every_permission_reads_or_writes() {
        let reads = Permission::ALL.iter().filter(|p| p.is_read()).count();
        let writes = |p: &&Permission| p.name().ends_with(":write");
        assert_eq!(
            (reads, Permission::ALL.iter().filter(writes).count()),
            (5, 5)
        );
    }
}
