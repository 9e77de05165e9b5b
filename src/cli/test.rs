//! `opsbook test`: libtest's arguments and ours -> a suite, and the same for a test target
//! of cargo.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clap::{Args, Parser, ValueEnum};
use tokio::sync::{mpsc, oneshot};

use crate::cli::about::About;
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::cli::identity::{controller_name, operator_name};
use crate::cli::rehearse::rehearse;
use crate::cli::terminal::Terminal;
use crate::cli::{Streams, runtime};
use crate::engine::{Operator, Passwords, Question, Secrets};
use crate::journal::results;
use crate::manual::{self, Subject};
use crate::outside::Net;
use crate::plan;
use crate::report::form::Report;
use crate::report::record::{By, events};
use crate::session::OpenOptions;
use crate::source::{Concern, Problem};
use crate::suite::{
    self, Access, Front, Libtest, Options, Partition, Progress, Selected, Selection,
};

/// Test nodes against what the manual says of them
///
/// Each check on each node is one test, named `node::group::check`. Checks only look. The
/// arguments, the output and the exit status are those of Rust's own tests.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  opsbook test                              every check on every node, or on `test-nodes`
  opsbook test --nodes '@web&!web3' tls     what has `tls` in its name, on some nodes
  opsbook test --exact web1::web::service/nginx
  opsbook test --list --format terse        the names alone
  opsbook test --report junit=tests.xml --report prometheus=/var/lib/node_exporter/opsbook.prom

A test passes, fails (it looked, and it is wrong: the evidence is shown), could not look, or is
ignored. A mistake in the manual keeps what it concerns from being tested. Exit status: 0; 101
where a test failed; 3 where none failed, and some could not look; 2 for wrong arguments or
where nothing is selected (nothing was asked then), and where all tests passed and the manual
has mistakes.")]
pub struct Test {
    /// Only tests with one of these texts in their names
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// The nodes to test; if absent those that `test-nodes` in book.toml names, or else all
    #[arg(long, value_name = "SELECTOR")]
    nodes: Option<String>,
    /// An argument for those of the rehearsed procedures that take it; repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = crate::cli::show::name_and_value)]
    set: Vec<(String, String)>,
    /// FILTER and --skip are whole names
    #[arg(long)]
    exact: bool,
    /// Leave out tests with this text in their names; repeated
    #[arg(long, value_name = "FILTER")]
    skip: Vec<String>,
    /// Run only tests that are ignored otherwise: waived checks, and procedures
    #[arg(long)]
    ignored: bool,
    /// Run ignored tests, too
    #[arg(long)]
    include_ignored: bool,
    /// Run one part of the tests: `hash:1/4` (stable by name) or `count:1/4`
    #[arg(long, value_name = "PART")]
    partition: Option<Partition>,
    /// Print the names of the tests and run none
    #[arg(long)]
    list: bool,
    /// Ask no more after the first test that does not pass
    #[arg(long)]
    fail_fast: bool,
    /// Try so many times again where the connection fails; a check that fails is never
    /// asked again
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// Checks at a time over all nodes; by default as many as the nodes' cores take
    #[arg(long, value_name = "N")]
    test_threads: Option<usize>,
    /// Nodes at a time
    #[arg(long, value_name = "N", default_value_t = 50)]
    parallel: usize,
    /// How long a node may take to answer; it is asked once more before it is called dead
    #[arg(long, value_name = "TIME", value_parser = crate::manual::duration, default_value = "15s")]
    connect_timeout: Duration,
    /// Ask for the sudo password at once; otherwise when it is first needed
    #[arg(short = 'K', long)]
    ask_sudo_password: bool,
    /// Read the sudo password from this file, for machines; refused where others can read it
    #[arg(long, value_name = "FILE")]
    sudo_password_file: Option<PathBuf>,
    /// How to print the tests
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
    /// One character for each test, as with --format terse
    #[arg(short, long, conflicts_with = "format")]
    quiet: bool,
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    color: Color,
    /// Print the tests into this file
    #[arg(long, value_name = "FILE")]
    logfile: Option<String>,
    /// Write a report, too: junit=FILE, json=FILE, tap=FILE, prometheus=FILE (for the node
    /// exporter's textfile collector), github (annotations on standard output); repeated
    #[arg(long, value_name = "FORM=FILE")]
    report: Vec<Report>,
    /// Keep the results in `.opsbook/results/`, for the book; the newest 100 suites are kept
    #[arg(long)]
    record: bool,
    /// As libtest has it; evidence is always shown
    #[arg(long, alias = "nocapture", hide_short_help = true)]
    no_capture: bool,
    /// As libtest has it; evidence is always shown
    #[arg(long, hide_short_help = true)]
    show_output: bool,
    /// As libtest has it
    #[arg(short = 'Z', value_name = "FLAG", hide = true)]
    unstable: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each test
    Pretty,
    /// A character for each test; with --list, the names alone
    Terse,
    /// Events, one JSON object a line
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// What a test target of cargo takes.
#[derive(Parser, Debug)]
#[command(name = "manual", disable_version_flag = true)]
struct Target {
    #[command(flatten)]
    test: Test,
}

/// What libtest says where a test failed.
const FAILED: u8 = 101;
/// Nothing failed, and not everything could be looked at: as `run` says ERROR.
const COULD_NOT_LOOK: u8 = 3;
/// Nobody reads any more: 128 and SIGPIPE.
const UNREAD: u8 = 141;

/// The tests of a manual as a test target of cargo (`harness = false`), on these nodes unless
/// the arguments of the process say otherwise. Understands cargo and nextest.
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
    test.nodes.get_or_insert_with(|| nodes.to_owned());
    let mut streams = Streams::new();
    let ended = Context::load_to_run(Some(root))
        .and_then(|context| run_for(Caller::Cargo, &test, &context, &mut streams));
    match ended {
        Ok(status) => ExitCode::from(status),
        Err(failure) => failure.tell(&mut streams),
    }
}

