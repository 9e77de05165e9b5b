//! The chapters that `SUMMARY.md` does not define: those of a folder without it, and those whose
//! file is missing. In memory only; nothing is written into the folder.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use mdbook_preprocessor::book::{Book, BookItem, Chapter, SectionNumber};
use mdbook_summary::{Link, Summary, SummaryItem};

use crate::files::normal;
use crate::manual::navigation::Item;
use crate::manual::{MAX_LEVELS, Manual, Page};
use crate::source::Problem;

/// A folder of pages, in the order of its first page.
#[derive(Default)]
struct Folder<'a> {
    name: String,
    /// `index.md`, `README.md` or `_index.md`: the folder's own page.
    index: Option<&'a Page>,
    entries: Vec<Entry<'a>>,
}

enum Entry<'a> {
    Page(&'a Page),
    Folder(Folder<'a>),
}

/// The items of a `SUMMARY.md`, with the pages as the manual has read them. A page that it has not
/// read becomes a chapter that cannot be opened; the manual has reported why. The same holds for a
/// page outside the folder, which mdBook would write outside the book.
pub(super) fn listed(
    summary: Summary,
    manual: &Manual,
    problems: &mut Vec<Problem>,
) -> Vec<BookItem> {
    let pages = manual.pages.iter();
    let mut listed = Listed {
        pages: pages.map(|page| (page.path.as_path(), page)).collect(),
        problems,
    };
    let items = summary
        .prefix_chapters
        .into_iter()
        .chain(summary.numbered_chapters)
        .chain(summary.suffix_chapters);
    items.filter_map(|item| listed.item(item, &[])).collect()
}

struct Listed<'a> {
    pages: HashMap<&'a Path, &'a Page>,
    problems: &'a mut Vec<Problem>,
}

impl Listed<'_> {
    fn item(&mut self, item: SummaryItem, parents: &[String]) -> Option<BookItem> {
        Some(match item {
            SummaryItem::Link(link) => BookItem::Chapter(self.chapter(link, parents)),
            SummaryItem::Separator => BookItem::Separator,
            SummaryItem::PartTitle(title) => BookItem::PartTitle(title),
            _ => return None,
        })
    }

    fn chapter(&mut self, link: Link, parents: &[String]) -> Chapter {
        let page = link.location.as_ref().and_then(|at| self.page(at));
        let mut chapter = match page {
            Some(page) => Chapter::new(&link.name, String::new(), &page.path, parents.to_vec()),
            None => Chapter::new_draft(&link.name, parents.to_vec()),
        };
        chapter.number = link.number;
        let parents = [parents, &[link.name]].concat();
        // The manual has reported deeper levels.
        let levels = MAX_LEVELS.saturating_sub(parents.len());
        let nested = link.nested_items.into_iter().filter(|_| levels > 0);
        chapter.sub_items = nested
            .filter_map(|item| self.item(item, &parents))
            .collect();
        chapter
    }

    fn page(&mut self, at: &Path) -> Option<&Page> {
        let place = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !at.components().all(place) {
            let message = format!(
                "`{}` is outside the folder of `SUMMARY.md`: it is not in the book",
                at.display()
            );
            self.problems.push(Problem::bare("page-outside", message));
            return None;
        }
        self.pages.get(normal(at).as_path()).copied()
    }
}

/// The page as mdBook would have read it, with includes, and with the heading that a site generator
/// shows above it.
pub(super) fn content(page: &Page) -> String {
    let before = page.source.text[..page.body].trim_start_matches('\u{feff}');
    let heading = page.heading.as_deref().map(as_words);
    let heading = heading.map_or(String::new(), |heading| format!("# {heading}\n\n"));
    [before, &heading, &page.text.text].concat()
}

/// Gives each chapter its text.
pub(super) fn put_contents(book: &mut Book, manual: &Manual) {
    let pages = manual.pages.iter();
    let pages: HashMap<&Path, &Page> = pages.map(|page| (page.path.as_path(), page)).collect();
    book.for_each_chapter_mut(|chapter| {
        let page = chapter.source_path.as_deref();
        if let Some(page) = page.and_then(|path| pages.get(path)) {
            chapter.content = content(page);
        }
    });
}

