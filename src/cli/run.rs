//! `opsbook run`, `resume` and `handoff`: a procedure on nodes, on command.

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::Streams;
use crate::cli::changed::{changed, moved};
use crate::cli::context::Context;
use crate::cli::error::{Failure, exit};
use crate::cli::launch::{Launch, Manner, launch};
use crate::cli::sheet::sheet;
use crate::event::{RunStarted, Status};
use crate::journal::{self, Journal, Record};
use crate::plan::{Plan, Request};
use crate::report::dry_run;
use crate::session::Password;
use crate::source::Problem;

/// Run a procedure on nodes, step by step
///
/// The whole plan is made first; nothing is touched before it is known to be right. The
/// bundle on the node is opened and is the lock; steps run in the order of the manual, each
/// followed by its checks. A step that does not end OK halts the run, leaves the bundle and
/// prints what is left to do by hand. `opsbook resume` goes on there.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// The procedure, as `opsbook list` names it
    #[arg(value_name = "PROCEDURE")]
    procedure: String,
    /// Nodes, or selectors: web1, web*, @web, @web&@staging, !web3
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
    /// An argument of the procedure; repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = crate::cli::show::name_and_value)]
    set: Vec<(String, String)>,
    /// Print targets, values and scripts exactly as they would run; reach nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: reach the nodes and say who answers
    #[arg(long, requires = "dry_run")]
    connect: bool,
    #[command(flatten)]
    common: Common,
}

/// Go on with a halted run at its first step that is not OK
///
/// Reads the journal and asks the node what became of the step at which the run ended: a
/// step that is still running is attached to, one that ended is not run again. Refuses, with
/// the difference, where the text or a value of the remaining steps has changed since.
#[derive(Args, Debug)]
pub(crate) struct Resume {
    /// The run, or the node whose latest run is meant, but none that has touched nothing there;
    /// the latest halted run if absent
    #[arg(value_name = "RUN|NODE")]
    which: Option<String>,
    /// Go on although the text or a value of the remaining steps has changed
    #[arg(long)]
    accept_changed: bool,
    #[command(flatten)]
    common: Common,
}

/// Print the hand-off sheet of a run again
#[derive(Args, Debug)]
pub(crate) struct Handoff {
    /// The run, or the node whose latest run is meant
    #[arg(value_name = "RUN|NODE")]
    which: Option<String>,
}

#[derive(Args, Debug)]
struct Common {
    /// Before each step: run, skip, by hand, output so far, shell on the node, quit
    #[arg(long)]
    step: bool,
    /// Begin at this step, by id or number
    #[arg(long, value_name = "STEP")]
    start_at: Option<String>,
    /// Hold after this step, by id or number
    #[arg(long, value_name = "STEP")]
    stop_after: Option<String>,
    /// Confirm everything: for machines
    #[arg(long)]
    yes: bool,
    /// Nodes at a time
    #[arg(long, value_name = "N", default_value_t = 10)]
    parallel: usize,
    /// Sizes of batches, one after the other: 1,5,25%; the last one repeats
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    batch: Vec<Share>,
    /// Between batches: 10s, 5m
    #[arg(long, value_name = "TIME", value_parser = crate::manual::duration, default_value = "0s")]
    wait: Duration,
    /// Start no further batch once more nodes than this ended badly: 2, 10%
    #[arg(long, value_name = "SHARE", default_value = "0")]
    max_fail: Share,
    /// Look this long for a node that was lost during a step
    #[arg(long, value_name = "TIME", value_parser = crate::manual::duration, default_value = "2m")]
    reconnect: Duration,
    /// Ask for the sudo password at once; otherwise when it is first needed
    #[arg(short = 'K', long)]
    ask_sudo_password: bool,
    /// Read the sudo password from this file, for machines; refused where others can read it
    #[arg(long, value_name = "FILE")]
    sudo_password_file: Option<PathBuf>,
    /// How to print what happens
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Format {
    Human,
    /// The journal's own lines, as they are written
    Json,
}

/// A number, or a share of all nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Share {
    Count(usize),
    Percent(usize),
}

impl std::str::FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        let wrong = || format!("`{text}` is neither a number nor a percentage");
        match text.strip_suffix('%') {
            Some(percent) => match percent.parse() {
                Ok(percent) if percent <= 100 => Ok(Share::Percent(percent)),
                _ => Err(wrong()),
            },
            None => text.parse().map(Share::Count).map_err(|_| wrong()),
        }
    }
}

impl Share {
    fn of(self, all: usize) -> usize {
        match self {
            Share::Count(count) => count,
            Share::Percent(percent) => all * percent / 100,
        }
    }
}