pub(crate) fn run(args: &Test, context: &Context, streams: &mut Streams) -> Result<u8, Failure> {
    run_for(Caller::Person, args, context, streams)
}

/// Who wants the tests run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Person,
    /// Gives one filter to all its targets: none of them has to know it.
    Cargo,
}

fn run_for(
    caller: Caller,
    args: &Test,
    context: &Context,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let selection = args.selection();
    let (tests, wrong) = tests(args, context)?;
    let selected = selection.select(tests);
    if args.list {
        return match suite::list(&selected, &mut streams.out) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => unless_wrong(0, wrong, streams),
        };
    }
    if selected.tests.is_empty() && !wrong.is_empty() {
        return Err(Failure::Problems(wrong));
    }
    let filtered = !args.filters.is_empty() || !args.skip.is_empty() || args.ignored;
    let may_be_none = caller == Caller::Cargo && filtered;
    if selected.tests.is_empty() && !selected.emptied && !may_be_none {
        return Err(Failure::from(nothing(args, context, &selected)));
    }
    for report in &args.report {
        let tried = report.try_out();
        tried.map_err(|error| Problem::bare("unwritable", error.to_string()))?;
    }
    streams.talk.write_all(left_out(args, context).as_bytes())?;
    let (options, said) = args.options().within(crate::session::raise_limits());
    streams.talk.write_all(said.as_bytes())?;
    let runtime = runtime()?;
    let progress = Arc::new(match caller {
        Caller::Person => progress(selected.tests.len()),
        Caller::Cargo => Progress::new(selected.tests.len(), None),
    });
    let (access, operator) = runtime.block_on(access(args, context, &progress))?;
    let rehearse = rehearse(context, &selected.tests, &args.set, &access, operator)?;
    let secrets = access.secrets.clone();
    let mut out: Box<dyn Write>;
    let front = match caller {
        Caller::Person => {
            out = args.out()?;
            Front::Lines(args.format(), &mut *out)
        }
        Caller::Cargo => Front::Libtest(args.libtest()),
    };
    let ran = suite::run(
        selected,
        &selection,
        access,
        rehearse,
        &options,
        front,
        progress,
        runtime.handle(),
    );
    crate::cli::end(runtime);
    let ended = match ran {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(UNREAD),
        other => other?,
    };
    if args.record {
        let by = By {
            operator: operator_name(),
            controller: controller_name(),
        };
        results::write(&context.root, &ended.run, &events(&ended, by))?;
    }
    for report in &args.report {
        report.write(&ended, &context.root, &mut streams.out)?;
    }
    for warning in secrets.take_warnings() {
        writeln!(streams.talk, "warning: {warning}")?;
    }
    // Where they do not stand among the tests.
    if caller == Caller::Cargo || args.format() == suite::Format::Json || args.logfile.is_some() {
        streams.talk.write_all(ended.unseen().as_bytes())?;
    }
    let counts = ended.counts();
    let status = match (counts.failed, counts.errors) {
        (0, 0) => 0,
        (0, _) => COULD_NOT_LOOK,
        (_, _) => FAILED,
    };
    unless_wrong(status, wrong, streams)
}

