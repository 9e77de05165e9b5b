//! A planned step as text: journalled, hashed, and compared on a resume. It contains no values,
//! because the text that runs contains none.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::interpolation::Interpolated;
use crate::manual::{DeliveryFrom, On};
use crate::{Ask, Case, PlannedStep, PlannedWork};

/// The whole step on a few lines.
///
/// `place` says where it runs: a side, or a role. `checks` are the checks after it.
pub(super) fn text<'a>(
    step: &PlannedStep,
    place: &str,
    checks: impl IntoIterator<Item = &'a Case>,
) -> String {
    let mut text = String::new();
    let mut attributes = vec![format!("on={place}")];
    attributes.extend(step.sudo.as_ref().map(|user| format!("sudo={}", user.0)));
    attributes.extend(step.capture.as_ref().map(|name| format!("capture={name}")));
    if step.exit != [0] {
        let exits: Vec<String> = step.exit.iter().map(ToString::to_string).collect();
        attributes.push(format!("exit={}", exits.join(",")));
    }
    for (set, word) in [
        (step.confirm, "confirm"),
        (step.reboot, "reboot"),
        (step.setup, "setup"),
    ] {
        attributes.extend(set.then(|| word.to_owned()));
    }
    let _ = writeln!(text, "step {} {}", step.name, attributes.join(" "));
    if let Some(placed) = &step.placed {
        // The text is compared like a delivered file.
        if let DeliveryFrom::Placed(body) = &placed.file.from {
            let sum = sha256(&body.text);
            let _ = writeln!(text, "--- place {} inline {sum}", placed.words());
        }
    }
    match &step.work {
        PlannedWork::Script(_) if step.placed.is_some() => {}
        PlannedWork::Script(script) => {
            let _ = writeln!(text, "--- {}", script.interpreter);
            lines(&mut text, &script.text);
            for command in &script.commands {
                if let Some(expect) = &command.expect {
                    lines(&mut text, &format!("--- expect\n{}", expect.text.text));
                }
            }
        }
        PlannedWork::Deliver(files) => {
            for file in files {
                let from = match &file.from {
                    DeliveryFrom::File(path) => format!("file {path}"),
                    DeliveryFrom::Tree(path) => format!("tree {path}"),
                    DeliveryFrom::Template(path) => format!("template {path}"),
                    DeliveryFrom::Machine { role, path, .. } => format!("machine {role} {path}"),
                    DeliveryFrom::Inline(body) | DeliveryFrom::Placed(body) => {
                        format!("inline {}", sha256(&body.text))
                    }
                };
                let _ = writeln!(
                    text,
                    "--- deliver {from} as {} mode {:04o}",
                    file.to, file.mode
                );
            }
        }
        PlannedWork::Manual(what) => lines(&mut text, &format!("--- manual\n{what}")),
    }
    if let Some(expect) = &step.expect {
        lines(&mut text, &format!("--- expect\n{}", expect.text.text));
    }
    text.extend(checks.into_iter().map(of_check));
    text
}

/// The side of a step in a procedure without roles.
pub(super) fn side(on: On) -> &'static str {
    match on {
        On::Node => "node",
        On::Local => "local",
    }
}

pub(super) fn of_check(case: &Case) -> String {
    let mut text = format!("--- check {}\n", case.name);
    match &case.ask {
        Ask::Script { script, expect, .. } => {
            lines(&mut text, &script.text);
            if let Some(expect) = expect {
                lines(&mut text, &format!("--- expect\n{}", expect.text.text));
            }
        }
        Ask::Probe { .. } => {}
    }
    text
}

/// A check and its values as text: a recorded result is valid while this stays the same. For a
/// secret it has the place, for a value known only in a run the name.
pub(super) fn case(case: &Case) -> String {
    let mut text = format!("check {:?} {:?}\n", case.on, case.sudo);
    let variables = match &case.ask {
        Ask::Probe {
            assertion,
            bindings,
        } => {
            lines(&mut text, &assertion.asked());
            bindings
        }
        Ask::Script {
            script,
            exit,
            expect,
        } => {
            let _ = writeln!(text, "{} {exit:?}", script.interpreter);
            lines(&mut text, &script.text);
            let commands = script.commands.iter();
            let expects = commands.filter_map(|command| command.expect.as_ref());
            for expect in expects.chain(expect) {
                let filled = Interpolated::read(&expect.text.text)
                    .fill(|name| case.node.text(name).ok().map(|text| format!("{text:?}")));
                lines(&mut text, &format!("{:?} {filled:?}", expect.kind));
            }
            &script.bindings
        }
    };
    for variable in variables {
        let _ = writeln!(text, "{variable:?}");
    }
    text
}

fn lines(text: &mut String, more: &str) {
    text.push_str(more);
    if !more.ends_with('\n') {
        text.push('\n');
    }
}

/// SHA-256 as hexadecimal digits.
pub(super) fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
