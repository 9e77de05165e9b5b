//! How a run is to be done, as the command line and the nodes say it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::error::Failure;
use crate::cli::password::password;
use crate::nodes::Node;
use crate::plan::{Plan, PlannedStep};
use crate::session::Password;
use crate::source::Problem;

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

#[derive(Args, Debug)]
pub(crate) struct MannerArgs {
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
    pub yes: bool,
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

impl MannerArgs {
    pub fn manner(&self, plan: &Plan) -> Result<Manner, Failure> {
        let all = plan.nodes.len();
        let step =
            |wanted: &Option<String>| wanted.as_deref().map(|step| number(plan, step)).transpose();
        let (start_at, stop_after) = (step(&self.start_at)?, step(&self.stop_after)?);
        if let (Some(start), Some(stop)) = (start_at, stop_after)
            && stop < start
        {
            let message = "`--stop-after` names a step before the one of `--start-at`";
            return Err(Failure::from(Problem::bare("no-steps", message)));
        }
        Ok(Manner {
            menu: self.step,
            yes: self.yes,
            start_at,
            stop_after,
            parallel: self.parallel,
            batches: self.batches(plan)?,
            wait: self.wait,
            max_fail: self.max_fail.of(all),
            reconnect: self.reconnect,
            json: self.format == Format::Json,
            ask_password: self.ask_sudo_password,
            password: self
                .sudo_password_file
                .as_deref()
                .map(password)
                .transpose()?,
        })
    }

    /// Sizes of batches: those of `--batch`, else the most careful that a node's `batch` says.
    fn batches(&self, plan: &Plan) -> Result<Vec<usize>, Failure> {
        let all = plan.nodes.len();
        let sizes = |shares: &[Share]| shares.iter().map(|share| share.of(all).max(1)).collect();
        if !self.batch.is_empty() {
            return Ok(sizes(&self.batch));
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
