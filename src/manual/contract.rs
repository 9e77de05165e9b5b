//! YAML blocks -> what they declare: the contract of a procedure, a group of checks, a
//! delivery. Every key that is not known is a problem.

use std::sync::LazyLock;
use std::time::Duration;

use indexmap::IndexMap;
use regex::Regex;
use regex_syntax::ast::parse::Parser as Ast;

use crate::manual::attributes::{bundle_name, id, mode, name, own_name, positive};
use crate::manual::{Delivery, DeliveryFrom, Param, Spanned, TypedCheck};
use crate::source::{Passage, Problem, Span, nearest};
use crate::yaml::{self, Entry, Map, Value, Yaml};

/// The contract of a procedure.
#[derive(Debug, Default)]
pub(crate) struct ProcedureContract {
    pub id: Option<Spanned<String>>,
    pub nodes: Option<Spanned<String>>,
    pub needs: Vec<Spanned<String>>,
    pub timeout: Option<Duration>,
    pub params: IndexMap<String, Param>,
    pub replace: IndexMap<String, Spanned<String>>,
}

/// The contract of a group of checks.
#[derive(Debug, Default)]
pub(crate) struct GroupContract {
    pub id: Option<Spanned<String>>,
    pub nodes: Option<Spanned<String>>,
    pub typed: Vec<TypedCheck>,
}

const PROCEDURE: [&str; 6] = ["id", "nodes", "needs", "timeout", "params", "replace"];
const PARAM: [&str; 4] = ["required", "default", "pattern", "help"];
const DELIVERY: [&str; 5] = ["file", "tree", "template", "as", "mode"];

/// Reads a block tagged `procedure`; `place` is its fence.
pub(crate) fn procedure(
    text: &Passage,
    place: &Span,
    problems: &mut Vec<Problem>,
) -> ProcedureContract {
    let mut contract = ProcedureContract::default();
    let Some(map) = map_of(text, place, "a procedure", problems) else {
        return contract;
    };
    for (key, entry) in &map {
        let value = &entry.value;
        match key.as_str() {
            "id" => contract.id = checked(value, "an id", id, problems),
            "nodes" => contract.nodes = string(value, "a selector", problems),
            "needs" => contract.needs = strings(value, "groups of checks", problems),
            "timeout" => contract.timeout = time(value, problems),
            "params" => contract.params = params(value, problems),
            "replace" => contract.replace = replacements(value, problems),
            _ => problems.push(unknown_key(key, entry, "a procedure", &PROCEDURE)),
        }
    }
    if !map.contains_key("id") && !map.keys().any(|key| is_misspelt_id(key)) {
        problems.push(no_id(place, "procedure"));
    }
    contract
}

/// Reads a block tagged `checks`. What is neither `id` nor `nodes` is a kind of resource.
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
    for (key, entry) in map {
        match key.as_str() {
            "id" => contract.id = checked(&entry.value, "an id", id, problems),
            "nodes" => contract.nodes = string(&entry.value, "a selector", problems),
            _ => typed(&key, entry, &mut contract.typed, problems),
        }
    }
    if !has_id {
        problems.push(no_id(place, "group of checks"));
    }
    contract
}

/// The lines of a gossfile that only Go's templates would make into YAML. What a command
/// formats, as in `docker ps --format '{{.Names}}'`, is none of them.
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
            let message = "Go templates are not read here";
            let problem = Problem::error("go-template", span, message);
            problems
                .push(problem.hint("write the value out, or `${name}` for a value of the node"));
        }
        at += line.len();
    }
    problems
}

/// Reads a block tagged `deliver`: one delivery, or a list of them.
pub(crate) fn deliveries(
    text: &Passage,
    place: &Span,
    problems: &mut Vec<Problem>,
) -> Vec<Delivery> {
    let Some(yaml) = document(text, problems) else {
        problems.push(empty(place, "a delivery"));
        return Vec::new();
    };
    match &yaml.value {
        Value::Seq(items) if items.is_empty() => {
            problems.push(empty(place, "a delivery"));
            Vec::new()
        }
        Value::Seq(items) => items
            .iter()
            .filter_map(|item| delivery(item, problems))
            .collect(),
        _ => delivery(&yaml, problems).into_iter().collect(),
    }
}

