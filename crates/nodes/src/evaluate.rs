//! Evaluates one node from the definitions: four layers, then substitution, then types.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::expand::{Expanded, Expander};
use super::layers::{self, Content, Item, Tree};
use super::{Definition, Evaluated, Layer, Node, Nodes, Origin, Text, reserved, secret};
use crate::interpolation::is_variable_name;
use crate::source::{Problem, Source, Span};
use crate::template;
use crate::yaml::{Entry, Map, Value, Yaml, plain_text};

/// Parameters of a contract: name, default, and the place of the default.
pub type Params<'a> = &'a [(String, String, Span)];

impl Nodes {
    /// Evaluates one node; `set` are the `--set name=value` arguments, in order.
    pub fn evaluate(&self, name: &str, set: &[(String, String)]) -> Result<Node, Vec<Problem>> {
        self.evaluate_with(name, &[], set)
    }

    /// The same with the defaults of a contract's parameters, as a layer above the node and below
    /// `--set`.
    pub fn evaluate_with(
        &self,
        name: &str,
        params: Params<'_>,
        set: &[(String, String)],
    ) -> Result<Node, Vec<Problem>> {
        let definition = self
            .members
            .get(name)
            .ok_or_else(|| vec![self.unknown_node(name)])?;
        let groups = self.ordered(&definition.groups);
        let mut problems = self.wrong(definition, &groups);
        let mut tree = Tree::new();
        built_in(&mut tree, name);
        for (package, values) in &self.packages {
            let layer = Layer::Package(package.clone());
            layers::apply(&mut tree, &layer, std::slice::from_ref(values));
        }
        layers::apply(&mut tree, &Layer::Defaults, &self.defaults.parts);
        for group in &groups {
            if let Some(definition) = self.groups.get(*group) {
                layers::apply(
                    &mut tree,
                    &Layer::Group((*group).to_owned()),
                    &definition.parts,
                );
            }
        }
        layers::apply(&mut tree, &Layer::Node, &definition.parts);
        for (name, default, span) in params {
            put(
                &mut tree,
                name,
                &Layer::Param,
                text_at(default, span.clone()),
                Some(span.clone()),
            );
        }
        for (name, value) in set {
            match check_set(&tree, name, value) {
                Ok(value) => put(&mut tree, name, &Layer::Set, value, None),
                Err(problem) => problems.push(problem),
            }
        }
        let mut node = Node {
            name: name.to_owned(),
            groups: groups.into_iter().map(str::to_owned).collect(),
            ..Node::default()
        };
        let mut expander = Expander::new(&tree);
        let leaves = expander.expand_all(&tree);
        problems.extend(expander.into_problems());
        Builder {
            node: &mut node,
            expanded: leaves.into_iter(),
        }
        .build(tree);
        problems.extend(reserved::read(&mut node));
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        Ok(node)
    }

    /// The errors in the layers of one node.
    fn wrong(&self, definition: &Definition, groups: &[&str]) -> Vec<Problem> {
        let groups = groups.iter().filter_map(|group| self.groups.get(*group));
        std::iter::once(&self.defaults)
            .chain(groups)
            .chain([definition])
            .flat_map(|layer| layer.wrong.iter().cloned())
            .collect()
    }

    /// The problems of all nodes, each place once, for `lint`.
    #[must_use]
    pub fn check_all(&self) -> Vec<Problem> {
        let mut seen = HashSet::new();
        self.names()
            .filter_map(|name| self.evaluate(name, &[]).err())
            .flatten()
            .filter(|problem| {
                let place = problem
                    .span
                    .as_ref()
                    .map(|span| (span.path().to_owned(), span.start));
                seen.insert((place, problem.message.clone()))
            })
            .collect()
    }

    pub(super) fn unknown_node(&self, name: &str) -> Problem {
        Problem::bare("unknown-node", format!("unknown node `{name}`"))
            .did_you_mean(name, self.names())
    }

    /// Groups from left to right, each after its own parent groups, each once.
    pub(super) fn ordered<'a>(&'a self, direct: &'a [(String, Span)]) -> Vec<&'a str> {
        let mut seen = HashSet::new();
        let mut order = Vec::new();
        for (name, _) in direct {
            self.visit(name, &mut seen, &mut order);
        }
        order
    }

