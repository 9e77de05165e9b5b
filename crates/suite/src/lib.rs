//! Turns cases and sessions into events while it evaluates them. Selects tests and evaluates them
//! in parallel; others print or store the events.

// The crates below this one, under the names that its files use.
use opsbook_engine as engine;
use opsbook_event as event;
use opsbook_journal as journal;
use opsbook_manual as manual;
use opsbook_nodes as nodes;
use opsbook_plan as plan;
use opsbook_report as report;
use opsbook_session as session;
use opsbook_text::{outside, source};

mod ask;
mod emitter;
mod gather;
mod libtest;
mod schedule;
mod select;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use tokio::task::JoinSet;

use crate::ask::{Asking, OfNode, Pending};
use crate::emitter::Emitter;
use crate::event::{CaseRecord, Checked, Event, Evidence, Outcome, What};
use crate::nodes::Node;
use crate::plan::Case;
use crate::session::nodes_within;
use crate::source::Span;

pub use ask::{Access, Rehearse};
pub use gather::{gather, procedures, rehearsals};
pub use libtest::{Answers, Libtest};
pub use select::{Ignored, Partition, Selected, Selection};

/// Takes each event of a suite when it happens. It must not block: the suite would block as well.
pub type Sink = Box<dyn FnMut(Event) + Send>;

/// One test: a check on a node, or a whole procedure.
#[derive(Clone, Debug)]
pub struct Test {
    /// `group::check` or `procedure::run`.
    pub check: String,
    /// The node, with its values.
    pub node: Arc<Node>,
    /// The place in the manual of what must hold.
    pub span: Span,
    /// Why it is ignored by default.
    pub ignored: Option<String>,
    /// It is evaluated only if it is selected by its full name, even with ignored tests.
    pub by_name_only: bool,
    /// What the test does.
    pub work: Work,
}

/// What a test does.
#[derive(Clone, Debug)]
pub enum Work {
    /// Evaluates a check, which changes nothing.
    Check(Box<Case>),
    /// Runs the whole procedure with this id, for real.
    Procedure(String),
    /// The same for a procedure over several nodes, with the nodes of each role.
    Roles {
        /// The id of the procedure.
        procedure: String,
        /// `ROLE=SELECTOR`.
        words: Vec<String>,
    },
    /// A check whose waiver has expired.
    Overdue {
        /// Why it was waived.
        reason: String,
        /// The last day of the waiver, `YYYY-MM-DD`.
        until: String,
    },
}

/// A suite to run.
pub struct Suite {
    /// In the order of the book.
    pub tests: Vec<Test>,
    /// The number of tests that were not selected.
    pub filtered_out: usize,
    /// Also run ignored tests.
    pub asks_ignored: bool,
    /// Everything needed to reach nodes.
    pub access: Access,
    /// How a procedure is run as a test.
    pub rehearse: Rehearse,
    /// Options of the suite.
    pub options: Options,
    /// Who runs it.
    pub by: By,
}

/// Who runs a suite, and where.
#[derive(Clone, Debug)]
pub struct By {
    /// The login name of the person.
    pub operator: String,
    /// The host name of the controller.
    pub controller: String,
    /// The manual's git revision, if it has one.
    pub revision: Option<String>,
}

/// Options of a suite.
#[derive(Clone, Debug)]
pub struct Options {
    /// Checks that run at the same time over all nodes; no extra limit if absent.
    pub threads: Option<usize>,
    /// Nodes that are used at the same time.
    pub parallel: usize,
    /// Further tries after a connection fault.
    pub retries: u32,
    /// Stop at the first failure.
    pub fail_fast: bool,
    /// Checks without an answer after this time count as not evaluated; a running procedure
    /// continues to its end.
    pub time_limit: Option<Duration>,
    /// Further data to read from each node.
    pub traces: Traces,
}

/// Whether to read the traces of runs from a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traces {
    /// Do not read them.
    #[default]
    Left,
    /// Read them once.
    Told,
}

/// How long to wait for sessions to end after all tests.
const PATIENCE: Duration = Duration::from_secs(3);
const GAVE_UP: &str = "opsbook did not finish it: this is a bug in opsbook";

