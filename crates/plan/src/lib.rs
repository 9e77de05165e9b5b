//! Manual x nodes x arguments -> plan and cases. Pure; nothing is looked up later.
//!
//! The only maker of a [`Script`], which is the only thing that a session runs.
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

// The crates below this one, by the names that its files use.
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

/// Time limit of a step where neither it nor its procedure says one.
pub const STEP_LIMIT: Duration = Duration::from_mins(10);
/// Time limit of a check that says none.
pub const CHECK_LIMIT: Duration = Duration::from_secs(30);
/// Names whose values are known only when the run is under way.
pub const RUN_NAMES: [&str; 3] = ["bundle", "procedure", "run_id"];

/// Everything that a run will do, on every node, in order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The id of the procedure.
    pub procedure: String,
    /// The heading over its contract.
    pub title: String,
    /// The `id` in its contract.
    pub span: Span,
    /// What was given with `--set`.
    pub arguments: Vec<(String, String)>,
    /// Every part of the run that has a bundle of its own. Without roles, one for each node.
    /// With roles, one for each machine of the main line that is reached, then those of each
    /// turn.
    pub nodes: Vec<NodePlan>,
    /// Who plays which role, and the order of the page; none without roles.
    pub binding: Option<Binding>,
}

impl Plan {
    /// SHA-256 over all that is done, hexadecimal: of a run on one node, the sum of that node's
    /// steps. Who allots a run names it, so that nothing else runs in its place.
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

/// What is done on one machine.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// With the parameters' defaults and the arguments laid over it.
    pub node: Arc<Node>,
    /// The role that it plays, where the procedure has roles.
    pub role: Option<String>,
    /// The turn: the name of the node whose turn it is, in a second section for the same role
    /// with a number, `web1+2`. None in the main line.
    pub turn: Option<String>,
    /// Groups of checks that must hold before anything is touched.
    pub needs: Vec<Need>,
    /// Checks before the first step, asked after the needs, before anything is touched. With
    /// roles they stand in the binding.
    pub before: Vec<Case>,
    /// Those of this machine, with the procedure's numbers: there may be holes.
    pub steps: Vec<PlannedStep>,
    /// Every step of the procedure that captures a value, on whichever machine it runs.
    pub captures: Vec<Capture>,
    /// With roles, the first step that runs on the operator's machine, whichever part it is in:
    /// what it makes is looked for when it is due.
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

/// A group of checks that must hold before anything is touched.
#[derive(Clone, Debug)]
pub struct Need {
    /// The id of the group.
    pub group: String,
    /// Its checks, on this node.
    pub cases: Vec<Case>,
}

/// One step, with everything decided that can be decided before the run.
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
    /// Where it is done.
    pub on: On,
    /// The user that it is done as, where not the login user.
    pub sudo: Option<SudoUser>,
    /// After this time it is ended.
    pub timeout: Duration,
    /// The operator is asked before it.
    pub confirm: bool,
    /// The name that its standard output becomes the value of.
    pub capture: Option<String>,
    /// Exit statuses that are OK.
    pub exit: Vec<i32>,
    /// It restarts the node.
    pub reboot: bool,
    /// It is run again on every resume.
    pub setup: bool,
    /// What is done.
    pub work: PlannedWork,
    /// Of a text that goes to its place: what its script is about.
    pub placed: Option<Placed>,
    /// What its standard output must be.
    pub expect: Option<Expect>,
    /// Each case knows the machine that is asked: with roles it may be another one.
    pub checks: Vec<Case>,
    /// On how many machines of its role it is done.
    pub spread: Spread,
    /// Variables whose values the steps up to this one may have set.
    pub saved: Vec<String>,
    /// Variables that this step's script may set.
    pub sets: BTreeSet<String>,
    /// The step as planned, without values: what a resume compares.
    pub text: String,
    /// SHA-256 over `text`, hexadecimal.
    pub sha256: String,
}

