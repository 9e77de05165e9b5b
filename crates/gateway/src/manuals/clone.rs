//! The gateway's clone of a manual's repository, regularly updated to its branch. An update waits
//! for readers: nobody plans with a mixture of revisions.

use std::sync::PoisonError;

use super::Manual;
use crate::config::Source;
use crate::package::git::Clone;

/// Files of inventories stay (`crate::inventory`).
const KEPT: &str = "/nodes/*.inventory.yaml";

impl Manual {
    /// Updates the clone to the current revision of its branch; does nothing for a folder.
    ///
    /// # Errors
    /// git's error: the revision before is still served.
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
