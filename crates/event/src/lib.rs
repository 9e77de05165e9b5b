//! What happened, in the past tense. The only contract between the engine and everything that
//! prints, stores or serves. It stands below them all, and uses the type for text from outside
//! alone.
//!
//! One event is one line of the journal. Fields are added, never renamed; readers ignore
//! fields and events that they do not know.
//!
//! ```
//! use opsbook_event::{Event, Status, What};
//!
//! let line = r#"{"v":2,"seq":9,"at":"2026-11-21T09:14:03Z","run":"20261121-091403-3f9a","event":"run-ended","status":"OK"}"#;
//! let event: Event = serde_json::from_str(line)?;
//! assert_eq!(event.what, What::RunEnded { status: Status::Ok });
//! # Ok::<(), serde_json::Error>(())
//! ```

// The crates below this one, by the names that its files use.
use opsbook_text::outside;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::outside::Outside;

/// The note on a yes that nobody has typed.
pub const BY_YES: &str = "by --yes";

/// The note on a yes of whoever has told another controller to go on with a run.
pub const BY_ADOPTION: &str = "by --adopt";

/// An event with its place in the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Format version.
    pub v: u32,
    /// From 1, without gaps.
    pub seq: u64,
    /// The controller's clock, RFC 3339, UTC.
    pub at: String,
    /// The id of the run, `YYYYMMDD-HHMMSS-` and four hexadecimal digits; of a suite, too.
    pub run: String,
    /// The machine where it happened; none where it is about the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The node whose turn it is, in a section that goes through the nodes of a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<String>,
    /// Number of the step, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// Which controller of the run wrote it: 1 is the one that began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// What happened, with what is known of it.
    #[serde(flatten)]
    pub what: What,
    /// SHA-256 of the journal's line before, without its line end; of the run's name in the
    /// first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<String>,
    /// The first 16 digits of SHA-256 over this line up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
}

/// What has a bundle of its own in a run: a machine, in the main line of the procedure or in the
/// turn of a node. Shown as `lb1`, and as `web1/lb1` in the turn of `web1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site<'a> {
    /// The machine.
    pub node: &'a str,
    /// The node whose turn it is; none in the main line.
    pub turn: Option<&'a str>,
}

impl<'a> Site<'a> {
    /// The node whose turn it is. In a second section for the same role the turn's name has a
    /// number, `web1+2`.
    #[must_use]
    pub fn turn_of(&self) -> Option<&'a str> {
        let turn = self.turn?;
        Some(turn.split_once('+').map_or(turn, |(node, _)| node))
    }

    /// Its name among files.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self.turn {
            Some(turn) => format!("{turn}@{}", self.node),
            None => self.node.to_owned(),
        }
    }
}

impl<'a> From<&'a str> for Site<'a> {
    /// A machine in the main line.
    fn from(node: &'a str) -> Site<'a> {
        Site { node, turn: None }
    }
}

impl<'a> From<&'a String> for Site<'a> {
    fn from(node: &'a String) -> Site<'a> {
        Site::from(node.as_str())
    }
}

impl std::fmt::Display for Site<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.turn {
            Some(turn) => write!(f, "{turn}/{}", self.node),
            None => f.write_str(self.node),
        }
    }
}

