//! Formats steps as units that a person pastes into a POSIX shell. A unit is stored first, and
//! `ob_go` runs it: nothing is read from the terminal while something runs, so a lost character
//! cannot turn half a line into a command. Each unit runs with the bundle's own `run`, so values,
//! variables and the working directory are those of the run. A unit stops at its first error, and
//! none runs after a failed one.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::engine::{BY_HAND, RUN, TOOLS, human, may_move, rules_a_shell};
use crate::interpolation::Interpolated;
use crate::known::Known;
use crate::manual::{
    Delivery, DeliveryFrom, Expect, ExpectKind, On, SudoUser, is_shell, shell_word, variables,
};
use crate::nodes::Text;
use crate::paste::{document, note};
use crate::plan::{Ask, Case, NodePlan, Placed, PlannedStep, PlannedWork, Script, Value};
use crate::value::origin;

/// The units' name for the operator's machine, where `on=local` steps run.
pub const LOCAL: &str = "local";

/// For who has another login shell. Without backquotes: tcsh takes a comment that is typed for a
/// command. fish and tcsh run nothing of a sheet: they wait for the end of what they began to read.
pub(super) const POSIX: &str = "for a POSIX shell: in fish, tcsh and the like, start one first: sh";

/// Settings for any POSIX shell into which a person pastes; written before everything else.
pub(super) const READY: &str = "if [ \"${BASH_VERSION-}\" ]; then set +H; bind 'set disable-completion on'; bind 'set convert-meta off'; bind 'set input-meta on'; elif [ \"${ZSH_VERSION-}\" ]; then emulate sh; setopt interactivecomments; unsetopt zle; fi 2>/dev/null";

/// One step on one node, with the state of its run.
#[derive(Clone, Copy)]
pub struct Unit<'a> {
    /// The node with its whole plan.
    pub node: &'a NodePlan,
    /// The step.
    pub step: &'a PlannedStep,
    /// What the run knows so far.
    pub known: &'a Known,
    /// It may have finished already.
    pub doubtful: bool,
    /// Prefix of its label in commands for opsbook.
    pub prefix: &'a str,
    /// Labels of the steps that must be done before it.
    pub before: &'a [&'a str],
    /// `opsbook`, with the options that make its commands work from any folder.
    pub program: &'a str,
}

/// The place where a person executes it.
#[must_use]
pub fn place(node: &NodePlan, on: On) -> &str {
    match on {
        On::Node => &node.node.name,
        On::Local => LOCAL,
    }
}

