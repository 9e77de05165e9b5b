//! Reads nodes from Terraform's outputs or state.

use crate::inventory::{Inventory, Node, is_name, scalar};
use crate::yaml::{Map, Value, Yaml};
use crate::{MOST_NODES, NotUnderstood, document};

/// Attributes that contain an address, in order of preference.
const ADDRESSES: [&str; 9] = [
    "public_ip",
    "public_ip_address",
    "ipv4_address",
    "access_ip_v4",
    "nat_ip",
    "primary_ip_address",
    "ip_address",
    "private_ip",
    "private_ip_address",
];
/// The deepest nesting of modules.
const MOST_DEPTH: usize = 32;
/// Endings of output names that indicate addresses.
const ENDS: [&str; 10] = [
    "_public_ips",
    "_private_ips",
    "_public_ip",
    "_private_ip",
    "_addresses",
    "_address",
    "_hosts",
    "_host",
    "_ips",
    "_ip",
];

pub(super) fn read(name: &str, text: &str) -> Result<Inventory, NotUnderstood> {
    let document = document(name, text)?;
    let Value::Map(map) = &document.value else {
        return Err(NotUnderstood(format!(
            "`{name}` is nothing of Terraform: it is {}",
            document.kind()
        )));
    };
    let mut inventory = Inventory {
        about: format!(
            "From Terraform's `{}`, by `opsbook import nodes terraform`.",
            name.replace('\n', " ")
        ),
        ..Inventory::default()
    };
    if let Some(values) = get(map, "values").and_then(Yaml::as_map) {
        if let Some(root) = get(values, "root_module") {
            module(root, &mut inventory, 0);
        }
    } else if let Some(Value::Seq(resources)) = get(map, "resources").map(|own| &own.value) {
        for resource in resources {
            of_state(resource, &mut inventory);
        }
    } else {
        for (name, entry) in map {
            output(name, &entry.value, &mut inventory);
        }
    }
    Ok(inventory)
}

fn get<'y>(map: &'y Map, key: &str) -> Option<&'y Yaml> {
    map.get(key).map(|entry| &entry.value)
}

fn text<'y>(map: &'y Map, key: &str) -> Option<&'y str> {
    get(map, key)?.text().filter(|text| !text.is_empty())
}

/// A module of `terraform show -json`.
fn module(module: &Yaml, inventory: &mut Inventory, depth: usize) {
    let Some(map) = module.as_map() else { return };
    if let Some(Value::Seq(resources)) = get(map, "resources").map(|own| &own.value) {
        for own in resources.iter().filter_map(Yaml::as_map) {
            let (kind, name) = (text(own, "type"), text(own, "name"));
            let index = get(own, "index").and_then(Yaml::text);
            if let (Some(kind), Some(name), Some(values)) = (kind, name, get(own, "values")) {
                machine(kind, name, index, values, inventory);
            }
        }
    }
    let children = get(map, "child_modules").map(|own| &own.value);
    if let (Some(Value::Seq(children)), true) = (children, depth < MOST_DEPTH) {
        for child in children {
            self::module(child, inventory, depth + 1);
        }
    }
}

/// A resource of a state file.
fn of_state(resource: &Yaml, inventory: &mut Inventory) {
    let Some(own) = resource.as_map() else { return };
    if text(own, "mode") == Some("data") {
        return;
    }
    let (Some(kind), Some(name)) = (text(own, "type"), text(own, "name")) else {
        return;
    };
    if let Some(Value::Seq(instances)) = get(own, "instances").map(|own| &own.value) {
        for instance in instances.iter().filter_map(Yaml::as_map) {
            let index = get(instance, "index_key").and_then(Yaml::text);
            if let Some(values) = get(instance, "attributes") {
                machine(kind, name, index, values, inventory);
            }
        }
    }
}

