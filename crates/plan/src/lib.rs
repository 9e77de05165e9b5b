//! Makes plans and cases from manual, nodes and arguments. Pure; a plan needs no later look-up.
//!
//! Only this crate makes a [`Script`], and a session runs nothing else.
//!
//! ```
//! use std::path::Path;
//!
//! use opsbook_manual::{PageSource, Settings, parse};
//! use opsbook_plan::{Request, plan};
//! use opsbook_text::files::Refused;
//! use opsbook_text::source::Source;
//! use opsbook_vocabulary::Vocabulary;
//!
//! # let text = "# Hello\n\n~~~yaml procedure\nid: hello\n~~~\n\nSay it.\n\n~~~sh step\necho \"$word\"\n~~~\n";
//! # let page = PageSource { path: "hello.md".into(), title: None, source: Source::new("hello.md", text) };
//! let (manual, _) = parse(Path::new("."), Settings::default(), vec![page], &|_| Err(Refused::Missing));
//! let nodes = Source::new("nodes.yaml", "opsbook: 1\nnodes:\n  web1: {word: hello}\n");
//! let (nodes, _) = opsbook_nodes::parse(&[nodes]);
//!
//! let selected = ["web1".to_owned()];
//! let request = Request { procedure: "hello", nodes: &selected, set: &[] };
//! let plan = plan(&manual, &nodes, Vocabulary::builtin(), &request).unwrap();
//! let script = plan.nodes[0].steps[0].script().unwrap();
//! // The text is the page's; the value reaches it as a variable.
//! assert_eq!(script.text(), "echo \"$word\"\n");
//! assert_eq!(script.bindings()[0].name, "word");
//! ```

// The crates below this one, under the names that its files use.
use opsbook_event as event;
use opsbook_manual as manual;
use opsbook_nodes as nodes;
use opsbook_template as template;
use opsbook_text::{files, interpolation, source};
use opsbook_vocabulary as vocabulary;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

mod arguments;
pub mod batch;
mod cases;
mod exact;
mod lint;
mod part;
mod place;
mod procedure;
mod record;
mod roles;
mod script;
mod step;
mod transcript;
pub mod uses;

use indexmap::IndexMap;

use crate::event::Site;
use crate::interpolation::Interpolated;
use crate::manual::{Delivery, Eventually, Expect, On, SudoUser};
use crate::nodes::{Node, Text};
use crate::source::Span;
use crate::vocabulary::Assertion;

pub use cases::{case_name, cases, probe};
pub use lint::{joined, lint};
pub use part::Part;
pub use place::{Placed, alone};
pub use procedure::{Request, plan};
pub use roles::{Binding, Bound, Section, Stretch, Turn};
pub use step::EXPORTED;
pub use transcript::{Ran, ran, transcript};

/// The time limit of a step if neither it nor its procedure has one.
pub const STEP_LIMIT: Duration = Duration::from_mins(10);
/// The time limit of a check without one.
pub const CHECK_LIMIT: Duration = Duration::from_secs(30);
/// Names whose values are known only during a run.
pub const RUN_NAMES: [&str; 3] = ["bundle", "procedure", "run_id"];

/// Everything that a run will do, on every node, in order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The id of the procedure.
    pub procedure: String,
    /// The heading over its contract.
    pub title: String,
    /// The place of `id` in its contract.
    pub span: Span,
    /// The arguments, from `--set`.
    pub arguments: Vec<(String, String)>,
    /// Every part of the run that has its own bundle. Without roles: one for each node. With roles:
    /// one for each reached node of the main line, then those of each turn.
    pub nodes: Vec<NodePlan>,
    /// The nodes of each role and the order of the page; `None` without roles.
    pub binding: Option<Binding>,
}

impl Plan {
    /// SHA-256 over everything that the run does, hexadecimal; for a run on one node, the hash of
    /// that node's steps. A gateway names it in an order, so that nothing else runs instead.
    #[must_use]
    pub fn sha256(&self) -> String {
        if let ([only], None) = (self.nodes.as_slice(), &self.binding) {
            return only.sha256.clone();
        }
        let sites = self.nodes.iter();
        let text: String = sites
            .map(|node| format!("{} {}\n", node.site(), node.sha256))
            .collect();
        record::sha256(&text)
    }
}

