//! Shows exactly how a plan would run: targets, values and scripts. Nodes that differ only in
//! values are shown together. `roles` shows plans with roles.

mod roles;

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::by_node::{Alike, alike};

use crate::engine::human;
use crate::interpolation::Interpolated;
use crate::known::Known;
use crate::manual::{DeliveryFrom, Expect, ExpectKind, How, On, SudoUser, is_shell};
use crate::nodes::Text;
use crate::plan::{
    Ask, Case, NodePlan, Part, Placed, Plan, PlannedStep, PlannedWork, Script, Value, Variable,
};
use crate::value::{assigned, origin};

/// Precedes each step and each check of [`pieces`]: no script and no page contains it.
const MARK: &str = "\0";

/// The same as [`write()`] in pieces: first the head, then each step and each separate check.
#[must_use]
pub fn pieces(plan: &Plan, part: Part) -> Vec<String> {
    let mut text = Vec::new();
    // Writing into memory cannot fail.
    let _ = marked(plan, part, MARK, &mut text);
    let text = String::from_utf8_lossy(&text);
    text.split(MARK).map(str::to_owned).collect()
}

/// Writes the part of a plan that would run.
///
/// # Errors
/// If the output is closed.
pub fn write(plan: &Plan, part: Part, out: &mut dyn Write) -> io::Result<()> {
    marked(plan, part, "", out)
}

fn marked(plan: &Plan, part: Part, mark: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{}  {}  {}",
        plan.procedure,
        plan.title,
        plan.span.place()
    )?;
    let known = Known::given(&plan.arguments);
    if let Some(binding) = &plan.binding {
        return roles::write(plan, binding, (part, mark), &known, out);
    }
    for alike in alike(plan, part) {
        nodes(&alike, (part, mark), &known, out)?;
    }
    Ok(())
}

fn nodes(
    alike: &Alike<'_>,
    (part, mark): (Part, &str),
    known: &Known,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(first) = alike.nodes.first() else {
        return Ok(());
    };
    let names: Vec<&str> = alike
        .nodes
        .iter()
        .map(|node| node.node.name.as_str())
        .collect();
    writeln!(
        out,
        "\n== {}  {} steps  plan {}",
        names.join(", "),
        first.steps.len(),
        &first.sha256[..12]
    )?;
    for need in &first.needs {
        let checks = crate::source::counted(need.cases.len(), "check");
        writeln!(out, "needs {}: {checks}", need.group)?;
    }
    let (due, left_out): (Vec<_>, Vec<_>) = first
        .steps
        .iter()
        .partition(|step| part.contains(step.number));
    if !left_out.is_empty() {
        let left_out: Vec<String> = left_out.iter().map(|step| step.heading()).collect();
        writeln!(out, "left out, as asked: {}", left_out.join(", "))?;
    }
    alike.table(out)?;
    let view = View {
        node: first,
        several: alike.nodes.len() > 1,
        known,
        by_node: &alike.differ,
        places: None,
    };
    for step in due {
        writeln!(out, "{mark}")?;
        view.step(step, out)?;
    }
    Ok(())
}

/// One step with its values and its checks, on this node, in a run with this state.
///
/// # Errors
/// If the output is closed.
pub fn step(
    node: &NodePlan,
    step: &PlannedStep,
    known: &Known,
    out: &mut dyn Write,
) -> io::Result<()> {
    let view = View {
        node,
        several: false,
        known,
        by_node: &BTreeSet::new(),
        places: None,
    };
    view.step(step, out)
}

/// The context for the reader of a step.
pub(super) struct View<'a> {
    pub node: &'a NodePlan,
    /// It represents other nodes as well.
    pub several: bool,
    pub known: &'a Known,
    /// Names whose values are in the table of nodes.
    pub by_node: &'a BTreeSet<String>,
    /// Where it runs, in a run with roles.
    pub places: Option<String>,
}

