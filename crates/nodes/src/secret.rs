//! Secrets by reference: `{secret: {env: X}}`. Resolved only when a run needs them; the text is
//! zeroed when dropped and cannot be printed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::{Nodes, SecretRef};
use crate::source::Problem;
use crate::yaml::{Map, Value, Yaml, unknown_keys};

const SOURCES: [&str; 4] = ["env", "file", "command", "prompt"];
const PLACES: &str =
    "write `{secret: {command: [pass, show, NAME]}}`, or `env`, `file` or `prompt`";

/// A secret's text. Deliberately neither printable nor comparable; zeroed when dropped.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes a text. Its memory is overwritten when dropped.
    #[must_use]
    pub fn new(text: String) -> SecretText {
        SecretText(Zeroizing::new(text))
    }

    /// The text itself. Everything made from it must be masked before it is shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The reference that a value is, if it is one; an error if it is malformed.
#[must_use]
pub fn reference(value: &Yaml) -> Option<Result<SecretRef, Box<Problem>>> {
    let map = value.as_map()?;
    let secret = &map.get("secret")?.value;
    if secret.as_map().is_none() {
        // Next to other keys, `secret` is a name like any other.
        return (map.len() == 1 && !secret.is_null()).then(|| Err(Box::new(plain(secret))));
    }
    if let Some(problem) = unknown_keys(map, &["secret"]).into_iter().next() {
        let problem = problem.hint("a reference to a secret can only have the key `secret`");
        return Some(Err(Box::new(problem)));
    }
    Some(source(secret).map_err(Box::new))
}

impl Nodes {
    /// Every file that some value names as the place of a secret, at any depth, also where the node
    /// has errors. A path that depends on the node is the one of each node.
    #[must_use]
    pub fn secret_files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        let definitions = self.groups.values().chain(self.members.values());
        let parts = definitions.chain([&self.defaults]).flat_map(|of| &of.parts);
        let packages = self.packages.iter().map(|(_, values)| values);
        let written = parts.chain(packages).flat_map(Map::values);
        for entry in written {
            files_in(&entry.value, &mut files);
        }
        for node in self
            .names()
            .filter_map(|name| self.evaluate(name, &[]).ok())
        {
            for leaf in node.leaves.values() {
                files_in(&leaf.value, &mut files);
            }
        }
        files
    }
}

fn files_in(value: &Yaml, files: &mut BTreeSet<PathBuf>) {
    if let Some(reference) = reference(value) {
        if let Ok(SecretRef::File(path)) = reference {
            files.insert(path);
        }
        return;
    }
    match &value.value {
        Value::Map(map) => map.values().for_each(|entry| files_in(&entry.value, files)),
        Value::Seq(items) => items.iter().for_each(|item| files_in(item, files)),
        _ => {}
    }
}

fn plain(secret: &Yaml) -> Problem {
    let message = "name the place of a secret, never write its value";
    Problem::error("plain-secret", secret.span.clone(), message).hint(PLACES)
}

/// Warnings for values that are written out under the name of a secret, at any depth.
pub(super) fn written_out(values: &Map) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, entry) in values {
        match &entry.value.value {
            Value::Map(nested) if reference(&entry.value).is_none() => {
                problems.extend(written_out(nested));
            }
            Value::Bool(_) | Value::Map(_) => {}
            _ if is_name_of_secret(name) && entry.value.text().is_some_and(is_literal) => {
                let message = format!("`{name}` may be a secret that is written out");
                let problem = Problem::warning("written-secret", entry.key.clone(), message);
                problems.push(problem.hint(PLACES));
            }
            _ => {}
        }
    }
    problems
}

/// Not empty, and no mention of another value or path of a file that holds the secret.
fn is_literal(text: &str) -> bool {
    !text.is_empty()
        && !text.contains("${")
        && !["/", "~/", "./"].iter().any(|is| text.starts_with(is))
}

/// Whether a name suggests a secret, whose value must not be in a file.
#[must_use]
pub fn is_name_of_secret(name: &str) -> bool {
    const ENDS: [&str; 9] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "api_key",
        "private_key",
        "pass",
        "secret_key",
    ];
    let is = |end: &str| {
        let before = name.strip_suffix(end);
        before.is_some_and(|before| before.is_empty() || before.ends_with('_'))
    };
    ENDS.iter().any(|end| is(end))
}

fn source(secret: &Yaml) -> Result<SecretRef, Problem> {
    let map = secret.expect_map()?;
    if let Some(problem) = unknown_keys(map, &SOURCES).into_iter().next() {
        return Err(problem);
    }
    let mut sources = map.iter();
    let (Some((kind, entry)), None) = (sources.next(), sources.next()) else {
        return Err(secret
            .mismatch("one source of a secret")
            .hint("write one of `env`, `file`, `command` and `prompt`"));
    };
    let text = || {
        let text = entry.value.expect_text()?;
        if text.is_empty() {
            return Err(entry.value.mismatch("text that is not empty"));
        }
        Ok(text.to_owned())
    };
    match kind.as_str() {
        "env" => Ok(SecretRef::Env(text()?)),
        "file" => Ok(SecretRef::File(PathBuf::from(text()?))),
        "prompt" => Ok(SecretRef::Prompt(text()?)),
        _ => command(&entry.value).map(SecretRef::Command),
    }
}

fn command(value: &Yaml) -> Result<Vec<String>, Problem> {
    let expected = || {
        value
            .mismatch("a command")
            .hint("write a command as a list: `{command: [pass, show, db]}`")
    };
    let Value::Seq(words) = &value.value else {
        return Err(expected());
    };
    let words: Result<Vec<String>, Problem> = words
        .iter()
        .map(|word| Ok(word.expect_text()?.to_owned()))
        .collect();
    words.and_then(|words| {
        if words.is_empty() {
            Err(expected())
        } else {
            Ok(words)
        }
    })
}

/// Shows the source of a secret, never its value.
impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "env {name}"),
            SecretRef::File(path) => write!(f, "file {}", path.display()),
            SecretRef::Command(words) => write!(f, "command {}", words.join(" ")),
            SecretRef::Prompt(_) => f.write_str("asked for"),
        }
    }
}
