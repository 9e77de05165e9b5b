//! What happened, in the past tense. The only contract between the engine and everything that
//! prints, stores or serves events. It uses no other crate except the type for text from outside.
//!
//! One event is one line of the journal. Fields are added, never renamed; readers ignore unknown
//! fields and events.
//!
//! ```
//! use opsbook_event::{Event, Status, What};
//!
//! let line = r#"{"v":2,"seq":9,"at":"2026-11-21T09:14:03Z","run":"20261121-091403-3f9a","event":"run-ended","status":"OK"}"#;
//! let event: Event = serde_json::from_str(line)?;
//! assert_eq!(event.what, What::RunEnded { status: Status::Ok });
//! # Ok::<(), serde_json::Error>(())
//! ```

// The crates below this one, under the names that its files use.
use opsbook_text::outside;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::outside::Outside;

/// The note of a yes that `--yes` gave.
pub const BY_YES: &str = "by --yes";

/// The note of a yes from whoever told another controller to continue a run.
pub const BY_ADOPTION: &str = "by --adopt";

/// An event with its position in the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Format version.
    pub v: u32,
    /// From 1, without gaps.
    pub seq: u64,
    /// The controller's clock, RFC 3339, UTC.
    pub at: String,
    /// The id of the run or suite, `YYYYMMDD-HHMMSS-` and four hexadecimal digits.
    pub run: String,
    /// The node where it happened; none for the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The node whose turn it is, in a section that repeats for the nodes of a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<String>,
    /// Number of the step, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The controller of the run that wrote it: 1 is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// What happened, with its details.
    #[serde(flatten)]
    pub what: What,
    /// SHA-256 of the journal's previous line, without its line end; in the first line, of the
    /// run's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<String>,
    /// The first 16 digits of SHA-256 over this line up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
}

/// A place with its own bundle in a run: a node, in the main line of the procedure or in the turn
/// of a node. Shown as `lb1`, or as `web1/lb1` in the turn of `web1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site<'a> {
    /// The node.
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

    /// Its name as part of file names.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self.turn {
            Some(turn) => format!("{turn}@{}", self.node),
            None => self.node.to_owned(),
        }
    }
}

