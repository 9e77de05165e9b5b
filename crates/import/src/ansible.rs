//! Ansible inventories: INI, YAML, and the output of `ansible-inventory --list`.

use crate::inventory::Inventory;
use crate::take::{Of, add_group, add_node, put};
use crate::yaml::{Map, Value, Yaml};
use crate::{NotUnderstood, document, ini};

/// The deepest nesting of groups.
const MOST_DEPTH: usize = 32;

pub(super) fn read(name: &str, text: &str) -> Result<Inventory, NotUnderstood> {
    let first = text.trim_start();
    let is_yaml = first.starts_with(['{', '-'])
        || text
            .lines()
            .map(str::trim_end)
            .any(|line| line.ends_with(':') && !line.starts_with(['[', '#', ';', ' ', '\t']));
    let mut inventory = if is_yaml {
        of_yaml(name, text)?
    } else {
        ini::read(name, text)?
    };
    inventory.about = format!(
        "From Ansible's `{}`, by `opsbook import nodes ansible`.",
        name.replace('\n', " ")
    );
    Ok(inventory)
}

fn of_yaml(name: &str, text: &str) -> Result<Inventory, NotUnderstood> {
    // Encrypted values, and values unsafe for templates, stay texts.
    let text = text
        .replace("!vault", "      ")
        .replace("!unsafe", "       ");
    let document = document(name, &text)?;
    let Value::Map(map) = &document.value else {
        return Err(NotUnderstood(format!(
            "`{name}` is not an inventory: it is {}",
            document.kind()
        )));
    };
    let mut inventory = Inventory::default();
    if map.contains_key("_meta") {
        listed(map, &mut inventory)?;
    } else {
        for (group, entry) in map {
            self::group(group, &entry.value, None, &mut inventory, 0)?;
        }
    }
    Ok(inventory)
}

/// The output of `ansible-inventory --list`: groups by name, node values in `_meta`.
fn listed(map: &Map, inventory: &mut Inventory) -> Result<(), NotUnderstood> {
    let at = |value: &'_ Yaml, key: &str| match &value.value {
        Value::Map(map) => map.get(key).map(|entry| entry.value.clone()),
        _ => None,
    };
    for (name, entry) in map.iter().filter(|(name, _)| *name != "_meta") {
        if let Some(vars) = at(&entry.value, "vars") {
            put_all(name, &vars, inventory);
        }
        for (key, is_group) in [("children", true), ("hosts", false)] {
            let Some(Yaml {
                value: Value::Seq(items),
                ..
            }) = at(&entry.value, key)
            else {
                continue;
            };
            for item in items.iter().filter_map(Yaml::text) {
                match (is_group, name.as_str()) {
                    (true, "all") => add_group(item, None, &entry.key, inventory),
                    (true, parent) => add_group(item, Some(parent), &entry.key, inventory),
                    (false, group) => add_node(item, group, &entry.key, inventory)?,
                }
            }
        }
    }
    let vars = map
        .get("_meta")
        .and_then(|meta| at(&meta.value, "hostvars"));
    if let Some(Yaml {
        value: Value::Map(hosts),
        ..
    }) = vars
    {
        for (host, entry) in &hosts {
            add_node(host, "all", &entry.key, inventory)?;
            take(host, &entry.value, inventory);
        }
    }
    Ok(())
}

/// A group of a YAML inventory, with its children.
fn group(
    name: &str,
    value: &Yaml,
    parent: Option<&str>,
    inventory: &mut Inventory,
    depth: usize,
) -> Result<(), NotUnderstood> {
    if depth > MOST_DEPTH {
        return Err(NotUnderstood(format!(
            "{}: groups are nested too deep",
            value.span.place()
        )));
    }
    if name != "all" {
        add_group(name, parent, &value.span, inventory);
    }
    let Value::Map(map) = &value.value else {
        return Ok(());
    };
    for (key, entry) in map {
        match (key.as_str(), &entry.value.value) {
            (_, Value::Null) => {}
            ("hosts", Value::Map(hosts)) => {
                for (pattern, vars) in hosts {
                    for host in ini::expanded(pattern)? {
                        add_node(&host, name, &vars.key, inventory)?;
                        take(&host, &vars.value, inventory);
                    }
                }
            }
            ("children", Value::Map(children)) => {
                let parent = (name != "all").then_some(name);
                for (child, entry) in children {
                    group(child, &entry.value, parent, inventory, depth + 1)?;
                }
            }
            ("vars", _) => put_all(name, &entry.value, inventory),
            _ => inventory.leave(entry.key.place(), format!("`{key}` of the group `{name}`")),
        }
    }
    Ok(())
}

fn take(host: &str, vars: &Yaml, inventory: &mut Inventory) {
    if let Value::Map(map) = &vars.value {
        for (name, entry) in map {
            put(
                Of::Node(host),
                name,
                &entry.value,
                &entry.key.place(),
                inventory,
            );
        }
    }
}

fn put_all(group: &str, vars: &Yaml, inventory: &mut Inventory) {
    let of = match group {
        "all" | "ungrouped" => Of::All,
        group => Of::Group(group),
    };
    if let Of::Group(name) = of {
        add_group(name, None, &vars.span, inventory);
    }
    if let Value::Map(map) = &vars.value {
        for (name, entry) in map {
            put(of, name, &entry.value, &entry.key.place(), inventory);
        }
    }
}