/// What can happen in a run or a suite. One event is written before the next action begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// Everything that is needed to explain the run, and to go on with it.
    RunStarted(Box<RunStarted>),
    /// An earlier halt was gone on with.
    RunResumed {
        /// The login name of the person who goes on with the run.
        operator: String,
        /// The name of the machine on which their opsbook works.
        controller: String,
        /// They have looked at what has changed since, and agreed to it.
        accepted_changes: bool,
        /// How this controller goes on; none where an older opsbook wrote it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manner: Option<Manner>,
        /// What is going to happen, where that is not what the run was started with.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        plans: BTreeMap<String, PlanRecord>,
    },
    /// No other controller can go on with the run on this node, and why.
    Pinned {
        /// One sentence for each reason.
        reasons: Vec<String>,
    },
    /// A connection to the node was begun.
    NodeTried,
    /// No connection came about.
    NodeUnreachable {
        /// What `ssh` or the other connector said.
        cause: Outside,
    },
    /// A shell on the node answered.
    NodeReached {
        /// The login user, as the node names it.
        user: Outside,
        /// What `sh` is on the node.
        shell: Outside,
        /// From the first try until the shell answered.
        milliseconds: u64,
    },
    /// Something that the operator should see to.
    Warned {
        /// What to see to, in one sentence.
        text: Outside,
    },
    /// The user that `sudo` was proven for.
    SudoProven {
        /// The name of the user.
        user: String,
    },
    /// A check holds.
    CheckHeld {
        /// The full name of the check.
        check: String,
        /// How often it was asked.
        tries: u32,
        /// From the first try to the end of the last.
        milliseconds: u64,
    },
    /// It looked, and it is wrong.
    CheckFailed {
        /// The full name of the check.
        check: String,
        /// `file:line` of the manual.
        place: String,
        /// What was expected and what was found, for each thing that is wrong.
        evidence: Vec<Evidence>,
        /// How often it was asked.
        tries: u32,
        /// 0 where an older opsbook wrote it.
        #[serde(default)]
        milliseconds: u64,
    },
    /// A case of a suite was asked. One that could not be asked together with others is asked
    /// again.
    CheckStarted {
        /// The full name of the check.
        check: String,
    },
    /// It could not look.
    CheckUnknown {
        /// The full name of the check.
        check: String,
        /// `file:line` of the manual.
        place: String,
        /// Why nobody could look.
        cause: Outside,
        /// 0 where an older opsbook wrote it, or where nobody was asked.
        #[serde(default)]
        tries: u32,
        /// From the first try to the end of the last; 0 where nobody was asked.
        #[serde(default)]
        milliseconds: u64,
    },
    /// It was not asked: it is waived, or was not wanted.
    CheckIgnored {
        /// The full name of the check.
        check: String,
        /// Why it was not asked.
        reason: String,
    },
    /// A suite of checks, not a run of a procedure.
    SuiteStarted {
        /// The login name of the person who asks.
        operator: String,
        /// The name of the machine on which their opsbook works.
        controller: String,
        /// Of opsbook.
        version: String,
        /// The manual's git revision, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
        /// In the order of the book. Results are kept with those that have a sum.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cases: Vec<CaseRecord>,
        /// How many cases were not selected.
        #[serde(default)]
        filtered_out: usize,
    },
    /// All cases of a suite have an outcome.
    SuiteEnded {
        /// Cases that hold.
        passed: usize,
        /// Cases that were looked at, and are wrong.
        failed: usize,
        /// Cases that nobody could look at.
        errors: usize,
        /// Cases that were not asked.
        ignored: usize,
        /// From the start of the suite to its end.
        milliseconds: u64,
    },
    /// `path` on the node; the token tells one controller of the bundle from the next.
    BundleOpened {
        /// The bundle's folder, absolute.
        path: String,
        /// It is the one of steps on the operator's machine.
        local: bool,
        /// 16 hexadecimal digits, new for each controller.
        token: String,
        /// Another user of the node, whose bundle it is beside that of the login user.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
    },
    /// A controller that goes on with a run has taken its bundle over.
    BundleReopened {
        /// The bundle's folder, absolute.
        path: String,
        /// It is the one of steps on the operator's machine.
        local: bool,
        /// 16 hexadecimal digits, new for each controller.
        token: String,
    },
    /// From here on the step may have changed the node.
    StepStarted {
        /// The step's full name: `web.deploy/install`, or with its number where it has no id.
        name: String,
        /// Its title on the page.
        title: String,
        /// 0 for a step that a person does: it has none.
        limit_seconds: u64,
        /// Of the step as it is planned now, as in [`StepRecord::sha256`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// The journal knew nothing of it, and the node does: it was begun by a controller whose
    /// lines are not here.
    StepFound {
        /// The step's full name.
        name: String,
        /// Its title on the page.
        title: String,
        /// Where its record was found.
        from: Found,
        /// SHA-256 of the step as it was planned when it ran, hexadecimal.
        sha256: String,
    },
    /// A step that an earlier controller started is looked after again.
    StepAttached {
        /// The step's full name.
        name: String,
        /// Its title on the page.
        title: String,
    },
    /// A piece of what a step printed, made harmless and masked.
    Output {
        /// Which of its outputs.
        stream: Stream,
        /// What it printed, with secrets masked.
        text: Outside,
    },
    /// A file, or the archive of a folder.
    FileDelivered {
        /// Its name in the bundle.
        to: String,
        /// Its size.
        bytes: u64,
        /// Of what arrived on the node: `sha256:…`, or `cksum:…` where the node has nothing better.
        checksum: String,
    },
    /// Runs of which the node has a trace.
    NodeTraced {
        /// Their names; the one that holds the bundle is the first, where there is one.
        runs: Vec<Trace>,
    },
    /// A step has given a value to a name.
    ValueCaptured {
        /// The name that later steps know the value by.
        name: String,
        /// The value, with secrets masked.
        value: Outside,
    },
    /// The operator was asked.
    Asked {
        /// What was asked, in words.
        question: String,
        /// What a person is told to do, where nobody was there to read it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told: Option<Outside>,
        /// The words that answer it; none where any text does.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        choices: Vec<String>,
    },
    /// The operator has answered the question before.
    Answered {
        /// The answer, in a word.
        answer: String,
        /// `seq` of the question.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        question: Option<u64>,
        /// What they typed beside it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The connection to the node was lost while a step was under way.
    ConnectionLost {
        /// What `ssh` or the other connector said last.
        cause: Outside,
    },
    /// The node was reached again, and its step is followed on.
    Reattached {
        /// From the loss of the connection until then.
        milliseconds: u64,
    },
    /// The node has restarted while a step was under way.
    NodeRebooted {
        /// The step says of itself that it restarts the node.
        expected: bool,
    },
    /// Processes that a step left running.
    LeftBehind {
        /// `pid command` of each.
        processes: Vec<Outside>,
    },
    /// A step and its checks came to an end.
    StepEnded(StepEnded),
    /// A bundle was removed; its record is in the node's history.
    BundleClosed {
        /// The bundle's folder, absolute.
        path: String,
        /// It is the one of steps on the operator's machine.
        local: bool,
        /// Whose bundle it was, where not the login user's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
    },
    /// It stays, with everything in it.
    BundleKept {
        /// The bundle's folder, absolute.
        path: String,
        /// It is the one of steps on the operator's machine.
        local: bool,
    },
    /// The nodes of a batch are begun, where there are several batches.
    BatchStarted {
        /// The number of the batch, from 1.
        batch: usize,
        /// How many batches there are.
        batches: usize,
        /// The nodes in it.
        nodes: Vec<String>,
    },
    /// The run came to an end on a node.
    NodeEnded {
        /// How it ended there.
        status: Status,
        /// Why, in one sentence; none where all is OK.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Outside>,
    },
    /// The turn of a node in a section, with all that was done for it elsewhere.
    TurnEnded {
        /// How the turn ended.
        status: Status,
        /// Why, in one sentence; none where all is OK.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Outside>,
    },
    /// The run came to an end, or to a halt, on all nodes.
    RunEnded {
        /// The worst status of its nodes.
        status: Status,
    },
    /// An event that a newer version wrote.
    #[serde(other)]
    Unknown,
}

/// A run of which a node has a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Its name.
    pub run: String,
    /// What the trace is.
    pub how: How,
}

