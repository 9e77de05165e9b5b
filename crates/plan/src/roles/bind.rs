//! Binds roles to nodes from the words of a request. Reports all problems at once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::manual::{Count, Procedure, Role, Spanned};
use crate::nodes::Nodes;
use crate::source::{Problem, Source, Span, nearest};

/// The nodes of each role, in the order of the contract and of the nodes' definition.
pub(crate) type Cast = IndexMap<String, Vec<String>>;

/// The most names in a hint.
const MOST: usize = 8;

/// Binds the roles of a procedure from `ROLE=SELECTOR` words. An invalid role gets no nodes and a
/// problem.
pub(super) fn bind(
    nodes: &Nodes,
    procedure: &Procedure,
    words: &[String],
    problems: &mut Vec<Problem>,
) -> Cast {
    let line = Line::new(procedure, words);
    let mut given: IndexMap<&str, Span> = IndexMap::new();
    let mut cast: Cast = procedure
        .roles
        .keys()
        .map(|role| (role.clone(), Vec::new()))
        .collect();
    for (word, range) in words.iter().zip(&line.words) {
        let Some((name, selector)) = word.split_once('=') else {
            continue;
        };
        let of_name = line.span(range.start..range.start + name.len());
        let Some(role) = procedure.roles.get(name) else {
            problems.push(unknown(procedure, name, of_name));
            continue;
        };
        if let Some(first) = given.get(name) {
            problems.push(twice(name, role, of_name, first.clone()));
            continue;
        }
        let of_selector = line.span(range.end - selector.len()..range.end);
        given.insert(name, of_selector.clone());
        let selector = Spanned {
            value: selector.to_owned(),
            span: of_selector,
        };
        match selected(nodes, name, role, &selector) {
            Ok(names) => {
                cast.insert(name.to_owned(), names);
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(in_two_roles(&cast, &given));
    match no_role(procedure, words, &line) {
        Some(problem) => problems.push(problem),
        None => problems.extend(missing(nodes, procedure, &given)),
    }
    cast
}

/// Reports words that are not `ROLE=SELECTOR`.
fn no_role(procedure: &Procedure, words: &[String], line: &Line) -> Option<Problem> {
    let positional = words.iter().zip(&line.words);
    let positional = positional.filter(|(word, _)| !word.contains('='));
    let (names, places): (Vec<String>, Vec<&Range<usize>>) = positional
        .map(|(word, range)| (format!("`{word}`"), range))
        .unzip();
    let first = (*places.first()?).clone();
    let is = if names.len() == 1 { "is" } else { "are" };
    let message = format!("{} {is} bound to no role", names.join(", "));
    let problem = Problem::error("no-role", line.span(first), message);
    Some(problem.hint(format!("`{}` takes {}", procedure.id, takes(procedure))))
}

/// Reports roles that no word binds.
fn missing(nodes: &Nodes, procedure: &Procedure, given: &IndexMap<&str, Span>) -> Vec<Problem> {
    let missing = procedure
        .roles
        .iter()
        .filter(|(name, role)| role.count != Count::Any && !given.contains_key(name.as_str()));
    missing
        .map(|(name, role)| not_bound(nodes, procedure, name, role))
        .collect()
}

/// The command as entered, for excerpts in problems.
struct Line {
    source: Arc<Source>,
    words: Vec<Range<usize>>,
}

impl Line {
    fn new(procedure: &Procedure, words: &[String]) -> Line {
        let mut text = format!("opsbook run {}", procedure.id);
        let words = words.iter().map(|word| {
            text.push(' ');
            let start = text.len();
            text.push_str(word);
            start..text.len()
        });
        let words = words.collect();
        Line {
            source: Source::new("command line", text),
            words,
        }
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span::new(&self.source, range)
    }
}

fn selected(
    nodes: &Nodes,
    name: &str,
    role: &Role,
    selector: &Spanned<String>,
) -> Result<Vec<String>, Problem> {
    let able = nodes.select_at(&role.nodes)?;
    if selector.value.trim().is_empty() {
        let message = format!("`{name}=` names no node");
        let problem = Problem::error("not-bound", selector.span.clone(), message);
        return Err(match role.count {
            Count::Any => problem.hint("omit the argument if there is none"),
            Count::One | Count::Several => problem.hint(may_be(&able)),
        });
    }
    let names = nodes.select_at(selector)?;
    let not_able = names.iter().filter(|node| !able.contains(node));
    let not_able: Vec<String> = not_able.map(|node| format!("`{node}`")).collect();
    if !not_able.is_empty() {
        let message = format!("{} may not be bound to `{name}`", listed(&not_able));
        let problem = Problem::error("node-not-allowed", selector.span.clone(), message);
        return Err(problem.hint(may_be(&able)));
    }
    if role.count == Count::One && names.len() != 1 {
        let message = format!(
            "`{name}` takes one node, but got {}: {}",
            names.len(),
            listed(&names)
        );
        let problem = Problem::error("wrong-count", selector.span.clone(), message);
        return Err(problem.hint("name one of them"));
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

fn unknown(procedure: &Procedure, name: &str, span: Span) -> Problem {
    let message = format!("`{}` has no role `{name}`", procedure.id);
    let problem = Problem::error("no-such-role", span, message);
    let known = procedure.roles.keys().map(String::as_str);
    match nearest(name, known.clone()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None if procedure.params.contains_key(name) => {
            problem.hint(format!("it is a parameter: use `--set {name}=…`"))
        }
        None => problem.hint(format!("its roles are {}", takes(procedure))),
    }
}

fn twice(name: &str, role: &Role, span: Span, first: Span) -> Problem {
    let message = format!("`{name}` is bound twice");
    let problem = Problem::error("bound-twice", span, message).note(first, "it is bound here");
    match role.count {
        Count::One => problem.hint("it is one node"),
        Count::Several | Count::Any => {
            problem.hint(format!("join the nodes by commas: `{name}=web1,web2`"))
        }
    }
}

fn not_bound(nodes: &Nodes, procedure: &Procedure, name: &str, role: &Role) -> Problem {
    let help = role.help.as_ref();
    let help = help.map(|help| format!(": {help}")).unwrap_or_default();
    let message = format!("`{}` needs the role `{name}`{help}", procedure.id);
    let problem = Problem::error("not-bound", role.span.clone(), message);
    match nodes.select_at(&role.nodes) {
        Ok(able) => problem.hint(format!("give it as `{name}=NODE`; {}", may_be(&able))),
        Err(wrong) => wrong,
    }
}

fn in_two_roles(cast: &Cast, given: &IndexMap<&str, Span>) -> Vec<Problem> {
    let mut first: HashMap<&str, &str> = HashMap::new();
    let mut problems = Vec::new();
    for (role, nodes) in cast {
        for node in nodes {
            let Some(other) = first.insert(node, role) else {
                continue;
            };
            let (Some(span), Some(note)) = (given.get(role.as_str()), given.get(other)) else {
                continue;
            };
            let message = format!("`{node}` is bound to `{other}` and to `{role}`");
            problems.push(
                Problem::error("in-two-roles", span.clone(), message)
                    .note(note.clone(), format!("`{other}` is bound here"))
                    .hint("a machine has only one role in a run"),
            );
        }
    }
    problems
}

/// All roles with their descriptions: `old=NODE (the primary of today), …`.
fn takes(procedure: &Procedure) -> String {
    let roles = procedure.roles.iter().map(|(name, role)| {
        let nodes = match role.count {
            Count::One => "NODE",
            Count::Several | Count::Any => "NODES",
        };
        let count = (role.count == Count::Any).then_some("or none");
        let about: Vec<&str> = role.help.as_deref().into_iter().chain(count).collect();
        match about.join("; ") {
            about if about.is_empty() => format!("{name}={nodes}"),
            about => format!("{name}={nodes} ({about})"),
        }
    });
    let roles: Vec<String> = roles.collect();
    roles.join(", ")
}

fn may_be(able: &[&str]) -> String {
    format!("it may be {}", listed(able))
}

/// The first of them, as a list of names.
fn listed(names: &[impl AsRef<str>]) -> String {
    let first: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(MOST) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
