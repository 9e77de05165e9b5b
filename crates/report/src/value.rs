//! A script's value in a displayed plan.

use crate::manual::{shell_quoted, shell_word};
use crate::nodes::SecretRef;

/// The source of a secret; never the secret.
pub(super) fn origin(reference: &SecretRef) -> String {
    match reference {
        SecretRef::Env(name) => format!("environment variable {name}"),
        SecretRef::File(path) => format!("file {}", path.display()),
        SecretRef::Command(words) => format!(
            "output of {}",
            words.first().map_or("a command", String::as_str)
        ),
        SecretRef::Prompt(prompt) => format!("asked for as `{prompt}`"),
    }
}

/// The text after `name=`; a further `=` is quoted, so that the assignment is clear.
pub(super) fn assigned(text: &str) -> String {
    if text.contains('=') {
        shell_quoted(text)
    } else {
        shell_word(text)
    }
}