/// Escapes text for Markdown.
fn as_words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if c.is_ascii_punctuation() {
            words.push('\\');
        }
        words.push(c);
    }
    words
}

/// The items without a `SUMMARY.md`: first in the order of another generator's file, then the
/// remaining pages in the order of folders.
pub(super) fn items(manual: &Manual) -> Vec<BookItem> {
    let Some(navigation) = &manual.navigation else {
        return of_folders(&manual.pages.iter().collect::<Vec<_>>());
    };
    let pages = manual.pages.iter();
    let mut pages: HashMap<&Path, &Page> = pages.map(|page| (page.path.as_path(), page)).collect();
    let mut items = said(&navigation.items, &mut pages, &[], &[]);
    let others = manual.pages.iter();
    let others = others.filter(|page| pages.contains_key(page.path.as_path()));
    let others = of_folders(&others.collect::<Vec<_>>());
    if !others.is_empty() {
        items.push(BookItem::PartTitle("Further pages".to_owned()));
        items.extend(others);
    }
    items
}

/// A line without a page is a chapter that cannot be opened. Removes placed pages from `pages`.
fn said(
    list: &[Item],
    pages: &mut HashMap<&Path, &Page>,
    number: &[u32],
    parents: &[String],
) -> Vec<BookItem> {
    let mut items = Vec::new();
    for (item, n) in list.iter().zip(1..) {
        let number = [number, &[n]].concat();
        let page = item.page.as_deref().and_then(|path| pages.remove(path));
        let mut own = match (page, &item.title) {
            (Some(page), _) => chapter(page, "", Some(&number), parents),
            (None, Some(title)) => Chapter::new_draft(title, parents.to_vec()),
            (None, None) => continue,
        };
        own.number = Some(SectionNumber::new(number.as_slice()));
        let parents = [parents, &[own.name.clone()]].concat();
        own.sub_items = said(&item.items, pages, &number, &parents);
        items.push(BookItem::Chapter(own));
    }
    items
}

/// One item for each page, numbered, nested like the folders. Outer folders that contain only one
/// folder are skipped.
fn of_folders(pages: &[&Page]) -> Vec<BookItem> {
    let mut top = Folder::default();
    for page in pages.iter().copied() {
        top.add(page, &folders(&page.path));
    }
    while let (None, [Entry::Folder(_)]) = (top.index, top.entries.as_slice()) {
        if let Some(Entry::Folder(only)) = top.entries.pop() {
            top = only;
        }
    }
    let mut items = Vec::new();
    if let Some(index) = top.index {
        items.push(BookItem::Chapter(chapter(index, &top.name, None, &[])));
    }
    items.extend(top.children(&[], &[]));
    items
}

impl<'a> Folder<'a> {
    fn add(&mut self, page: &'a Page, folders: &[String]) {
        let Some((first, rest)) = folders.split_first() else {
            if self.index.is_none() && is_index(&page.path) {
                self.index = Some(page);
            } else {
                self.entries.push(Entry::Page(page));
            }
            return;
        };
        let known = self.entries.iter_mut().find_map(|entry| match entry {
            Entry::Folder(folder) if folder.name == *first => Some(folder),
            _ => None,
        });
        if let Some(folder) = known {
            folder.add(page, rest);
        } else {
            let mut folder = Folder {
                name: first.clone(),
                ..Folder::default()
            };
            folder.add(page, rest);
            self.entries.push(Entry::Folder(folder));
        }
    }

    fn children(&self, number: &[u32], parents: &[String]) -> Vec<BookItem> {
        let entries = self.entries.iter().zip(1..);
        entries
            .map(|(entry, n)| {
                let number = [number, &[n]].concat();
                BookItem::Chapter(match entry {
                    Entry::Page(page) => chapter(page, "", Some(&number), parents),
                    Entry::Folder(folder) => folder.chapter(&number, parents),
                })
            })
            .collect()
    }

