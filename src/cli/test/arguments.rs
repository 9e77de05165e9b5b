//! The arguments of `opsbook test`: libtest's and opsbook's.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clap::{Args, ValueEnum};

use crate::cli::color::Color;
use crate::cli::complete;
use crate::outside::Net;
use crate::report::form::Report;
use crate::report::lines;
use crate::suite::{Ignored, Libtest, Options, Partition, Selection, Traces};

/// Test nodes against the manual
///
/// Each check on each node is one test, named `node::group::check`. Checks only read. The
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
if a test failed; 3 if none failed, and some could not look; 2 for wrong arguments or
where nothing is selected (nothing was asked then), and where all tests passed and the manual
has mistakes.")]
pub struct Test {
    #[command(flatten)]
    pub(super) choice: Choice,
    /// Print the names of the tests and run none
    #[arg(long)]
    pub(super) list: bool,
    #[command(flatten)]
    pub(super) asking: Asking,
    #[command(flatten)]
    pub(super) printing: Printing,
    /// Also write a report: junit=FILE, xunit=FILE (for the schema of Jenkins' xUnit plug-in),
    /// json=FILE, tap=FILE, prometheus=FILE (for the node exporter's textfile collector), github
    /// (annotations on standard output), summary=FILE (Markdown, appended to the file, for a job's
    /// summary); may be repeated
    #[arg(long, value_name = "FORM=FILE")]
    pub(super) report: Vec<Report>,
    /// Store the results in `.opsbook/results/`, for the book; the latest 100 suites are kept
    #[arg(long, env = "OPSBOOK_TEST_RECORD", hide_env_values = true)]
    pub(super) record: bool,
    #[command(flatten)]
    compatible: Compatible,
}

/// The selection of tests.
#[derive(Args, Debug)]
pub(super) struct Choice {
    /// Only tests whose name contains one of these texts
    #[arg(value_name = "FILTER", add = complete::filters())]
    pub filters: Vec<String>,
    /// The nodes to test; if absent those of `test-nodes` in book.toml, otherwise all
    #[arg(
        long,
        value_name = "SELECTOR",
        add = complete::nodes(),
        env = "OPSBOOK_TEST_NODES",
        hide_env_values = true
    )]
    pub nodes: Option<String>,
    /// An argument for rehearsed procedures that have this parameter; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = crate::cli::show::name_and_value)]
    pub set: Vec<(String, String)>,
    /// FILTER and --skip are full names
    #[arg(long)]
    pub exact: bool,
    /// Leave out tests whose name contains this text; may be repeated
    #[arg(long, value_name = "FILTER")]
    pub skip: Vec<String>,
    /// Run only tests that are ignored by default: waived checks, and procedures
    #[arg(long)]
    pub ignored: bool,
    /// Also run ignored tests
    #[arg(long)]
    pub include_ignored: bool,
    /// Run one part of the tests: `hash:1/4` (stable by name) or `count:1/4`
    #[arg(long, value_name = "PART")]
    pub partition: Option<Partition>,
}

