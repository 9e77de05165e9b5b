//! `opsbook resume` and `handoff`: continue a halted run here or by hand.

use std::io::Write;
use std::sync::Arc;

use clap::Args;

use crate::cli::Streams;
use crate::cli::complete;
use crate::cli::context::{Chosen, tell_elsewhere};
use crate::cli::error::Failure;
use crate::cli::gateway;
use crate::cli::launch::{Seat, launch};
use crate::cli::lost::make_journal;
use crate::cli::manner::MannerArgs;
use crate::cli::sheet::{has_sheet, sheet, whole};
use crate::cli::supervised::run_name;
use crate::cli::via::Via;
use crate::cli::which::which;
use crate::engine::{OnLag, first_left, start_for};
use crate::event::{Manner as Through, RunStarted, Status};
use crate::journal::{self, Journal, JournalError, Record};
use crate::outside;
use crate::plan::Plan;
use crate::project::{
    Changes, Manner, Project, Resumed, Run, Start, Who, changes, done, moved, not_recorded,
};
use crate::source::Problem;

/// Continue a halted run at its first step that is not OK
///
/// Reads the journal and asks the node for the state of the step at which the run ended: a running
/// step is followed, an ended one is not run again. Refuses, with the difference, if the text or a
/// value of the remaining steps, or a delivered file, has changed since. Keeps the options of the
/// run: batches, limits, questions.
#[derive(Args, Debug)]
pub(crate) struct Resume {
    /// The run, or a node, which means its latest run that changed something there; the latest
    /// halted run if absent
    #[arg(value_name = "RUN|NODE", add = complete::runs())]
    which: Option<String>,
    /// Continue with the current texts, values and files although they have changed; changed files
    /// are delivered again
    #[arg(long)]
    accept_changed: bool,
    /// Read from the nodes what the journal lacks: a journal from a backup, or of a run that
    /// another controller has continued; a lost one is restored from what all nodes in `nodes.yaml`
    /// have of RUN. Asks before anything is taken in; `--yes` confirms
    #[arg(long)]
    catch_up: bool,
    /// Leave out a node of a run over several that does not answer and has no step left; its bundle
    /// stays there; may be repeated
    #[arg(long, value_name = "NODE", add = complete::node())]
    without: Vec<String>,
    /// Keep none of the run's options: use only those given here
    #[arg(long)]
    new_manner: bool,
    /// Who continues it: this program, over ssh, or a runner of the gateway that has the run
    #[arg(long, value_enum, default_value_t = Via::Ssh)]
    via: Via,
    /// A value for a captured name, if its step was skipped or the value has changed; may be
    /// repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = crate::cli::show::name_and_value)]
    set: Vec<(String, String)>,
    /// A step that was done by hand (id or number, NODE:STEP, or TURN/NODE:STEP on a node that
    /// serves the turn of another): its checks are run, and if they hold it is recorded as done and
    /// the run continues after it; may be repeated
    #[arg(long, value_name = "STEP", conflicts_with = "start_at", add = complete::steps())]
    done: Vec<String>,
    /// A note about the steps of `--done`
    #[arg(long, value_name = "TEXT", requires = "done")]
    note: Option<String>,
    #[command(flatten)]
    common: MannerArgs,
}

/// Print the hand-off sheets of a run, or the one of a node
#[derive(Args, Debug)]
pub(crate) struct Handoff {
    /// The run, or a node, which means its latest run
    #[arg(value_name = "RUN|NODE", add = complete::runs())]
    which: Option<String>,
    /// Only the sheet of this node
    #[arg(value_name = "NODE", add = complete::node())]
    node: Option<String>,
}

impl Resume {
    pub fn is_via_gateway(&self) -> bool {
        self.via == Via::Gateway
    }
}

