//! Finds broken links and images. The book renderer publishes them without a warning.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::files::normal;
use crate::model::lint;
use crate::source::Problem;
use crate::{Link, Manual, Page};

/// Checks every link of every page.
pub(super) fn check(manual: &Manual, problems: &mut Vec<Problem>) {
    let book = Book::new(manual);
    for page in &manual.pages {
        for link in &page.links {
            if let Some(problem) = book.follow(page, link) {
                problems.push(Problem {
                    severity: lint::severity(manual),
                    ..problem
                });
            }
        }
    }
}

struct Book<'a> {
    manual: &'a Manual,
    pages: HashMap<&'a Path, Known<'a>>,
    /// One page for each file name.
    names: HashMap<&'a OsStr, &'a Path>,
    /// The number of name comparisons left for hints. Without a limit, each broken link would be
    /// compared with each page or anchor.
    comparisons: Cell<usize>,
    /// The folder that contains all pages.
    common: PathBuf,
}

/// A page and its link targets.
struct Known<'a> {
    page: &'a Page,
    anchors: HashSet<&'a str>,
}

/// The target of a link within the book.
struct Target {
    path: String,
    fragment: String,
}

impl<'a> Book<'a> {
    fn new(manual: &'a Manual) -> Book<'a> {
        let mut book = Book {
            manual,
            pages: HashMap::new(),
            names: HashMap::new(),
            comparisons: Cell::new(100_000),
            common: manual.common_folder(),
        };
        for page in &manual.pages {
            let blocks = page.blocks.iter().map(|block| block.name.as_str());
            let anchors = page.anchors.iter().map(String::as_str).chain(blocks);
            let anchors = anchors.filter(|anchor| !anchor.is_empty()).collect();
            book.pages.insert(&page.path, Known { page, anchors });
            let name = page.path.file_name();
            if let Some(name) = name.filter(|name| *name != "README.md" && *name != "index.md") {
                book.names.entry(name).or_insert(&page.path);
            }
        }
        book
    }

    fn follow(&self, page: &Page, link: &Link) -> Option<Problem> {
        let Target { path, fragment } = target(&link.target)?;
        if path.is_empty() {
            let here = self.pages.get(page.path.as_path())?;
            return self.missing_anchor(here, page, link, &fragment);
        }
        let folder = page.path.parent().unwrap_or(Path::new(""));
        let written = path;
        let mut path = match written.strip_prefix("@/") {
            Some(below) if !self.manual.listed => self.of_site(below),
            _ => normal(&folder.join(&written)),
        };
        // Other generators publish `a.md` as `a/`, and resolve links from there.
        if !self.manual.listed && self.page(&path).is_none() {
            let pretty = normal(&page.path.with_extension("").join(&written));
            path = self
                .page(&pretty)
                .map_or(path, |known| known.page.path.clone());
        }
        if let Some(known) = self.page(&path) {
            return self.missing_anchor(known, page, link, &fragment);
        }
        let exists = self.manual.files.contains(&path);
        if exists && !is_markdown(&path) || is_generated(&path) {
            return None;
        }
        let what = if link.image { "image" } else { "link" };
        let shown = path.display();
        let problem =
            |message| Problem::error("broken-link", page.text.span(link.range.clone()), message);
        Some(if path.starts_with("..") {
            problem(format!(
                "this {what} leads outside of the book, to `{shown}`"
            ))
        } else if exists {
            problem(format!(
                "this {what} leads to `{shown}`, which is not in the book"
            ))
            .hint("list it in `SUMMARY.md`")
        } else {
            let problem = problem(format!(
                "this {what} leads to `{shown}`, which does not exist"
            ));
            match self.nearest(&path) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            }
        })
    }

    /// Resolves Zola's `@/…`: relative to the folder of all pages, or above it if the pages are one
    /// part of a site.
    fn of_site(&self, below: &str) -> PathBuf {
        let folders = self.common.ancestors();
        let mut meant = folders.map(|folder| normal(&folder.join(below)));
        let nearest = meant.clone().next().unwrap_or_default();
        meant
            .find(|path| self.page(path).is_some())
            .unwrap_or(nearest)
    }

    /// Finds a page by its source or by its name in the book; a folder means its index page.
    fn page(&self, path: &Path) -> Option<&Known<'a>> {
        self.pages.get(path).or_else(|| {
            candidates(path)
                .iter()
                .find_map(|path| self.pages.get(path.as_path()))
        })
    }

    /// A page with the same file name elsewhere, or with a similar path.
    fn nearest(&self, path: &Path) -> Option<&'a str> {
        let same_name = path.file_name().and_then(|name| self.names.get(name));
        if let Some(page) = same_name {
            return page.to_str();
        }
        if !self.may_compare(self.manual.pages.len()) {
            return None;
        }
        let known = self.manual.pages.iter();
        crate::source::nearest(path.to_str()?, known.filter_map(|page| page.path.to_str()))
    }

    fn may_compare(&self, count: usize) -> bool {
        let left = self.comparisons.get().checked_sub(count);
        self.comparisons.set(left.unwrap_or(0));
        left.is_some()
    }

    fn missing_anchor(
        &self,
        target: &Known<'_>,
        page: &Page,
        link: &Link,
        fragment: &str,
    ) -> Option<Problem> {
        // A browser searches for `#:~:text=…` in the text itself.
        let known = |fragment: &str| {
            fragment.is_empty() || fragment == "top" || target.anchors.contains(fragment)
        };
        if known(fragment) || fragment.starts_with(":~:") {
            return None;
        }
        let place = if std::ptr::eq(target.page, page) {
            "this page".to_owned()
        } else {
            format!("`{}`", target.page.path.display())
        };
        let span = page.text.span(link.range.clone());
        let message = format!("{place} has no anchor `#{fragment}`");
        let problem = Problem::error("broken-anchor", span, message);
        if !self.may_compare(target.anchors.len()) {
            return Some(problem);
        }
        let mut anchors: Vec<&str> = target.anchors.iter().copied().collect();
        anchors.sort_unstable();
        Some(problem.did_you_mean(fragment, anchors))
    }
}

fn candidates(path: &Path) -> Vec<PathBuf> {
    let mut candidates = vec![
        path.join("README.md"),
        path.join("index.md"),
        path.join("_index.md"),
        path.with_added_extension("md"),
    ];
    if path
        .extension()
        .is_some_and(|extension| extension == "html")
    {
        candidates.push(path.with_extension("md"));
        if path.file_stem().is_some_and(|stem| stem == "index") {
            candidates.push(path.with_file_name("README.md"));
        }
    }
    candidates
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// Files that the book renderer generates.
fn is_generated(path: &Path) -> bool {
    ["index.html", "print.html", "toc.html", "404.html"]
        .iter()
        .any(|name| path == Path::new(name))
}

/// The parts of a link within the book; `None` for an external link.
fn target(link: &str) -> Option<Target> {
    let scheme = link
        .split_once(':')
        .is_some_and(|(scheme, _)| is_scheme(scheme));
    // The target of a link that begins with `/` depends on where the book is published.
    if scheme || link.starts_with('/') || link.is_empty() || link.contains("{{") {
        return None;
    }
    let (rest, fragment) = link.split_once('#').unwrap_or((link, ""));
    let path = rest.split('?').next().unwrap_or_default();
    Some(Target {
        path: decoded(path),
        fragment: decoded(fragment),
    })
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
}

/// Decodes `%20` and similar escapes.
fn decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [a, b, ..]) => hex(*a).zip(hex(*b)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            bytes.push(high * 16 + low);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
