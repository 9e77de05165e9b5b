//! Ansible's INI format: sections of hosts, of children and of variables; ranges in names.

use crate::inventory::Inventory;
use crate::source::{Source, Span};
use crate::take::{Of, add_group, add_node, put};
use crate::yaml::{Value, Yaml};
use crate::{MOST_NODES, NotUnderstood};

enum Section {
    Hosts,
    Children,
    Vars,
    Unknown,
}

pub(super) fn read(name: &str, text: &str) -> Result<Inventory, NotUnderstood> {
    let source = Source::new(name, text);
    let mut inventory = Inventory::default();
    let (mut group, mut section) = ("ungrouped".to_owned(), Section::Hosts);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let span = Span::new(&source, at..at + line.trim_end().len());
        at += line.len();
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(inner) = line.strip_prefix('[') {
            let Some((head, _)) = inner.split_once(']') else {
                return Err(NotUnderstood(format!(
                    "{}: this section has no end",
                    span.place()
                )));
            };
            let (name, kind) = head.split_once(':').unwrap_or((head, "hosts"));
            group = name.trim().to_owned();
            section = match kind.trim() {
                "hosts" => Section::Hosts,
                "children" => Section::Children,
                "vars" => Section::Vars,
                other => {
                    inventory.leave(span.place(), format!("a section of the kind `{other}`"));
                    Section::Unknown
                }
            };
            add_group(&group, None, &span, &mut inventory);
            continue;
        }
        match section {
            Section::Hosts => host(line, &group, &span, &mut inventory)?,
            Section::Children => {
                let child = line.split_whitespace().next().unwrap_or_default();
                let parent = (group != "all").then_some(group.as_str());
                add_group(child, parent, &span, &mut inventory);
            }
            Section::Vars => {
                let (name, value) = line.split_once('=').unwrap_or((line, ""));
                let of = match group.as_str() {
                    "all" | "ungrouped" => Of::All,
                    group => Of::Group(group),
                };
                let value = literal(value.trim(), &span);
                put(of, name.trim(), &value, &span.place(), &mut inventory);
            }
            Section::Unknown => {}
        }
    }
    Ok(inventory)
}

fn host(
    line: &str,
    group: &str,
    span: &Span,
    inventory: &mut Inventory,
) -> Result<(), NotUnderstood> {
    let words = words(line);
    let Some((pattern, vars)) = words.split_first() else {
        return Ok(());
    };
    // `host:2222`, but not the colon of a range.
    let after = pattern.rfind(']').map_or(0, |end| end + 1);
    let (pattern, port) = match pattern[after..].rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.parse::<u16>().is_ok() => {
            (pattern[..after].to_owned() + host, Some(port.to_owned()))
        }
        _ => (pattern.clone(), None),
    };
    for name in expanded(&pattern)? {
        add_node(&name, group, span, inventory)?;
        let place = span.place();
        if let Some(port) = &port {
            put(
                Of::Node(&name),
                "ansible_port",
                &literal(port, span),
                &place,
                inventory,
            );
        }
        for word in vars {
            match word.split_once('=') {
                Some((key, value)) => {
                    put(
                        Of::Node(&name),
                        key,
                        &literal(value, span),
                        &place,
                        inventory,
                    );
                }
                None => inventory.leave(place.clone(), format!("`{word}` is not a variable")),
            }
        }
    }
    Ok(())
}

/// Splits words like a shell; a comment ends the line.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => {
                word.get_or_insert_default().extend(chars.next());
            }
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// A value as Ansible reads it: numbers and `True` have their types, everything else is text.
fn literal(text: &str, span: &Span) -> Yaml {
    let bare = text
        .strip_prefix(['"', '\''])
        .and_then(|inner| inner.strip_suffix(['"', '\'']));
    let value = match (bare, text) {
        (Some(bare), _) => Value::Str(bare.to_owned()),
        (None, "True") => Value::Bool(true),
        (None, "False") => Value::Bool(false),
        (None, text) => match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => Value::Int(number, text.to_owned()),
            _ => Value::Str(text.to_owned()),
        },
    };
    Yaml {
        span: span.clone(),
        value,
    }
}

/// Expands `web[01:03].example` into three names.
pub(super) fn expanded(pattern: &str) -> Result<Vec<String>, NotUnderstood> {
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, inner)) = rest.split_once('[') {
        let Some((range, after)) = inner.split_once(']') else {
            break;
        };
        let items = items(range)
            .ok_or_else(|| NotUnderstood(format!("`{pattern}` has no range that is understood")))?;
        if items.len().saturating_mul(names.len()) > MOST_NODES {
            return Err(NotUnderstood(format!(
                "`{pattern}` is more than {MOST_NODES} names"
            )));
        }
        let longer = names.iter().flat_map(|name| {
            items
                .iter()
                .map(move |item| format!("{name}{before}{item}"))
        });
        names = longer.collect();
        rest = after;
    }
    Ok(names.into_iter().map(|name| name + rest).collect())
}

/// `01:03`, `1:9:2`, `a:c`
fn items(range: &str) -> Option<Vec<String>> {
    let parts: Vec<&str> = range.split(':').collect();
    let (from, to, by) = match parts[..] {
        [from, to] => (from, to, 1),
        [from, to, by] => (from, to, by.parse::<usize>().ok().filter(|by| *by > 0)?),
        _ => return None,
    };
    if let (Ok(first), Ok(last)) = (from.parse::<usize>(), to.parse::<usize>()) {
        let width = if from.starts_with('0') { from.len() } else { 0 };
        if last < first || (last - first) / by > MOST_NODES || width > 20 {
            return None;
        }
        let numbers = (first..=last).step_by(by);
        return Some(numbers.map(|number| format!("{number:0width$}")).collect());
    }
    let (mut from, mut to) = (from.chars(), to.chars());
    match (from.next(), from.next(), to.next(), to.next()) {
        (Some(a @ 'a'..='z'), None, Some(z @ 'a'..='z'), None) if a <= z => {
            Some((a..=z).step_by(by).map(String::from).collect())
        }
        _ => None,
    }
}
