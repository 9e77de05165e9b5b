//! Anchors, aliases and `<<`, for files of other tools: each alias is a separate copy and counts as
//! one.

use std::collections::HashMap;

use super::{Map, Value, Yaml};
use crate::source::Problem;

/// The anchored values so far, by the parser's number.
#[derive(Default)]
pub(super) struct Anchors(HashMap<usize, Anchored>);

pub(super) struct Anchored {
    pub yaml: Yaml,
    pub values: usize,
    pub levels: usize,
}

impl Anchors {
    pub fn get(&self, number: usize) -> Option<&Anchored> {
        self.0.get(&number)
    }

    /// Stores a copy, and returns its number of values.
    pub fn keep(&mut self, number: usize, yaml: &Yaml) -> usize {
        let (values, levels) = measure(yaml);
        let yaml = yaml.clone();
        let kept = Anchored {
            yaml,
            values,
            levels,
        };
        self.0.insert(number, kept);
        values
    }
}

/// Merges the map behind `<<`; the map's own keys have priority.
pub(super) fn merge(map: &mut Map) -> Option<Problem> {
    let merged = map.shift_remove("<<")?;
    let sources = match merged.value.value {
        Value::Map(source) => vec![source],
        Value::Seq(items) => {
            let sources = items.into_iter().filter_map(|item| match item.value {
                Value::Map(source) => Some(source),
                _ => None,
            });
            sources.collect()
        }
        _ => Vec::new(),
    };
    if sources.is_empty() {
        let message = "`<<` takes a map, or a list of maps";
        return Some(Problem::error("yaml-merge-key", merged.key, message));
    }
    for (name, entry) in sources.into_iter().flatten() {
        map.entry(name).or_insert(entry);
    }
    None
}

/// The number of values, and the nesting depth.
fn measure(yaml: &Yaml) -> (usize, usize) {
    let within = |items: &mut dyn Iterator<Item = &Yaml>| {
        items.map(measure).fold((1, 1), |(values, levels), item| {
            (values + item.0, levels.max(item.1 + 1))
        })
    };
    match &yaml.value {
        Value::Seq(items) => within(&mut items.iter()),
        Value::Map(map) => within(&mut map.values().map(|entry| &entry.value)),
        _ => (1, 0),
    }
}
