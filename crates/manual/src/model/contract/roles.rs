//! The roles of a procedure, and the contract of a section that repeats for a role.

use std::time::Duration;

use indexmap::IndexMap;

use super::values::{as_map, checked, map_of, string, strings, unknown_key, wrong_kind};
use crate::duration;
use crate::model::attributes::role_name;
use crate::source::{Passage, Problem, Span};
use crate::yaml::{Entry, Value, Yaml};
use crate::{Count, Role, Share, Spanned};

const ROLE: [&str; 4] = ["nodes", "count", "needs", "help"];
const EACH: [&str; 3] = ["batch", "wait", "max-fail"];

/// Roles by their names.
pub(super) type Roles = IndexMap<String, Role>;

/// `roles: {old: {nodes: "@db"}, …}`; returns also the names of roles that could not be read.
pub(super) fn roles(value: &Yaml, problems: &mut Vec<Problem>) -> (Roles, Vec<String>) {
    let (mut roles, mut unread) = (IndexMap::new(), Vec::new());
    let Some(map) = as_map(value, "roles", "roles: {NAME: {nodes: SELECTOR}}", problems) else {
        return (roles, unread);
    };
    if map.is_empty() {
        let problem = Problem::error("bad-contract", value.span.clone(), "it has no role");
        problems.push(problem.hint("write a role as `NAME: {nodes: SELECTOR}`"));
    }
    for (name, entry) in map {
        if let Err(message) = role_name(name) {
            problems.push(Problem::error("bad-name", entry.key.clone(), message));
            unread.push(name.clone());
            continue;
        }
        match role(name, entry, problems) {
            Some(role) => drop(roles.insert(name.clone(), role)),
            None => unread.push(name.clone()),
        }
    }
    (roles, unread)
}

fn role(name: &str, entry: &Entry, problems: &mut Vec<Problem>) -> Option<Role> {
    let Value::Map(map) = &entry.value.value else {
        let problem = wrong_kind(&entry.value, "a role");
        problems.push(problem.hint(format!("write `{name}: {{nodes: SELECTOR}}`")));
        return None;
    };
    let (mut nodes, mut count, mut needs, mut help) = (None, Count::One, Vec::new(), None);
    let before = problems.len();
    for (key, entry) in map {
        let value = &entry.value;
        match key.as_str() {
            "nodes" => nodes = string(value, "a selector", problems),
            "count" => {
                let read = checked(value, "a count", one_or_more, problems);
                count = read.map_or(Count::One, |count| count.value);
            }
            "needs" => needs = strings(value, "groups of checks", problems),
            "help" => help = string(value, "a help text", problems).map(|help| help.value),
            _ => problems.push(unknown_key(key, entry, "a role", &ROLE)),
        }
    }
    if nodes.is_none() && problems.len() == before {
        let message = format!("the role `{name}` has no `nodes`");
        let problem = Problem::error("role-without-nodes", entry.key.clone(), message);
        problems.push(problem.hint(format!("write `{name}: {{nodes: SELECTOR}}`")));
    }
    Some(Role {
        span: entry.key.clone(),
        nodes: nodes?,
        count,
        needs,
        help,
    })
}

fn one_or_more(text: &str) -> Result<Count, String> {
    match text {
        "1" => Ok(Count::One),
        "1+" => Ok(Count::Several),
        "0+" => Ok(Count::Any),
        _ => Err(format!("`count` must be `1`, `1+` or `0+`, not `{text}`")),
    }
}

/// The contract of a `yaml each` block.
#[derive(Debug)]
pub(crate) struct EachContract {
    pub role: Spanned<String>,
    pub batch: Vec<Share>,
    pub wait: Duration,
    pub max_fail: usize,
}

/// Reads a block tagged `each`: one role, and how its nodes follow each other.
pub(crate) fn each(
    text: &Passage,
    place: &Span,
    problems: &mut Vec<Problem>,
) -> Option<EachContract> {
    let map = map_of(text, place, "a section", problems)?;
    let mut entries = map.iter();
    let (name, entry) = entries.next()?;
    if let Some((_, more)) = entries.next() {
        let message = "a section is for the nodes of one role";
        let problem = Problem::error("bad-contract", more.key.clone(), message);
        problems.push(problem.hint("a turn may have steps on the machines of other roles"));
    }
    let mut each = EachContract {
        role: Spanned {
            value: name.clone(),
            span: entry.key.clone(),
        },
        batch: vec![Share::Count(1)],
        wait: Duration::ZERO,
        max_fail: 0,
    };
    if entry.value.value == Value::Null {
        return Some(each);
    }
    for (key, entry) in as_map(
        &entry.value,
        "what a section says",
        "ROLE: {batch: 1}",
        problems,
    )? {
        let value = &entry.value;
        match key.as_str() {
            "batch" => {
                let read = checked(value, "a batch", shares, problems);
                each.batch = read.map_or(each.batch, |batch| batch.value);
            }
            "wait" => {
                let read = checked(value, "a duration", duration, problems);
                each.wait = read.map_or(Duration::ZERO, |wait| wait.value);
            }
            "max-fail" => {
                let read = checked(value, "a number", number, problems);
                each.max_fail = read.map_or(0, |number| number.value);
            }
            _ => problems.push(unknown_key(key, entry, "a section", &EACH)),
        }
    }
    Some(each)
}

fn shares(text: &str) -> Result<Vec<Share>, String> {
    let mut shares = Vec::new();
    for share in text.split(',') {
        match share.trim().parse()? {
            Share::Count(0) => return Err("a batch has at least one node".to_owned()),
            share => shares.push(share),
        }
    }
    Ok(shares)
}

fn number(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a number of nodes"))
}

impl std::str::FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        let wrong = || format!("`{text}` is neither a number nor a percentage");
        match text.strip_suffix('%') {
            Some(percent) => match percent.parse() {
                Ok(percent) if percent <= 100 => Ok(Share::Percent(percent)),
                _ => Err(wrong()),
            },
            None => text.parse().map(Share::Count).map_err(|_| wrong()),
        }
    }
}

impl Share {
    /// The number of nodes that this share means, out of `all`.
    #[must_use]
    pub fn of(self, all: usize) -> usize {
        match self {
            Share::Count(count) => count,
            Share::Percent(percent) => all * percent / 100,
        }
    }
}
