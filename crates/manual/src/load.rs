//! Loads the manual in a folder. All reads go through [`Files`].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::files::{Files, Refused, normal};
use crate::formula::Syntax;
use crate::markdown::summary::{self, Entry};
use crate::model::order;
use crate::navigation::{self, Navigation, Pages};
use crate::parse::{PageSource, parse};
use crate::source::{Problem, Severity, Source, Span};
use crate::{Manual, Settings, settings};

/// Without a `book.toml`, a folder with more entries than this is not a manual, but a home folder
/// or a whole disk.
const MAX_FILES: usize = 50_000;

/// Loads the manual below a folder. Reports all problems and returns everything that could be read.
/// In a folder without `SUMMARY.md`, all `*.md` files are pages.
#[must_use]
pub fn load(files: &Files) -> (Manual, Vec<Problem>) {
    let root = files.root();
    let mut problems = Vec::new();
    let book = read(files, Path::new("book.toml"));
    let mut settings = match &book {
        Ok(source) => settings::read(source, &mut problems),
        Err(_) => Settings::default(),
    };
    if settings.formulas == Syntax::Fences && navigation::has_formulas(files) {
        settings.formulas = Syntax::Tex;
    }
    let folder = source_folder(root, &settings, book.is_ok());
    let most = if book.is_ok() { usize::MAX } else { MAX_FILES };
    let Some(below) = files_below(&root.join(&folder), most) else {
        let manual = Manual {
            root: root.to_owned(),
            ..Manual::default()
        };
        return (manual, vec![too_many(root)]);
    };
    let tree = Tree {
        project: files,
        folder,
        files: below,
    };
    let summary = read(files, &tree.folder.join("SUMMARY.md"));
    let listed = summary.is_ok();
    let navigation = match &summary {
        Err(Refused::Missing) => tree.navigation(&mut problems),
        _ => None,
    };
    let pages = match (summary, &navigation) {
        (Ok(summary), _) => tree.listed_pages(&summary, &mut problems),
        (Err(_), Some(navigation)) => tree.all_pages(Some(navigation), &mut problems),
        (Err(why), None) => tree.unlisted_pages(book.as_ref().ok(), &settings, &why, &mut problems),
    };
    if let Err(why) = book
        && (pages.is_empty() || why != Refused::Missing)
    {
        problems.push(no_manual(root, &why));
    }
    let includes = Includes {
        files,
        read: Mutex::default(),
    };
    let (mut manual, found) = parse(root, settings, pages, &|path| includes.include(path));
    leave_out_included(&manual, &mut problems);
    manual.files = tree.files;
    manual.listed = listed;
    manual.navigation = navigation;
    problems.extend(found);
    order::sort(&manual, &mut problems);
    (manual, problems)
}

/// Reads one page again, for a preview while it is written. Returns the problems of this page
/// alone.
///
/// # Errors
/// If the page can no longer be read.
pub fn page_again(
    files: &Files,
    manual: &mut Manual,
    index: usize,
) -> Result<Vec<Problem>, Refused> {
    let Some(page) = manual.pages.get(index) else {
        return Err(Refused::Missing);
    };
    let source = read_public(files, &page.source.path.clone())?;
    let includes = Includes {
        files,
        read: Mutex::default(),
    };
    let include = |path: &Path| includes.include(path);
    Ok(crate::parse::again(manual, index, source, &include))
}

/// A page that another page includes need not be listed.
fn leave_out_included(manual: &Manual, problems: &mut Vec<Problem>) {
    let included: HashSet<&Path> = manual
        .pages
        .iter()
        .flat_map(|page| page.included.iter().map(|(path, _)| path.as_path()))
        .collect();
    problems.retain(|problem| {
        let path = problem.span.as_ref().map(Span::path);
        problem.code != "page-not-listed" || !path.is_some_and(|path| included.contains(path))
    });
}

/// The settings in `book.toml`, for commands that need no page; the defaults without that file.
#[must_use]
pub fn load_settings(files: &Files) -> (Settings, Vec<Problem>) {
    let mut problems = Vec::new();
    match read(files, Path::new("book.toml")) {
        Ok(source) => (settings::read(&source, &mut problems), problems),
        Err(Refused::Missing) => (Settings::default(), problems),
        Err(why) => (Settings::default(), vec![no_manual(files.root(), &why)]),
    }
}

