//! Manual -> static book that works offline. With `manual`, the only place that names
//! `mdbook_*`; asks no node and runs nothing.
//!
//! mdBook renders; this module decides what it may read, what it may write and what it must
//! not pass over in silence. A book is built beside its destination and put in its place in
//! one step, so that a reader never meets half of one.
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

// The crates below this one, by the names that its files use.
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
mod card;
mod chapters;
mod config;
mod contents;
mod copy;
mod destination;
mod finder;
mod foreign;
mod frames;
pub mod fuzz;
mod generated;
mod html;
mod index;
mod inorder;
mod links;
mod machines;
mod making;
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

/// What [`build`] may be told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Any problem, a warning too, keeps the old book in its place.
    pub strict: bool,
    /// Somebody else's manual: no command of its `book.toml` is run, none of its HTML, theme,
    /// styles and scripts is used, only files below its folder are read, and more than a large
    /// manual is refused.
    pub untrusted: bool,
    /// Whether commands of `book.toml` are run.
    pub commands: Commands,
    /// Where the manual comes from, where that is more than its folder: made of packages, with a
    /// state elsewhere.
    pub place: Option<project::Place>,
}

/// Whether commands that `book.toml` names are run for the book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commands {
    /// As mdBook does.
    #[default]
    Run,
    /// Nothing is run: the book is made without them.
    Leave,
}

/// A finished book.
#[derive(Debug)]
pub struct Built {
    /// The folder of the book.
    pub destination: PathBuf,
    /// How many pages it has.
    pub pages: usize,
    /// What is wrong in the manual or in the book: everything that [`crate::manual::load`]
    /// reports, includes that failed, links that lead nowhere.
    pub problems: Vec<Problem>,
    /// The book was put in its place. Only `strict` keeps it from that.
    pub published: bool,
    /// Commands of `book.toml` that were run.
    pub commands: Vec<String>,
    /// `allow-html` is on: pages bring what they like, and carry no policy.
    pub allows_html: bool,
}

impl Built {
    /// The page to open first.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.destination.join("index.html")
    }
}

/// Why there is no book.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// `book.toml` says something that mdBook would drop in silence.
    #[error("{0}")]
    Config(Box<Problem>),
    /// A chapter or the summary cannot be read.
    #[error("cannot load the book in `{}`: {why}", root.display())]
    Load {
        /// The folder of `book.toml`.
        root: PathBuf,
        /// What mdBook or the system says.
        why: String,
    },
    /// The book would be written over something that is not a book.
    #[error("cannot build into `{}`: {why}", path.display())]
    Destination {
        /// The folder that was asked for.
        path: PathBuf,
        /// What stands there, or why it cannot be a book.
        why: String,
    },
    /// mdBook or another preprocessor gave up.
    #[error("cannot render the book: {0}")]
    Render(String),
    /// The system does not let a file be written or read.
    #[error("cannot {doing} `{}`: {error}", path.display())]
    Io {
        /// What was to be done with it: `write`, `read`, `replace`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

/// Builds the book of the manual in `root` into `dest`, or where `book.toml` says.
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

/// What is recorded of the manual; what a stranger's project says of its own results is not shown.
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
    // What another preprocessor is given is made of all pages at once.
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
    // What is made of the manual is no page of it.
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
    let making = making::Making {
        whole: &whole,
        files,
        renderer: &renderer,
        about: &about::About::of(edited, &manual, owner, about::now()),
        held,
        search,
        prepare: &prepare,
    };
    let site = render::guarded(|| making.make(context))?;
    work.end();
    problems.extend(preprocess::take(&removed));
    let (named, src) = (site.named(), &driver.config.book.src);
    let withheld = publish::files(&named, files, src, into, manual.settings.allow_html);
    problems.extend(site.broken(into));
    problems.extend(publish::withheld(&withheld));
    Ok(Rendered { pages, problems })
}

/// Puts the generated chapters behind the others; what the browser calls each chapter.
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

/// How far the manual's own HTML is trusted, whose the book is, and what its pages may do.
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

/// What the book's scripts have to do.
fn scripts(whole: &whole::Whole<'_>) -> render::Scripts {
    match (whole.blocks.is_empty(), whole.nodes.names().len()) {
        (true, _) => render::Scripts::None,
        (false, 0) => render::Scripts::Blocks,
        (false, _) if whole.manual.settings.chapters == Wanted::No => render::Scripts::Nodes,
        (false, _) => render::Scripts::Machines,
    }
}

/// mdBook makes `index.html` of `README.md` and leaves the links to `README.md` dead.
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

/// The chapters: from `SUMMARY.md`, or from the manual's own list where there is none. A
/// chapter without its file cannot be opened; the manual has reported it.
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
    // mdBook reads no page: each was read once, by the manual.
    let mut driver =
        MDBook::load_with_config_and_summary(root, config, Summary::default()).map_err(failed)?;
    driver.book = Book::new_with_items(items);
    Ok(driver)
}
