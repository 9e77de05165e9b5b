//! Builds a manual into a static book that works offline. Only this crate and `manual` name
//! `mdbook_*`. Contacts no node and runs nothing.
//!
//! mdBook renders; this crate decides what it may read and write, and which problems to report. A
//! book is built next to its destination and swapped in in one step, so that readers never see half
//! of one.
//!
//! ```
//! use opsbook_book::{Options, build};
//!
//! # let folder = tempfile::tempdir()?;
//! # let root = folder.path();
//! std::fs::write(root.join("book.toml"), "[book]\nsrc = \".\"\n")?;
//! std::fs::write(root.join("SUMMARY.md"), "- [Hello](hello.md)\n")?;
//! std::fs::write(root.join("hello.md"), "# Hello\n")?;
//! let built = build(root, None, &Options::default())?;
//! assert!(built.problems.is_empty());
//! assert!(built.index().exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// The crates below this one, under the names that its files use.
use opsbook_engine as engine;
use opsbook_event as event;
use opsbook_journal as journal;
use opsbook_manual as manual;
use opsbook_nodes as nodes;
use opsbook_plan as plan;
use opsbook_project as project;
use opsbook_template as template;
use opsbook_text::{files, interpolation, source, yaml};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mdbook_driver::MDBook;
use mdbook_driver::config::{Config, HtmlConfig};
use mdbook_preprocessor::book::{Book, Chapter};
use mdbook_renderer::RenderContext;
use mdbook_summary::{Summary, parse_summary};

use crate::files::{Files, MAX_TEXT, Refused};
use crate::manual::{Manual, Wanted};
use crate::source::Problem;

mod about;
mod blocks;
mod builder;
mod card;
mod chapters;
mod config;
mod contents;
mod copy;
mod destination;
mod embed;
mod finder;
mod foreign;
mod formulas;
mod frames;
pub mod fuzz;
mod generated;
mod html;
mod index;
mod inorder;
mod links;
mod machines;
mod mark;
mod markup;
mod matrix;
mod notices;
mod pages;
mod pdf;
mod policy;
mod preprocess;
mod present;
mod preview;
mod print;
mod publish;
mod recorded;
mod refer;
mod render;
mod results;
mod runs;
mod sanitise;
mod shards;
mod single;
mod state;
mod tables;
mod untrusted;
mod values;
mod whole;
mod words;

pub use destination::clear_after;
pub use pdf::pdf;
pub use preprocess::{preprocess, supports};
pub use preview::{Changed, Preview};
pub use single::single;

/// Options for [`build`].
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Any problem, even a warning, keeps the old book.
    pub strict: bool,
    /// Somebody else's manual: run no command of its `book.toml`, use none of its HTML, theme,
    /// styles and scripts, read only files below its folder, and refuse very large manuals.
    pub untrusted: bool,
    /// Whether to run commands of `book.toml`.
    pub commands: Commands,
    /// The place of the manual, if that is more than its folder: with packages, or with its state
    /// elsewhere.
    pub place: Option<project::Place>,
}

/// Whether commands in `book.toml` run for the book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commands {
    /// Run them, like mdBook.
    #[default]
    Run,
    /// Build without them.
    Leave,
}

/// A finished book.
#[derive(Debug)]
pub struct Built {
    /// The folder of the book.
    pub destination: PathBuf,
    /// The number of pages.
    pub pages: usize,
    /// The problems of the manual and of the book: everything that [`crate::manual::load`] reports,
    /// failed includes, broken links.
    pub problems: Vec<Problem>,
    /// Whether the new book was published. Only `strict` can prevent that.
    pub published: bool,
    /// Commands of `book.toml` that were run.
    pub commands: Vec<String>,
    /// `allow-html` is on: pages may contain any HTML, and have no policy.
    pub allows_html: bool,
}

impl Built {
    /// The page to open first.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.destination.join("index.html")
    }
}

/// Why the book was not built.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// `book.toml` contains something that mdBook would silently drop.
    #[error("{0}")]
    Config(Box<Problem>),
    /// A chapter or the summary cannot be read.
    #[error("cannot load the book in `{}`: {why}", root.display())]
    Load {
        /// The folder of `book.toml`.
        root: PathBuf,
        /// The message of mdBook or the system.
        why: String,
    },
    /// The book would overwrite something that is not a book.
    #[error("cannot build into `{}`: {why}", path.display())]
    Destination {
        /// The requested folder.
        path: PathBuf,
        /// What is there, or why it cannot be a book.
        why: String,
    },
    /// mdBook or another preprocessor failed.
    #[error("cannot render the book: {0}")]
    Render(String),
    /// A system error with a file.
    #[error("cannot {doing} `{}`: {error}", path.display())]
    Io {
        /// The action: `write`, `read`, `replace`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
}