fn no_manual(root: &Path, why: &Refused) -> Problem {
    Problem::bare(
        "no-manual",
        format!("`{}` holds no manual: `book.toml`: {why}", root.display()),
    )
    .hint("`opsbook init DIR` writes a small manual to start with")
}

fn too_many(root: &Path) -> Problem {
    let root = root.display();
    Problem::bare(
        "no-manual",
        format!(
            "`{root}` has no `book.toml`, and more than {MAX_FILES} files and folders below it"
        ),
    )
    .hint("name the folder of the manual; with a `book.toml`, it can have any size")
}

fn no_summary(book: &Arc<Source>, settings: &Settings, why: &Refused) -> Problem {
    let path = normal(&settings.source).join("SUMMARY.md");
    Problem::error(
        "no-summary",
        Span::new(book, 0..0),
        format!("`{}`: {why}", path.display()),
    )
    .hint("`SUMMARY.md` lists the pages; `src` under `[book]` names its folder")
}

/// `book.src`, or the root if that is not a folder. Without a `book.toml`, `src` is used only if it
/// contains a book, because programs also keep their code in `src`.
fn source_folder(root: &Path, settings: &Settings, has_book: bool) -> PathBuf {
    let folder = normal(&settings.source);
    let is_book = if has_book {
        root.join(&folder).is_dir()
    } else {
        root.join(&folder).join("SUMMARY.md").is_file()
    };
    if is_book { folder } else { PathBuf::new() }
}

/// The source folder and all files in it.
struct Tree<'a> {
    project: &'a Files,
    /// Relative to the root.
    folder: PathBuf,
    /// Relative to the folder.
    files: BTreeSet<PathBuf>,
}

