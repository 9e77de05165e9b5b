//! The bundle of the steps that are run on this machine: beside the manual, one for each node.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::bundle::{Bundle, Owner};
use crate::bundles::others::put_state;
use crate::bundles::{Bundles, Origin};
use crate::event::{Event, Site, What};
use crate::halt::{Attention, Halt};
use crate::journal::{self, Record};
use crate::manual::On;
use crate::reach::{ReachError, sentence};
use crate::shell::Shell;
use crate::state::State;

/// Bytes of what steps that were done by hand may have set.
const LARGEST_STATE: u64 = 4 << 20;

impl Bundles<'_> {
    /// The bundle of local steps, opened or reopened when it is first needed.
    pub async fn local(&mut self) -> Result<Bundle, Halt> {
        if let Some(bundle) = &self.local {
            return Ok(bundle.clone());
        }
        let shell = self.here().await?;
        let dir = self.local_dir();
        let owner = self.given.owner();
        let reopened = match &self.local_token {
            Some(old) => self.reopen_bundle(&shell, &dir, old, Some(&owner)).await?,
            None => None,
        };
        let (bundle, origin) = match reopened {
            Some(bundle) => (bundle, Origin::Found),
            None => self.open_local(&shell, &dir).await?,
        };
        self.local = Some(bundle.clone());
        self.local_token = None;
        // What was in one that is gone stays gone.
        if self.local_origin != Origin::Replaced {
            self.local_origin = origin;
        }
        if origin == Origin::Found {
            self.record_reopened(&dir, true)?;
        } else {
            self.record_opened(&dir, true, None)?;
        }
        Ok(bundle)
    }

    async fn open_local(&self, shell: &Shell, dir: &str) -> Result<(Bundle, Origin), Halt> {
        let start_in = self.given.options.root.display().to_string();
        let opened = self.open_bundle(shell, dir, Some(&start_in), false);
        let (bundle, origin) = opened.await?;
        if origin == Origin::Found {
            return Ok((bundle, origin));
        }
        self.take_local_by_hand(&bundle).await?;
        match self.local_token {
            Some(_) => Ok((bundle, Origin::Replaced)),
            None => Ok((bundle, Origin::New)),
        }
    }

    /// It is closed at the end, whether or not a step needs it again.
    pub async fn reopen_local(&mut self) -> Result<(), Halt> {
        if self.local_token.is_some() {
            self.local().await?;
        }
        Ok(())
    }

    /// Where local steps have their bundle; `None` where it is not open.
    pub fn open_local_dir(&self) -> Option<&str> {
        self.local.as_ref().map(|local| local.dir.as_str())
    }

    /// Whether the records of local steps that were begun earlier are gone.
    pub fn local_was_replaced(&self) -> bool {
        self.local_origin == Origin::Replaced
    }

    fn local_dir(&self) -> String {
        let bundles = self.given.options.state.bundles();
        bundles
            .join(self.given.site().file_name())
            .display()
            .to_string()
    }

    /// Is the bundle of this run's local steps on this machine?
    pub fn has_local_record(&self) -> bool {
        let owner = format!("{}/owner", self.local_dir());
        let text = std::fs::read_to_string(owner).unwrap_or_default();
        let owner: Option<Owner> = serde_json::from_str(&text).ok();
        owner.is_some_and(|owner| owner.run == self.given.run())
    }

    async fn here(&self) -> Result<Shell, Halt> {
        match self.reach.to(On::Local, None).await {
            Ok(shell) => Ok(shell),
            Err(ReachError::Open(error)) => Err(Halt::error(sentence(&error))),
            Err(error) => Err(error.into()),
        }
    }

    /// What steps of this machine have set that were done by hand goes on in its bundle.
    async fn take_local_by_hand(&self, bundle: &Bundle) -> Result<(), Halt> {
        let folder = by_hand_folder(
            &self.given.options.state,
            &self.given.run(),
            &self.given.site().file_name(),
        );
        let Some(text) = bounded(&folder.join("state"), LARGEST_STATE) else {
            return Ok(());
        };
        let state = State::read(&text);
        let state =
            state.map_err(|error| Halt::error(format!("{}/state: {error}", folder.display())))?;
        let put = put_state(bundle, &state.text()).await;
        put.map_err(Attention::into_halt)
    }
}

/// Where a person does steps of the operator's machine by hand, in a run on a node for which no
/// such step was run yet: what a bundle would be.
#[must_use]
pub fn by_hand_folder(state: &journal::State, run: &str, node: &str) -> PathBuf {
    state.by_hand().join(run).join(node)
}

/// The text of a regular file of this machine, up to `most` bytes and one.
pub fn bounded(path: &Path, most: u64) -> Option<Vec<u8>> {
    let file = std::fs::File::open(path).ok()?;
    let mut text = Vec::new();
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    file.take(most + 1).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Whether the local bundle of a run was gone once, closed or not, and another was made: records of
/// earlier steps are not in it.
pub fn was_replaced(record: &Record, site: Site<'_>) -> bool {
    let opened = |event: &&Event| matches!(event.what, What::BundleOpened { local: true, .. });
    record.of(site).filter(opened).nth(1).is_some()
}
