//! Shows a procedure or a group of checks in the terminal, like the card in the book.

use std::fmt::Write as _;

use anstyle::Style;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use crate::engine::human;
use crate::manual::{
    Check, Count, Each, Group, Machine, On, Param, Procedure, Role, Step, SudoUser, When, Work,
};
use crate::plan::{STEP_LIMIT, case_name};
use crate::source::{in_one_line, visible};

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
/// The width of the longest term plus two spaces.
const TERMS: usize = 17;

/// A procedure: where it may run, needs, parameters, steps, and its command.
#[must_use]
pub fn procedure(procedure: &Procedure, paint: bool) -> String {
    let mut card = Card::new(&procedure.id, &procedure.title, paint);
    if procedure.roles.is_empty() {
        let nodes = procedure.nodes.as_ref().map(|nodes| nodes.value.as_str());
        card.fact("may run on", [nodes.unwrap_or("any node").to_owned()]);
    }
    card.fact("roles", roles(procedure));
    let same: Vec<String> = procedure
        .same
        .iter()
        .map(|name| name.value.clone())
        .collect();
    let same = (!same.is_empty()).then(|| same.join(", "));
    card.fact("must be equal", same);
    let needs = procedure.needs.iter().map(|need| need.value.clone());
    card.fact("must hold first", needs);
    card.fact("parameters", parameters(procedure));
    let limit = procedure.timeout.unwrap_or(STEP_LIMIT);
    card.fact("time limit", [format!("{} for each step", human(limit))]);
    let width = label_width(procedure);
    let first = procedure
        .before
        .iter()
        .map(|check| check_line("first", check));
    let steps = procedure.steps.iter().flat_map(|step| {
        let mut opens = procedure.sections.iter();
        let opens = opens.find(|each| each.steps.start == step.number);
        let mut after = procedure.after.iter();
        let after = after.find(|(last, _)| *last == step.number);
        let after = after.into_iter().flat_map(|(_, checks)| checks);
        opens
            .into_iter()
            .flat_map(section_lines)
            .chain(step_lines(step, width))
            .chain(after.map(|check| check_line("after all of them", check)))
    });
    card.fact("steps", first.chain(steps));
    card.fact("run it", [procedure.command()]);
    card.fact("written at", [procedure.span.place()]);
    card.text
}

/// A group of checks: where it holds, its checks, and its command.
#[must_use]
pub fn group(group: &Group, paint: bool) -> String {
    let mut card = Card::new(&group.id, &group.title, paint);
    let nodes = group.nodes.as_ref().map(|nodes| nodes.value.as_str());
    let holds = match group.when {
        When::Always | When::Needed => "must hold on",
        When::State => "a state of",
    };
    card.fact(holds, [nodes.unwrap_or("every node").to_owned()]);
    card.fact("checks", checks_of(group));
    card.fact("test it", [format!("opsbook test {}::", group.id)]);
    card.fact("written at", [group.span.place()]);
    card.text
}

/// The same as [`procedure()`], as JSON.
#[must_use]
pub fn procedure_json(procedure: &Procedure) -> Value {
    let param = |(name, param): (&String, &Param)| {
        json!({
            "name": name, "required": param.required, "default": param.default,
            "pattern": param.pattern, "help": param.help,
        })
    };
    let step = |step: &Step| {
        json!({
            "number": step.number, "id": step.id, "title": step.title,
            "place": step.span.place(), "kind": kind(step),
            "on": on(step.on, step.machine.as_ref()),
            "sudo": step.sudo.as_ref().map(|user| &user.0),
            "timeout_s": limit(procedure, step).as_secs_f64(),
            "confirm": step.confirm, "reboot": step.reboot, "setup": step.setup,
            "capture": step.capture, "exit": step.exit,
            "checks": step.checks.iter().map(|check| &check.name).collect::<Vec<_>>(),
        })
    };
    json!({
        "v": 1,
        "procedure": procedure.id, "title": procedure.title, "place": procedure.span.place(),
        "nodes": procedure.nodes.as_ref().map(|nodes| &nodes.value),
        "needs": procedure.needs.iter().map(|need| &need.value).collect::<Vec<_>>(),
        "roles": procedure.roles.iter().map(role_json).collect::<Vec<_>>(),
        "params": procedure.params.iter().map(param).collect::<Vec<_>>(),
        "steps": procedure.steps.iter().map(step).collect::<Vec<_>>(),
        "command": procedure.command(),
    })
}

