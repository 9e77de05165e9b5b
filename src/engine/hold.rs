//! The bundles of a run on one node: taken up, given what they need, closed or kept.

use std::time::Duration;

use crate::engine::bundle::{Alive, Bundle, BundleError, Closed, Held, Owner};
use crate::engine::halt::Halt;
use crate::engine::node::{NodeRun, Origin, begun, sentence, token_of};
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
        if self.bundle.is_some() {
            // It was caught up with.
            return self.take_up_local().await;
        }
        let node = self.plan.node.name.as_str();
        let old = resume.and_then(|record| token_of(record, node, false));
        let session = self.reach.session().clone();
        if let Some(record) = resume.filter(|_| old.is_some()) {
            let held = Bundle::look(&session, dir).await?;
            self.same_controller(record, held.as_ref())?;
        }
        let taken = match &old {
            Some(old) => {
                let owner = self.owner();
                self.reopened(&session, dir, old, Some(&owner)).await?
            }
            None => None,
        };
        let (bundle, again) = match (taken, resume) {
            (Some(bundle), _) => (bundle, true),
            (None, Some(record)) if old.is_some() && begun(record, self.plan) => {
                return self.gone(dir, first, record).await;
            }
            (None, _) => self.opened(&session, dir, None, resume.is_none()).await?,
        };
        self.bundle = Some(bundle);
        self.scope.set_state(On::Node, dir);
        self.taken_over = again;
        if again {
            // Another controller had it, and may have done something in it.
            self.touched = true;
            self.record_reopened(dir)?;
        } else {
            self.record_opened(dir, false, None)?;
        }
        self.take_up_local().await
    }

    async fn take_up_local(&mut self) -> Result<(), Halt> {
        if self.old_local.is_some() {
            // It is closed at the end, whether or not a step needs it again.
            self.local_bundle().await?;
        }
        Ok(())
    }

    /// The bundle of a run that had begun is not there any more.
    async fn gone(&mut self, dir: &str, first: usize, record: &Record) -> Result<(), Halt> {
        let run = self.recorder.run();
        let past = Bundle::past(self.reach.session(), dir, &self.owner()).await?;
        if let Some(past) = past.filter(|past| !past.steps.is_empty()) {
            let more = self.compared(record, &past.steps)?;
            if let (Some(_), true) = (
                &past.end,
                first <= self.plan.steps.len() || !more.is_empty(),
            ) {
                return Err(Halt::error(format!(
                    "the run has ended on this node, and the journal knows nothing of that; `opsbook resume --catch-up {run}` reads from the node's history how"
                )));
            }
        }
        // It was closed, and its closing not written down.
        if first > self.plan.steps.len() {
            return Ok(());
        }
        self.record_closed(dir.to_owned(), false, None)?;
        let cause = "the bundle of this run is gone from the node: what its steps left there cannot be gone on with";
        Err(Halt::error(cause))
    }

    /// A bundle that this run's last controller had; nothing where it is gone.
    pub(super) async fn reopened(
        &self,
        session: &Session,
        dir: &str,
        old: &str,
        owner: Option<&Owner>,
    ) -> Result<Option<Bundle>, Halt> {
        match Bundle::reopen(session, dir, &self.recorder.run(), &self.token, old, owner).await {
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
        new: bool,
    ) -> Result<(Bundle, bool), Halt> {
        let our = self.owner();
        let run = self.recorder.run();
        let mut had = FairTime::start();
        // A record for each step, made at once; local steps are few.
        let steps = if start_in.is_none() {
            self.plan.steps.len()
        } else {
            0
        };
        loop {
            let held = match Bundle::open(session, dir, &our, &self.token, start_in, steps).await {
                Ok(bundle) => return Ok((bundle, false)),
                Err(BundleError::Held(held)) => held,
                Err(BundleError::Ended) if new => {
                    return Err(Halt::end(Status::Blocked, there_already(&run)));
                }
                Err(error @ BundleError::Ended) => {
                    let cause = format!("{error}; `opsbook resume --catch-up {run}` reads them");
                    return Err(Halt::error(cause));
                }
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
            if new {
                return Err(Halt::end(Status::Blocked, there_already(&run)));
            }
            match Bundle::reopen(session, dir, &run, &self.token, "", Some(&our)).await {
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
        // Of one in which nothing was done, nothing is told.
        let end = self.touched.then(|| self.last_claim());
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
            self.open_places().await?;
        }
        if let Some(local) = self.local.take() {
            let path = local.dir.clone();
            let closed = local.close(end.as_ref()).await?;
            self.record_kept(&closed)?;
            self.record_closed(path, true, None)?;
        }
        for (user, bundle) in std::mem::take(&mut self.users) {
            if self.places.contains_key(&user) {
                let path = bundle.dir.clone();
                let closed = bundle.close(end.as_ref()).await?;
                self.record_kept(&closed)?;
                self.record_closed(path, false, Some(user))?;
            }
        }
        if let Some(bundle) = self.bundle.take() {
            let path = bundle.dir.clone();
            let closed = bundle.close(end.as_ref()).await?;
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
        let dir = self.local_dir();
        let start_in = self.options.root.display().to_string();
        let owner = self.owner();
        let taken = match &self.old_local {
            Some(old) => self.reopened(&session, &dir, old, Some(&owner)).await?,
            None => None,
        };
        let bundle = if let Some(bundle) = taken {
            if self.local_origin == Origin::New {
                self.local_origin = Origin::Found;
            }
            bundle
        } else {
            let opened = self.opened(&session, &dir, Some(&start_in), false);
            let (bundle, found) = opened.await?;
            self.local_origin = match &self.old_local {
                _ if found => Origin::Found,
                Some(_) => Origin::Replaced,
                None => Origin::New,
            };
            self.take_local_by_hand(&bundle).await?;
            bundle
        };
        self.local = Some(bundle.clone());
        self.old_local = None;
        self.scope.set_state(On::Local, &dir);
        self.record_opened(&dir, true, None)?;
        Ok(bundle)
    }

    /// Where local steps have their bundle, one for each node.
    pub(super) fn local_dir(&self) -> String {
        let root = self.options.root.display();
        format!("{root}/.opsbook/bundles/{}", self.plan.node.name)
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

    pub(super) fn record_closed(
        &self,
        path: String,
        local: bool,
        user: Option<String>,
    ) -> Result<(), Halt> {
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

fn there_already(run: &str) -> String {
    format!("run {run} is on this node already; `opsbook resume --catch-up {run}` goes on with it")
}
