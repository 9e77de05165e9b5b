//! `opsbook bless`: writes real output into a page as the expectation.

mod learn;
mod page;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::error::Failure;
use crate::cli::{Streams, complete};
use crate::manual::expect::bless::{Unblessed, bless};
use crate::outside;
use crate::project::Project;
use crate::source::{Problem, counted};

use learn::{Learned, Part, of_checks, of_run};
use page::{Pages, Place};

/// The most lines of an expectation.
const MOST_LINES: usize = 20;

/// Write the output of checks and steps into the pages as their expectation
///
/// Checks only read: each is run twice on up to five nodes. Output that was the same stays; times,
/// ids, sizes and differences are elided, and values of the node become `${name}`. In an existing
/// expectation, lines that still match stay unchanged. Steps are never run: `--from RUN` takes
/// their output from a run that ended well. Prints a patch for `git apply`; `--write` changes the
/// pages.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  opsbook bless                          expectations that do not match any more
  opsbook bless --new --nodes @web tls   and checks without one, of those with `tls` in the name
  opsbook bless --from RUN               the output of the steps of a run")]
pub(crate) struct Bless {
    /// Only checks and steps whose name contains one of these texts
    #[arg(value_name = "FILTER", add = complete::filters())]
    filters: Vec<String>,
    /// The nodes to ask; those of `opsbook test` if absent
    #[arg(long, value_name = "SELECTOR", add = complete::nodes())]
    nodes: Option<String>,
    /// Steps, with their output in this run, which must have ended well
    #[arg(long, value_name = "RUN", add = complete::runs(), conflicts_with = "nodes")]
    from: Option<String>,
    /// Also add expectations to checks that have none
    #[arg(long)]
    new: bool,
    /// Also write expectations of more than 20 lines
    #[arg(long)]
    all: bool,
    /// The time between the two runs of a check
    #[arg(long, value_name = "TIME", value_parser = crate::manual::duration, default_value = "10s")]
    apart: Duration,
    /// A file with the password for sudo, which nobody else can read
    #[arg(long, value_name = "FILE")]
    sudo_password_file: Option<PathBuf>,
    /// Change the pages. A page with changes that git does not have is skipped
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(args: &Bless, project: &Project, streams: &mut Streams) -> Result<u8, Failure> {
    let errors: Vec<Problem> = project.errors().cloned().collect();
    if !errors.is_empty() {
        return Err(Failure::Problems(errors));
    }
    let mut learned = match &args.from {
        Some(run) => of_run(run, project)?,
        None => of_checks(args, project)?,
    };
    let wanted = |name: &str| args.filters.iter().any(|filter| name.contains(filter));
    learned.retain(|own| args.filters.is_empty() || wanted(&own.name));
    if learned.is_empty() {
        let problem = Problem::bare("nothing-selected", "there is nothing to bless");
        let hint = "`--new` adds expectations to checks that have none, `--from RUN` to the steps \
            of a run";
        return Err(Failure::from(problem.hint(hint)));
    }
    let mut pages = Pages::new(&project.root, &project.manual);
    let mut written = 0;
    for own in &learned {
        if let Some(why) = &own.not {
            writeln!(streams.talk, "{}: {}", own.name, outside::line(why))?;
            continue;
        }
        for part in &own.parts {
            let Some(said) = judged(own, part, args, &mut pages) else {
                continue;
            };
            written += usize::from(said.starts_with(WRITTEN));
            let command = part.command.map(|command| command.text.text.trim_end());
            let command = command.map(|text| format!(" $ {}", outside::line(text)));
            let command = command.unwrap_or_default();
            writeln!(
                streams.talk,
                "{}{command}: {}",
                own.name,
                outside::line(&said)
            )?;
        }
    }
    let what = if args.write {
        "written"
    } else {
        "to be written"
    };
    pages.give(args.write, streams)?;
    writeln!(streams.talk, "{} {what}", counted(written, "expectation"))?;
    Ok(0)
}

const WRITTEN: &str = "from ";

/// What to do with a block, described; `None` if nothing is wrong.
fn judged(
    own: &Learned<'_>,
    part: &Part<'_>,
    args: &Bless,
    pages: &mut Pages<'_>,
) -> Option<String> {
    if part.expect.is_none() && part.command.is_some() && !args.new && args.from.is_none() {
        return None;
    }
    let existing = part.expect;
    let existing = existing.map(|expect| (&*expect.text.text, expect.kind));
    let most = if args.all { usize::MAX } else { MOST_LINES };
    let blessed = match bless(&part.printed, existing, most) {
        Ok(blessed) => blessed,
        Err(Unblessed::Holds) => return None,
        Err(why @ Unblessed::TooLong(_)) => {
            return Some(format!("{why}: `--all` writes them"));
        }
        Err(why) => return Some(why.to_string()),
    };
    let elided: Vec<&str> = blessed.elided.iter().copied().collect();
    let elided = match elided.as_slice() {
        [] => "nothing elided".to_owned(),
        some => format!("elided: {}", some.join(", ")),
    };
    let place = Place {
        page: own.page,
        block: own.block,
        command: part.command,
        known: part.expect,
    };
    match pages.expect(&place, &blessed) {
        Ok(()) => Some(format!(
            "{WRITTEN}{} on {}; {elided}",
            counted(part.printed.len(), "run"),
            own.nodes.join(", ")
        )),
        Err(why) => Some(why.to_owned()),
    }
}
