//! Makes a [`Script`] from a block of the manual and the values that it mentions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::interpolation::{Interpolated, Piece, is_variable_name, pieces, wrong_references};
use crate::manual::{self, On, Variables, is_shell, variables};
use crate::nodes::{Node, Text};
use crate::source::{Passage, Problem, Span};
use crate::{PlannedCommand, RUN_NAMES, Script, Value, Variable};

/// The most bytes of a name in braces, with them.
const LONGEST_IN_BRACES: usize = 128;

/// What is known at a point of a procedure.
pub(super) struct Scope<'a> {
    pub node: &'a Node,
    /// Captured by earlier steps.
    pub captured: BTreeSet<String>,
    /// Set by earlier steps' scripts.
    pub assigned: BTreeSet<String>,
    /// The same, with names that are not opsbook's: `NODE_NAME`.
    pub kept: BTreeSet<String>,
    /// An earlier step may have set unknown names: it sourced a file.
    pub opaque: bool,
    /// The side where names are set: the operator's machine does not know what a node's shell sets.
    on: On,
    /// The names set on the other side.
    other: (BTreeSet<String>, BTreeSet<String>, bool),
    /// In a run over several nodes: the names set on the others.
    pub elsewhere: Option<Elsewhere>,
}

/// Names that scripts set on other nodes, and that do not exist here.
pub(super) struct Elsewhere {
    /// This node, as a message names it.
    pub here: String,
    /// Each name, and where it was set.
    pub set: BTreeMap<String, String>,
}

/// A value by its name, as far as a plan knows it.
pub(super) enum Known {
    Bound(Value),
    /// The scripts set it themselves.
    Assigned,
    Undefined,
    Wrong(Box<Problem>),
}