fn delivery(item: &Yaml, problems: &mut Vec<Problem>) -> Option<Delivery> {
    let map = as_map(item, "a delivery", problems)?;
    let mut sources = Vec::new();
    let mut to = None;
    let mut bits = None;
    let mut unknown = false;
    for (key, entry) in map {
        let value = &entry.value;
        match key.as_str() {
            "file" | "tree" | "template" => {
                let name = string(value, "a name", problems)?;
                sources.push((key.as_str(), name, entry.key.clone()));
            }
            "as" => to = checked(value, "a name", bundle_name, problems),
            "mode" => bits = checked(value, "a mode", mode, problems),
            _ => {
                unknown = true;
                problems.push(unknown_key(key, entry, "a delivery", &DELIVERY));
            }
        }
    }
    if sources.is_empty() && unknown {
        return None;
    }
    if sources.len() != 1 {
        let span = sources.get(1).map_or(&item.span, |(.., span)| span).clone();
        problems.push(Problem::error(
            "delivery-source",
            span,
            "a delivery has one of `file`, `tree` and `template`",
        ));
        return None;
    }
    let (kind, name, _) = sources.remove(0);
    let to = match to {
        Some(to) => to.value,
        None => last_part(&name, problems)?,
    };
    let span = name.span.clone();
    let from = match kind {
        "file" => DeliveryFrom::File(name.value),
        "tree" => DeliveryFrom::Tree(name.value),
        _ => DeliveryFrom::Template(name.value),
    };
    Some(Delivery {
        span,
        from,
        to,
        mode: bits.map_or(0o600, |mode| mode.value),
    })
}

/// The name in the bundle where the author gives none.
fn last_part(name: &Spanned<String>, problems: &mut Vec<Problem>) -> Option<String> {
    let last = name.value.rsplit('/').find(|part| !part.is_empty());
    if let Some(Ok(last)) = last.map(bundle_name) {
        return Some(last);
    }
    problems.push(Problem::error(
        "delivery-name",
        name.span.clone(),
        format!("`{}` gives no name for the bundle", name.value),
    ));
    None
}

/// `service: {nginx: {running: true}, ssh: …}`.
fn typed(kind: &str, entry: Entry, checks: &mut Vec<TypedCheck>, problems: &mut Vec<Problem>) {
    let Entry { key, value } = entry;
    let what = value.kind();
    let Value::Map(resources) = value.value else {
        let message = format!("`{kind}` holds {what}, not resources with their attributes");
        problems
            .push(Problem::error("bad-contract", key, message).did_you_mean(kind, ["id", "nodes"]));
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

fn params(value: &Yaml, problems: &mut Vec<Problem>) -> IndexMap<String, Param> {
    let mut params = IndexMap::new();
    for (key, entry) in as_map(value, "parameters", problems).into_iter().flatten() {
        if let Err(message) = own_name(key) {
            problems.push(Problem::error("bad-name", entry.key.clone(), message));
            continue;
        }
        params.insert(key.clone(), param(entry, problems));
    }
    params
}

/// A map of the parameter's keys; a bare scalar is its default, nothing at all is required.
fn param(entry: &Entry, problems: &mut Vec<Problem>) -> Param {
    let mut param = Param {
        span: entry.key.clone(),
        required: false,
        default: None,
        pattern: None,
        help: None,
    };
    let Value::Map(map) = &entry.value.value else {
        match &entry.value.value {
            Value::Null => param.required = true,
            Value::Seq(_) => problems.push(wrong_kind(&entry.value, "a parameter")),
            _ => param.default = entry.value.text().map(str::to_owned),
        }
        return param;
    };
    for (key, entry) in map {
        let value = &entry.value;
        match key.as_str() {
            "required" => match value.value {
                Value::Bool(required) => param.required = required,
                _ => problems.push(wrong_kind(value, "`required`")),
            },
            "default" => param.default = string(value, "a default", problems).map(|s| s.value),
            "pattern" => {
                param.pattern = checked(value, "a pattern", pattern, problems).map(|s| s.value);
            }
            "help" => param.help = string(value, "a help text", problems).map(|s| s.value),
            _ => problems.push(unknown_key(key, entry, "a parameter", &PARAM)),
        }
    }
    if let (true, Some(default)) = (param.required, map.get("default")) {
        problems.push(Problem::error(
            "bad-contract",
            default.key.clone(),
            "a required parameter has no default",
        ));
    }
    if let (Some(default), Some(pattern)) = (&param.default, &param.pattern) {
        let fits = Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|re| re.is_match(default));
        if let (false, Some(entry)) = (fits, map.get("default")) {
            problems.push(Problem::error(
                "bad-contract",
                entry.value.span.clone(),
                format!("the default `{default}` does not match the pattern"),
            ));
        }
    }
    param
}

/// Only parsed here: to compile a pattern costs more than all the rest of a page.
fn pattern(text: &str) -> Result<String, String> {
    let whole = format!("^(?:{text})$");
    let wrong = |error: String| {
        let last = error.lines().last().unwrap_or_default();
        let last = last.trim_start_matches("error: ");
        format!("this pattern is no regular expression: {last}")
    };
    Ast::new()
        .parse(&whole)
        .map_err(|error| wrong(error.to_string()))?;
    // Names of Unicode classes are looked up later than the rest.
    if text.contains(r"\p") || text.contains(r"\P") {
        regex_syntax::parse(&whole).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(text.to_owned())
}

fn replacements(value: &Yaml, problems: &mut Vec<Problem>) -> IndexMap<String, Spanned<String>> {
    let mut replace = IndexMap::new();
    for (key, entry) in as_map(value, "placeholders", problems)
        .into_iter()
        .flatten()
    {
        if key.trim().is_empty() {
            problems.push(Problem::error(
                "bad-contract",
                entry.key.clone(),
                "a placeholder is not empty",
            ));
            continue;
        }
        if let Some(value) = string(&entry.value, "a replacement", problems) {
            if let Err(message) = references(&value.value) {
                problems.push(Problem::error("bad-contract", value.span.clone(), message));
            }
            replace.insert(key.clone(), value);
        }
    }
    replace
}

/// `${name}` in a text that has nothing else of the kind.
fn references(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices("${") {
        if text[..at].ends_with('$') {
            continue;
        }
        match text[at + 2..].split_once('}') {
            Some((named, _)) => name(named)?,
            None => return Err("`${` without `}`".to_owned()),
        };
    }
    Ok(())
}

fn document(text: &Passage, problems: &mut Vec<Problem>) -> Option<Yaml> {
    if text.text.trim().is_empty() {
        return None;
    }
    let (yaml, found) = yaml::read(text);
    problems.extend(found);
    yaml.filter(|yaml| yaml.value != Value::Null)
}

fn map_of(text: &Passage, place: &Span, what: &str, problems: &mut Vec<Problem>) -> Option<Map> {
    let before = problems.len();
    match document(text, problems) {
        Some(Yaml {
            value: Value::Map(map),
            ..
        }) => return Some(map),
        Some(yaml) => problems.push(wrong_kind(&yaml, what)),
        None if problems.len() == before => problems.push(empty(place, what)),
        None => {}
    }
    None
}

fn as_map<'a>(value: &'a Yaml, what: &str, problems: &mut Vec<Problem>) -> Option<&'a Map> {
    if let Value::Map(map) = &value.value {
        return Some(map);
    }
    problems.push(wrong_kind(value, what));
    None
}

