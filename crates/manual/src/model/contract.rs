//! YAML blocks -> what they declare: the contract of a procedure, a group of checks, a
//! delivery. Every key that is not known is a problem.

mod deliveries;
mod group;
mod params;
mod values;

use std::time::Duration;

use indexmap::IndexMap;

use crate::model::attributes::{allowed, id, own_name};
use crate::shell::variables::name;
use crate::source::{Passage, Problem, Span, nearest};
use crate::yaml::Yaml;
use crate::{Param, Spanned};

pub(crate) use deliveries::deliveries;
pub use group::go_templates;
pub(crate) use group::{GroupContract, group};
use params::params;
use values::{as_map, checked, map_of, no_id, string, strings, time, unknown_key};

/// The contract of a procedure.
#[derive(Debug, Default)]
pub(crate) struct ProcedureContract {
    pub id: Option<Spanned<String>>,
    pub nodes: Option<Spanned<String>>,
    pub needs: Vec<Spanned<String>>,
    pub timeout: Option<Duration>,
    pub params: IndexMap<String, Param>,
    pub replace: IndexMap<String, Spanned<String>>,
    pub words: Words,
}

/// What a contract says of opsbook's own reading of the scripts below it.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub defined: Vec<String>,
    pub allow: Vec<String>,
}

/// What is wrong with one word, or the word.
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

const PROCEDURE: [&str; 8] = [
    "id", "nodes", "needs", "timeout", "params", "replace", "defined", "allow",
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
            "needs" => contract.needs = strings(value, "groups of checks", problems),
            "timeout" => contract.timeout = time(value, problems),
            "params" => contract.params = params(value, problems),
            "replace" => contract.replace = replacements(value, problems),
            key if contract.words.read(key, value, problems) => {}
            _ => problems.push(unknown_key(key, entry, "a procedure", &PROCEDURE)),
        }
    }
    if !map.contains_key("id") && !map.keys().any(|key| is_misspelt_id(key)) {
        problems.push(no_id(place, "procedure"));
    }
    contract
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

/// Said to be unknown, with the hint that it is meant to be `id`.
fn is_misspelt_id(key: &str) -> bool {
    !PROCEDURE.contains(&key) && nearest(key, PROCEDURE) == Some("id")
}
