//! Manual x nodes x arguments -> plan and cases. Pure; nothing is looked up later.
//!
//! The only maker of a [`Script`], which is the only thing that a session runs.

use std::sync::Arc;
use std::time::Duration;

use crate::manual::{Eventually, Expect, On, SudoUser};
use crate::nodes::{Node, Text};
use crate::source::Span;
use crate::vocabulary::Assertion;

/// What a shell or another interpreter runs, and the values that it mentions.
#[derive(Clone, Debug)]
pub struct Script {
    /// `sh`, `bash`, `python3`, …
    pub(crate) interpreter: String,
    pub(crate) text: Arc<str>,
    /// In the order of the names; only those that the text mentions.
    pub(crate) bindings: Vec<Binding>,
    /// The commands of a transcript, each with what it must print and its exit status.
    pub(crate) commands: Vec<PlannedCommand>,
}

/// A variable that a script mentions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub name: String,
    pub value: Bound,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    Text(Text),
    /// The output of an earlier step, known only when that step has run.
    Captured,
}

/// One command of a transcript.
#[derive(Clone, Debug)]
pub struct PlannedCommand {
    pub title: Option<String>,
    pub text: Arc<str>,
    pub expect: Option<Expect>,
    pub exit: i32,
    pub span: Span,
}

/// One check on one node: what the suite runs, and what follows a step.
#[derive(Clone, Debug)]
pub struct Case {
    /// `group::check`, or `procedure::check` for checks after steps.
    pub name: String,
    pub node: Arc<Node>,
    pub span: Span,
    pub on: On,
    pub sudo: Option<SudoUser>,
    pub timeout: Duration,
    pub eventually: Option<Eventually>,
    pub ask: Ask,
    /// Waived: why, and until when (`YYYY-MM-DD`).
    pub skip: Option<Skip>,
}

#[derive(Clone, Debug)]
pub struct Skip {
    pub reason: String,
    pub until: Option<jiff::civil::Date>,
}

#[derive(Clone, Debug)]
pub enum Ask {
    /// A script block: its exit status decides, and its output where one is expected.
    Script {
        script: Script,
        exit: Vec<i32>,
        expect: Option<Expect>,
    },
    /// A typed assertion: a probe reports facts, matchers decide.
    Probe {
        script: Script,
        assertion: Arc<Assertion>,
    },
}