/// The same as [`group()`], as JSON.
#[must_use]
pub fn group_json(group: &Group) -> Value {
    json!({
        "v": 1,
        "group": group.id, "title": group.title, "place": group.span.place(),
        "nodes": group.nodes.as_ref().map(|nodes| &nodes.value),
        "checks": checks_of(group).collect::<Vec<_>>(),
    })
}

struct Card {
    text: String,
    faint: Style,
}

impl Card {
    fn new(id: &str, title: &str, paint: bool) -> Card {
        let (bold, faint) = if paint {
            (BOLD, FAINT)
        } else {
            (Style::new(), Style::new())
        };
        let text = format!("{bold}{}{bold:#}  {}\n\n", visible(id), visible(title));
        Card { text, faint }
    }

    /// A term and its lines; nothing without lines.
    fn fact(&mut self, term: &str, lines: impl IntoIterator<Item = String>) {
        let faint = self.faint;
        let mut term = term;
        for line in lines {
            let line = visible(&line);
            // Writing to a string cannot fail.
            let _ = writeln!(
                self.text,
                "{faint}{term:<TERMS$}{faint:#}{}",
                line.trim_end()
            );
            term = "";
        }
    }
}

fn parameters(procedure: &Procedure) -> impl Iterator<Item = String> {
    let names = procedure.params.keys().map(|name| name.width());
    let width = names.max().unwrap_or_default();
    procedure.params.iter().map(move |(name, param)| {
        let value = match (&param.default, param.required) {
            (Some(default), _) if default.is_empty() => "empty by default".to_owned(),
            (Some(default), _) => format!("`{default}` by default"),
            (None, true) => "required".to_owned(),
            (None, false) => "optional".to_owned(),
        };
        let form = param.pattern.as_ref();
        let form = form
            .map(|form| format!(", as `{form}`"))
            .unwrap_or_default();
        let help = param.help.as_ref();
        let help = help.map(|help| format!("  {help}")).unwrap_or_default();
        in_one_line(&format!("{name:<width$}  {value}{form}{help}"))
    })
}

fn label_width(procedure: &Procedure) -> usize {
    let labels = procedure.steps.iter().filter_map(|step| step.id.as_ref());
    labels.map(|id| id.width()).max().unwrap_or_default()
}

/// The step and its checks.
fn step_lines(step: &Step, width: usize) -> Vec<String> {
    let id = step.id.as_deref().unwrap_or_default();
    let padding = " ".repeat(width.saturating_sub(id.width()));
    let gap = if width == 0 { "" } else { "  " };
    let notes = notes(step);
    let notes = if notes.is_empty() {
        notes
    } else {
        format!("  ({notes})")
    };
    let title = step.title.trim_end_matches(':');
    let first = format!("{:>2} {id}{padding}{gap}{title}{notes}", step.number);
    let after = step.checks.iter().map(|check| check_line("then", check));
    std::iter::once(first).chain(after).collect()
}

/// `for each web: first one, then a quarter at a time`, and the checks at the beginning of each
/// turn.
fn section_lines(each: &Each) -> Vec<String> {
    let wait = (!each.wait.is_zero()).then(|| format!(", {} between", human(each.wait)));
    let first = format!("   {}{}", each.words(), wait.unwrap_or_default());
    let before = each.before.iter().map(|check| check_line("first", check));
    std::iter::once(first).chain(before).collect()
}