impl<'a> From<&'a str> for Site<'a> {
    /// A node in the main line.
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
    /// Everything needed to explain the run, and to continue it.
    RunStarted(Box<RunStarted>),
    /// A halted run was resumed.
    RunResumed {
        /// The login name of the person who resumed the run.
        operator: String,
        /// The host name of the controller.
        controller: String,
        /// The person has seen the changes since the halt, and accepts them.
        accepted_changes: bool,
        /// The options of this controller; none where an older opsbook wrote it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manner: Option<Manner>,
        /// The plans that differ from those at the start of the run.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        plans: BTreeMap<String, PlanRecord>,
    },
    /// No other controller can continue the run on this node, and why.
    Pinned {
        /// One sentence for each reason.
        reasons: Vec<String>,
    },
    /// A connection to the node was begun.
    NodeTried,
    /// The node could not be reached.
    NodeUnreachable {
        /// The message of `ssh` or another connector.
        cause: Outside,
    },
    /// A shell on the node answered.
    NodeReached {
        /// The login user, as the node names it.
        user: Outside,
        /// The kind of `sh` on the node.
        shell: Outside,
        /// From the first try until the shell answered.
        milliseconds: u64,
    },
    /// Something that the operator should fix.
    Warned {
        /// What to fix, in one sentence.
        text: Outside,
    },
    /// `sudo` works for this user.
    SudoProven {
        /// The name of the user.
        user: String,
    },
    /// A check holds.
    CheckHeld {
        /// The full name of the check.
        check: String,
        /// How often it was evaluated.
        tries: u32,
        /// From the first try to the end of the last.
        milliseconds: u64,
    },
    /// A check was evaluated, and does not hold.
    CheckFailed {
        /// The full name of the check.
        check: String,
        /// `file:line` of the manual.
        place: String,
        /// The expected and the found value of each thing that is wrong.
        evidence: Vec<Evidence>,
        /// How often it was evaluated.
        tries: u32,
        /// 0 where an older opsbook wrote it.
        #[serde(default)]
        milliseconds: u64,
    },
    /// The evaluation of a case began. A case that could not be evaluated together with others is
    /// started again.
    CheckStarted {
        /// The full name of the check.
        check: String,
    },
    /// A check could not be evaluated.
    CheckUnknown {
        /// The full name of the check.
        check: String,
        /// `file:line` of the manual.
        place: String,
        /// Why it could not be evaluated.
        cause: Outside,
        /// 0 where an older opsbook wrote it, or where it was not evaluated.
        #[serde(default)]
        tries: u32,
        /// From the first try to the end of the last; 0 where it was not evaluated.
        #[serde(default)]
        milliseconds: u64,
    },
    /// A check was not evaluated: it is waived, or was not selected.
    CheckIgnored {
        /// The full name of the check.
        check: String,
        /// Why it was not evaluated.
        reason: String,
    },
    /// A suite of checks began.
    SuiteStarted {
        /// The login name of the person who runs it.
        operator: String,
        /// The host name of the controller.
        controller: String,
        /// The version of opsbook.
        version: String,
        /// The manual's git revision, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
        /// In the order of the book. Recorded results contain only cases with a hash.
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
        /// Cases that do not hold.
        failed: usize,
        /// Cases that could not be evaluated.
        errors: usize,
        /// Cases that were skipped.
        ignored: usize,
        /// From the start of the suite to its end.
        milliseconds: u64,
    },
    /// A bundle was created at `path`; the token identifies the controller.
    BundleOpened {
        /// The bundle's folder, absolute.
        path: String,
        /// It is the bundle of steps on the operator's machine.
        local: bool,
        /// 16 hexadecimal digits, new for each controller.
        token: String,
        /// The user of the bundle, if it is not the login user.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
    },
    /// A controller that continues a run has taken over its bundle.
    BundleReopened {
        /// The bundle's folder, absolute.
        path: String,
        /// It is the bundle of steps on the operator's machine.
        local: bool,
        /// 16 hexadecimal digits, new for each controller.
        token: String,
    },
    /// A step began: from here on it may have changed the node.
    StepStarted {
        /// The step's full name: `web.deploy/install`, or with its number if it has no id.
        name: String,
        /// Its title on the page.
        title: String,
        /// The time limit; 0 for a step that a person does.
        limit_seconds: u64,
        /// The hash of the step as it is planned now, as in [`StepRecord::sha256`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// The node has a record of a step that the journal did not know: a controller whose lines are
    /// missing here began it.
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
    /// A step that an earlier controller started is followed again.
    StepAttached {
        /// The step's full name.
        name: String,
        /// Its title on the page.
        title: String,
    },
    /// A part of a step's output, made harmless and masked.
    Output {
        /// Standard output or standard error.
        stream: Stream,
        /// The text, with secrets masked.
        text: Outside,
    },
    /// A file, or the archive of a folder, was delivered.
    FileDelivered {
        /// Its name in the bundle.
        to: String,
        /// Its size.
        bytes: u64,
        /// The checksum on the node: `sha256:…`, or `cksum:…` if the node has no other tool.
        checksum: String,
    },
    /// The runs that left a trace on the node.
    NodeTraced {
        /// Their names, first the one that holds the bundle, if any.
        runs: Vec<Trace>,
    },
    /// A step captured a value.
    ValueCaptured {
        /// The name of the value for later steps.
        name: String,
        /// The value, with secrets masked.
        value: Outside,
    },
    /// The operator was asked a question.
    Asked {
        /// The question.
        question: String,
        /// Instructions for the person, for readers elsewhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told: Option<Outside>,
        /// The valid answers; none if any text is valid.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        choices: Vec<String>,
    },
    /// The operator answered a question.
    Answered {
        /// The answer, one word.
        answer: String,
        /// `seq` of the question.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        question: Option<u64>,
        /// The text that they typed with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The connection to the node was lost during a step.
    ConnectionLost {
        /// The last message of `ssh` or another connector.
        cause: Outside,
    },
    /// The node was reached again, and its step is followed.
    Reattached {
        /// From the loss of the connection until then.
        milliseconds: u64,
    },
    /// The node restarted during a step.
    NodeRebooted {
        /// The step declares that it restarts the node.
        expected: bool,
    },
    /// Processes that a step left running.
    LeftBehind {
        /// `pid command` of each.
        processes: Vec<Outside>,
    },
    /// A step and its checks ended.
    StepEnded(StepEnded),
    /// A bundle was removed; its record is in the node's history.
    BundleClosed {
        /// The bundle's folder, absolute.
        path: String,
        /// It is the bundle of steps on the operator's machine.
        local: bool,
        /// The user of the bundle, if it is not the login user.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
    },
    /// A bundle was kept with all its contents.
    BundleKept {
        /// The bundle's folder, absolute.
        path: String,
        /// It is the bundle of steps on the operator's machine.
        local: bool,
    },
    /// A batch of nodes began, in a run with several batches.
    BatchStarted {
        /// The number of the batch, from 1.
        batch: usize,
        /// How many batches there are.
        batches: usize,
        /// The nodes in it.
        nodes: Vec<String>,
    },
    /// The run ended on a node.
    NodeEnded {
        /// How it ended there.
        status: Status,
        /// Why, in one sentence; none where all is OK.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Outside>,
    },
    /// A node's turn in a section ended, with all work for it on other nodes.
    TurnEnded {
        /// How the turn ended.
        status: Status,
        /// Why, in one sentence; none where all is OK.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Outside>,
    },
    /// The run ended, or halted, on all nodes.
    RunEnded {
        /// The worst status of its nodes.
        status: Status,
    },
    /// An event of a newer version.
    #[serde(other)]
    Unknown,
}

/// A run that left a trace on a node.
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
    /// The run holds the bundle.
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

/// The options of a run for its nodes and steps. `resume` keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manner {
    /// Ask before each step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub step: bool,
    /// Number of the step after which it halts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<usize>,
    /// How many nodes run in parallel.
    pub parallel: usize,
    /// Sizes of the batches, in nodes; empty for one batch of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<usize>,
    /// The pause between batches.
    pub wait_milliseconds: u64,
    /// How many nodes may fail before no further batch begins.
    pub max_fail: usize,
    /// How long to look for a lost node.
    pub reconnect_milliseconds: u64,
}

