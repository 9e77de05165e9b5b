//! `[packages]`, `[overrides]` and `[trust]`: the packages that a package or a book uses.

use std::collections::BTreeMap;

use toml::de::DeValue;

use opsbook_text::source::{Problem, Span};

use super::reader::{Reader, Table};
use super::{At, Dependency, From, Overrides, Require, Skip, Spanned, Template, Trust, is_name};

pub(super) fn dependencies(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
) -> BTreeMap<String, Dependency> {
    let mut packages = BTreeMap::new();
    for (name, value) in table {
        let span = reader.span(name.span());
        let name: &str = name.get_ref();
        if !is_name(name) {
            let message = format!("`{name}` is not a valid package name");
            reader
                .problems
                .push(Problem::error("bad-package", span, message));
            continue;
        }
        let DeValue::Table(said) = value.get_ref() else {
            reader.wrong(value, name, "a table such as `{path = \"../base\"}`");
            continue;
        };
        if let Some(from) = from(reader, said, &span) {
            packages.insert(name.to_owned(), Dependency { span, from });
        }
    }
    packages
}

fn from(reader: &mut Reader<'_>, said: &Table<'_>, span: &Span) -> Option<From> {
    let keys = ["git", "tag", "rev", "subdir", "archive", "path", "oci"];
    if let Some((key, _)) = said.get_key_value("branch") {
        let place = reader.span(key.span());
        let message = "a branch changes: name a tag or a revision, or a path while you work on it";
        reader
            .problems
            .push(Problem::error("branch", place, message));
        return None;
    }
    reader.known(said, "a package of `[packages]`", &keys);
    let git = reader.string(said, "git");
    let archive = reader.string(said, "archive");
    let path = reader.string(said, "path");
    let oci = reader.string(said, "oci");
    match (git, archive, path, oci) {
        (None, None, None, Some(reference)) => self::oci(reader, said, reference, span),
        (Some(url), None, None, None) => {
            let at = at(reader, said, span)?;
            if let Err(why) = crate::address::check_url(&url.value) {
                reader
                    .problems
                    .push(Problem::error("bad-package", url.span, why));
                return None;
            }
            let subdir = reader.string(said, "subdir");
            let subdir = match subdir {
                Some(subdir) => match crate::tree::check_path(&subdir.value) {
                    Ok(()) => Some(subdir.value),
                    Err(why) => {
                        reader
                            .problems
                            .push(Problem::error("bad-package", subdir.span, why));
                        return None;
                    }
                },
                None => None,
            };
            let url = url.value;
            Some(From::Git { url, at, subdir })
        }
        (None, Some(archive), None, None) => Some(From::Archive(archive.value)),
        (None, None, Some(path), None) => Some(From::Path(path.value)),
        _ => {
            let message =
                "a package comes from `git`, an `archive`, a registry (`oci`), or a `path`";
            let problem = Problem::error("bad-package", span.clone(), message);
            reader.problems.push(problem.hint("name one of them"));
            None
        }
    }
}

fn oci(
    reader: &mut Reader<'_>,
    said: &Table<'_>,
    reference: Spanned<String>,
    span: &Span,
) -> Option<From> {
    let tag = reader.string(said, "tag");
    let tag = reader.wanted(tag, "tag", span)?;
    let wrong = [
        (
            &reference.span,
            crate::oci::check_reference(&reference.value),
        ),
        (&tag.span, crate::oci::check_tag(&tag.value)),
    ];
    for (span, checked) in wrong {
        if let Err(why) = checked {
            let problem = Problem::error("bad-package", span.clone(), why);
            reader.problems.push(problem);
            return None;
        }
    }
    let (reference, tag) = (reference.value, tag.value);
    Some(From::Oci { reference, tag })
}

fn at(reader: &mut Reader<'_>, said: &Table<'_>, span: &Span) -> Option<At> {
    let tag = reader.string(said, "tag");
    let revision = reader.string(said, "rev");
    let (place, why) = match (tag, revision) {
        (Some(tag), None) => match crate::address::check_ref(&tag.value) {
            Ok(()) => return Some(At::Tag(tag.value)),
            Err(why) => (tag.span, why),
        },
        (None, Some(revision)) => {
            let digits = revision
                .value
                .chars()
                .all(|c| matches!(c, '0'..='9' | 'a'..='f'));
            if digits && revision.value.len() == 40 {
                return Some(At::Revision(revision.value));
            }
            (
                revision.span,
                "a revision is 40 hexadecimal digits".to_owned(),
            )
        }
        _ => (
            span.clone(),
            "a package from git has one `tag`, or one `rev`".to_owned(),
        ),
    };
    reader
        .problems
        .push(Problem::error("bad-package", place, why));
    None
}

pub(super) fn overrides(reader: &mut Reader<'_>, table: &Table<'_>) -> Overrides {
    reader.known(table, "`[overrides]`", &["templates", "checks"]);
    let mut overrides = Overrides::default();
    for (name, value) in { reader.table(table, "templates") }
        .map(|(t, _)| t)
        .into_iter()
        .flatten()
    {
        let span = reader.span(name.span());
        let name: &str = name.get_ref();
        let by = reader.text(value, name);
        let (Some((package, file)), Some(by)) = (name.split_once(':'), by) else {
            let message = "a template is named by its package: `nginx:site.conf`";
            reader
                .problems
                .push(Problem::error("bad-package", span, message));
            continue;
        };
        overrides.templates.push(Template {
            package: package.to_owned(),
            file: file.to_owned(),
            by,
            span,
        });
    }
    for (name, value) in { reader.table(table, "checks") }
        .map(|(t, _)| t)
        .into_iter()
        .flatten()
    {
        let span = reader.span(name.span());
        let name: &str = name.get_ref();
        let DeValue::Table(said) = value.get_ref() else {
            reader.wrong(value, name, "a table such as `{skip = \"why\"}`");
            continue;
        };
        reader.known(said, "a check that is left out", &["skip", "until"]);
        let reason = reader.string(said, "skip");
        let reason = reason.filter(|reason| !reason.value.trim().is_empty());
        let Some(reason) = reader.wanted(reason, "skip", &span) else {
            continue;
        };
        let (group, check) = match name.split_once('/') {
            Some((group, check)) => (group, Some(check.to_owned())),
            None => (name, None),
        };
        overrides.checks.push(Skip {
            group: group.to_owned(),
            check,
            reason: reason.value,
            until: reader.date(said, "until"),
            span,
        });
    }
    overrides
}

pub(super) fn trust(reader: &mut Reader<'_>, table: &Table<'_>) -> Trust {
    reader.known(table, "`[trust]`", &["signers", "require"]);
    let require = match table.get("require").map(|value| (value, value.get_ref())) {
        None => Require::Nothing,
        Some((_, DeValue::Boolean(true))) => Require::All,
        Some((_, DeValue::Boolean(false))) => Require::Nothing,
        Some((_, DeValue::Array(_))) => {
            let names = reader.strings(table, "require").into_iter();
            Require::Named(names.map(|name| name.value).collect())
        }
        Some((value, _)) => {
            reader.wrong(value, "require", "`true`, or a list of packages");
            Require::All
        }
    };
    let signers = reader.string(table, "signers");
    Trust { signers, require }
}