pub(crate) fn run(args: &Run, context: &Context, streams: &mut Streams) -> Result<u8, Failure> {
    let request = Request {
        procedure: &args.procedure,
        nodes: &args.nodes,
        set: &args.set,
    };
    let plan = context.plan(&request)?;
    if args.dry_run {
        dry_run::write(&plan, &mut streams.out)?;
        return if args.connect {
            crate::cli::ping::names(&plan_nodes(&plan), context, streams)
        } else {
            Ok(0)
        };
    }
    if let Some(run) = own_open_run(context, &plan) {
        writeln!(
            streams.talk,
            "note: run {run} of `{}` is halted; `opsbook resume {run}` goes on with it\n",
            plan.procedure
        )?;
    }
    if plan.nodes.len() > 1 && !confirmed(&plan, args.common.yes, streams)? {
        return Ok(exit(Status::Stopped));
    }
    let manner = manner(&args.common, &plan)?;
    launch(context, plan, manner, Launch::New, streams)
}

pub(crate) fn resume(
    args: &Resume,
    context: &Context,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let run = which(context, args.which.as_deref(), true)?;
    let (journal, record) = Journal::reopen(&context.root, &run)?;
    let started = started(&record, &run)?.clone();
    if record.status() == Some(Status::Ok) {
        writeln!(
            streams.talk,
            "run {run} is complete: there is nothing to go on with"
        )?;
        return Ok(0);
    }
    let plan = plan_again(context, &started)?;
    moved(&plan, &started, &record)?;
    let changed = changed(&plan, &started, &record);
    if !changed.is_empty() && !args.accept_changed {
        for line in &changed {
            writeln!(streams.talk, "{line}")?;
        }
        let message = format!(
            "the text or the values of the remaining steps have changed since run {run} was halted"
        );
        return Err(Failure::from(
            Problem::bare("manual-changed", message)
                .hint("`--accept-changed` goes on with them as they are now"),
        ));
    }
    let manner = manner(&args.common, &plan)?;
    let accepted_changes = !changed.is_empty();
    launch(
        context,
        plan,
        manner,
        Launch::Resume {
            journal,
            record,
            accepted_changes,
        },
        streams,
    )
}

pub(crate) fn handoff(
    args: &Handoff,
    context: &Context,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let run = which(context, args.which.as_deref(), true)?;
    let record = journal::read(&context.root, &run)?;
    let plan = plan_again(context, started(&record, &run)?)?;
    for node in plan_nodes(&plan) {
        sheet(&plan, &node, &record, &mut streams.out)?;
    }
    Ok(0)
}

fn plan_nodes(plan: &Plan) -> Vec<String> {
    plan.nodes
        .iter()
        .map(|node| node.node.name.clone())
        .collect()
}

fn started<'a>(record: &'a Record, run: &str) -> Result<&'a RunStarted, Failure> {
    record.started().ok_or_else(|| {
        Failure::from(Problem::bare(
            "run-not-started",
            format!("run `{run}` ended before it had begun; nothing was touched"),
        ))
    })
}

/// The same request on the manual as it is now.
fn plan_again(context: &Context, started: &RunStarted) -> Result<Plan, Failure> {
    let set: Vec<_> = started
        .arguments
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let request = Request {
        procedure: &started.procedure,
        nodes: &started.nodes,
        set: &set,
    };
    context.plan(&request)
}

/// A run by its name, the latest of a node, or the latest that is halted. One that has touched
/// nothing on the node does not hide the one before it, where that is to be gone on with.
pub(crate) fn which(
    context: &Context,
    wanted: Option<&str>,
    to_go_on: bool,
) -> Result<String, Failure> {
    journal::readable(&context.root)?;
    let runs = journal::runs(&context.root);
    if let Some(wanted) = wanted
        && (runs.iter().any(|run| run == wanted) || !context.nodes.contains(wanted))
    {
        return Ok(wanted.to_owned());
    }
    let fits = |record: &Record| match (record.started(), wanted) {
        (Some(started), Some(node)) => started.nodes.iter().any(|name| name == node),
        (Some(_), None) => record.is_halted(),
        (None, _) => false,
    };
    let mut untouched = None;
    for run in runs.iter().rev() {
        // One that cannot be read may be the one that is meant.
        let record = journal::read(&context.root, run)?;
        if !fits(&record) {
            continue;
        }
        if !to_go_on || wanted.is_none_or(|node| !record.is_untouched(node)) {
            return Ok(run.clone());
        }
        untouched.get_or_insert(run);
    }
    if let Some(run) = untouched {
        return Ok(run.clone());
    }
    let what = wanted.map_or("no halted run".to_owned(), |node| {
        format!("no run on `{node}`")
    });
    let problem = Problem::bare("no-run", format!("{what} in this manual's journals"));
    Err(Failure::from(
        problem.hint("`opsbook history` shows all runs"),
    ))
}

