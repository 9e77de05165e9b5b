//! `opsbook lint`: reports all problems of a manual with their places.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::Streams;
use crate::cli::context::{self, Chosen};
use crate::cli::error::Failure;
use crate::manual::{self, Coverage, Settled};
use crate::project::Project;
use crate::report::{form, lint};
use crate::source::{Problem, Span};

/// Find all errors in the manual and in nodes.yaml
///
/// Reports all errors and warnings at once, in the order of the book, each with file, line, column
/// and excerpt; then how much of the manual is run and checked. Exit status 2 if there is an error.
/// Nothing is run and no node is reached.
#[derive(Args, Debug)]
pub(crate) struct Lint {
    /// How to print the problems
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Format {
    /// Text for people
    Human,
    /// All data, for programs
    Json,
    /// GitHub Actions annotations at their lines
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// GitLab's code quality report
    Gitlab,
}

pub(crate) fn run(args: &Lint, from: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let project = match context::read(from) {
        Ok(project) => project,
        // Errors in the packages are reported like all others.
        Err(Failure::Problems(problems)) if args.format != Format::Human => {
            let origin = context::find_root(from)?;
            let found = Settled {
                problems,
                silenced: 0,
            };
            let file = |span: &Span| span.path().to_owned();
            return tell(args, &found, &Coverage::default(), &origin, &file, streams);
        }
        Err(failure) => return Err(failure),
    };
    let found = project.lint();
    let coverage = manual::coverage(&project.manual);
    let file = |span: &Span| file(&project, span);
    tell(args, &found, &coverage, &project.origin, &file, streams)
}

fn tell(
    args: &Lint,
    Settled { problems, silenced }: &Settled,
    coverage: &Coverage,
    origin: &Path,
    file: &dyn Fn(&Span) -> PathBuf,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let below = form::folder(origin);
    match args.format {
        Format::Human => human(problems, *silenced, coverage, streams)?,
        Format::Json => {
            let all = lint::json(problems, *silenced, coverage, file);
            writeln!(streams.data(), "{all:#}")?;
        }
        Format::Github => {
            let text = lint::github(problems, below.as_deref());
            // The lines are commands for GitHub, with harmless contents.
            streams.data().write_all(text.as_bytes())?;
        }
        Format::Sarif => {
            let all = lint::sarif(problems, below.as_deref(), env!("CARGO_PKG_VERSION"));
            writeln!(streams.data(), "{all:#}")?;
        }
        Format::Gitlab => {
            let all = lint::gitlab(problems, below.as_deref());
            writeln!(streams.data(), "{all:#}")?;
        }
    }
    let bad = problems
        .iter()
        .any(|problem| problem.is_error() || args.strict);
    Ok(if bad { 2 } else { 0 })
}

/// The path of a text, relative to the manual's folder; for a package an absolute path, because its
/// folder may be anywhere.
fn file(project: &Project, span: &Span) -> PathBuf {
    if span.source.packaged.is_none() {
        return span.path().to_owned();
    }
    let edited = project.origin.join(span.shown());
    let file = if edited.exists() {
        edited
    } else {
        project.root.join(span.path())
    };
    file.canonicalize().unwrap_or(file)
}

fn human(
    problems: &[Problem],
    silenced: usize,
    coverage: &Coverage,
    streams: &mut Streams,
) -> Result<(), Failure> {
    for problem in problems {
        writeln!(streams.people(), "{problem}\n")?;
    }
    write_coverage(coverage, &mut streams.people())?;
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let allowed = match silenced {
        0 => String::new(),
        n => format!(", {n} allowed"),
    };
    writeln!(
        streams.people(),
        "\n{}, {}{allowed}",
        count(errors, "error"),
        count(problems.len() - errors, "warning")
    )?;
    Ok(())
}

/// Pages with shell blocks, one line each, and the total.
fn write_coverage(coverage: &Coverage, out: &mut dyn Write) -> std::io::Result<()> {
    let total = coverage.total;
    if coverage.pages.is_empty() {
        writeln!(out, "no shell blocks in this manual")?;
    } else {
        writeln!(
            out,
            "shell blocks: {:>5} {:>6} {:>8} {:>6} {:>10}",
            "steps", "checks", "examples", "others", "undeclared"
        )?;
        let rows = coverage
            .pages
            .iter()
            .map(|page| (page.counts, page.path.display().to_string()));
        for (counts, name) in rows.chain([(total, "all".to_owned())]) {
            writeln!(
                out,
                "              {:>5} {:>6} {:>8} {:>6} {:>10}  {name}",
                counts.steps, counts.checks, counts.examples, counts.others, counts.undeclared
            )?;
        }
    }
    for named in &coverage.procedures_without_checks {
        writeln!(
            out,
            "{}: procedure `{}` has no check",
            named.place, named.id
        )?;
    }
    for named in &coverage.empty_groups {
        writeln!(out, "{}: group `{}` checks nothing", named.place, named.id)?;
    }
    Ok(())
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
