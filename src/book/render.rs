//! The `html` renderer: mdBook's own, in a room with nothing in it but what it may publish.
//!
//! mdBook copies every file of the source folder into the book, dotfiles too. It gets a root
//! that holds only the theme, the additional styles and the 404 page; other files are
//! published by `publish`, and only those that a page names.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mdbook_driver::config::HtmlConfig;
use mdbook_html::HtmlHandlebars;
use mdbook_renderer::book::{Book, Chapter};
use mdbook_renderer::{RenderContext, Renderer};

use super::markup::escaped;
use super::{BookError, shards};

pub(super) const STYLE: &str = include_str!("assets/opsbook.css");
/// A book with more pages is rendered in parts.
const LARGE: usize = 100;
/// In mdBook's script for searching.
const TITLE: &str = "+ result.doc.breadcrumbs +";
const ESCAPED_TITLE: &str = "+ escapeHTML(result.doc.breadcrumbs) +";
const THEME: &str = ".theme";
const SCRIPT: &str = include_str!("assets/opsbook.js");
const HEAD: &str = concat!(
    "\n<link rel=\"stylesheet\" href=\"{{ path_to_root }}opsbook/opsbook.css\">",
    "\n<script defer src=\"{{ path_to_root }}opsbook/opsbook.js\"></script>\n",
);

/// mdBook's HTML book with the styles of the marks.
pub(super) struct Html;

impl Renderer for Html {
    fn name(&self) -> &'static str {
        "html"
    }

    fn render(&self, context: &RenderContext) -> Result<()> {
        let room = tempfile::tempdir()?;
        let context = confined(context, room.path())?;
        let destination = context.destination.clone();
        let first = first_in_a_folder(&context.book);
        let large = context.book.chapters().count() > LARGE;
        if large && shards::possible(&room.path().join(THEME)) {
            shards::render(context)?;
        } else {
            HtmlHandlebars::new().render(&context)?;
        }
        if let Some(page) = first {
            redirect_index(&destination, &page)?;
        }
        escape_titles(&destination)?;
        write_assets(&destination)
    }
}

/// mdBook's search puts the titles of pages and headings on the page as HTML; in a title such
/// as "`<img onerror=…>`" they are words.
fn escape_titles(destination: &Path) -> Result<()> {
    for entry in std::fs::read_dir(destination)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("searcher") && name.ends_with(".js") {
            let script = std::fs::read_to_string(&path)?;
            std::fs::write(&path, script.replace(TITLE, ESCAPED_TITLE))?;
        }
    }
    Ok(())
}

/// The first page, where mdBook's copy of it in `index.html` would not do: the links of a page
/// in a folder lead nowhere from there.
fn first_in_a_folder(book: &Book) -> Option<PathBuf> {
    let path = book.chapters().next()?.path.as_ref()?;
    let own_index = book.chapters().any(is_top_index);
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

/// mdBook panics on some books (headings that skip a level in the sidebar).
pub(super) fn guarded(render: impl FnOnce() -> Result<()>) -> Result<(), BookError> {
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
pub(super) fn confined(context: &RenderContext, room: &Path) -> Result<RenderContext> {
    let html: HtmlConfig = context.config.get("output.html")?.unwrap_or_default();
    let source = Path::new(&context.config.book.src);
    let mut confined = context.clone();
    room.clone_into(&mut confined.root);
    std::fs::create_dir_all(room.join(source))?;

    let theme = room.join(THEME);
    std::fs::create_dir(&theme)?;
    let users = html.theme_dir(&context.root);
    if users.is_dir() {
        copy_tree(&users, &theme)?;
    } else if html.theme.is_some() {
        anyhow::bail!("theme folder `{}` does not exist", users.display());
    }
    let head = theme.join("head.hbs");
    let own = std::fs::read_to_string(&head).unwrap_or_default();
    std::fs::write(&head, own + HEAD)?;
    confined.config.set("output.html.theme", &theme)?;

    let not_found = html.input_404.clone().unwrap_or_else(|| "404.md".into());
    let named = html
        .additional_css
        .iter()
        .chain(&html.additional_js)
        .cloned();
    let files = named.chain((!not_found.is_empty()).then(|| source.join(&not_found)));
    for file in files {
        bring(&context.root, room, &file)?;
    }
    Ok(confined)
}

pub(super) fn write_assets(destination: &Path) -> Result<()> {
    let folder = destination.join("opsbook");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("opsbook.css"), STYLE)?;
    std::fs::write(folder.join("opsbook.js"), SCRIPT)?;
    Ok(())
}

/// A file that is not there is mdBook's to complain about.
fn bring(from: &Path, to: &Path, file: &PathBuf) -> Result<()> {
    let (from, to) = (from.join(file), to.join(file));
    if !from.is_file() {
        return Ok(());
    }
    std::fs::create_dir_all(to.parent().unwrap_or(&to))?;
    std::fs::copy(&from, &to).with_context(|| format!("cannot read `{}`", from.display()))?;
    Ok(())
}

pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target)?;
            copy_tree(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
