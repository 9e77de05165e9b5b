//! `opsbook.lock`: the packages of a book, each with the hash of its files. Sorted by name, one
//! field per line, without times and tool versions: it merges well, and changes only if something
//! has changed. Pure.

use std::sync::Arc;

use semver::Version;
use toml::de::DeValue;

use opsbook_text::source::{Concern, Problem, Source, Span};

use crate::manifest::reader::{Reader, Table};
use crate::sign::Signed;

/// The file's name, next to `opsbook.toml`.
pub const FILE: &str = "opsbook.lock";

/// The contents of the lock.
#[derive(Clone, Debug, Default)]
pub struct Lock {
    /// Sorted by name.
    pub packages: Vec<Locked>,
    /// The hashes of packages' templates that the book replaces.
    pub replaced: Vec<Replaced>,
}

/// One package.
#[derive(Clone, Debug)]
pub struct Locked {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Its origin, with the revision of its tag.
    pub from: String,
    /// The identity of its files.
    pub content: String,
    /// Its signer and signature.
    pub signed: Option<Signed>,
    /// Who requires it: `book`, or packages.
    pub by: Vec<String>,
    /// Its place in the file; `None` if it was not read from a file.
    pub span: Option<Span>,
}

/// A package's template that the book replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// `nginx:site.conf`
    pub template: String,
    /// The hash of the original.
    pub content: String,
}

impl Lock {
    /// The package of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Locked> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from(
            "# Written by `opsbook packages update`. Keep it under version control.\nversion = 1\n",
        );
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let mut packages: Vec<&Locked> = self.packages.iter().collect();
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        for package in packages {
            text += "\n[[package]]\n";
            text += &format!("name = {}\n", quoted(&package.name));
            text += &format!("version = {}\n", quoted(&package.version.to_string()));
            text += &format!("from = {}\n", quoted(&package.from));
            text += &format!("content = {}\n", quoted(&package.content));
            if let Some(signed) = &package.signed {
                text += &format!("signed = {}\n", quoted(&signed.by));
                text += &format!("description = {}\n", quoted(&signed.description));
                text += &format!("signature = {}\n", quoted(&signed.signature));
            }
            let by: Vec<String> = package.by.iter().map(|by| quoted(by)).collect();
            text += &format!("by = [{}]\n", by.join(", "));
        }
        for replaced in &self.replaced {
            text += "\n[[replaced]]\n";
            text += &format!("template = {}\n", quoted(&replaced.template));
            text += &format!("content = {}\n", quoted(&replaced.content));
        }
        text
    }
}

/// Parses a lock.
#[must_use]
pub fn read(source: &Arc<Source>) -> (Lock, Vec<Problem>) {
    let mut reader = Reader::new(source);
    let lock = reader.document(|reader, table| {
        reader.known(table, "`opsbook.lock`", &["version", "package", "replaced"]);
        let version = table.get("version");
        let known = version.is_some_and(|version| {
            let number = version.get_ref().as_integer();
            number.is_some_and(|number| number.as_str() == "1")
        });
        if !known {
            let at = version.map_or(0..0, toml::Spanned::span);
            let message = "this lock has a newer format";
            let problem = Problem::error("package-too-new", reader.span(at), message);
            reader.problems.push(problem.hint("upgrade opsbook"));
            return Lock::default();
        }
        let mut lock = Lock::default();
        each(reader, table, "package", |reader, table, span| {
            let Some(package) = locked(reader, table, span.clone()) else {
                return;
            };
            if lock.get(&package.name).is_some() {
                let message = format!("`{}` is locked twice", package.name);
                let problem = Problem::error("bad-package", span, message);
                let hint = "delete this file; `opsbook packages update` writes a new one";
                reader.problems.push(problem.hint(hint));
                return;
            }
            lock.packages.push(package);
        });
        each(reader, table, "replaced", |reader, table, span| {
            let template = reader.string(table, "template");
            let content = reader.string(table, "content");
            let template = reader.wanted(template, "template", &span);
            let content = reader.wanted(content, "content", &span);
            lock.replaced
                .extend(template.zip(content).map(|(template, content)| Replaced {
                    template: template.value,
                    content: content.value,
                }));
        });
        lock
    });
    let problems = reader.problems.into_iter();
    let problems = problems.map(|problem| problem.concerns(Concern::Project));
    (lock, problems.collect())
}

fn each(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &str,
    mut of: impl FnMut(&mut Reader<'_>, &Table<'_>, Span),
) {
    let Some(value) = table.get(key) else { return };
    let DeValue::Array(list) = value.get_ref() else {
        return reader.wrong(value, key, "a list of tables");
    };
    for item in list {
        match item.get_ref() {
            DeValue::Table(table) => {
                let span = reader.span(item.span());
                of(reader, table, span);
            }
            _ => reader.wrong(item, key, "a table"),
        }
    }
}

fn locked(reader: &mut Reader<'_>, table: &Table<'_>, span: Span) -> Option<Locked> {
    const KEYS: [&str; 8] = [
        "name",
        "version",
        "from",
        "content",
        "signed",
        "description",
        "signature",
        "by",
    ];
    reader.known(table, "a locked package", &KEYS);
    let mut text = |key| {
        let value = reader.string(table, key);
        reader.wanted(value, key, &span)
    };
    let (name, version, from, content) = (
        text("name")?,
        text("version")?,
        text("from")?,
        text("content")?,
    );
    let version = reader.version(version)?.value;
    let hex = content.value.strip_prefix("sha256:").unwrap_or_default();
    let is_hash = hex.len() == 64 && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    if !is_hash || !crate::manifest::is_name(&name.value) {
        let problem = Problem::error("bad-package", span, "this is not a locked package");
        reader
            .problems
            .push(problem.hint("delete this file; `opsbook packages update` writes a new one"));
        return None;
    }
    let signed = match reader.string(table, "signed") {
        None => None,
        Some(by) => {
            let mut of = |key| {
                let value = reader.string(table, key);
                reader.wanted(value, key, &span)
            };
            let (description, signature) = (of("description")?, of("signature")?);
            Some(Signed {
                by: by.value,
                description: description.value,
                signature: signature.value,
            })
        }
    };
    Some(Locked {
        name: name.value,
        version,
        from: from.value,
        content: content.value,
        signed,
        by: { reader.strings(table, "by") }
            .into_iter()
            .map(|by| by.value)
            .collect(),
        span: Some(span),
    })
}