/// A suite of a manual that is wrong in parts has not tested those, and is no pass.
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
        "{many} in this manual: what is concerned was not tested\n"
    )?;
    if status == 0 {
        return Err(Failure::Problems(wrong));
    }
    for problem in &wrong {
        writeln!(streams.talk, "{problem}\n")?;
    }
    Ok(status)
}

/// The tests of what is sound, and what is wrong.
fn tests(args: &Test, context: &Context) -> Result<(Vec<suite::Test>, Vec<Problem>), Failure> {
    let nodes: Vec<&str> = match (&args.nodes, &context.manual.settings.test_nodes) {
        (Some(selector), _) => context.nodes.select(selector)?,
        (None, Some(selector)) => context.nodes.select_at(selector)?,
        (None, None) => context.nodes.names().collect(),
    };
    // What is wrong with a node is said by the plan, where the node is asked.
    let errors = context.errors();
    let mut wrong: Vec<Problem> = errors
        .filter(|problem| problem.concern != Concern::Node)
        .cloned()
        .collect();
    let sound = |subject: Subject<'_>| {
        let stops = |problem: &Problem| manual::concerns(&context.manual, problem, subject);
        !wrong.iter().any(stops)
    };
    let (cases, problems) = plan::cases(
        &context.manual,
        &context.nodes,
        &context.vocabulary,
        &nodes,
        &sound,
    );
    wrong.extend(manual::settle(&context.manual, problems).problems);
    let mut seen = std::collections::HashSet::new();
    wrong.retain(|problem| problem.is_error() && seen.insert(problem.to_string()));
    let mut tests = suite::gather(cases, jiff::Zoned::now().date());
    tests.extend(suite::procedures(&context.manual, &context.nodes, &nodes)?);
    // By node, checks first.
    let place = |test: &suite::Test| nodes.iter().position(|node| *node == test.node.name);
    tests.sort_by_cached_key(place);
    Ok((tests, wrong))
}

/// That `book.toml` leaves nodes out: they are not to be taken for tested.
fn left_out(args: &Test, context: &Context) -> String {
    let asked = context.manual.settings.test_nodes.as_ref();
    match asked.filter(|_| args.nodes.is_none()) {
        Some(asked) => format!(
            "nodes: `{}`, as `test-nodes` in book.toml says; `--nodes '*'` for all\n",
            asked.value
        ),
        None => String::new(),
    }
}

fn nothing(args: &Test, context: &Context, selected: &Selected) -> Problem {
    let problem = Problem::bare(
        "nothing-selected",
        "no test is selected: that is not a pass",
    );
    if args.nodes.is_none()
        && let Some(asked) = &context.manual.settings.test_nodes
    {
        return problem.hint(format!(
            "`test-nodes` in book.toml is `{}`; `--nodes '*'` asks all nodes",
            asked.value
        ));
    }
    match selected.left_out.len() {
        0 => problem
            .hint("the manual has no checks for these nodes; `opsbook list` shows what it has"),
        _ if args.exact => {
            problem.hint("with `--exact` a name is `node::group::check`; `--list` prints them")
        }
        n => problem.hint(format!(
            "{n} tests do not match; `--list` without a filter prints their names"
        )),
    }
}

/// How nodes are reached, and who is asked for passwords.
async fn access(
    args: &Test,
    context: &Context,
    progress: &Arc<Progress>,
) -> Result<(Access, Operator), Failure> {
    let (operator, questions) = Operator::new();
    if io::stdin().is_terminal() {
        // Checks only look: Ctrl-C may end everything at once.
        let (_, interrupts) = tokio::sync::watch::channel(0);
        let (hand_on, handed_on) = mpsc::channel(1);
        tokio::spawn(Terminal::new(interrupts, About::nothing()).answer(handed_on));
        tokio::spawn(between(questions, hand_on, Arc::clone(progress)));
    }
    let password = args
        .sudo_password_file
        .as_deref()
        .map(crate::cli::password::password)
        .transpose()?;
    let passwords = Passwords::new(operator.clone(), password);
    if args.ask_sudo_password {
        passwords.get("every node", "root").await?;
    }
    let open = OpenOptions {
        timeout: args.connect_timeout,
        ..OpenOptions::default()
    };
    let access = Access {
        open,
        passwords,
        secrets: Secrets::new(context.root.clone(), operator.clone()),
    };
    Ok((access, operator))
}