/// The gateway has the run: it continues there.
pub(crate) fn at_gateway(
    args: &Resume,
    dir: &Chosen,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let Some(run) = &args.which else {
        let message = "`--via gateway` needs the name of a run";
        let problem = Problem::bare("usage", message);
        return Err(Failure::from(problem.hint("`opsbook runs` shows all runs")));
    };
    let beside = [
        ("--accept-changed", args.accept_changed),
        ("--catch-up", args.catch_up),
        ("--without", !args.without.is_empty()),
        ("--new-manner", args.new_manner),
        ("--set", !args.set.is_empty()),
        ("--done", !args.done.is_empty()),
        ("--yes", args.common.yes),
    ];
    let beside = { beside.iter() }.find_map(|(name, said)| said.then_some(*name));
    if let Some(option) = beside.or(args.common.of_this_program()) {
        let message = format!("a gateway does not accept `{option}`");
        return Err(Failure::from(Problem::bare("usage", message)));
    }
    gateway::order::resume(run, dir, streams)
}

pub(crate) fn resume(
    args: &Resume,
    project: &Project,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let run = which(project, args.which.as_deref(), true)?;
    if args.catch_up && is_lost(project, &run) && run_name(&run).is_ok() {
        make_journal(project, &run, args.common.yes)?;
    }
    let (journal, record) = Journal::reopen(&project.state, &run)?;
    let started = started(&record, &run)?.clone();
    if record.status() == Some(Status::Ok) {
        writeln!(
            streams.talk,
            "run {run} is complete: there is nothing to resume"
        )?;
        return Ok(0);
    }
    refuse_given_up(&record, &started, &run)?;
    if record.unchained > 0 {
        writeln!(
            streams.talk,
            "note: an older opsbook wrote the first {} lines of this journal: opsbook cannot \
             detect changes in them\n",
            record.unchained
        )?;
    }
    let plan = project.plan_again(&started)?;
    tell_elsewhere(project, &mut *streams.talk)?;
    same_book(project, &started, args.accept_changed, streams)?;
    moved(&plan, &record, &project.root)?;
    let changes = changes(&plan, &record, &project.root);
    say(&changes, args.accept_changed, &run, streams)?;
    let before = record.manner().filter(|_| !args.new_manner).cloned();
    let before = before.map(|before| Through {
        stop_after: before
            .stop_after
            .filter(|step| !passed(&plan, &record, *step)),
        ..before
    });
    if let Some(before) = &before {
        take_over(args, &plan, before, &run, streams)?;
    }
    let manner = Manner {
        given: given(&args.set, &plan)?,
        without: without(args, &plan, &record)?,
        on_lag: if args.catch_up {
            OnLag::CatchUp
        } else {
            OnLag::Refuse
        },
        ..args.common.manner(&plan, before.as_ref())?
    };
    tell_not_begun(&plan, &record, manner.start_at, streams)?;
    let done = done(&plan, &record, &args.done)?;
    let accepted_changes = !changes.shown.is_empty();
    let (plan, told, since) = (Arc::new(plan), done.clone(), record.events.len());
    let resumed = Run {
        plan: Arc::clone(&plan),
        manner,
        start: Start::Resume(Box::new(Resumed {
            journal,
            record,
            accepted_changes,
            anew: changes.anew,
            plans: changes.plans,
            done,
            note: args.note.clone(),
        })),
        who: Who::of(project),
    };
    let seat = Seat {
        json: args.common.json(),
        answers: false,
    };
    let status = launch(project, resumed, seat, streams)?;
    if !told.is_empty() && status != 0 {
        let record = journal::read(&project.state, &run)?;
        let missing = not_recorded(&plan, &record, &told, since);
        tell_not_recorded(&missing, streams)?;
    }
    Ok(status)
}

fn refuse_given_up(record: &Record, started: &RunStarted, run: &str) -> Result<(), Failure> {
    if !record.is_given_up_everywhere() {
        return Ok(());
    }
    let message =
        format!("run {run} was released: its bundle, with what its steps left in it, was removed");
    let hint = format!("`opsbook run {} …` starts a new run", started.procedure);
    Err(Failure::from(Problem::bare("given-up", message).hint(hint)))
}