/// What a node has of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It holds the bundle.
    Holds,
    /// Its record is in the node's history.
    Past,
}

/// Where on the node a step's record was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// In the open bundle.
    Bundle,
    /// In the history: the bundle was closed.
    History,
}

/// How a run goes through its nodes and steps. `resume` keeps to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manner {
    /// Ask before each step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub step: bool,
    /// Number of the step after which it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<usize>,
    /// Nodes at a time.
    pub parallel: usize,
    /// Sizes of the batches, in nodes; empty for one batch of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<usize>,
    /// Between batches.
    pub wait_milliseconds: u64,
    /// Nodes that may end badly before no further batch is started.
    pub max_fail: usize,
    /// How long a lost node is looked for.
    pub reconnect_milliseconds: u64,
}

/// What a run was started with: with the events that follow it, enough to go on with the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The id of the procedure.
    pub procedure: String,
    /// The heading over its contract.
    pub title: String,
    /// `file:line` of its contract.
    pub place: String,
    /// The names of the nodes, in their order.
    pub nodes: Vec<String>,
    /// The nodes that play each role, where the procedure has roles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Vec<String>>,
    /// What was given with `--set`; secrets are never given so.
    pub arguments: BTreeMap<String, String>,
    /// The login name of the person who started it.
    pub operator: String,
    /// The name of the machine on which their opsbook works.
    pub controller: String,
    /// Of opsbook.
    pub version: String,
    /// The archive, or the package, that the manual is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book: Option<Book>,
    /// The packages that it is made of, each with its version and content.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packages: BTreeMap<String, String>,
    /// Git revision of the manual, where it has one.
    pub revision: Option<String>,
    /// Was the manual's work tree clean?
    pub clean: Option<bool>,
    /// The step at which it was to begin; what lies before was left out on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<usize>,
    /// None where an older opsbook wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manner: Option<Manner>,
    /// Why it was run without the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// Of the plan of each node; in turns, by the text of its [`Site`].
    pub plans: BTreeMap<String, PlanRecord>,
}

