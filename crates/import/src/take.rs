//! Adds the contents of a node list to the inventory: groups, nodes, and Ansible's variables under
//! opsbook's names.

use crate::inventory::{Group, Inventory, Node, Values, is_name, scalar, value, without_jinja};
use crate::known::secret::is_name_of_secret;
use crate::source::Span;
use crate::yaml::Yaml;
use crate::{MOST_NODES, NotUnderstood};

pub(super) fn add_group(name: &str, parent: Option<&str>, at: &Span, inventory: &mut Inventory) {
    if matches!(name, "all" | "ungrouped") {
        return;
    }
    if !is_name(name) {
        inventory.leave(
            at.place(),
            format!("`{name}` is not a valid name for a group here"),
        );
        return;
    }
    let group: &mut Group = inventory.groups.entry(name.to_owned()).or_default();
    if let Some(parent) = parent
        && parent != name
        && !group.parents.iter().any(|own| own == parent)
    {
        group.parents.push(parent.to_owned());
    }
}

pub(super) fn add_node(
    name: &str,
    group: &str,
    at: &Span,
    inventory: &mut Inventory,
) -> Result<(), NotUnderstood> {
    if !is_name(name) {
        inventory.leave(
            at.place(),
            format!("`{name}` is not a valid name for a node here"),
        );
        return Ok(());
    }
    if inventory.nodes.len() >= MOST_NODES {
        let why = format!("{}: more than {MOST_NODES} nodes", at.place());
        return Err(NotUnderstood(why));
    }
    add_group(group, None, at, inventory);
    let node: &mut Node = inventory.nodes.entry(name.to_owned()).or_default();
    let is_one = !matches!(group, "all" | "ungrouped") && is_name(group);
    if is_one && !node.groups.iter().any(|own| own == group) {
        node.groups.push(group.to_owned());
    }
    Ok(())
}

/// The owner of a value.
#[derive(Clone, Copy)]
pub(super) enum Of<'a> {
    All,
    Group(&'a str),
    Node(&'a str),
}

/// Adds a variable, or reports why not.
pub(super) fn put(of: Of<'_>, name: &str, value: &Yaml, place: &str, inventory: &mut Inventory) {
    let taken = taken(name, value);
    let values: Option<&mut Values> = match of {
        Of::All => Some(&mut inventory.defaults),
        Of::Group(group) => inventory
            .groups
            .get_mut(group)
            .map(|group| &mut group.values),
        Of::Node(node) => inventory.nodes.get_mut(node).map(|node| &mut node.values),
    };
    match (taken, values) {
        (Ok(Taken::Values(found)), Some(values)) => {
            for (name, text) in found {
                let told = (text.starts_with("{secret: {prompt:")).then(|| name.clone());
                values.insert(name, text);
                if let Some(name) = told {
                    inventory.leave(place, format!("`{name}` is a secret: say where it is kept"));
                    return;
                }
            }
        }
        (Ok(Taken::Values(_)), None) => {}
        (Ok(Taken::Partly(found, why)), values) => {
            if let Some(values) = values {
                values.extend(found);
            }
            inventory.leave(place, format!("`{name}`: {why}"));
        }
        (Err(why), _) => inventory.leave(place, format!("`{name}`: {why}")),
    }
}

enum Taken {
    Values(Vec<(String, String)>),
    Partly(Vec<(String, String)>, String),
}

/// opsbook's equivalent of Ansible's own variables; others keep their name.
fn taken(name: &str, value: &Yaml) -> Result<Taken, String> {
    let text = value.text().unwrap_or_default();
    let one = |own: &str| {
        let text = without_jinja(text)?;
        Ok(Taken::Values(vec![(own.to_owned(), scalar(&text))]))
    };
    let vault = text.trim_start().starts_with("$ANSIBLE_VAULT;");
    match name {
        "ansible_host" | "ansible_ssh_host" => one("address"),
        "ansible_user" | "ansible_ssh_user" => one("user"),
        "ansible_port" | "ansible_ssh_port" => match text.parse::<u16>() {
            Ok(port) => Ok(Taken::Values(vec![("port".to_owned(), port.to_string())])),
            Err(_) => Err("it is not a port".to_owned()),
        },
        "ansible_ssh_private_key_file" | "ansible_private_key_file" => one("identity"),
        "ansible_connection" => match text {
            "local" => Ok(Taken::Values(vec![(
                "transport".to_owned(),
                "local".to_owned(),
            )])),
            "ssh" | "smart" | "paramiko" => Ok(Taken::Values(Vec::new())),
            other => Err(format!("opsbook has no transport `{other}` of that kind")),
        },
        "ansible_ssh_common_args" | "ansible_ssh_extra_args" => {
            let (jump, rest) = jump(text);
            let values = jump.map(|jump| ("jump".to_owned(), scalar(&jump)));
            let values: Vec<_> = values.into_iter().collect();
            if rest.is_empty() {
                return Ok(Taken::Values(values));
            }
            Ok(Taken::Partly(
                values,
                format!("`{rest}` belongs into your ssh configuration, or `ssh_options`"),
            ))
        }
        "ansible_group_priority" => Err("groups count by their order here".to_owned()),
        name if name.starts_with("ansible_") => {
            let what = if is_name_of_secret(name) {
                "a password is asked for, or kept as a secret"
            } else {
                "opsbook has no such setting"
            };
            Err(what.to_owned())
        }
        _ if vault => {
            let own =
                crate::inventory::own_name(name).ok_or("it is not a valid name for a value")?;
            let prompt = format!("{{secret: {{prompt: {}}}}}", scalar(&own));
            Ok(Taken::Values(vec![(own, prompt)]))
        }
        _ => {
            let (own, text) = self::value(name, value)?;
            Ok(Taken::Values(vec![(own, text)]))
        }
    }
}

/// The jump host in ssh arguments, and the remaining arguments.
fn jump(words: &str) -> (Option<String>, String) {
    let mut jump = None;
    let mut rest = Vec::new();
    let mut words = words
        .split_whitespace()
        .map(|word| word.trim_matches(['\'', '"']))
        .peekable();
    while let Some(word) = words.next() {
        let next = |words: &mut std::iter::Peekable<_>| -> Option<&str> { words.next() };
        if word == "-J" {
            jump = next(&mut words).map(str::to_owned);
        } else if let Some(host) = word.strip_prefix("-oProxyJump=") {
            jump = Some(host.to_owned());
        } else if word == "-o" {
            match words
                .peek()
                .and_then(|word| word.strip_prefix("ProxyJump="))
            {
                Some(host) => {
                    jump = Some(host.to_owned());
                    words.next();
                }
                None => rest.push(word),
            }
        } else {
            rest.push(word);
        }
    }
    (jump, rest.join(" "))
}