/// The part of a plan on one node.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// The node, with parameter defaults and arguments applied.
    pub node: Arc<Node>,
    /// The node's role, if the procedure has roles.
    pub role: Option<String>,
    /// The turn: the name of the node whose turn it is, or `web1+2` in a second section for the
    /// same role. `None` in the main line.
    pub turn: Option<String>,
    /// Groups of checks that must hold before the run changes anything.
    pub needs: Vec<Need>,
    /// Checks before the first step, evaluated after the needs and before the run changes anything.
    /// With roles they are in the binding.
    pub before: Vec<Case>,
    /// The steps of this node. They keep the procedure's numbers, which may have gaps.
    pub steps: Vec<PlannedStep>,
    /// Every step of the procedure that captures a value, on any node.
    pub captures: Vec<Capture>,
    /// With roles, the first step on the operator's machine, in any part: files that it creates
    /// need not exist when the run begins.
    pub first_here: Option<usize>,
    /// SHA-256 over all steps, hexadecimal.
    pub sha256: String,
}

/// A step whose output becomes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The step's number.
    pub number: usize,
    /// Its id, or its number.
    pub label: String,
    /// The value's name.
    pub name: String,
}

/// A group of checks that must hold before the run changes anything.
#[derive(Clone, Debug)]
pub struct Need {
    /// The id of the group.
    pub group: String,
    /// Its checks, on this node.
    pub cases: Vec<Case>,
}

/// One step, with every decision that is possible before the run.
#[derive(Clone, Debug)]
pub struct PlannedStep {
    /// From 1.
    pub number: usize,
    /// `web.deploy/install`, or `web.deploy/3` where it has no id.
    pub name: String,
    /// The heading, list item or sentence that introduces it, without markup.
    pub title: String,
    /// The opening fence line.
    pub span: Span,
    /// Where it runs.
    pub on: On,
    /// The user that it runs as, if not the login user.
    pub sudo: Option<SudoUser>,
    /// The time after which it is killed.
    pub timeout: Duration,
    /// Ask the operator before it.
    pub confirm: bool,
    /// The name of the value that its standard output becomes.
    pub capture: Option<String>,
    /// Exit statuses that count as OK.
    pub exit: Vec<i32>,
    /// It restarts the node.
    pub reboot: bool,
    /// It runs again on every resume.
    pub setup: bool,
    /// What it does.
    pub work: PlannedWork,
    /// For a file that is written to its destination: the file.
    pub placed: Option<Placed>,
    /// What its standard output must be.
    pub expect: Option<Expect>,
    /// Each case names its node, which may be another one in a procedure with roles.
    pub checks: Vec<Case>,
    /// The number of nodes of its role that it runs on.
    pub spread: Spread,
    /// Variables whose values the steps up to this one may have set.
    pub saved: Vec<String>,
    /// Variables that this step's script may set.
    pub sets: BTreeSet<String>,
    /// The planned step as text, without values, which a resume compares.
    pub text: String,
    /// SHA-256 over `text`, hexadecimal.
    pub sha256: String,
}

/// The number of nodes that a step runs on.
#[derive(Clone, Debug)]
pub enum Spread {
    /// On one machine.
    One,
    /// On all nodes of a role, in parallel: `on=all:ROLE`.
    All {
        /// Checks that run once, after the step has ended on all nodes. All nodes' plans have the
        /// same.
        joint: Vec<Case>,
    },
}

/// What a planned step does.
#[derive(Clone, Debug)]
pub enum PlannedWork {
    /// Runs a script.
    Script(Script),
    /// Copies files; their names are already substituted.
    Deliver(Vec<Delivery>),
    /// Work for a person. Values are substituted when it is shown: some are known only then.
    Manual(Interpolated),
}

/// A script for a shell or another interpreter, and the values that it mentions.
#[derive(Clone, Debug)]
pub struct Script {
    /// `sh`, `bash`, `python3`, …
    pub(crate) interpreter: String,
    pub(crate) text: Arc<str>,
    /// In the order of the names; only names that the text mentions.
    pub(crate) bindings: Vec<Variable>,
    /// The commands of a transcript, each with its expected output and exit status.
    pub(crate) commands: Vec<PlannedCommand>,
    /// Variables that it needs and that only earlier scripts set.
    pub(crate) inherits: Vec<String>,
}

