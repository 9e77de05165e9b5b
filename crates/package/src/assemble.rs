//! Assembles the files of one manual from a book and its packages. Pages, templates and probes of a
//! package keep their bytes and get their own folders. Pure.

use std::collections::BTreeMap;

use opsbook_text::outside;
use opsbook_text::source::{Concern, Problem, Source, Span};

use crate::chapter;
use crate::manifest::Manifest;
use crate::resolve::Part;
use crate::tree::{Entry, Mode, Tree};

/// The packages' folder, below the folder of pages.
pub const FOLDER: &str = "packages";

/// A package's place in the assembled manual.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its folder, relative to the root: `manual/packages/shop`.
    pub folder: String,
    /// The same, relative to the folder of pages: `packages/shop`.
    pub pages: String,
    /// Its name.
    pub name: String,
}

/// The place of a package; `source` is the folder of pages, empty for the root.
#[must_use]
pub fn placed(source: &str, part: &Part) -> Placed {
    let name = part.name().to_owned();
    let pages = format!("{FOLDER}/{name}");
    let folder = within(source, &pages);
    Placed {
        folder,
        pages,
        name,
    }
}

fn within(folder: &str, path: &str) -> String {
    match folder {
        "" | "." => path.to_owned(),
        folder => format!("{folder}/{path}"),
    }
}

/// The files of the assembled manual.
///
/// # Errors
/// Conflicts: files with the same name, overrides of missing files.
pub fn assemble(
    own: &Tree,
    source: &str,
    manifest: &Manifest,
    parts: &[Part],
) -> Result<Tree, Vec<Problem>> {
    let mut files: BTreeMap<String, Entry> = BTreeMap::new();
    let mut problems = Vec::new();
    for (path, entry) in own.entries() {
        files.insert(path.to_owned(), entry.clone());
    }
    for part in parts {
        let place = placed(source, part);
        for (path, entry) in part.tree.entries() {
            let copies = std::iter::once(format!("{}/{path}", place.folder));
            // Templates and kinds of checks must be in the book's folders.
            let template = path.strip_prefix("templates/");
            let template = template.map(|name| format!("templates/{}/{name}", place.pages));
            let probe = path.strip_prefix("checks/").map(|_| path.to_owned());
            for copy in copies.chain(template).chain(probe) {
                if files.insert(copy.clone(), entry.clone()).is_some() {
                    let message = format!(
                        "`{}` exists twice: in the book, and in `{}`",
                        outside::line(&copy),
                        place.name
                    );
                    problems.push(bare("package-conflict", message));
                }
            }
        }
    }
    problems.extend(templates(&mut files, own, manifest, parts));
    let links = Links { source, parts };
    for (path, entry) in &mut files {
        if is_page(path)
            && entry.mode != Mode::Link
            && let Ok(text) = std::str::from_utf8(&entry.bytes)
        {
            let text = links.resolved(path, text, &mut problems);
            entry.bytes = text.into_bytes();
        }
    }
    let summary = within(source, "SUMMARY.md");
    let text = files.get(&summary).map(|entry| entry.bytes.clone());
    let text = String::from_utf8(text.unwrap_or_default()).unwrap_or_default();
    let text = summary_of(&text, parts, &mut problems);
    files.insert(summary, Entry::file(false, text.into_bytes()));
    let chapter = chapter::text(manifest, parts);
    let entry = Entry::file(false, chapter.into_bytes());
    files.insert(within(source, &format!("{FOLDER}/README.md")), entry);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut tree = Tree::default();
    for (path, entry) in files {
        let added = tree.add(&path, entry);
        added.map_err(|why| vec![bare("package-conflict", why)])?;
    }
    tree.check()
        .map_err(|why| vec![bare("package-conflict", why)])?;
    Ok(tree)
}

fn bare(code: &'static str, message: impl Into<String>) -> Problem {
    Problem::bare(code, message).concerns(Concern::Project)
}

