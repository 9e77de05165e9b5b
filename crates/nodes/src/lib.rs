//! Turns YAML into nodes whose values know their origin: layers, substitution, selectors, secrets
//! by reference.
//!
//! Pure except for [`load()`] and [`resolve()`]. Knows nothing of procedures, sessions or the
//! terminal.
//!
//! ```
//! use opsbook_nodes::{Layer, Text, parse};
//! use opsbook_text::source::Source;
//!
//! let text = "opsbook: 1\ndefaults: {port: 80}\nnodes:\n  web1: {url: \"http://web1:${port}/\"}\n";
//! let (nodes, problems) = parse(&[Source::new("nodes.yaml", text)]);
//! assert!(problems.is_empty());
//!
//! // Each value is known with the layer that it comes from.
//! let web1 = nodes.evaluate("web1", &[("port".into(), "8080".into())]).unwrap();
//! assert_eq!(web1.values["port"].origin.layer, Layer::Set);
//! assert_eq!(web1.values["port"].overrode[0].layer, Layer::Defaults);
//! assert_eq!(web1.text("url").ok(), Some(Text::Plain("http://web1:8080/".into())));
//! ```

// The crates below this one, under the names that its files use.
use opsbook_manual as manual;
use opsbook_template as template;
use opsbook_text::{files, interpolation, source, wildcard, yaml};

mod among;
pub mod container;
mod evaluate;
mod expand;
pub mod explain;
#[doc(hidden)]
pub mod fuzz;
mod layers;
mod load;
mod parse;
mod rehearsals;
mod reserved;
mod resolve;
pub mod secret;
mod select;
pub mod show;

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use crate::source::{Problem, Span};
use crate::yaml::{Map, Yaml};

pub use among::{Players, Seen};
pub use container::Container;
pub use evaluate::Params;
pub use load::load;
pub use parse::parse;
pub use rehearsals::Rehearsal;
pub use reserved::{is_built_in, is_reserved};
pub use resolve::{Resolved, SecretError, resolve};
pub use secret::SecretText;

/// The most names that are compared with all others for hints: no honest file has more errors, and
/// comparing would take minutes.
const MAX_HINTS: usize = 100;

/// All definitions of `nodes.yaml` or `nodes/*.yaml`, not yet evaluated.
#[derive(Debug, Default)]
pub struct Nodes {
    /// The values of packages: a name for each package, and its values.
    packages: Vec<(String, Map)>,
    defaults: Definition,
    groups: IndexMap<String, Definition>,
    members: IndexMap<String, Definition>,
    rehearsals: IndexMap<String, Vec<Rehearsal>>,
}

/// The definition of `defaults`, of one group or of one node.
#[derive(Debug, Default)]
struct Definition {
    /// Its name at its first definition; `None` only for `defaults`.
    span: Option<Span>,
    /// `groups` of a node, `in` of a group.
    groups: Vec<(String, Span)>,
    /// One for each file that defines it, in the order of the files.
    parts: Vec<Map>,
    /// Its errors: no node with this layer can be used.
    wrong: Vec<Problem>,
}

/// One node with all values evaluated and explained.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its name in `nodes.yaml`.
    pub name: String,
    /// In the order of evaluation, parents (`in`) before children.
    pub groups: Vec<String>,
    /// Top-level values in the order of their first appearance.
    pub values: IndexMap<String, Evaluated>,
    /// The same with nested maps flattened, under the names that scripts use: `outer_inner`. Lists
    /// stay whole.
    pub leaves: IndexMap<String, Evaluated>,
    /// How to open its shell.
    pub transport: Transport,
    /// `rehearse: true`: procedures may be run here as tests.
    pub rehearse: bool,
    /// `bundle_dir`, absolute or relative to the login user's home.
    pub bundle_dir: Option<String>,
    /// What to ask before a procedure changes this node.
    pub confirm: Option<Confirm>,
}

/// `confirm`: when the operator is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// Nobody is asked.
    Never,
    /// Once, before the first step.
    Run,
    /// Before each step.
    Step,
}

/// A value, its layer, and the values that it overrides.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// After substitution.
    pub value: Yaml,
    /// The layer that defines the value.
    pub origin: Origin,
    /// The values of lower layers, the nearest first.
    pub overrode: Vec<Origin>,
    /// The text as written, if substitution changed it.
    pub written: Option<String>,
    /// Why it must not be used: it refers to an undefined name. This is an error only when
    /// something uses the value.
    pub undefined: Option<Box<Problem>>,
}

