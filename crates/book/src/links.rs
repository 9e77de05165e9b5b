//! Checks the links of the built book, which mdBook does not.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Component, Path, PathBuf};

use mdbook_preprocessor::book::Chapter;

use crate::manual::{Manual, Page};
use crate::source::{Problem, Severity};

use super::markup::{tags, unescaped};

/// How many broken links of a page are located in its source.
const LOCATED: usize = 100;

/// The anchors and links of a built page.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Anchors {
    pub(super) ids: HashSet<String>,
    /// As in `href`, `src` and similar attributes, with entities resolved.
    pub(super) links: Vec<String>,
}

/// All built pages of a manual, with their links and anchors.
pub(super) struct Site<'a> {
    manual: &'a Manual,
    /// Pages of the manual, by their path in the book.
    pages: HashMap<PathBuf, usize>,
    /// Each anchor as a hash of its page and its name: with half a million of them, a collision is
    /// unlikely.
    anchors: HashSet<u64>,
    /// For each built page, its links within the book, each once.
    links: BTreeMap<usize, Vec<String>>,
}

impl<'a> Site<'a> {
    pub(super) fn of(manual: &'a Manual) -> Site<'a> {
        let pages = manual.pages.iter().map(|page| html_path(&page.path));
        Site {
            manual,
            pages: pages.zip(0..).collect(),
            anchors: HashSet::new(),
            links: BTreeMap::new(),
        }
    }

    /// Adds the anchors and links of a page.
    pub(super) fn add(&mut self, path: &Path, told: Anchors) {
        let Some(&page) = self.pages.get(path) else {
            return;
        };
        self.anchors
            .extend(told.ids.iter().map(|id| number(path, id)));
        let mut links = told.links;
        let mut seen = HashSet::new();
        links.retain(|link| leaves(link).is_none() && seen.insert(link.clone()));
        links.shrink_to_fit();
        self.links.insert(page, links);
    }

    /// Every file of the book that a page names, existing or not.
    pub(super) fn named(&self) -> HashSet<PathBuf> {
        let links = self.links.iter().flat_map(|(page, links)| {
            let path = html_path(&self.manual.pages[*page].path);
            let files = links.iter();
            files.filter_map(move |link| target(&path, link)?.ok().map(|(file, _)| file))
        });
        // Most links lead to pages, which exist.
        links.filter(|file| !self.is_built(file)).collect()
    }

    /// Broken links in the built book.
    pub(super) fn broken(&self, book: &Path) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (page, links) in &self.links {
            let page = &self.manual.pages[*page];
            let path = html_path(&page.path);
            let mut located = 0;
            for link in links {
                let Some(found) = target(&path, link) else {
                    continue;
                };
                if let Some((code, message)) = self.judge(book, link, found) {
                    located += 1;
                    problems.push(problem(page, link, code, message, located <= LOCATED));
                }
            }
        }
        problems
    }

    fn is_built(&self, page: &Path) -> bool {
        let page = self.pages.get(page);
        page.is_some_and(|page| self.links.contains_key(page))
    }

    fn judge(
        &self,
        book: &Path,
        link: &str,
        found: Result<(PathBuf, String), &'static str>,
    ) -> Option<(&'static str, String)> {
        let (file, fragment) = match found {
            Ok(found) => found,
            Err(why) => return Some(("broken-link", format!("the link `{link}` {why}"))),
        };
        let page = html_path(&file);
        if !self.is_built(&page) {
            let message = || format!("the link `{link}` leads nowhere");
            return (!book.join(&file).exists()).then(|| ("broken-link", message()));
        }
        // The browser finds a text fragment.
        let found = fragment.is_empty() || fragment == "top" || fragment.starts_with(":~:");
        if found || self.anchors.contains(&number(&page, &fragment)) {
            return None;
        }
        let message = format!("`{}` has no anchor `#{fragment}`", file.display());
        Some(("broken-anchor", message))
    }
}

fn number(page: &Path, anchor: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (page, anchor).hash(&mut hasher);
    hasher.finish()
}

/// The scheme or prefix of a link that leads out of the book.
fn leaves(link: &str) -> Option<&str> {
    let scheme = link.split([':', '/', '?', '#']).next().unwrap_or_default();
    (link.starts_with("//") || link[scheme.len()..].starts_with(':')).then_some(scheme)
}

/// The path of a chapter in the book.
pub(super) fn html_of(chapter: &Chapter) -> PathBuf {
    let path = chapter.path.as_deref().unwrap_or(Path::new(""));
    path.with_extension("html")
}

