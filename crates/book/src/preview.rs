//! A preview while the book is written: built once; each requested page is then rendered again from
//! its source, in a time independent of the manual's size. Errors of a page are shown in it.
//! Nothing is run.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use mdbook_driver::config::Config;
use mdbook_html::HtmlHandlebars;
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use mdbook_renderer::{RenderContext, Renderer};

use crate::manual::navigation;
use crate::manual::{self, Manual, Wanted};
use crate::project::{Place, Project, merge, reading};
use crate::source::Problem;
use opsbook_package::manifest::From;
use opsbook_package::resolve::Part;

use super::foreign::Wiki;
use super::formulas::Formulas;
use super::html::text;
use super::links::html_path;
use super::recorded::Recorded;
use super::{
    BookError, Commands, Options, config, mark, pages, preprocess, render, sanitise, words,
};

const BEFORE: &str = "<main>";
const AFTER: &str = "</main>";
/// Reloads the page when something has changed.
const LIVE: &str = "<script defer src=\"/-/live.js\"></script>\n";

/// A preview of a book.
pub struct Preview {
    kept: Mutex<LastBuild>,
}

/// The last build.
struct LastBuild {
    /// The place that it was built from.
    place: Place,
    /// The built book.
    book: tempfile::TempDir,
    manual: Manual,
    recorded: Arc<Recorded>,
    groups: HashSet<String>,
    config: Config,
    /// By the page's file in the book.
    pages: HashMap<PathBuf, usize>,
    /// The problems of the whole manual when it was read.
    problems: Vec<Problem>,
    /// The modification time of each page's source.
    times: Vec<Option<SystemTime>>,
    /// The modification times of files that affect all pages.
    others: Vec<Option<SystemTime>>,
}

/// What has changed since the last call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Nothing.
    Nothing,
    /// The text of pages: they are rendered when requested.
    Pages,
    /// The list of pages, nodes, settings: the book must be rebuilt.
    Whole,
}

impl Preview {
    /// Builds the book of a manual for a preview. For a book with packages, the folder and the
    /// packages are watched and assembled again.
    ///
    /// # Errors
    /// The same as for [`super::build`].
    pub fn open(place: Place) -> Result<Preview, BookError> {
        let kept = Mutex::new(LastBuild::build(place)?);
        Ok(Preview { kept })
    }

    /// Rebuilds the book; the old one is used until then.
    ///
    /// # Errors
    /// The same as for [`super::build`].
    pub fn rebuild(&self) -> Result<(), BookError> {
        let place = again(self.kept().place.clone())?;
        let kept = LastBuild::build(place)?;
        *self.kept() = kept;
        Ok(())
    }

    /// Whether something has changed. Reports each change once.
    #[must_use]
    pub fn changed(&self) -> Changed {
        let mut kept = self.kept();
        let others = kept.times_of_others();
        if others != kept.others {
            kept.others = others;
            return Changed::Whole;
        }
        let times = kept.times_of_pages();
        if times != kept.times {
            kept.times = times;
            // A page of an assembled book is read from a copy.
            return if is_put_together(&kept.place) {
                Changed::Whole
            } else {
                Changed::Pages
            };
        }
        Changed::Nothing
    }

    /// A page of the book from its current source; `None` if the path is not a page of the manual.
    ///
    /// # Errors
    /// If it cannot be rendered.
    pub fn page(&self, path: &Path) -> Result<Option<String>, BookError> {
        let failed = |error: anyhow::Error| BookError::Render(format!("{error:#}"));
        let mut kept = self.kept();
        let Some(&index) = kept.pages.get(path) else {
            return Ok(None);
        };
        kept.page(index, path).map(Some).map_err(failed)
    }

    /// Any other file of the book.
    #[must_use]
    pub fn file(&self, path: &Path) -> Option<Vec<u8>> {
        let plain = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let file = self.kept().book.path().join("book").join(path);
        // The book is our own, and contains no links.
        (plain && file.is_file()).then(|| std::fs::read(file).ok())?
    }

