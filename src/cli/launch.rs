//! A planned run, started or gone on with: journal, watchers, terminal, engine, and what is
//! said at its end.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::cli::context::Context;
use crate::cli::error::{Failure, exit};
use crate::cli::progress::Progress;
use crate::cli::terminal::{About, Terminal, count_interrupts};
use crate::cli::{Streams, block_on};
use crate::engine::{self, Operator, Options, Owner, Passwords, Recorder, Secrets, Watcher};
use crate::event::{Event, RunStarted, Status, What};
use crate::journal::{self, Journal, Record};
use crate::plan::Plan;
use crate::report::handoff::{self, Sheet};
use crate::report::human::Human;
use crate::report::known::Known;
use crate::session::{OpenOptions, Password};

/// How a run is to be done, as the command line says it.
#[derive(Debug, Default)]
pub(crate) struct Manner {
    pub menu: bool,
    pub yes: bool,
    pub start_at: Option<usize>,
    pub stop_after: Option<usize>,
    pub parallel: usize,
    pub batches: Vec<usize>,
    pub wait: Duration,
    pub max_fail: usize,
    pub reconnect: Duration,
    pub json: bool,
    pub ask_password: bool,
    pub password: Option<Password>,
}

/// A new run, or one that goes on.
pub(crate) enum Launch {
    New,
    Resume {
        journal: Journal,
        record: Record,
        accepted_changes: bool,
    },
}

pub(crate) fn launch(
    context: &Context,
    plan: Plan,
    manner: Manner,
    launch: Launch,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    crate::session::raise_limits();
    let (operator, controller) = (operator_name(), controller_name());
    let revision = self::revision(&context.root);
    let (mut journal, resume, first) = match launch {
        Launch::New => {
            let mut chance = [0; 2];
            let _ = rustix::rand::getrandom(&mut chance, rustix::rand::GetRandomFlags::empty());
            let run = journal::new_run(Timestamp::now(), u16::from_ne_bytes(chance));
            let started = started(&plan, &operator, &controller, &revision);
            (
                Journal::create(&context.root, &run)?,
                None,
                What::RunStarted(Box::new(started)),
            )
        }
        Launch::Resume {
            journal,
            record,
            accepted_changes,
        } => {
            let resumed = What::RunResumed {
                operator: operator.clone(),
                controller: controller.clone(),
                accepted_changes,
            };
            (journal, Some(Arc::new(record)), resumed)
        }
    };
    let run = journal.run().to_owned();
    let out = std::mem::replace(&mut streams.out, Box::new(std::io::sink()));
    let out = Arc::new(std::sync::Mutex::new(out));
    let names: Vec<String> = plan
        .nodes
        .iter()
        .map(|node| node.node.name.clone())
        .collect();
    let progress = Progress::new(&names, !manner.json);
    let mut watchers = vec![watcher(Arc::clone(&out), manner.json, progress.clone())];
    if let Some(record) = &resume {
        // The watcher must know the steps' names: it has not seen the beginning.
        for event in record
            .events
            .iter()
            .filter(|event| matches!(event.what, What::RunStarted(_)))
        {
            if !manner.json {
                watchers[0](event);
            }
        }
    }
    let event = journal.record(None, None, first)?;
    watchers[0](&event);
    let recorder = Recorder::new(journal, watchers);
    let owner = owner(&plan, run.clone(), operator, controller, &revision);
    let plan = Arc::new(plan);
    let json = manner.json;
    let status = block_on(go(
        context,
        Arc::clone(&plan),
        manner,
        owner,
        recorder,
        resume,
        progress,
    ))?;
    if !json && status != Status::Ok {
        let record = journal::read(&context.root, &run)?;
        let mut out = out
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // The run has ended as it has, whatever becomes of what is told of it.
        if let Err(error) = sheets(&plan, &record, &mut **out) {
            writeln!(
                streams.talk,
                "error: the hand-off sheet cannot be written to standard output: {error}\n\nhint: `opsbook handoff {run}` prints it again"
            )?;
        }
    }
    Ok(exit(status))
}

fn sheets(plan: &Plan, record: &Record, out: &mut dyn Write) -> Result<(), Failure> {
    for node in &plan.nodes {
        let name = &node.node.name;
        if record
            .node_status(name)
            .is_some_and(|status| status != Status::Ok)
        {
            sheet(plan, name, record, out)?;
        }
    }
    Ok(())
}

async fn go(
    context: &Context,
    plan: Arc<Plan>,
    manner: Manner,
    owner: Owner,
    recorder: Recorder,
    resume: Option<Arc<Record>>,
    progress: Progress,
) -> Result<Status, Failure> {
    let interrupts = count_interrupts(recorder.run(), progress.clone());
    let (operator, questions) = Operator::new();
    let about = About {
        root: context.root.clone(),
        run: recorder.run(),
        plan: Some(Arc::clone(&plan)),
        progress,
    };
    tokio::spawn(Terminal::new(interrupts.clone(), about).answer(questions));
    let mut password = manner.password;
    if manner.ask_password && password.is_none() {
        let user = "root".to_owned();
        let answer = operator
            .ask("every node", engine::Asked::SudoPassword { user })
            .await;
        let engine::Answer::Secret(given) = answer else {
            return Err(Failure::Error(
                "a password is needed, and there is nobody to ask".to_owned(),
            ));
        };
        password = Some(given);
    }
    let options = Options {
        root: context.root.clone(),
        menu: manner.menu,
        yes: manner.yes,
        start_at: manner.start_at,
        stop_after: manner.stop_after,
        parallel: manner.parallel,
        batches: manner.batches,
        wait: manner.wait,
        max_fail: manner.max_fail,
        reconnect: manner.reconnect,
        open: OpenOptions::default(),
        owner,
        passwords: Passwords::new(operator.clone(), password),
        secrets: Secrets::new(context.root.clone(), operator.clone()),
        operator,
        interrupts,
    };
    Ok(engine::run(plan, Arc::new(options), recorder, resume).await?)
}

