//! The `html` renderer: mdBook's own, in a folder that contains only what may be published.
//!
//! mdBook copies every file of the source folder into the book, even dotfiles. So it gets a root
//! that contains only the theme, the additional styles and the 404 page; `publish` copies other
//! files, and only those that a page names.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use mdbook_driver::config::{Config, HtmlConfig, Search, SearchChapterSettings};
use mdbook_html::HtmlHandlebars;
use mdbook_markdown::MarkdownOptions;
use mdbook_renderer::book::{Book, Chapter};
use mdbook_renderer::{RenderContext, Renderer};

use crate::files::{Files, Refused};
use crate::source::Problem;

use super::copy::{bring, bring_tree};
use super::markup::escaped;
use super::{BookError, notices, sanitise};

pub(super) const STYLE: &str = include_str!("assets/opsbook.css");
/// The theme within that folder.
pub(super) const THEME: &str = ".theme";
const SCRIPT: &str = include_str!("assets/opsbook.js");
const SEARCH_SCRIPT: &str = include_str!("assets/search.js");
const NODE_SCRIPT: &str = include_str!("assets/node.js");
const MACHINES_SCRIPT: &str = include_str!("assets/machines.js");
/// The folder of opsbook's assets in the book.
pub(super) const OWN: &str = "opsbook";
const HEAD: &str = concat!(
    "\n<link rel=\"stylesheet\" href=\"{{ path_to_root }}opsbook/opsbook.css\">",
    "\n<script defer data-days=\"DAYS\"REVIEW src=\"{{ path_to_root }}opsbook/opsbook.js\"></script>\n",
);
/// The default age in days after which a result counts as old.
const DAYS: u32 = 30;
const BLOCKS_HEAD: &str = "<script defer src=\"{{ path_to_root }}opsbook/node.js\"></script>\n";
const NODES_HEAD: &str =
    "<script defer data-nodes src=\"{{ path_to_root }}opsbook/node.js\"></script>\n";

const MACHINES_HEAD: &str =
    "<script defer data-nodes data-machines src=\"{{ path_to_root }}opsbook/node.js\"></script>\n";

/// mdBook's HTML book with the styles of the marks.
pub(super) struct Html {
    pub(super) files: Files,
    pub(super) trust: Trust,
    pub(super) markdown: MarkdownOptions,
    /// Parts removed from the 404 page.
    pub(super) removed: Arc<Mutex<Vec<Problem>>>,
    pub(super) scripts: Scripts,
    pub(super) days: Days,
}

/// The ages in days after which something counts as old.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Days {
    /// For a recorded result.
    pub(super) result: Option<u32>,
    /// For an unchanged page; `None`: never.
    pub(super) page: Option<u32>,
}

/// The scripts that the book needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scripts {
    /// No page has a block that can be copied.
    None,
    /// There are no nodes to choose.
    Blocks,
    Nodes,
    /// Each node also has a page.
    Machines,
}

/// What of the project may affect a page, besides its Markdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Not even the theme.
    Nothing,
    Theme,
    /// The theme, and HTML in pages.
    Html,
}

impl Renderer for Html {
    fn name(&self) -> &'static str {
        "html"
    }

    /// mdBook only needs the name: see [`super::builder`].
    fn render(&self, context: &RenderContext) -> Result<()> {
        HtmlHandlebars::new().render(context)
    }
}

/// Takes the search settings out, if search is enabled. mdBook then keeps the search field and
/// builds no index: its own finds no ids and paths, and must be loaded as a whole.
pub(super) fn take_search(config: &mut Config, book: &Book) -> Result<Option<Search>> {
    let html: HtmlConfig = config.get("output.html")?.unwrap_or_default();
    let search = html.search.unwrap_or_default();
    if !search.enable {
        return Ok(None);
    }
    let known = |key: &String| {
        let places = book.chapters();
        let mut places = places.filter_map(|c| c.source_path.as_ref().or(c.path.as_ref()));
        places.any(|place| place.starts_with(key))
    };
    if let Some(key) = search.chapter.keys().find(|key| !known(key)) {
        anyhow::bail!("[output.html.search.chapter] key `{key}` does not match any chapter paths");
    }
    let mut none = SearchChapterSettings::default();
    none.enable = Some(false);
    config.set(
        "output.html.search.chapter",
        HashMap::from([(String::new(), none)]),
    )?;
    Ok(Some(search))
}

/// Replaces mdBook's search by ours.
fn replace_search(destination: &Path) -> Result<()> {
    for entry in std::fs::read_dir(destination)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.ends_with(".js") {
            continue;
        }
        if name.starts_with("searcher") {
            std::fs::write(&path, SEARCH_SCRIPT)?;
        } else if name.starts_with("searchindex") {
            std::fs::remove_file(&path)?;
        } else if name.starts_with("elasticlunr") || name.starts_with("mark.min") {
            std::fs::write(&path, "// Not needed: see opsbook/search.\n")?;
        }
    }
    Ok(())
}

/// The first page, if mdBook's copy of it in `index.html` would be wrong: the relative links of a
/// page in a folder would be broken there.
fn first_in_a_folder(chapters: &[Chapter]) -> Option<PathBuf> {
    let path = chapters.first()?.path.as_ref()?;
    let own_index = chapters.iter().any(is_top_index);
    (path.components().count() > 1 && !own_index).then(|| path.with_extension("html"))
}