/// How nodes are asked.
#[derive(Args, Debug)]
pub(super) struct Asking {
    /// Stop after the first test that does not pass
    #[arg(long)]
    pub fail_fast: bool,
    /// How often to try again if the connection fails; a check that fails is never repeated
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        env = "OPSBOOK_TEST_RETRIES",
        hide_env_values = true
    )]
    pub retries: u32,
    /// Checks that run at the same time over all nodes; the default depends on the nodes' cores
    #[arg(
        long,
        value_name = "N",
        env = "OPSBOOK_TEST_THREADS",
        hide_env_values = true
    )]
    pub test_threads: Option<usize>,
    /// Nodes that are used at the same time
    #[arg(
        long,
        value_name = "N",
        default_value_t = 50,
        env = "OPSBOOK_TEST_PARALLEL",
        hide_env_values = true
    )]
    pub parallel: usize,
    /// How long a node may take to answer; it is asked twice before it counts as dead
    #[arg(long, value_name = "TIME", value_parser = crate::manual::duration, default_value = "15s", env = "OPSBOOK_TEST_CONNECT_TIMEOUT", hide_env_values = true)]
    pub connect_timeout: Duration,
    /// End the suite after this time: tests without a result then count as not evaluated. A running
    /// procedure runs to its end
    #[arg(long, value_name = "TIME", value_parser = crate::manual::duration, env = "OPSBOOK_TEST_TIME_LIMIT", hide_env_values = true)]
    pub time_limit: Option<Duration>,
    /// Also ask each node which runs left a trace; `--report json=FILE` names them
    #[arg(long)]
    pub who_was_here: bool,
    /// Ask for the sudo password at once; otherwise when it is first needed
    #[arg(short = 'K', long)]
    pub ask_sudo_password: bool,
    /// Read the sudo password from this file; refused if others can read it
    #[arg(
        long,
        value_name = "FILE",
        env = "OPSBOOK_SUDO_PASSWORD_FILE",
        hide_env_values = true
    )]
    pub sudo_password_file: Option<PathBuf>,
}

/// How tests are printed.
#[derive(Args, Debug)]
pub(super) struct Printing {
    /// How to print the tests
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
    /// One character for each test, as with --format terse
    #[arg(short, long, conflicts_with = "format")]
    quiet: bool,
    /// When to use colours
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value_t = Color::Auto,
        env = "OPSBOOK_COLOR",
        hide_env_values = true
    )]
    color: Color,
    /// Print the tests into this file
    #[arg(long, value_name = "FILE")]
    pub logfile: Option<String>,
}

/// libtest's options without an effect here.
#[derive(Args, Debug)]
struct Compatible {
    /// Accepted for libtest; evidence is always shown
    #[arg(long, alias = "nocapture", hide_short_help = true)]
    no_capture: bool,
    /// Accepted for libtest; evidence is always shown
    #[arg(long, hide_short_help = true)]
    show_output: bool,
    /// Accepted for libtest
    #[arg(short = 'Z', value_name = "FLAG", hide = true)]
    unstable: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line for each test
    Pretty,
    /// One character for each test; with --list, only the names
    Terse,
    /// Events, one JSON object per line
    Json,
}

impl Choice {
    pub fn selection(&self) -> Selection {
        Selection {
            filters: self.filters.clone(),
            skip: self.skip.clone(),
            exact: self.exact,
            ignored: match (self.ignored, self.include_ignored) {
                (true, _) => Ignored::Only,
                (false, true) => Ignored::Too,
                (false, false) => Ignored::Not,
            },
            partition: self.partition,
        }
    }

    /// Whether the selection depends on the tests themselves.
    pub fn is_filtered(&self) -> bool {
        !self.filters.is_empty() || !self.skip.is_empty() || self.ignored
    }
}

impl Asking {
    pub fn options(&self) -> Options {
        Options {
            threads: self.test_threads,
            parallel: self.parallel,
            retries: self.retries,
            fail_fast: self.fail_fast,
            time_limit: self.time_limit,
            traces: if self.who_was_here {
                Traces::Told
            } else {
                Traces::Left
            },
        }
    }
}

impl Printing {
    pub fn format(&self) -> lines::Format {
        match self.format {
            _ if self.quiet => lines::Format::Terse,
            Format::Pretty => lines::Format::Pretty,
            Format::Terse => lines::Format::Terse,
            Format::Json => lines::Format::Json,
        }
    }

    pub fn libtest(&self) -> Libtest {
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

    /// The output of the tests, with or without colours.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn out(&self) -> io::Result<Box<dyn Write>> {
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
            lines::Format::Json => out,
            lines::Format::Pretty | lines::Format::Terse => Box::new(Net::new(out)),
        })
    }
}
