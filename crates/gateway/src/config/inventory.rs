//! Nodes from other tools: the tool, how often to ask it, and the file of the manual to write.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::adapter::Adapter;
use crate::secret::Secret;

/// The default interval.
const EVERY: Duration = Duration::from_mins(5);

/// All of them, by name.
pub type Inventories = BTreeMap<String, Inventory>;

/// `[inventory.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenInventory")]
pub struct Inventory {
    /// The tool.
    pub adapter: Adapter,
    /// The manual; optional if there is only one.
    pub manual: Option<String>,
    /// The file in the manual's folder: `nodes/NAME.inventory.yaml`. Updates of a git clone do not
    /// remove such files.
    pub file: PathBuf,
    /// How often to ask.
    pub every: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInventory {
    kind: String,
    command: Option<String>,
    url: Option<String>,
    token: Option<Secret>,
    manual: Option<String>,
    file: String,
    every: Option<String>,
}

impl TryFrom<WrittenInventory> for Inventory {
    type Error = String;

    fn try_from(written: WrittenInventory) -> Result<Inventory, String> {
        let WrittenInventory {
            kind,
            command,
            url,
            token,
            ..
        } = written;
        let adapter = Adapter::new(&kind, command, url, token)?;
        let name = written.file.strip_prefix("nodes/").unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !name.ends_with(".inventory.yaml") || name.starts_with('.') || !name.bytes().all(plain) {
            return Err(
                "`file` must be `nodes/NAME.inventory.yaml`, in the folder `nodes` of the manual"
                    .to_owned(),
            );
        }
        let every = match &written.every {
            Some(text) => crate::manual::duration(text).map_err(|why| format!("`every`: {why}"))?,
            None => EVERY,
        };
        if every < Duration::from_secs(1) {
            return Err("`every` must be at least 1s".to_owned());
        }
        let file = PathBuf::from(&written.file);
        Ok(Inventory {
            adapter,
            manual: written.manual,
            file,
            every,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_one_of_the_folder_of_nodes() {
        let read = |file: &str| {
            let text = format!("kind = \"program\"\ncommand = \"x\"\nfile = \"{file}\"");
            toml::from_str::<Inventory>(&text)
        };
        assert!(read("nodes/50-cloud.inventory.yaml").is_ok());
        for wrong in [
            "nodes.yaml",
            "nodes/x.yml",
            "nodes/../a.yaml",
            "nodes/.a.yaml",
            "/etc/a.yaml",
            "nodes/a/b.yaml",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
