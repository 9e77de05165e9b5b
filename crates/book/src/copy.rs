//! Copies files into a book.

use std::io::Read as _;
use std::path::Path;

use anyhow::Result;

use crate::files::{Files, Refused};

/// The most bytes of a file that a page may name.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// Copies a file of the project.
pub(super) fn bring(files: &Files, file: &Path, to: &Path) -> Result<(), Refused> {
    let opened = files.open_public(file)?;
    if opened.size > MAX_FILE {
        return Err(Refused::TooLarge(MAX_FILE / (1024 * 1024)));
    }
    std::fs::create_dir_all(to.parent().unwrap_or(to))?;
    let mut copy = std::fs::File::create(to)?;
    std::io::copy(&mut opened.file.take(MAX_FILE), &mut copy)?;
    Ok(())
}

/// Copies a folder of the project.
///
/// # Errors
/// If a file may not be published, or cannot be copied.
pub(super) fn bring_tree(files: &Files, from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(files.folder(from)?)? {
        let name = entry?.file_name();
        let (from, to) = (from.join(&name), to.join(&name));
        if files.folder(&from).is_ok() {
            std::fs::create_dir_all(&to)?;
            bring_tree(files, &from, &to)?;
        } else {
            let failed = |why| anyhow::anyhow!("`{}`: {why}", from.display());
            bring(files, &from, &to).map_err(failed)?;
        }
    }
    Ok(())
}
