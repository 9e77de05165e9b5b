//! Nodes from another tool: writes a file in the manual's folder `nodes`. The tool's answer is
//! parsed first: if it is invalid, the file stays unchanged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{Inventories, Inventory};
use crate::gateway::Tell;
use crate::manuals::Manuals;
use crate::nodes;
use crate::source::Source;

/// The most bytes of a file.
const MOST: usize = 1 << 20;
/// How often to check whether it is time.
const LOOK: Duration = Duration::from_secs(1);

/// An inventory and the folder of its manual.
pub struct Kept {
    name: String,
    inventory: Inventory,
    root: PathBuf,
}

/// All inventories with their manuals.
///
/// # Errors
/// If the manual does not exist.
pub fn of(inventories: &Inventories, manuals: &Manuals) -> Result<Vec<Kept>, String> {
    let all = inventories.iter().map(|(name, inventory)| {
        let manual = manuals.one(inventory.manual.as_deref());
        let manual = manual.map_err(|problem| format!("`{name}`: {}", problem.detail))?;
        Ok(Kept {
            name: name.clone(),
            inventory: inventory.clone(),
            root: manual.root.clone(),
        })
    });
    all.collect()
}

/// Updates the files until `stop`.
pub(crate) async fn keep(
    all: Vec<Kept>,
    gateway: String,
    mut stop: watch::Receiver<()>,
    tell: Tell,
) {
    let mut due = vec![(Instant::now(), String::new()); all.len()];
    loop {
        for (kept, (at, last)) in all.iter().zip(&mut due) {
            if Instant::now() < *at {
                continue;
            }
            *at = Instant::now() + kept.inventory.every;
            let why = one(kept, &gateway).await.err().unwrap_or_default();
            if why != *last && !why.is_empty() {
                let file = kept.inventory.file.display();
                tell(&format!(
                    "`[inventory.{}]`: `{file}` is unchanged: {why}",
                    kept.name
                ));
            }
            *last = why;
        }
        if tokio::time::timeout(LOOK, stop.changed()).await.is_ok() {
            return;
        }
    }
}

async fn one(kept: &Kept, gateway: &str) -> Result<(), String> {
    let Kept {
        name,
        inventory,
        root,
    } = kept;
    let question = serde_json::json!({"verb": "inventory", "name": name, "gateway": gateway});
    let text = inventory.adapter.ask(&question).await?;
    let (root, file) = (root.clone(), inventory.file.clone());
    let written = tokio::task::spawn_blocking(move || replaced(&root, &file, &text));
    written.await.map_err(|error| error.to_string())?
}

fn replaced(root: &Path, file: &Path, text: &str) -> Result<(), String> {
    let path = root.join(file);
    let folder = path.parent().unwrap_or(root);
    let io = |error: std::io::Error| format!("`{}`: {error}", path.display());
    if text.len() > MOST {
        return Err("its output is too large for a file of nodes".to_owned());
    }
    // A tool that fails without an error must not remove nodes.
    if text.trim().is_empty() {
        return Err("its output is empty: without nodes, print `opsbook: 1`".to_owned());
    }
    let (_, problems) = nodes::parse(&together(folder, file, text).map_err(io)?);
    if let Some(problem) = problems.iter().find(|problem| problem.is_error()) {
        return Err(format!("its output is wrong: {problem}"));
    }
    // Otherwise a page's author could make the gateway write into another folder.
    if std::fs::symlink_metadata(folder).map_err(io)?.is_symlink() {
        return Err(format!("`{}` is a link", folder.display()));
    }
    // Rewrite the file only if it differs, so that readers of the manual see no false change.
    if std::fs::read_to_string(&path).is_ok_and(|before| before == text) {
        return Ok(());
    }
    let mut part = tempfile::Builder::new()
        .prefix(".inventory-")
        .tempfile_in(folder)
        .map_err(io)?;
    std::io::Write::write_all(&mut part, text.as_bytes()).map_err(io)?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    part.as_file().set_permissions(readable).map_err(io)?;
    part.persist(&path).map_err(|error| io(error.error))?;
    Ok(())
}

/// All files of the folder with the new version of this one: they may depend on each other.
fn together(folder: &Path, file: &Path, text: &str) -> std::io::Result<Vec<Arc<Source>>> {
    let mut texts = BTreeMap::from([(file.to_owned(), text.to_owned())]);
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let path = Path::new("nodes").join(&*name);
        if name.ends_with(".yaml") && !name.starts_with('.') && path != file {
            texts.insert(path, std::fs::read_to_string(folder.join(&*name))?);
        }
    }
    let sources = texts.into_iter();
    Ok(sources
        .map(|(path, text)| Source::new(path, text))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_by_what_can_be_read_as_nodes() {
        let dir = tempfile::tempdir().unwrap();
        let (root, file) = (dir.path(), Path::new("nodes/50-cloud.inventory.yaml"));
        let good = "opsbook: 1\nnodes:\n  web1: {groups: [web]}\n";
        assert!(replaced(root, file, good).is_err(), "there is no folder");
        std::fs::create_dir(root.join("nodes")).unwrap();
        std::fs::write(
            root.join("nodes/10-own.yaml"),
            "opsbook: 1\ngroups:\n  web: {}\n",
        )
        .unwrap();
        replaced(root, file, good).unwrap();
        let read = || std::fs::read_to_string(root.join(file)).unwrap();
        assert_eq!(read(), good);
        for wrong in [
            "moon",
            "opsbook: 1\nnodes: [",
            "opsbook: 1\nnodes:\n  web1: {groups: [web]}\nmoon: {}\n",
            "",
        ] {
            assert!(replaced(root, file, wrong).is_err(), "{wrong}");
            assert_eq!(read(), good);
        }
        assert_eq!(std::fs::read_dir(root.join("nodes")).unwrap().count(), 2);
        std::fs::rename(root.join("nodes"), root.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", root.join("nodes")).unwrap();
        let why = replaced(root, file, &good.replace("web1", "web2")).unwrap_err();
        assert!(why.contains("is a link"), "{why}");
        let kept = std::fs::read_to_string(root.join("elsewhere/50-cloud.inventory.yaml"));
        assert_eq!(kept.unwrap(), good);
    }
}
