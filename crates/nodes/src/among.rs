//! A node in a run with roles: it knows the nodes of each role, and their values. `$old` is the
//! name of the node with the role `old`, `$old_address` its address.
//!
//! A value that cannot be used is stored as undefined, which is an error only where something uses
//! it.

use std::collections::BTreeSet;

use super::evaluate::not_text;
use super::{Evaluated, Layer, Node, Origin, Text};
use crate::interpolation::is_variable_name;
use crate::source::{Problem, Source, Span};
use crate::yaml::{Value, Yaml};

/// The nodes of a role, as the other nodes see them.
#[derive(Clone, Debug)]
pub struct Players<'a> {
    /// The name of the role.
    pub role: &'a str,
    /// Its nodes, with their values.
    pub seen: Seen<'a>,
}

/// Whether a role's name has one value, or those of several nodes.
#[derive(Clone, Debug)]
pub enum Seen<'a> {
    /// One node: each name has its value.
    One(&'a Node),
    /// Several: each name has the values of all, separated by spaces. Without a node, the names
    /// come from nodes that could have the role, and the values are empty.
    Several {
        /// In the order of their definition.
        nodes: Vec<&'a Node>,
        /// Names that exist, if only with empty values.
        names: Vec<&'a str>,
    },
}

impl Node {
    /// The node with the values of the others, under the names of their roles.
    #[must_use]
    pub fn among(mut self, players: &[Players<'_>]) -> Node {
        for players in players {
            for (name, theirs) in players.values() {
                let own = self.leaves.get(&name).or_else(|| self.values.get(&name));
                let value = match own {
                    Some(own) => two_meanings(&name, players.role, own),
                    None => theirs,
                };
                self.leaves.insert(name, value);
            }
        }
        self
    }

    /// Parameters and arguments only: values that belong to no node.
    #[must_use]
    pub fn arguments_only(&self, name: &str) -> Node {
        let given = self.leaves.iter();
        let given =
            given.filter(|(_, leaf)| matches!(leaf.origin.layer, Layer::Param | Layer::Set));
        let leaves = given.map(|(name, leaf)| (name.clone(), leaf.clone()));
        Node {
            name: name.to_owned(),
            leaves: leaves.collect(),
            ..Node::default()
        }
    }

    /// The role that a name belongs to, in a run with roles: `old` for `old_address`.
    #[must_use]
    pub fn role_in<'n>(&self, name: &'n str) -> Option<&'n str> {
        let role = name.split('_').next().unwrap_or(name);
        let leaf = self.leaves.get(role)?;
        let (Layer::Role(known) | Layer::Roles(known)) = &leaf.origin.layer else {
            return None;
        };
        (known == role).then_some(role)
    }

    /// The role with several nodes that a name belongs to: its value is a list.
    #[must_use]
    pub fn list_of(&self, name: &str) -> Option<&str> {
        match &self.leaves.get(name)?.origin.layer {
            Layer::Roles(role) => Some(role),
            _ => None,
        }
    }
}

impl Players<'_> {
    fn values(&self) -> Vec<(String, Evaluated)> {
        let full = |name: &str| format!("{}_{name}", self.role);
        let usable = |name: &&String| is_variable_name(name) && *name != "node";
        match &self.seen {
            Seen::One(node) => {
                let own = (self.role.to_owned(), self.text(&node.name, None));
                let leaves = node.leaves.iter().filter(|(name, _)| usable(name));
                let leaves = leaves.map(|(name, leaf)| (full(name), self.theirs(leaf)));
                std::iter::once(own).chain(leaves).collect()
            }
            Seen::Several { nodes, names } => {
                let all: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
                let own = (self.role.to_owned(), self.text(&all.join(" "), None));
                let known = nodes.iter().flat_map(|node| node.leaves.keys());
                let known: BTreeSet<&str> = known
                    .filter(usable)
                    .map(String::as_str)
                    .chain(names.iter().copied().filter(|name| is_variable_name(name)))
                    .collect();
                let leaves = known
                    .into_iter()
                    .map(|name| (full(name), self.joined(name, nodes)));
                std::iter::once(own).chain(leaves).collect()
            }
        }
    }

    fn theirs(&self, leaf: &Evaluated) -> Evaluated {
        Evaluated {
            origin: self.origin(),
            overrode: Vec::new(),
            ..leaf.clone()
        }
    }

    fn text(&self, text: &str, undefined: Option<Problem>) -> Evaluated {
        let source = Source::new("(roles)", text);
        Evaluated {
            value: Yaml {
                span: Span::new(&source, 0..text.len()),
                value: Value::Str(text.to_owned()),
            },
            origin: self.origin(),
            overrode: Vec::new(),
            written: None,
            undefined: undefined.map(Box::new),
        }
    }

    fn origin(&self) -> Origin {
        Origin {
            layer: match self.seen {
                Seen::One(_) => Layer::Role(self.role.to_owned()),
                Seen::Several { .. } => Layer::Roles(self.role.to_owned()),
            },
            span: None,
        }
    }

    /// One value of all nodes, or the reason why it does not exist.
    fn joined(&self, name: &str, nodes: &[&Node]) -> Evaluated {
        let texts = nodes.iter().map(|node| self.word(name, node));
        match texts.collect::<Result<Vec<String>, Problem>>() {
            Ok(words) => self.text(&words.join(" "), None),
            Err(problem) => self.text("", Some(problem)),
        }
    }

    fn word(&self, name: &str, node: &Node) -> Result<String, Problem> {
        let Some(leaf) = node.leaves.get(name) else {
            let message = format!(
                "`{}_{name}` needs `{name}` on all of `{}`, but `{}` has none",
                self.role, self.role, node.name
            );
            return Err(Problem::bare("undefined-variable", message));
        };
        let span = || leaf.value.span.clone();
        match node.text(name) {
            Ok(Text::Plain(text)) if text.is_empty() || text.contains(char::is_whitespace) => {
                let message = format!(
                    "`{name}` of `{}` contains characters that a list of the values of `{}` \
                     cannot hold",
                    node.name, self.role
                );
                Err(Problem::error("value-with-space", span(), message))
            }
            Ok(Text::Plain(text)) => Ok(text),
            Ok(Text::Secret(_)) => {
                let message = format!(
                    "`{name}` of `{}` is a secret, which a list of the values of `{}` cannot hold",
                    node.name, self.role
                );
                Err(Problem::error("secret-in-list", span(), message))
            }
            Err(Some(problem)) => Err(*problem),
            Err(None) => Err(not_text(name, &leaf.value)),
        }
    }
}

/// A name that both the node and a role define.
fn two_meanings(name: &str, role: &str, own: &Evaluated) -> Evaluated {
    let message = if name == role {
        format!("`{name}` is both a value of this machine and a role of the run")
    } else {
        format!("`{name}` is a value of both this machine and `{role}`")
    };
    let problem = Problem::error("role-hides-value", own.value.span.clone(), message);
    let problem = problem.hint("rename the role or the value");
    Evaluated {
        undefined: Some(Box::new(problem)),
        ..own.clone()
    }
}
