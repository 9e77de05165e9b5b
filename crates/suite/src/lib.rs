//! Cases and sessions -> events, while they are asked. Knows how tests are chosen and asked side
//! by side; who prints or keeps what came of them reads the events.

// The crates below this one, by the names that its files use.
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
mod gather;
mod libtest;
mod schedule;
mod select;
mod told;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use tokio::task::JoinSet;

use crate::ask::{Asking, OfNode, Pending};
use crate::event::{CaseRecord, Checked, Event, Evidence, Outcome, What};
use crate::nodes::Node;
use crate::plan::Case;
use crate::session::nodes_within;
use crate::source::Span;
use crate::told::Told;

pub use ask::{Access, Rehearse};
pub use gather::{gather, procedures, rehearsals};
pub use libtest::{Answers, Libtest};
pub use select::{Ignored, Partition, Selected, Selection};

/// Takes each event of a suite when it happens. It must not wait: the suite would, too.
pub type Sink = Box<dyn FnMut(Event) + Send>;

/// One test: a check on a node, or a whole procedure.
#[derive(Clone, Debug)]
pub struct Test {
    /// `group::check` or `procedure::run`.
    pub check: String,
    /// The node that is asked.
    pub node: Arc<Node>,
    /// The place in the manual that says what must hold.
    pub span: Span,
    /// Why it is not asked unless ignored ones are.
    pub ignored: Option<String>,
    /// It is asked only where it is chosen by its full name, also where ignored ones are asked.
    pub by_name_only: bool,
    /// What is done for it.
    pub work: Work,
}

/// What a test does.
#[derive(Clone, Debug)]
pub enum Work {
    /// Asks a check, which changes nothing.
    Check(Box<Case>),
    /// The whole of the procedure with this id, for real.
    Procedure(String),
    /// The same of one over several machines, with who plays which role.
    Roles {
        /// The id of the procedure.
        procedure: String,
        /// `ROLE=SELECTOR`.
        words: Vec<String>,
    },
    /// A check that was waived until a day that has passed; why, and which day.
    Overdue {
        /// Why it was waived.
        reason: String,
        /// The last day of that, `YYYY-MM-DD`.
        until: String,
    },
}

/// Everything that a suite is.
pub struct Suite {
    /// In the order of the book.
    pub tests: Vec<Test>,
    /// How many were not selected.
    pub filtered_out: usize,
    /// Ask ignored tests, too.
    pub asks_ignored: bool,
    /// What it takes to reach nodes.
    pub access: Access,
    /// How a procedure is run as a test.
    pub rehearse: Rehearse,
    /// How the tests are asked.
    pub options: Options,
    /// Who asks.
    pub by: By,
}

/// Who runs a suite, and where.
#[derive(Clone, Debug)]
pub struct By {
    /// The login name of the person who asks.
    pub operator: String,
    /// The name of the machine on which their opsbook works.
    pub controller: String,
    /// The manual's git revision, where it has one.
    pub revision: Option<String>,
}

/// How a suite is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Checks at a time over all nodes; as many as the nodes do where absent.
    pub threads: Option<usize>,
    /// Nodes at a time.
    pub parallel: usize,
    /// Further tries after a fault of the connection.
    pub retries: u32,
    /// Stop at the first that fails.
    pub fail_fast: bool,
    /// What has no answer after this time could not look; a procedure under way comes to its
    /// end.
    pub time_limit: Option<Duration>,
    /// What is asked of each node beside its checks.
    pub traces: Traces,
}

/// Whether a node is asked of which runs it has a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traces {
    /// It is not.
    #[default]
    Left,
    /// It is, once.
    Told,
}

/// For sessions to end, when all tests have ended.
const PATIENCE: Duration = Duration::from_secs(3);
const GAVE_UP: &str = "opsbook itself gave up on it: this is a fault of opsbook";

/// Asks all tests, and tells what happens as it happens: first [`What::SuiteStarted`] with all
/// cases, last [`What::SuiteEnded`], and between them exactly one outcome of each case.
pub async fn run(suite: Suite, sink: Sink) {
    let clock = Instant::now();
    let cases = suite.tests.iter().map(Test::record).collect();
    let told = Told::new(cases, sink);
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
            // They hold several nodes each, and what one has done, the next may undo.
            ask::procedures(&asking, over_several).await;
        } => {}
        () = answered => {}
    }
    for number in asking.told().left() {
        asking.ended(number, Checked::at_once(Outcome::Unknown(GAVE_UP.into())));
    }
    asking.told().end(clock.elapsed());
}

/// The outcome of a test that is not asked.
fn known(test: &Test, asks_ignored: bool) -> Option<Outcome> {
    match (&test.ignored, &test.work) {
        (Some(why), _) if !asks_ignored => Some(Outcome::Ignored(why.clone())),
        (_, Work::Overdue { reason, until }) => Some(Outcome::Failed(vec![Evidence {
            attribute: "skip".to_owned(),
            expected: "a waiver that has not run out".into(),
            found: format!("waived until {until}: {reason}").into(),
            how: None,
            hint: None,
        }])),
        _ => None,
    }
}

/// Adds a test to what its node is asked.
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

/// `[node] name: test`, one a line.
///
/// # Errors
/// Where nobody reads any more.
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

    /// As `--list` names it.
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
    /// As many nodes at a time as so many open files allow; and what is to be said where that
    /// is fewer than were wanted.
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