/// Reports steps that were done by hand on nodes to which the run did not come: it would do them
/// again.
fn tell_not_recorded(missing: &[String], streams: &mut Streams) -> Result<(), Failure> {
    if !missing.is_empty() {
        let again: Vec<String> = missing
            .iter()
            .map(|step| format!("--done {step}"))
            .collect();
        writeln!(
            streams.talk,
            "\nwarning: not recorded as done, because the run did not get that far: {}\n\nhint: \
             the next `opsbook resume` needs it again: `{}`",
            outside::line(&missing.join(", ")),
            outside::line(&again.join(" "))
        )?;
    }
    Ok(())
}

/// Whether there is no journal of the run here, or none with a complete line.
fn is_lost(project: &Project, run: &str) -> bool {
    match journal::read(&project.state, run) {
        Ok(record) => record.events.is_empty(),
        Err(error) => matches!(error, JournalError::Missing { .. }),
    }
}

/// A run that began with an archive must continue with the same one.
fn same_book(
    project: &Project,
    started: &RunStarted,
    accepted: bool,
    streams: &mut Streams,
) -> Result<(), Failure> {
    let Some(before) = &started.book else {
        return Ok(());
    };
    let now = project.book.as_ref();
    if now.is_some_and(|now| now.name == before.name && now.content == before.content) {
        return Ok(());
    }
    let now = match now {
        Some(now) if now.version == before.version => {
            format!(
                "it now has other files under the same version, {}",
                now.version
            )
        }
        Some(now) if now.name == before.name => format!("it is {} now", now.version),
        Some(now) => format!("this is {} {}", now.name, now.version),
        None => "this is a folder".to_owned(),
    };
    let (name, version) = (&before.name, &before.version);
    let message = format!("{name} was {version} when this run began, and {now}");
    if accepted {
        writeln!(
            streams.talk,
            "note: {}, which is accepted\n",
            outside::line(&message)
        )?;
        return Ok(());
    }
    let message = outside::line(&message).to_string();
    let problem = Problem::bare("book-changed", message);
    Err(Failure::from(problem.hint(
        "name the old archive with `--book`, or pass `--accept-changed`",
    )))
}

/// Shows the changes, and stops unless they were accepted.
pub(crate) fn say(
    changes: &Changes,
    accepted: bool,
    run: &str,
    streams: &mut Streams,
) -> Result<(), Failure> {
    for note in &changes.notes {
        writeln!(streams.talk, "note: {}\n", outside::line(note))?;
    }
    for line in &changes.shown {
        writeln!(streams.talk, "{}", outside::line(line))?;
    }
    if changes.shown.is_empty() {
        return Ok(());
    }
    let what = changes.what.join(", and ");
    if accepted {
        let again = if changes.anew.is_empty() {
            ""
        } else {
            ": the files are delivered again; steps that have used the old ones are not run again"
        };
        writeln!(
            streams.talk,
            "note: {what} have changed since run {run} was halted, which is accepted{again}\n"
        )?;
        return Ok(());
    }
    let message = format!("{what} have changed since run {run} was halted");
    Err(Failure::from(
        Problem::bare("manual-changed", message).hint(
            "`--accept-changed` continues with the current manual and nodes, and delivers changed \
             files again",
        ),
    ))
}

/// Values for captured names: all other arguments stay as at the start.
fn given(set: &[(String, String)], plan: &Plan) -> Result<Vec<(String, String)>, Failure> {
    let steps = plan.nodes.iter().flat_map(|node| &node.steps);
    let captured = steps.filter_map(|step| step.capture.as_deref());
    for (name, _) in set {
        if !captured.clone().any(|captured| captured == name) {
            let message = format!(
                "`--set {name}=…`: no step of `{}` captures it",
                plan.procedure
            );
            let problem = Problem::bare("unknown-argument", message);
            return Err(Failure::from(
                problem.hint("a run keeps its arguments; start a new run to use others"),
            ));
        }
    }
    Ok(set.to_vec())
}

