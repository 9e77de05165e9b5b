//! The bundle of the steps that run on this machine: in the manual's state folder, one per node.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::bundle::{Bundle, Owner};
use crate::bundles::others::put_state;
use crate::bundles::{Bundles, Origin};
use crate::event::{Event, Site, What};
use crate::halt::{Attention, Halt};
use crate::journal::{self, Record};
use crate::manual::On;
use crate::reach::ReachError;
use crate::shell::Shell;
use crate::state::State;

/// The largest saved state of steps that were done by hand, in bytes.
const LARGEST_STATE: u64 = 4 << 20;

impl Bundles<'_> {
    /// The bundle of local steps; opens or reopens it on first use.
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
        // If the earlier bundle is gone, its contents are lost.
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

    /// Reopens it so that it is closed at the end, even if no step needs it again.
    pub async fn reopen_local(&mut self) -> Result<(), Halt> {
        if self.local_token.is_some() {
            self.local().await?;
        }
        Ok(())
    }

    /// The folder of the local bundle; `None` if it is not open.
    pub fn open_local_dir(&self) -> Option<&str> {
        self.local.as_ref().map(|local| local.dir.as_str())
    }

    /// Whether the records of earlier local steps are lost.
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

    /// Whether the bundle of this run's local steps exists on this machine.
    pub fn has_local_record(&self) -> bool {
        let owner = format!("{}/owner", self.local_dir());
        let text = std::fs::read_to_string(owner).unwrap_or_default();
        let owner: Option<Owner> = serde_json::from_str(&text).ok();
        owner.is_some_and(|owner| owner.run == self.given.run())
    }

    async fn here(&self) -> Result<Shell, Halt> {
        match self.reach.to(On::Local, None).await {
            Ok(shell) => Ok(shell),
            Err(ReachError::Open(error)) => Err(Halt::error(error.sentence())),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes variables from local steps that were done by hand into the bundle.
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

/// The folder where a person does local steps by hand, if no local step of this run on this node
/// has run yet. It serves as a bundle.
#[must_use]
pub fn by_hand_folder(state: &journal::State, run: &str, node: &str) -> PathBuf {
    state.by_hand().join(run).join(node)
}

/// The text of a regular file of this machine, up to `most` + 1 bytes.
pub fn bounded(path: &Path, most: u64) -> Option<Vec<u8>> {
    let file = std::fs::File::open(path).ok()?;
    let mut text = Vec::new();
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    file.take(most + 1).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Whether the local bundle of a run was lost and replaced: records of earlier steps are not in the
/// new one.
pub fn was_replaced(record: &Record, site: Site<'_>) -> bool {
    let opened = |event: &&Event| matches!(event.what, What::BundleOpened { local: true, .. });
    record.of(site).filter(opened).nth(1).is_some()
}