/// The operator's own halted run of the same procedure on one of the nodes.
fn own_open_run(context: &Context, plan: &Plan) -> Option<String> {
    for run in journal::runs(&context.root).into_iter().rev() {
        let record = journal::read(&context.root, &run).ok()?;
        let Some(started) = record.started() else {
            continue;
        };
        if started.nodes.iter().all(|node| record.is_untouched(node)) {
            continue;
        }
        let same = started.procedure == plan.procedure
            && plan
                .nodes
                .iter()
                .any(|node| started.nodes.contains(&node.node.name));
        let halted = same && record.is_halted() && !journal::under_way(&context.root, &run);
        return halted.then_some(run);
    }
    None
}

fn confirmed(plan: &Plan, yes: bool, streams: &mut Streams) -> Result<bool, Failure> {
    writeln!(
        streams.talk,
        "`{}` on {} nodes:",
        plan.procedure,
        plan.nodes.len()
    )?;
    for node in &plan.nodes {
        writeln!(streams.talk, "  {}", node.node.name)?;
    }
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        writeln!(
            streams.talk,
            "\nerror: more than one node is asked about, and there is nobody to ask\n\nhint: `--yes` confirms"
        )?;
        return Ok(false);
    }
    write!(streams.talk, "go on? [y]es, [n]o > ")?;
    streams.talk.flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_lowercase().starts_with('y'))
}

fn manner(common: &Common, plan: &Plan) -> Result<Manner, Failure> {
    let all = plan.nodes.len();
    let step =
        |wanted: &Option<String>| wanted.as_deref().map(|step| number(plan, step)).transpose();
    let (start_at, stop_after) = (step(&common.start_at)?, step(&common.stop_after)?);
    if let (Some(start), Some(stop)) = (start_at, stop_after)
        && stop < start
    {
        let message = "`--stop-after` names a step before the one of `--start-at`";
        return Err(Failure::from(Problem::bare("no-steps", message)));
    }
    Ok(Manner {
        menu: common.step,
        yes: common.yes,
        start_at,
        stop_after,
        parallel: common.parallel,
        batches: batches(common, plan)?,
        wait: common.wait,
        max_fail: common.max_fail.of(all),
        reconnect: common.reconnect,
        json: common.format == Format::Json,
        ask_password: common.ask_sudo_password,
        password: common
            .sudo_password_file
            .as_deref()
            .map(password)
            .transpose()?,
    })
}

/// What a node's `batch` says.
pub(crate) fn batch_of(node: &crate::nodes::Node) -> Result<Option<Vec<Share>>, Box<Problem>> {
    let Some(evaluated) = node.values.get("batch") else {
        return Ok(None);
    };
    let value = &evaluated.value;
    let text = value.text().unwrap_or_default();
    let shares: Result<Vec<Share>, String> =
        text.split(',').map(|share| share.trim().parse()).collect();
    shares.map(Some).map_err(|why| {
        let problem = Problem::error("batch", value.span.clone(), format!("`batch`: {why}"));
        Box::new(problem.hint("write sizes as in `1,5,25%`"))
    })
}

/// Sizes of batches: those of `--batch`, else the most careful that a node's `batch` says.
fn batches(common: &Common, plan: &Plan) -> Result<Vec<usize>, Failure> {
    let all = plan.nodes.len();
    let sizes = |shares: &[Share]| shares.iter().map(|share| share.of(all).max(1)).collect();
    if !common.batch.is_empty() {
        return Ok(sizes(&common.batch));
    }
    let mut careful: Option<Vec<usize>> = None;
    for node in &plan.nodes {
        let Some(shares) = batch_of(&node.node).map_err(|problem| *problem)? else {
            continue;
        };
        let said: Vec<usize> = sizes(&shares);
        if careful.as_ref().is_none_or(|least| said < *least) {
            careful = Some(said);
        }
    }
    Ok(careful.unwrap_or_default())
}

fn number(plan: &Plan, wanted: &str) -> Result<usize, Failure> {
    let steps = plan
        .nodes
        .first()
        .map(|node| node.steps.as_slice())
        .unwrap_or_default();
    let found = steps.iter().find(|step| {
        step.label() == wanted || step.name == wanted || step.number.to_string() == wanted
    });
    found.map(|step| step.number).ok_or_else(|| {
        let message = format!("`{}` has no step `{wanted}`", plan.procedure);
        let labels: Vec<&str> = steps
            .iter()
            .map(super::super::plan::PlannedStep::label)
            .collect();
        let problem = Problem::bare("unknown-step", message);
        Failure::from(
            match crate::source::nearest(wanted, labels.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint(format!("its steps are: {}", labels.join(", "))),
            },
        )
    })
}

pub(crate) fn password(path: &std::path::Path) -> Result<Password, Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let wrong = |why: String| {
        Failure::from(Problem::bare(
            "sudo-password-file",
            format!("`{}`: {why}", path.display()),
        ))
    };
    let metadata = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(wrong("others can read this file".to_owned()));
    }
    let mut bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    while bytes
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        bytes.pop();
    }
    if bytes.is_empty() {
        Err(wrong("it is empty".to_owned()))
    } else {
        Ok(Password::new(bytes))
    }
}