/// The nodes to leave out: nothing is left to do on them.
fn without(args: &Resume, plan: &Plan, record: &Record) -> Result<Vec<String>, Failure> {
    for name in &args.without {
        let mut plans = plan.nodes.iter().filter(|node| node.node.name == *name);
        if plan.binding.is_none() || plans.clone().next().is_none() {
            let message = format!(
                "`--without {name}`: this run has no machine `{name}` that it \
                 can leave out"
            );
            let problem = Problem::bare("without", message);
            return Err(Failure::from(problem.did_you_mean(name, plan.machines())));
        }
        let left = plans.find_map(|node| Some((node, first_left(node, record)?)));
        if let Some((node, step)) = left {
            let label = node.label(step);
            let message = format!("`--without {name}`: step `{label}` is left to do there");
            let problem = Problem::bare("without", message);
            return Err(Failure::from(problem.hint(
                "`--start-at` continues after it; `--done` records that a person did it",
            )));
        }
    }
    Ok(args.without.clone())
}

/// Whether a step is done on every node.
fn passed(plan: &Plan, record: &Record, step: usize) -> bool {
    let mut with_it = plan.nodes.iter().filter(|node| node.step(step).is_some());
    with_it.all(|node| {
        let steps = record.steps(node.site());
        matches!(steps.get(&step), Some(Some(status)) if status.goes_on())
    })
}

/// Reports nodes that begin at their first step although the operator continues at a later one.
fn tell_not_begun(
    plan: &Plan,
    record: &Record,
    start_at: Option<usize>,
    streams: &mut Streams,
) -> Result<(), Failure> {
    let nodes = plan.nodes.iter();
    let at_its_first = nodes.filter(|node| {
        let ended = record.node_status(node.site()) == Some(Status::Ok);
        start_at.is_some() && !ended && start_for(node, record, start_at).is_none()
    });
    let mut names: Vec<&str> = at_its_first
        .map(|node| node.site().turn_of().unwrap_or(&node.node.name))
        .collect();
    names.dedup();
    if !names.is_empty() {
        writeln!(
            streams.talk,
            "note: `--start-at` applies only to nodes that have started; these start at the first \
             step: {}\n",
            outside::line(&names.join(", "))
        )?;
    }
    Ok(())
}

/// Reports the options that come from the run.
fn take_over(
    args: &Resume,
    plan: &Plan,
    before: &Through,
    run: &str,
    streams: &mut Streams,
) -> Result<(), Failure> {
    let options = args.common.taken_over(plan, before);
    if !options.is_empty() {
        writeln!(
            streams.talk,
            "note: options taken over from run {run}: {} (`--new-manner` takes none \
             over)\n",
            options.join(" ")
        )?;
    }
    Ok(())
}

pub(crate) fn handoff(
    args: &Handoff,
    project: &Project,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let run = which(project, args.which.as_deref(), true)?;
    let record = journal::read(&project.state, &run)?;
    let plan = project.plan_again(started(&record, &run)?)?;
    let names = || plan.nodes.iter().map(|node| node.node.name.as_str());
    if let Some(node) = &args.node
        && !names().any(|name| name == node)
    {
        let problem = Problem::bare("unknown-node", format!("run `{run}` has no node `{node}`"));
        return Err(Failure::from(problem.did_you_mean(node, names())));
    }
    if plan.binding.is_some() {
        whole(
            project,
            &plan,
            args.node.as_deref(),
            &record,
            &mut streams.people(),
        )?;
        return Ok(0);
    }
    for name in names().filter(|name| args.node.as_ref().is_none_or(|node| node == name)) {
        if !has_sheet(&record, name) {
            writeln!(
                streams.people(),
                "\n# {name}: nothing was started there, and nothing is left to do by hand"
            )?;
            continue;
        }
        sheet(project, &plan, name, &record, &mut streams.people())?;
    }
    Ok(0)
}

fn started<'a>(record: &'a Record, run: &str) -> Result<&'a RunStarted, Failure> {
    record.started().ok_or_else(|| {
        let message = format!(
            "the journal of run `{run}` has no first line: the run ended before it started, or \
             somebody emptied the journal"
        );
        let hint = format!("`opsbook resume {run} --catch-up` reads the records on the nodes");
        Failure::from(Problem::bare("run-not-started", message).hint(hint))
    })
}
