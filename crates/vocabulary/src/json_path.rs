//! The part of gjson's path language that checks use: keys, indexes, `#`, `@this`, escapes.
//!
//! Our own code, because the crate `gjson` has a second JSON parser and accepts the whole language.
//! This one reports unsupported syntax, which would otherwise look like a missing value.

use serde_json::Value;

/// The value at a path such as `moo.nested`, `list.0.name`, `list.#` or `list.#.name`.
#[must_use]
pub fn get(json: &Value, path: &str) -> Option<Value> {
    walk(json, &keys(path))
}

/// Reports unsupported gjson syntax.
pub fn check(path: &str) -> Result<(), String> {
    const MODIFIERS: [&str; 12] = [
        "@reverse", "@ugly", "@pretty", "@flatten", "@join", "@valid", "@keys", "@values",
        "@tostr", "@fromstr", "@group", "@dig",
    ];
    let mut plain = String::new();
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            c => plain.push(c),
        }
    }
    let more = plain.contains(['*', '?', '|'])
        || plain.contains("#(")
        || plain.starts_with(['{', '[', '!'])
        || plain.split('.').any(|key| {
            let name = key.split(':').next().unwrap_or(key);
            MODIFIERS.contains(&name)
        });
    if more {
        return Err(format!(
            "`{path}` is not supported: of the paths of gjson, only keys, indexes, `#` and \
             `@this` are"
        ));
    }
    Ok(())
}

fn walk(json: &Value, keys: &[String]) -> Option<Value> {
    let Some((key, rest)) = keys.split_first() else {
        return Some(json.clone());
    };
    match (key.as_str(), json) {
        ("@this", _) => walk(json, rest),
        ("#", Value::Array(items)) if rest.is_empty() => Some(Value::from(items.len())),
        ("#", Value::Array(items)) => Some(Value::Array(
            items.iter().filter_map(|item| walk(item, rest)).collect(),
        )),
        (key, Value::Array(items)) => walk(items.get(key.parse::<usize>().ok()?)?, rest),
        (key, Value::Object(map)) => walk(map.get(key)?, rest),
        _ => None,
    }
}

/// Splits at dots; a backslash escapes the next character.
fn keys(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        let kept = match c {
            '.' => {
                keys.push(String::new());
                continue;
            }
            '\\' => chars.next().unwrap_or('\\'),
            c => c,
        };
        if let Some(key) = keys.last_mut() {
            key.push(kept);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_said() {
        for path in [
            "a.b.0", "l.#.name", "@this.a", "@type", r"a\*b", r"a\|b", "x-y",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
        for path in [
            r#"l.#(a=="x").b"#,
            "a*",
            "a.b|@tostr",
            "l.@reverse",
            "{a,b}",
            "l.@join:{}",
        ] {
            assert!(check(path).is_err(), "{path}");
        }
    }

    #[test]
    fn paths() {
        let json: Value = serde_json::from_str(
            r#"{"a": {"b": [1, {"c": "x"}, {"c": "y"}]}, "d.e": true, "n": null}"#,
        )
        .unwrap();
        for (path, expected) in [
            ("a.b.0", Some("1")),
            ("a.b.#", Some("3")),
            ("a.b.#.c", Some(r#"["x","y"]"#)),
            ("d\\.e", Some("true")),
            ("@this.a.b.1.c", Some("\"x\"")),
            ("a.z", None),
            ("a.b.9", None),
            ("n", Some("null")),
        ] {
            let found = get(&json, path).map(|value| value.to_string());
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }
}
