//! Parses YAML blocks into their declarations: the contract of a procedure, a group of checks, a
//! delivery. Every unknown key is a problem.

mod approve;
mod deliveries;
mod group;
mod params;
mod roles;
mod values;

use std::time::Duration;

use indexmap::IndexMap;

use crate::model::attributes::{allowed, id, own_name};
use crate::shell::variables::name;
use crate::source::{Passage, Problem, Span, nearest};
use crate::yaml::{Map, Yaml};
use crate::{Approve, Param, Role, Spanned};

pub(crate) use deliveries::deliveries;
pub use group::go_templates;
pub(crate) use group::{GroupContract, group};
use params::params;
pub(crate) use roles::each;
use roles::roles;
use values::{as_map, checked, map_of, no_id, string, strings, time, unknown_key};

/// The contract of a procedure.
#[derive(Debug, Default)]
pub(crate) struct ProcedureContract {
    pub id: Option<Spanned<String>>,
    pub nodes: Option<Spanned<String>>,
    pub roles: IndexMap<String, Role>,
    /// Names of roles that could not be read: blocks may still name them.
    pub unread_roles: Vec<String>,
    pub same: Vec<Spanned<String>>,
    pub approve: Option<Approve>,
    pub needs: Vec<Spanned<String>>,
    pub timeout: Option<Duration>,
    pub through: Option<Spanned<String>>,
    pub params: IndexMap<String, Param>,
    pub replace: IndexMap<String, Spanned<String>>,
    pub words: Words,
}

/// The `allow:` and `defined:` of a contract, for the scripts below it.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub defined: Vec<String>,
    pub allow: Vec<String>,
}

/// Validates a word, or returns its error.
type Check = fn(&str) -> Result<String, String>;

impl Words {
    /// Reads the key, if it is one of these.
    fn read(&mut self, key: &str, value: &Yaml, problems: &mut Vec<Problem>) -> bool {
        let (words, what, check): (_, _, Check) = match key {
            "defined" => (&mut self.defined, "names", own_name),
            "allow" => (&mut self.allow, "names of problems", allowed),
            _ => return false,
        };
        for Spanned { value, span } in strings(value, what, problems) {
            match check(&value) {
                Ok(word) => words.push(word),
                Err(message) => problems.push(Problem::error("bad-contract", span, message)),
            }
        }
        true
    }
}

const PROCEDURE: [&str; 12] = [
    "id", "nodes", "roles", "same", "approve", "needs", "timeout", "through", "params", "replace",
    "defined", "allow",
];

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
            "roles" => (contract.roles, contract.unread_roles) = roles(value, problems),
            "same" => contract.same = names(value, problems),
            "approve" => contract.approve = approve::approve(entry, problems),
            "needs" => contract.needs = strings(value, "groups of checks", problems),
            "timeout" => contract.timeout = time(value, problems),
            "through" => contract.through = string(value, "a heading", problems),
            "params" => contract.params = params(value, problems),
            "replace" => contract.replace = replacements(value, problems),
            key if contract.words.read(key, value, problems) => {}
            _ => problems.push(unknown_key(key, entry, "a procedure", &PROCEDURE)),
        }
    }
    without_roles(&map, &contract, problems);
    if !map.contains_key("id") && !map.keys().any(|key| is_misspelt_id(key)) {
        problems.push(no_id(place, "procedure"));
    }
    contract
}

/// Checks keys that exclude each other, and names with two meanings.
fn without_roles(map: &Map, contract: &ProcedureContract, problems: &mut Vec<Problem>) {
    let Some(roles) = map.get("roles") else {
        if let Some(same) = map.get("same") {
            let message = "`same` compares the machines of a run, but this procedure has no \
                `roles`";
            problems.push(Problem::error("bad-contract", same.key.clone(), message));
        }
        return;
    };
    if let Some(nodes) = map.get("nodes") {
        let message = "a procedure has `nodes` or `roles`, not both";
        problems.push(
            Problem::error("nodes-and-roles", nodes.key.clone(), message)
                .note(roles.key.clone(), "its roles")
                .hint("write `nodes` in each role"),
        );
    }
    if let Some(needs) = map.get("needs") {
        let message = "in a procedure with roles, each role has its own `needs`";
        let problem = Problem::error("bad-contract", needs.key.clone(), message);
        problems.push(problem.hint("write `old: {nodes: …, needs: […]}`"));
    }
    for (name, param) in &contract.params {
        if let Some(role) = contract.roles.get(name) {
            let message = format!("`{name}` is both a role and a parameter");
            let problem = Problem::error("role-hides-value", param.span.clone(), message);
            problems.push(problem.note(role.span.clone(), "the role"));
        }
    }
}

/// Reads a list of value names.
fn names(value: &Yaml, problems: &mut Vec<Problem>) -> Vec<Spanned<String>> {
    let mut names = Vec::new();
    for Spanned { value, span } in strings(value, "names of values", problems) {
        match own_name(&value) {
            Ok(value) => names.push(Spanned { value, span }),
            Err(message) => problems.push(Problem::error("bad-contract", span, message)),
        }
    }
    names
}

fn replacements(value: &Yaml, problems: &mut Vec<Problem>) -> IndexMap<String, Spanned<String>> {
    let mut replace = IndexMap::new();
    for (key, entry) in as_map(
        value,
        "placeholders",
        "replace: {\"<version>\": \"${version}\"}",
        problems,
    )
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

/// Validates a text in which `${name}` is the only kind of reference.
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

/// Whether an unknown key is reported as a misspelt `id`.
fn is_misspelt_id(key: &str) -> bool {
    !PROCEDURE.contains(&key) && nearest(key, PROCEDURE) == Some("id")
}
