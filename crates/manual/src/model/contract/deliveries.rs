//! Deliveries: which files go to a node, and under which names.

use super::values::{as_map, checked, document, empty, string, unknown_key};
use crate::model::attributes::{bundle_name, mode};
use crate::source::{Passage, Problem, Span};
use crate::yaml::{Value, Yaml};
use crate::{Delivery, DeliveryFrom, Spanned};

const DELIVERY: [&str; 7] = ["file", "tree", "template", "from", "path", "as", "mode"];

/// Reads a block tagged `deliver`: one delivery, or a list of them.
pub(crate) fn deliveries(
    text: &Passage,
    place: &Span,
    problems: &mut Vec<Problem>,
) -> Vec<Delivery> {
    let Some(yaml) = document(text, problems) else {
        problems.push(empty(place, "a delivery"));
        return Vec::new();
    };
    match &yaml.value {
        Value::Seq(items) if items.is_empty() => {
            problems.push(empty(place, "a delivery"));
            Vec::new()
        }
        Value::Seq(items) => items
            .iter()
            .filter_map(|item| delivery(item, problems))
            .collect(),
        _ => delivery(&yaml, problems).into_iter().collect(),
    }
}

fn delivery(item: &Yaml, problems: &mut Vec<Problem>) -> Option<Delivery> {
    let map = as_map(item, "a delivery", "{file: NAME}", problems)?;
    let mut sources = Vec::new();
    let mut to = None;
    let mut bits = None;
    let mut path = None;
    let mut unknown = false;
    for (key, entry) in map {
        let value = &entry.value;
        match key.as_str() {
            "file" | "tree" | "template" | "from" => {
                let name = string(value, "a name", problems)?;
                sources.push((key.as_str(), name, entry.key.clone()));
            }
            "path" => path = Some((checked(value, "a name", bundle_name, problems)?, &entry.key)),
            "as" => to = checked(value, "a name", bundle_name, problems),
            "mode" => bits = checked(value, "a mode", mode, problems),
            _ => {
                unknown = true;
                problems.push(unknown_key(key, entry, "a delivery", &DELIVERY));
            }
        }
    }
    if sources.is_empty() && unknown {
        return None;
    }
    if sources.len() != 1 {
        let span = sources.get(1).map_or(&item.span, |(.., span)| span).clone();
        problems.push(Problem::error(
            "delivery-source",
            span,
            "a delivery needs exactly one of `file`, `tree` and `template`",
        ));
        return None;
    }
    let (kind, name, key) = sources.remove(0);
    let path = match (kind, path) {
        ("from", Some((path, _))) => Some(path),
        ("from", None) => {
            let message = "this delivery does not name a file of that machine's bundle";
            let problem = Problem::error("delivery-source", key, message);
            problems.push(problem.hint("add `path: NAME`, its name in the bundle there"));
            return None;
        }
        (_, Some((_, key))) => {
            let message = "`path` names a file in the bundle of another machine: it needs `from`";
            problems.push(Problem::error("delivery-source", key.clone(), message));
            return None;
        }
        (_, None) => None,
    };
    let to = match to {
        Some(to) => to.value,
        None => last_part(path.as_ref().unwrap_or(&name), problems)?,
    };
    let span = name.span.clone();
    let from = match kind {
        "file" => DeliveryFrom::File(name.value),
        "tree" => DeliveryFrom::Tree(name.value),
        "from" => DeliveryFrom::Machine {
            role: name.value,
            node: String::new(),
            path: path.map(|path| path.value).unwrap_or_default(),
        },
        _ => DeliveryFrom::Template(name.value),
    };
    Some(Delivery {
        span,
        from,
        to,
        mode: bits.map_or(0o600, |mode| mode.value),
    })
}

/// The default name in the bundle: the last component of the source.
fn last_part(name: &Spanned<String>, problems: &mut Vec<Problem>) -> Option<String> {
    let last = name.value.rsplit('/').find(|part| !part.is_empty());
    if let Some(Ok(last)) = last.map(bundle_name) {
        return Some(last);
    }
    problems.push(Problem::error(
        "delivery-name",
        name.span.clone(),
        format!("`{}` does not give a name for the bundle", name.value),
    ));
    None
}