/// Where a value was defined.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The layer that defines it.
    pub layer: Layer,
    /// `None` for `--set` and for built-in values.
    pub span: Option<Span>,
}

/// The layers of a node's values, the lowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Names that every node has, such as `node`.
    BuiltIn,
    /// A package, by name and version.
    Package(String),
    /// `defaults` of `nodes.yaml`.
    Defaults,
    /// The group of this name.
    Group(String),
    /// The node's own entry.
    Node,
    /// A parameter's default in a contract.
    Param,
    /// Another node of the run: its name by role, or its value.
    Role(String),
    /// All nodes of a role with several nodes: their names, or their values.
    Roles(String),
    /// `--set` on the command line.
    Set,
}

/// How a node is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The user's own OpenSSH client.
    Ssh(Ssh),
    /// A shell on this machine.
    Local,
    /// Any command that connects its standard input and output to a POSIX `sh`.
    Exec(Vec<String>),
    /// A shell in a container, a pod or a machine, opened by a tool that opsbook knows.
    Container(Container),
}

/// How a node is reached by ssh. The user's own configuration of OpenSSH provides everything that is
/// not set here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssh {
    /// `address`, or the node's name.
    pub host: String,
    /// The login name.
    pub user: Option<String>,
    /// The port of the node's `sshd`.
    pub port: Option<u16>,
    /// The jump host: `-J`.
    pub jump: Option<String>,
    /// The file of the private key: `-i`.
    pub identity: Option<PathBuf>,
    /// Extra `-o` lines.
    pub options: Vec<String>,
    /// How long a connection is kept for later commands.
    pub keep: Option<Duration>,
    /// Whether opsbook itself speaks ssh (`transport: russh`), instead of the user's client.
    pub in_process: bool,
}

impl Ssh {
    /// Its value of `transport`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if self.in_process { "russh" } else { "ssh" }
    }
}

/// A text for a script: plain, or a secret that is not resolved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// A text that everybody may see.
    Plain(String),
    /// A reference to a secret text.
    Secret(SecretRef),
}

/// The source of a secret. Resolved only when a run needs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// An environment variable of the operator.
    Env(String),
    /// A file, relative to the manual's folder.
    File(PathBuf),
    /// The output of a command: a program and its arguments.
    Command(Vec<String>),
    /// The operator types it, after this prompt.
    Prompt(String),
}

impl Nodes {
    /// Adds a package's values as a layer below all files.
    pub fn lay_under(&mut self, package: String, values: Map) {
        self.packages.push((package, values));
    }

    /// How a procedure with roles is run as a test; empty if undefined.
    #[must_use]
    pub fn rehearsals(&self, procedure: &str) -> &[Rehearsal] {
        self.rehearsals.get(procedure).map_or(&[], Vec::as_slice)
    }

    /// The procedures with rehearsals, and the place of the first of each.
    pub fn rehearsed(&self) -> impl Iterator<Item = (&str, Option<&Span>)> {
        let all = self.rehearsals.iter();
        all.map(|(procedure, all)| {
            let first = all.first().map(|rehearsal| &rehearsal.span);
            (procedure.as_str(), first)
        })
    }

    /// All names in the order of their definition.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// The names of the groups, in the order of their definition.
    pub fn group_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// Whether a node of this name exists.
    #[must_use]
    pub fn contains(&self, node: &str) -> bool {
        self.members.contains_key(node)
    }

    /// Where a group is first defined.
    #[must_use]
    pub fn group_place(&self, group: &str) -> Option<&Span> {
        self.groups.get(group)?.span.as_ref()
    }

    /// Where a node is first defined.
    #[must_use]
    pub fn place(&self, node: &str) -> Option<&Span> {
        self.members.get(node)?.span.as_ref()
    }
}

impl Default for Transport {
    fn default() -> Transport {
        Transport::Ssh(Ssh::default())
    }
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Layer::BuiltIn => f.write_str("built in"),
            Layer::Package(name) => f.write_str(name),
            Layer::Defaults => f.write_str("defaults"),
            Layer::Group(name) => write!(f, "@{name}"),
            Layer::Node => f.write_str("node"),
            Layer::Param => f.write_str("parameter"),
            Layer::Role(role) | Layer::Roles(role) => write!(f, "role {role}"),
            Layer::Set => f.write_str("--set"),
        }
    }
}

#[cfg(test)]
mod tests;
