//! The bundles of one run on one node: the login user's, those of other users, and the one of local
//! steps. This file opens, reopens and finds them; `release` closes them, `agree` reads their
//! records.

mod agree;
mod catch_up;
mod compare;
mod local;
mod others;
mod release;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::watch;

use crate::bundle::{Alive, Bundle, BundleError, Claim, Held, Owner};
use crate::event::{Site, Status, What};
use crate::given::Given;
use crate::halt::{Attention, Halt};
use crate::journal::Record;
use crate::manual::{On, SudoUser};
use crate::nodes::Node;
use crate::outside::line;
use crate::plan::PlannedStep;
use crate::reach::Reach;
use crate::session::Hello;
use crate::session::fair::FairTime;
use crate::shell::Shell;

pub(super) use catch_up::CaughtUp;
pub(super) use local::bounded;
pub use local::by_hand_folder;
use others::Place;
pub use others::may_move;

/// How long the shell of a dead controller may take to end.
const OLD_SHELL: Duration = Duration::from_secs(15);

pub struct Bundles<'a> {
    given: Given<'a>,
    pub reach: Reach,
    /// The token of this controller; a new one for each connection.
    token: String,
    /// The login user's bundle, which is the lock.
    own: Option<Bundle>,
    own_origin: Origin,
    /// The bundle of local steps.
    local: Option<Bundle>,
    local_origin: Origin,
    /// The token of the controller that had the local bundle, to reopen it.
    local_token: Option<String>,
    /// The same bundle through root's session, and the bundles of other users, by user.
    users: HashMap<String, Bundle>,
    /// The places of the bundles of users who have their own.
    places: HashMap<String, Place>,
    /// Scripts with a secret: their output is not kept on the node.
    secretive: Vec<String>,
    /// Something may have been done in them.
    used: bool,
    /// The latest controller's claim about the run on this node, as far as it was read.
    said: Option<Claim>,
    /// Steps with a recorded end on the node, as far as they were read.
    ended: BTreeSet<usize>,
    interrupts: watch::Receiver<u32>,
}

/// The origin of an open bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This controller created it.
    New,
    /// An earlier controller of the run had it.
    Found,
    /// An earlier controller's bundle is gone, and this one replaces it.
    Replaced,
}

/// The absolute path of a node's bundle.
#[must_use]
pub fn bundle_dir(node: &Node, hello: &Hello) -> String {
    match &node.bundle_dir {
        Some(dir) if dir.starts_with('/') => dir.clone(),
        Some(dir) => format!("{}/{dir}", hello.home),
        None => format!("{}/.opsbook/bundle", hello.home),
    }
}

/// The path of a turn's bundle on a node that the main line uses as well, whose own bundle is at
/// `top`.
#[must_use]
pub fn below(top: &str, turn: &str) -> String {
    format!("{top}.turns/{turn}/bundle")
}

/// The absolute path of the bundle of a part of a run.
pub fn dir_of(given: &Given<'_>, hello: &Hello) -> String {
    let dir = bundle_dir(&given.plan.node, hello);
    match &given.plan.turn {
        Some(turn) if given.below => below(&dir, turn),
        _ => dir,
    }
}

