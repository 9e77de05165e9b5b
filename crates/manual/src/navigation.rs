//! The order of pages where no `SUMMARY.md` says it: `nav` of `mkdocs.yml`, the `_Sidebar.md` of
//! a wiki, or the weights of the pages.
//!
//! Such a list orders the pages and says their titles. A page that it leaves out stays a page of
//! the manual: it comes after the others.

mod mkdocs;
mod sidebar;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::files::{Files, normal};
use crate::markdown::front;
use crate::source::{Problem, Source};

/// Files that say an order, as other generators call them.
pub const FILES: [&str; 4] = ["mkdocs.yml", "mkdocs.yaml", "_Sidebar.md", "_sidebar.md"];

/// Levels within each other; what is deeper is left out.
const MAX_DEPTH: usize = 8;

/// A list of pages in another generator's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Navigation {
    /// The file that says it, relative to the root.
    pub file: PathBuf,
    /// What stands in it, in its order. Each page is there at most once.
    pub items: Vec<Item>,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What it calls the page or the section.
    pub title: Option<String>,
    /// Relative to the source folder; none where the line is a heading only.
    pub page: Option<PathBuf>,
    /// What stands below it.
    pub items: Vec<Item>,
}

/// The folder of pages, and which files are in it.
pub(crate) struct Pages<'a> {
    pub files: &'a Files,
    /// Relative to the root.
    pub folder: &'a Path,
    /// Relative to the folder.
    pub below: &'a BTreeSet<PathBuf>,
}

impl Navigation {
    /// Reads the first list that there is and that names a page.
    pub(crate) fn read(pages: &Pages<'_>, problems: &mut Vec<Problem>) -> Option<Navigation> {
        let text = |path: &Path| {
            let text = pages.files.public_text(path).ok()?;
            Some(Source::new(normal(path), text))
        };
        let mkdocs = FILES[..2].iter().map(Path::new);
        let sidebars = FILES[2..].iter().map(|name| pages.folder.join(name));
        let found = mkdocs
            .filter_map(text)
            .map(|source| (mkdocs::items(&source, pages, problems), source))
            .find(|(items, _)| !items.is_empty());
        let (items, source) = found.or_else(|| {
            let read = |path: PathBuf| {
                let source = text(&path)?;
                Some((sidebar::items(&source, pages), source))
            };
            sidebars
                .filter_map(read)
                .find(|(items, _)| !items.is_empty())
        })?;
        let mut seen = HashSet::new();
        let items = each_page_once(items, &mut seen, MAX_DEPTH);
        (!seen.is_empty()).then(|| Navigation {
            file: source.path.clone(),
            items,
        })
    }

    /// All pages with their titles, in order.
    pub(crate) fn pages(&self) -> Vec<(&Path, Option<&str>)> {
        fn collect<'a>(items: &'a [Item], found: &mut Vec<(&'a Path, Option<&'a str>)>) {
            for item in items {
                found.extend(
                    item.page
                        .as_deref()
                        .map(|page| (page, item.title.as_deref())),
                );
                collect(&item.items, found);
            }
        }
        let mut found = Vec::new();
        collect(&self.items, &mut found);
        found
    }
}

/// A page has one place in a book: its first. A heading with nothing below it goes.
fn each_page_once(items: Vec<Item>, seen: &mut HashSet<PathBuf>, depth: usize) -> Vec<Item> {
    if depth == 0 {
        return Vec::new();
    }
    let kept = items.into_iter().filter_map(|mut item| {
        item.page = item.page.filter(|page| seen.insert(page.clone()));
        item.items = each_page_once(item.items, seen, depth - 1);
        (item.page.is_some() || !item.items.is_empty()).then_some(item)
    });
    kept.collect()
}

/// Pages of the sidebar and the foot of a wiki are parts of its frame.
pub(crate) fn is_frame(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let names = ["_sidebar.md", "_footer.md", "_header.md", "_navbar.md"];
    names.contains(&name.to_lowercase().as_str())
}

/// Puts pages in the order of their weights, folder by folder; where none is heavier, in that of
/// their names. A page without a weight comes after those that have one, and the page of a
/// folder itself before all others in it.
pub(crate) fn by_weight<T>(pages: &mut [T], path: impl Fn(&T) -> &Path, text: impl Fn(&T) -> &str) {
    let mut weights: HashMap<PathBuf, f64> = HashMap::new();
    for page in pages.iter() {
        if let Some(weight) = front::weight(text(page)) {
            weights.insert(place(path(page)), weight);
        }
    }
    if !weights.is_empty() {
        pages.sort_by(|a, b| compare(path(a), path(b), &weights));
    }
}

fn compare(a: &Path, b: &Path, weights: &HashMap<PathBuf, f64>) -> Ordering {
    let (ours, theirs) = (place(a), place(b));
    let mut folder = PathBuf::new();
    for (one, other) in ours.components().zip(theirs.components()) {
        if one != other {
            let weight = |name| {
                let weight = weights.get(&folder.join(name));
                weight.copied().unwrap_or(f64::INFINITY)
            };
            let heavier = weight(one.as_os_str()).total_cmp(&weight(other.as_os_str()));
            return heavier.then_with(|| one.cmp(&other));
        }
        folder.push(one);
    }
    let depth = |path: &Path| path.components().count();
    depth(&ours).cmp(&depth(&theirs)).then_with(|| a.cmp(b))
}

/// A page without its ending; the page of a folder stands for the folder.
fn place(path: &Path) -> PathBuf {
    let stem = path.with_extension("");
    let name = stem.file_name().and_then(OsStr::to_str).unwrap_or_default();
    match name.to_lowercase().as_str() {
        "index" | "_index" | "readme" => path.parent().unwrap_or(Path::new("")).to_owned(),
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_in_the_order_of_their_weights() {
        let mut pages = [
            ("docs/a.md", ""),
            ("docs/b/_index.md", "---\nweight: 1\n---\n"),
            ("docs/b/x.md", "---\nweight: 20\n---\n"),
            ("docs/b/y.md", "---\nweight: 3\n---\n"),
            ("docs/c.md", "+++\nweight = 2\n+++\n"),
            ("docs/d/z.md", ""),
            ("docs/index.md", ""),
        ];
        by_weight(&mut pages, |page| Path::new(page.0), |page| page.1);
        assert_eq!(
            pages.map(|page| page.0),
            [
                "docs/index.md",
                "docs/b/_index.md",
                "docs/b/y.md",
                "docs/b/x.md",
                "docs/c.md",
                "docs/a.md",
                "docs/d/z.md",
            ]
        );
        let mut pages = [("b.md", ""), ("a.md", "")];
        by_weight(&mut pages, |page| Path::new(page.0), |page| page.1);
        assert_eq!(pages[0].0, "b.md", "without weights nothing moves");
    }
}
