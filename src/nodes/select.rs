//! Selectors: `web1`, `web*`, `@web`, `@web&@staging`, `!web3`, joined by commas. Nothing
//! selects everything by accident: empty, matching nothing and only exclusions are errors.

use std::collections::HashSet;

use super::Nodes;
use crate::manual::Spanned;
use crate::source::Problem;
use crate::wildcard::{fits, is_pattern};

/// One item between commas: all its factors hold.
struct Item<'a> {
    written: &'a str,
    factors: Vec<Factor<'a>>,
}

struct Factor<'a> {
    negated: bool,
    atom: Atom<'a>,
}

/// Patterns in which `*` stands for any characters and `?` for one.
enum Atom<'a> {
    Node(&'a str),
    Group(&'a str),
}

impl Nodes {
    /// The selected nodes in the order of their definition.
    pub fn select(&self, selector: &str) -> Result<Vec<&str>, Problem> {
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
            return Err(Problem::bare(
                "only-exclusions",
                format!("selector `{selector}` only excludes"),
            )
            .hint(format!("say what to exclude from: `*,{selector}`")));
        }
        for item in inclusions {
            let matched = self.matching(item);
            if !matched.contains(&true) {
                return Err(nothing(item.written));
            }
            for (chosen, matched) in chosen.iter_mut().zip(matched) {
                *chosen |= matched;
            }
        }
        for item in exclusions {
            // Factors of an exclusion are negated: what does not hold is excluded.
            for (chosen, kept) in chosen.iter_mut().zip(self.matching(item)) {
                *chosen &= kept;
            }
        }
        if !chosen.contains(&true) {
            return Err(nothing(selector));
        }
        Ok(self
            .names()
            .zip(chosen)
            .filter_map(|(name, chosen)| chosen.then_some(name))
            .collect())
    }

    /// The same for a selector in a contract: the problem points at what is wrong in it.
    pub fn select_at(&self, selector: &Spanned<String>) -> Result<Vec<&str>, Problem> {
        self.select(&selector.value).map_err(|mut problem| {
            let named = problem.message.split('`').nth(1).unwrap_or_default();
            problem.span = Some(match named {
                "" => selector.span.clone(),
                named => selector.span.narrowed(named),
            });
            problem
        })
    }

    /// A name without `*` or `?` must exist, wherever it stands.
    fn check(&self, atom: &Atom<'_>) -> Result<(), Problem> {
        match atom {
            Atom::Node(name) if !is_pattern(name) && !self.members.contains_key(*name) => {
                let problem = self.unknown_node(name);
                if self.groups.contains_key(*name) {
                    return Err(problem.hint(format!("`{name}` is a group: `@{name}`")));
                }
                Err(problem)
            }
            Atom::Group(name) if !is_pattern(name) && !self.groups.contains_key(*name) => {
                let message = format!("unknown group `{name}`");
                let problem = Problem::bare("unknown-group", message);
                Err(match crate::source::nearest(name, self.group_names()) {
                    Some(near) => problem.hint(format!("did you mean `@{near}`?")),
                    None if self.members.contains_key(*name) => {
                        problem.hint(format!("`{name}` is a node, and selected without `@`"))
                    }
                    None => problem,
                })
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

    /// The groups that an atom names, and those that are in them.
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
}

impl Item<'_> {
    fn excludes(&self) -> bool {
        self.factors.iter().all(|factor| factor.negated)
    }
}

fn parse(selector: &str) -> Result<Vec<Item<'_>>, Problem> {
    if selector.trim().is_empty() {
        return Err(Problem::bare("empty-selector", "an empty selector").hint("all nodes are `*`"));
    }
    selector
        .split(',')
        .map(|written| item(selector, written.trim()))
        .collect()
}

fn item<'a>(selector: &str, written: &'a str) -> Result<Item<'a>, Problem> {
    let factors: Result<Vec<Factor<'a>>, Problem> = written
        .split('&')
        .map(|text| factor(selector, text.trim()))
        .collect();
    let item = Item {
        written,
        factors: factors?,
    };
    if item.factors.len() > 1 && item.excludes() {
        let message = format!("`{written}` only excludes");
        return Err(Problem::bare("only-exclusions", message)
            .hint("separate exclusions by commas: `*,!web1,!web2`"));
    }
    Ok(item)
}

fn factor<'a>(selector: &str, text: &'a str) -> Result<Factor<'a>, Problem> {
    let (negated, rest) = match text.strip_prefix('!') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    let (group, name) = match rest.strip_prefix('@') {
        Some(name) => (true, name),
        None => (false, rest),
    };
    if name.is_empty() {
        let message = format!("an empty name in selector `{selector}`");
        return Err(Problem::bare("empty-selector", message));
    }
    if let Some(wrong) = name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || "._-*?".contains(*c)))
    {
        let message = format!("`{wrong}` in selector `{selector}`");
        return Err(Problem::bare("bad-selector", message).hint(
            "a selector is `web1`, `web*`, `@web`, `@web&@staging` or `!web3`, joined by commas",
        ));
    }
    let atom = if group {
        Atom::Group(name)
    } else {
        Atom::Node(name)
    };
    Ok(Factor { negated, atom })
}

fn nothing(written: &str) -> Problem {
    Problem::bare(
        "nothing-selected",
        format!("selector `{written}` selects no node"),
    )
}
