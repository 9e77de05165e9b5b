//! `opsbook test`: runs a suite and consumes its events; also as a cargo test target.

mod access;
mod arguments;
mod chosen;
mod readers;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use clap::Parser;

use crate::cli::context::{Chosen, load_to_run};
use crate::cli::error::Failure;
use crate::cli::rehearse::rehearse;
use crate::cli::test::readers::Read;
use crate::cli::{Streams, runtime};
use crate::engine::Secrets;
use crate::event::Event;
use crate::journal::{State, results};
use crate::project::Project;
use crate::project::{Who, controller_name, operator_name};
use crate::report::lines::Format;
use crate::report::live::Live;
use crate::report::since::Recorded;
use crate::report::tested::Results;
use crate::source::Problem;
use crate::suite::{self, By, Selected, Selection, Suite};

pub use arguments::Test;

/// The arguments of a cargo test target.
#[derive(Parser, Debug)]
#[command(name = "manual", disable_version_flag = true)]
struct Target {
    #[command(flatten)]
    test: Test,
}

/// libtest's exit status for a failed test.
const FAILED: u8 = 101;
/// Nothing failed, but some tests could not be evaluated: like ERROR of `run`.
const COULD_NOT_LOOK: u8 = 3;
/// The output is closed: 128 and SIGPIPE.
const UNREAD: u8 = 141;
/// How many recorded suites are searched for a test's last outcome: some contain few tests.
const LOOKED_BACK: usize = 10;
/// How long to wait for a suite whose output is closed.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who runs the tests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Person,
    /// cargo passes one filter to all its targets, so it may match nothing here.
    Cargo,
}

/// Runs a manual's tests as a cargo test target (`harness = false`), on these nodes unless the
/// process's arguments say otherwise. Supports cargo and nextest.
#[must_use]
pub fn target(root: &Path, nodes: &str) -> ExitCode {
    target_of(root, nodes, std::env::args_os())
}

