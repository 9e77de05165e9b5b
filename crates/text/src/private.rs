//! Folders and files that only this user can read.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Result, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Creates a folder that only this user can enter, or makes it one.
///
/// # Errors
/// Those of the system.
pub fn folder(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Writes a new file. Follows no link.
///
/// # Errors
/// If something with this name exists, and those of the system.
pub fn create(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Replaces a file, or writes a new one: whatever dies, it has the old content or the new one.
///
/// # Errors
/// Those of the system.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    // An earlier process with this number may have been killed here: in a container, each has 1.
    let _ = std::fs::remove_file(&new);
    create(&new, bytes)?;
    std::fs::rename(&new, path)?;
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_whatever_was_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let other = folder.path().join("other");
        fs::write(&other, "other").unwrap();
        let left = path.with_extension(format!("{}.new", std::process::id()));
        std::os::unix::fs::symlink(&other, &left).unwrap();
        for content in ["one", "two"] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(fs::read_to_string(&other).unwrap(), "other");
        assert!(!left.exists());
        assert!(create(&path, b"three").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    }
}
