//! Closes the bundles of a run at its end on a node, or keeps them for a resume.

use crate::bundle::{Bundle, BundleError, Claim};
use crate::bundles::Bundles;
use crate::bundles::others::Place;
use crate::event::What;
use crate::halt::Halt;
use crate::nodes::Text;
use crate::scope::{Scope, ScopeError};
use crate::session::{Cancel, Content, Values};

impl Bundles<'_> {
    /// Closes all bundles. `end` is the last claim for the node.
    pub async fn close(&mut self, end: Option<&Claim>) -> Result<(), Halt> {
        self.given.recorder.sync()?;
        self.tidy().await?;
        let left_of_root = match self.users.get("root") {
            Some(root) => root.left().await?,
            None => Vec::new(),
        };
        self.reopen_local().await?;
        // After a cut, other users' bundles are reopened when needed: now, to close them.
        let lost = |(user, place): (&String, &Place)| {
            place.dir.is_some() && !self.users.contains_key(user)
        };
        if self.places.iter().any(lost) {
            self.open_others().await?;
        }
        if let Some(local) = self.local.take() {
            self.close_one(local, true, None, end).await?;
        }
        for (user, bundle) in std::mem::take(&mut self.users) {
            if self.places.contains_key(&user) {
                self.close_one(bundle, false, Some(user), end).await?;
            }
        }
        let Some(own) = self.own.take() else {
            return Ok(());
        };
        let path = own.dir.clone();
        let mut left = self.close_and_name_rest(own, end).await?;
        for process in left_of_root {
            if !left.contains(&process) {
                left.push(process);
            }
        }
        if !left.is_empty() {
            let processes = left.into_iter().map(Into::into).collect();
            self.given.record(None, What::LeftBehind { processes })?;
        }
        self.record_closed(path, false, None)
    }

    async fn close_one(
        &self,
        bundle: Bundle,
        local: bool,
        user: Option<String>,
        end: Option<&Claim>,
    ) -> Result<(), Halt> {
        let path = bundle.dir.clone();
        self.close_and_name_rest(bundle, end).await?;
        self.record_closed(path, local, user)
    }

    /// Closes a bundle, reports what could not be removed, and returns what still runs.
    async fn close_and_name_rest(
        &self,
        bundle: Bundle,
        end: Option<&Claim>,
    ) -> Result<Vec<String>, Halt> {
        let closed = bundle.close(end).await?;
        // Nothing will look at it again.
        for path in &closed.kept {
            let text = format!(
                "some of the bundle could not be removed: root must remove the rest in `{path}`"
            );
            self.given.warn(None, text)?;
        }
        Ok(closed.left)
    }

    /// Keeps the bundles for a resume.
    pub async fn keep(&mut self, scope: &Scope) -> Result<(), Halt> {
        self.given.recorder.sync()?;
        // Best effort: report the halt itself, not an error here.
        let _ = self.tidy().await;
        let _ = self.leave_values(scope).await;
        let kept = [(&self.local, true), (&self.own, false)];
        for (bundle, local) in kept {
            let Some(bundle) = bundle else { continue };
            // If the node does not answer, assume that the bundle exists; if another opsbook
            // continues this run, keep it for that one.
            if let Err(BundleError::Gone | BundleError::Held(_)) = bundle.mine().await {
                continue;
            }
            let path = bundle.dir.clone();
            self.given.record(None, What::BundleKept { path, local })?;
        }
        Ok(())
    }

    /// Removes from the bundle what must not stay: printed secrets, and root's files.
    async fn tidy(&mut self) -> Result<(), Halt> {
        if let Some(root) = self.users.get("root") {
            root.disown().await?;
        }
        for label in std::mem::take(&mut self.secretive) {
            self.own()?.forget(&label).await?;
        }
        Ok(())
    }

    /// Leaves the plain values in the bundle for a person who continues by hand; never in another
    /// run's bundle.
    pub async fn leave_values(&self, scope: &Scope) -> Result<(), Halt> {
        let bundle = self.own()?;
        bundle.mine().await?;
        let mut values = Values::new();
        for (name, text) in &self.given.plan.node.texts() {
            if let Text::Plain(text) = text {
                let inserted = values.insert(name, text.clone());
                inserted.map_err(ScopeError::from)?;
            }
        }
        for (name, text) in scope.iter() {
            values.insert(name, text).map_err(ScopeError::from)?;
        }
        let path = format!("{}/values", bundle.dir);
        let content = Content::Bytes(&values.assignments());
        let session = bundle.shell();
        let delivered = session.deliver(&path, content, 0o600, &Cancel::new()).await;
        delivered
            .map(drop)
            .map_err(|error| Halt::error(error.to_string()))
    }
}
