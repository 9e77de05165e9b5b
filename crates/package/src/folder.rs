//! Reads the files of a folder, and writes them. Links are kept as links and never followed;
//! everything except files, links and folders is refused.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use opsbook_text::files::Files;

use crate::tree::{Entry, MOST_BYTES, MOST_FILES, Mode, Tree, check_path, shown};

/// The selected files of a folder.
///
/// # Errors
/// If a file cannot be read, or may not be in a package.
pub fn read(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Tree, String> {
    read_below(folder, &|_| true, wanted)
}

/// The same, without descending into some folders.
///
/// # Errors
/// The same as for [`read`].
pub fn read_below(
    folder: &Path,
    enters: &dyn Fn(&str) -> bool,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Tree, String> {
    let files = Files::below(folder);
    let mut tree = Tree::default();
    let mut room = MOST_BYTES;
    for path in walk(folder, enters, wanted)? {
        let full = folder.join(&path);
        let found = full.symlink_metadata();
        let found = found.map_err(|error| format!("`{}`: {error}", shown(&path)))?;
        let entry = if found.is_symlink() {
            let target = fs::read_link(&full).map_err(|error| format!("`{path}`: {error}"))?;
            Entry {
                mode: Mode::Link,
                bytes: target.into_os_string().into_encoded_bytes(),
            }
        } else {
            let opened = files.open(Path::new(&path));
            let opened = opened.map_err(|why| format!("`{}`: {why}", shown(&path)))?;
            let mut bytes = Vec::new();
            let read = opened.file.take(room + 1).read_to_end(&mut bytes);
            read.map_err(|error| format!("`{}`: {error}", shown(&path)))?;
            Entry::file(found.permissions().mode() & 0o100 != 0, bytes)
        };
        let size = entry.bytes.len() as u64;
        let left = room.checked_sub(size);
        room = left.ok_or_else(|| format!("it has more than {} MiB", MOST_BYTES >> 20))?;
        tree.add(&path, entry)?;
    }
    tree.check()?;
    Ok(tree)
}

/// The names of all selected files and links below a folder. Skips folders that cannot contain any.
fn walk(
    folder: &Path,
    enters: &dyn Fn(&str) -> bool,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(below) = folders.pop() {
        let failed = |error: io::Error| format!("`{}`: {error}", shown(&below));
        for entry in fs::read_dir(folder.join(&below)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let path = match name.to_str() {
                Some(name) if below.is_empty() => name.to_owned(),
                Some(name) => format!("{below}/{name}"),
                None => return Err(format!("a name in `{}` is not UTF-8", shown(&below))),
            };
            if entry.file_type().map_err(failed)?.is_dir() {
                let hidden = name.to_string_lossy().starts_with(".git");
                if !hidden && check_path(&path).is_ok() && enters(&path) {
                    folders.push(path);
                }
            } else if wanted(&path) {
                found.push(path);
            }
            if found.len() + folders.len() > 4 * MOST_FILES {
                return Err(format!("it has more than {MOST_FILES} files"));
            }
        }
    }
    Ok(found)
}

/// Writes all files into a new, read-only folder.
///
/// # Errors
/// The system's error.
pub fn write(tree: &Tree, folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)?;
    for (path, entry) in tree.entries() {
        let full = folder.join(path);
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent)?;
        }
        let mode = match entry.mode {
            Mode::Link => {
                symlink(String::from_utf8_lossy(&entry.bytes).as_ref(), &full)?;
                continue;
            }
            Mode::Plain => 0o444,
            Mode::Executable => 0o555,
        };
        let mut file = fs::OpenOptions::new();
        let mut file = file.write(true).create_new(true).mode(mode).open(&full)?;
        file.write_all(&entry.bytes)?;
        // Independent of the umask.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    close(folder)
}

/// Makes folders read-only, the deepest first.
fn close(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            close(&entry.path())?;
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555))
}

/// Removes such a read-only folder.
///
/// # Errors
/// The system's error.
pub fn remove(folder: &Path) -> io::Result<()> {
    open(folder)?;
    fs::remove_dir_all(folder)
}

/// Makes such a folder writable for its owner again.
///
/// # Errors
/// The system's error.
pub fn open(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open(&entry.path())?;
        }
    }
    Ok(())
}