/// Replaces packages' templates by the book's own.
fn templates(
    files: &mut BTreeMap<String, Entry>,
    own: &Tree,
    manifest: &Manifest,
    parts: &[Part],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for template in &manifest.overrides.templates {
        let place = format!("templates/{FOLDER}/{}/{}", template.package, template.file);
        let wrong = |span: &Span, message: String| {
            let problem = Problem::error("unknown-override", span.clone(), message);
            problem.concerns(Concern::Project)
        };
        let known = parts.iter().any(|part| part.name() == template.package);
        if !known || !files.contains_key(&place) {
            let (package, file) = (&template.package, &template.file);
            let message = format!("`{package}` has no template `{file}`");
            problems.push(wrong(&template.span, message));
            continue;
        }
        match own.get(&template.by.value) {
            Some(entry) if entry.mode != Mode::Link => {
                files.insert(place, entry.clone());
            }
            _ => {
                let message = format!("there is no `{}`", template.by.value);
                problems.push(wrong(&template.by.span, message));
            }
        }
    }
    problems
}

/// The text of a page in the assembled manual, with links of the form `package:NAME/PAGE` resolved.
/// Broken links stay unchanged.
#[must_use]
pub fn page_text(source: &str, parts: &[Part], path: &str, text: &str) -> String {
    Links { source, parts }.resolved(path, text, &mut Vec::new())
}

struct Links<'a> {
    source: &'a str,
    parts: &'a [Part],
}

impl Links<'_> {
    /// Resolves such links in a page, except in code blocks.
    fn resolved(&self, path: &str, text: &str, problems: &mut Vec<Problem>) -> String {
        const MARK: &str = "](package:";
        if !text.contains(MARK) {
            return text.to_owned();
        }
        let source = Source::new(path, text);
        let mut out = String::with_capacity(text.len());
        let mut fence: Option<&str> = None;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let trimmed = line.trim_start();
            let opens = ["```", "~~~"]
                .into_iter()
                .find(|mark| trimmed.starts_with(mark));
            match (fence, opens) {
                (None, Some(mark)) => fence = Some(mark),
                (Some(open), Some(mark)) if open == mark => fence = None,
                _ => {}
            }
            let is_summary = path.ends_with("SUMMARY.md");
            let mut rest = line;
            while let Some(found) = rest.find(MARK).filter(|_| fence.is_none() && !is_summary) {
                let begin = found + MARK.len();
                let end = rest[begin..]
                    .find([')', ' '])
                    .map_or(rest.len(), |end| begin + end);
                let offset = at + (line.len() - rest.len()) + found + 2;
                let span = Span::new(&source, offset..offset + "package:".len() + end - begin);
                out += &rest[..found + 2];
                match self.target(path, &rest[begin..end]) {
                    Ok(target) => out += &target,
                    Err(why) => problems
                        .push(Problem::error("broken-link", span, why).concerns(Concern::Nothing)),
                }
                rest = &rest[end..];
            }
            out += rest;
            at += line.len();
        }
        out
    }

    fn target(&self, path: &str, target: &str) -> Result<String, String> {
        let (name, page) = target.split_once('/').unwrap_or((target, "README.md"));
        let (page, anchor) = match page.split_once('#') {
            Some((page, anchor)) => (page, format!("#{anchor}")),
            None => (page, String::new()),
        };
        let part = self.parts.iter().find(|part| part.name() == name);
        let part = part.ok_or_else(|| format!("there is no package `{}`", outside::line(name)))?;
        let inner = within(&pages_of(part), page);
        if part.tree.get(&inner).is_none() {
            return Err(format!("`{name}` has no page `{}`", outside::line(page)));
        }
        let to = format!("{}/{inner}", placed(self.source, part).folder);
        Ok(relative(path, &to) + &anchor)
    }
}

fn is_page(path: &str) -> bool {
    std::path::Path::new(path)
        .extension()
        .is_some_and(|end| end == "md")
}

/// The relative path from one file to another.
fn relative(from: &str, to: &str) -> String {
    let from: Vec<&str> = from.split('/').collect();
    let to: Vec<&str> = to.split('/').collect();
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let same = same.min(from.len() - 1).min(to.len() - 1);
    let up = from.len() - 1 - same;
    let mut parts = vec![".."; up];
    parts.extend(&to[same..]);
    parts.join("/")
}

/// The folder of a package's pages, from its `book.toml`; default `src`.
#[must_use]
pub fn pages_of(part: &Part) -> String {
    let text = part.tree.text("book.toml").unwrap_or_default();
    source_of(text, |folder| {
        part.tree.get(&within(folder, "SUMMARY.md")).is_some()
    })
}

/// Whether a `book.toml` sets up plain mdBook to call opsbook.
#[must_use]
pub fn lets_mdbook_call(book: &str) -> bool {
    let settings: toml::Table = book.parse().unwrap_or_default();
    let ours = { settings.get("preprocessor") }.and_then(|all| all.get("opsbook"));
    ours.is_some_and(|ours| ours.get("command").is_some())
}

