//! The bundles of a run on one node: taken up, given what they need, closed or kept.

use std::time::Duration;

use crate::engine::bundle::{Alive, Bundle, BundleError, Closed, Held};
use crate::engine::halt::Halt;
use crate::engine::node::{NodeRun, sentence, token_of};
use crate::engine::reach::ReachError;
use crate::engine::scope::ScopeError;
use crate::engine::users::Place;
use crate::event::{Status, What};
use crate::journal::Record;
use crate::manual::On;
use crate::session::fair::FairTime;
use crate::session::{Cancel, Session};

/// How long the shell of a controller that died may take to notice.
const OLD_SHELL: Duration = Duration::from_secs(15);

impl NodeRun<'_> {
    /// Opens the node's bundle, or the one of this run that is there.
    pub(super) async fn take_up(
        &mut self,
        dir: &str,
        first: usize,
        resume: Option<&Record>,
    ) -> Result<(), Halt> {
        let node = self.plan.node.name.as_str();
        let old = resume.and_then(|record| token_of(record, node, false));
        let begun = resume.is_some_and(|record| crate::engine::node::begun(record, self.plan));
        let finished = first > self.plan.steps.len();
        let session = self.reach.session().clone();
        let taken = match &old {
            Some(old) => self.reopened(&session, dir, old).await?,
            None => None,
        };
        let (bundle, again) = match taken {
            Some(bundle) => (bundle, true),
            // It was closed, and its closing not written down.
            None if old.is_some() && finished => return Ok(()),
            None if old.is_some() && begun => {
                let path = dir.to_owned();
                self.record_closed(path, false, None)?;
                let cause = "the bundle of this run is gone from the node: what its steps left there cannot be gone on with";
                return Err(Halt::error(cause));
            }
            None => self.opened(&session, dir, None).await?,
        };
        self.bundle = Some(bundle);
        self.scope.set_state(On::Node, dir);
        if again {
            // Another controller had it, and may have done something in it.
            self.touched = true;
            self.record_reopened(dir)?;
        } else {
            self.record_opened(dir, false, None)?;
        }
        if self.old_local.is_some() {
            // It is closed at the end, whether or not a step needs it again.
            self.local_bundle().await?;
        }
        Ok(())
    }

    /// A bundle that this run's last controller had; nothing where it is gone.
    pub(super) async fn reopened(
        &self,
        session: &Session,
        dir: &str,
        old: &str,
    ) -> Result<Option<Bundle>, Halt> {
        match Bundle::reopen(session, dir, &self.recorder.run(), &self.token, old).await {
            Ok(bundle) => Ok(Some(bundle)),
            Err(BundleError::Gone) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A new bundle; or one of this run of which the journal knows nothing, because its
    /// controller died between opening it and writing so. True for the latter.
    pub(super) async fn opened(
        &self,
        session: &Session,
        dir: &str,
        start_in: Option<&str>,
    ) -> Result<(Bundle, bool), Halt> {
        let run = self.recorder.run();
        let mut had = FairTime::start();
        // A record for each step, made at once; local steps are few.
        let steps = if start_in.is_none() {
            self.plan.steps.len()
        } else {
            0
        };
        loop {
            let held = match Bundle::open(
                session,
                dir,
                &self.options.owner,
                &self.token,
                start_in,
                steps,
            )
            .await
            {
                Ok(bundle) => return Ok((bundle, false)),
                Err(BundleError::Held(held)) => held,
                Err(error) => return Err(error.into()),
            };
            let owner = held.owner.as_ref().map_or("", |owner| owner.run.exact());
            if owner != run && start_in.is_some() && held.alive != Alive::Live {
                // Of a run that was given up: whoever holds the node's bundle holds this one.
                Bundle::release(session, dir, owner).await?;
                continue;
            }
            if owner != run {
                let cause = blocked(&held, &self.plan.node.name);
                return Err(Halt::end(Status::Blocked, cause));
            }
            match Bundle::reopen(session, dir, &run, &self.token, "").await {
                Ok(bundle) => return Ok((bundle, true)),
                // The dead controller's shell on the node ends in a moment.
                Err(BundleError::Held(_) | BundleError::Gone) if !had.is_over(OLD_SHELL) => {
                    let mut interrupts = self.interrupts.clone();
                    tokio::select! {
                        () = had.during(tokio::time::sleep(Duration::from_millis(250))) => {}
                        Ok(()) = interrupts.changed() => {
                            let cause = "stopped while the bundle was waited for";
                            return Err(Halt::end(Status::Stopped, cause));
                        }
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) async fn close(&mut self) -> Result<(), Halt> {
        self.recorder.sync()?;
        self.tidy().await?;
        let left_of_root = match self.users.get("root") {
            Some(root) => root.left().await?,
            None => Vec::new(),
        };
        if self.old_local.is_some() {
            self.local_bundle().await?;
        }
        // After a cut, those of other users are opened again when needed: now, to close them.
        let lost = |(user, place): (&String, &Place)| {
            place.dir.is_some() && !self.users.contains_key(user)
        };
        if self.places.iter().any(lost) {
            self.open_places(None).await?;
        }
        if let Some(local) = self.local.take() {
            let path = local.dir.clone();
            let closed = local.close().await?;
            self.record_kept(&closed)?;
            self.record_closed(path, true, None)?;
        }
        for (user, bundle) in std::mem::take(&mut self.users) {
            if self.places.contains_key(&user) {
                let path = bundle.dir.clone();
                let closed = bundle.close().await?;
                self.record_kept(&closed)?;
                self.record_closed(path, false, Some(user))?;
            }
        }
        if let Some(bundle) = self.bundle.take() {
            let path = bundle.dir.clone();
            let closed = bundle.close().await?;
            self.record_kept(&closed)?;
            let mut left = closed.left;
            left.extend(
                left_of_root
                    .into_iter()
                    .filter(|process| !left.contains(process))
                    .collect::<Vec<_>>(),
            );
            if !left.is_empty() {
                self.record(
                    None,
                    What::LeftBehind {
                        processes: left.into_iter().map(Into::into).collect(),
                    },
                )?;
            }
            self.record_closed(path, false, None)?;
        }
        Ok(())
    }

    /// A bundle in which nothing was done is no use to anybody.
    pub(super) async fn keep(&mut self, halt: &Halt) -> Result<(), Halt> {
        if matches!(halt, Halt::Journal(_)) {
            return Ok(());
        }
        if !self.touched {
            return self.close().await;
        }
        self.recorder.sync()?;
        // Best effort: the halt itself is what has to be told.
        let _ = self.tidy().await;
        let _ = self.leave_values().await;
        let kept = [(&self.local, true), (&self.bundle, false)];
        for (bundle, local) in kept {
            let Some(bundle) = bundle else { continue };
            // Where nobody answers it is there, as far as anybody knows; where another opsbook
            // goes on with this run, it is kept for that.
            if let Err(BundleError::Gone | BundleError::Held(_)) = bundle.mine().await {
                continue;
            }
            let path = bundle.dir.clone();
            self.record(None, What::BundleKept { path, local })?;
        }
        Ok(())
    }

    /// Takes from the bundle what must not stay: secrets that were printed, and what belongs
    /// to root.
    pub(super) async fn tidy(&mut self) -> Result<(), Halt> {
        if let Some(root) = self.users.get("root") {
            root.disown().await?;
        }
        for label in std::mem::take(&mut self.secretive) {
            self.bundle()?.forget(&label).await?;
        }
        Ok(())
    }

    /// The plain values, for a person who goes on by hand in the bundle. Not into another run's.
    pub(super) async fn leave_values(&self) -> Result<(), Halt> {
        let bundle = self.bundle()?;
        bundle.mine().await?;
        let mut values = crate::session::Values::new();
        let texts = self.plan.node.texts();
        for (name, text) in &texts {
            if let crate::nodes::Text::Plain(text) = text {
                values
                    .insert(name, text.clone())
                    .map_err(ScopeError::from)?;
            }
        }
        for (name, text) in self.scope.iter() {
            values.insert(name, text).map_err(ScopeError::from)?;
        }
        let path = format!("{}/values", bundle.dir);
        let content = crate::session::Content::Bytes(&values.assignments());
        let session = bundle.session();
        let delivered = session.deliver(&path, content, 0o600, &Cancel::new()).await;
        delivered
            .map(drop)
            .map_err(|error| Halt::error(error.to_string()))
    }

    pub(super) fn bundle(&self) -> Result<Bundle, Halt> {
        self.bundle
            .clone()
            .ok_or_else(|| Halt::error("the bundle is not open"))
    }

    /// The bundle of local steps: beside the manual, one for each node.
    pub(super) async fn local_bundle(&mut self) -> Result<Bundle, Halt> {
        if let Some(bundle) = &self.local {
            return Ok(bundle.clone());
        }
        let session = self.here().await?;
        let root = self.options.root.display();
        let dir = format!("{root}/.opsbook/bundles/{}", self.plan.node.name);
        let start_in = root.to_string();
        let taken = match &self.old_local {
            Some(old) => self.reopened(&session, &dir, old).await?,
            None => None,
        };
        let bundle = if let Some(bundle) = taken {
            bundle
        } else {
            let bundle = self.opened(&session, &dir, Some(&start_in)).await?.0;
            self.take_local_by_hand(&bundle).await?;
            bundle
        };
        self.local = Some(bundle.clone());
        self.old_local = None;
        self.scope.set_state(On::Local, &dir);
        self.record_opened(&dir, true, None)?;
        Ok(bundle)
    }

    pub(super) fn record_opened(
        &self,
        path: &str,
        local: bool,
        user: Option<String>,
    ) -> Result<(), Halt> {
        let (path, token) = (path.to_owned(), self.token.clone());
        let opened = What::BundleOpened {
            path,
            local,
            token,
            user,
        };
        self.record(None, opened)
    }

    fn record_closed(&self, path: String, local: bool, user: Option<String>) -> Result<(), Halt> {
        self.record(None, What::BundleClosed { path, local, user })
    }

    pub(super) fn record_reopened(&self, path: &str) -> Result<(), Halt> {
        let (path, token) = (path.to_owned(), self.token.clone());
        self.record(
            None,
            What::BundleReopened {
                path,
                local: false,
                token,
            },
        )
    }

    /// Names what could not be removed, once: nothing looks at it again.
    fn record_kept(&self, closed: &Closed) -> Result<(), Halt> {
        for path in &closed.kept {
            let text = format!(
                "not all of the bundle could be removed: what is left stands in `{path}`, for root to remove"
            );
            let text = text.into();
            self.record(None, What::Warned { text })?;
        }
        Ok(())
    }

    pub(super) async fn here(&self) -> Result<Session, Halt> {
        match self.reach.to(On::Local, None).await {
            Ok(session) => Ok(session),
            Err(ReachError::Open(error)) => Err(Halt::error(sentence(&error))),
            Err(error) => Err(error.into()),
        }
    }
}

/// Who holds a bundle, and how to give it up where nobody works in it any more.
fn blocked(held: &Held, node: &str) -> String {
    let sentence = held.sentence();
    if held.alive == Alive::Live {
        return sentence;
    }
    let run = match &held.owner {
        Some(owner) => format!(" --run {}", owner.run.line()),
        None => String::new(),
    };
    format!("{sentence}; `opsbook lock release {node}{run}` gives it up")
}