/// Evaluates all tests and reports events when they happen: first [`What::SuiteStarted`] with all
/// cases, last [`What::SuiteEnded`], and between them exactly one outcome of each case.
pub async fn run(suite: Suite, sink: Sink) {
    let clock = Instant::now();
    let cases = suite.tests.iter().map(Test::record).collect();
    let told = Emitter::new(cases, sink);
    told.tell(
        None,
        What::SuiteStarted {
            operator: suite.by.operator,
            controller: suite.by.controller,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: suite.by.revision,
            cases: told.cases().to_vec(),
            filtered_out: suite.filtered_out,
        },
    );
    let limit = suite.options.time_limit;
    let asking = Asking::new(suite.access, suite.rehearse, suite.options, told);
    let asking = Arc::new(asking);
    let mut nodes: IndexMap<String, OfNode> = IndexMap::new();
    let mut over_several = Vec::new();
    for (number, test) in suite.tests.into_iter().enumerate() {
        match known(&test, suite.asks_ignored) {
            Some(outcome) => asking.ended(number, Checked::at_once(outcome)),
            None if matches!(test.work, Work::Roles { .. }) => over_several.push((number, test)),
            None => assign(number, test, &mut nodes),
        }
    }
    let mut tasks = JoinSet::new();
    for of in nodes.into_values() {
        tasks.spawn(ask::node(Arc::clone(&asking), of));
    }
    let answered = async {
        asking.told().all_ended().await;
        tokio::time::sleep(PATIENCE).await;
    };
    let time_is_up = async {
        if let Some(limit) = limit {
            tokio::time::sleep(limit).await;
            asking.time_is_up(limit);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = time_is_up => {}
        () = async {
            while tasks.join_next().await.is_some() {}
            // They lock several nodes each, and one may undo what another has done.
            ask::procedures(&asking, over_several).await;
        } => {}
        () = answered => {}
    }
    for number in asking.told().left() {
        asking.ended(number, Checked::at_once(Outcome::Unknown(GAVE_UP.into())));
    }
    asking.told().end(clock.elapsed());
}

/// The outcome of a test that needs no evaluation.
fn known(test: &Test, asks_ignored: bool) -> Option<Outcome> {
    match (&test.ignored, &test.work) {
        (Some(why), _) if !asks_ignored => Some(Outcome::Ignored(why.clone())),
        (_, Work::Overdue { reason, until }) => Some(Outcome::Failed(vec![Evidence {
            attribute: "skip".to_owned(),
            expected: "a waiver that has not expired".into(),
            found: format!("waived until {until}: {reason}").into(),
            how: None,
            hint: None,
        }])),
        _ => None,
    }
}

/// Adds a test to the tests of its node.
fn assign(number: usize, test: Test, nodes: &mut IndexMap<String, OfNode>) {
    let of = nodes
        .entry(test.node.name.clone())
        .or_insert_with(|| OfNode {
            node: Arc::clone(&test.node),
            checks: Vec::new(),
            procedures: Vec::new(),
        });
    match test.work {
        Work::Check(case) => of.checks.push(Pending { number, case }),
        _ => of.procedures.push((number, test)),
    }
}

/// Writes `[node] name: test`, one per line.
///
/// # Errors
/// If the output is closed.
pub fn list(selected: &Selected, out: &mut dyn Write) -> io::Result<()> {
    for test in &selected.tests {
        writeln!(out, "{}: test", test.listed())?;
    }
    out.flush()
}

impl Test {
    /// `node::group::check`
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}::{}", self.node.name, self.check)
    }

    /// The name in `--list`.
    #[must_use]
    pub fn listed(&self) -> String {
        format!("[{}] {}", self.node.name, self.name())
    }

    fn record(&self) -> CaseRecord {
        CaseRecord {
            node: self.node.name.clone(),
            check: self.check.clone(),
            place: self.span.place(),
            sum: match &self.work {
                Work::Check(case) => Some(case.sum()),
                Work::Procedure(_) | Work::Roles { .. } | Work::Overdue { .. } => None,
            },
        }
    }
}

impl Options {
    /// Limits the number of parallel nodes to what this many open files allow. The text explains a
    /// reduction.
    #[must_use]
    pub fn within(self, files: u64) -> (Options, String) {
        let most = nodes_within(files);
        if self.parallel <= most {
            return (self, String::new());
        }
        let said = format!(
            "note: at most {files} files may be open at once (`ulimit -n`): {most} nodes at a time instead of {}\n",
            self.parallel
        );
        let parallel = most;
        (Options { parallel, ..self }, said)
    }
}