impl<'a> Scope<'a> {
    pub fn new(node: &'a Node) -> Scope<'a> {
        Scope {
            node,
            captured: BTreeSet::new(),
            assigned: BTreeSet::new(),
            kept: BTreeSet::new(),
            opaque: false,
            on: On::Node,
            other: Default::default(),
            elsewhere: None,
        }
    }

    /// Switches to the side where the next script runs.
    pub fn turn(&mut self, on: On) {
        if self.on != on {
            std::mem::swap(&mut self.assigned, &mut self.other.0);
            std::mem::swap(&mut self.kept, &mut self.other.1);
            std::mem::swap(&mut self.opaque, &mut self.other.2);
            self.on = on;
        }
    }

    pub fn look_up(&self, name: &str) -> Known {
        let captured = self.captured.contains(name);
        if let (true, Some(role)) = (captured, self.node.role_in(name))
            && self.node.leaves.contains_key(name)
        {
            let message = format!("`{name}` is both captured and a value of `{role}`");
            let problem = Problem::bare("role-hides-value", message);
            return Known::Wrong(Box::new(problem.hint("capture it under another name")));
        }
        if captured || RUN_NAMES.contains(&name) {
            return Known::Bound(Value::Captured);
        }
        match self.node.text(name) {
            Ok(text) => Known::Bound(Value::Text(text)),
            Err(_) if self.assigned.contains(name) => Known::Assigned,
            Err(Some(problem)) => Known::Wrong(problem),
            Err(None) => Known::Undefined,
        }
    }

    /// The script of a block, with the values that it mentions. Names that it sets itself may be
    /// unknown.
    pub fn script(
        &self,
        script: &manual::Script,
        problems: &mut Vec<Problem>,
    ) -> (Script, Variables) {
        let used = variables(&script.text.text, &script.interpreter);
        let (mut bindings, mut inherits) = (Vec::new(), Vec::new());
        for (name, at) in &used.mentioned {
            let place = || script.text.span(at.clone());
            match self.look_up(name) {
                Known::Bound(Value::Text(Text::Secret(_))) if !is_shell(&script.interpreter) => {
                    let message = format!(
                        "the secret `{name}` cannot be given to `{}`",
                        script.interpreter
                    );
                    problems.push(
                        Problem::error("secret-outside-shell", place(), message).hint(
                            "other languages get values through the environment, which \
                             others can read; use a `sh` step",
                        ),
                    );
                }
                Known::Bound(value) => bindings.push(Variable {
                    name: name.clone(),
                    value,
                }),
                Known::Assigned => {
                    let elsewhere = used.assigned.contains(name) || script.defined.contains(name);
                    if !elsewhere && !self.may_be_absent(name, &used) {
                        inherits.push(name.clone());
                    }
                }
                Known::Undefined if used.assigned.contains(name) => {}
                Known::Undefined if script.defined.contains(name) => {}
                Known::Undefined if self.may_be_absent(name, &used) => {
                    problems.extend(self.misspelt(name, &place()));
                }
                Known::Undefined => problems.push(self.undefined(name, &place())),
                Known::Wrong(problem) => problems.push(used_at(*problem, place())),
            }
        }
        if is_shell(&script.interpreter) {
            self.in_braces(&script.text, problems);
        }
        let commands = script.commands.iter().map(|command| PlannedCommand {
            title: command.title.clone(),
            text: Arc::from(&*command.text.text),
            expect: command.expect.clone(),
            exit: command.exit,
            span: command.text.span(0..command.text.text.len()),
        });
        let planned = Script {
            interpreter: script.interpreter.clone(),
            text: Arc::from(&*script.text.text),
            bindings,
            commands: commands.collect(),
            inherits,
        };
        (planned, used)
    }

    /// Warns of `{{ name }}` where `name` is a value: only templates read it.
    fn in_braces(&self, text: &Passage, problems: &mut Vec<Problem>) {
        for (at, _) in text.text.match_indices("{{") {
            // A page may have braces only: none is looked for far from the other.
            let end = text.text.floor_char_boundary(at + LONGEST_IN_BRACES);
            let Some((within, _)) = text.text[at + 2..end].split_once("}}") else {
                continue;
            };
            let name = within.trim();
            let is_value = is_variable_name(name) && matches!(self.look_up(name), Known::Bound(_));
            if is_value && !text.text[..at].ends_with('$') {
                let span = text.span(at..at + within.len() + 4);
                let message = format!("a script does not replace `{{{{{within}}}}}`");
                let problem = Problem::warning("undeclared-placeholder", span, message);
                problems.push(problem.hint(format!(
                    "write `${name}`; only templates of files have braces"
                )));
            }
        }
    }

    /// The values that a command in a contract mentions.
    pub fn bindings(
        &self,
        command: &str,
        span: &Span,
        bindings: &mut Vec<Variable>,
        problems: &mut Vec<Problem>,
    ) {
        let mut used = variables(command, "sh");
        for name in std::mem::take(&mut used.mentioned).into_keys() {
            match self.look_up(&name) {
                Known::Bound(value) => bindings.push(Variable { name, value }),
                Known::Assigned => {}
                Known::Undefined if used.assigned.contains(&name) => {}
                Known::Undefined if self.may_be_absent(&name, &used) => {
                    problems.extend(self.misspelt(&name, &span.reference(&name)));
                }
                Known::Undefined => {
                    problems.push(self.undefined(&name, &span.reference(&name)));
                }
                Known::Wrong(problem) => problems.push(used_at(*problem, span.clone())),
            }
        }
    }

    /// Checks that every `${name}` of a text is known; it is substituted later.
    pub fn names_of(&self, text: &Passage, problems: &mut Vec<Problem>) {
        for piece in pieces(&text.text) {
            let Piece::Name(name, at) = piece else {
                continue;
            };
            match self.look_up(name) {
                Known::Bound(_) | Known::Assigned => {}
                Known::Undefined => problems.push(self.undefined(name, &text.span(at))),
                Known::Wrong(problem) => problems.push(used_at(*problem, text.span(at))),
            }
        }
    }

    /// Checks that a text for people contains no secret.
    pub fn no_secrets(&self, text: &Passage, problems: &mut Vec<Problem>) {
        for piece in pieces(&text.text) {
            if let Piece::Name(name, at) = piece
                && matches!(
                    self.look_up(name),
                    Known::Bound(Value::Text(Text::Secret(_)))
                )
            {
                let message = format!("`{name}` is a secret, which opsbook never shows");
                let problem = Problem::error("secret-shown", text.span(at), message);
                problems.push(problem.hint("write where the person can find it instead"));
            }
        }
    }

    /// Substitutes values that must be known before the run, in a file name.
    pub fn filled(&self, text: &str, span: &Span, problems: &mut Vec<Problem>) -> String {
        no_references(text, span, problems);
        let filled = Interpolated::read(text).fill(|name| match self.look_up(name) {
            Known::Bound(_) if self.node.list_of(name).is_some() => {
                let role = self.node.list_of(name).unwrap_or_default();
                let message = format!("`{name}` is a list, because `{role}` may be several nodes");
                let problem = Problem::error("role-of-several", span.reference(name), message);
                problems.push(problem.hint("a file has one name: deliver it in a section"));
                Some(String::new())
            }
            Known::Bound(Value::Text(crate::nodes::Text::Plain(value))) => Some(value),
            Known::Bound(_) | Known::Assigned => {
                let message =
                    format!("`{name}` is not known before the run, and cannot be used here");
                problems.push(Problem::error("value-not-known", span.clone(), message));
                Some(String::new())
            }
            Known::Undefined => {
                problems.push(self.undefined(name, &span.reference(name)));
                Some(String::new())
            }
            Known::Wrong(problem) => {
                problems.push(used_at(*problem, span.clone()));
                Some(String::new())
            }
        });
        filled.to_string()
    }

    /// Whether the script can do without the name, or may set it in a way that opsbook cannot see.
    fn may_be_absent(&self, name: &str, used: &Variables) -> bool {
        self.opaque || used.opaque || used.lenient || used.guarded.contains(name)
    }

    /// An optional name is an error only if it is similar to a known one.
    fn misspelt(&self, name: &str, span: &Span) -> Option<Problem> {
        let near = crate::source::misspelt(name, self.known())?;
        let message = format!("`{name}` is not defined, but `{near}` is");
        let problem = Problem::warning("undefined-variable", span.clone(), message);
        let hint = format!("did you mean `{near}`? if not, write `defined={name}` on the fence");
        Some(problem.for_node(&self.node.name).hint(hint))
    }

    fn known(&self) -> impl Iterator<Item = &str> {
        let leaves = self.node.leaves.keys().map(String::as_str);
        leaves
            .chain(RUN_NAMES)
            .chain(self.captured.iter().map(String::as_str))
    }

    pub fn undefined(&self, name: &str, span: &Span) -> Problem {
        if let Some(problem) = self.set_elsewhere(name, span) {
            return problem;
        }
        let message = format!("`{name}` is not defined");
        let problem = Problem::error("undefined-variable", span.clone(), message);
        let problem = problem.for_node(&self.node.name);
        match crate::source::nearest(name, self.known()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!(
                "define it in `nodes.yaml` or as a parameter; if the script gets it elsewhere, \
                 write `defined={name}` on the fence"
            )),
        }
    }
}

