//! A planned run, started or gone on with: journal, watchers, terminal, engine, and what is
//! said at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::cli::about::About;
use crate::cli::context::Context;
use crate::cli::error::{Failure, exit};
use crate::cli::identity::Identity;
use crate::cli::interrupts::count_interrupts;
use crate::cli::manner::Manner;
use crate::cli::progress::Progress;
use crate::cli::screen::{self, Screen, SharedOut};
use crate::cli::sheet::sheets;
use crate::cli::terminal::Terminal;
use crate::cli::{Streams, block_on};
use crate::engine::{self, Operator, Options, Owner, Passwords, Recorder, Secrets, Watcher};
use crate::event::{Event, PlanRecord, RunStarted, Status, What};
use crate::journal::{self, Journal, Record};
use crate::plan::Plan;
use crate::session::OpenOptions;

/// By node, the steps whose files are delivered again.
pub(crate) type Anew = BTreeMap<String, BTreeSet<usize>>;

/// A new run, or one that goes on.
pub(crate) enum Launch {
    New,
    Resume(Box<Resumed>),
}

/// A run that goes on: what it has been so far, and what is different from now on.
pub(crate) struct Resumed {
    pub journal: Journal,
    pub record: Record,
    pub accepted_changes: bool,
    /// Steps of each node that deliver again.
    pub anew: Anew,
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
    let anew = match &launch {
        Launch::New => Anew::new(),
        Launch::Resume(resumed) => resumed.anew.clone(),
    };
    let begun = begin(context, &plan, launch, &manner, &identity)?;
    let run = begun.journal.run().to_owned();
    let out = std::mem::replace(&mut streams.out, Box::new(std::io::sink()));
    let out = SharedOut::new(out);
    let names: Vec<String> = plan
        .nodes
        .iter()
        .map(|node| node.node.name.clone())
        .collect();
    let json = manner.json;
    let screen = if json {
        Screen::of_questions()
    } else {
        Screen::human(out.clone(), Progress::new(&names, true))
    };
    let (recorder, resume) =
        begun.record(watcher(screen.clone(), json.then(|| out.clone())), json)?;
    let owner = identity.owner(&plan, run.clone());
    let plan = Arc::new(plan);
    let status = block_on(go(
        context,
        Arc::clone(&plan),
        (manner, anew),
        owner,
        recorder,
        resume,
        screen,
    ))?;
    if !json && status != Status::Ok {
        let record = journal::read(&context.root, &run)?;
        // The run has ended as it has, whatever becomes of what is told of it.
        if let Err(error) = sheets(&plan, &record, &mut **out.lock()) {
            writeln!(
                streams.talk,
                "error: the hand-off sheet cannot be written to standard output: {error}\n\nhint: `opsbook handoff {run}` prints it again"
            )?;
        }
    }
    Ok(exit(status))
}

/// A run that has a journal, and what it writes there first.
struct Begun {
    journal: Journal,
    resume: Option<Arc<Record>>,
    first: What,
}

fn begin(
    context: &Context,
    plan: &Plan,
    launch: Launch,
    manner: &Manner,
    identity: &Identity,
) -> Result<Begun, Failure> {
    match launch {
        Launch::New => {
            let mut chance = [0; 2];
            let _ = rustix::rand::getrandom(&mut chance, rustix::rand::GetRandomFlags::empty());
            let run = journal::new_run(Timestamp::now(), u16::from_ne_bytes(chance));
            let started = RunStarted {
                start_at: manner.start_at,
                manner: Some(manner.through.clone()),
                ..identity.started(plan)
            };
            Ok(Begun {
                journal: Journal::create(&context.root, &run)?,
                resume: None,
                first: What::RunStarted(Box::new(started)),
            })
        }
        Launch::Resume(resumed) => Ok(Begun {
            journal: resumed.journal,
            resume: Some(Arc::new(resumed.record)),
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

impl Begun {
    /// Writes it down, before the watcher sees it.
    fn record(
        mut self,
        mut watcher: Watcher,
        json: bool,
    ) -> Result<(Recorder, Option<Arc<Record>>), Failure> {
        if let Some(record) = self.resume.as_ref().filter(|_| !json) {
            // The watcher must know the steps' names: it has not seen the beginning.
            let began = |event: &&Event| matches!(event.what, What::RunStarted(_));
            record.events.iter().filter(began).for_each(&mut watcher);
        }
        watcher(&self.journal.record(None, None, self.first)?);
        Ok((Recorder::new(self.journal, vec![watcher]), self.resume))
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

async fn go(
    context: &Context,
    plan: Arc<Plan>,
    (manner, anew): (Manner, Anew),
    owner: Owner,
    recorder: Recorder,
    resume: Option<Arc<Record>>,
    screen: Screen,
) -> Result<Status, Failure> {
    let interrupts = count_interrupts(recorder.run(), screen.clone());
    let (operator, questions) = Operator::new();
    let about = About {
        root: context.root.clone(),
        run: recorder.run(),
        plan: Some(Arc::clone(&plan)),
        screen,
    };
    tokio::spawn(Terminal::new(interrupts.clone(), about).answer(questions));
    let passwords = Passwords::new(operator.clone(), manner.password);
    if manner.ask_password
        && let Err(why) = passwords.get("every node", "root").await
    {
        return Err(why.into());
    }
    let options = Options {
        root: context.root.clone(),
        menu: manner.through.step,
        yes: manner.yes,
        start_at: manner.start_at,
        anew,
        stop_after: manner.through.stop_after,
        parallel: manner.through.parallel,
        batches: manner.through.batches,
        wait: Duration::from_millis(manner.through.wait_milliseconds),
        max_fail: manner.through.max_fail,
        reconnect: Duration::from_millis(manner.through.reconnect_milliseconds),
        open: OpenOptions::default(),
        owner,
        passwords,
        secrets: Secrets::new(context.root.clone(), operator.clone()),
        operator,
        interrupts,
    };
    Ok(engine::run(plan, Arc::new(options), recorder, resume).await?)
}
