//! Writes nodes from any tool as `nodes.yaml`.

use std::fmt::Write as _;

use indexmap::IndexMap;

use crate::known::is_reserved;
use crate::known::secret::is_name_of_secret;
use crate::yaml::{Value, Yaml};
use crate::{Imported, Left};

/// What was read, in order.
#[derive(Default)]
pub(super) struct Inventory {
    /// The first line of the output.
    pub about: String,
    pub defaults: Values,
    pub groups: IndexMap<String, Group>,
    pub nodes: IndexMap<String, Node>,
    pub left: Vec<Left>,
}

/// opsbook's names, and YAML on one line.
pub(super) type Values = IndexMap<String, String>;

#[derive(Default)]
pub(super) struct Group {
    /// Its parent groups.
    pub parents: Vec<String>,
    pub values: Values,
}

#[derive(Default)]
pub(super) struct Node {
    pub groups: Vec<String>,
    pub values: Values,
}

impl Inventory {
    pub fn leave(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.left.push(Left {
            place: place.into(),
            what: what.into(),
        });
    }

    pub fn written(mut self) -> Imported {
        let mut text = format!("# {}\nopsbook: 1\n", self.about);
        if !self.defaults.is_empty() {
            let _ = writeln!(text, "defaults: {}", flow(&[], &self.defaults));
        }
        if !self.groups.is_empty() {
            text += "groups:\n";
            for (name, group) in &self.groups {
                let parents = list("in", &group.parents);
                let _ = writeln!(
                    text,
                    "  {}: {}",
                    scalar(name),
                    flow(&parents, &group.values)
                );
            }
        }
        text += "nodes:\n";
        let depths = self.depths();
        for (name, node) in &mut self.nodes {
            node.groups
                .sort_by_key(|group| (depths.get(group).copied(), group.clone()));
            node.groups.dedup();
            let groups = list("groups", &node.groups);
            let _ = writeln!(text, "  {}: {}", scalar(name), flow(&groups, &node.values));
        }
        let count = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let taken = vec![
            count(self.nodes.len(), "node"),
            count(self.groups.len(), "group"),
        ];
        Imported {
            text,
            taken,
            left: self.left,
        }
    }

    /// The depth of each group: a deeper one has priority, as in Ansible. Stops at circles.
    fn depths(&self) -> IndexMap<String, usize> {
        let mut depths: IndexMap<String, usize> = IndexMap::new();
        for name in self.groups.keys() {
            depths.insert(name.clone(), 0);
        }
        for _ in 0..self.groups.len().min(64) {
            let mut changed = false;
            for (name, group) in &self.groups {
                let above = group.parents.iter().filter_map(|parent| depths.get(parent));
                let depth = above.max().map_or(0, |above| above + 1);
                changed |= depths.insert(name.clone(), depth) != Some(depth);
            }
            if !changed {
                break;
            }
        }
        depths
    }
}

/// A value with its name in opsbook, or the reason why it cannot be converted.
pub(super) fn value(name: &str, value: &Yaml) -> Result<(String, String), String> {
    let own = own_name(name).ok_or_else(|| format!("`{name}` is not a valid name for a value"))?;
    if matches!(own.as_str(), "null" | "true" | "false") {
        return Err(format!("`{name}` is not a valid name in YAML"));
    }
    if is_reserved(&own) {
        return Err(format!("`{name}` means something else to opsbook"));
    }
    if is_name_of_secret(&own)
        && !matches!(value.value, Value::Map(_) | Value::Seq(_) | Value::Null)
    {
        let secret = format!("{{secret: {{prompt: {}}}}}", scalar(&own));
        return Ok((own, secret));
    }
    Ok((own, in_flow(value, 0)?))
}

/// `App-Port` and `maxConn` become `app_port` and `max_conn`.
pub(super) fn own_name(name: &str) -> Option<String> {
    let mut own = String::new();
    let mut lower = false;
    for c in name.chars() {
        match c {
            'A'..='Z' => {
                if lower {
                    own.push('_');
                }
                own.push(c.to_ascii_lowercase());
            }
            'a'..='z' | '0'..='9' | '_' => own.push(c),
            '-' | '.' => own.push('_'),
            _ => return None,
        }
        lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    own.starts_with(|c: char| c.is_ascii_lowercase())
        .then_some(own)
}

/// A valid name of a node or a group.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 253
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn list(key: &str, names: &[String]) -> Vec<(String, String)> {
    if names.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> = names.iter().map(|name| scalar(name)).collect();
    vec![(key.to_owned(), format!("[{}]", names.join(", ")))]
}

fn flow(first: &[(String, String)], values: &Values) -> String {
    let first = first.iter().map(|(key, value)| format!("{key}: {value}"));
    let values = values.iter().map(|(key, value)| format!("{key}: {value}"));
    let all: Vec<String> = first.chain(values).collect();
    format!("{{{}}}", all.join(", "))
}

/// YAML on one line. Escapes `${`, and refuses `{{ }}`, which opsbook cannot evaluate.
pub(super) fn in_flow(value: &Yaml, depth: usize) -> Result<String, String> {
    if depth > 16 {
        return Err("it is nested too deep".to_owned());
    }
    Ok(match &value.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(number, text) if number.to_string() == *text => text.clone(),
        Value::Int(_, text) | Value::Float(_, text) => scalar(text),
        Value::Str(text) => scalar(&without_jinja(text)?),
        Value::Seq(items) => {
            let items: Result<Vec<String>, String> =
                items.iter().map(|item| in_flow(item, depth + 1)).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Map(map) => {
            let pairs = map.iter().map(|(key, entry)| {
                let own = own_name(key)
                    .ok_or_else(|| format!("its key `{key}` is not a valid name for a value"))?;
                Ok(format!("{own}: {}", in_flow(&entry.value, depth + 1)?))
            });
            let pairs: Result<Vec<String>, String> = pairs.collect();
            format!("{{{}}}", pairs?.join(", "))
        }
    })
}

/// `{{ name }}` becomes `${name}`; other Jinja is refused.
pub(super) fn without_jinja(text: &str) -> Result<String, String> {
    let mut own = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{").or_else(|| rest.find("{%")) {
        own += &rest[..at].replace("${", "$${");
        let inner = rest[at..]
            .strip_prefix("{{")
            .and_then(|inner| inner.split_once("}}"));
        let (inner, after) = inner.ok_or("it is a template of Jinja")?;
        let name = inner.trim();
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let name = match name {
            "inventory_hostname" => "node".to_owned(),
            name if plain && !name.is_empty() => own_name(name)
                .ok_or_else(|| format!("`{{{{ {name} }}}}` is not a valid name here"))?,
            _ => return Err(format!("`{{{{ {name} }}}}` is more than a name")),
        };
        own += &format!("${{{name}}}");
        rest = after;
    }
    Ok(own + &rest.replace("${", "$${"))
}

/// A text as YAML on one line: plain if it is read back as the same text.
pub(super) fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._/@+-".contains(&b))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off"
        );
    if plain {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