impl Scope<'_> {
    /// Reports a name that has no value here, but on another node.
    fn set_elsewhere(&self, name: &str, span: &Span) -> Option<Problem> {
        let elsewhere = self.elsewhere.as_ref()?;
        let here = &elsewhere.here;
        let error = |code, message| Problem::error(code, span.clone(), message);
        if let Some(by) = elsewhere.set.get(name) {
            let message = format!("`{name}` is set on {by}, but this runs on {here}");
            let hint = format!("use `capture={name}` on a step that prints it");
            return Some(error("set-elsewhere", message).hint(hint));
        }
        if let Some(role) = self.node.role_in(name) {
            let value = name[role.len()..].trim_start_matches('_');
            let message = format!("`{name}` is not defined: `{role}` has no value `{value}`");
            let problem = error("undefined-variable", message);
            let problem = match self.node.text(role) {
                Ok(Text::Plain(node)) if !node.contains(' ') && !node.is_empty() => {
                    problem.for_node(&node)
                }
                _ => problem,
            };
            return Some(problem.did_you_mean(name, self.known()));
        }
        let theirs = |known: &&String| {
            let role = self.node.role_in(known);
            role.is_some_and(|role| known[role.len()..].trim_start_matches('_') == name)
        };
        let near = self.node.leaves.keys().find(theirs)?;
        let message = format!("`{name}` is not defined on {here}");
        let hint = format!("write the value of another machine as `${near}`");
        Some(error("undefined-variable", message).hint(hint))
    }
}

/// Adds the place of use to a problem with a value.
fn used_at(problem: Problem, place: Span) -> Problem {
    if problem.span.is_none() {
        return Problem {
            span: Some(place),
            ..problem
        };
    }
    problem.note(place, "used here")
}

/// Reports `${` that is not a reference, where a literal one is not plausible.
fn no_references(text: &str, span: &Span, problems: &mut Vec<Problem>) {
    for wrong in wrong_references(text) {
        let problem = Problem::error("not-a-reference", span.clone(), wrong.message());
        problems.push(problem.hint(wrong.hint()));
    }
}