/// An archive from which something is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// Of the package, or of the book.
    pub name: String,
    /// Its release number.
    pub version: String,
    /// The identity of its files.
    pub content: String,
    /// The git revision that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Who has signed it, as somebody whose word counts here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
}

/// What was going to happen on one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// SHA-256 over all steps, hexadecimal.
    pub sha256: String,
    /// The steps in their order.
    pub steps: Vec<StepRecord>,
}

/// One step, as it was going to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its number, where that is not its place in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<usize>,
    /// Its full name: `web.deploy/install`, or with its number where it has no id.
    pub name: String,
    /// Its title on the page.
    pub title: String,
    /// `file:line` of its block.
    pub place: String,
    /// SHA-256 over `text`, hexadecimal.
    pub sha256: String,
    /// The step as planned: attributes, script, expectations and checks, without values.
    pub text: String,
    /// The values that its scripts are given, but for secrets and for what only a run knows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Exit statuses that are OK, where they are not 0 alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit: Vec<i32>,
    /// What it delivers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRecord>,
}

impl PlanRecord {
    /// Its steps with their numbers, from 1.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &StepRecord)> {
        let steps = (1..).zip(&self.steps);
        steps.map(|(place, step)| (step.number.unwrap_or(place), step))
    }

    /// A step by its number, from 1.
    #[must_use]
    pub fn step(&self, number: usize) -> Option<&StepRecord> {
        let mut steps = self.numbered();
        steps.find_map(|(of, step)| (of == number).then_some(step))
    }
}

/// A file as it was going to be delivered. Secrets, and what only the run knows, are left
/// empty in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its name in the bundle.
    pub to: String,
    /// Of its content; none where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The text itself, of a template or a `file` block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Nothing was left empty: what arrives on the node has the same checksum.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

/// What came of a step and of its checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepEnded {
    /// How it ended, in a word.
    pub status: Status,
    /// Exit status, where it ran to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// It may or may not have finished.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outcome_unknown: bool,
    /// Why, in one sentence; none where it is OK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Outside>,
    /// What the operator said of a step that was skipped or done by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why its own status or output is not the expected one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The time of the step itself, without the time in which the operator was asked.
    pub milliseconds: u64,
}

/// What was looked for, what was found, and how to look again by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was looked at: a fact of a probe, `exit status`, `output`.
    pub attribute: String,
    /// What the manual expects.
    pub expected: Outside,
    /// What the node says, with secrets masked.
    pub found: Outside,
    /// A command with which a person can look for themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
    /// What the author may write instead, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What came of asking a case. The one type for it, from the verdict to the reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is as the manual says.
    Held,
    /// Somebody looked, and it is wrong.
    Failed(Vec<Evidence>),
    /// Nobody could look; why.
    Unknown(Outside),
    /// It was not asked; why.
    Ignored(String),
}

/// One case of a suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// The node that is asked.
    pub node: String,
    /// `group::check` or `procedure::run`.
    pub check: String,
    /// `file:line` of the manual.
    pub place: String,
    /// SHA-256 over what is asked and its values, hexadecimal. None of a procedure, and where an
    /// older opsbook wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
}

impl CaseRecord {
    /// `node::group::check`
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}::{}", self.node, self.check)
    }
}

/// How many cases ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cases that hold.
    pub passed: usize,
    /// Cases that were looked at, and are wrong.
    pub failed: usize,
    /// Those that nobody could look at.
    pub errors: usize,
    /// Cases that were not asked.
    pub ignored: usize,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Held => &mut self.passed,
            Outcome::Failed(_) => &mut self.failed,
            Outcome::Unknown(_) => &mut self.errors,
            Outcome::Ignored(_) => &mut self.ignored,
        } += 1;
    }
}

/// A case that was asked to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// What came of it.
    pub outcome: Outcome,
    /// How often it was asked.
    pub tries: u32,
    /// From the first try to the end of the last.
    pub milliseconds: u64,
}

impl Checked {
    /// An outcome that was known at once.
    #[must_use]
    pub fn at_once(outcome: Outcome) -> Checked {
        Checked {
            outcome,
            tries: 1,
            milliseconds: 0,
        }
    }

