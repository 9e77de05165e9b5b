//! The values that a package reads, wherever its pages can name one: scripts, expectations,
//! instructions to people, files and their names, templates, typed checks, defaults. The package
//! must declare or set each of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::Project;
use crate::interpolation::{Piece, pieces};
use crate::manual::{Check, DeliveryFrom, Expect, Group, Procedure, Script, Step, Work, variables};
use crate::nodes;
use crate::package::manifest::Manifest;
use crate::plan::RUN_NAMES;
use crate::plan::uses::{self, From, Use};
use crate::source::{Passage, Problem, Span};
use crate::template::{self, Template};
use crate::vocabulary::Assertion;
use crate::yaml::{Value, Yaml};

/// The values that a package's pages read and the package neither sets nor declares.
pub(crate) fn undeclared(
    project: &Project,
    manifest: &Manifest,
    package: &str,
    pages: &BTreeSet<usize>,
) -> Vec<Problem> {
    let mut reads = Reads {
        project,
        manifest,
        package,
        told: BTreeSet::new(),
        problems: Vec::new(),
    };
    let manual = &project.manual;
    for procedure in { manual.procedures.values() }.filter(|own| pages.contains(&own.page)) {
        reads.procedure(procedure);
    }
    for group in { manual.groups.values() }.filter(|own| pages.contains(&own.page)) {
        reads.group(group);
    }
    for value in manifest.values.values() {
        if let Some(default) = &value.default {
            reads.yaml(default, "a default", &OwnNames::default());
        }
    }
    reads.problems
}

/// Names that a procedure sets.
#[derive(Default)]
struct OwnNames<'p> {
    names: BTreeSet<String>,
    roles: Vec<&'p str>,
}

struct Reads<'a> {
    project: &'a Project,
    manifest: &'a Manifest,
    package: &'a str,
    /// Each name is reported once, at its first place.
    told: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl OwnNames<'_> {
    fn of(procedure: &Procedure) -> OwnNames<'_> {
        let mut names: BTreeSet<String> = procedure.params.keys().cloned().collect();
        names.extend(procedure.reach.defined.iter().cloned());
        names.extend(RUN_NAMES.map(str::to_owned));
        for step in &procedure.steps {
            names.extend(step.capture.clone());
            if let Work::Script(script) = &step.work {
                names.extend(variables(&script.text.text, &script.interpreter).assigned);
                names.extend(script.defined.iter().cloned());
            }
        }
        OwnNames {
            names,
            roles: procedure.roles.keys().map(String::as_str).collect(),
        }
    }

    /// The value behind a name: a value of a role's node has the same name as on the node itself.
    fn wanted<'n>(&self, name: &'n str) -> Option<&'n str> {
        if self.names.contains(name) || self.roles.contains(&name) {
            return None;
        }
        let of_role = self.roles.iter().find_map(|role| {
            let rest = name.strip_prefix(role)?;
            rest.strip_prefix('_')
        });
        Some(of_role.unwrap_or(name))
    }
}

