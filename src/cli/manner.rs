//! How a run is to be done, as the command line and the nodes say it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::error::Failure;
use crate::cli::password::password;
use crate::event;
use crate::nodes::Node;
use crate::plan::{Part, Plan, PlannedStep};
use crate::session::Password;
use crate::source::Problem;

/// How a run is to be done, as the command line says it.
#[derive(Debug)]
pub(crate) struct Manner {
    /// What the journal keeps, and `resume` takes over.
    pub through: Through,
    pub yes: bool,
    pub start_at: Option<usize>,
    /// Values for captured names, which a run that goes on is given.
    pub given: Vec<(String, String)>,
    /// Read from the nodes what the journal lacks.
    pub catch_up: bool,
    /// No other controller is to go on with the run.
    pub pinned: bool,
    pub json: bool,
    pub ask_password: bool,
    pub password: Option<Password>,
}

impl Manner {
    pub fn part(&self) -> Part {
        Part {
            start_at: self.start_at,
            stop_after: self.through.stop_after,
        }
    }
}

/// How a run goes through its nodes and steps.
pub(crate) type Through = event::Manner;

/// What holds where nobody has said anything.
fn plain() -> Through {
    Through {
        step: false,
        stop_after: None,
        parallel: 10,
        batches: Vec::new(),
        wait_milliseconds: 0,
        max_fail: 0,
        reconnect_milliseconds: 120_000,
    }
}

#[derive(Args, Debug)]
pub(crate) struct MannerArgs {
    /// Before each step: run, skip, by hand, go on without asking, output so far, shell, quit
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
    pub yes: bool,
    /// Nodes at a time [default: 10]
    #[arg(long, value_name = "N")]
    parallel: Option<usize>,
    /// Sizes of batches, one after the other: 1,5,25%; the last one repeats
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    batch: Vec<Share>,
    /// Between batches: 10s, 5m [default: 0s]
    #[arg(long, value_name = "TIME", value_parser = crate::manual::duration)]
    wait: Option<Duration>,
    /// Start no further batch once more nodes than this ended badly: 2, 10% [default: 0]
    #[arg(long, value_name = "SHARE")]
    max_fail: Option<Share>,
    /// Look this long for a node that was lost during a step [default: 2m]
    #[arg(long, value_name = "TIME", value_parser = crate::manual::duration)]
    reconnect: Option<Duration>,
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

impl MannerArgs {
    /// What is said here, over what the run that goes on was told before.
    pub fn manner(&self, plan: &Plan, before: Option<&Through>) -> Result<Manner, Failure> {
        let all = plan.nodes.len();
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let step =
            |wanted: &Option<String>| wanted.as_deref().map(|step| number(plan, step)).transpose();
        let (start_at, stop_after) = (step(&self.start_at)?, step(&self.stop_after)?);
        if let (Some(start), Some(stop)) = (start_at, stop_after)
            && stop < start
        {
            let message = "`--stop-after` names a step before the one of `--start-at`";
            return Err(Failure::from(Problem::bare("no-steps", message)));
        }
        let old = match before {
            Some(before) => before.clone(),
            None => Through {
                batches: batches_of_nodes(plan)?,
                ..plain()
            },
        };
        let through = Through {
            // `--yes` is for where nobody can answer: it ends the step mode that was taken over.
            step: self.step || (old.step && !self.yes),
            stop_after: stop_after.or(old.stop_after),
            parallel: self.parallel.unwrap_or(old.parallel),
            batches: match self.batch.as_slice() {
                [] => old.batches,
                given => sizes(given, all),
            },
            wait_milliseconds: self.wait.map_or(old.wait_milliseconds, milliseconds),
            max_fail: self.max_fail.map_or(old.max_fail, |share| share.of(all)),
            reconnect_milliseconds: self
                .reconnect
                .map_or(old.reconnect_milliseconds, milliseconds),
        };
        Ok(Manner {
            through,
            yes: self.yes,
            start_at,
            given: Vec::new(),
            catch_up: false,
            pinned: false,
            json: self.format == Format::Json,
            ask_password: self.ask_sudo_password,
            password: self
                .sudo_password_file
                .as_deref()
                .map(password)
                .transpose()?,
        })
    }