    fn kept(&self) -> MutexGuard<'_, LastBuild> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the files are a copy that was assembled from a folder and packages.
fn is_put_together(place: &Place) -> bool {
    place.book.is_none() && place.origin.is_some()
}

/// The same manual, read again.
fn again(place: Place) -> Result<Place, BookError> {
    let (true, Some(origin)) = (is_put_together(&place), &place.origin) else {
        return Ok(place);
    };
    merge::place(origin).map_err(|problems| BookError::Load {
        root: origin.clone(),
        why: problems
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
    })
}

/// The local folder of a package under development.
fn folder_of(part: &Part) -> Option<&str> {
    match (&part.replaces, &part.asked) {
        (Some(path), _) | (None, From::Path(path)) => Some(path),
        (None, From::Git { .. } | From::Archive(_) | From::Oci { .. }) => None,
    }
}

impl LastBuild {
    fn build(place: Place) -> Result<LastBuild, BookError> {
        let files = &place.files;
        let root = files.root();
        let failed = |error: std::io::Error| BookError::Io {
            doing: "write",
            path: std::env::temp_dir(),
            error,
        };
        let book = tempfile::Builder::new()
            .prefix("opsbook-serve-")
            .tempdir()
            .map_err(failed)?;
        let options = Options {
            commands: Commands::Leave,
            place: Some(place.clone()),
            ..Options::default()
        };
        let built = super::build(root, Some(&book.path().join("book")), &options)?;
        let settings = config::load(files, &options)?;
        let project = Project::read(place.clone());
        let lint = project.lint();
        let mut problems = lint.problems;
        problems.extend(built.problems);
        let (manual, manifest, _) = reading::pages(&place);
        let (nodes, _) = reading::nodes(&place, &manual.settings, manifest.as_ref());
        let told = manual.settings.chapters == Wanted::Yes && nodes.names().len() > 0;
        let groups = nodes.group_names().filter(|_| told).map(str::to_owned);
        let groups = groups.collect();
        let pages = manual.pages.iter().zip(0..);
        let pages = pages
            .map(|(page, index)| (html_path(&page.path), index))
            .collect();
        let mut kept = LastBuild {
            book,
            recorded: Arc::new(Recorded::load(&place)),
            groups,
            config: settings.config,
            pages,
            problems,
            manual,
            times: Vec::new(),
            others: Vec::new(),
            place,
        };
        kept.times = kept.times_of_pages();
        kept.others = kept.times_of_others();
        Ok(kept)
    }

    /// The folder that its author edits.
    fn edited(&self) -> &Path {
        self.place
            .origin
            .as_deref()
            .unwrap_or(self.place.files.root())
    }

    fn times_of_pages(&self) -> Vec<Option<SystemTime>> {
        let pages = self.manual.pages.iter();
        pages
            .map(|page| written(&self.edited().join(page.source.shown())))
            .collect()
    }

    fn times_of_others(&self) -> Vec<Option<SystemTime>> {
        let root = self.edited();
        let summary = self.config.book.src.join("SUMMARY.md");
        let names = [
            "book.toml",
            "nodes.yaml",
            "nodes",
            "checks",
            "templates",
            "opsbook.toml",
            "opsbook.lock",
            "opsbook.local.toml",
        ];
        let folder = root.join(&self.config.book.src);
        let lists = navigation::FILES.iter();
        let lists = lists.flat_map(|name| [root.join(name), folder.join(name)]);
        let named = names.iter().map(|name| root.join(name));
        let packages = self.place.parts.all.iter().filter_map(folder_of);
        let of_packages = packages.flat_map(|folder| {
            let folder = root.join(folder);
            ["opsbook.toml", "book.toml", "templates", "checks"].map(|name| folder.join(name))
        });
        named
            .chain([root.join(summary)])
            .chain(lists)
            .chain(of_packages)
            .map(|path| written(&path))
            .collect()
    }

    /// The page in the frame of the last build.
    fn page(&mut self, index: usize, path: &Path) -> Result<String> {
        let files = &self.place.files;
        let of_page = |problem: &&Problem, manual: &Manual| {
            let span = problem.span.as_ref();
            let page = manual.pages.get(index);
            span.zip(page)
                .is_some_and(|(span, page)| span.path() == page.source.path)
        };
        let now = std::fs::read_to_string(files.root().join(&self.manual.pages[index].source.path));
        let same = now.is_ok_and(|now| now == self.manual.pages[index].source.text);
        if !same {
            let found = manual::page_again(files, &mut self.manual, index);
            let found = found.map_err(|why| anyhow::anyhow!("{why}"))?;
            let manual = &self.manual;
            self.problems.retain(|problem| !of_page(&problem, manual));
            self.problems.extend(found);
        }
        let problems: Vec<&Problem> = self
            .problems
            .iter()
            .filter(|problem| of_page(problem, &self.manual))
            .collect();
        let (content, top) = self.content(index, &problems);
        let main = self.rendered(index, content)?;
        let built = self.book.path().join("book").join(path);
        let frame = std::fs::read_to_string(&built).context("the page is not built yet")?;
        let (before, rest) = frame
            .split_once(BEFORE)
            .context("the page has no main part")?;
        let (_, after) = rest
            .rsplit_once(AFTER)
            .context("the page has no main part")?;
        let page = [before, BEFORE, &top, &main, AFTER, after].concat();
        let page = page.replacen("connect-src 'none'", "connect-src 'self'", 1);
        Ok(page.replacen("</body>", &format!("{LIVE}</body>"), 1))
    }

