//! `print.html` of a book that was rendered in parts: all pages on one, with ids that are
//! unique there and links that stay on it, as mdBook writes it.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use mdbook_preprocessor::book::Chapter;

use super::markup::{Tag, escaped, tags, unescaped};

const BEFORE: &str = "<main>\n                        ";
const AFTER: &str = "\n                    </main>";
const BREAK: &str = "<div style=\"break-before: page; page-break-before: always;\"></div>";
/// Elements that mdBook writes on a new line.
const LINES: [&str; 19] = [
    "blockquote",
    "dd",
    "div",
    "dl",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "table",
    "tr",
    "ul",
];

/// Puts the pages into the empty `print.html` of a book.
pub(super) fn fill(book: &Path, chapters: &[Chapter]) -> Result<()> {
    let path = book.join("print.html");
    let frame = std::fs::read_to_string(&path).context("cannot read `print.html`")?;
    let (head, rest) = frame
        .split_once(BEFORE)
        .context("`print.html` has no main part")?;
    let foot = rest
        .strip_prefix(AFTER)
        .context("`print.html` is not empty")?;
    let mut pages = Vec::with_capacity(chapters.len());
    for chapter in chapters {
        pages.push(Page::read(book, chapter)?);
    }
    let content = joined(&pages);
    std::fs::write(&path, [head, BEFORE, &content, AFTER, foot].concat())?;
    Ok(())
}

/// A built page.
struct Page {
    title: String,
    path: PathBuf,
    html: String,
}

/// Where ids of a page are on the common one.
#[derive(Default)]
struct Place {
    /// Only those that changed.
    ids: HashMap<String, String>,
    /// The id of its title.
    root: String,
    /// It had no title with an id.
    untitled: bool,
}

/// Ids in use, and where the search for a free one begins.
#[derive(Default)]
struct Ids(HashMap<String, u32>);

impl Page {
    fn read(book: &Path, chapter: &Chapter) -> Result<Page> {
        let path = chapter
            .path
            .clone()
            .unwrap_or_default()
            .with_extension("html");
        let built = std::fs::read_to_string(book.join(&path))?;
        let main = built
            .split_once(BEFORE)
            .and_then(|(_, rest)| rest.rsplit_once(AFTER))
            .with_context(|| format!("`{}` has no main part", path.display()))?;
        Ok(Page {
            title: chapter.name.clone(),
            path,
            html: main.0.to_owned(),
        })
    }

    fn ids(&self) -> impl Iterator<Item = (Tag<'_>, String)> {
        tags(&self.html).filter_map(|tag| {
            let (_, range) = tag.attributes().find(|(name, _)| *name == "id")?;
            let id = unescaped(&self.html[range]);
            Some((tag, id))
        })
    }

    /// The id of its title, where the first heading is a title.
    fn title_id(&self) -> Option<String> {
        let heading = tags(&self.html)
            .find(|tag| matches!(tag.name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6"))?;
        let (_, range) = heading.attributes().find(|(name, _)| *name == "id")?;
        (heading.name == "h1").then(|| unescaped(&self.html[range]))
    }
}

impl Ids {
    fn unique(&mut self, id: &str) -> String {
        let Some(mut next) = self.0.get(id).copied() else {
            self.0.insert(id.to_owned(), 1);
            return id.to_owned();
        };
        loop {
            let candidate = format!("{id}-{next}");
            next += 1;
            if !self.0.contains_key(&candidate) {
                self.0.insert(id.to_owned(), next);
                self.0.insert(candidate.clone(), 1);
                return candidate;
            }
        }
    }
}

fn joined(pages: &[Page]) -> String {
    let places = places(pages);
    let size = pages.iter().map(|page| page.html.len() + 200).sum();
    let mut out = String::with_capacity(size);
    for page in pages {
        let place = &places[&page.path];
        if !out.is_empty() {
            out.push_str(BREAK);
        }
        if place.untitled {
            let id = escaped(&place.root);
            new_line(&mut out);
            let title = page.title.replace('&', "&amp;");
            let title = title.replace('<', "&lt;").replace('>', "&gt;");
            for part in [
                "<h1 id=\"",
                &id,
                "\"><a href=\"#",
                &id,
                "\" class=\"header\">",
                &title,
            ] {
                out.push_str(part);
            }
            out.push_str(
                "</a></h1>
",
            );
        } else if tags(&page.html)
            .next()
            .is_some_and(|tag| tag.start == 0 && on_a_line(&tag))
        {
            new_line(&mut out);
        }
        moved(&mut out, page, place, &places);
    }
    out
}

fn new_line(out: &mut String) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

fn on_a_line(tag: &Tag<'_>) -> bool {
    LINES.contains(&tag.name) || matches!(tag.name, "tbody" | "thead")
}

fn places(pages: &[Page]) -> HashMap<PathBuf, Place> {
    let mut used = Ids::default();
    let mut places: HashMap<PathBuf, Place> = HashMap::new();
    for page in pages {
        let place = places.entry(page.path.clone()).or_default();
        for (_, id) in page.ids() {
            let unique = used.unique(&id);
            if unique != id {
                place.ids.insert(id, unique);
            }
        }
    }
    for page in pages {
        let root = page.title_id();
        let place = places.entry(page.path.clone()).or_default();
        place.untitled = root.is_none();
        place.root = match root {
            Some(id) => place.ids.get(&id).cloned().unwrap_or(id),
            None => used.unique(&id_of(&page.title)),
        };
    }
    places
}

/// The id that mdBook gives to a heading of these words.
fn id_of(title: &str) -> String {
    let letters = title.trim().to_lowercase();
    let letters = letters.chars().filter_map(|c| match c {
        c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
        c if c.is_whitespace() => Some('-'),
        _ => None,
    });
    letters.collect()
}

/// The page with its ids and links changed.
fn moved(out: &mut String, page: &Page, place: &Place, places: &HashMap<PathBuf, Place>) {
    let mut done = 0;
    for tag in tags(&page.html) {
        let linked = matches!(tag.name, "a" | "img");
        for (name, range) in tag.attributes() {
            let value = unescaped(&page.html[range.clone()]);
            let new = match name {
                "id" => place.ids.get(&value).cloned(),
                "href" | "src" | "xlink:href" if linked => target(page, &value, places),
                _ => None,
            };
            if let Some(new) = new {
                out.push_str(&page.html[done..range.start]);
                out.push_str(&escaped(&new));
                done = range.end;
            }
        }
    }
    out.push_str(&page.html[done..]);
}

/// Where a link of a page leads on the common one; nothing for links out of the book.
fn target(page: &Page, link: &str, places: &HashMap<PathBuf, Place>) -> Option<String> {
    if has_scheme(link) {
        return None;
    }
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (link, None),
    };
    let base = page.path.parent().unwrap_or(Path::new(""));
    let file = if path.is_empty() {
        page.path.clone()
    } else {
        normal(&base.join(path))
    };
    let Some(place) = places.get(&file) else {
        let anchor = anchor.map(|anchor| format!("#{anchor}"));
        return Some(format!("{}{}", file.display(), anchor.unwrap_or_default()));
    };
    let id = match anchor {
        None => &place.root,
        Some(anchor) => place.ids.get(anchor).map_or(anchor, String::as_str),
    };
    Some(format!("#{id}"))
}

fn has_scheme(link: &str) -> bool {
    let Some((scheme, _)) = link.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c))
}

/// Without `.` and, as far as possible, without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                let above = plain.ends_with("..") || (!plain.pop() && !plain.has_root());
                if above {
                    plain.push("..");
                }
            }
            part => plain.push(part),
        }
    }
    plain
}