/// A resource with an address, whose type indicates a virtual or physical machine.
fn machine(kind: &str, name: &str, index: Option<&str>, values: &Yaml, inventory: &mut Inventory) {
    const KINDS: [&str; 7] = [
        "instance", "server", "droplet", "vm", "machine", "domain", "linode",
    ];
    let is_machine = kind.split('_').any(|word| KINDS.contains(&word));
    let Some(map) = values.as_map().filter(|_| is_machine) else {
        return;
    };
    let place = values.span.place();
    let Some(address) = address(map, 0) else {
        inventory.leave(place, format!("`{kind}.{name}` has no address"));
        return;
    };
    let tags = get(map, "tags").and_then(Yaml::as_map);
    let tagged = tags.and_then(|tags| text(tags, "Name"));
    let own = tagged
        .or_else(|| text(map, "name"))
        .filter(|own| is_name(own));
    let own = match (own, index) {
        (Some(own), _) => own.to_owned(),
        (None, Some(index)) => format!("{name}-{index}"),
        (None, None) => name.to_owned(),
    };
    add(&own, name, &address, &place, inventory);
}

fn address(map: &Map, depth: usize) -> Option<String> {
    let own = ADDRESSES.iter().find_map(|key| text(map, key));
    if let Some(own) = own.filter(|own| is_address(own)) {
        return Some(own.to_owned());
    }
    // `network_interface[0].access_config[0].nat_ip` and similar.
    for key in [
        "network_interface",
        "access_config",
        "network",
        "ip_configuration",
    ] {
        let Some(Value::Seq(items)) = get(map, key).map(|own| &own.value) else {
            continue;
        };
        let first = items.first().and_then(Yaml::as_map).filter(|_| depth < 4);
        if let Some(found) = first.and_then(|first| address(first, depth + 1)) {
            return Some(found);
        }
    }
    text(map, "network_ip")
        .filter(|own| is_address(own))
        .map(str::to_owned)
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
        || is_name(text) && text.contains('.') && text.contains(|c: char| c.is_ascii_alphabetic())
}

fn add(name: &str, group: &str, address: &str, place: &str, inventory: &mut Inventory) {
    if !is_name(name) || inventory.nodes.len() >= MOST_NODES {
        inventory.leave(
            place,
            format!("`{name}` is not a valid name for a node here"),
        );
        return;
    }
    if inventory.nodes.contains_key(name) {
        inventory.leave(
            place,
            format!("`{name}` is the name of another node already"),
        );
        return;
    }
    let mut node = Node::default();
    node.values.insert("address".to_owned(), scalar(address));
    if is_name(group) {
        inventory.groups.entry(group.to_owned()).or_default();
        node.groups.push(group.to_owned());
    }
    inventory.nodes.insert(name.to_owned(), node);
}

/// An output with addresses: `web_ips = ["10.0.0.1", "10.0.0.2"]`.
fn output(name: &str, output: &Yaml, inventory: &mut Inventory) {
    let place = output.span.place();
    let Some(map) = output.as_map() else { return };
    if matches!(
        get(map, "sensitive").map(|own| &own.value),
        Some(Value::Bool(true))
    ) {
        inventory.leave(
            place,
            format!("`{name}` is sensitive, and is not written anywhere"),
        );
        return;
    }
    let Some(value) = get(map, "value") else {
        inventory.leave(place, format!("`{name}` has no value"));
        return;
    };
    let base = ENDS
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    let found: Option<Vec<(String, &str)>> = match &value.value {
        Value::Seq(items) if !items.is_empty() => {
            let items = items.iter().enumerate();
            items
                .map(|(at, item)| Some((format!("{base}{}", at + 1), item.text()?)))
                .collect()
        }
        Value::Map(items) if !items.is_empty() => {
            let items = items.iter();
            items
                .map(|(key, entry)| Some((key.clone(), entry.value.text()?)))
                .collect()
        }
        _ => value.text().map(|text| vec![(base.to_owned(), text)]),
    };
    match found.filter(|found| found.iter().all(|(_, text)| is_address(text))) {
        Some(found) => {
            for (own, address) in found {
                add(
                    &own.replace('_', "-"),
                    &base.replace('_', "-"),
                    address,
                    &place,
                    inventory,
                );
            }
        }
        None => inventory.leave(place, format!("`{name}` holds no addresses")),
    }
}