/// Writes the text before the first unit: the place, and the functions that units use.
///
/// # Errors
/// If the output is closed.
pub fn begin(node: &NodePlan, known: &Known, places: &[On], out: &mut dyn Write) -> io::Result<()> {
    let first = places.first().map_or(LOCAL, |on| place(node, *on));
    writeln!(out, "at=${{at-{}}}", shell_word(first))?;
    let mut gone = false;
    for on in places {
        let bundle = known.value("bundle", *on, None);
        gone |= bundle.is_none();
        let (name, bundle) = (shell_word(place(node, *on)), bundle.map(shell_word));
        let bundle = bundle.unwrap_or_else(|| "$(mktemp -d)".to_owned());
        writeln!(out, "[ \"$at\" != {name} ] || bundle={bundle}")?;
    }
    // If the bundle is gone, nothing of it can be used: write its tools here.
    if gone {
        let head = "[ -e \"$bundle/run\" ] || mkdir -p \"$bundle/steps\" &&";
        for (file, text) in [("run", RUN), (TOOLS, BY_HAND)] {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let text = lines.collect::<Vec<_>>().join("\n");
            document(
                &format!("{head} cat >\"$bundle/{file}\""),
                "END OF TOOLS",
                &text,
                out,
            )?;
        }
    }
    writeln!(out, ". \"$bundle/{TOOLS}\"")?;
    // One script places all files: write it once.
    let mut steps = node.steps.iter();
    let placing = steps.find(|step| step.placed.as_ref().is_some_and(|own| own.text.is_some()));
    let Some(script) = placing.and_then(PlannedStep::script) else {
        return Ok(());
    };
    note("what puts texts into their places", out)?;
    let lines = script.text().lines().map(str::trim_start);
    let lines = lines.filter(|line| !line.starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n");
    document("cat >\"$ob_q/place\"", "END OF PLACING", &text, out)
}

/// Writes what must have been done elsewhere before a step: a person confirms it, and nothing below
/// runs before.
///
/// # Errors
/// If the output is closed.
pub fn gate(
    node: &NodePlan,
    step: &PlannedStep,
    before: &[String],
    out: &mut dyn Write,
) -> io::Result<()> {
    let name = shell_word(&format!("before step {}", step.heading()));
    let on = shell_word(&format!("on={}", place(node, step.on)));
    let end = format!("END OF WHAT COMES BEFORE STEP {}", step.number);
    document(
        &format!("ob_person {name} {on}"),
        &end,
        &before.join("\n"),
        out,
    )
}

/// Writes a step with its checks, and the command that reports it to opsbook.
///
/// # Errors
/// If the output is closed.
pub fn step(unit: &Unit<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Unit { node, step, .. } = *unit;
    let label = step.label();
    let title = step.title.split_whitespace().collect::<Vec<_>>().join(" ");
    note(&format!("{}: {title}", step.heading()), out)?;
    let mut how = vec![format!("on {}", place(node, step.on))];
    how.extend(step.sudo.as_ref().map(|user| format!("as {}", user.0)));
    how.extend(step.capture.as_ref().map(|name| format!("captures {name}")));
    if matches!(step.work, PlannedWork::Script(_)) {
        how.push(format!("at most {}", human(step.timeout)));
    }
    if step.reboot {
        how.push("restarts the node: then paste the rest there".to_owned());
    }
    note(&format!("{}  {}", how.join(", "), step.span.place()), out)?;
    match &step.work {
        PlannedWork::Script(_)
            if let Some(Placed {
                file, text: None, ..
            }) = &step.placed =>
        {
            unit.deliver(std::slice::from_ref(file), out)?;
        }
        PlannedWork::Script(script) if script.commands().is_empty() => {
            unit.script(script, out)?;
        }
        PlannedWork::Script(script) => unit.transcript(script, out)?,
        PlannedWork::Deliver(files) => unit.deliver(files, out)?,
        PlannedWork::Manual(text) => {
            let (text, words) = unit.side().filled(text);
            unit.person(&text.to_string(), &words, out)?;
        }
    }
    for case in step.all_checks() {
        unit.check(case, out)?;
    }
    if step.reboot {
        let why = format!(
            "{} restarts: log in again, and paste the rest",
            place(node, step.on)
        );
        writeln!(
            out,
            "ob_stop {} {}",
            shell_word(&unit.name()),
            shell_word(&why)
        )?;
    }
    // A run without its bundle cannot be continued.
    if unit.known.bundle().is_none() {
        return Ok(());
    }
    let Unit {
        program, prefix, ..
    } = *unit;
    let run = &unit.known.run;
    let told = shell_word(&format!("{prefix}{label}"));
    note(&format!("then: {program} resume {run} --done {told}"), out)
}

impl<'a> Unit<'a> {
    fn side(&self) -> Side<'a> {
        Side {
            node: self.node,
            known: self.known,
            on: self.step.on,
            user: self.step.sudo.as_ref(),
        }
    }

    fn name(&self) -> String {
        format!("step {}", self.step.heading())
    }

    fn script(&self, script: &Script, out: &mut dyn Write) -> io::Result<()> {
        let step = self.step;
        let asked = Asked {
            kind: "ob_step",
            name: self.name(),
            id: step.number.to_string(),
            exit: &step.exit,
            question: self.question(),
            places: step.placed.is_some(),
            more: self.keeps(script),
        };
        self.side().write(&asked, script, script.text(), out)?;
        self.side().expects(step.expect.as_ref(), out)
    }

    /// Each command is a separate unit: after a failed one, none runs.
    fn transcript(&self, script: &Script, out: &mut dyn Write) -> io::Result<()> {
        let commands = script.commands();
        for (index, command) in commands.iter().enumerate() {
            let last = index + 1 == commands.len();
            let number = self.step.number;
            let asked = Asked {
                kind: "ob_step",
                name: format!("{}, command {}", self.name(), index + 1),
                // The step captures the output of the last command.
                id: if last {
                    number.to_string()
                } else {
                    format!("{number}-{}", index + 1)
                },
                exit: &[command.exit],
                question: self.question().filter(|_| index == 0),
                places: false,
                more: self.keeps(script),
            };
            let text = format!("exec 2>&1; set +e\n{}", command.text);
            self.side().write(&asked, script, &text, out)?;
            self.side().expects(command.expect.as_ref(), out)?;
        }
        Ok(())
    }

    fn question(&self) -> Option<&'static str> {
        match (self.doubtful, self.step.confirm) {
            (true, _) => Some("it may have finished already; look at the node first. Run it?"),
            (false, true) => Some("opsbook would ask before it. Run it?"),
            (false, false) => None,
        }
    }

    /// The variables that a step leaves for later ones.
    fn keeps(&self, script: &Script) -> Vec<String> {
        if !is_shell(script.interpreter()) {
            return Vec::new();
        }
        let mut more = vec![format!("saves={}", self.step.saved.join(" "))];
        if self.side().stranger() && self.step.placed.is_none() {
            let found = variables(script.text(), script.interpreter());
            let names = found.kept.iter().filter(|name| !rules_a_shell(name));
            let names: Vec<&str> = names.map(String::as_str).collect();
            more.push(format!("takes={}", names.join(" ")));
            if found.opaque || may_move(script.text()) {
                more.push("moves=1".to_owned());
            }
        }
        more
    }

    /// Only opsbook renders and verifies delivered files, so opsbook delivers them.
    fn deliver(&self, files: &[Delivery], out: &mut dyn Write) -> io::Result<()> {
        let mut text = String::new();
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
            text += &match file.from {
                DeliveryFrom::Placed(_) => format!("{from} to {}\n", file.to),
                _ => format!(
                    "{from} as \"$bundle/{}\", mode {:04o}\n",
                    file.to, file.mode
                ),
            };
        }
        if self.known.bundle().is_none() {
            text += "opsbook brings this";
            return self.person(&text, "", out);
        }
        text += &format!(
            "opsbook brings this: {} resume {}",
            self.program, self.known.run
        );
        for label in self.before {
            text += &format!(" --done {}{label}", self.prefix);
        }
        text += &format!(" --stop-after {}", self.step.label());
        self.person(&text, "", out)
    }

    fn person(&self, text: &str, words: &str, out: &mut dyn Write) -> io::Result<()> {
        let name = shell_word(&self.name());
        let on = shell_word(&format!("on={}", place(self.node, self.step.on)));
        let end = format!("END OF STEP {}", self.step.number);
        document(&format!("ob_person {name} {on}{words}"), &end, text, out)
    }

    fn check(&self, case: &Case, out: &mut dyn Write) -> io::Result<()> {
        let number = self.step.number;
        let here = Side {
            on: case.on,
            user: case.sudo.as_ref(),
            ..self.side()
        };
        match &case.ask {
            Ask::Script {
                script,
                exit,
                expect,
            } if case.on == self.step.on
                && case.node.name == self.node.node.name
                && script.commands().is_empty() =>
            {
                let eventually = case.eventually.as_ref();
                let more = eventually.map_or(Vec::new(), |eventually| {
                    vec![
                        format!("every={}", eventually.every.as_secs().max(1)),
                        format!("for={}", eventually.limit.as_secs()),
                    ]
                });
                let asked = Asked {
                    kind: "ob_check",
                    name: format!("check {}", case.name),
                    id: format!("{number}.check"),
                    exit,
                    question: None,
                    places: false,
                    more,
                };
                here.write(&asked, script, script.text(), out)?;
                here.expects(expect.as_ref(), out)
            }
            // Only opsbook can evaluate it from its place.
            Ask::Script { .. } | Ask::Probe { .. } => {
                let elsewhere = if case.node.name == self.node.node.name {
                    String::new()
                } else {
                    format!(", on {}", case.node.name)
                };
                note(
                    &format!("check {}{elsewhere}: `--done` asks it", case.name),
                    out,
                )
            }
        }
    }
}