fn target_of(root: &Path, nodes: &str, args: impl Iterator<Item = OsString>) -> ExitCode {
    let mut test = match Target::try_parse_from(args) {
        Ok(target) => target.test,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    test.choice.nodes.get_or_insert_with(|| nodes.to_owned());
    let mut streams = Streams::new();
    let ended = load_to_run(&Chosen::folder(root))
        .and_then(|project| run_for(Caller::Cargo, &test, &project, &mut streams));
    match ended {
        Ok(status) => ExitCode::from(status),
        Err(failure) => failure.tell(&mut streams),
    }
}

pub(crate) fn run(args: &Test, project: &Project, streams: &mut Streams) -> Result<u8, Failure> {
    run_for(Caller::Person, args, project, streams)
}

fn run_for(
    caller: Caller,
    args: &Test,
    project: &Project,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let selection = args.choice.selection();
    let (tests, wrong) = chosen::tests(&args.choice, project)?;
    let selected = selection.select(tests);
    if args.list && caller == Caller::Cargo {
        args.printing.libtest().list(&selection, &selected);
        return unless_wrong(0, wrong, streams);
    }
    if args.list {
        let listed = suite::list(&selected, &mut streams.people());
        return match listed {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => unless_wrong(0, wrong, streams),
        };
    }
    if selected.tests.is_empty() && !wrong.is_empty() {
        return Err(Failure::Problems(wrong));
    }
    let may_be_none = caller == Caller::Cargo && args.choice.is_filtered();
    if selected.tests.is_empty() && !selected.emptied && !may_be_none {
        return Err(Failure::from(chosen::nothing(
            &args.choice,
            project,
            &selected,
        )));
    }
    for report in &args.report {
        let tried = report.try_out();
        tried.map_err(|error| Problem::bare("unwritable", error.to_string()))?;
    }
    if caller == Caller::Person {
        let notes = chosen::notes(&args.choice, project, &selected);
        streams.talk.write_all(notes.as_bytes())?;
    }
    let Some(results) = suite_of(caller, args, project, &selection, selected, streams)? else {
        return Ok(UNREAD);
    };
    for report in &args.report {
        report.write(&results, &project.root, streams.data())?;
    }
    let counts = results.counts();
    let status = match (counts.failed, counts.errors) {
        (0, 0) => 0,
        (0, _) => COULD_NOT_LOOK,
        (_, _) => FAILED,
    };
    unless_wrong(status, wrong, streams)
}

/// Runs the selected tests, shows and stores them. `None` if the output is closed.
fn suite_of(
    caller: Caller,
    args: &Test,
    project: &Project,
    selection: &Selection,
    selected: Selected,
    streams: &mut Streams,
) -> Result<Option<Results>, Failure> {
    let (options, said) = args.asking.options().within(crate::session::raise_limits());
    streams.talk.write_all(said.as_bytes())?;
    let runtime = runtime()?;
    let live = Arc::new(match caller {
        Caller::Person => Live::new(readers::terminal()),
        Caller::Cargo => Live::default(),
    });
    let (access, operator) = runtime.block_on(access::access(&args.asking, project, &live))?;
    let (set, secrets) = (&args.choice.set, access.secrets.clone());
    let suite = Suite {
        rehearse: rehearse(project, &selected.tests, set, &access, operator)?,
        filtered_out: selected.left_out.len(),
        asks_ignored: selection.asks_ignored(),
        tests: selected.tests.clone(),
        access,
        options,
        by: By {
            operator: operator_name(),
            controller: controller_name(),
            revision: Who::of(project).revision().map(str::to_owned),
        },
    };
    let (tell, told) = mpsc::channel();
    let running = runtime.spawn(suite::run(
        suite,
        // If the output is closed, events are dropped.
        Box::new(move |event| drop(tell.send(event))),
    ));
    let read = match caller {
        Caller::Person => readers::lines(&told, &args.printing, &live, args.record),
        Caller::Cargo => {
            let libtest = args.printing.libtest();
            readers::libtest(told, libtest, selection, &selected, args.record)
        }
    };
    if read.is_err() {
        // Lets the sessions end properly.
        let _ = runtime.block_on(async { tokio::time::timeout(PATIENCE, running).await });
    }
    crate::cli::end(runtime);
    let mut read = match read {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(None),
        other => other?,
    };
    read.results.since = since(&project.state, &read.results);
    keep_and_tell(&read, &secrets, caller, args, project, streams)?;
    Ok(Some(read.results))
}

/// The differences to the last record. An unreadable record is ignored.
fn since(state: &State, results: &Results) -> Option<String> {
    let runs = results::runs(state);
    let newest = runs.iter().rev().take(LOOKED_BACK);
    let mut suites: Vec<Vec<Event>> = newest
        .filter_map(|run| results::read(state, run).ok())
        .collect();
    // Names of runs have a resolution of one second only.
    suites.sort_by_key(|events| Reverse(events.first().map(|event| event.at.clone())));
    let mut recorded = Recorded::default();
    for events in &suites {
        recorded.see(events);
    }
    recorded.since(results)?.line()
}

/// Writes the record, and prints what is not part of the tests' output.
fn keep_and_tell(
    read: &Read,
    secrets: &Secrets,
    caller: Caller,
    args: &Test,
    project: &Project,
    streams: &mut Streams,
) -> Result<(), Failure> {
    if let Some(kept) = &read.record {
        results::write(&project.state, &read.results.run, &kept.events())?;
    }
    for warning in secrets.take_warnings() {
        writeln!(streams.talk, "warning: {warning}")?;
    }
    let format = args.printing.format();
    if caller == Caller::Cargo || format == Format::Json || args.printing.logfile.is_some() {
        let unseen = read.results.unseen();
        streams.talk.write_all(unseen.as_bytes())?;
    }
    if let Some(since) = &read.results.since {
        writeln!(streams.talk, "{since}")?;
    }
    Ok(())
}

/// A suite of a manual with errors has not tested everything, and does not pass.
fn unless_wrong(status: u8, wrong: Vec<Problem>, streams: &mut Streams) -> Result<u8, Failure> {
    if wrong.is_empty() {
        return Ok(status);
    }
    let many = if wrong.len() == 1 {
        "1 mistake".to_owned()
    } else {
        format!("{} mistakes", wrong.len())
    };
    writeln!(
        streams.talk,
        "{many} in this manual: what they affect was not tested\n"
    )?;
    if status == 0 {
        return Err(Failure::Problems(wrong));
    }
    for problem in &wrong {
        writeln!(streams.talk, "{problem}\n")?;
    }
    Ok(status)
}