    /// A folder without its own page is a chapter that cannot be opened.
    fn chapter(&self, number: &[u32], parents: &[String]) -> Chapter {
        let mut own = match self.index {
            Some(page) => chapter(page, &self.name, Some(number), parents),
            None => Chapter::new_draft(&self.name, parents.to_vec()),
        };
        own.number = Some(SectionNumber::new(number));
        let parents = [parents, &[own.name.clone()]].concat();
        own.sub_items = self.children(number, &parents);
        own
    }
}

/// A folder's page without a title is named after the folder.
fn chapter(page: &Page, folder: &str, number: Option<&[u32]>, parents: &[String]) -> Chapter {
    let untitled = is_index(Path::new(&page.title)) && !folder.is_empty();
    let title = if untitled { folder } else { &page.title };
    let mut chapter = Chapter::new(title, String::new(), &page.path, parents.to_vec());
    if page
        .path
        .file_name()
        .is_some_and(|name| name == "_index.md")
    {
        chapter.path = Some(page.path.with_file_name("index.md"));
    }
    chapter.number = number.map(SectionNumber::new);
    chapter
}

fn folders(path: &Path) -> Vec<String> {
    let parent: PathBuf = path.parent().map(Path::to_owned).unwrap_or_default();
    let names = parent.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    names.collect()
}

fn is_index(path: &Path) -> bool {
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().to_lowercase());
    matches!(stem.as_deref(), Some("index" | "_index" | "readme"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;

    /// Names of chapters with their numbers; `-` cannot be opened.
    fn shown(items: &[BookItem], found: &mut Vec<String>) {
        for item in items {
            match item {
                BookItem::Chapter(chapter) => {
                    let number = chapter.number.as_ref().map(ToString::to_string);
                    let number = number.unwrap_or_default();
                    let path = chapter.path.as_ref();
                    let path = path.map_or("-".to_owned(), |path| path.display().to_string());
                    found.push(format!("{number} {}: {path}", chapter.name));
                    shown(&chapter.sub_items, found);
                }
                BookItem::PartTitle(title) => found.push(format!("# {title}")),
                BookItem::Separator => found.push("---".to_owned()),
            }
        }
    }

    #[test]
    fn chapters_stand_where_the_list_of_another_generator_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("docs/ops")).unwrap();
        let nav = "nav:\n  - index.md\n  - Operations:\n    - ops/up.md\n    - Deep:\n      \
                   - Down: ops/down.md\n";
        std::fs::write(root.join("mkdocs.yml"), nav).unwrap();
        for page in ["index", "ops/up", "ops/down", "ops/left", "more"] {
            let text = format!("# Page {page}\n");
            std::fs::write(root.join(format!("docs/{page}.md")), text).unwrap();
        }
        let (manual, problems) = crate::manual::load(&Files::of(root));
        assert!(problems.is_empty(), "{problems:?}");
        let mut found = Vec::new();
        shown(&items(&manual), &mut found);
        assert_eq!(
            found,
            [
                "1. Page index: docs/index.md",
                "2. Operations: -",
                "2.1. Page ops/up: docs/ops/up.md",
                "2.2. Deep: -",
                "2.2.1. Down: docs/ops/down.md",
                "# Further pages",
                "1. Page more: docs/more.md",
                "2. ops: -",
                "2.1. Page ops/left: docs/ops/left.md",
            ]
        );
    }

    #[test]
    fn the_title_of_front_matter_stands_above_a_text_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (name, text) in [
            ("a.md", "+++\ntitle = \"Disk *full* <b>\"\n+++\ntext\n"),
            ("b.md", "---\ntitle: B\n---\n# Own\n"),
            ("c.md", "---\ntitle: C\n---\n## Part\n"),
            ("d.md", "text\n"),
        ] {
            std::fs::write(root.join(name), text).unwrap();
        }
        let (manual, _) = crate::manual::load(&Files::of(root));
        let contents = manual.pages.iter().map(super::content);
        let texts: Vec<String> = contents
            .map(|content| {
                let body = content.rsplit("+++\n").next().unwrap_or_default();
                body.rsplit("---\n").next().unwrap_or_default().to_owned()
            })
            .collect();
        assert_eq!(
            texts,
            [
                "# Disk \\*full\\* \\<b\\>\n\ntext\n",
                "# Own\n",
                "# C\n\n## Part\n",
                "text\n"
            ]
        );
    }
}
