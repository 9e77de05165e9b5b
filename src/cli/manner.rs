//! The options of a run, from the command line and the nodes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::complete;
use crate::cli::error::Failure;
use crate::cli::password::password;
use crate::event::Manner as Through;
use crate::plan::Plan;
use crate::project::batch::{self, Share, sizes};
use crate::project::{Manner, number};
use crate::source::Problem;

#[derive(Args, Debug)]
pub(crate) struct MannerArgs {
    /// Ask before each step: run, skip, by hand, continue without asking, output so far, shell,
    /// quit
    #[arg(long)]
    step: bool,
    /// Begin at this step (id or number)
    #[arg(long, value_name = "STEP", add = complete::steps())]
    start_at: Option<String>,
    /// Halt after this step (id or number)
    #[arg(long, value_name = "STEP", add = complete::steps())]
    stop_after: Option<String>,
    /// Confirm everything: for use without a person
    #[arg(long)]
    pub yes: bool,
    /// How many nodes run in parallel [default: 10]
    #[arg(long, value_name = "N")]
    parallel: Option<usize>,
    /// Sizes of batches, one after the other: 1,5,25%; the last one repeats
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    batch: Vec<Share>,
    /// The pause between batches: 10s, 5m [default: 0s]
    #[arg(long, value_name = "TIME", value_parser = crate::manual::duration)]
    wait: Option<Duration>,
    /// Start no further batch once more nodes than this have failed: 2, 10% [default: 0]
    #[arg(long, value_name = "SHARE")]
    max_fail: Option<Share>,
    /// How long to look for a node that was lost during a step [default: 2m]
    #[arg(long, value_name = "TIME", value_parser = crate::manual::duration)]
    reconnect: Option<Duration>,
    /// Ask for the sudo password at once; otherwise when it is first needed
    #[arg(short = 'K', long)]
    ask_sudo_password: bool,
    /// Read the sudo password from this file; refused if others can read it
    #[arg(
        long,
        value_name = "FILE",
        env = "OPSBOOK_SUDO_PASSWORD_FILE",
        hide_env_values = true
    )]
    sudo_password_file: Option<PathBuf>,
    /// How to print the events
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Format {
    Human,
    /// The journal's own lines
    Json,
}

impl MannerArgs {
    /// The options given here, on top of those of the run to resume.
    pub fn manner(&self, plan: &Plan, before: Option<&Through>) -> Result<Manner, Failure> {
        let all = plan.in_batches();
        if plan.binding.is_some() {
            self.said_by_the_section()?;
        }
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
                batches: batch::of_nodes(plan)?,
                ..Manner::default().through
            },
        };
        let through = Through {
            // `--yes` is for use without a person: it ends the step mode of the earlier controller.
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
            ask_password: self.ask_sudo_password,
            password: self
                .sudo_password_file
                .as_deref()
                .map(password)
                .transpose()?,
            ..Manner::default()
        })
    }

    /// With roles, the page says how the turns of a section follow each other.
    fn said_by_the_section(&self) -> Result<(), Failure> {
        let said = [
            ("--wait", self.wait.is_some()),
            ("--max-fail", self.max_fail.is_some()),
        ];
        let Some((word, _)) = said.iter().find(|(_, said)| *said) else {
            return Ok(());
        };
        let message = format!("`{word}` has no effect here: a section of the page decides it");
        let problem = Problem::bare("usage", message);
        Err(Failure::from(
            problem.hint("only `--batch` applies, to make batches smaller"),
        ))
    }

    /// An option that only affects this program, and not a gateway.
    pub fn of_this_program(&self) -> Option<&'static str> {
        let said = [
            ("--step", self.step),
            ("--start-at", self.start_at.is_some()),
            ("--stop-after", self.stop_after.is_some()),
            ("--parallel", self.parallel.is_some()),
            ("--batch", !self.batch.is_empty()),
            ("--wait", self.wait.is_some()),
            ("--max-fail", self.max_fail.is_some()),
            ("--reconnect", self.reconnect.is_some()),
            ("--ask-sudo-password", self.ask_sudo_password),
            ("--sudo-password-file", self.sudo_password_file.is_some()),
        ];
        said.iter().find(|(_, said)| *said).map(|(name, _)| *name)
    }

    /// Whether to print the journal's lines.
    pub fn json(&self) -> bool {
        self.format == Format::Json
    }

    /// The options that come only from the run's journal, as command-line options.
    pub fn taken_over(&self, plan: &Plan, before: &Through) -> Vec<String> {
        let plain = Manner::default().through;
        let time = |milliseconds| crate::engine::human(Duration::from_millis(milliseconds));
        let steps = plan.steps();
        let stop_after = before.stop_after.map(|number| {
            let step = steps.iter().find(|step| step.number == number);
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
