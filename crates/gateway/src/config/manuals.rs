//! The manuals of a gateway with several, by name.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::package::address::{check_ref, check_url};

/// `[manuals.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManualAt {
    /// A folder of this machine, or an address for `git clone`.
    pub source: String,
    /// The branch of a repository; default: its default branch.
    #[serde(default)]
    pub branch: Option<String>,
}

/// The source of a manual's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder that somebody else maintains.
    Folder(PathBuf),
    /// A repository, which the gateway clones.
    Git {
        /// The address for `git clone`.
        from: String,
        /// The branch.
        branch: Option<String>,
    },
}

impl ManualAt {
    /// The source of its files: an absolute path without a branch is a folder, with a branch a
    /// repository in that folder.
    #[must_use]
    pub fn source(&self) -> Source {
        let path = Path::new(&self.source);
        match &self.branch {
            None if path.is_absolute() => Source::Folder(path.to_owned()),
            branch => Source::Git {
                from: self.address(),
                branch: branch.clone(),
            },
        }
    }

    fn address(&self) -> String {
        if Path::new(&self.source).is_absolute() {
            format!("file://{}", self.source)
        } else {
            self.source.clone()
        }
    }

    /// Refuses what git would interpret as an option or run as a program.
    pub(super) fn checked(&self) -> Result<(), String> {
        check_url(&self.address()).map_err(|why| format!("`source`: {why}"))?;
        let branch = self.branch.as_deref().map_or(Ok(()), check_ref);
        branch.map_err(|why| format!("`branch`: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_manual_is_a_folder_or_a_repository() {
        let read = |text: &str| {
            let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
            config.checked().map(|()| config)
        };
        let good = read(
            "[manuals.shop]\nsource = \"/srv/shop\"\n[manuals.db]\nsource = \"git@git.example:ops/db.git\"\nbranch = \"main\"\n\
             [schedules.look]\nmanual = \"db\"\nchecks = \"*\"\nnodes = \"*\"\nevery = \"5m\"\n",
        )
        .unwrap();
        assert_eq!(good.manuals.len(), 2);
        for (wrong, said) in [
            ("[manuals.shop]\nsource = \"shop\"\n", "are supported"),
            (
                "[manuals.shop]\nsource = \"ext::sh -c x\"\n",
                "are supported",
            ),
            (
                "[manuals.shop]\nsource = \"--upload-pack=x@y\"\n",
                "is not the address of a repository",
            ),
            (
                "[manuals.shop]\nsource = \"http://git.example/shop\"\n",
                "are supported",
            ),
            (
                "[manuals.shop]\nsource = \"git://git.example/shop\"\n",
                "are supported",
            ),
            (
                "[manuals.shop]\nsource = \"/s\"\nbranch = \"-x\"\n",
                "is not a valid name of a tag or branch",
            ),
            (
                "[manuals.\"a/b\"]\nsource = \"/s\"\n",
                "this is not a valid name",
            ),
            (
                "[manuals.a]\nsource = \"/a\"\n[manuals.b]\nsource = \"/b\"\n[schedules.s]\nchecks = \"*\"\nnodes = \"*\"\nevery = \"5m\"\n",
                "`manual` must name",
            ),
            (
                "[manuals.a]\nsource = \"/a\"\n[schedules.s]\nmanual = \"c\"\nchecks = \"*\"\nnodes = \"*\"\nevery = \"5m\"\n",
                "there is no manual `c`",
            ),
        ] {
            let why = read(wrong).unwrap_err();
            assert!(why.contains(said), "{wrong}: {why}");
        }
    }
}
