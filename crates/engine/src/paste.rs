//! A script as a person can paste it into a shell, with assignments of its values before it.

use std::fmt::Write as _;

use crate::manual::{is_shell, shell_quoted};
use crate::nodes::Text;
use crate::plan::{Script, Value};
use crate::scope::Scope;

/// A longer value is only named.
const LONGEST: usize = 200;

/// `shown` (the script or one of its commands) after its values. Secrets are only named.
pub(super) fn with_values(script: &Script, shown: &str, scope: &Scope) -> String {
    let shown = shown.trim_end();
    if !is_shell(script.interpreter()) {
        return shown.to_owned();
    }
    let mut text = String::new();
    for binding in script.bindings() {
        let name = binding.name.as_str();
        if !mentions(shown, name) {
            continue;
        }
        let value = match &binding.value {
            Value::Text(Text::Plain(value)) => Some(value.as_str()),
            Value::Text(Text::Secret(_)) => None,
            Value::Captured => scope.get(name),
            Value::Rendered => None,
        };
        // Writing to a string cannot fail.
        let _ = match value.filter(|value| value.len() <= LONGEST) {
            Some(value) => writeln!(text, "{name}={}", shell_quoted(value)),
            None => writeln!(text, "# ${name} is a secret, or too long to be shown"),
        };
    }
    text + shown
}

/// Whether `$name` or `${name…` occurs in it, also in quotes.
fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let after = text[at + name.len()..].chars().next();
        let ends = !after.is_some_and(|c| c == '_' || c.is_ascii_alphanumeric());
        ends && (text[..at].ends_with('$') || text[..at].ends_with("${"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_mentioned_as_a_variable_only() {
        for (text, expected) in [
            ("echo $a", true),
            ("echo ${a:-x}", true),
            ("echo $ab", false),
            ("echo a", false),
            ("echo \"${#b}$a\"", true),
        ] {
            assert_eq!(mentions(text, "a"), expected, "{text}");
        }
    }
}