/// On how many machines a step runs.
#[derive(Clone, Debug)]
pub enum Spread {
    /// On one machine.
    One,
    /// On all of a role, side by side: `on=all:ROLE`.
    All {
        /// Checks that are asked once, when it has ended on all machines. The same in the plan of
        /// each of them.
        joint: Vec<Case>,
    },
}

/// What a planned step does.
#[derive(Clone, Debug)]
pub enum PlannedWork {
    /// Runs a script.
    Script(Script),
    /// Names in it are filled in.
    Deliver(Vec<Delivery>),
    /// Values are put in when it is shown: some are known only during the run.
    Manual(Interpolated),
}

/// What a shell or another interpreter runs, and the values that it mentions.
#[derive(Clone, Debug)]
pub struct Script {
    /// `sh`, `bash`, `python3`, …
    pub(crate) interpreter: String,
    pub(crate) text: Arc<str>,
    /// In the order of the names; only those that the text mentions.
    pub(crate) bindings: Vec<Variable>,
    /// The commands of a transcript, each with what it must print and its exit status.
    pub(crate) commands: Vec<PlannedCommand>,
    /// Variables without which it cannot run, and which only earlier scripts set.
    pub(crate) inherits: Vec<String>,
}

/// A variable that a script mentions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name in the script.
    pub name: String,
    /// What it will be.
    pub value: Value,
}

/// What a variable of a script will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// It is known before the run, or is a secret that is looked up in it.
    Text(Text),
    /// The output of an earlier step, known only when that step has run.
    Captured,
    /// The text of [`PlannedStep::placed`], which holds a secret or what only the run knows.
    Rendered,
}

/// One command of a transcript.
#[derive(Clone, Debug)]
pub struct PlannedCommand {
    /// The line of prose before it in the transcript.
    pub title: Option<String>,
    /// The command without its prompt.
    pub text: Arc<str>,
    /// What it has to print.
    pub expect: Option<Expect>,
    /// The exit status that it has to have.
    pub exit: i32,
    /// Where it stands.
    pub span: Span,
}

/// One check on one node: what the suite runs, and what follows a step.
#[derive(Clone, Debug)]
pub struct Case {
    /// `group::check`, or `procedure::check` for checks after steps.
    pub name: String,
    /// The node that is asked, with its values.
    pub node: Arc<Node>,
    /// The place in the manual that says what must hold.
    pub span: Span,
    /// Where it is asked.
    pub on: On,
    /// The user that it is asked as, where not the login user.
    pub sudo: Option<SudoUser>,
    /// After this time it could not look.
    pub timeout: Duration,
    /// It is asked again while it does not hold.
    pub eventually: Option<Eventually>,
    /// How it is asked.
    pub ask: Ask,
    /// Waived: why, and until when (`YYYY-MM-DD`).
    pub skip: Option<Skip>,
    /// What it asks is a state, in which not all nodes of its group are: a suite asks it by its
    /// full name only.
    pub state: bool,
}

/// Why a check is not asked.
#[derive(Clone, Debug)]
pub struct Skip {
    /// The author's reason.
    pub reason: String,
    /// The last day of that; none where it has no end.
    pub until: Option<jiff::civil::Date>,
}

/// How a check is asked.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A script block: its exit status decides, and its output where one is expected.
    Script {
        /// What is run.
        script: Script,
        /// Exit statuses that mean that it holds.
        exit: Vec<i32>,
        /// What its standard output must be.
        expect: Option<Expect>,
    },
    /// A typed assertion: a probe reports facts, matchers decide.
    /// The bindings are those that the author's own commands in it mention.
    Probe {
        /// The typed assertion, which knows its probe.
        assertion: Arc<Assertion>,
        /// The variables that the author's own commands in it mention.
        bindings: Vec<Variable>,
    },
}

impl Case {
    /// SHA-256 over what is asked and the values that it is asked with, hexadecimal: while it
    /// stays the same, what was recorded is about what stands in the manual.
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
    /// Its id, or its number: what `--start-at` takes.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// Its number, and its id where it has one.
    #[must_use]
    pub fn heading(&self) -> String {
        heading(self.number, self.label())
    }