    /// The event that tells it, of the check with this name at this place of the manual.
    #[must_use]
    pub fn written(self, check: String, place: String) -> What {
        let Checked {
            outcome,
            tries,
            milliseconds,
        } = self;
        match outcome {
            Outcome::Held => What::CheckHeld {
                check,
                tries,
                milliseconds,
            },
            Outcome::Failed(evidence) => What::CheckFailed {
                check,
                place,
                evidence,
                tries,
                milliseconds,
            },
            Outcome::Unknown(cause) => What::CheckUnknown {
                check,
                place,
                cause,
                tries,
                milliseconds,
            },
            Outcome::Ignored(reason) => What::CheckIgnored { check, reason },
        }
    }

    /// What an event tells, and of which check; nothing where it is about something else.
    #[must_use]
    pub fn read(what: &What) -> Option<(&str, Checked)> {
        let (check, outcome, tries, milliseconds) = match what {
            What::CheckHeld {
                check,
                tries,
                milliseconds,
            } => (check, Outcome::Held, *tries, *milliseconds),
            What::CheckFailed {
                check,
                evidence,
                tries,
                milliseconds,
                ..
            } => {
                let outcome = Outcome::Failed(evidence.clone());
                (check, outcome, *tries, *milliseconds)
            }
            What::CheckUnknown {
                check,
                cause,
                tries,
                milliseconds,
                ..
            } => {
                let outcome = Outcome::Unknown(cause.clone());
                (check, outcome, *tries, *milliseconds)
            }
            What::CheckIgnored { check, reason } => (check, Outcome::Ignored(reason.clone()), 1, 0),
            _ => return None,
        };
        let checked = Checked {
            outcome,
            tries,
            milliseconds,
        };
        Some((check, checked))
    }
}

/// Where a step's output was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Of a step, of a node's run, of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It was done, and its checks hold.
    #[serde(rename = "OK")]
    Ok,
    /// It ran and said no, or a check of it does not hold.
    #[serde(rename = "FAILED")]
    Failed,
    /// opsbook could not do, or could not know.
    #[serde(rename = "ERROR")]
    Error,
    /// A precondition does not hold, or the lock is held; nothing was touched.
    #[serde(rename = "BLOCKED")]
    Blocked,
    /// The operator stopped it.
    #[serde(rename = "STOPPED")]
    Stopped,
    /// Past its time, and its processes are verified dead.
    #[serde(rename = "TIMED OUT")]
    TimedOut,
    /// The operator has left it out.
    #[serde(rename = "SKIPPED")]
    Skipped,
    /// The operator says that it was done by hand.
    #[serde(rename = "BY HAND")]
    ByHand,
}

impl Status {
    /// The status as every report writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::Failed => "FAILED",
            Status::Error => "ERROR",
            Status::Blocked => "BLOCKED",
            Status::Stopped => "STOPPED",
            Status::TimedOut => "TIMED OUT",
            Status::Skipped => "SKIPPED",
            Status::ByHand => "BY HAND",
        }
    }

    /// A run goes on after a step that ended so.
    #[must_use]
    pub fn goes_on(self) -> bool {
        matches!(self, Status::Ok | Status::Skipped | Status::ByHand)
    }

    /// The worse of two, for a run over several nodes: what an operator must look at first.
    #[must_use]
    pub fn worse(self, other: Status) -> Status {
        let weight = |status| match status {
            Status::Ok | Status::Skipped | Status::ByHand => 0,
            Status::Blocked => 1,
            Status::Stopped => 2,
            Status::TimedOut => 3,
            Status::Failed => 4,
            Status::Error => 5,
        };
        if weight(other) > weight(self) {
            other
        } else {
            self
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_and_comes_back_the_same() {
        let event = Event {
            v: 1,
            seq: 7,
            at: "2026-11-21T09:14:03Z".into(),
            run: "20261121-091403-3f9a".into(),
            node: Some("web1".into()),
            turn: None,
            step: Some(3),
            epoch: None,
            prev: None,
            sum: None,
            what: What::StepEnded(StepEnded {
                status: Status::TimedOut,
                exit: None,
                outcome_unknown: false,
                cause: None,
                note: None,
                evidence: Vec::new(),
                milliseconds: 12,
            }),
        };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(
            line,
            r#"{"v":1,"seq":7,"at":"2026-11-21T09:14:03Z","run":"20261121-091403-3f9a","node":"web1","step":3,"event":"step-ended","status":"TIMED OUT","milliseconds":12}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }

    #[test]
    fn events_of_a_newer_version_are_kept_apart_not_refused() {
        let line = r#"{"v":1,"seq":1,"at":"","run":"r","event":"moon-landed","crew":3}"#;
        assert_eq!(
            serde_json::from_str::<Event>(line).unwrap().what,
            What::Unknown
        );
    }
}