impl Tree<'_> {
    fn listed_pages(&self, summary: &Arc<Source>, problems: &mut Vec<Problem>) -> Vec<PageSource> {
        let mut pages = Vec::new();
        let mut listed = HashSet::new();
        for Entry {
            title, path, span, ..
        } in summary::read(summary, problems)
        {
            // The pages of a package are added when the packages are assembled.
            if path.to_string_lossy().starts_with("package:")
                && self.project.is_file(Path::new("opsbook.toml"))
            {
                continue;
            }
            listed.insert(path.clone());
            match self.page(&path) {
                Ok(source) => pages.push(PageSource {
                    path,
                    title: Some(title),
                    source,
                }),
                Err(why) => {
                    let message = format!("`{}`: {why}", path.display());
                    problems.push(Problem::error(code_of(&why), span, message));
                }
            }
        }
        self.unlisted(&listed, problems);
        pages
    }

    /// Reports pages that are in the folder but not in the book: no reader would see them.
    fn unlisted(&self, listed: &HashSet<PathBuf>, problems: &mut Vec<Problem>) {
        for path in self.markdown() {
            if listed.contains(path) || path.file_name() == Some(OsStr::new("SUMMARY.md")) {
                continue;
            }
            let Ok(source) = self.page(path) else {
                continue;
            };
            let line = source.text.lines().next().map_or(0, str::len);
            problems.push(
                Problem::warning(
                    "page-not-listed",
                    Span::new(&source, 0..line),
                    "this page is not in `SUMMARY.md`, so it is not part of the book",
                )
                .hint("its blocks are neither checked nor run"),
            );
        }
    }

    /// Pages of a folder without `SUMMARY.md`.
    fn unlisted_pages(
        &self,
        book: Option<&Arc<Source>>,
        settings: &Settings,
        why: &Refused,
        problems: &mut Vec<Problem>,
    ) -> Vec<PageSource> {
        if *why != Refused::Missing && book.is_none() {
            let path = self.folder.join("SUMMARY.md");
            let message = format!("`{}`: {why}", path.display());
            problems.push(Problem::bare("no-summary", message));
        }
        if let Some(at) = &settings.source_at
            && self.folder != normal(&settings.source)
        {
            let message = format!("there is no folder `{}`", settings.source.display());
            let problem = Problem::error("no-summary", at.clone(), message);
            problems.push(problem.hint("`src` names the folder of the pages"));
            return Vec::new();
        }
        if let Some(book) = book {
            let problem = no_summary(book, settings, why);
            // A book without pages has most likely the wrong folder in its settings.
            if self.markdown().next().is_none() || *why != Refused::Missing {
                problems.push(problem);
                return Vec::new();
            }
            let hint = "without one, the book has all pages, in the order of their weights and \
                names";
            problems.push(Problem {
                severity: Severity::Warning,
                ..problem.hint(hint)
            });
        }
        self.all_pages(None, problems)
    }

    /// The order of pages from another generator's file.
    fn navigation(&self, problems: &mut Vec<Problem>) -> Option<Navigation> {
        let pages = Pages {
            files: self.project,
            folder: &self.folder,
            below: &self.files,
        };
        Navigation::read(&pages, problems)
    }

    /// Every Markdown file: first in the order of a list, then by weight and name.
    fn all_pages(
        &self,
        navigation: Option<&Navigation>,
        problems: &mut Vec<Problem>,
    ) -> Vec<PageSource> {
        let listed = navigation.map(Navigation::pages).unwrap_or_default();
        let known: HashSet<&Path> = listed.iter().map(|(path, _)| *path).collect();
        let others = self.markdown().map(PathBuf::as_path);
        let others = others.filter(|path| !known.contains(path) && !navigation::is_frame(path));
        let listed = self.read_all(listed, problems);
        let mut others = self.read_all(others.map(|path| (path, None)), problems);
        navigation::by_weight(&mut others, |page| &page.path, |page| &page.source.text);
        [listed, others].concat()
    }

    fn read_all<'a>(
        &self,
        paths: impl IntoIterator<Item = (&'a Path, Option<&'a str>)>,
        problems: &mut Vec<Problem>,
    ) -> Vec<PageSource> {
        let mut pages = Vec::new();
        for (path, title) in paths {
            match self.page(path) {
                Ok(source) => pages.push(PageSource {
                    path: path.to_owned(),
                    title: title.map(str::to_owned),
                    source,
                }),
                Err(why) => problems.push(Problem::bare(
                    code_of(&why),
                    format!("`{}`: {why}", self.folder.join(path).display()),
                )),
            }
        }
        pages
    }

    fn page(&self, path: &Path) -> Result<Arc<Source>, Refused> {
        read_public(self.project, &self.folder.join(path))
    }

    fn markdown(&self) -> impl Iterator<Item = &PathBuf> {
        self.files
            .iter()
            .filter(|path| path.extension() == Some(OsStr::new("md")))
    }
}

/// Files below a folder, relative to it, without hidden files and folders and built books. `None`
/// if there are more than `most` entries.
fn files_below(folder: &Path, most: usize) -> Option<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut seen = 0;
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder.join(&below)) else {
            continue;
        };
        for entry in entries.flatten() {
            seen += 1;
            if seen > most {
                return None;
            }
            let name = entry.file_name();
            let path = below.join(&name);
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            if !kind.is_dir() {
                found.insert(path);
            } else if name != "target" && name != "node_modules" {
                folders.push(path);
            }
        }
    }
    Some(found)
}

/// An unreadable page outside the project has its own error code.
fn code_of(why: &Refused) -> &'static str {
    if why.is_outside() {
        "page-outside"
    } else {
        "missing-page"
    }
}

/// Files included by pages, each read once.
struct Includes<'a> {
    files: &'a Files,
    read: Mutex<HashMap<PathBuf, Result<Arc<Source>, Refused>>>,
}

impl Includes<'_> {
    fn include(&self, path: &Path) -> Result<Arc<Source>, Refused> {
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(path.to_owned())
            .or_insert_with(|| read_public(self.files, path))
            .clone()
    }
}

/// Reads a file below the root; messages name it as `path`.
fn read(files: &Files, path: &Path) -> Result<Arc<Source>, Refused> {
    let text = files.text(path, crate::files::MAX_TEXT)?;
    let path = normal(path);
    Ok(Source::of(&path, files.packaged(&path), text))
}