/// A variable that a script mentions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name in the script.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// The value of a variable in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Known before the run, or a secret that is looked up during the run.
    Text(Text),
    /// The output of an earlier step, known after that step has run.
    Captured,
    /// The text of [`PlannedStep::placed`], if it contains a secret or a value known only in the
    /// run.
    Rendered,
}

/// One command of a transcript.
#[derive(Clone, Debug)]
pub struct PlannedCommand {
    /// The line of prose before it in the transcript.
    pub title: Option<String>,
    /// The command without its prompt.
    pub text: Arc<str>,
    /// Its expected output.
    pub expect: Option<Expect>,
    /// Its expected exit status.
    pub exit: i32,
    /// Its place in the manual.
    pub span: Span,
}

/// One check on one node: the unit of a suite, and a check after a step.
#[derive(Clone, Debug)]
pub struct Case {
    /// `group::check`, or `procedure::check` for checks after steps.
    pub name: String,
    /// The node, with its values.
    pub node: Arc<Node>,
    /// The place in the manual of what must hold.
    pub span: Span,
    /// Where it is evaluated.
    pub on: On,
    /// The user that it runs as, if not the login user.
    pub sudo: Option<SudoUser>,
    /// The time after which it counts as not evaluated.
    pub timeout: Duration,
    /// It is evaluated again until it holds.
    pub eventually: Option<Eventually>,
    /// How it is evaluated.
    pub ask: Ask,
    /// Waived: why, and until which date.
    pub skip: Option<Skip>,
    /// It describes a state that not all nodes of its group have: a suite evaluates it only by its
    /// full name.
    pub state: bool,
}

/// Why a check is waived.
#[derive(Clone, Debug)]
pub struct Skip {
    /// The author's reason.
    pub reason: String,
    /// The last day of the waiver; `None` if unlimited.
    pub until: Option<jiff::civil::Date>,
}

/// How a check is evaluated.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A script block: its exit status decides, and its output if one is expected.
    Script {
        /// The script.
        script: Script,
        /// Exit statuses with which it holds.
        exit: Vec<i32>,
        /// The expected standard output.
        expect: Option<Expect>,
    },
    /// A typed assertion: a probe reports facts, matchers decide.
    Probe {
        /// The assertion, which knows its probe.
        assertion: Arc<Assertion>,
        /// The variables in the author's own commands in the assertion.
        bindings: Vec<Variable>,
    },
}

impl Case {
    /// SHA-256 over the check and its values, hexadecimal. While it stays the same, a recorded
    /// result is about the current manual.
    #[must_use]
    pub fn sum(&self) -> String {
        record::sha256(&record::case(self))
    }
}

impl Script {
    /// The program that runs it: `sh`, `bash`, `python3`.
    #[must_use]
    pub fn interpreter(&self) -> &str {
        &self.interpreter
    }

    /// The script byte for byte; of a transcript its commands.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same, shared.
    #[must_use]
    pub fn text_shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The variables that it mentions and that have a value here.
    #[must_use]
    pub fn bindings(&self) -> &[Variable] {
        &self.bindings
    }

    /// Variables without which it cannot run, and which only earlier scripts set.
    #[must_use]
    pub fn inherits(&self) -> &[String] {
        &self.inherits
    }

    /// Empty for a plain script.
    #[must_use]
    pub fn commands(&self) -> &[PlannedCommand] {
        &self.commands
    }
}

impl PlannedStep {
    /// Its id, or its number if it has none: the argument of `--start-at`.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// Its number, and its id if it has one.
    #[must_use]
    pub fn heading(&self) -> String {
        heading(self.number, self.label())
    }

    /// All its checks, also those that run once for all nodes.
    pub fn all_checks(&self) -> impl Iterator<Item = &Case> {
        let joint = match &self.spread {
            Spread::One => &[][..],
            Spread::All { joint } => joint,
        };
        self.checks.iter().chain(joint)
    }

