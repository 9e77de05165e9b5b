//! Merges layers: maps merge by key, everything else replaces, `null` removes. Each value keeps its
//! origin and the values that it replaced.

use indexmap::IndexMap;

use super::{Layer, Origin};
use crate::yaml::{Map, Value, Yaml};

/// Values by key, in the order of their first appearance.
pub(super) type Tree = IndexMap<String, Item>;

#[derive(Debug)]
pub(super) struct Item {
    pub origin: Origin,
    /// The nearest layer first.
    pub overrode: Vec<Origin>,
    pub content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// A scalar, a list or a reference to a secret.
    Leaf(Yaml),
    Map(Tree),
}

/// Applies one layer, defined by one or more files, on top of the layers below.
pub(super) fn apply(tree: &mut Tree, layer: &Layer, parts: &[Map]) {
    match parts {
        [] => {}
        [part] => cover(tree, from_map(layer, part)),
        [first, rest @ ..] => {
            let mut whole = from_map(layer, first);
            for part in rest {
                patch(&mut whole, from_map(layer, part));
            }
            cover(tree, whole);
        }
    }
}

/// The tree of one map; `null` stays in it, to remove values of the layers below.
fn from_map(layer: &Layer, map: &Map) -> Tree {
    map.iter()
        .map(|(name, entry)| (name.clone(), item(layer, &entry.value)))
        .collect()
}

pub(super) fn item(layer: &Layer, value: &Yaml) -> Item {
    let content = match &value.value {
        Value::Map(map) if !is_secret(map) => Content::Map(from_map(layer, map)),
        _ => Content::Leaf(value.clone()),
    };
    Item {
        origin: Origin {
            layer: layer.clone(),
            span: Some(value.span.clone()),
        },
        overrode: Vec::new(),
        content,
    }
}

/// `{secret: {env: X}}` is one value, not a map of values.
pub(super) fn is_secret(map: &Map) -> bool {
    // Anything else in the place of a reference is reported and hidden.
    map.get("secret").is_some_and(|entry| {
        entry.value.as_map().is_some() || map.len() == 1 && !entry.value.is_null()
    })
}

/// Merges a later file into an earlier one within one layer, as in JSON Merge Patch: `null` reveals
/// the value of the layers below.
fn patch(base: &mut Tree, over: Tree) {
    merge(base, over, |base, name, item| {
        if base.shift_remove(&name).is_none() {
            base.insert(name, item);
        }
    });
}

/// Puts a layer on top of the layers below: `null` removes their value.
fn cover(base: &mut Tree, over: Tree) {
    merge(base, over, |base, name, _| {
        base.shift_remove(&name);
    });
}

fn merge(base: &mut Tree, over: Tree, remove: fn(&mut Tree, String, Item)) {
    for (name, mut item) in over {
        if item.is_null() {
            remove(base, name, item);
            continue;
        }
        let Some(below) = base.get_mut(&name) else {
            let nested = item.take_map();
            let item = base.entry(name).insert_entry(item).into_mut();
            // Removals within a new map remove nothing, and must not stay as values.
            if let Some(nested) = nested {
                let mut fresh = Tree::new();
                merge(&mut fresh, nested, remove);
                item.content = Content::Map(fresh);
            }
            continue;
        };
        match (&mut below.content, item.take_map()) {
            (Content::Map(below), Some(nested)) => merge(below, nested, remove),
            (_, nested) => {
                if let Some(nested) = nested {
                    let mut fresh = Tree::new();
                    merge(&mut fresh, nested, remove);
                    item.content = Content::Map(fresh);
                }
                let earlier = std::mem::replace(below, item);
                below.overrode.push(earlier.origin);
                below.overrode.extend(earlier.overrode);
            }
        }
    }
}

impl Item {
    fn is_null(&self) -> bool {
        matches!(&self.content, Content::Leaf(value) if value.is_null())
    }

    /// Takes the nested map out, if there is one.
    fn take_map(&mut self) -> Option<Tree> {
        match &mut self.content {
            Content::Map(tree) => Some(std::mem::take(tree)),
            Content::Leaf(_) => None,
        }
    }
}
