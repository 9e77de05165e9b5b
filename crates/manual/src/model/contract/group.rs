//! Groups of checks: kinds of resources, resources, and the assertions about each.

use std::sync::LazyLock;

use regex::Regex;

use super::Words;
use super::values::{checked, map_of, no_id, string};
use crate::model::attributes::id;
use crate::source::{Passage, Problem, Span};
use crate::yaml::{Entry, Value};
use crate::{Spanned, TypedCheck, When};

/// The contract of a group of checks.
#[derive(Debug, Default)]
pub(crate) struct GroupContract {
    pub id: Option<Spanned<String>>,
    pub nodes: Option<Spanned<String>>,
    pub when: When,
    pub typed: Vec<TypedCheck>,
    pub words: Words,
}

/// Reads a block tagged `checks`. Every key except `id`, `nodes`, `when` and `state` is a kind of
/// resource.
pub(crate) fn group(text: &Passage, place: &Span, problems: &mut Vec<Problem>) -> GroupContract {
    let mut contract = GroupContract::default();
    let templates = go_templates(text);
    if !templates.is_empty() {
        problems.extend(templates);
        return contract;
    }
    let Some(map) = map_of(text, place, "a group of checks", problems) else {
        return contract;
    };
    let has_id = map.contains_key("id");
    let mut state = None;
    for (key, entry) in map {
        match key.as_str() {
            "id" => contract.id = checked(&entry.value, "an id", id, problems),
            "nodes" => contract.nodes = string(&entry.value, "a selector", problems),
            "when" => {
                let read = checked(&entry.value, "`needed`", when, problems);
                contract.when = read.map_or(When::Needed, |when| when.value);
            }
            "state" if matches!(entry.value.value, Value::Bool(_)) => {
                state = matches!(entry.value.value, Value::Bool(true)).then(|| entry.key.clone());
            }
            "state" if !matches!(entry.value.value, Value::Map(_)) => {
                let message = format!("`state` cannot be {}", entry.value.kind());
                let problem = Problem::error("bad-contract", entry.value.span, message);
                problems.push(problem.hint("write `state: true`, or remove it"));
            }
            key if contract.words.read(key, &entry.value, problems) => {}
            _ => typed(&key, entry, &mut contract.typed, problems),
        }
    }
    contract.typed.shrink_to_fit();
    if let Some(span) = state {
        if contract.when == When::Needed {
            let message = "a state is evaluated only where a role needs it: remove `when`";
            problems.push(Problem::error("bad-contract", span, message));
        }
        contract.when = When::State;
    }
    if !has_id {
        problems.push(no_id(place, "group of checks"));
    }
    contract
}

fn when(word: &str) -> Result<When, String> {
    match word {
        "needed" => Ok(When::Needed),
        _ => Err(format!("`when` must be `needed` or absent, not `{word}`")),
    }
}

/// The lines of a gossfile that are YAML only after Go's template engine ran. Format strings of
/// commands, as in `docker ps --format '{{.Names}}'`, do not count.
#[must_use]
pub fn go_templates(text: &Passage) -> Vec<Problem> {
    static TEMPLATE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^\s*(?:- )?(\{\{.*)|^[^'|#]*:\s+(\{\{.*)|(\{\{[^}]*\.(?:Vars\b|Env\.).*)")
            .expect("a constant pattern")
    });
    let mut problems = Vec::new();
    if !text.text.contains("{{") {
        return problems;
    }
    let mut at = 0;
    for line in text.text.split_inclusive('\n') {
        let code = line.trim_end();
        if !code.trim_start().starts_with('#')
            && let Some(found) = TEMPLATE.captures(code)
            && let Some(template) = found.iter().skip(1).flatten().next()
        {
            let span = text.span(at + template.start()..at + template.end());
            let message = "Go templates are not supported";
            let problem = Problem::error("go-template", span, message);
            problems
                .push(problem.hint("write the value out, or `${name}` for a value of the node"));
        }
        at += line.len();
    }
    problems
}

/// `service: {nginx: {running: true}, ssh: …}`.
fn typed(kind: &str, entry: Entry, checks: &mut Vec<TypedCheck>, problems: &mut Vec<Problem>) {
    let Entry { key, value } = entry;
    let what = value.kind();
    let Value::Map(resources) = value.value else {
        let message = format!("`{kind}` has {what}, not resources with their attributes");
        problems.push(
            Problem::error("bad-contract", key, message)
                .hint(format!("write each as a key: `{kind}: {{NAME: {{…}}}}`"))
                .did_you_mean(kind, ["id", "nodes", "when", "state"]),
        );
        return;
    };
    if resources.is_empty() {
        problems.push(Problem::error(
            "empty-contract",
            key.clone(),
            format!("`{kind}` names no resource"),
        ));
    }
    for (_, resource) in resources.iter().filter(|(name, _)| name.is_empty()) {
        let message = format!("this resource of `{kind}` has no name");
        problems.push(Problem::error(
            "bad-contract",
            resource.key.clone(),
            message,
        ));
    }
    checks.extend(
        resources
            .into_iter()
            .map(|(resource, attributes)| TypedCheck {
                kind: Spanned {
                    value: kind.to_owned(),
                    span: key.clone(),
                },
                resource: Spanned {
                    value: resource,
                    span: attributes.key,
                },
                attributes: attributes.value,
            }),
    );
}