/// The start of a run: together with the following events, enough to continue the run.
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
    /// The nodes of each role, if the procedure has roles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Vec<String>>,
    /// The arguments, from `--set`; never secrets.
    pub arguments: BTreeMap<String, String>,
    /// The login name of the person who started it.
    pub operator: String,
    /// The host name of the controller.
    pub controller: String,
    /// The version of opsbook.
    pub version: String,
    /// The archive or the package of the manual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book: Option<Book>,
    /// The manual's packages, each with its version and hash.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packages: BTreeMap<String, String>,
    /// Git revision of the manual, if it has one.
    pub revision: Option<String>,
    /// Whether the manual's work tree was clean.
    pub clean: Option<bool>,
    /// The first step; earlier steps were left out on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<usize>,
    /// None where an older opsbook wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manner: Option<Manner>,
    /// Why it bypassed the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// The plan of each node; in turns, by the text of its [`Site`].
    pub plans: BTreeMap<String, PlanRecord>,
}

/// An archive from which something runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// The name of the package or book.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The identity of its files.
    pub content: String,
    /// The git revision that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Its trusted signer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
}

/// The plan of one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// SHA-256 over all steps, hexadecimal.
    pub sha256: String,
    /// The steps in their order.
    pub steps: Vec<StepRecord>,
}

/// One planned step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its number, if that is not its position in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<usize>,
    /// Its full name: `web.deploy/install`, or with its number if it has no id.
    pub name: String,
    /// Its title on the page.
    pub title: String,
    /// `file:line` of its block.
    pub place: String,
    /// SHA-256 over `text`, hexadecimal.
    pub sha256: String,
    /// The planned step: attributes, script, expectations and checks, without values.
    pub text: String,
    /// The values of its scripts, except secrets and values known only in a run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Exit statuses that count as OK, if not only 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit: Vec<i32>,
    /// The files that it delivers.
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

