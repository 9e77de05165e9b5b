//! The gateway's own clone of a manual's repository, brought up to the branch again and again.
//! Whoever reads the manual meanwhile is waited for: nobody plans with half of a revision.

use std::sync::PoisonError;

use super::Manual;
use crate::config::Source;
use crate::package::git::Clone;

/// What an inventory says stays (`crate::inventory`).
const KEPT: &str = "/nodes/*.inventory.yaml";

impl Manual {
    /// The revision that its branch has now, where it is a clone of ours.
    ///
    /// # Errors
    /// Where git says no: the revision before is served on.
    pub fn bring(&self) -> Result<(), String> {
        let Source::Git { from, branch } = &self.source else {
            return Ok(());
        };
        let clone = Clone {
            folder: &self.root,
            url: from,
            branch: branch.as_deref(),
        };
        if !self.root.join(".git").exists() {
            return clone.make();
        }
        let Some(revision) = clone.news()? else {
            return Ok(());
        };
        let _nobody_reads = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        clone.check_out(&revision, KEPT)
    }
}
