//! Finds errors beyond those of parsing, before anything runs: shell syntax, hidden characters,
//! expectations that no output can meet, broken links. `plan` compares the variables with those
//! that nodes define.

mod hidden;
mod links;

use crate::SudoUser;
use crate::model::coverage::is_undeclared_shell;
use crate::model::order;
use crate::shell::person::As;
use crate::shell::problems::check;
use crate::source::{Problem, Severity};
use crate::threads::side_by_side;
use crate::{Block, Check, Expect, Manual, Page, Procedure, Script, Step, Work, expect};

/// Lints a manual. Returns problems in source order, without those that `load` reported.
#[must_use]
pub fn lint(manual: &Manual) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(syntax_of(&scripts(manual).collect::<Vec<_>>()));
    for expect in expectations(manual) {
        flaws(expect, &mut problems);
    }
    for page in &manual.pages {
        blocks(manual, page, &mut problems);
    }
    links::check(manual, &mut problems);
    order::sort(manual, &mut problems);
    problems
}

/// Scripts are independent of each other, so they are parsed in parallel.
fn syntax_of(scripts: &[(&Script, As)]) -> Vec<Problem> {
    const LEAST: usize = 200;
    side_by_side(scripts.to_vec(), LEAST, |scripts| {
        let mut problems = Vec::new();
        for (script, who) in scripts {
            check(script, who, &mut problems);
        }
        problems
    })
}

fn blocks(manual: &Manual, page: &Page, problems: &mut Vec<Problem>) {
    for block in &page.blocks {
        if block.kind.is_some() {
            hidden::check(page, block, problems);
        }
        if manual.settings.strict && is_undeclared_shell(block) && !block.is_misread {
            problems.push(undeclared(block));
        }
    }
}

fn undeclared(block: &Block) -> Problem {
    Problem::error(
        "undeclared-block",
        block.span.clone(),
        "this shell block has no kind",
    )
    .hint("write `step`, `check`, or `example` (never run) after the language")
}

fn flaws(expect: &Expect, problems: &mut Vec<Problem>) {
    for (range, why) in expect::flaws(&expect.text.text, expect.kind) {
        let span = expect.text.span(range);
        problems.push(Problem::error("bad-expectation", span, why));
    }
}

fn steps(manual: &Manual) -> impl Iterator<Item = &Step> {
    manual
        .procedures
        .values()
        .chain(&manual.doubles.procedures)
        .flat_map(|procedure| &procedure.steps)
}

fn checks(manual: &Manual) -> impl Iterator<Item = &Check> {
    let groups = manual.groups.values().chain(&manual.doubles.groups);
    let of_groups = groups.flat_map(|group| &group.checks);
    let procedures = manual.procedures.values();
    let procedures = procedures.chain(&manual.doubles.procedures);
    procedures.flat_map(Procedure::checks).chain(of_groups)
}

fn scripts(manual: &Manual) -> impl Iterator<Item = (&Script, As)> {
    let who = |sudo: &Option<SudoUser>| match sudo {
        Some(SudoUser(user)) if user == "root" => As::Root,
        _ => As::Login,
    };
    steps(manual)
        .filter_map(move |step| match &step.work {
            Work::Script(script) => Some((script, who(&step.sudo))),
            Work::Deliver(_) | Work::Manual(_) | Work::Place(_) => None,
        })
        .chain(checks(manual).map(move |check| (&check.script, who(&check.sudo))))
}

fn expectations(manual: &Manual) -> impl Iterator<Item = &Expect> {
    let of_steps = steps(manual).filter_map(|step| step.expect.as_ref());
    let of_checks = checks(manual).filter_map(|check| check.expect.as_ref());
    let of_commands = scripts(manual)
        .flat_map(|(script, _)| &script.commands)
        .filter_map(|command| command.expect.as_ref());
    of_steps.chain(of_checks).chain(of_commands)
}

/// In a manual written for another tool, that tool's rules for links apply.
fn severity(manual: &Manual) -> Severity {
    if manual.listed {
        Severity::Error
    } else {
        Severity::Warning
    }
}

#[cfg(test)]
mod tests;