/// The path of a page in the book.
pub(super) fn html_path(page: &Path) -> PathBuf {
    let stem = page
        .file_stem()
        .map(|stem| stem.to_string_lossy().to_lowercase());
    match stem.as_deref() {
        Some("readme" | "_index") => page.with_file_name("index.html"),
        _ => page.with_extension("html"),
    }
}

/// The file and the anchor of a link; `None` for external links.
fn target(page: &Path, link: &str) -> Option<Result<(PathBuf, String), &'static str>> {
    if leaves(link).is_some() {
        return None;
    }
    let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
    let path = decoded(path.split('?').next().unwrap_or_default());
    // The part after `:~:` is a text search of the browser.
    let fragment = decoded(fragment.split(":~:").next().unwrap_or_default());
    if path.is_empty() {
        return Some(Ok((page.to_owned(), fragment)));
    }
    if path.starts_with('/') {
        return Some(Err("starts at the root of a server, not of the book"));
    }
    let mut file = page.parent().map(Path::to_owned).unwrap_or_default();
    for part in Path::new(&path).components() {
        match part {
            Component::Normal(name) => file.push(name),
            Component::ParentDir if !file.pop() => {
                return Some(Err("leads out of the book"));
            }
            _ => {}
        }
    }
    if path.ends_with('/') || file.as_os_str().is_empty() {
        file.push("index.html");
    }
    Some(Ok((file, fragment)))
}

/// The problem, placed as exactly as possible in the page's source.
fn problem(page: &Page, link: &str, code: &'static str, message: String, locate: bool) -> Problem {
    let source = link.replacen(".html", ".md", 1);
    let text = &page.text.text;
    let at = [source.as_str(), link]
        .into_iter()
        .filter(|_| locate)
        .find_map(|written| text.find(written).map(|at| at..at + written.len()));
    let problem = Problem {
        severity: Severity::Warning,
        ..Problem::bare(code, message)
    };
    match at {
        Some(range) => Problem {
            span: Some(page.text.span(range)),
            ..problem
        },
        None => Problem {
            message: format!("{}: {}", page.source.path.display(), problem.message),
            ..problem
        },
    }
}

/// The part of a page that its author wrote.
pub(super) fn main_of(html: &str) -> &str {
    let main = html.split_once("<main>").map_or(html, |(_, rest)| rest);
    main.rsplit_once("</main>").map_or(main, |(main, _)| main)
}

/// The ids and links in the content of a page.
pub(super) fn anchors(main: &str) -> Anchors {
    let mut anchors = Anchors::default();
    for (name, range) in tags(main).flat_map(|tag| tag.attributes()) {
        match name {
            "id" | "name" => {
                anchors.ids.insert(unescaped(&main[range]));
            }
            "href" | "src" | "data" | "poster" => anchors.links.push(unescaped(&main[range])),
            _ => {}
        }
    }
    anchors
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3);
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_links_are_read_from_tags_of_the_main_part_only() {
        let html = "<a href=\"out.html\"><main><h1 id=\"a\">x</h1><!-- <a href=\"no\"> -->\
                    <a title=\"1 > 0\" href=\"b.html?x=1&amp;y=2#c\">href=\"text\"</a>\
                    <img alt='' src='p.png'><script>x = '<a href=\"js\">'</script></main>\
                    <a href=\"foot.html\">";
        let found = anchors(main_of(html));
        assert_eq!(found.ids, HashSet::from(["a".to_owned()]));
        assert_eq!(found.links, ["b.html?x=1&y=2#c", "p.png"]);
    }

    #[test]
    fn a_link_is_followed_as_a_browser_does() {
        let found = |link| target(Path::new("a/b.html"), link);
        let to = |file: &str, anchor: &str| Some(Ok((PathBuf::from(file), anchor.to_owned())));
        assert_eq!(found("#x%20y"), to("a/b.html", "x y"));
        assert_eq!(
            found("../c.html#web.deploy/install"),
            to("c.html", "web.deploy/install")
        );
        assert_eq!(found("#:~:text=x"), to("a/b.html", ""));
        assert_eq!(found("c/"), to("a/c/index.html", ""));
        assert_eq!(found("https://example.net/"), None);
        assert_eq!(found("mailto:a@example.net"), None);
        assert!(found("../../x.html").unwrap().is_err());
        assert!(found("/x.html").unwrap().is_err());
    }
}
