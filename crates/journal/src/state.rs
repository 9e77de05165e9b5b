//! The folder in which opsbook keeps what it knows of the runs of one manual: their journals, the
//! results of checks, the bundles of steps on this machine. `.opsbook` in the manual's folder,
//! or elsewhere, so that a manual can be used that nobody may write to.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where the state of one manual lies. Nothing need be there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State(PathBuf);

/// The variable of the environment that names the folder, over everything else.
pub const VARIABLE: &str = "OPSBOOK_STATE";

/// Where a supervisor keeps the journals of this process.
static KEPT_IN: OnceLock<PathBuf> = OnceLock::new();

/// From now on, and for this process, journals are in this folder, and not beside their manual. A
/// supervisor has one for each part of a run: their journals have the same name. Whoever says it
/// first is heard.
pub fn keep_in(folder: PathBuf) {
    let _ = KEPT_IN.set(folder);
}

impl State {
    /// `.opsbook` in the folder of a manual.
    #[must_use]
    pub fn beside(root: &Path) -> State {
        State(root.join(".opsbook"))
    }

    /// The folder that [`VARIABLE`] names, else the one that the manual's settings name, else
    /// `.opsbook` in the manual's folder.
    #[must_use]
    pub fn of(root: &Path, setting: Option<&Path>) -> State {
        let variable = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty());
        let home = std::env::home_dir();
        match variable {
            Some(folder) => State(std::path::absolute(&folder).unwrap_or(folder.into())),
            None => State::set(root, setting, home.as_deref()),
        }
    }

    /// As the settings say: relative to the manual's folder, `~/` is the home of the operator.
    fn set(root: &Path, setting: Option<&Path>, home: Option<&Path>) -> State {
        let Some(setting) = setting else {
            return State::beside(root);
        };
        match (setting.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => State(home.join(rest)),
            _ => State(root.join(setting)),
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The journals of runs.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        match KEPT_IN.get() {
            Some(folder) => folder.clone(),
            None => self.0.join("runs"),
        }
    }

    /// What suites of checks found.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.0.join("results")
    }

    /// The bundles of steps on this machine, each by the name of its node.
    #[must_use]
    pub fn bundles(&self) -> PathBuf {
        self.0.join("bundles")
    }

    /// What people who do steps of this machine by hand have instead of a bundle.
    #[must_use]
    pub fn by_hand(&self) -> PathBuf {
        self.0.join("by-hand")
    }

    /// Where bundles of nodes are mounted.
    #[must_use]
    pub fn mounts(&self) -> PathBuf {
        self.0.join("mnt")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_relative_to_the_manual_or_to_the_home_or_absolute() {
        let (root, home) = (Path::new("/srv/manual"), Some(Path::new("/home/ana")));
        for (setting, folder) in [
            (None, "/srv/manual/.opsbook"),
            (Some(".state"), "/srv/manual/.state"),
            (Some("../state"), "/srv/manual/../state"),
            (Some("/var/lib/ops"), "/var/lib/ops"),
            (Some("~/.local/state/shop"), "/home/ana/.local/state/shop"),
            (Some("~x/y"), "/srv/manual/~x/y"),
        ] {
            let state = State::set(root, setting.map(Path::new), home);
            assert_eq!(state.folder(), Path::new(folder));
        }
    }
}
