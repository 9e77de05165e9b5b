//! A planned run, started or gone on with: journal, watchers, terminal, engine, and what is
//! said at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::cli::about::About;
use crate::cli::context::Context;
use crate::cli::error::{Failure, exit};
use crate::cli::identity::Identity;
use crate::cli::interrupts::count_interrupts;
use crate::cli::manner::Manner;
use crate::cli::progress::Progress;
use crate::cli::screen::{self, Screen, SharedOut};
use crate::cli::sheet::ways_on;
use crate::cli::terminal::Terminal;
use crate::cli::tty::is_anybody_there;
use crate::cli::{Streams, block_on};
use crate::engine::{
    self, OnLag, Operator, Options, Owner, Passwords, Proof, Recorder, SecretError, Secrets, Told,
    Turn, Watcher,
};
use crate::event::{Event, PlanRecord, RunStarted, Status, What};
use crate::journal::{self, Journal, Record};
use crate::plan::Plan;
use crate::session::OpenOptions;

/// By node, the steps whose files are delivered again.
pub(crate) type Anew = BTreeMap<String, BTreeSet<usize>>;

/// A new run, or one that goes on.
pub(crate) enum Launch {
    New(Option<Allotted>),
    Resume(Box<Resumed>),
}

/// What a supervisor has fixed before anything starts, so that it can look for the run wherever
/// this process dies.
#[derive(Clone, Debug)]
pub(crate) struct Allotted {
    pub run: String,
    pub epoch: u64,
}

/// A run that goes on: what it has been so far, and what is different from now on.
pub(crate) struct Resumed {
    pub journal: Journal,
    pub record: Record,
    pub accepted_changes: bool,
    /// Steps of each node that deliver again.
    pub anew: Anew,
    /// By node, the steps that were done by hand.
    pub done: Anew,
    /// What is to be noted of them.
    pub note: Option<String>,
    /// What is going to happen, where that has changed.
    pub plans: BTreeMap<String, PlanRecord>,
}

pub(crate) fn launch(
    context: &Context,
    plan: Plan,
    manner: Manner,
    launch: Launch,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    crate::session::raise_limits();
    let identity = Identity::here(&context.root);
    prove(context, &plan, &manner, &launch, &mut *streams.talk)?;
    let run = launch.run();
    let told = told(&launch, &identity);
    let start_at = match launch.record() {
        Some(record) => record.started().and_then(|started| started.start_at),
        None => manner.start_at,
    };
    let out = std::mem::replace(&mut streams.out, Box::new(std::io::sink()));
    let out = SharedOut::new(out);
    let names = plan.nodes.iter().map(|node| node.node.name.clone());
    let names: Vec<String> = names.collect();
    let json = manner.json;
    let screen = if json {
        Screen::of_questions()
    } else {
        Screen::human(out.clone(), Progress::new(&names, true))
    };
    let plan = Arc::new(plan);
    let status = block_on(async {
        let interrupts = count_interrupts(run.clone(), screen.clone());
        let (operator, questions) = Operator::new();
        let about = About {
            root: context.root.clone(),
            run: run.clone(),
            plan: Some(Arc::clone(&plan)),
            screen: screen.clone(),
        };
        tokio::spawn(Terminal::new(interrupts.clone(), about).answer(questions));
        let ready = ready(context, &plan, manner, &launch, (operator, interrupts)).await?;
        let bars = screen.clone();
        let turn = Turn(Arc::new(move |node| bars.turn(node)));
        let watcher = watcher(screen, json.then(|| out.clone()));
        let begun = begin(context, &plan, launch, &ready.manner, &identity, &run)?;
        let (recorder, resume, anew) = begun.record(watcher, json)?;
        let through = &ready.manner.through;
        let owner = identity.owner(&plan, run.clone(), start_at, through);
        let options = Arc::new(ready.options(context, owner, (anew, told), turn));
        Ok(engine::run(Arc::clone(&plan), options, recorder, resume).await?)
    })?;
    if status == Status::Ok {
        // Nobody goes on by hand any more; that it is there is all the same.
        let folder = engine::by_hand_folder(&context.root, &run, "");
        let _ = std::fs::remove_dir_all(folder);
    }
    if !json && status != Status::Ok {
        let record = journal::read(&context.root, &run)?;
        // The run has ended as it has, whatever becomes of what is told of it.
        if let Err(error) = ways_on(&context.root, &plan, &record, &mut **out.lock()) {
            writeln!(
                streams.talk,
                "error: the hand-off sheet cannot be written to standard output: {error}\n\nhint: `opsbook handoff {run}` prints it again"
            )?;
        }
    }
    Ok(exit(status))
}

