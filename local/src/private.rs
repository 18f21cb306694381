//! Files and folders for their owner alone: an API key, settings with keys in them, settlement files.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Set on folders that are meant for everybody, such as `/tmp`.
const STICKY: u32 = 0o1000;
/// What the group and all others may do.
const OTHERS: u32 = 0o077;

/// Makes a folder, or takes one that is there, and lets nobody but its owner in.
///
/// # Errors
/// It cannot be made, or it is one that is meant for everybody, which is left as it is.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & STICKY != 0 {
        return Err(io::Error::other("it is a folder for everybody"));
    }
    if mode & OTHERS != 0 {
        fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))?;
    }
    Ok(())
}

/// Writes a file that nobody but its owner may read, in place of one that is there. It appears as a
/// whole.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .create_new(true)
        .write(true)
        .mode(FILE_MODE)
        .open(&draft)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_is_for_its_owner_alone_whether_it_is_new_or_not() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        folder(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        chmod(&path, 0o755);
        folder(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_folder_for_everybody_is_refused_and_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        chmod(root.path(), 0o1777);
        folder(root.path()).unwrap_err();
        assert_eq!(mode(root.path()), 0o1777);
    }

    #[test]
    fn a_file_is_for_its_owner_alone_also_when_it_was_not_before() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("functions.env");
        fs::write(&path, "old").unwrap();
        chmod(&path, 0o644);
        // One that an earlier process has left.
        fs::write(path.with_extension("new"), "half").unwrap();
        write(&path, "new").unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
