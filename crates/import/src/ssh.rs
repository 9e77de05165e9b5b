//! Host names of an ssh configuration. Their connection settings stay there: opsbook uses that
//! file, too.

use crate::inventory::{Inventory, Node, is_name};
use crate::{Left, MOST_NODES};

pub(super) fn read(name: &str, text: &str) -> Inventory {
    let mut inventory = Inventory {
        about: format!(
            "Names of `{}`, by `opsbook import nodes ssh-config`: how each is reached stays there.",
            name.replace('\n', " ")
        ),
        ..Inventory::default()
    };
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        let line = line.trim();
        let (keyword, rest) = line
            .split_once(|c: char| c.is_whitespace() || c == '=')
            .unwrap_or((line, ""));
        match keyword.to_ascii_lowercase().as_str() {
            "host" => {
                for pattern in rest.split_whitespace() {
                    let pattern = pattern.trim_matches('"');
                    if pattern.contains(['*', '?', '!']) {
                        continue;
                    }
                    if !is_name(pattern) || inventory.nodes.len() >= MOST_NODES {
                        let what = format!("`{pattern}` is not a valid name for a node here");
                        inventory.left.push(Left {
                            place: place.clone(),
                            what,
                        });
                    } else {
                        inventory.nodes.insert(pattern.to_owned(), Node::default());
                    }
                }
            }
            "include" => {
                inventory.leave(place, format!("`{rest}` is not read: import it by itself"));
            }
            "match" => inventory.leave(place, "`Match` names no machine"),
            _ => {}
        }
    }
    inventory
}
