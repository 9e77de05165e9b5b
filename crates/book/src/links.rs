//! Links of the built book: what each page names, and which of it is not there. mdBook checks
//! none.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use crate::manual::{Manual, Page};
use crate::source::{Problem, Severity};

use super::markup::{tags, unescaped};

/// So many broken links of a page are looked for in its text.
const LOCATED: usize = 100;

/// What a built page offers and asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Anchors {
    pub(super) ids: HashSet<String>,
    /// As written in `href`, `src` and their kind, entities resolved.
    pub(super) links: Vec<String>,
}

/// All pages of a manual as they were built.
pub(super) struct Site<'a> {
    folder: PathBuf,
    pages: Vec<(&'a Page, PathBuf, Anchors)>,
}

impl<'a> Site<'a> {
    pub(super) fn read(folder: &Path, manual: &'a Manual) -> Site<'a> {
        let pages = manual.pages.iter().filter_map(|page| {
            let path = html_path(&page.path);
            let html = std::fs::read_to_string(folder.join(&path)).ok()?;
            Some((page, path, anchors(&html)))
        });
        Site {
            folder: folder.to_owned(),
            pages: pages.collect(),
        }
    }

    /// Every file of the book that a page names, there or not.
    pub(super) fn named(&self) -> HashSet<PathBuf> {
        let links = self.pages.iter().flat_map(|(_, path, anchors)| {
            let links = anchors.links.iter();
            links.filter_map(|link| target(path, link)?.ok().map(|(file, _)| file))
        });
        links.collect()
    }

    /// Links that lead nowhere.
    pub(super) fn broken(&self) -> Vec<Problem> {
        let ids: HashMap<&Path, &HashSet<String>> = self
            .pages
            .iter()
            .map(|(_, path, anchors)| (path.as_path(), &anchors.ids))
            .collect();
        let mut problems = Vec::new();
        for (page, path, anchors) in &self.pages {
            let mut seen = HashSet::new();
            let mut located = 0;
            for link in anchors.links.iter().filter(|link| seen.insert(*link)) {
                let Some(found) = target(path, link) else {
                    continue;
                };
                if let Some((code, message)) = self.judge(link, found, &ids) {
                    located += 1;
                    problems.push(problem(page, link, code, message, located <= LOCATED));
                }
            }
        }
        problems
    }

    fn judge(
        &self,
        link: &str,
        found: Result<(PathBuf, String), &'static str>,
        ids: &HashMap<&Path, &HashSet<String>>,
    ) -> Option<(&'static str, String)> {
        let (file, fragment) = match found {
            Ok(found) => found,
            Err(why) => return Some(("broken-link", format!("the link `{link}` {why}"))),
        };
        let missing = || Some(("broken-link", format!("the link `{link}` leads nowhere")));
        let Some(ids) = ids.get(html_path(&file).as_path()) else {
            return if self.folder.join(&file).exists() {
                None
            } else {
                missing()
            };
        };
        // A text fragment is the browser's to find.
        let found = fragment.is_empty() || fragment == "top" || fragment.starts_with(":~:");
        if found || ids.contains(&fragment) {
            return None;
        }
        let message = format!("`{}` has no anchor `#{fragment}`", file.display());
        Some(("broken-anchor", message))
    }
}

/// The place of a page in the book.
pub(super) fn html_path(page: &Path) -> PathBuf {
    let stem = page
        .file_stem()
        .map(|stem| stem.to_string_lossy().to_lowercase());
    match stem.as_deref() {
        Some("readme" | "_index") => page.with_file_name("index.html"),
        _ => page.with_extension("html"),
    }
}

/// The file and the anchor that a link of a page means; nothing for links out of the book.
fn target(page: &Path, link: &str) -> Option<Result<(PathBuf, String), &'static str>> {
    let scheme = link.split([':', '/', '?', '#']).next().unwrap_or_default();
    if link.starts_with("//") || link[scheme.len()..].starts_with(':') {
        return None;
    }
    let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
    let path = decoded(path.split('?').next().unwrap_or_default());
    // What follows `:~:` is for the browser: words to look for.
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

/// The problem at the place where the page says so, as near as it can be found.
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

/// Reads the ids and links of `<main>`, the part of a page that the author wrote.
pub(super) fn anchors(html: &str) -> Anchors {
    let main = html.split_once("<main>").map_or(html, |(_, rest)| rest);
    let main = main.rsplit_once("</main>").map_or(main, |(main, _)| main);
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
        let found = anchors(html);
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
