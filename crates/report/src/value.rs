//! A value of a script, as a plan shows it.

use crate::manual::{shell_quoted, shell_word};
use crate::nodes::SecretRef;

/// Where a secret comes from; never the secret.
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

/// Behind `name=`; a second `=` is quoted, so that a reader sees which one assigns.
pub(super) fn assigned(text: &str) -> String {
    if text.contains('=') {
        shell_quoted(text)
    } else {
        shell_word(text)
    }
}