fn string(value: &Yaml, what: &str, problems: &mut Vec<Problem>) -> Option<Spanned<String>> {
    checked(value, what, |text| Ok(text.to_owned()), problems)
}

fn checked<T>(
    value: &Yaml,
    what: &str,
    check: impl Fn(&str) -> Result<T, String>,
    problems: &mut Vec<Problem>,
) -> Option<Spanned<T>> {
    let text = value.text().filter(|_| value.value != Value::Null);
    let Some(text) = text else {
        problems.push(wrong_kind(value, what));
        return None;
    };
    match check(text) {
        Ok(checked) => Some(Spanned {
            value: checked,
            span: value.span.clone(),
        }),
        Err(message) => {
            problems.push(Problem::error("bad-contract", value.span.clone(), message));
            None
        }
    }
}

fn strings(value: &Yaml, what: &str, problems: &mut Vec<Problem>) -> Vec<Spanned<String>> {
    match &value.value {
        Value::Seq(items) => items
            .iter()
            .filter_map(|item| string(item, what, problems))
            .collect(),
        _ => string(value, what, problems).into_iter().collect(),
    }
}

fn time(value: &Yaml, problems: &mut Vec<Problem>) -> Option<Duration> {
    checked(value, "a duration", positive, problems).map(|time| time.value)
}

fn wrong_kind(value: &Yaml, what: &str) -> Problem {
    Problem::error(
        "bad-contract",
        value.span.clone(),
        format!("{what} cannot be {}", value.kind()),
    )
}

fn unknown_key(key: &str, entry: &Entry, what: &str, known: &[&'static str]) -> Problem {
    Problem::error(
        "unknown-key",
        entry.key.clone(),
        format!("unknown key `{key}` of {what}"),
    )
    .did_you_mean(key, known.iter().copied())
}

/// Said to be unknown, with the hint that it is meant to be `id`.
fn is_misspelt_id(key: &str) -> bool {
    !PROCEDURE.contains(&key) && nearest(key, PROCEDURE) == Some("id")
}

fn no_id(place: &Span, what: &str) -> Problem {
    Problem::error("no-id", place.clone(), format!("this {what} has no `id`"))
}

fn empty(place: &Span, what: &str) -> Problem {
    Problem::error(
        "empty-contract",
        place.clone(),
        format!("{what} cannot be empty"),
    )
}