fn read_public(files: &Files, path: &Path) -> Result<Arc<Source>, Refused> {
    let text = files.public_text(path)?;
    let path = normal(path);
    Ok(Source::of(&path, files.packaged(&path), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages of a folder with these files, and the codes of its problems.
    fn loaded(files: &[(&str, &str)]) -> (Vec<String>, Vec<&'static str>) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let (manual, problems) = load(&Files::of(folder.path()));
        let pages = manual.pages.iter();
        let pages = pages.map(|page| format!("{}: {}", page.source.path.display(), page.title));
        (
            pages.collect(),
            problems.iter().map(|problem| problem.code).collect(),
        )
    }

    #[test]
    fn the_summary_says_which_pages_there_are() {
        let (pages, problems) = loaded(&[
            ("book.toml", "[book]\nsrc = \"m\"\n"),
            (
                "m/SUMMARY.md",
                "# S\n\n[Intro](./i.md)\n\n# Part\n\n- [A](a.md)\n  - [B](b/b%20b.md)\n- [Draft]()\n- [Gone](gone.md)\n",
            ),
            ("m/i.md", "i"),
            (
                "m/a.md",
                "\u{feff}---\ntitle: T\n---\na {{#include part.md}}",
            ),
            ("m/part.md", "part"),
            ("m/b/b b.md", "b"),
            ("m/unlisted.md", "u"),
        ]);
        assert_eq!(pages, ["m/i.md: Intro", "m/a.md: A", "m/b/b b.md: B"]);
        assert_eq!(problems, ["missing-page", "page-not-listed"]);
    }

    #[test]
    fn a_summary_ends_where_it_is_too_deep() {
        let list: String = (0..40)
            .map(|level| format!("{}- [A](a{level}.md)\n", "  ".repeat(level)))
            .collect();
        let pages = (0..40).map(|level| (format!("m/a{level}.md"), "a"));
        let pages: Vec<(String, &str)> = pages.collect();
        let mut files = vec![
            ("book.toml", "[book]\nsrc = \"m\"\n"),
            ("m/SUMMARY.md", list.as_str()),
        ];
        files.extend(pages.iter().map(|(path, text)| (path.as_str(), *text)));
        let (pages, problems) = loaded(&files);
        assert_eq!(pages.len(), crate::MAX_LEVELS);
        assert_eq!(problems[0], "bad-summary");
        assert!(problems[1..].iter().all(|code| *code == "page-not-listed"));
    }

    #[test]
    fn pages_of_packages_are_missing_only_where_there_are_no_packages() {
        let files = [
            ("book.toml", "[book]\nsrc = \"m\"\n"),
            (
                "m/SUMMARY.md",
                "# S\n\n- [A](a.md)\n- [Shop](package:shop)\n",
            ),
            ("m/a.md", "# A\n"),
        ];
        assert_eq!(loaded(&files).1, ["missing-page"]);
        let with_packages = [&files[..], &[("opsbook.toml", "")]].concat();
        assert_eq!(loaded(&with_packages).1, [""; 0]);
    }

    #[test]
    fn a_summary_that_the_book_refuses_hides_nothing_else() {
        let (pages, problems) = loaded(&[
            ("book.toml", "[book]\nsrc = \"m\"\n"),
            (
                "m/SUMMARY.md",
                "# S\n\n- [A](a.md)\n- [B](b.md)\n- [A `too`](./a.md)\n",
            ),
            ("m/a.md", "```sh stpe\n```\n"),
            ("m/b.md", "b"),
        ]);
        assert_eq!(pages, ["m/a.md: A", "m/b.md: B"]);
        assert_eq!(problems, ["bad-summary", "unknown-kind"]);
        let (pages, problems) = loaded(&[
            ("book.toml", "[book]\nsrc = \"m\"\n"),
            (
                "m/SUMMARY.md",
                "# S\n\n- [A](a.md)\n- text\n- [B `b`](b.md)\n",
            ),
            ("m/a.md", "```sh stpe\n```\n"),
            ("m/b.md", "b"),
        ]);
        assert_eq!(pages, ["m/a.md: A", "m/b.md: B b"]);
        assert_eq!(problems, ["bad-summary", "unknown-kind"]);
    }

    #[test]
    fn a_folder_without_a_summary_is_all_its_pages() {
        let (pages, problems) = loaded(&[
            ("docs/b.md", "---\ntitle: Second\nweight: 2\n---\n# H\n"),
            ("docs/a.md", "# First\n"),
            ("src/main.rs", ""),
            (".git/x.md", "x"),
        ]);
        assert_eq!(
            pages,
            ["docs/b.md: Second", "docs/a.md: First"],
            "what has a weight comes first"
        );
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn the_list_of_another_generator_says_the_order_and_the_titles() {
        let mkdocs = "site_name: X\nplugins: [!!python/name:a.b '']\nnav:\n- Start: index.md\n\
                      - 'Guide & more':\n  - ops/b.md\n  - The A: ops/a.md\n  - Gone: ops/gone.md\n  \
                      - Elsewhere: https://example.net/\n  - Twice: ops/a.md\n- Up: ../x.md\n- more/\ntheme: x\n";
        let files = [
            ("mkdocs.yml", mkdocs),
            ("docs/ops/a.md", "# A\n"),
            ("docs/ops/b.md", "# B\n"),
            ("docs/index.md", "# I\n"),
            ("docs/rest.md", "# R\n"),
            ("docs/more/m.md", "# M\n"),
            ("x.md", "# X\n"),
        ];
        let (pages, problems) = loaded(&files);
        assert_eq!(
            pages,
            [
                "docs/index.md: Start",
                "docs/ops/b.md: B",
                "docs/ops/a.md: The A",
                "x.md: Up",
                "docs/more/m.md: M",
                "docs/rest.md: R"
            ]
        );
        assert_eq!(problems, ["missing-page"]);
        let with_book = [&files[..], &[("book.toml", "[book]\nsrc = \"docs\"\n")]].concat();
        let (pages, problems) = loaded(&with_book);
        assert_eq!(pages.len(), 5, "{pages:?}");
        assert_eq!(pages[0], "docs/index.md: Start");
        assert_eq!(problems, ["missing-page"]);
    }

    #[test]
    fn the_sidebar_of_a_wiki_says_the_order() {
        let sidebar = "# Wiki\n\nSome words, [home](Home).\n\n## Operations\n\n* [[Back up]]\n* [Restore it](https://example.net/a/b/wiki/Re_store)\n  * [[Drills|deep/Drill]]\n\n## Links\n\n* [Away](https://example.net/)\n";
        let (pages, problems) = loaded(&[
            ("_Sidebar.md", sidebar),
            ("_Footer.md", "foot"),
            ("Home.md", "# Welcome\n"),
            ("Back-up.md", "b"),
            ("Re-store.md", "r"),
            ("deep/Drill.md", "d"),
            ("Other.md", "o"),
        ]);
        assert_eq!(
            pages,
            [
                "Home.md: home",
                "Back-up.md: Back up",
                "Re-store.md: Restore it",
                "deep/Drill.md: Drills",
                "Other.md: Other"
            ]
        );
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn a_sidebar_of_any_depth_is_read_to_where_people_read() {
        let deep = "- ".repeat(200_000) + "[a](a)\n";
        let sidebar = format!("- [[b]]\n  - [[c]]\n\n{deep}");
        let (pages, problems) = loaded(&[
            ("_Sidebar.md", &sidebar),
            ("a.md", "# A\n"),
            ("b.md", "# B\n"),
            ("c.md", "# C\n"),
        ]);
        assert_eq!(pages, ["b.md: b", "c.md: c", "a.md: A"]);
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn a_folder_is_given_up_where_it_holds_too_much() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.md", "b.txt", "c/d.md", ".hidden", "target/x"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let files = |most| files_below(folder.path(), most).map(|files| files.len());
        assert_eq!([files(6), files(5)], [Some(3), None]);
    }

    #[test]
    fn a_folder_that_holds_no_manual_says_so() {
        assert_eq!(loaded(&[]).1, ["no-manual"]);
        assert_eq!(loaded(&[("book.toml", "")]).1, ["no-summary"]);
        // A page that stands elsewhere is not what the author has named.
        let misspelt = ("book.toml", "[book]\nsrc = \"docs\"\n");
        let (pages, problems) = loaded(&[misspelt, ("doc/a.md", "# A\n")]);
        assert_eq!((pages.len(), problems), (0, vec!["no-summary"]));
        assert_eq!(
            loaded(&[("book.toml", "[book"), ("src/SUMMARY.md", "")]).1,
            ["bad-settings"]
        );
    }
}
