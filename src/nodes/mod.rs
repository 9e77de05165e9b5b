//! YAML -> nodes with origins: layers, substitution, selectors. Pure but for [`load`].

use std::path::PathBuf;

use indexmap::IndexMap;

use crate::source::Span;
use crate::yaml::Yaml;

/// One node with every value evaluated and explained.
#[derive(Clone, Debug)]
pub struct Node {
    pub name: String,
    /// In the order of evaluation, parents (`in`) before children.
    pub groups: Vec<String>,
    /// Top-level values in the order in which they first appear.
    pub values: IndexMap<String, Evaluated>,
    pub transport: Transport,
    /// `rehearse: true`: procedures may be run here as tests.
    pub rehearse: bool,
    /// `bundle_dir`, absolute or relative to the login user's home.
    pub bundle_dir: Option<String>,
}

/// A value, the layer that it came from, and what it overrode.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// After substitution.
    pub value: Yaml,
    pub origin: Origin,
    /// What earlier layers said, the nearest first.
    pub overrode: Vec<Origin>,
    /// The text as written, where substitution changed it.
    pub written: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    pub layer: Layer,
    /// Absent for `--set` and for built-in values.
    pub span: Option<Span>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    BuiltIn,
    Defaults,
    Group(String),
    Node,
    /// A parameter's default in a contract.
    Param,
    Set,
}

/// How a node is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The user's own OpenSSH client.
    Ssh(Ssh),
    /// A shell on this machine.
    Local,
    /// Any command that gives a POSIX `sh` on its standard input and output.
    Exec(Vec<String>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssh {
    /// `address`, or the node's name.
    pub host: String,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub jump: Option<String>,
    pub identity: Option<PathBuf>,
    /// Extra `-o` lines.
    pub options: Vec<String>,
}

/// A text that a script may be given: plain, or a secret still to be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    Plain(String),
    Secret(SecretRef),
}

/// Where a secret comes from. Resolved only when a run needs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    Env(String),
    File(PathBuf),
    Command(Vec<String>),
    Prompt(String),
}