/// A script, and its expected end.
struct Asked<'a> {
    kind: &'static str,
    name: String,
    /// Its record directory in the bundle: `steps/by-hand.ID`.
    id: String,
    exit: &'a [i32],
    /// A question before it runs.
    question: Option<&'static str>,
    /// It writes a file to its destination: the head contains its script.
    places: bool,
    /// Further arguments, `name=value`.
    more: Vec<String>,
}

/// The side where something runs, and what is known there.
#[derive(Clone, Copy)]
struct Side<'a> {
    node: &'a NodePlan,
    known: &'a Known,
    on: On,
    user: Option<&'a SudoUser>,
}

impl Side<'_> {
    /// Another user with a separate bundle.
    fn stranger(&self) -> bool {
        self.on == On::Node && self.user.is_some_and(|user| user.0 != "root")
    }

    fn write(
        &self,
        asked: &Asked<'_>,
        script: &Script,
        text: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let name = shell_word(&asked.name);
        let mut words = vec![format!("on={}", place(self.node, self.on))];
        words.push(format!("id={}", asked.id));
        words.extend(self.user.map(|user| format!("as={}", user.0)));
        if self.stranger() {
            let user = self.user.map_or("", |user| user.0.as_str());
            let Some(bundle) = self.known.of_users.get(user) else {
                let why = format!("the bundle of {user} is not open: opsbook has to run it");
                return writeln!(out, "ob_stop {name} {}", shell_word(&why));
            };
            words.push(format!("in={bundle}"));
        }
        match script.interpreter() {
            "sh" => {}
            "bash" => words.push("shell=bash -euo pipefail".to_owned()),
            other => words.push(format!("exec={other}")),
        }
        if asked.exit != [0] {
            let exit: Vec<String> = asked.exit.iter().map(i32::to_string).collect();
            words.push(format!("exit={}", exit.join(",")));
        }
        words.extend(asked.question.map(|question| format!("ask={question}")));
        words.extend(
            asked
                .more
                .iter()
                .filter(|word| !word.ends_with('='))
                .cloned(),
        );
        let words: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
        self.values(script, out)?;
        let command = format!("{} {name} {}", asked.kind, words.join(" "));
        if asked.places {
            return writeln!(out, "{command} <\"$ob_q/place\"");
        }
        document(&command, &format!("END OF {}", asked.id), text, out)
    }

    /// The script's values. The person types secrets, and captured values come from the recorded
    /// output of earlier steps.
    fn values(&self, script: &Script, out: &mut dyn Write) -> io::Result<()> {
        let mut text = String::new();
        let (mut secrets, mut captures) = (Vec::new(), Vec::new());
        let exports = !is_shell(script.interpreter());
        for binding in script.bindings() {
            let name = &binding.name;
            let value = match &binding.value {
                Value::Text(Text::Plain(value)) => Some(value.clone()),
                Value::Text(Text::Secret(reference)) => {
                    note(&format!("{name} is a secret: {}", origin(reference)), out)?;
                    secrets.push(name.clone());
                    continue;
                }
                Value::Captured => self.value(name),
                // opsbook must do such a step.
                Value::Rendered => None,
            };
            let Some(value) = value else {
                // Only `bundle` is captured by no step: the head sets it.
                let step = self.captured_by(name);
                captures.extend(step.map(|step| format!("{name}:{step}")));
                continue;
            };
            text += &format!("{name}={}\n", shell_word(&value));
            if exports {
                text += &format!("export {name}\n");
            }
        }
        let words = word("secrets", &secrets) + &word("captures", &captures);
        if text.is_empty() && words.is_empty() {
            return Ok(());
        }
        document(&format!("ob_values{words}"), "END OF VALUES", &text, out)
    }

    /// Compares the output if only one text is correct; otherwise a person compares it.
    fn expects(&self, expect: Option<&Expect>, out: &mut dyn Write) -> io::Result<()> {
        let Some(expect) = expect else {
            return Ok(());
        };
        let (text, words) = self.filled(&Interpolated::read(&expect.text.text));
        let written = &expect.text.text;
        let exact = expect.kind == ExpectKind::Text
            && !text.is_open()
            && !written.contains("[..]")
            && !written.lines().any(|line| line.trim() == "...");
        let text = text.to_string();
        let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
        let (command, how) = match expect.kind {
            ExpectKind::Text if exact => ("ob_prints", None),
            ExpectKind::Text => ("ob_looks", None),
            ExpectKind::Regex => ("ob_looks", Some("(as regular expressions)")),
            ExpectKind::Json => ("ob_looks", Some("(as JSON, at least)")),
        };
        let text: Vec<&str> = how.into_iter().chain(lines).collect();
        let command = format!("{command}{words}");
        document(&command, "END OF OUTPUT", &text.join("\n"), out)
    }

    /// A text with its values. For a value that an unfinished step captures, it contains the mark
    /// of `ob_fill` and the name of that step.
    fn filled(&self, text: &Interpolated) -> (Interpolated, String) {
        let mut captures = BTreeSet::new();
        let text = text.fill(|name| {
            self.value(name).or_else(|| {
                let step = self.captured_by(name)?;
                captures.insert(format!("{name}:{step}"));
                Some(format!("{{={name}}}"))
            })
        });
        let captures: Vec<String> = captures.into_iter().collect();
        (text, word("captures", &captures))
    }

    /// A value, if it is known.
    fn value(&self, name: &str) -> Option<String> {
        if let Some(value) = self.known.value(name, self.on, self.user) {
            return Some(value.to_owned());
        }
        match self.node.node.text(name) {
            Ok(Text::Plain(value)) if self.captured_by(name).is_none() => Some(value),
            _ => None,
        }
    }

    fn captured_by(&self, name: &str) -> Option<usize> {
        let mut captures = self.node.captures.iter();
        let capture = captures.find(|capture| capture.name == name);
        capture.map(|capture| capture.number)
    }
}

/// Formats ` 'key=a b'`; empty without names.
fn word(key: &str, names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!(" {}", shell_word(&format!("{key}={}", names.join(" "))))
}