/// Hands questions on; while one is asked, no test is printed into its line.
async fn between(
    mut questions: mpsc::Receiver<Question>,
    hand_on: mpsc::Sender<Question>,
    progress: Arc<Progress>,
) {
    while let Some(question) = questions.recv().await {
        let (tell, told) = oneshot::channel();
        progress.asks();
        let asked = Question {
            reply: tell,
            ..question
        };
        if hand_on.send(asked).await.is_ok()
            && let Ok(answer) = told.await
        {
            // An asker that went away needs no answer.
            let _ = question.reply.send(answer);
        }
        progress.answered();
    }
}

fn progress(tests: usize) -> Progress {
    let stderr = io::stderr();
    let terminal = stderr.is_terminal().then(|| suite::Terminal {
        columns: Box::new(columns),
        out: Box::new(stderr),
    });
    Progress::new(tests, terminal)
}

/// None where it does not tell.
fn columns() -> usize {
    rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col.into())
}

impl Test {
    fn selection(&self) -> Selection {
        Selection {
            filters: self.filters.clone(),
            skip: self.skip.clone(),
            exact: self.exact,
            ignored: self.ignored,
            include_ignored: self.include_ignored,
            partition: self.partition,
        }
    }

    fn options(&self) -> Options {
        Options {
            threads: self.test_threads,
            parallel: self.parallel,
            retries: self.retries,
            fail_fast: self.fail_fast,
        }
    }

    fn format(&self) -> suite::Format {
        match self.format {
            _ if self.quiet => suite::Format::Terse,
            Format::Pretty => suite::Format::Pretty,
            Format::Terse => suite::Format::Terse,
            Format::Json => suite::Format::Json,
        }
    }

    fn libtest(&self) -> Libtest {
        Libtest {
            format: self.format(),
            colour: match self.color {
                Color::Auto => None,
                Color::Always => Some(true),
                Color::Never => Some(false),
            },
            logfile: self.logfile.clone(),
        }
    }

    /// Where tests are printed, with colours or without. Nobody reading any more is an error.
    fn out(&self) -> io::Result<Box<dyn Write>> {
        let colour = match (self.color, &self.logfile) {
            (Color::Always, _) => ColorChoice::Always,
            (Color::Never, _) | (Color::Auto, Some(_)) => ColorChoice::Never,
            (Color::Auto, None) => ColorChoice::Auto,
        };
        let out: Box<dyn Write> = match &self.logfile {
            Some(path) => {
                let file = std::fs::File::create(path)
                    .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
                Box::new(AutoStream::new(file, colour))
            }
            None => Box::new(AutoStream::new(io::stdout(), colour)),
        };
        Ok(match self.format() {
            suite::Format::Json => out,
            suite::Format::Pretty | suite::Format::Terse => Box::new(Net::new(out)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# P\n\n```yaml checks\nid: g\n```\n\n```sh check id=g.good\ntrue\n```\n\n\
        ```sh check id=g.bad\nfalse\n```\n\n```sh check id=g.other\ntrue\n```\n";

    /// What libtest-mimic has written of these arguments.
    fn said(args: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("book.toml", "[book]\nsrc = \".\"\n");
        write("SUMMARY.md", "- [P](p.md)\n");
        write("p.md", PAGE);
        write(
            "nodes.yaml",
            "opsbook: 1\nnodes:\n  here: {transport: local}\n",
        );
        let log = folder.path().join("log");
        let own = [
            "manual",
            "--color",
            "never",
            "--logfile",
            log.to_str().unwrap(),
        ];
        let all = own.iter().chain(args).map(OsString::from);
        target_of(folder.path(), "here", all);
        std::fs::read_to_string(log).unwrap()
    }

    #[test]
    fn a_target_of_cargo_is_chosen_printed_and_counted_by_libtest_mimic() {
        for (args, counts, runs) in [
            (
                &[][..],
                "2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
                3,
            ),
            (
                &["oo"],
                "1 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out",
                1,
            ),
            (
                &["--exact", "here::g::other"],
                "1 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out",
                1,
            ),
            (
                &["--skip", "bad"],
                "2 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out",
                2,
            ),
            (
                &["nothing"],
                "0 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out",
                0,
            ),
            // It has one filter; both are asked, and no other.
            (&["good", "other"], "2 passed; 0 failed;", 2),
        ] {
            let said = said(args);
            assert!(said.contains(counts), "{args:?}\n{said}");
            let lines = said
                .lines()
                .filter(|line| line.starts_with("test [here] "))
                .count();
            assert_eq!(lines, runs, "{args:?}\n{said}");
        }
    }
}
