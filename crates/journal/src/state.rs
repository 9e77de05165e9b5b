//! The state folder of a manual: journals of runs, results of checks, bundles of steps on this
//! machine. It is `.opsbook` in the manual's folder, or another folder, so that a read-only manual
//! can be used.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The state folder of a manual. It need not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State(PathBuf);

/// The environment variable for the folder; it overrides everything else.
pub const VARIABLE: &str = "OPSBOOK_STATE";

/// The folder in which a supervisor keeps this process's journals.
static KEPT_IN: OnceLock<PathBuf> = OnceLock::new();

/// Makes this process keep journals in this folder instead of the state folder. A supervisor uses
/// one folder for each part of a run, because their journals have the same name. Only the first
/// call counts.
pub fn keep_in(folder: PathBuf) {
    let _ = KEPT_IN.set(folder);
}

impl State {
    /// `.opsbook` in the folder of a manual.
    #[must_use]
    pub fn beside(root: &Path) -> State {
        State(root.join(".opsbook"))
    }

    /// The folder in [`VARIABLE`], otherwise the one in the manual's settings, otherwise `.opsbook`
    /// in the manual's folder.
    #[must_use]
    pub fn of(root: &Path, setting: Option<&Path>) -> State {
        let variable = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty());
        let home = std::env::home_dir();
        match variable {
            Some(folder) => State(std::path::absolute(&folder).unwrap_or(folder.into())),
            None => State::set(root, setting, home.as_deref()),
        }
    }

    /// The folder in the settings: relative to the manual's folder; `~/` is the operator's home.
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

    /// The folder of journals.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        match KEPT_IN.get() {
            Some(folder) => folder.clone(),
            None => self.0.join("runs"),
        }
    }

    /// The folder of suite results.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.0.join("results")
    }

    /// The folder of bundles of steps on this machine, by node name.
    #[must_use]
    pub fn bundles(&self) -> PathBuf {
        self.0.join("bundles")
    }

    /// The folders of people who do local steps by hand, instead of a bundle.
    #[must_use]
    pub fn by_hand(&self) -> PathBuf {
        self.0.join("by-hand")
    }

    /// The mount points for nodes' bundles.
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