impl View<'_> {
    pub fn step(&self, step: &PlannedStep, out: &mut dyn Write) -> io::Result<()> {
        let target = match (step.on, &self.places) {
            (On::Node, Some(places)) => places.as_str(),
            (On::Node, None) if self.several => "each node",
            (On::Node, None) => self.node.node.name.as_str(),
            (On::Local, _) => "this machine",
        };
        let mut how = vec![format!("on {target}")];
        // A person has no time limit.
        if !matches!(step.work, PlannedWork::Manual(_)) {
            how.push(format!("at most {}", human(step.timeout)));
        }
        how.extend(step.sudo.as_ref().map(|user| format!("sudo as {}", user.0)));
        how.extend(step.capture.as_ref().map(|name| format!("captures {name}")));
        if step.confirm {
            how.push("asks first".to_owned());
        }
        if step.reboot {
            how.push("restarts the node".to_owned());
        }
        writeln!(out, "# {}: {}", step.heading(), step.title)?;
        writeln!(out, "# {}  {}", how.join(", "), step.span.place())?;
        match &step.work {
            PlannedWork::Script(_) if let Some(placed) = &step.placed => {
                self.placed(placed, out)?;
            }
            PlannedWork::Script(script) => {
                let place = self.at(step.on, step.sudo.as_ref());
                place.script(script, &step.exit, step.expect.as_ref(), out)?;
            }
            PlannedWork::Deliver(files) => {
                for file in files {
                    let from = match &file.from {
                        DeliveryFrom::File(path) | DeliveryFrom::Tree(path) => path.clone(),
                        DeliveryFrom::Template(name) => format!("templates/{name}, rendered"),
                        DeliveryFrom::Machine { node, path, .. } => {
                            format!("{path} in the bundle of {node}")
                        }
                        DeliveryFrom::Inline(_) | DeliveryFrom::Placed(_) => {
                            format!("the block at {}, rendered", file.span.place())
                        }
                    };
                    writeln!(
                        out,
                        "# deliver {from} as \"$bundle/{}\", mode {:04o}",
                        file.to, file.mode
                    )?;
                }
            }
            PlannedWork::Manual(text) => {
                let place = self.at(On::Node, None);
                let text = text.fill(|name| place.value(name)).to_string();
                for line in text.lines() {
                    writeln!(out, "# by a person: {line}")?;
                }
            }
        }
        for case in step.all_checks() {
            let elsewhere = case.on == On::Node && case.node.name != self.node.node.name;
            let place = elsewhere.then_some(case.node.name.as_str());
            self.check("then check", place, case, out)?;
        }
        Ok(())
    }

    /// A placed file; for a diff, the lines that change.
    fn placed(&self, placed: &Placed, out: &mut dyn Write) -> io::Result<()> {
        let what = match placed.how {
            How::Whole => "place",
            How::Append => "append, unless it stands there, to",
            How::Edit => "change lines, each found once, of",
        };
        let mut words = placed.file.to.clone();
        words.extend(placed.mode.map(|mode| format!(", mode {mode:04o}")));
        words.extend(
            placed
                .owner
                .as_ref()
                .map(|owner| format!(", owner {owner}")),
        );
        if self.several {
            words += &format!(", as on {}", self.node.node.name);
        }
        writeln!(out, "# {what} {words}:")?;
        let Some(text) = &placed.text else {
            return writeln!(
                out,
                "# the block at {}, with what the run puts into it",
                placed.file.span.place()
            );
        };
        for line in text.lines() {
            writeln!(out, "# | {line}")?;
        }
        Ok(())
    }

    fn at<'v>(&'v self, on: On, user: Option<&'v SudoUser>) -> Place<'v> {
        Place {
            view: self,
            on,
            user,
        }
    }

    /// A check, with its node if that is not clear.
    pub fn check(
        &self,
        word: &str,
        place: Option<&str>,
        case: &Case,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        writeln!(out, "# {word} {}  {}", case.name, case.span.place())?;
        let mut how = Vec::from_iter(place.map(|place| format!("on {place}")));
        if case.on == On::Local {
            how.push("on this machine".to_owned());
        }
        how.extend(case.sudo.as_ref().map(|user| format!("sudo as {}", user.0)));
        how.extend(case.eventually.as_ref().map(|eventually| {
            let (limit, every) = (human(eventually.limit), human(eventually.every));
            format!("again every {every}, for {limit}")
        }));
        if !how.is_empty() {
            writeln!(out, "# {}", how.join(", "))?;
        }
        match &case.ask {
            Ask::Script {
                script,
                exit,
                expect,
            } => {
                let place = self.at(case.on, case.sudo.as_ref());
                place.script(script, exit, expect.as_ref(), out)
            }
            Ask::Probe { .. } => Ok(()),
        }
    }
}