/// The folder of pages in a `book.toml`, if it exists; otherwise the root.
#[must_use]
pub fn source_of(book: &str, is_book: impl Fn(&str) -> bool) -> String {
    let said: Option<String> = { book.parse::<toml::Table>() }
        .ok()
        .and_then(|table| table.get("book")?.get("src")?.as_str().map(str::to_owned));
    let folder = said.unwrap_or_else(|| "src".to_owned());
    let folder = folder.trim_start_matches("./").trim_end_matches('/');
    if folder != "." && !folder.is_empty() && is_book(folder) {
        folder.to_owned()
    } else {
        String::new()
    }
}

/// Title and package of a line `- [Shop](package:shop)`, or of `- [Shop]() <!-- package:shop -->`,
/// which plain mdBook reads as a draft chapter.
#[must_use]
pub fn named_in_list(line: &str) -> Option<(&str, &str)> {
    let (title, name) = if let Some((title, rest)) = line.split_once("](package:") {
        (title, rest.split_once(')')?.0)
    } else {
        let (title, rest) = line.split_once("]()")?;
        let comment = rest.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
        (title, comment.trim().strip_prefix("package:")?.trim())
    };
    let title = title.trim_start_matches(['-', '*', '+', ' ', '\t', '[']);
    Some((title, name))
}

/// The merged list of pages: a line that names a package is replaced by that package's list, one
/// level deeper; packages that are not named follow the last chapter.
fn summary_of(own: &str, parts: &[Part], problems: &mut Vec<Problem>) -> String {
    let mut out = String::new();
    let mut named = Vec::new();
    for line in own.lines() {
        let entry = line.trim_start();
        let indent = &line[..line.len() - entry.len()];
        let Some((title, name)) = named_in_list(line) else {
            out += &format!("{line}\n");
            continue;
        };
        let Some(part) = parts.iter().find(|part| part.name() == name) else {
            let message = format!("there is no package `{}`", outside::line(name));
            problems.push(bare("package-missing", format!("`SUMMARY.md`: {message}")));
            continue;
        };
        named.push(part.name());
        out += &format!("{indent}- [{title}]()\n");
        for line in list_of(part) {
            out += &format!("{indent}  {line}\n");
        }
    }
    for part in parts.iter().filter(|part| !named.contains(&part.name())) {
        out += &format!("\n# {} {}\n\n", part.name(), part.version());
        for line in list_of(part) {
            out += &format!("{line}\n");
        }
    }
    out + &format!("\n# Packages\n\n- [Packages]({FOLDER}/README.md)\n")
}

/// The pages of a package as a list, including its prefix and suffix chapters.
fn list_of(part: &Part) -> Vec<String> {
    let pages = pages_of(part);
    let prefix = within(&format!("{FOLDER}/{}", part.name()), &pages);
    let prefix = prefix.trim_end_matches('/');
    let Some(summary) = part.tree.text(&within(&pages, "SUMMARY.md")) else {
        let all = part.tree.entries().map(|(path, _)| path);
        let all = all.filter(|path| is_page(path));
        let line = |path: &str| format!("- [{path}]({FOLDER}/{}/{path})", part.name());
        return all.map(line).collect();
    };
    let mut lines = Vec::new();
    for line in summary.lines() {
        let entry = line.trim_start();
        let indent = &line[..line.len() - entry.len()];
        let entry = entry.trim_start_matches(['-', '*', '+']).trim_start();
        let Some((title, target)) = entry
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]("))
        else {
            continue;
        };
        let target = target.split_once(')').map_or(target, |(target, _)| target);
        let target = target.trim_start_matches("./");
        lines.push(match target {
            "" => format!("{indent}- [{title}]()"),
            target => format!("{indent}- [{title}]({prefix}/{target})"),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_each_other_relatively() {
        for (from, to, name) in [
            (
                "manual/a.md",
                "manual/packages/shop/manual/b.md",
                "packages/shop/manual/b.md",
            ),
            (
                "manual/packages/shop/manual/b.md",
                "manual/packages/base/c.md",
                "../../base/c.md",
            ),
            ("a.md", "b.md", "b.md"),
            ("x/a.md", "b.md", "../b.md"),
        ] {
            assert_eq!(relative(from, to), name);
        }
    }
}