    /// What a run is told by its journal and by nothing here, as options.
    pub fn taken_over(&self, plan: &Plan, before: &Through) -> Vec<String> {
        let plain = plain();
        let time = |milliseconds| crate::engine::human(Duration::from_millis(milliseconds));
        let steps = plan.nodes.first().map(|node| node.steps.as_slice());
        let stop_after = before.stop_after.map(|number| {
            let step = steps.and_then(|steps| steps.get(number.wrapping_sub(1)));
            step.map_or(number.to_string(), |step| step.label().to_owned())
        });
        let batches: Vec<String> = before.batches.iter().map(ToString::to_string).collect();
        let batches = (!batches.is_empty() && self.batch.is_empty()).then(|| batches.join(","));
        let parallel = (before.parallel != plain.parallel && self.parallel.is_none())
            .then(|| before.parallel.to_string());
        let wait = (before.wait_milliseconds != plain.wait_milliseconds && self.wait.is_none())
            .then(|| time(before.wait_milliseconds));
        let max_fail = (before.max_fail != plain.max_fail && self.max_fail.is_none())
            .then(|| before.max_fail.to_string());
        let reconnect = (before.reconnect_milliseconds != plain.reconnect_milliseconds
            && self.reconnect.is_none())
        .then(|| time(before.reconnect_milliseconds));
        let stop_after = stop_after.filter(|_| self.stop_after.is_none());
        let step = (before.step && !self.step && !self.yes).then(|| "--step".to_owned());
        let options = [
            ("--batch", batches),
            ("--parallel", parallel),
            ("--wait", wait),
            ("--max-fail", max_fail),
            ("--stop-after", stop_after),
            ("--reconnect", reconnect),
        ];
        let options = options.into_iter();
        let options = options.filter_map(|(name, value)| Some(format!("{name} {}", value?)));
        options.chain(step).collect()
    }
}

fn sizes(shares: &[Share], all: usize) -> Vec<usize> {
    shares.iter().map(|share| share.of(all).max(1)).collect()
}

/// Sizes of batches: the most careful that a node's `batch` says.
fn batches_of_nodes(plan: &Plan) -> Result<Vec<usize>, Failure> {
    let mut careful: Option<Vec<usize>> = None;
    for node in &plan.nodes {
        let Some(shares) = batch_of(&node.node).map_err(|problem| *problem)? else {
            continue;
        };
        let said = sizes(&shares, plan.nodes.len());
        if careful.as_ref().is_none_or(|least| said < *least) {
            careful = Some(said);
        }
    }
    Ok(careful.unwrap_or_default())
}

/// What a node's `batch` says.
pub(crate) fn batch_of(node: &Node) -> Result<Option<Vec<Share>>, Box<Problem>> {
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

/// A step by its id, its number, its name or its title.
pub(crate) fn number(plan: &Plan, wanted: &str) -> Result<usize, Failure> {
    let steps = plan
        .nodes
        .first()
        .map(|node| node.steps.as_slice())
        .unwrap_or_default();
    let found = steps.iter().find(|step| {
        step.label() == wanted || step.name == wanted || step.number.to_string() == wanted
    });
    let mut titled = steps.iter().filter(|step| step.title == wanted);
    let titled = titled.next().filter(|_| titled.next().is_none());
    found.or(titled).map(|step| step.number).ok_or_else(|| {
        let message = format!("`{}` has no step `{wanted}`", plan.procedure);
        let labels: Vec<&str> = steps.iter().map(PlannedStep::label).collect();
        let problem = Problem::bare("unknown-step", message);
        Failure::from(
            match crate::source::nearest(wanted, labels.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint(format!("its steps are: {}", labels.join(", "))),
            },
        )
    })
}