impl Reads<'_> {
    fn procedure(&mut self, procedure: &Procedure) {
        let used = uses::of_procedure(procedure);
        let own = OwnNames::of(procedure);
        let given = |name: &str| procedure.params.contains_key(name);
        let not_given = |uses: &[Use]| -> Vec<Use> {
            let uses = uses.iter().filter(|one| !given(&one.name));
            uses.cloned().collect()
        };
        for (step, uses) in procedure.steps.iter().zip(&used.steps) {
            if let Work::Script(script) = &step.work {
                self.script(script, &not_given(uses));
            }
            self.step(step, &own);
        }
        let sections = procedure.sections.iter().flat_map(|each| &each.before);
        let after = procedure.after.iter().flat_map(|(_, checks)| checks);
        let steps = procedure.steps.iter().flat_map(|step| &step.checks);
        let checks = { procedure.before.iter() }.chain(steps).chain(sections);
        for check in checks.chain(after) {
            self.check(check, &used.checks, &not_given, &own);
        }
        for text in procedure.replace.values() {
            self.text(
                &text.value,
                &|at| at_of(&text.span, at),
                "a placeholder",
                &own,
            );
        }
    }

    fn check(
        &mut self,
        check: &Check,
        used: &HashMap<(usize, usize), Vec<Use>>,
        not_given: &dyn Fn(&[Use]) -> Vec<Use>,
        own: &OwnNames<'_>,
    ) {
        if let Some(uses) = used.get(&(check.page, check.block)) {
            self.script(&check.script, &not_given(uses));
        }
        self.expected(check.expect.as_ref(), &check.script, own);
    }

    fn step(&mut self, step: &Step, own: &OwnNames<'_>) {
        match &step.work {
            Work::Script(script) => self.expected(step.expect.as_ref(), script, own),
            Work::Manual(text) => self.passage(text, own),
            Work::Place(place) => self.template(Template::Alone(&place.text), None, own),
            Work::Deliver(files) => {
                for file in files {
                    let place = |at: Option<&str>| match at {
                        Some(name) => file.span.reference(name),
                        None => file.span.clone(),
                    };
                    let (name, template) = match &file.from {
                        DeliveryFrom::File(path)
                        | DeliveryFrom::Tree(path)
                        | DeliveryFrom::Machine { path, .. } => (path.as_str(), None),
                        DeliveryFrom::Template(path) => {
                            (path.as_str(), Some(Template::Named(path)))
                        }
                        DeliveryFrom::Inline(body) => ("", Some(Template::Inline(body))),
                        DeliveryFrom::Placed(body) => ("", Some(Template::Alone(body))),
                    };
                    for text in [name, &file.to] {
                        self.text(text, &place, "the name of a file", own);
                    }
                    if let Some(template) = template {
                        self.template(template, Some(&file.span), own);
                    }
                }
            }
        }
    }

    fn expected(&mut self, expect: Option<&Expect>, script: &Script, own: &OwnNames<'_>) {
        let commands = script.commands.iter();
        let of_commands = commands.filter_map(|command| command.expect.as_ref());
        for expect in of_commands.chain(expect) {
            self.passage(&expect.text, own);
        }
    }

    fn group(&mut self, group: &Group) {
        let own = OwnNames::default();
        for check in &group.checks {
            self.script(&check.script, &uses::of_check(check));
            self.expected(check.expect.as_ref(), &check.script, &own);
        }
        for typed in &group.typed {
            let resource = &typed.resource;
            let place = |at: Option<&str>| at_of(&resource.span, at);
            self.text(&resource.value, &place, "a check", &own);
            self.yaml(&typed.attributes, "a check", &own);
            let understood =
                self.project
                    .vocabulary
                    .assertion(&typed.kind, resource, &typed.attributes);
            let commands = understood.0.iter().flat_map(Assertion::commands);
            let commands: Vec<String> = commands.collect();
            for command in commands {
                let names = variables(&command, "sh");
                for name in names.mentioned.keys() {
                    let set = names.assigned.contains(name);
                    if !set && let Some(wanted) = own.wanted(name) {
                        self.tell(wanted, resource.span.clone(), "a check");
                    }
                }
            }
        }
    }

    /// The names that a script reads and does not set.
    fn script(&mut self, script: &Script, uses: &[Use]) {
        let names = variables(&script.text.text, &script.interpreter);
        for one in uses {
            let wanted = match &one.from {
                From::Value | From::Optional => one.name.as_str(),
                // A value of another node has the same name there.
                From::Role(role) => match one.name.strip_prefix(role.as_str()) {
                    Some(rest) if rest.starts_with('_') => &rest[1..],
                    _ => continue,
                },
                From::Earlier(_) | From::Captured(_) | From::Run => continue,
            };
            // The script sets this name itself.
            let range = names.mentioned.get(&one.name);
            let Some(range) = range.filter(|_| !names.assigned.contains(&one.name)) else {
                continue;
            };
            self.tell(wanted, script.text.span(range.clone()), "a block");
        }
    }

    /// The names in a text with `${name}`.
    fn passage(&mut self, text: &Passage, own: &OwnNames<'_>) {
        for piece in pieces(&text.text) {
            if let Piece::Name(name, at) = piece
                && let Some(wanted) = own.wanted(name)
            {
                self.tell(wanted, text.span(at), "a block");
            }
        }
    }

    /// A text without more exact places.
    fn text(
        &mut self,
        text: &str,
        place: &dyn Fn(Option<&str>) -> Span,
        what: &str,
        own: &OwnNames<'_>,
    ) {
        for piece in pieces(text) {
            if let Piece::Name(name, _) = piece
                && let Some(wanted) = own.wanted(name)
            {
                self.tell(wanted, place(Some(name)), what);
            }
        }
    }

    fn yaml(&mut self, value: &Yaml, what: &str, own: &OwnNames<'_>) {
        match &value.value {
            Value::Seq(values) => {
                for value in values {
                    self.yaml(value, what, own);
                }
            }
            Value::Map(map) => {
                for (key, entry) in map {
                    self.text(key, &|at| at_of(&entry.key, at), what, own);
                    self.yaml(&entry.value, what, own);
                }
            }
            Value::Str(text) => self.text(text, &|at| at_of(&value.span, at), what, own),
            Value::Null | Value::Bool(_) | Value::Int(..) | Value::Float(..) => {}
        }
    }

    /// The names in a template and its includes. A template that the book replaces belongs to the
    /// book, and may read all its values.
    fn template(&mut self, template: Template<'_>, delivered: Option<&Span>, own: &OwnNames<'_>) {
        if let Template::Named(name) = template
            && self.is_replaced(name)
        {
            return;
        }
        let found: BTreeMap<String, Span> = template::reads(&self.project.files, template);
        for (name, span) in found {
            let Some(wanted) = own.wanted(&name) else {
                continue;
            };
            let before = self.problems.len();
            self.tell(wanted, span, "a template");
            if let (Some(delivered), Template::Named(_)) = (delivered, template)
                && self.problems.len() > before
                && let Some(problem) = self.problems.pop()
            {
                self.problems
                    .push(problem.note(delivered.clone(), "delivered here"));
            }
        }
    }

    fn is_replaced(&self, name: &str) -> bool {
        let Some(book) = &self.project.manifest else {
            return false;
        };
        let mut replaced = book.overrides.templates.iter();
        replaced.any(|one| name == format!("packages/{}/{}", one.package, one.file))
    }

    /// Reports a name that the package does not declare.
    fn tell(&mut self, name: &str, span: Span, what: &str) {
        if self.declares(name) || nodes::is_built_in(name) || name.ends_with("_proxy") {
            return;
        }
        if !self.told.insert(name.to_owned()) {
            return;
        }
        let mark = if what == "a template" { "" } else { "$" };
        let message = format!(
            "{what} of `{}` reads `{mark}{name}`, which `opsbook.toml` does not declare",
            self.package
        );
        let problem = Problem::error("undeclared-value", span, message);
        let hint = format!("add `{name} = {{help = \"…\"}}` to `[values]`");
        self.problems.push(problem.hint(hint));
    }

    /// A declared map also declares the values in it.
    fn declares(&self, name: &str) -> bool {
        let values = &self.manifest.values;
        values.contains_key(name)
            || values.keys().any(|declared| {
                let rest = name.strip_prefix(declared.as_str());
                rest.is_some_and(|rest| rest.starts_with('_'))
            })
    }
}

fn at_of(span: &Span, name: Option<&str>) -> Span {
    match name {
        Some(name) => span.reference(name),
        None => span.clone(),
    }
}