/// Builds the book of the manual in `root` into `dest`, or into the folder in `book.toml`.
pub fn build(root: &Path, dest: Option<&Path>, options: &Options) -> Result<Built, BookError> {
    let place = match &options.place {
        Some(place) if !options.untrusted => place.clone(),
        None if !options.untrusted => Files::of(root).into(),
        _ => Files::below(root).into(),
    };
    let files = place.files.clone();
    let config::Settings {
        config,
        mut problems,
        wanted,
        commands,
    } = config::load(&files, options)?;
    let (mut manual, manifest, found) = project::reading::pages(&place);
    if options.untrusted {
        manual.settings.allow_html = false;
        untrusted::bound(&manual, root)?;
    }
    if manual.pages.is_empty() {
        return Err(no_pages(root, &found));
    }
    problems.extend(found);
    let destination = destination::choose(root, dest, &config, &manual)?;
    let staging = destination::Staging::beside(&destination)?;

    let allows_html = manual.settings.allow_html;
    let (nodes, _) = project::reading::nodes(&place, &manual.settings, manifest.as_ref());
    let manual = Arc::new(manual);
    let work = || {
        render_all(
            (&place, &nodes),
            config,
            Arc::clone(&manual),
            (&staging.path(), &commands),
            options,
        )
    };
    let (rendered, said) = notices::during(work);
    let rendered = rendered?;
    problems.extend(notices::problems(said, &problems, &wanted));
    problems.extend(rendered.problems);
    let problems = crate::manual::settle(&manual, problems).problems;

    let published = !options.strict || problems.is_empty();
    if published {
        staging.publish(&destination)?;
    }
    Ok(Built {
        destination,
        pages: rendered.pages,
        problems,
        published,
        commands,
        allows_html,
    })
}

fn no_pages(root: &Path, found: &[Problem]) -> BookError {
    let why = match found.iter().find(|problem| problem.is_error()) {
        None => "there is no page in it".to_owned(),
        Some(problem) => match &problem.span {
            None => problem.message.clone(),
            Some(span) => format!("{}: {}", span.place(), problem.message),
        },
    };
    let root = root.to_owned();
    BookError::Load { root, why }
}

struct Rendered {
    pages: usize,
    problems: Vec<Problem>,
}

/// The recorded results of the manual; a stranger's results are not shown.
fn recorded_of(place: &project::Place, options: &Options) -> recorded::Recorded {
    if options.untrusted {
        return recorded::Recorded::default();
    }
    recorded::Recorded::load(place)
}

fn render_all(
    (place, nodes): (&project::Place, &nodes::Nodes),
    config: Config,
    manual: Arc<Manual>,
    (into, commands): (&Path, &[String]),
    options: &Options,
) -> Result<Rendered, BookError> {
    let files = &place.files;
    let root = files.root();
    let mut problems = Vec::new();
    let mut driver = load(files, config, &manual, &mut problems)?;
    let recorded = Arc::new(recorded_of(place, options));
    let mut opsbook = preprocess::Opsbook::new(Arc::clone(&manual), Arc::clone(&recorded));
    if !manual.listed {
        opsbook = opsbook.foreign(&driver.source_dir());
    }
    let blocks = blocks::Blocks::of(&manual);
    let whole = whole::Whole {
        manual: &manual,
        nodes,
        recorded: &recorded,
        blocks: &blocks,
    };
    let opsbook = Arc::new(opsbook.with(chapters::all(&whole), whole.groups_told()));
    let removed = opsbook.removed();
    // Another preprocessor needs all pages at once.
    let at_once = !commands.is_empty();
    if at_once {
        pages::put_contents(&mut driver.book, &manual);
        driver.with_preprocessor(preprocess::Shared(Arc::clone(&opsbook)));
    } else {
        driver.with_preprocessor(preprocess::Later);
    }
    let (trust, owner, held) = trusted(options, &manual);
    let renderer = render::Html {
        files: files.clone(),
        trust,
        markdown: preprocess::markdown(&driver.config),
        removed: Arc::clone(&removed),
        scripts: scripts(&whole),
        days: render::Days {
            result: manual.settings.results_days,
            page: manual.settings.review_days,
        },
    };
    let failed = |error: anyhow::Error| BookError::Render(format!("{error:#}"));
    let (mut book, context) = driver.preprocess_book(&renderer).map_err(failed)?;
    driver.book = Book::new();
    problems.extend(preprocess::take(&removed));
    let work = preprocess::Work::of(&opsbook, &driver.config);
    let mut titles = std::mem::take(&mut *context.chapter_titles.borrow_mut());
    if !at_once {
        titles.extend(generated_last(&mut book, &opsbook, &work));
    }
    // Generated chapters are not pages of the manual.
    let own = |chapter: &&Chapter| !generated::is(chapter);
    let pages = book.chapters().filter(own).count();
    if pages == 0 {
        return Err(no_pages(root, &problems));
    }
    redirect_readmes(&mut driver.config, &book).map_err(failed)?;
    let search = render::take_search(&mut driver.config, &book).map_err(failed)?;
    let mut context = RenderContext::new(root, book, driver.config.clone(), into);
    context.chapter_titles = titles;
    let edited = place.origin.as_deref().unwrap_or(root);
    let prepare = |chapter: &Chapter| {
        if at_once {
            chapter.clone()
        } else {
            work.with_text(chapter)
        }
    };
    let builder = builder::Builder {
        whole: &whole,
        files,
        renderer: &renderer,
        about: &about::About::of(edited, &manual, owner, about::now()),
        held,
        search,
        prepare: &prepare,
    };
    let site = render::guarded(|| builder.build(context))?;
    work.end();
    problems.extend(preprocess::take(&removed));
    let (named, src) = (site.named(), &driver.config.book.src);
    let withheld = publish::files(&named, files, src, into, manual.settings.allow_html);
    problems.extend(site.broken(into));
    problems.extend(publish::withheld(&withheld));
    Ok(Rendered { pages, problems })
}