impl Launch {
    /// The name of the run, a new one for a new run.
    fn run(&self) -> String {
        match self {
            Launch::New(Some(allotted)) => allotted.run.clone(),
            Launch::New(None) => {
                let mut chance = [0; 2];
                let _ = rustix::rand::getrandom(&mut chance, rustix::rand::GetRandomFlags::empty());
                journal::new_run(Timestamp::now(), u16::from_ne_bytes(chance))
            }
            Launch::Resume(resumed) => resumed.journal.run().to_owned(),
        }
    }

    fn record(&self) -> Option<&Record> {
        match self {
            Launch::New(_) => None,
            Launch::Resume(resumed) => Some(&resumed.record),
        }
    }
}

/// A run for which everything is there that can be known before.
struct Ready {
    manner: Manner,
    operator: Operator,
    interrupts: watch::Receiver<u32>,
    passwords: Passwords,
    secrets: Secrets,
}

fn proof<'a>(
    context: &'a Context,
    plan: &'a Plan,
    manner: &'a Manner,
    launch: &'a Launch,
) -> Proof<'a> {
    Proof {
        root: &context.root,
        plan,
        part: manner.part(),
        resume: launch.record(),
        given: &manner.given,
    }
}

/// Finds out, before anything is written down or reached, whether something is missing.
fn prove(
    context: &Context,
    plan: &Plan,
    manner: &Manner,
    launch: &Launch,
    talk: &mut dyn Write,
) -> Result<(), Failure> {
    let proof = proof(context, plan, manner, launch);
    looked_over(&proof)?;
    if manner.yes || manner.through.step || is_anybody_there() {
        return Ok(());
    }
    if let Some(step) = proof.asks_late() {
        writeln!(
            talk,
            "note: step `{}` will ask, and there is nobody to ask: the run stops there (`--yes` confirms)\n",
            step.label()
        )?;
    }
    Ok(())
}

/// What is missing in the command line is a mistake; a file that is not there is an error.
pub(crate) fn looked_over(proof: &Proof<'_>) -> Result<(), Failure> {
    let missing = proof.missing();
    if !missing.is_empty() {
        return Err(Failure::Problems(missing));
    }
    let undeliverable = proof.undeliverable();
    if !undeliverable.is_empty() {
        return Err(Failure::NotThere(undeliverable));
    }
    Ok(())
}

/// The password where it is to be asked for at once, and all secrets that will be needed.
async fn ready(
    context: &Context,
    plan: &Plan,
    manner: Manner,
    launch: &Launch,
    (operator, mut interrupts): (Operator, watch::Receiver<u32>),
) -> Result<Ready, Failure> {
    let passwords = Passwords::new(operator.clone(), manner.password.clone());
    if manner.ask_password {
        passwords.get("every node", "root").await?;
    }
    let secrets = Secrets::new(context.root.clone(), operator.clone());
    let proof = proof(context, plan, &manner, launch);
    let looked_up = tokio::select! {
        biased;
        Ok(_) = interrupts.wait_for(|count| *count > 0) => Err(SecretError::Stopped),
        looked_up = proof.secrets(&secrets) => looked_up,
    };
    let missing = looked_up.map_err(|why| Failure::Stopped(why.to_string()))?;
    if !missing.is_empty() {
        return Err(Failure::NotThere(missing));
    }
    Ok(Ready {
        manner,
        operator,
        interrupts,
        passwords,
        secrets,
    })
}