    fn visit<'a>(&'a self, name: &'a str, seen: &mut HashSet<&'a str>, order: &mut Vec<&'a str>) {
        let Some(group) = self.groups.get(name).filter(|_| seen.insert(name)) else {
            return;
        };
        for (parent, _) in &group.groups {
            self.visit(parent, seen, order);
        }
        order.push(name);
    }
}

fn built_in(tree: &mut Tree, name: &str) {
    let source = Source::new("(built in)", name);
    let value = text_at(name, Span::new(&source, 0..name.len()));
    put(tree, "node", &Layer::BuiltIn, value, None);
}

fn text_at(text: &str, span: Span) -> Yaml {
    Yaml {
        span,
        value: Value::Str(text.to_owned()),
    }
}

/// Checks an argument. It keeps its text; for templates, a number is also a number.
fn check_set(tree: &Tree, name: &str, value: &str) -> Result<Yaml, Problem> {
    let text = format!("{name}={value}");
    let source = Source::new("--set", text.as_str());
    let error = |code, message| {
        Err(Problem::error(
            code,
            Span::new(&source, 0..name.len()),
            message,
        ))
    };
    if reserved::BUILT_IN.contains(&name) {
        return error(
            "built-in-name",
            format!("`{name}` is built in and cannot be set"),
        );
    }
    if name == "groups" {
        return error(
            "built-in-name",
            "`groups` of a node cannot be set".to_owned(),
        );
    }
    if !is_variable_name(name) {
        return error(
            "bad-name",
            format!("`{name}` cannot be the name of a value"),
        );
    }
    if is_secret(tree, name) {
        // Draw the problem without the value.
        let source = Source::new("--set", name);
        let message = format!("`{name}` is a secret, but other users can see arguments");
        return Err(Problem::error(
            "secret-set",
            Span::new(&source, 0..name.len()),
            message,
        ));
    }
    Ok(Yaml {
        span: Span::new(&source, name.len() + 1..text.len()),
        value: plain_text(value),
    })
}

/// Whether the layers below define the value as a secret.
fn is_secret(tree: &Tree, name: &str) -> bool {
    let path = nested_path(tree, name).unwrap_or_else(|| vec![name.to_owned()]);
    let mut tree = tree;
    for key in &path {
        match tree.get(key).map(|item| &item.content) {
            Some(Content::Map(nested)) => tree = nested,
            Some(Content::Leaf(value)) => return secret::reference(value).is_some(),
            None => return false,
        }
    }
    false
}

/// Sets one value: the nested one with this flat name, if it exists.
fn put(tree: &mut Tree, name: &str, layer: &Layer, value: Yaml, span: Option<Span>) {
    let path = nested_path(tree, name).unwrap_or_else(|| vec![name.to_owned()]);
    let item = Item {
        origin: Origin {
            layer: layer.clone(),
            span,
        },
        overrode: Vec::new(),
        content: Content::Leaf(value),
    };
    put_at(tree, &path, item);
}

fn put_at(tree: &mut Tree, path: &[String], mut item: Item) {
    let [name, rest @ ..] = path else { return };
    if let (
        Some(Item {
            content: Content::Map(nested),
            ..
        }),
        false,
    ) = (tree.get_mut(name), rest.is_empty())
    {
        return put_at(nested, rest, item);
    }
    if let Some(below) = tree.get_mut(name) {
        item.overrode.push(below.origin.clone());
        item.overrode.append(&mut below.overrode);
    }
    tree.insert(name.clone(), item);
}

/// The path of the nested leaf with the flat name `outer_inner`.
fn nested_path(tree: &Tree, name: &str) -> Option<Vec<String>> {
    if tree.contains_key(name) {
        return None;
    }
    tree.iter().find_map(|(key, item)| {
        let Content::Map(nested) = &item.content else {
            return None;
        };
        let inner = name.strip_prefix(key.as_str())?.strip_prefix('_')?;
        let mut path = if nested.contains_key(inner) {
            vec![inner.to_owned()]
        } else {
            nested_path(nested, inner)?
        };
        path.insert(0, key.clone());
        Some(path)
    })
}

/// Adds the expanded values, in the order of the tree, to the node.
struct Builder<'a> {
    node: &'a mut Node,
    expanded: std::vec::IntoIter<Expanded>,
}