    /// The plain values that its scripts and the scripts of its checks use.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        let checks = self.all_checks().map(|case| match &case.ask {
            Ask::Script { script, .. } => script.bindings(),
            Ask::Probe { bindings, .. } => bindings,
        });
        let own = self.script().map(Script::bindings);
        let bindings = own.into_iter().chain(checks).flatten();
        // The text of a placed file is stored like a file, not as a value.
        let bindings = bindings.filter(|binding| binding.name != place::TEXT);
        bindings.filter_map(|binding| match &binding.value {
            Value::Text(Text::Plain(text)) => Some((binding.name.as_str(), text.as_str())),
            Value::Text(Text::Secret(_)) | Value::Captured | Value::Rendered => None,
        })
    }

    /// The texts and files that it writes: into the bundle, or to their destination.
    #[must_use]
    pub fn files(&self) -> &[Delivery] {
        match (&self.work, &self.placed) {
            (PlannedWork::Deliver(files), _) => files,
            (_, Some(placed)) => std::slice::from_ref(&placed.file),
            _ => &[],
        }
    }

    /// Its script, if it has one.
    #[must_use]
    pub fn script(&self) -> Option<&Script> {
        match &self.work {
            PlannedWork::Script(script) => Some(script),
            PlannedWork::Deliver(_) | PlannedWork::Manual(_) => None,
        }
    }
}

/// A step's number, and its label if that is not the number.
#[must_use]
pub fn heading(number: usize, label: &str) -> String {
    let number = number.to_string();
    if number == label || label.is_empty() {
        return number;
    }
    format!("{number} {label}")
}

impl Plan {
    /// The names of its nodes, each once.
    #[must_use]
    pub fn machines(&self) -> Vec<&str> {
        let nodes = self.nodes.iter().map(|node| (node.node.name.as_str(), ()));
        nodes.collect::<IndexMap<_, _>>().into_keys().collect()
    }

    /// The steps of the procedure in order, each as in the plan of one of its nodes.
    #[must_use]
    pub fn steps(&self) -> Vec<&PlannedStep> {
        let steps = self.nodes.iter().flat_map(|node| &node.steps);
        let steps: BTreeMap<usize, &PlannedStep> = steps.map(|step| (step.number, step)).collect();
        steps.into_values().collect()
    }

    /// The nodes of each role; empty if the procedure has no roles.
    #[must_use]
    pub fn roles(&self) -> BTreeMap<String, Vec<String>> {
        let roles = self.binding.iter().flat_map(|binding| &binding.roles);
        roles
            .map(|bound| (bound.role.clone(), bound.nodes.clone()))
            .collect()
    }
}

impl NodePlan {
    /// The node and the turn of this part.
    #[must_use]
    pub fn site(&self) -> Site<'_> {
        Site {
            node: &self.node.name,
            turn: self.turn.as_deref(),
        }
    }

    /// A step by its number; `None` if this node does not have it.
    #[must_use]
    pub fn step(&self, number: usize) -> Option<&PlannedStep> {
        self.steps.iter().find(|step| step.number == number)
    }

    /// The name of a step for `--start-at`: its id, or its number.
    #[must_use]
    pub fn label(&self, number: usize) -> String {
        self.step(number)
            .map_or_else(|| number.to_string(), |step| step.label().to_owned())
    }

    /// The number of its last step; 0 if there are no steps.
    #[must_use]
    pub fn last_number(&self) -> usize {
        self.steps.last().map_or(0, |step| step.number)
    }

    /// Whether the step repeats whenever a run is resumed.
    #[must_use]
    pub fn is_set_up(&self, number: usize) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.number == number && step.setup)
    }

    /// The users for whom this plan needs `sudo`, each once.
    #[must_use]
    pub fn sudo_users(&self) -> Vec<&str> {
        let steps = self
            .steps
            .iter()
            .filter(|step| step.on == On::Node)
            .map(|step| &step.sudo);
        let checks = self.steps.iter().flat_map(|step| &step.checks);
        let needs = self.needs.iter().flat_map(|need| &need.cases);
        let checks = checks
            .chain(needs)
            .chain(&self.before)
            .filter(|case| case.on == On::Node && case.node.name == self.node.name)
            .map(|case| &case.sudo);
        let users: IndexMap<&str, ()> = steps
            .chain(checks)
            .flatten()
            .map(|user| (user.0.as_str(), ()))
            .collect();
        users.into_keys().collect()
    }
}
