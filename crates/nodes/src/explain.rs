//! Explains a node's values, as data: each value, its layer and place, and the values that it
//! overrides. Secrets stay references; nothing looks them up.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value as Json;

use super::{Evaluated, Node, Nodes, Origin, Ssh, Transport, secret};
use crate::source::{Problem, Span, is_hidden, visible};
use crate::yaml::{self, Value, Yaml};

/// One value of a node, explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// The name for scripts.
    pub name: String,
    /// The value after substitution.
    pub value: Json,
    /// The value on one line, for people.
    #[serde(skip)]
    pub shown: String,
    /// Its layer and place.
    #[serde(flatten)]
    pub origin: Place,
    /// The text as written, if substitution changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// Why the value must not be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undefined: Option<String>,
    /// The values that it overrides, the nearest layer first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrode: Vec<Overridden>,
}

/// The layer of a value and, if it has one, its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The layer's description: `defaults`, `group web`, `node web1`, `--set`.
    pub layer: String,
    /// The file; `None` for values that are in no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in that file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// A value of a lower layer that a higher one replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overridden {
    /// As written.
    pub value: String,
    /// Its layer and place.
    #[serde(flatten)]
    pub origin: Place,
}

/// A value that differs between two nodes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The name of the value; within a map, `outer.inner`.
    pub name: String,
    /// The first node's value, if it has one.
    pub left: Option<Explained>,
    /// The second node's value, if it has one.
    pub right: Option<Explained>,
}

/// A node on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The name of the node.
    pub node: String,
    /// The groups that it belongs to, parents before children.
    pub groups: Vec<String>,
    /// How it is reached: `ssh`, `russh`, `local`, `exec`, or the tool of its container.
    pub transport: &'static str,
    /// How it is reached, described.
    pub reached: String,
    /// `rehearse`, `confirm step`.
    pub notes: Vec<String>,
}

/// The values with these names, or all values. The name of a map means all values in it.
pub fn explain(node: &Node, names: &[String]) -> Result<Vec<Explained>, Problem> {
    let mut chosen: Vec<&str> = Vec::new();
    for name in names {
        let found = named(node, name);
        if found.is_empty() {
            return Err(unknown_value(node, name));
        }
        chosen.extend(found);
    }
    if names.is_empty() {
        chosen = node.leaves.keys().map(String::as_str).collect();
        chosen.retain(|name| *name != "node");
        chosen.sort_unstable();
    }
    Ok(chosen
        .into_iter()
        .filter_map(|name| Some(explained(name, node.leaves.get(name)?)))
        .collect())
}

/// The values that differ between two nodes, by name, except the nodes' own names.
#[must_use]
pub fn diff(left: &Node, right: &Node) -> Vec<Difference> {
    let mut names: Vec<_> = left.leaves.keys().chain(right.leaves.keys()).collect();
    names.retain(|name| *name != "node");
    names.sort_unstable();
    names.dedup();
    let one = |node: &Node, name: &str| Some(explained(name, node.leaves.get(name)?));
    let alike = |difference: &Difference| match (&difference.left, &difference.right) {
        (Some(left), Some(right)) => left.value == right.value && left.undefined == right.undefined,
        _ => false,
    };
    names
        .into_iter()
        .map(|name| Difference {
            name: name.clone(),
            left: one(left, name),
            right: one(right, name),
        })
        .filter(|difference| !alike(difference))
        .collect()
}

/// The selected nodes, one per line; a node that cannot be evaluated adds its problems.
pub fn table(
    nodes: &Nodes,
    selector: Option<&str>,
) -> Result<(Vec<Row>, Vec<Problem>), Vec<Problem>> {
    let names = match selector {
        Some(selector) => nodes.select(selector).map_err(|problem| vec![problem])?,
        None => nodes.names().collect(),
    };
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    for name in names {
        match nodes.evaluate(name, &[]) {
            Ok(node) => rows.push(row(&node)),
            Err(more) => problems.extend(more),
        }
    }
    let mut seen = HashSet::new();
    problems.retain(|problem| seen.insert(problem.to_string()));
    if problems.is_empty() || !rows.is_empty() {
        Ok((rows, problems))
    } else {
        Err(problems)
    }
}

