//! The order of pages without a `SUMMARY.md`: from `nav` in `mkdocs.yml`, from the `_Sidebar.md` of
//! a wiki, or from the weights of the pages.
//!
//! Such a list gives order and titles. Pages that it leaves out remain pages of the manual and come
//! last.

mod mkdocs;
mod sidebar;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::files::{Files, normal};
use crate::markdown::front;
use crate::source::{Problem, Source};

/// Files of other generators that list pages.
pub const FILES: [&str; 4] = ["mkdocs.yml", "mkdocs.yaml", "_Sidebar.md", "_sidebar.md"];

/// The deepest nesting; deeper entries are left out.
const MAX_DEPTH: usize = 8;

/// Another generator's list of pages.
#[derive(Clone, Debug, PartialEq)]
pub struct Navigation {
    /// The file with the list, relative to the root.
    pub file: PathBuf,
    /// The items in order. Each page occurs at most once.
    pub items: Vec<Item>,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its title for the page or section.
    pub title: Option<String>,
    /// Relative to the source folder; `None` for a heading.
    pub page: Option<PathBuf>,
    /// The items below it.
    pub items: Vec<Item>,
}

/// The folder of pages, and the files in it.
pub(crate) struct Pages<'a> {
    pub files: &'a Files,
    /// Relative to the root.
    pub folder: &'a Path,
    /// Relative to the folder.
    pub below: &'a BTreeSet<PathBuf>,
}

impl Navigation {
    /// Reads the first existing list that names a page.
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

/// Keeps the first occurrence of each page, and drops headings without pages.
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

/// Whether MkDocs reads formulas, with its extension `arithmatex`.
pub(crate) fn has_formulas(files: &Files) -> bool {
    let mut texts = FILES[..2].iter();
    texts.any(|name| {
        let text = files.public_text(Path::new(name));
        text.is_ok_and(|text| mkdocs::has_formulas(&text))
    })
}

/// Sidebars and footers of a wiki are not pages.
pub(crate) fn is_frame(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let names = ["_sidebar.md", "_footer.md", "_header.md", "_navbar.md"];
    names.contains(&name.to_lowercase().as_str())
}

/// Sorts pages by weight within each folder, and by name where weights are equal. A page without a
/// weight comes after those with one; a folder's index page comes first.
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

/// A page's path without its extension; an index page stands for its folder.
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
