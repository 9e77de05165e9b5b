//! The folder of a manual: a local one, or the gateway's archive, unpacked once. Downloads are
//! verified by hash and limited in size.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use opsbook_client::Client;
use opsbook_wire::{Source, endpoint, limit};
use sha2::{Digest as _, Sha256};

/// The most files and folders in an archive.
const ENTRIES: usize = 50_000;

/// Returns the folder; the error is a sentence.
pub(crate) async fn bring(
    client: &Client,
    manuals: &Path,
    (manual, source): (&str, &Source),
) -> Result<PathBuf, String> {
    match source {
        // A gateway on another machine does not know this machine's folders.
        Source::Folder { .. } if !client.address().is_local() => {
            Err("the gateway names a local folder, but does not run on this machine".to_owned())
        }
        Source::Folder { path } => {
            let path = PathBuf::from(path);
            if path.is_absolute() && path.is_dir() {
                return Ok(path);
            }
            Err(format!(
                "`{}` is not a folder of this machine",
                path.display()
            ))
        }
        Source::Archive { sha256 } => archive(client, manuals, manual, sha256).await,
    }
}

async fn archive(
    client: &Client,
    manuals: &Path,
    manual: &str,
    sha256: &str,
) -> Result<PathBuf, String> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if sha256.len() != 64 || !sha256.bytes().all(hex) || !limit::is_name(manual) {
        return Err("the gateway names no archive".to_owned());
    }
    let folder = manuals.join(sha256);
    if folder.is_dir() {
        return Ok(folder);
    }
    let path = endpoint::of(endpoint::RUNNER_MANUAL, &[manual, &format!("{sha256}.tar")]);
    let bytes = client.bytes(&path, limit::ARCHIVE).await;
    let bytes = bytes.map_err(|error| format!("the manual cannot be fetched: {error}"))?;
    let sum: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if sum != sha256 {
        return Err("the downloaded manual is not the requested one".to_owned());
    }
    let to = folder.clone();
    let unpacking = tokio::task::spawn_blocking(move || unpacked(&bytes, &to));
    match unpacking.await {
        Ok(done) => done.map_err(|why| format!("the manual cannot be unpacked: {why}")),
        Err(_) => Err("the manual cannot be unpacked".to_owned()),
    }?;
    Ok(folder)
}

/// Unpacks next to the destination and renames it.
fn unpacked(bytes: &[u8], to: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let above = to.parent().ok_or("it has no place")?;
    fs::create_dir_all(above).map_err(text)?;
    let new = to.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_dir_all(&new);
    fs::create_dir(&new).map_err(text)?;
    let unpacked = unpack(bytes, &new).and_then(|()| match fs::rename(&new, to) {
        // Another part has unpacked it meanwhile.
        Err(_) if to.is_dir() => Ok(()),
        renamed => renamed.map_err(text),
    });
    let _ = fs::remove_dir_all(&new);
    unpacked
}

fn unpack(bytes: &[u8], to: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut archive = tar::Archive::new(bytes);
    for (number, entry) in archive.entries().map_err(text)?.enumerate() {
        if number >= ENTRIES {
            return Err(format!("it has more than {ENTRIES} files"));
        }
        let mut entry = entry.map_err(text)?;
        let path = entry.path().map_err(text)?.into_owned();
        let shown = path.display();
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !path.components().all(plain) {
            return Err(format!("`{shown}` leads out of it"));
        }
        let place = to.join(&path);
        match entry.header().entry_type() {
            tar::EntryType::Directory => fs::create_dir_all(&place).map_err(text)?,
            tar::EntryType::Regular => {
                if let Some(above) = place.parent() {
                    fs::create_dir_all(above).map_err(text)?;
                }
                let runs = entry.header().mode().unwrap_or(0) & 0o100 != 0;
                let mode = if runs { 0o500 } else { 0o400 };
                let file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&place);
                written(&mut entry, file.map_err(text)?, mode).map_err(text)?;
            }
            _ => return Err(format!("`{shown}` is neither a file nor a folder")),
        }
    }
    Ok(())
}

/// The files are read-only: later runs read them, too.
fn written(from: &mut impl Read, mut file: File, mode: u32) -> std::io::Result<()> {
    std::io::copy(from, &mut file)?;
    file.set_permissions(Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive_of(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            // A malicious archive, which `set_path` would refuse to write.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            if *kind == tar::EntryType::Symlink {
                header.set_link_name("/etc").unwrap();
            }
            header.set_cksum();
            archive.append(&header, content.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    #[test]
    fn an_archive_is_unpacked_whole_or_not_at_all() {
        use tar::EntryType::{Directory, Regular, Symlink};
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("manuals/abc");
        let good = archive_of(&[
            ("book.toml", Regular, "[book]"),
            ("manual/", Directory, ""),
            ("./manual/a.md", Regular, "# A"),
            ("checks/x/y.sh", Regular, "true"),
        ]);
        unpacked(&good, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("manual/a.md")).unwrap(), "# A");
        assert_eq!(
            fs::read_to_string(to.join("checks/x/y.sh")).unwrap(),
            "true"
        );
        for (bad, why) in [
            (("../x", Regular, "x"), "leads out"),
            (("/tmp/x", Regular, "x"), "leads out"),
            (("a/../../x", Regular, "x"), "leads out"),
            (("link", Symlink, ""), "neither a file nor a folder"),
        ] {
            let to = dir.path().join("manuals/bad");
            let archive = archive_of(&[("book.toml", Regular, "[book]"), bad]);
            let said = unpacked(&archive, &to).unwrap_err();
            assert!(said.contains(why), "{said}");
            assert!(!to.exists());
        }
        assert!(unpacked(b"no archive at all", &dir.path().join("manuals/none")).is_err());
        let names: Vec<_> = fs::read_dir(dir.path().join("manuals")).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }
}
