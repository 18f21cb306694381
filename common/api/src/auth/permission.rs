//! Permissions as types, so that a handler names in its arguments what its caller needs.

use weir_domain::Permission;

/// A permission as a type.
pub trait Permitted: Send + Sync + 'static {
    /// The permission.
    const PERMISSION: Permission;
}

macro_rules! permissions {
    ($($name:ident),+ $(,)?) => {
        $(
            #[doc = concat!("[`Permission::", stringify!($name), "`]")]
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl Permitted for $name {
                const PERMISSION: Permission = Permission::$name;
            }
        )+

        /// What the types stand for.
        #[cfg(test)]
        const TYPED: &[Permission] = &[$($name::PERMISSION),+];
    };
}

permissions! {
    BatchesRead,
    BatchesWrite,
    FilesRead,
    FilesWrite,
    SettlementsWrite,
    ReferenceRead,
    ReferenceWrite,
    ReportsRead,
    ReportsWrite,
    MessagesRead,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_is_a_type() {
        assert_eq!(TYPED, Permission::ALL);
    }
}