fn redirect_index(destination: &Path, page: &Path) -> Result<()> {
    let to = escaped(&page.to_string_lossy());
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <title>{to}</title>\n<meta http-equiv=\"refresh\" content=\"0; url={to}\">\n\
         <p><a href=\"{to}\">{to}</a></p>\n</html>\n"
    );
    std::fs::write(destination.join("index.html"), html)?;
    Ok(())
}

fn is_top_index(chapter: &Chapter) -> bool {
    chapter.path.as_deref() == Some(Path::new("index.md"))
}

/// Catches mdBook's panics, which some books cause (skipped heading levels in the sidebar).
pub(super) fn guarded<T>(render: impl FnOnce() -> Result<T>) -> Result<T, BookError> {
    let outcome = catch_unwind(AssertUnwindSafe(render)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(anyhow::anyhow!(
            "mdBook panicked: {}",
            said.unwrap_or("no reason given")
        ))
    });
    outcome.map_err(|error| BookError::Render(format!("{error:#}")))
}

/// The same book with `room` as its root.
pub(super) fn confined(
    mut confined: RenderContext,
    room: &Path,
    files: &Files,
    trust: Trust,
    scripts: Scripts,
    days: Days,
) -> Result<RenderContext> {
    let html: HtmlConfig = confined.config.get("output.html")?.unwrap_or_default();
    let source = confined.config.book.src.clone();
    room.clone_into(&mut confined.root);
    std::fs::create_dir_all(room.join(&source))?;

    let theme = room.join(THEME);
    std::fs::create_dir(&theme)?;
    let users = html.theme.clone().unwrap_or_else(|| "theme".into());
    match files.folder(&users) {
        _ if trust == Trust::Nothing => {}
        Ok(_) => bring_tree(files, &users, &theme)?,
        Err(Refused::Missing | Refused::Other(_)) if html.theme.is_none() => {}
        Err(why) => anyhow::bail!("theme folder `{}`: {why}", users.display()),
    }
    let head = theme.join("head.hbs");
    let own = std::fs::read_to_string(&head).unwrap_or_default();
    let ours = match scripts {
        Scripts::None => "",
        Scripts::Blocks => BLOCKS_HEAD,
        Scripts::Nodes => NODES_HEAD,
        Scripts::Machines => MACHINES_HEAD,
    };
    let review = days.page.map(|days| format!(" data-review=\"{days}\""));
    let review = review.unwrap_or_default();
    std::fs::write(
        &head,
        own + &HEAD
            .replace("DAYS", &days.result.unwrap_or(DAYS).to_string())
            .replace("REVIEW", &review)
            + ours,
    )?;
    confined.config.set("output.html.theme", &theme)?;

    let not_found = html.input_404.clone().unwrap_or_else(|| "404.md".into());
    let named = html
        .additional_css
        .iter()
        .chain(&html.additional_js)
        .cloned();
    let named = named.chain((!not_found.is_empty()).then(|| source.join(&not_found)));
    for file in named {
        match bring(files, &file, &room.join(&file)) {
            // mdBook reports a missing file.
            Ok(()) | Err(Refused::Missing) => {}
            Err(why) => anyhow::bail!("`{}`: {why}", file.display()),
        }
    }
    Ok(confined)
}

impl Html {
    /// Adds opsbook's files to mdBook's output.
    pub(super) fn finish(&self, destination: &Path, chapters: &[Chapter]) -> Result<()> {
        if let Some(page) = first_in_a_folder(chapters) {
            redirect_index(destination, &page)?;
        }
        replace_search(destination)?;
        write_assets(destination, self.scripts)
    }

    /// The book in a folder that contains only what may be published.
    pub(super) fn confined(&self, context: RenderContext, room: &Path) -> Result<RenderContext> {
        let confined = confined(
            context,
            room,
            &self.files,
            self.trust,
            self.scripts,
            self.days,
        )?;
        let html: HtmlConfig = confined.config.get("output.html")?.unwrap_or_default();
        let name = html.input_404.unwrap_or_else(|| "404.md".into());
        let page = room.join(&confined.config.book.src).join(&name);
        // No preprocessor sees this page.
        if self.trust != Trust::Html && !name.is_empty() && page.is_file() {
            let text = std::fs::read_to_string(&page)?;
            let (text, removed) = sanitise::sanitised(text, &self.markdown);
            std::fs::write(&page, text)?;
            let found = notices::removed(&removed, &name, None);
            let mut all = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(found);
        }
        Ok(confined)
    }
}

pub(super) fn write_assets(destination: &Path, scripts: Scripts) -> Result<()> {
    let folder = destination.join(OWN);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("opsbook.css"), STYLE)?;
    std::fs::write(folder.join("opsbook.js"), SCRIPT)?;
    if scripts != Scripts::None {
        std::fs::write(folder.join("node.js"), NODE_SCRIPT)?;
    }
    if scripts == Scripts::Machines {
        std::fs::write(folder.join("machines.js"), MACHINES_SCRIPT)?;
    }
    Ok(())
}