/// The place where something runs, and what is known there.
struct Place<'a> {
    view: &'a View<'a>,
    on: On,
    user: Option<&'a SudoUser>,
}

impl Place<'_> {
    /// A script with its values and its expectations.
    fn script(
        &self,
        script: &Script,
        exit: &[i32],
        expect: Option<&Expect>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.values(script, out)?;
        if !is_shell(script.interpreter()) {
            writeln!(out, "# with {}:", script.interpreter())?;
        }
        if script.commands().is_empty() {
            lines(script.text(), out)?;
            self.expected(expect, out)?;
            return status(exit, out);
        }
        for command in script.commands() {
            lines(&command.text, out)?;
            self.expected(command.expect.as_ref(), out)?;
            status(&[command.exit], out)?;
        }
        self.expected(expect, out)
    }

    fn values(&self, script: &Script, out: &mut dyn Write) -> io::Result<()> {
        for Variable { name, value } in script.bindings() {
            if matches!(value, Value::Text(_)) && self.view.by_node.contains(name) {
                let where_to_look = match name.as_str() {
                    "node" => "the node's name",
                    _ => "as the table says",
                };
                writeln!(out, "# {name}: {where_to_look}")?;
                continue;
            }
            match value {
                Value::Text(Text::Plain(text)) => writeln!(out, "{name}={}", assigned(text))?,
                Value::Text(Text::Secret(reference)) => {
                    writeln!(out, "# {name} is a secret: {}", origin(reference))?;
                }
                Value::Captured => match self.view.known.value(name, self.on, self.user) {
                    Some(text) => writeln!(out, "{name}={}", assigned(text))?,
                    None => writeln!(out, "# {name} is known when the run is under way")?,
                },
                Value::Rendered => {}
            }
        }
        Ok(())
    }

    fn expected(&self, expect: Option<&Expect>, out: &mut dyn Write) -> io::Result<()> {
        let Some(expect) = expect else {
            return Ok(());
        };
        let text = Interpolated::read(&expect.text.text).fill(|name| self.value(name));
        let text = text.to_string();
        let what = match expect.kind {
            ExpectKind::Text => "expect",
            ExpectKind::Regex => "expect, as a regular expression",
            ExpectKind::Json => "expect, at least",
        };
        for line in text.lines() {
            writeln!(out, "# {what}: {line}")?;
        }
        Ok(())
    }

    /// A value, if it is known.
    fn value(&self, name: &str) -> Option<String> {
        if self.view.by_node.contains(name) {
            return None;
        }
        let mut steps = self.view.node.steps.iter();
        if let Some(value) = self.view.known.value(name, self.on, self.user) {
            return Some(value.to_owned());
        }
        match self.view.node.node.text(name) {
            Ok(Text::Plain(value)) if !steps.any(|step| step.capture.as_deref() == Some(name)) => {
                Some(value)
            }
            _ => None,
        }
    }
}

fn status(exit: &[i32], out: &mut dyn Write) -> io::Result<()> {
    if exit == [0] {
        return Ok(());
    }
    let exit: Vec<String> = exit.iter().map(i32::to_string).collect();
    writeln!(out, "# expect: exit status {}", exit.join(" or "))
}

fn lines(text: &str, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{text}")?;
    if text.ends_with('\n') {
        Ok(())
    } else {
        writeln!(out)
    }
}