impl Ready {
    fn options(
        self,
        context: &Context,
        owner: Owner,
        (anew, told): (Anew, Told),
        turn: Turn,
    ) -> Options {
        let through = self.manner.through;
        Options {
            root: context.root.clone(),
            menu: through.step,
            yes: self.manner.yes,
            start_at: self.manner.start_at,
            anew,
            told,
            on_lag: if self.manner.catch_up {
                OnLag::CatchUp
            } else {
                OnLag::Refuse
            },
            pinned: self.manner.pinned,
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
            passwords: self.passwords,
            secrets: self.secrets,
            operator: self.operator,
            interrupts: self.interrupts,
        }
    }
}

/// A run that has a journal, and what it writes there first.
struct Begun {
    journal: Journal,
    resume: Option<Record>,
    anew: Anew,
    first: What,
    /// What it is given beside that, for each node: values for captured names.
    given: Vec<(String, What)>,
}

fn begin(
    context: &Context,
    plan: &Plan,
    launch: Launch,
    manner: &Manner,
    identity: &Identity,
    run: &str,
) -> Result<Begun, Failure> {
    match launch {
        Launch::New(allotted) => {
            let mut journal = Journal::create(&context.root, run)?;
            if let Some(allotted) = allotted {
                journal.set_epoch(allotted.epoch);
            }
            let started = RunStarted {
                start_at: manner.start_at,
                manner: Some(manner.through.clone()),
                ..identity.started(plan)
            };
            Ok(Begun {
                journal,
                resume: None,
                anew: Anew::new(),
                first: What::RunStarted(Box::new(started)),
                given: Vec::new(),
            })
        }
        Launch::Resume(resumed) => Ok(Begun {
            journal: resumed.journal,
            given: given(plan, manner, &resumed.record),
            resume: Some(resumed.record),
            anew: resumed.anew,
            first: What::RunResumed {
                operator: identity.operator.clone(),
                controller: identity.controller.clone(),
                accepted_changes: resumed.accepted_changes,
                manner: Some(manner.through.clone()),
                plans: resumed.plans,
            },
        }),
    }
}

fn given(plan: &Plan, manner: &Manner, record: &Record) -> Vec<(String, What)> {
    let names = plan.nodes.iter().map(|node| &node.node.name);
    let left = names.filter(|name| record.node_status(name) != Some(Status::Ok));
    left.flat_map(|node| {
        manner.given.iter().map(|(name, value)| {
            let (name, value) = (name.clone(), value.as_str().into());
            (node.clone(), What::ValueCaptured { name, value })
        })
    })
    .collect()
}

impl Begun {
    /// Writes it down, before the watcher sees it.
    fn record(
        mut self,
        mut watcher: Watcher,
        json: bool,
    ) -> Result<(Recorder, Option<Arc<Record>>, Anew), Failure> {
        if let Some(record) = self.resume.as_ref().filter(|_| !json) {
            // The watcher must know the steps' names: it has not seen the beginning.
            let began = |event: &&Event| matches!(event.what, What::RunStarted(_));
            record.events.iter().filter(began).for_each(&mut watcher);
        }
        watcher(&self.journal.record(None, None, self.first)?);
        for (node, what) in self.given {
            let event = self.journal.record(Some(&node), None, what)?;
            watcher(&event);
            if let Some(record) = &mut self.resume {
                record.events.push(event);
            }
        }
        let recorder = Recorder::new(self.journal, vec![watcher]);
        Ok((recorder, self.resume.map(Arc::new), self.anew))
    }
}

/// Shows each event on the screen, and as JSON where that is wanted.
fn watcher(screen: Screen, json: Option<SharedOut>) -> Watcher {
    let mut json = json.map(screen::json);
    Box::new(move |event| {
        if let Some(json) = &mut json {
            json(event);
        }
        screen.event(event);
    })
}

/// What the operator says of steps that were done by hand.
fn told(launch: &Launch, identity: &Identity) -> Told {
    let Launch::Resume(resumed) = launch else {
        return Told::default();
    };
    let by = &identity.operator;
    Told {
        steps: resumed.done.clone(),
        note: match &resumed.note {
            Some(note) => format!("{by} says: {note}"),
            None => format!("{by} says so"),
        },
    }
}
