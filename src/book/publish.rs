//! Which files besides pages become part of the book: those that a page names, and of those
//! none that looks private.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use crate::source::{Problem, Severity};

use super::BookError;

/// Copies what the pages name from the source folder; returns what they name and may not have.
pub(super) fn files(
    named: &HashSet<PathBuf>,
    source: &Path,
    book: &Path,
) -> Result<Vec<PathBuf>, BookError> {
    let mut withheld = Vec::new();
    let mut named: Vec<&PathBuf> = named.iter().collect();
    named.sort();
    let inside = source.canonicalize().unwrap_or_else(|_| source.to_owned());
    for file in named {
        let (from, to) = (source.join(file), book.join(file));
        if to.exists() || !from.is_file() {
            continue;
        }
        let real = from.canonicalize().unwrap_or_else(|_| from.clone());
        if is_private(file) || !real.starts_with(&inside) {
            withheld.push(file.clone());
            continue;
        }
        copy(&from, &to).map_err(|error| BookError::Io {
            doing: "publish",
            path: from,
            error,
        })?;
    }
    Ok(withheld)
}

/// A warning for each file that a page names and that was kept back.
pub(super) fn withheld(files: &[PathBuf]) -> impl Iterator<Item = Problem> {
    files.iter().map(|file| {
        let message = format!(
            "a page links to `{}`, which looks private: it is not in the book",
            file.display()
        );
        Problem {
            severity: Severity::Warning,
            ..Problem::bare("withheld-file", message)
        }
    })
}

fn is_private(file: &Path) -> bool {
    let parts = file.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().to_lowercase()),
        _ => None,
    });
    let parts: Vec<String> = parts.collect();
    let name = parts.last().map(String::as_str).unwrap_or_default();
    let end = Path::new(name)
        .extension()
        .map(|end| end.to_string_lossy().into_owned());
    parts
        .iter()
        .any(|part| part.starts_with('.') || part == "nodes")
        || matches!(name, "nodes.yaml" | "nodes.yml" | "book.toml")
        || name.starts_with("id_")
        || name.contains("secret")
        || name.contains("password")
        || matches!(
            end.as_deref(),
            Some("pem" | "key" | "p12" | "pfx" | "jks" | "kdbx" | "env" | "gpg" | "asc")
        )
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to.parent().unwrap_or(to))?;
    std::fs::copy(from, to).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_private_is_not_for_readers() {
        for (file, private) in [
            ("images/rack.png", false),
            ("deploying/docker-compose.yml", false),
            (".env", true),
            (".git/config", true),
            ("nodes.yaml", true),
            ("nodes/prod.yaml", true),
            ("tls/site.key", true),
            ("id_ed25519.pub", true),
            ("db-passwords.txt", true),
        ] {
            assert_eq!(is_private(Path::new(file)), private, "{file}");
        }
    }
}