/// Adds the generated chapters at the end, and sets browser titles.
fn generated_last(
    book: &mut Book,
    opsbook: &preprocess::Opsbook,
    work: &preprocess::Work<'_>,
) -> Vec<(PathBuf, String)> {
    for chapter in opsbook.generated() {
        book.push_item(chapter);
    }
    let titles = book.chapters().filter_map(|chapter| work.title(chapter));
    titles.collect()
}

/// How far the manual's HTML is trusted, who owns the book, and what its pages may do.
fn trusted(options: &Options, manual: &Manual) -> (render::Trust, about::Owner, policy::Policy) {
    use about::Owner;
    use policy::Policy;
    use render::Trust;
    match (options.untrusted, manual.settings.allow_html) {
        (true, _) => (Trust::Nothing, Owner::Stranger, Policy::Held),
        (false, false) => (Trust::Theme, Owner::Ours, Policy::Held),
        (false, true) => (Trust::Html, Owner::Ours, Policy::None),
    }
}

/// The scripts that the book needs.
fn scripts(whole: &whole::Whole<'_>) -> render::Scripts {
    match (whole.blocks.is_empty(), whole.nodes.names().len()) {
        (true, _) => render::Scripts::None,
        (false, 0) => render::Scripts::Blocks,
        (false, _) if whole.manual.settings.chapters == Wanted::No => render::Scripts::Nodes,
        (false, _) => render::Scripts::Machines,
    }
}

/// mdBook turns `README.md` into `index.html` and leaves links to `README.md` broken.
fn redirect_readmes(config: &mut Config, book: &Book) -> anyhow::Result<()> {
    let html: Option<HtmlConfig> = config.get("output.html")?;
    let mut redirect = html.unwrap_or_default().redirect;
    for chapter in book.chapters() {
        let paths = chapter.source_path.as_ref().zip(chapter.path.as_ref());
        if let Some((source, path)) = paths.filter(|(source, path)| source != path) {
            let from = source.with_extension("html");
            redirect
                .entry(format!("/{}", from.display()))
                .or_insert_with(|| name_of(&path.with_extension("html")));
        }
    }
    config.set("output.html.redirect", redirect)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The chapters: from `SUMMARY.md`, or from the manual's own list without it. A chapter without its
/// file cannot be opened; the manual has reported that.
fn load(
    files: &Files,
    config: Config,
    manual: &Manual,
    problems: &mut Vec<Problem>,
) -> Result<MDBook, BookError> {
    let root = files.root();
    let failed = |error: anyhow::Error| BookError::Load {
        root: root.to_owned(),
        why: format!("{error:#}"),
    };
    let items = match files.text(&config.book.src.join("SUMMARY.md"), MAX_TEXT) {
        Ok(text) => {
            let text = text.trim_start_matches('\u{feff}');
            let summary = parse_summary(text).map_err(failed)?;
            pages::listed(summary, manual, problems)
        }
        Err(Refused::Missing) => pages::items(manual),
        Err(why) => return Err(failed(anyhow::anyhow!("`SUMMARY.md`: {why}"))),
    };
    // mdBook reads no page: the manual has read each once.
    let mut driver =
        MDBook::load_with_config_and_summary(root, config, Summary::default()).map_err(failed)?;
    driver.book = Book::new_with_items(items);
    Ok(driver)
}