    /// The Markdown of a page with marks and with problems at their blocks; and the problems
    /// without a block.
    fn content(&self, index: usize, problems: &[&Problem]) -> (String, String) {
        let page = &self.manual.pages[index];
        let options = preprocess::markdown(&self.config);
        let mut notes: HashMap<(usize, usize), String> = HashMap::new();
        let mut top = String::new();
        for problem in problems {
            let line = problem.span.as_ref().map_or(0, crate::source::Span::line);
            let own = page.blocks.iter().position(|block| {
                let first = block.span.line();
                let lines = u32::try_from(block.text.text.lines().count()).unwrap_or(u32::MAX);
                block.kind.is_some() && (first..=first.saturating_add(lines)).contains(&line)
            });
            match own {
                Some(block) => *notes.entry((index, block)).or_default() += &note(problem),
                None => top += &note(problem),
            }
        }
        if page.plain {
            return (sanitise::as_plain_text(&page.text.text), top);
        }
        let marks = mark::Marks::of_page(&self.manual, &self.recorded, &self.groups, index, notes);
        let mut content = marks.page(&pages::content(page), page, &options);
        if self.manual.settings.foreign_words == Wanted::Yes {
            let wiki = Wiki::of(&self.manual);
            let links = |name: &str| wiki.link(&page.path, name);
            content = words::page(&content, &links, &mut words::Unknown::new());
        }
        let formulas = Formulas::take(&mut content, page.formulas, &options);
        if !self.manual.settings.allow_html {
            content = sanitise::sanitised(content, &options).0;
        }
        formulas.put(&mut content);
        (content, top)
    }

    /// Renders the page with mdBook, in a book of one page.
    fn rendered(&self, index: usize, content: String) -> Result<String> {
        let page = &self.manual.pages[index];
        let room = tempfile::tempdir()?;
        let into = room.path().join("book");
        std::fs::create_dir_all(room.path().join(&self.config.book.src))?;
        let chapter = Chapter::new(&page.title, content, &page.path, Vec::new());
        let path = chapter.path.clone().unwrap_or_default();
        let book = Book::new_with_items(vec![BookItem::Chapter(chapter)]);
        let mut config = self.config.clone();
        // The frame belongs to the whole book.
        for (key, on) in [("print.enable", false), ("search.enable", false)] {
            config.set(format!("output.html.{key}"), on)?;
        }
        config.set("output.html.additional-css", Vec::<String>::new())?;
        config.set("output.html.additional-js", Vec::<String>::new())?;
        let theme = room.path().join("theme");
        std::fs::create_dir(&theme)?;
        config.set("output.html.theme", theme)?;
        config.set("output.html.redirect", HashMap::<String, String>::new())?;
        let context = RenderContext::new(room.path(), book, config, &into);
        render::guarded(|| HtmlHandlebars::new().render(&context))?;
        let html = std::fs::read_to_string(into.join(path.with_extension("html")))?;
        let (_, rest) = html
            .split_once(BEFORE)
            .context("mdBook made no main part")?;
        let (main, _) = rest
            .rsplit_once(AFTER)
            .context("mdBook made no main part")?;
        Ok(main.to_owned())
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// A problem as a line of HTML.
fn note(problem: &Problem) -> String {
    let kind = if problem.is_error() {
        "error"
    } else {
        "warning"
    };
    let place = problem
        .span
        .as_ref()
        .map(crate::source::Span::place)
        .unwrap_or_default();
    let hint = problem.hint.as_deref();
    let hint = hint.map(|hint| format!(" <em>{}</em>", text(hint)));
    format!(
        "<div class=\"ops-problem ops-problem-{kind}\" role=\"note\"><strong>{kind}</strong> \
         <code>{}</code> {}{}</div>",
        text(&place),
        text(&problem.message),
        hint.unwrap_or_default()
    )
}
