//! Starts or continues a planned run: prerequisites, journal, and the engine. Prints nothing and
//! asks nobody: questions go to an [`Operator`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use opsbook_text::random;
use tokio::sync::watch;

use crate::Project;
use crate::engine::{
    self, DoneByHand, NoPassword, OnLag, Operator, Options, Passwords, Proof, Recorder,
    SecretError, Secrets, Turn, Watcher,
};
use crate::event::{self, PlanRecord, Site, Status, What};
use crate::journal::{self, Journal, JournalError, Record};
use crate::plan::{Part, Plan};
use crate::session::{OpenOptions, Password};
use crate::source::Problem;
use crate::who::Who;

/// Step numbers by node.
pub type Anew = BTreeMap<String, BTreeSet<usize>>;

/// The options of a run.
#[derive(Debug)]
pub struct Manner {
    /// Options that the journal keeps and a resumed run takes over.
    pub through: event::Manner,
    /// Answer every confirmation with yes.
    pub yes: bool,
    /// Number of the first step to run.
    pub start_at: Option<usize>,
    /// Values for captured names, given to a resumed run.
    pub given: Vec<(String, String)>,
    /// What to do if the nodes know more than the journal.
    pub on_lag: OnLag,
    /// No other controller may continue the run.
    pub pinned: bool,
    /// Nodes to leave out of a run over several, if no step is left on them.
    pub without: Vec<String>,
    /// Ask for the sudo password before anything else.
    pub ask_password: bool,
    /// The password for `sudo`, if a file was given.
    pub password: Option<Password>,
}

impl Default for Manner {
    /// The defaults.
    fn default() -> Manner {
        Manner {
            through: event::Manner {
                step: false,
                stop_after: None,
                parallel: 10,
                batches: Vec::new(),
                wait_milliseconds: 0,
                max_fail: 0,
                reconnect_milliseconds: 120_000,
            },
            yes: false,
            start_at: None,
            given: Vec::new(),
            on_lag: OnLag::Refuse,
            pinned: false,
            without: Vec::new(),
            ask_password: false,
            password: None,
        }
    }
}

impl Manner {
    /// The selected steps.
    #[must_use]
    pub fn part(&self) -> Part {
        Part {
            start_at: self.start_at,
            stop_after: self.through.stop_after,
        }
    }
}

/// A new run, or one to resume.
pub enum Start {
    /// A run that begins now.
    New(Allotted),
    /// A run that was halted.
    Resume(Box<Resumed>),
}

/// The name of a new run. A supervisor chooses it before anything starts, so that it can find the
/// run if this process dies.
#[derive(Clone, Debug)]
pub struct Allotted {
    /// The id of the run.
    pub run: String,
    /// The number of the first controller; the journal's own if no supervisor counts.
    pub epoch: Option<u64>,
}

/// A run to resume: its past, and what is different from now on.
pub struct Resumed {
    /// Its journal, locked and open at its end.
    pub journal: Journal,
    /// The journal's contents so far.
    pub record: Record,
    /// The operator has seen the changes and accepts them.
    pub accepted_changes: bool,
    /// Steps of each node that deliver again.
    pub anew: Anew,
    /// Steps that were done by hand, by node.
    pub done: Anew,
    /// A note about them.
    pub note: Option<String>,
    /// The plans that have changed.
    pub plans: BTreeMap<String, PlanRecord>,
}

impl Start {
    /// A new run with a unique name.
    #[must_use]
    pub fn new_run() -> Start {
        let run = journal::new_run(Timestamp::now(), u16::from_ne_bytes(random::bytes()));
        Start::New(Allotted { run, epoch: None })
    }

    /// The name of the run.
    #[must_use]
    pub fn run(&self) -> &str {
        match self {
            Start::New(allotted) => &allotted.run,
            Start::Resume(resumed) => resumed.journal.run(),
        }
    }

    /// The run's past; `None` for a new one.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        match self {
            Start::New(_) => None,
            Start::Resume(resumed) => Some(&resumed.record),
        }
    }
}

