//! `print.html` of a book that was rendered in parts: all pages on one, with unique ids and links
//! within it, in mdBook's format.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use super::inorder::in_order;
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

/// How many pages are inserted at a time.
const PART: usize = 32;

/// A page's data for the print page.
pub(super) struct Ids {
    title: String,
    path: PathBuf,
    /// In the order of the page.
    ids: Vec<String>,
    /// The id of its title, if the first heading is a title.
    heading: Option<String>,
}

/// The ids of all pages on the print page.
#[derive(Default)]
pub(super) struct Places {
    used: Used,
    of: HashMap<PathBuf, Place>,
    /// In the order of the book.
    pages: Vec<PathBuf>,
    /// Pages without a title, with the text for one.
    untitled: Vec<(PathBuf, String)>,
}

impl Places {
    /// Adds the next page.
    pub(super) fn add(&mut self, page: Ids) {
        let place = self.of.entry(page.path.clone()).or_default();
        for id in page.ids {
            let unique = self.used.unique(&id);
            if unique != id {
                place.ids.insert(id, unique);
            }
        }
        match page.heading {
            Some(id) => place.root = place.ids.get(&id).cloned().unwrap_or(id),
            None => self.untitled.push((page.path.clone(), page.title)),
        }
        self.pages.push(page.path);
    }

    /// Inserts the pages into the empty `print.html` of a book, a few at a time.
    pub(super) fn fill(mut self, book: &Path) -> Result<()> {
        for (page, title) in std::mem::take(&mut self.untitled) {
            let id = self.used.unique(&id_of(&title));
            let place = self.of.entry(page).or_default();
            place.root = id;
            place.untitled = Some(title);
        }
        let path = book.join("print.html");
        let frame = std::fs::read_to_string(&path).context("cannot read `print.html`")?;
        let (head, rest) = frame
            .split_once(BEFORE)
            .context("`print.html` has no main part")?;
        let (_, foot) = rest
            .rsplit_once(AFTER)
            .context("`print.html` has no main part")?;
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
        file.write_all(head.as_bytes())?;
        file.write_all(BEFORE.as_bytes())?;
        let part = |number: usize| {
            let pages = self.pages.iter().enumerate();
            let own = pages.skip(number * PART).take(PART);
            let mut out = String::new();
            for (at, path) in own {
                let page = Page::read(book, path)?;
                self.put(&mut out, at, &page);
            }
            Ok(out)
        };
        in_order(self.pages.len().div_ceil(PART), part, |html| {
            Ok(file.write_all(html.as_bytes())?)
        })?;
        file.write_all(AFTER.as_bytes())?;
        file.write_all(foot.as_bytes())?;
        Ok(file.flush()?)
    }

    /// The page with this index, after those before it.
    fn put(&self, out: &mut String, number: usize, page: &Page) {
        let none = Place::default();
        let place = self.of.get(&page.path).unwrap_or(&none);
        if number > 0 {
            out.push_str(BREAK);
        }
        if let Some(title) = &place.untitled {
            let id = escaped(&place.root);
            let title = title.replace('&', "&amp;");
            let title = title.replace('<', "&lt;").replace('>', "&gt;");
            new_line(out);
            out.push_str(&format!(
                "<h1 id=\"{id}\"><a href=\"#{id}\" class=\"header\">{title}</a></h1>\n"
            ));
        } else if tags(&page.html)
            .next()
            .is_some_and(|tag| tag.start == 0 && on_a_line(&tag))
        {
            new_line(out);
        }
        moved(out, page, place, &self.of);
    }
}

/// A built page.
struct Page {
    path: PathBuf,
    html: String,
}

/// The ids of a page on the print page.
#[derive(Default)]
struct Place {
    /// Only ids that changed.
    ids: HashMap<String, String>,
    /// The id of its title.
    root: String,
    /// The text of a title, if it had none with an id.
    untitled: Option<String>,
}

/// Used ids, each with where the search for a free one begins.
#[derive(Default)]
struct Used(HashMap<String, u32>);

impl Page {
    fn read(book: &Path, path: &Path) -> Result<Page> {
        let built = std::fs::read_to_string(book.join(path))?;
        let main = built
            .split_once(BEFORE)
            .and_then(|(_, rest)| rest.rsplit_once(AFTER))
            .with_context(|| format!("`{}` has no main part", path.display()))?;
        Ok(Page {
            path: path.to_owned(),
            html: main.0.to_owned(),
        })
    }
}

impl Ids {
    /// Reads the content of a page.
    pub(super) fn of(title: &str, path: &Path, html: &str) -> Ids {
        let mut ids = Vec::new();
        let mut heading = None;
        for tag in tags(html) {
            let mut own = tag.attributes().filter(|(name, _)| *name == "id");
            let id = own.next().map(|(_, range)| unescaped(&html[range]));
            if heading.is_none() && matches!(tag.name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6") {
                heading = Some(id.clone().filter(|_| tag.name == "h1"));
            }
            ids.extend(id);
        }
        Ids {
            title: title.to_owned(),
            path: path.to_owned(),
            ids,
            heading: heading.flatten(),
        }
    }
}

impl Used {
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

fn new_line(out: &mut String) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

fn on_a_line(tag: &Tag<'_>) -> bool {
    LINES.contains(&tag.name) || matches!(tag.name, "tbody" | "thead")
}

/// The id that mdBook gives to a heading with this text.
fn id_of(title: &str) -> String {
    let letters = title.trim().to_lowercase();
    let letters = letters.chars().filter_map(|c| match c {
        c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
        c if c.is_whitespace() => Some('-'),
        _ => None,
    });
    letters.collect()
}

/// The page with changed ids and links.
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

/// The target of a link on the print page; `None` for external links.
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