fn named<'a>(node: &'a Node, name: &str) -> Vec<&'a str> {
    if let Some((name, _)) = node.leaves.get_key_value(name) {
        return vec![name];
    }
    let within = |leaf: &&String| {
        leaf.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('_'))
    };
    if !node.values.contains_key(name) {
        return Vec::new();
    }
    let leaves = node.leaves.keys();
    leaves.filter(within).map(String::as_str).collect()
}

fn unknown_value(node: &Node, name: &str) -> Problem {
    let known = node.leaves.keys().chain(node.values.keys());
    Problem::bare(
        "unknown-value",
        format!("node `{}` has no value `{name}`", node.name),
    )
    .hint(format!("`opsbook show {}` shows all values", node.name))
    .did_you_mean(name, known.map(String::as_str))
}

fn explained(name: &str, evaluated: &Evaluated) -> Explained {
    Explained {
        name: name.to_owned(),
        value: match evaluated.undefined {
            Some(_) => Json::Null,
            None => yaml::to_json(&evaluated.value),
        },
        shown: match evaluated.undefined {
            Some(_) => "undefined".to_owned(),
            None => shown(&evaluated.value),
        },
        origin: place(&evaluated.origin),
        // A secret is shown as its source, and only once.
        written: evaluated
            .written
            .clone()
            .filter(|_| secret::reference(&evaluated.value).is_none()),
        undefined: evaluated
            .undefined
            .as_ref()
            .map(|problem| problem.message.clone()),
        overrode: evaluated.overrode.iter().map(overridden).collect(),
    }
}

fn place(origin: &Origin) -> Place {
    Place {
        layer: origin.layer.to_string(),
        file: origin
            .span
            .as_ref()
            .map(|span| span.path().display().to_string()),
        line: origin.span.as_ref().map(Span::line),
    }
}

fn overridden(origin: &Origin) -> Overridden {
    let text = origin.span.as_ref().map(Span::text).unwrap_or_default();
    Overridden {
        value: text.split_whitespace().collect::<Vec<_>>().join(" "),
        origin: place(origin),
    }
}

fn row(node: &Node) -> Row {
    let mut notes = Vec::new();
    if node.rehearse {
        notes.push("rehearse".to_owned());
    }
    match node.confirm {
        Some(super::Confirm::Step) => notes.push("confirm step".to_owned()),
        Some(super::Confirm::Run) => notes.push("confirm run".to_owned()),
        Some(super::Confirm::Never) | None => {}
    }
    Row {
        node: node.name.clone(),
        groups: node.groups.clone(),
        transport: match &node.transport {
            Transport::Ssh(ssh) => ssh.word(),
            Transport::Local => "local",
            Transport::Exec(_) => "exec",
            Transport::Container(container) => container.tool.word(),
        },
        reached: node.transport.to_string(),
        notes,
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Transport::Ssh(ssh) => write!(f, "{} {ssh}", ssh.word()),
            Transport::Local => f.write_str("local"),
            Transport::Exec(words) => {
                f.write_str("exec")?;
                words
                    .iter()
                    .try_for_each(|word| write!(f, " {}", text_shown(word)))
            }
            Transport::Container(container) => container.fmt(f),
        }
    }
}

impl std::fmt::Display for Ssh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match &self.jump {
            Some(jump) => write!(f, " through {jump}"),
            None => Ok(()),
        }
    }
}

/// A value on one line: texts unchanged, lists and maps in YAML's flow style, secrets as their
/// source.
fn shown(value: &Yaml) -> String {
    if let Some(reference) = secret::reference(value) {
        return match reference {
            Ok(reference) => visible(&format!("secret ({reference})")),
            Err(_) => "secret".to_owned(),
        };
    }
    match &value.value {
        Value::Seq(values) => {
            let items: Vec<_> = values.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(map) => {
            let pairs = map
                .iter()
                .map(|(key, entry)| format!("{}: {}", text_shown(key), shown(&entry.value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        _ => text_shown(value.text().unwrap_or_default()),
    }
}

/// Quoted if it is empty, has several lines, or contains characters that a terminal does not show.
fn text_shown(text: &str) -> String {
    if text.is_empty() || text.trim() != text || text.contains(is_hidden) {
        return format!("\"{}\"", text.escape_debug());
    }
    text.to_owned()
}