/// A planned file. Secrets, and values known only in the run, are left empty in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its name in the bundle.
    pub to: String,
    /// The hash of its content; none where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The text of a template or a `file` block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Nothing was left empty: the file on the node has the same checksum.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

/// The result of a step and of its checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepEnded {
    /// How it ended.
    pub status: Status,
    /// Exit status, if it ran to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// It may or may not have finished.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outcome_unknown: bool,
    /// Why, in one sentence; none where it is OK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Outside>,
    /// The operator's note on a step that was skipped or done by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why its own status or output is not as expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The duration of the step, without the time for questions.
    pub milliseconds: u64,
}

/// What was examined, what was found, and how to look again by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was examined: a fact of a probe, `exit status`, `output`.
    pub attribute: String,
    /// What the manual expects.
    pub expected: Outside,
    /// The node's value, with secrets masked.
    pub found: Outside,
    /// A command for a person to look by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
    /// What the author may write instead, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The outcome of a case. All code, up to the reports, uses this type.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It holds.
    Held,
    /// It was evaluated, and does not hold.
    Failed(Vec<Evidence>),
    /// It could not be evaluated; why.
    Unknown(Outside),
    /// It was skipped; why.
    Ignored(String),
}

/// One case of a suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// The node.
    pub node: String,
    /// `group::check` or `procedure::run`.
    pub check: String,
    /// `file:line` of the manual.
    pub place: String,
    /// SHA-256 over the check and its values, hexadecimal. None for a procedure, and where an older
    /// opsbook wrote it.
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

/// The number of cases by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cases that hold.
    pub passed: usize,
    /// Cases that do not hold.
    pub failed: usize,
    /// Cases that could not be evaluated.
    pub errors: usize,
    /// Cases that were skipped.
    pub ignored: usize,
}

impl Counts {
    /// Counts an outcome.
    pub fn add(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Held => &mut self.passed,
            Outcome::Failed(_) => &mut self.failed,
            Outcome::Unknown(_) => &mut self.errors,
            Outcome::Ignored(_) => &mut self.ignored,
        } += 1;
    }
}

/// A case that was evaluated completely.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// Its outcome.
    pub outcome: Outcome,
    /// How often it was evaluated.
    pub tries: u32,
    /// From the first try to the end of the last.
    pub milliseconds: u64,
}

impl Checked {
    /// An outcome that needed no evaluation.
    #[must_use]
    pub fn at_once(outcome: Outcome) -> Checked {
        Checked {
            outcome,
            tries: 1,
            milliseconds: 0,
        }
    }

    /// The event with this outcome, for the check with this name and place.
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

    /// The outcome in an event, and its check; `None` if the event is about something else.
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

/// The stream of a step's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// The status of a step, of a node's run, or of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Done, and its checks hold.
    #[serde(rename = "OK")]
    Ok,
    /// It ran and failed, or one of its checks does not hold.
    #[serde(rename = "FAILED")]
    Failed,
    /// opsbook could not do it, or does not know the result.
    #[serde(rename = "ERROR")]
    Error,
    /// A precondition does not hold, or the lock is held; nothing was changed.
    #[serde(rename = "BLOCKED")]
    Blocked,
    /// The operator stopped it.
    #[serde(rename = "STOPPED")]
    Stopped,
    /// It exceeded its time limit, and its processes are verified dead.
    #[serde(rename = "TIMED OUT")]
    TimedOut,
    /// The operator skipped it.
    #[serde(rename = "SKIPPED")]
    Skipped,
    /// The operator says that it was done by hand.
    #[serde(rename = "BY HAND")]
    ByHand,
}

impl Status {
    /// The status as a word, the same in every report.
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

    /// Whether a run continues after a step with this status.
    #[must_use]
    pub fn goes_on(self) -> bool {
        matches!(self, Status::Ok | Status::Skipped | Status::ByHand)
    }

    /// The worse of two, for a run over several nodes: the one to look at first.
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