impl Builder<'_> {
    fn build(mut self, tree: Tree) {
        for (name, item) in tree {
            let evaluated = self.item(&name, item);
            self.node.values.insert(name, evaluated);
        }
    }

    fn item(&mut self, name: &str, item: Item) -> Evaluated {
        let Item {
            origin,
            overrode,
            content,
        } = item;
        let evaluated = match content {
            Content::Map(tree) => return self.map(name, tree, origin, overrode),
            Content::Leaf(value) => {
                let expanded = self
                    .expanded
                    .next()
                    .unwrap_or_else(|| Expanded::unchanged(value));
                Evaluated {
                    value: expanded.value,
                    origin,
                    overrode,
                    written: expanded.written,
                    undefined: expanded.undefined,
                }
            }
        };
        self.node.leaves.insert(name.to_owned(), evaluated.clone());
        evaluated
    }

    fn map(&mut self, name: &str, tree: Tree, origin: Origin, overrode: Vec<Origin>) -> Evaluated {
        let mut undefined = None;
        let mut map = Map::new();
        let mut place = origin.span.clone();
        for (key, item) in tree {
            let inner = self.item(&format!("{name}_{key}"), item);
            undefined = undefined.or(inner.undefined);
            let span = inner.value.span.clone();
            place.get_or_insert_with(|| span.clone());
            map.insert(
                key,
                Entry {
                    key: span,
                    value: inner.value,
                },
            );
        }
        let span = place.unwrap_or_else(|| Span::new(&Source::new("", ""), 0..0));
        Evaluated {
            value: Yaml {
                span,
                value: Value::Map(map),
            },
            origin,
            overrode,
            written: None,
            undefined,
        }
    }
}

impl Node {
    /// The variables of scripts: every text, number and bool under its flat name.
    #[must_use]
    pub fn texts(&self) -> IndexMap<String, Text> {
        self.leaves
            .iter()
            .filter(|(name, leaf)| is_variable_name(name) && leaf.undefined.is_none())
            .filter_map(|(name, leaf)| Some((name.clone(), text(&leaf.value)?)))
            .collect()
    }

    /// The values of templates: all values of scripts, and whole maps and lists. Secrets are left
    /// out, also within maps; whoever renders adds the requested ones under their flat names.
    #[must_use]
    pub fn template_values(&self) -> template::Values {
        let mut values = template::Values::default();
        let leaves = self
            .leaves
            .iter()
            .filter(|(name, _)| is_variable_name(name));
        for (name, evaluated) in leaves.chain(&self.values) {
            if evaluated.undefined.is_none()
                && let Some(value) = without_secrets(&evaluated.value)
            {
                values.yaml(name.as_str(), &value);
            }
        }
        values
    }

    /// One variable. The error is the reason why a defined name has no text, or `None` if nothing
    /// of this name is defined.
    pub fn text(&self, name: &str) -> Result<Text, Option<Box<Problem>>> {
        let Some(leaf) = self.leaves.get(name) else {
            return Err(self
                .values
                .get(name)
                .map(|map| Box::new(not_text(name, &map.value))));
        };
        match &leaf.undefined {
            Some(problem) => Err(Some(problem.clone())),
            None => text(&leaf.value).ok_or_else(|| Some(Box::new(not_text(name, &leaf.value)))),
        }
    }
}

fn text(value: &Yaml) -> Option<Text> {
    match secret::reference(value) {
        Some(reference) => reference.ok().map(Text::Secret),
        None => value.text().map(|text| Text::Plain(text.to_owned())),
    }
}

/// A map without its secrets. `None` for a secret, or for a list with one, because the other items
/// would move to other places.
fn without_secrets(value: &Yaml) -> Option<Yaml> {
    if secret::reference(value).is_some() {
        return None;
    }
    let rest = match &value.value {
        Value::Map(map) => {
            let kept = map.iter().filter_map(|(key, entry)| {
                let value = without_secrets(&entry.value)?;
                let key_at = entry.key.clone();
                Some((key.clone(), Entry { key: key_at, value }))
            });
            Value::Map(kept.collect())
        }
        Value::Seq(items) => Value::Seq(items.iter().map(without_secrets).collect::<Option<_>>()?),
        other => other.clone(),
    };
    Some(Yaml {
        span: value.span.clone(),
        value: rest,
    })
}

/// The problem that a list or map has no text for a script.
pub(super) fn not_text(name: &str, value: &Yaml) -> Problem {
    Problem::error(
        "not-a-text",
        value.span.clone(),
        format!(
            "`{name}` is {}, but only texts can be variables",
            value.kind()
        ),
    )
}
