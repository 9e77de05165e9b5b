//! A plan as it would run: targets, values and scripts, exactly.

use std::io::{self, Write};

use crate::engine::human;
use crate::interpolation::Interpolated;
use crate::manual::{
    DeliveryFrom, Expect, ExpectKind, On, SudoUser, is_shell, shell_quoted, shell_word,
};
use crate::nodes::{SecretRef, Text};
use crate::plan::{Ask, Binding, Bound, Case, NodePlan, Plan, PlannedStep, PlannedWork, Script};
use crate::report::known::Known;

/// Writes the whole plan.
///
/// # Errors
/// Where nobody reads any more.
pub fn write(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{}  {}  {}",
        plan.procedure,
        plan.title,
        plan.span.place()
    )?;
    for node in &plan.nodes {
        writeln!(
            out,
            "\n== {}  {} steps  plan {}",
            node.node.name,
            node.steps.len(),
            &node.sha256[..12]
        )?;
        for need in &node.needs {
            writeln!(out, "needs {}: {} checks", need.group, need.cases.len())?;
        }
        for step in &node.steps {
            writeln!(out)?;
            self::step(node, step, &Known::default(), out)?;
        }
    }
    Ok(())
}

/// One step with its values and its checks, as it would run on this node, in a run of which
/// this is known.
///
/// # Errors
/// Where nobody reads any more.
pub fn step(
    node: &NodePlan,
    step: &PlannedStep,
    known: &Known,
    out: &mut dyn Write,
) -> io::Result<()> {
    let target = match step.on {
        On::Node => node.node.name.as_str(),
        On::Local => "this machine",
    };
    let mut how = vec![
        format!("on {target}"),
        format!("at most {}", human(step.timeout)),
    ];
    how.extend(step.sudo.as_ref().map(|user| format!("sudo as {}", user.0)));
    how.extend(step.capture.as_ref().map(|name| format!("captures {name}")));
    if step.confirm {
        how.push("asks first".to_owned());
    }
    if step.reboot {
        how.push("restarts the node".to_owned());
    }
    writeln!(out, "# {} {}: {}", step.number, step.label(), step.title)?;
    writeln!(out, "# {}  {}", how.join(", "), step.span.place())?;
    match &step.work {
        PlannedWork::Script(script) => {
            let (on, user) = (step.on, step.sudo.as_ref());
            let place = Place {
                node,
                known,
                on,
                user,
            };
            place.script(script, &step.exit, step.expect.as_ref(), out)?;
        }
        PlannedWork::Deliver(files) => {
            for file in files {
                let from = match &file.from {
                    DeliveryFrom::File(path) | DeliveryFrom::Tree(path) => path.clone(),
                    DeliveryFrom::Template(name) => format!("templates/{name}, rendered"),
                    DeliveryFrom::Inline(_) => {
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
            let place = Place {
                node,
                known,
                on: On::Node,
                user: None,
            };
            let text = text.fill(|name| place.value(name)).to_string();
            for line in text.lines() {
                writeln!(out, "# by a person: {line}")?;
            }
        }
    }
    for case in &step.checks {
        check(node, case, known, out)?;
    }
    Ok(())
}

fn check(node: &NodePlan, case: &Case, known: &Known, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# then check {}  {}", case.name, case.span.place())?;
    let mut how = Vec::new();
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
            let (on, user) = (case.on, case.sudo.as_ref());
            let place = Place {
                node,
                known,
                on,
                user,
            };
            place.script(script, exit, expect.as_ref(), out)
        }
        Ask::Probe { .. } => Ok(()),
    }
}

/// Where something runs, and what is known there.
struct Place<'a> {
    node: &'a NodePlan,
    known: &'a Known,
    on: On,
    user: Option<&'a SudoUser>,
}

impl Place<'_> {
    /// What runs, with its values, and what is expected of it.
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
        for Binding { name, value } in script.bindings() {
            match value {
                Bound::Text(Text::Plain(text)) => writeln!(out, "{name}={}", assigned(text))?,
                Bound::Text(Text::Secret(reference)) => {
                    writeln!(out, "# {name} is a secret: {}", origin(reference))?;
                }
                Bound::Captured => match self.known.value(name, self.on, self.user) {
                    Some(text) => writeln!(out, "{name}={}", assigned(text))?,
                    None => writeln!(out, "# {name} is known when the run is under way")?,
                },
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

    /// Where it is known by now.
    fn value(&self, name: &str) -> Option<String> {
        let mut steps = self.node.steps.iter();
        if let Some(value) = self.known.value(name, self.on, self.user) {
            return Some(value.to_owned());
        }
        match self.node.node.text(name) {
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

fn origin(reference: &SecretRef) -> String {
    match reference {
        SecretRef::Env(name) => format!("environment variable {name}"),
        SecretRef::File(path) => format!("file {}", path.display()),
        SecretRef::Command(words) => format!(
            "output of {}",
            words.first().map_or("a command", String::as_str)
        ),
        SecretRef::Prompt(prompt) => format!("asked for as `{prompt}`"),
    }
}

/// Behind `name=`; a second `=` is quoted, so that a reader sees which one assigns.
fn assigned(text: &str) -> String {
    if text.contains('=') {
        shell_quoted(text)
    } else {
        shell_word(text)
    }
}

fn lines(text: &str, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{text}")?;
    if text.ends_with('\n') {
        Ok(())
    } else {
        writeln!(out)
    }
}
