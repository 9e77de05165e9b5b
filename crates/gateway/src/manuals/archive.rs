//! A manual as an archive for runners on other machines: the files that git tracks or would track,
//! otherwise all; never those that `nodes.yaml` names as secrets. The same files make the same
//! archive.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{Manual, Read, print};
use crate::project::git;
use crate::project::pack::looks_private;
use crate::token::sha256;
use crate::wire::{Kind, Problem, limit};

/// The most files of an archive.
const MOST: usize = 50_000;

impl Manual {
    /// Makes the archive of the current manual in this folder; returns its SHA-256.
    ///
    /// # Errors
    /// If it cannot be made, or is too large.
    pub fn archive(&self, folder: &Path) -> Result<String, Box<Problem>> {
        let failed = |why: String| {
            let detail = format!("cannot pack the manual for a runner on another machine: {why}");
            Box::new(Problem::new(Kind::Wrong, detail))
        };
        let read = self.read()?;
        let bytes = packed(&self.root, read.secrets()).map_err(failed)?;
        let sum = sha256(&bytes);
        let path = path_of(folder, &sum);
        if !path.is_file() {
            kept(folder, &path, &bytes).map_err(|error| {
                let detail = format!("cannot store the archive of the manual: {error}");
                Box::new(Problem::new(Kind::Unavailable, detail))
            })?;
        }
        Ok(sum)
    }
}

/// Writes it atomically.
fn kept(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut part = tempfile::NamedTempFile::new_in(folder)?;
    part.write_all(bytes)?;
    part.persist(path)?;
    Ok(())
}

/// The path of an archive.
pub(crate) fn path_of(folder: &Path, sum: &str) -> PathBuf {
    folder.join(format!("{sum}.tar"))
}

fn packed(root: &Path, secrets: &BTreeSet<PathBuf>) -> Result<Vec<u8>, String> {
    let mut files = of_git(root).unwrap_or_else(|| of_folder(root));
    files.sort();
    files.dedup();
    let mut archive = tar::Builder::new(Vec::new());
    let real_root = root.canonicalize().map_err(|error| error.to_string())?;
    let real = |secret: &PathBuf| real_root.join(secret).canonicalize().ok();
    let secrets: BTreeSet<PathBuf> = secrets.iter().filter_map(real).collect();
    let mut count = 0;
    for name in files {
        let Ok(real) = root.join(&name).canonicalize() else {
            continue;
        };
        // A link's target outside of the manual is not a part of it.
        if !real.starts_with(&real_root) || !real.is_file() || secrets.contains(&real) {
            continue;
        }
        count += 1;
        let data = std::fs::metadata(&real).map_err(|error| error.to_string())?;
        let room = limit::ARCHIVE.saturating_sub(archive.get_ref().len());
        if count > MOST || data.len() > u64::try_from(room).unwrap_or(u64::MAX) {
            return Err(format!(
                "it has more than {} MiB or {MOST} files",
                limit::ARCHIVE >> 20
            ));
        }
        let mut content = Vec::new();
        let file = std::fs::File::open(&real).map_err(|error| error.to_string())?;
        file.take(data.len())
            .read_to_end(&mut content)
            .map_err(|error| error.to_string())?;
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(u64::try_from(content.len()).unwrap_or_default());
        let runs = data.permissions().mode() & 0o100 != 0;
        header.set_mode(if runs { 0o755 } else { 0o644 });
        header.set_mtime(0);
        let appended = archive.append_data(&mut header, &name, content.as_slice());
        appended.map_err(|error| error.to_string())?;
    }
    archive.into_inner().map_err(|error| error.to_string())
}

impl Read {
    /// The files with secrets of nodes.
    fn secrets(&self) -> &BTreeSet<PathBuf> {
        let nodes = &self.project.nodes;
        self.secrets.get_or_init(|| nodes.secret_files())
    }
}

/// Tracked files, and new ones that are not ignored. Nobody has published the new ones yet: those
/// that look private are left out.
fn of_git(root: &Path) -> Option<Vec<PathBuf>> {
    let mut files = listed(root, &["--cached"])?;
    let new = listed(root, &["--others", "--exclude-standard"])?;
    files.extend(new.into_iter().filter(|file| is_for_others(file)));
    files.retain(|name| !name.starts_with(".opsbook"));
    (!files.is_empty()).then_some(files)
}

fn is_for_others(file: &Path) -> bool {
    !file.to_str().is_none_or(looks_private)
}

fn listed(root: &Path, which: &[&str]) -> Option<Vec<PathBuf>> {
    let output = git(root)
        .args(["ls-files", "-z"])
        .args(which)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let names = text.split('\0').filter(|name| !name.is_empty());
    output
        .status
        .success()
        .then(|| names.map(PathBuf::from).collect())
}

fn of_folder(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(root.join(&folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = folder.join(entry.file_name());
            if print::is_anothers(&entry) || files.len() > MOST {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(name),
                Ok(_) if is_for_others(&name) => files.push(name),
                Ok(_) => {}
                Err(_) => {}
            }
        }
    }
    files
}