/// Why a run did not begin, or was not completed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Wrong arguments: nothing was changed.
    #[error("wrong manual, nodes or arguments")]
    Problems(Vec<Problem>),
    /// A missing secret or file: nothing was changed.
    #[error("something that the run needs is missing")]
    NotThere(Vec<Problem>),
    /// A password for `sudo` is needed and missing.
    #[error(transparent)]
    NoPassword(#[from] NoPassword),
    /// The operator stopped before anything was changed.
    #[error("{0}")]
    Stopped(String),
    /// The journal cannot be written: the run ends before its next step.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A run that is about to start or continue.
pub struct Run {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The options.
    pub manner: Manner,
    /// Whether it begins or goes on.
    pub start: Start,
    /// The person who runs it.
    pub who: Who,
}

impl Run {
    /// Everything that can be verified before the run begins.
    #[must_use]
    pub fn proof<'a>(&'a self, project: &'a Project) -> Proof<'a> {
        Proof {
            root: &project.root,
            secrets_in: &project.origin,
            plan: &self.plan,
            part: self.manner.part(),
            resume: self.start.record(),
            given: &self.manner.given,
        }
    }

    /// Runs it. The watcher sees each event once it is in the journal, and the operator gets the
    /// questions; incrementing `interrupts` stops the run. `turn` is called with each node that
    /// begins.
    ///
    /// # Errors
    /// Before any node is reached, if something is missing; later only if the journal cannot be
    /// written. The returned status says how the run ended.
    pub async fn go_in_turn(
        self,
        project: &Project,
        (operator, mut interrupts): (Operator, watch::Receiver<u32>),
        watcher: Watcher,
        turn: Turn,
    ) -> Result<Status, RunError> {
        looked_over(&self.proof(project))?;
        let passwords = Passwords::new(operator.clone(), self.manner.password.clone());
        if self.manner.ask_password {
            passwords.get("every node", "root", None).await?;
        }
        let secrets = Secrets::new(project.origin.clone(), operator.clone());
        let proof = self.proof(project);
        let looked_up = tokio::select! {
            biased;
            Ok(_) = interrupts.wait_for(|count| *count > 0) => Err(SecretError::Stopped),
            looked_up = proof.secrets(&secrets) => looked_up,
        };
        let missing = looked_up.map_err(|why| RunError::Stopped(why.to_string()))?;
        if !missing.is_empty() {
            return Err(RunError::NotThere(missing));
        }
        let told = self.told();
        let start_at = match self.start.record() {
            Some(record) => record.started().and_then(|started| started.start_at),
            None => self.manner.start_at,
        };
        let through = self.manner.through.clone();
        let owner = self
            .who
            .owner(&self.plan, self.start.run().to_owned(), start_at, &through);
        let options = Options {
            root: project.root.clone(),
            state: project.state.clone(),
            menu: through.step,
            yes: self.manner.yes,
            start_at: self.manner.start_at,
            anew: Anew::new(),
            told,
            on_lag: self.manner.on_lag,
            pinned: self.manner.pinned,
            without: self.manner.without.clone(),
            stop_after: through.stop_after,
            parallel: through.parallel,
            turn,
            batches: through.batches,
            wait: Duration::from_millis(through.wait_milliseconds),
            max_fail: through.max_fail,
            reconnect: Duration::from_millis(through.reconnect_milliseconds),
            open: OpenOptions {
                prelude: engine::prelude(),
                ..OpenOptions::default()
            },
            owner,
            passwords,
            secrets,
            operator,
            interrupts,
        };
        let plan = Arc::clone(&self.plan);
        let (recorder, resume, anew) = self.begin(project)?.record(watcher)?;
        let options = Arc::new(Options { anew, ..options });
        Ok(engine::run(plan, options, recorder, resume).await?)
    }

    /// Runs it without reporting which node begins.
    ///
    /// # Errors
    /// The same as for [`Run::go_in_turn`].
    pub async fn go(
        self,
        project: &Project,
        operator: Operator,
        interrupts: watch::Receiver<u32>,
        watcher: Watcher,
    ) -> Result<Status, RunError> {
        let seat = (operator, interrupts);
        self.go_in_turn(project, seat, watcher, Turn::untold())
            .await
    }

    /// Steps that the operator says were done by hand.
    #[must_use]
    pub fn told(&self) -> DoneByHand {
        let Start::Resume(resumed) = &self.start else {
            return DoneByHand::default();
        };
        let by = &self.who.operator;
        DoneByHand {
            steps: resumed.done.clone(),
            note: match &resumed.note {
                Some(note) => format!("{by} says: {note}"),
                None => format!("{by} says so"),
            },
        }
    }

    fn begin(self, project: &Project) -> Result<Begun, RunError> {
        match self.start {
            Start::New(allotted) => {
                let mut journal = Journal::create(&project.state, &allotted.run)?;
                if let Some(epoch) = allotted.epoch {
                    journal.set_epoch(epoch);
                }
                let Manner {
                    start_at, through, ..
                } = &self.manner;
                let first = self.who.first(&self.plan, *start_at, through);
                Ok(Begun {
                    journal,
                    resume: None,
                    anew: Anew::new(),
                    first,
                    given: Vec::new(),
                })
            }
            Start::Resume(resumed) => Ok(Begun {
                journal: resumed.journal,
                given: given(&self.plan, &self.manner, &resumed.record),
                resume: Some(resumed.record),
                anew: resumed.anew,
                first: What::RunResumed {
                    operator: self.who.operator.clone(),
                    controller: self.who.controller.clone(),
                    accepted_changes: resumed.accepted_changes,
                    manner: Some(self.manner.through),
                    plans: resumed.plans,
                },
            }),
        }
    }
}

/// Missing values are wrong arguments; missing files are another error.
///
/// # Errors
/// All that is missing.
pub fn looked_over(proof: &Proof<'_>) -> Result<(), RunError> {
    let missing = proof.missing();
    if !missing.is_empty() {
        return Err(RunError::Problems(missing));
    }
    let undeliverable = proof.undeliverable();
    if !undeliverable.is_empty() {
        return Err(RunError::NotThere(undeliverable));
    }
    Ok(())
}

/// A run with a journal, and the first events.
struct Begun {
    journal: Journal,
    resume: Option<Record>,
    anew: Anew,
    first: What,
    /// Further values for captured names, for each node.
    given: Vec<Given>,
}

/// A value for a captured name, and where it applies.
struct Given {
    node: String,
    turn: Option<String>,
    what: What,
}

fn given(plan: &Plan, manner: &Manner, record: &Record) -> Vec<Given> {
    let nodes = plan.nodes.iter();
    let left = nodes.filter(|node| record.node_status(node.site()) != Some(Status::Ok));
    left.flat_map(|node| {
        manner.given.iter().map(|(name, value)| Given {
            node: node.node.name.clone(),
            turn: node.turn.clone(),
            what: What::ValueCaptured {
                name: name.clone(),
                value: value.as_str().into(),
            },
        })
    })
    .collect()
}

impl Begun {
    /// Journals it, before the watcher sees it.
    fn record(
        mut self,
        mut watcher: Watcher,
    ) -> Result<(Recorder, Option<Arc<Record>>, Anew), RunError> {
        watcher(&self.journal.record(None, None, self.first)?);
        for Given { node, turn, what } in self.given {
            let site = Site {
                node: &node,
                turn: turn.as_deref(),
            };
            let event = self.journal.record(Some(site), None, what)?;
            watcher(&event);
            if let Some(record) = &mut self.resume {
                record.events.push(event);
            }
        }
        let recorder = Recorder::new(self.journal, vec![watcher]);
        Ok((recorder, self.resume.map(Arc::new), self.anew))
    }
}
