//! Names of files that hold a hash of their content, and the pages that name them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// mdBook puts a hash of the content into the name of a file: names that parts use, and names
/// in the whole book.
#[derive(Clone, Default)]
pub(super) struct Names {
    /// From `toc` to `toc-0a1b2c3d.js`.
    files: HashMap<&'static str, String>,
    changes: Vec<(String, String)>,
}

impl Names {
    /// Renames a file of the frame after what is in it now.
    pub(super) fn rename(&mut self, folder: &Path, stem: &'static str, end: &str) -> Result<()> {
        let Some(old) = named(folder, stem, end)? else {
            return Ok(());
        };
        let new = if old == format!("{stem}.{end}") {
            old.clone()
        } else {
            let digest = Sha256::digest(std::fs::read(folder.join(&old))?);
            let hash = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
            format!("{stem}-{hash:08x}.{end}")
        };
        std::fs::rename(folder.join(&old), folder.join(&new))?;
        self.changes.push((old, new.clone()));
        self.files.insert(stem, new);
        Ok(())
    }

    /// Learns how the files are called in the folder of a part.
    pub(super) fn also(&mut self, folder: &Path) -> Result<()> {
        for (stem, new) in &self.files {
            if let Some(old) = named(folder, stem, "js")? {
                self.changes.push((old, new.clone()));
            }
        }
        Ok(())
    }

    pub(super) fn put_into_frame(&self, folder: &Path) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let end = path.extension().unwrap_or_default();
            if end == "html" || end == "js" {
                self.copy(&path, &path)?;
            }
        }
        Ok(())
    }

    pub(super) fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        let mut text = std::fs::read_to_string(from)
            .with_context(|| format!("cannot read `{}`", from.display()))?;
        for (old, new) in &self.changes {
            if old != new && text.contains(old) {
                text = text.replace(old, new);
            }
        }
        std::fs::create_dir_all(to.parent().unwrap_or(to))?;
        std::fs::write(to, text)?;
        Ok(())
    }
}

/// The file `STEM.END` or `STEM-HASH.END` of a folder.
fn named(folder: &Path, stem: &str, end: &str) -> Result<Option<String>> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let middle = name
            .strip_prefix(stem)
            .and_then(|rest| rest.strip_suffix(&format!(".{end}")));
        let hash = |middle: &str| {
            let digits = middle.strip_prefix('-').unwrap_or_default();
            digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit())
        };
        if middle.is_some_and(|middle| middle.is_empty() || hash(middle)) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