/// `old  one of @db, where db.primary holds: the primary of today`
fn roles(procedure: &Procedure) -> impl Iterator<Item = String> {
    let names = procedure.roles.keys().map(|name| name.width());
    let width = names.max().unwrap_or_default();
    procedure.roles.iter().map(move |(name, role)| {
        let needs: Vec<&str> = role.needs.iter().map(|need| need.value.as_str()).collect();
        let needs = match needs.as_slice() {
            [] => String::new(),
            [need] => format!(", where {need} holds"),
            needs => format!(", where {} hold", needs.join(", ")),
        };
        let help = role.help.as_ref().map(|help| format!("  {help}"));
        let line = format!(
            "{name:<width$}  {} {}{needs}{}",
            role.how_many(),
            role.nodes.value,
            help.unwrap_or_default()
        );
        in_one_line(&line)
    })
}

fn role_json((name, role): (&String, &Role)) -> Value {
    json!({
        "name": name, "nodes": role.nodes.value, "help": role.help,
        "count": match role.count { Count::One => "1", Count::Several => "1+", Count::Any => "0+" },
        "needs": role.needs.iter().map(|need| &need.value).collect::<Vec<_>>(),
    })
}

/// In the words of the fence.
fn on(side: On, machine: Option<&Machine>) -> String {
    match (side, machine) {
        (On::Local, _) => "local".to_owned(),
        (On::Node, None) => "node".to_owned(),
        (On::Node, Some(Machine::Role(role))) => role.clone(),
        (On::Node, Some(Machine::All(role))) => format!("all:{role}"),
    }
}

fn check_line(when: &str, check: &Check) -> String {
    let place = place(check.on, check.machine.as_ref(), check.sudo.as_ref());
    let place = place
        .map(|place| format!("  ({place})"))
        .unwrap_or_default();
    format!("     {when} check {}{place}", case_name(&check.name))
}

/// Everything unusual about a step.
fn notes(step: &Step) -> String {
    let mut notes = Vec::new();
    match kind(step) {
        "manual" => notes.push("by hand".to_owned()),
        "deliver" => notes.push("delivers files".to_owned()),
        _ => {}
    }
    if kind(step) == "script" || step.machine.is_some() {
        notes.extend(place(step.on, step.machine.as_ref(), step.sudo.as_ref()));
    }
    for (is, note) in [
        (step.confirm, "asks first"),
        (step.reboot, "restarts the node"),
        (step.setup, "runs again on resume"),
    ] {
        notes.extend(is.then(|| note.to_owned()));
    }
    let capture = step.capture.as_ref();
    notes.extend(capture.map(|name| format!("its output becomes ${name}")));
    notes.extend(
        step.timeout
            .map(|limit| format!("at most {}", human(limit))),
    );
    notes.join(", ")
}

fn place(on: On, machine: Option<&Machine>, sudo: Option<&SudoUser>) -> Option<String> {
    let machine = match machine {
        None => return side(on, sudo),
        Some(machine) => machine.place(),
    };
    Some(match sudo {
        None => machine,
        Some(user) => format!("{machine} as {}", user.0),
    })
}

fn side(on: On, sudo: Option<&SudoUser>) -> Option<String> {
    match (on, sudo) {
        (On::Node, None) => None,
        (On::Node, Some(user)) => Some(format!("as {}", user.0)),
        (On::Local, None) => Some("on your own machine".to_owned()),
        (On::Local, Some(user)) => Some(format!("on your own machine as {}", user.0)),
    }
}

fn kind(step: &Step) -> &'static str {
    match step.work {
        Work::Script(_) => "script",
        Work::Deliver(_) => "deliver",
        Work::Manual(_) => "manual",
        Work::Place(_) => "file",
    }
}

fn limit(procedure: &Procedure, step: &Step) -> std::time::Duration {
    step.timeout.or(procedure.timeout).unwrap_or(STEP_LIMIT)
}

fn checks_of(group: &Group) -> impl Iterator<Item = String> {
    let typed = group.typed.iter();
    let typed = typed.map(|check| format!("{}/{}", check.kind.value, check.resource.value));
    let scripts = group.checks.iter().map(|check| check.name.clone());
    typed.chain(scripts).map(|name| in_one_line(&name))
}
