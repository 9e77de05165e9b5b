//! Files that are unpacked into a temporary folder and opened there.

use std::path::PathBuf;

use crate::Project;
use crate::files::Files;
use crate::package::description::Part;
use crate::package::folder;
use crate::package::tree::Tree;

/// A packed, unpacked and opened project: what the reader of the archive gets.
pub(crate) struct Opened {
    pub project: Project,
    folder: PathBuf,
    _aside: tempfile::TempDir,
}

impl Opened {
    /// With its packages.
    pub(crate) fn of(tree: &Tree, carried: &[Part]) -> Result<Opened, String> {
        let mut opened = Opened::alone(tree)?;
        let place = crate::merge::place_carrying(&opened.folder, carried);
        let place = place.map_err(|problems| problems[0].sentence())?;
        opened.project = Project::read(place);
        Ok(opened)
    }

    /// Without its packages.
    pub(crate) fn alone(tree: &Tree) -> Result<Opened, String> {
        let aside = tempfile::tempdir().map_err(|error| error.to_string())?;
        let folder = aside.path().join("manual");
        folder::write(tree, &folder).map_err(|error| error.to_string())?;
        Ok(Opened {
            project: Project::read(Files::below(&folder)),
            folder,
            _aside: aside,
        })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Its folders are read-only, so an ordinary removal would fail.
        let _ = folder::remove(&self.folder);
    }
}