impl<'a> Bundles<'a> {
    /// All bundles, none of them open.
    pub fn new(given: Given<'a>, reach: Reach, resume: Option<&Record>) -> Bundles<'a> {
        let node = given.site();
        let mut bundles = Bundles {
            given,
            reach,
            token: crate::random::hex::<8>(),
            own: None,
            own_origin: Origin::New,
            local: None,
            local_origin: Origin::New,
            local_token: None,
            users: HashMap::new(),
            places: HashMap::new(),
            secretive: Vec::new(),
            used: false,
            said: None,
            ended: BTreeSet::new(),
            interrupts: given.options.interrupts.clone(),
        };
        if let Some(record) = resume {
            bundles.local_token = last_token(record, node, true);
            bundles.used = record.has_begun(node);
            if local::was_replaced(record, node) {
                bundles.local_origin = Origin::Replaced;
            }
        }
        bundles
    }

    pub fn is_open(&self) -> bool {
        self.own.is_some()
    }

    /// Whether an earlier controller had the login user's bundle.
    pub fn was_taken_over(&self) -> bool {
        self.own_origin == Origin::Found
    }

    /// Whether something may have been done in them.
    pub fn were_used(&self) -> bool {
        self.used
    }

    pub fn use_them(&mut self) {
        self.used = true;
    }

    /// Notes that a script of the login user's or root's had a secret.
    pub fn note_secret(&mut self, label: &str) {
        self.secretive.push(label.to_owned());
    }

    /// The login user's bundle.
    pub fn own(&self) -> Result<Bundle, Halt> {
        let own = self.own.clone();
        own.ok_or_else(|| Halt::error("the bundle is not open"))
    }

    /// The bundle with the records of steps on this side and of this user.
    pub async fn of(&mut self, on: On, sudo: Option<&SudoUser>) -> Result<Bundle, Attention> {
        match (on, sudo) {
            (On::Local, _) => self.local().await.map_err(Attention::Halt),
            (On::Node, None) => Ok(self.own()?),
            (On::Node, Some(user)) => {
                if let Some(bundle) = self.users.get(&user.0) {
                    return Ok(bundle.clone());
                }
                let bundle = self.of_user(user).await?;
                self.users.insert(user.0.clone(), bundle.clone());
                Ok(bundle)
            }
        }
    }

    /// The user of a step if that user has a separate bundle: neither root nor the login user.
    pub fn other_user(&self, step: &PlannedStep) -> Option<String> {
        let user = step.sudo.as_ref().filter(|_| step.on == On::Node)?;
        let login = &self.reach.session().hello().user;
        (user.0 != "root" && *login != user.0).then(|| user.0.clone())
    }

    /// Opens the node's bundle, or reopens this run's existing one.
    pub async fn open_or_reopen(
        &mut self,
        dir: &str,
        first: usize,
        resume: Option<&Record>,
    ) -> Result<(), Halt> {
        if self.is_open() {
            // Catching up has already taken it.
            return self.reopen_local().await;
        }
        let node = self.given.site();
        let old = resume.and_then(|record| last_token(record, node, false));
        let shell = self.reach.session().clone();
        let mut reopened = None;
        if let (Some(record), Some(old)) = (resume, &old) {
            let held = Bundle::look(&shell, dir).await?;
            self.same_controller(record, held.as_ref())?;
            let owner = self.given.owner();
            reopened = self.reopen_bundle(&shell, dir, old, Some(&owner)).await?;
        }
        let (bundle, origin) = match (reopened, resume) {
            (Some(bundle), _) => (bundle, Origin::Found),
            (None, Some(record)) if old.is_some() && record.has_begun(node) => {
                return self.own_is_gone(dir, first, record).await;
            }
            (None, _) => {
                self.open_bundle(&shell, dir, None, resume.is_none())
                    .await?
            }
        };
        self.set_own(bundle, origin)?;
        self.reopen_local().await
    }

    /// Makes this the login user's bundle.
    fn set_own(&mut self, bundle: Bundle, origin: Origin) -> Result<(), Halt> {
        let dir = bundle.dir.clone();
        self.own = Some(bundle);
        self.own_origin = origin;
        if origin == Origin::Found {
            // Another controller had it and may have done something in it.
            self.used = true;
            return self.record_reopened(&dir, false);
        }
        self.record_opened(&dir, false, None)
    }

    /// The lost node was found again, with the login user's bundle. All other bundles are reopened
    /// when needed, at the latest to close them.
    pub fn found_again(&mut self, reach: Reach, own: Bundle, token: String) {
        self.reach = reach;
        self.own = Some(own);
        if self.local.take().is_some() {
            self.local_token = Some(self.token.clone());
        }
        self.token = token;
        self.users.clear();
    }

    /// Finds the login user's bundle on a node that was lost, for a controller with a new token.
    pub async fn find_again(&self, reach: &Reach, token: &str) -> Result<Bundle, BundleError> {
        let shell = reach.session();
        let dir = dir_of(&self.given, shell.hello());
        let run = self.given.run();
        Bundle::reopen(shell, &dir, &run, token, &self.token, None).await
    }

    /// The bundle of a run that had begun no longer exists.
    async fn own_is_gone(&mut self, dir: &str, first: usize, record: &Record) -> Result<(), Halt> {
        let run = self.given.run();
        let past = Bundle::past(self.reach.session(), dir, &self.given.owner()).await?;
        let all_done = first > self.given.plan.last_number();
        if let Some(past) = past.filter(|past| !past.steps.is_empty()) {
            let more = self.compared(record, &past.steps)?;
            if past.end.is_some() && (!all_done || !more.is_empty()) {
                return Err(Halt::error(format!(
                    "the run has ended on this node, but the journal does not say so; `opsbook \
                     resume --catch-up {run}` reads the result from the node's history"
                )));
            }
        }
        // The controller closed it and could not journal that.
        if all_done {
            return Ok(());
        }
        self.record_closed(dir.to_owned(), false, None)?;
        let cause = "the bundle of this run is gone from the node, so the run cannot continue \
            with what its steps left there";
        Err(Halt::error(cause))
    }

    /// Reopens a bundle of this run's last controller; `None` if it is gone.
    async fn reopen_bundle(
        &self,
        shell: &Shell,
        dir: &str,
        old: &str,
        owner: Option<&Owner>,
    ) -> Result<Option<Bundle>, Halt> {
        match Bundle::reopen(shell, dir, &self.given.run(), &self.token, old, owner).await {
            Ok(bundle) => Ok(Some(bundle)),
            Err(BundleError::Gone) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a new bundle, or one of this run that the journal does not know, because its
    /// controller died between opening it and writing that down.
    async fn open_bundle(
        &self,
        shell: &Shell,
        dir: &str,
        start_in: Option<&str>,
        new: bool,
    ) -> Result<(Bundle, Origin), Halt> {
        let our = self.given.owner();
        let run = self.given.run();
        let mut had = FairTime::start();
        // Create all record directories at once; local steps are few.
        let steps: Vec<usize> = match start_in {
            None => self
                .given
                .plan
                .steps
                .iter()
                .map(|step| step.number)
                .collect(),
            Some(_) => Vec::new(),
        };
        loop {
            let held = match Bundle::open(shell, dir, &our, &self.token, start_in, &steps).await {
                Ok(bundle) => return Ok((bundle, Origin::New)),
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
            if owner != run && (start_in.is_some() || self.given.below) && held.alive != Alive::Live
            {
                // Its run was given up: the holder of the node's bundle also holds this one.
                Bundle::release(shell, dir, owner).await?;
                continue;
            }
            let at = held.owner.as_ref().and_then(|owner| owner.node.as_deref());
            if let (true, Some(other)) = (owner == run, at.filter(|at| *at != self.given.node())) {
                let cause = format!(
                    "it is the same machine as `{}`: this run holds its bundle already",
                    line(other)
                );
                return Err(Halt::end(Status::Blocked, cause));
            }
            if owner != run {
                let cause = self.blocked(&held);
                return Err(Halt::end(Status::Blocked, cause));
            }
            if new {
                return Err(Halt::end(Status::Blocked, there_already(&run)));
            }
            match Bundle::reopen(shell, dir, &run, &self.token, "", Some(&our)).await {
                Ok(bundle) => return Ok((bundle, Origin::Found)),
                Err(BundleError::Held(_) | BundleError::Gone) if !had.is_over(OLD_SHELL) => {
                    self.wait_for_old_shell(&mut had).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for the dead controller's shell on the node, which ends shortly.
    async fn wait_for_old_shell(&self, had: &mut FairTime) -> Result<(), Halt> {
        let mut interrupts = self.interrupts.clone();
        tokio::select! {
            () = had.during(tokio::time::sleep(Duration::from_millis(250))) => Ok(()),
            Ok(()) = interrupts.changed() => {
                let cause = "stopped while waiting for the bundle";
                Err(Halt::end(Status::Stopped, cause))
            }
        }
    }

    /// Says who holds a bundle, and how to release it if nobody uses it any more.
    fn blocked(&self, held: &Held) -> String {
        let mut sentence = held.sentence();
        if let Some(folder) = held
            .owner
            .as_ref()
            .and_then(|owner| self.other_manual(owner))
        {
            let hint = "`bundle_dir` of the node gives each manual a bundle of its own";
            sentence += &format!("; it is of the manual in `{folder}` ({hint})");
        }
        if held.alive == Alive::Live {
            return sentence;
        }
        let run = match &held.owner {
            Some(owner) => format!(" --run {}", owner.run.line()),
            None => String::new(),
        };
        let node = self.given.node();
        let on = match &held.owner {
            Some(owner) if self.is_of_this_manual(owner) => {
                format!("`opsbook resume {}` continues it, ", owner.run.line())
            }
            _ => String::new(),
        };
        format!("{sentence}; {on}`opsbook lock release {node}{run}` releases it")
    }

    /// Whether the journal of the owner's run is here.
    fn is_of_this_manual(&self, owner: &Owner) -> bool {
        let own = &self.given.options.owner;
        owner.controller == own.controller && owner.folder.is_some() && owner.folder == own.folder
    }

    /// The folder of another manual on this machine that the owner belongs to.
    fn other_manual(&self, owner: &Owner) -> Option<String> {
        let own = &self.given.options.owner;
        let folder = owner.folder.as_ref()?;
        let other = owner.controller == own.controller && owner.folder != own.folder;
        other.then(|| folder.line().to_string())
    }

    fn record_opened(&self, path: &str, local: bool, user: Option<String>) -> Result<(), Halt> {
        let (path, token) = (path.to_owned(), self.token.clone());
        let opened = What::BundleOpened {
            path,
            local,
            token,
            user,
        };
        self.given.record(None, opened)
    }

    fn record_closed(&self, path: String, local: bool, user: Option<String>) -> Result<(), Halt> {
        let closed = What::BundleClosed { path, local, user };
        self.given.record(None, closed)
    }

    fn record_reopened(&self, path: &str, local: bool) -> Result<(), Halt> {
        let (path, token) = (path.to_owned(), self.token.clone());
        let reopened = What::BundleReopened { path, local, token };
        self.given.record(None, reopened)
    }

    /// Journals that the login user's bundle was found again.
    pub fn record_found_again(&self) -> Result<(), Halt> {
        self.record_reopened(&self.own()?.dir, false)
    }
}

/// The token of the last controller that had a bundle. `None` for a closed local bundle: nothing of
/// it is left to close.
fn last_token(record: &Record, site: Site<'_>, of_local: bool) -> Option<String> {
    let mut events = record.of(site).rev();
    let found = events.find_map(|event| match &event.what {
        What::BundleOpened {
            local,
            token,
            user: None,
            ..
        }
        | What::BundleReopened { local, token, .. }
            if *local == of_local =>
        {
            Some(Some(token.clone()))
        }
        What::BundleClosed { local: true, .. } if of_local => Some(None),
        _ => None,
    });
    found.flatten()
}

fn there_already(run: &str) -> String {
    format!("run {run} is already on this node; `opsbook resume --catch-up {run}` continues it")
}