    /// Its checks, also those that are asked once for all machines.
    pub fn all_checks(&self) -> impl Iterator<Item = &Case> {
        let joint = match &self.spread {
            Spread::One => &[][..],
            Spread::All { joint } => joint,
        };
        self.checks.iter().chain(joint)
    }

    /// The plain values that its scripts and those of its checks are given.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        let checks = self.all_checks().map(|case| match &case.ask {
            Ask::Script { script, .. } => script.bindings(),
            Ask::Probe { bindings, .. } => bindings,
        });
        let own = self.script().map(Script::bindings);
        let bindings = own.into_iter().chain(checks).flatten();
        // A text that goes to its place is kept as a file is.
        let bindings = bindings.filter(|binding| binding.name != place::TEXT);
        bindings.filter_map(|binding| match &binding.value {
            Value::Text(Text::Plain(text)) => Some((binding.name.as_str(), text.as_str())),
            Value::Text(Text::Secret(_)) | Value::Captured | Value::Rendered => None,
        })
    }

    /// The texts and files that it gives to the machine: into the bundle, or to their place.
    #[must_use]
    pub fn files(&self) -> &[Delivery] {
        match (&self.work, &self.placed) {
            (PlannedWork::Deliver(files), _) => files,
            (_, Some(placed)) => std::slice::from_ref(&placed.file),
            _ => &[],
        }
    }

    /// Its script, where it has one.
    #[must_use]
    pub fn script(&self) -> Option<&Script> {
        match &self.work {
            PlannedWork::Script(script) => Some(script),
            PlannedWork::Deliver(_) | PlannedWork::Manual(_) => None,
        }
    }
}

/// A step's number and its label, which is the number again where it has no id.
#[must_use]
pub fn heading(number: usize, label: &str) -> String {
    let number = number.to_string();
    if number == label || label.is_empty() {
        return number;
    }
    format!("{number} {label}")
}

impl Plan {
    /// The names of its machines, each once.
    #[must_use]
    pub fn machines(&self) -> Vec<&str> {
        let nodes = self.nodes.iter().map(|node| (node.node.name.as_str(), ()));
        nodes.collect::<IndexMap<_, _>>().into_keys().collect()
    }

    /// The steps of the procedure in their order, each as one of its machines has it.
    #[must_use]
    pub fn steps(&self) -> Vec<&PlannedStep> {
        let steps = self.nodes.iter().flat_map(|node| &node.steps);
        let steps: BTreeMap<usize, &PlannedStep> = steps.map(|step| (step.number, step)).collect();
        steps.into_values().collect()
    }

    /// The nodes that play each role; empty where the procedure has none.
    #[must_use]
    pub fn roles(&self) -> BTreeMap<String, Vec<String>> {
        let roles = self.binding.iter().flat_map(|binding| &binding.roles);
        roles
            .map(|bound| (bound.role.clone(), bound.nodes.clone()))
            .collect()
    }
}

impl NodePlan {
    /// The machine and the turn that this is the plan of.
    #[must_use]
    pub fn site(&self) -> Site<'_> {
        Site {
            node: &self.node.name,
            turn: self.turn.as_deref(),
        }
    }

    /// A step by its number, where this machine has it.
    #[must_use]
    pub fn step(&self, number: usize) -> Option<&PlannedStep> {
        self.steps.iter().find(|step| step.number == number)
    }

    /// What a step is called for `--start-at`: its id, or its number.
    #[must_use]
    pub fn label(&self, number: usize) -> String {
        self.step(number)
            .map_or_else(|| number.to_string(), |step| step.label().to_owned())
    }

    /// The number of its last step; 0 where it has none.
    #[must_use]
    pub fn last_number(&self) -> usize {
        self.steps.last().map_or(0, |step| step.number)
    }

    /// Is it repeated whenever a run goes on?
    #[must_use]
    pub fn is_set_up(&self, number: usize) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.number == number && step.setup)
    }

    /// The users that this plan needs `sudo` for, each once.
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
