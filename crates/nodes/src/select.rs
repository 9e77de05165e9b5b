//! Selectors: `web1`, `web*`, `@web`, `@web&@staging`, `!web3`, joined by commas. A selector that
//! is empty, matches nothing or only excludes is an error, so nothing selects everything by
//! accident.

use std::collections::HashSet;

use super::Nodes;
use crate::manual::Spanned;
use crate::source::Problem;
use crate::wildcard::{fits, is_pattern};

/// One item between commas: all its factors must match.
struct Item<'a> {
    written: &'a str,
    factors: Vec<Factor<'a>>,
}

struct Factor<'a> {
    negated: bool,
    atom: Atom<'a>,
}

/// Patterns in which `*` matches any characters and `?` one.
enum Atom<'a> {
    Node(&'a str),
    Group(&'a str),
}

/// Why a selector is invalid, with its parts as written.
enum Refusal<'a> {
    Empty,
    EmptyName { selector: &'a str },
    Letter { wrong: &'a str, selector: &'a str },
    OnlyExcludes { selector: &'a str },
    ItemOnlyExcludes { item: &'a str },
    UnknownNode(&'a str),
    UnknownGroup(&'a str),
    SelectsNothing { written: &'a str },
}

impl Nodes {
    /// The selected nodes in the order of their definition.
    pub fn select(&self, selector: &str) -> Result<Vec<&str>, Problem> {
        self.selected(selector)
            .map_err(|refusal| self.problem(&refusal))
    }

    /// The same for a selector in a contract: the problem points into the contract.
    pub fn select_at(&self, selector: &Spanned<String>) -> Result<Vec<&str>, Problem> {
        self.selected(&selector.value).map_err(|refusal| Problem {
            span: Some(selector.span.narrowed(refusal.part())),
            ..self.problem(&refusal)
        })
    }

    fn selected<'a>(&self, selector: &'a str) -> Result<Vec<&str>, Refusal<'a>> {
        let items = parse(selector)?;
        for atom in items
            .iter()
            .flat_map(|item| &item.factors)
            .map(|factor| &factor.atom)
        {
            self.check(atom)?;
        }
        let mut chosen = vec![false; self.members.len()];
        let (exclusions, inclusions): (Vec<_>, Vec<_>) =
            items.iter().partition(|item| item.excludes());
        if inclusions.is_empty() {
            return Err(Refusal::OnlyExcludes { selector });
        }
        for item in inclusions {
            let matched = self.matching(item);
            if !matched.contains(&true) {
                let written = item.written;
                return Err(Refusal::SelectsNothing { written });
            }
            for (chosen, matched) in chosen.iter_mut().zip(matched) {
                *chosen |= matched;
            }
        }
        for item in exclusions {
            // The factors of an exclusion are negated: a node that fails them is excluded.
            for (chosen, kept) in chosen.iter_mut().zip(self.matching(item)) {
                *chosen &= kept;
            }
        }
        if !chosen.contains(&true) {
            return Err(Refusal::SelectsNothing { written: selector });
        }
        Ok(self
            .names()
            .zip(chosen)
            .filter_map(|(name, chosen)| chosen.then_some(name))
            .collect())
    }

    /// A name without `*` or `?` must exist.
    fn check<'a>(&self, atom: &Atom<'a>) -> Result<(), Refusal<'a>> {
        match *atom {
            Atom::Node(name) if !is_pattern(name) && !self.members.contains_key(name) => {
                Err(Refusal::UnknownNode(name))
            }
            Atom::Group(name) if !is_pattern(name) && !self.groups.contains_key(name) => {
                Err(Refusal::UnknownGroup(name))
            }
            _ => Ok(()),
        }
    }

    fn matching(&self, item: &Item<'_>) -> Vec<bool> {
        let mut matching = vec![true; self.members.len()];
        for factor in &item.factors {
            let groups = self.groups_of(&factor.atom);
            for ((name, node), matching) in self.members.iter().zip(&mut matching) {
                let holds = match factor.atom {
                    Atom::Node(pattern) => fits(pattern.as_bytes(), name.as_bytes()),
                    Atom::Group(_) => node
                        .groups
                        .iter()
                        .any(|(group, _)| groups.contains(group.as_str())),
                };
                *matching &= holds != factor.negated;
            }
        }
        matching
    }

    /// The groups that an atom names, and the groups within them.
    fn groups_of(&self, atom: &Atom<'_>) -> HashSet<&str> {
        let Atom::Group(pattern) = atom else {
            return HashSet::new();
        };
        let mut found: HashSet<&str> = self
            .group_names()
            .filter(|name| fits(pattern.as_bytes(), name.as_bytes()))
            .collect();
        loop {
            let more: Vec<&str> = self
                .groups
                .iter()
                .filter(|(name, group)| {
                    !found.contains(name.as_str())
                        && group
                            .groups
                            .iter()
                            .any(|(parent, _)| found.contains(parent.as_str()))
                })
                .map(|(name, _)| name.as_str())
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    fn problem(&self, refusal: &Refusal<'_>) -> Problem {
        let (code, message) = match refusal {
            Refusal::UnknownNode(name) => return self.no_such_node(name),
            Refusal::UnknownGroup(name) => return self.no_such_group(name),
            Refusal::Empty => ("empty-selector", "an empty selector".to_owned()),
            Refusal::EmptyName { selector } => (
                "empty-selector",
                format!("an empty name in selector `{selector}`"),
            ),
            Refusal::Letter { wrong, selector } => (
                "bad-selector",
                format!("`{wrong}` in selector `{selector}`"),
            ),
            Refusal::OnlyExcludes { selector } => (
                "only-exclusions",
                format!("selector `{selector}` only excludes"),
            ),
            Refusal::ItemOnlyExcludes { item } => {
                ("only-exclusions", format!("`{item}` only excludes"))
            }
            Refusal::SelectsNothing { written } => (
                "nothing-selected",
                format!("selector `{written}` selects no node"),
            ),
        };
        Problem {
            hint: refusal.hint(),
            ..Problem::bare(code, message)
        }
    }

    fn no_such_node(&self, name: &str) -> Problem {
        let problem = self.unknown_node(name);
        if self.groups.contains_key(name) {
            return problem.hint(format!("`{name}` is a group: `@{name}`"));
        }
        if problem.hint.is_some() {
            return problem;
        }
        if self.members.is_empty() {
            return problem.hint("there is no node below `nodes:` in `nodes.yaml`");
        }
        match listed(self.names(), "") {
            Some(names) => problem.hint(format!("the nodes are {names}")),
            None => problem.hint("`opsbook nodes` lists all nodes"),
        }
    }

    fn no_such_group(&self, name: &str) -> Problem {
        let problem = Problem::bare("unknown-group", format!("unknown group `{name}`"));
        match crate::source::nearest(name, self.group_names()) {
            Some(near) => problem.hint(format!("did you mean `@{near}`?")),
            None if self.members.contains_key(name) => {
                problem.hint(format!("`{name}` is a node: select it without `@`"))
            }
            None if self.groups.is_empty() => problem.hint("there are no groups in these nodes"),
            None => match listed(self.group_names(), "@") {
                Some(names) => problem.hint(format!("the groups are {names}")),
                None => problem.hint("`opsbook nodes` lists all nodes with their groups"),
            },
        }
    }
}

/// Names for a hint, if there are few enough to read.
fn listed<'a>(names: impl Iterator<Item = &'a str>, before: &str) -> Option<String> {
    const MOST: usize = 8;
    let names: Vec<_> = names
        .take(MOST + 1)
        .map(|name| format!("`{before}{name}`"))
        .collect();
    (1..=MOST).contains(&names.len()).then(|| names.join(", "))
}

impl Item<'_> {
    fn excludes(&self) -> bool {
        self.factors.iter().all(|factor| factor.negated)
    }
}

impl<'a> Refusal<'a> {
    /// The faulty part of the selector; empty if that is all of it.
    fn part(&self) -> &'a str {
        match *self {
            Refusal::Empty => "",
            Refusal::EmptyName { selector } | Refusal::OnlyExcludes { selector } => selector,
            Refusal::Letter { wrong: part, .. }
            | Refusal::ItemOnlyExcludes { item: part }
            | Refusal::UnknownNode(part)
            | Refusal::UnknownGroup(part)
            | Refusal::SelectsNothing { written: part } => part,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Refusal::Empty => Some("`*` selects all nodes".to_owned()),
            Refusal::Letter { .. } => Some(
                "selectors are `web1`, `web*`, `@web`, `@web&@staging` and `!web3`, joined by \
                 commas"
                    .to_owned(),
            ),
            Refusal::OnlyExcludes { selector } => {
                Some(format!("name the nodes to exclude from: `*,{selector}`"))
            }
            Refusal::ItemOnlyExcludes { .. } => {
                Some("separate exclusions by commas: `*,!web1,!web2`".to_owned())
            }
            Refusal::SelectsNothing { .. } => {
                Some("`opsbook nodes` shows all nodes with their groups".to_owned())
            }
            _ => None,
        }
    }
}

fn parse(selector: &str) -> Result<Vec<Item<'_>>, Refusal<'_>> {
    if selector.trim().is_empty() {
        return Err(Refusal::Empty);
    }
    selector
        .split(',')
        .map(|written| item(selector, written.trim()))
        .collect()
}

fn item<'a>(selector: &'a str, written: &'a str) -> Result<Item<'a>, Refusal<'a>> {
    let factors: Result<Vec<Factor<'a>>, Refusal<'a>> = written
        .split('&')
        .map(|text| factor(selector, text.trim()))
        .collect();
    let item = Item {
        written,
        factors: factors?,
    };
    if item.factors.len() > 1 && item.excludes() {
        return Err(Refusal::ItemOnlyExcludes { item: written });
    }
    Ok(item)
}

fn factor<'a>(selector: &'a str, text: &'a str) -> Result<Factor<'a>, Refusal<'a>> {
    let (negated, rest) = match text.strip_prefix('!') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    let (group, name) = match rest.strip_prefix('@') {
        Some(name) => (true, name),
        None => (false, rest),
    };
    if name.is_empty() {
        return Err(Refusal::EmptyName { selector });
    }
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || "._-*?".contains(c);
    if let Some(wrong) = name.matches(|c| !of_a_name(c)).next() {
        return Err(Refusal::Letter { wrong, selector });
    }
    let atom = if group {
        Atom::Group(name)
    } else {
        Atom::Node(name)
    };
    Ok(Factor { negated, atom })
}