type SharedOut = Arc<std::sync::Mutex<Box<dyn Write + Send>>>;

fn watcher(out: SharedOut, json: bool, progress: Progress) -> Watcher {
    if json {
        return Box::new(move |event: &Event| {
            let mut out = out
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Ok(line) = serde_json::to_string(event) {
                // The run goes on when nobody reads; the journal has it all.
                let _ = writeln!(out, "{line}").and_then(|()| out.flush());
            }
        });
    }
    let mut human = Human::new(Shared(out));
    Box::new(move |event| {
        let _ = progress.above(|| human.event(event));
        progress.event(event);
    })
}

/// A stream that two writers share.
struct Shared(SharedOut);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .flush()
    }
}

/// The hand-off sheet of one node.
pub(crate) fn sheet(
    plan: &Plan,
    node: &str,
    record: &Record,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Some(node) = plan.nodes.iter().find(|planned| planned.node.name == node) else {
        return Ok(());
    };
    let name = node.node.name.as_str();
    let arguments = record
        .started()
        .map(|started| started.arguments.clone())
        .unwrap_or_default();
    let sheet = Sheet {
        procedure: &plan.procedure,
        node,
        steps: record.steps(name),
        doubtful: record.doubtful(name),
        arguments: &arguments,
        cause: cause(record, name),
        known: Known::of(record, name),
        program: "opsbook",
    };
    // Where nothing was begun, nothing has to be gone on with.
    if sheet.steps.is_empty() && sheet.known.bundle().is_none() {
        return Ok(());
    }
    writeln!(out)?;
    handoff::write(&sheet, out)?;
    Ok(())
}

/// How it ended on a node, and why.
fn cause(record: &Record, node: &str) -> Option<String> {
    let events = record.events.iter().rev();
    let mut events = events.filter(|event| event.node.as_deref() == Some(node));
    events.find_map(|event| match &event.what {
        What::NodeEnded { status, cause } => Some(match cause {
            Some(cause) => format!("{status}: {cause}"),
            None => status.to_string(),
        }),
        _ => None,
    })
}

/// What the bundle says of its holder.
pub(crate) fn owner(
    plan: &Plan,
    run: String,
    operator: String,
    controller: String,
    (revision, _): &Revision,
) -> Owner {
    Owner {
        run,
        operator,
        controller,
        procedure: plan.procedure.clone(),
        since: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        revision: revision.clone(),
        message: None,
    }
}

pub(crate) fn started(
    plan: &Plan,
    operator: &str,
    controller: &str,
    (revision, clean): &Revision,
) -> RunStarted {
    RunStarted {
        procedure: plan.procedure.clone(),
        title: plan.title.clone(),
        place: plan.span.place(),
        nodes: plan
            .nodes
            .iter()
            .map(|node| node.node.name.clone())
            .collect(),
        arguments: plan.arguments.iter().cloned().collect::<BTreeMap<_, _>>(),
        operator: operator.to_owned(),
        controller: controller.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: revision.clone(),
        clean: *clean,
        plans: plan
            .nodes
            .iter()
            .map(|node| (node.node.name.clone(), engine::plan_record(node)))
            .collect(),
    }
}

/// The manual's git revision and whether its tree is clean; nothing without git.
pub(crate) type Revision = (Option<String>, Option<bool>);

pub(crate) fn revision(root: &std::path::Path) -> Revision {
    let mut git = Command::new("git");
    git.arg("-C")
        .arg(root)
        .args(["status", "--porcelain=v2", "--branch", "--", "."]);
    let Ok(output) = git.stdin(std::process::Stdio::null()).output() else {
        return (None, None);
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let revision = text
        .lines()
        .find_map(|line| line.strip_prefix("# branch.oid "));
    let revision = revision.filter(|oid| output.status.success() && *oid != "(initial)");
    let clean = revision.map(|_| text.lines().all(|line| line.starts_with('#')));
    (revision.map(|oid| oid.chars().take(12).collect()), clean)
}

/// The person at the controller: the environment may not say, the password file does.
pub(crate) fn operator_name() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let from_passwd = || {
        let text = std::fs::read_to_string("/etc/passwd").ok()?;
        let line = text
            .lines()
            .find(|line| line.split(':').nth(2) == Some(uid.as_str()))?;
        Some(line.split(':').next()?.to_owned())
    };
    let from_environment = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    from_environment
        .ok()
        .or_else(from_passwd)
        .unwrap_or_else(|| format!("uid-{uid}"))
}

pub(crate) fn controller_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
