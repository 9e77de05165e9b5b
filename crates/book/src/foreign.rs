//! Resolves links in the style of other site generators to pages of the book.
//!
//! Hugo and similar generators give each page a folder (`clustering.md` is `clustering/`), so that
//! a link to a sibling is `../clustering/`; `/x/`, and Zola's `@/x.md`, are relative to the folder
//! of all pages or one above it. Applies only to folders without `SUMMARY.md`, and only to links
//! that are broken as written.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use pulldown_cmark::{Event, Tag};
use regex::Regex;

use crate::manual::Manual;

/// All pages of a folder, and the files next to them.
pub(super) struct Foreign {
    root: PathBuf,
    /// From `guide/clustering` and from `guide` to the page.
    pages: HashMap<PathBuf, PathBuf>,
    /// The folder that contains all pages.
    common: PathBuf,
}

impl Foreign {
    pub(super) fn new(root: &Path, manual: &Manual) -> Foreign {
        let pages = manual.pages.iter().map(|page| &page.path);
        Foreign {
            root: root.to_owned(),
            pages: pages.map(|path| (address(path), path.clone())).collect(),
            common: manual.common_folder(),
        }
    }

    /// The page with resolved links.
    pub(super) fn page(&self, text: &str, path: &Path, options: &MarkdownOptions) -> String {
        let text = shortcodes(text);
        let mut changes: Vec<(Range<usize>, String)> = links(&text, options)
            .into_iter()
            .filter_map(|(range, link)| {
                let to = self.target(path, &link)?;
                let at = range.start + text[range].find(&link)?;
                Some((at..at + link.len(), to))
            })
            .collect();
        changes.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (range, to) in changes {
            if range.start >= done {
                out.push_str(&text[done..range.start]);
                out.push_str(&to);
                done = range.end;
            }
        }
        out.push_str(&text[done..]);
        out
    }

    /// The intended target of a link that is broken as written.
    fn target(&self, page: &Path, link: &str) -> Option<String> {
        let (to, anchor) = link.split_at(link.find('#').unwrap_or(link.len()));
        if to.is_empty() || to.contains(':') || to.starts_with("//") {
            return None;
        }
        let plain = normal(&parent(page).join(to))?;
        if !to.starts_with('/') && self.is_there(&plain) {
            return None;
        }
        let below = to.strip_prefix("@/").or_else(|| to.strip_prefix('/'));
        let found = if let Some(below) = below {
            // The pages may be one part of a site.
            let mut folders = self.common.ancestors();
            folders.find_map(|folder| self.find(&normal(&folder.join(below))?))?
        } else {
            let meant = normal(&address(page).join(to))?;
            self.find(&meant).or_else(|| self.find(&plain))?
        };
        Some(relative(parent(page), &found) + anchor)
    }

    fn find(&self, meant: &Path) -> Option<PathBuf> {
        let page = self
            .pages
            .get(&address(meant))
            .or_else(|| self.pages.get(meant));
        let file = || Some(meant.to_owned()).filter(|file| self.root.join(file).is_file());
        page.map(|page| as_built(page.as_path())).or_else(file)
    }

    fn is_there(&self, path: &Path) -> bool {
        self.root.join(path).is_file()
    }
}

/// Pages by wiki name: `Back up` is `back-up.md` in any folder.
pub(super) struct Wiki(HashMap<String, PathBuf>);

impl Wiki {
    pub(super) fn of(manual: &Manual) -> Wiki {
        let mut pages = HashMap::new();
        for page in &manual.pages {
            let stem = page.path.with_extension("");
            let name = stem.file_name().unwrap_or_default().to_string_lossy();
            for name in [&*stem.to_string_lossy(), &*name, page.title.as_str()] {
                let known = pages.entry(Wiki::key(name));
                known.or_insert_with(|| page.path.clone());
            }
        }
        Wiki(pages)
    }

    fn key(name: &str) -> String {
        name.trim().to_lowercase().replace([' ', '_'], "-")
    }

    /// The link from a page to the page with this name.
    pub(super) fn link(&self, from: &Path, name: &str) -> Option<String> {
        let page = self.0.get(&Wiki::key(name.trim_start_matches('/')))?;
        Some(relative(parent(from), &as_built(page)))
    }
}

/// All link targets with their places: in the text, or in link definitions.
fn links(text: &str, options: &MarkdownOptions) -> Vec<(Range<usize>, String)> {
    let mut events = new_cmark_parser(text, options).into_offset_iter();
    let mut links: Vec<(Range<usize>, String)> = Vec::new();
    for (event, range) in events.by_ref() {
        if let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event {
            links.push((range, dest_url.into_string()));
        }
    }
    let defined = events.reference_definitions().iter();
    links.extend(defined.map(|(_, link)| (link.span.clone(), link.dest.to_string())));
    links
}

/// Replaces Hugo's `{{< ref "disk.md" >}}` by the path of the page.
fn shortcodes(text: &str) -> String {
    static REF: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"\{\{[<%]\s*(?:rel)?ref\s+"([^"\s]+)"\s*[%>]\}\}"#).ok());
    match &*REF {
        Some(regex) if text.contains("ref ") => regex.replace_all(text, "$1").into_owned(),
        _ => text.to_owned(),
    }
}

/// A generator's name for a page: without its extension, and an index page as its folder.
fn address(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.to_lowercase().as_str() {
        "index.md" | "_index.md" | "readme.md" => parent(path).to_owned(),
        _ if path.extension().is_some_and(|end| end == "md") => path.with_extension(""),
        _ => path.to_owned(),
    }
}

/// The page's source, as mdBook names it.
fn as_built(page: &Path) -> PathBuf {
    match page.file_name() {
        Some(name) if name == "_index.md" => page.with_file_name("index.md"),
        _ => page.to_owned(),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn shared(a: &Path, b: &Path) -> PathBuf {
    let pairs = a.components().zip(b.components());
    pairs.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

/// Without `.` and `..`; `None` if it would leave the folder.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir if !plain.pop() => return None,
            _ => {}
        }
    }
    Some(plain)
}

fn relative(from: &Path, to: &Path) -> String {
    let same = shared(from, to);
    let up = from.components().count() - same.components().count();
    let down = to.strip_prefix(&same).unwrap_or(to);
    "../".repeat(up) + &down.to_string_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_hugo_lead_to_the_pages_of_the_book() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("docs/op")).unwrap();
        std::fs::write(root.join("docs/op/rules.yml"), "").unwrap();
        std::fs::write(root.join("docs/op/near.md"), "").unwrap();
        let pages = [
            "docs/_index.md",
            "docs/op/near.md",
            "docs/op/far.md",
            "docs/top.md",
        ];
        let foreign = Foreign {
            root: root.to_owned(),
            pages: pages
                .iter()
                .map(|page| (address(Path::new(page)), page.into()))
                .collect(),
            common: "docs".into(),
        };
        for (link, expected) in [
            ("../far/", "far.md"),
            ("../far/#a-b", "far.md#a-b"),
            ("../far", "far.md"),
            ("../../top/", "../top.md"),
            ("/top/", "../top.md"),
            ("/", "../index.md"),
            ("@/op/far.md#a", "far.md#a"),
            ("@/docs/op/far.md", "far.md"),
            ("../rules.yml", "rules.yml"),
            ("./far.md", "far.md"),
            ("near.md", "near.md"),
            ("rules.yml", "rules.yml"),
            ("../gone/", "../gone/"),
            ("https://example.net/far/", "https://example.net/far/"),
            ("#here", "#here"),
        ] {
            let found = foreign.target(Path::new("docs/op/near.md"), link);
            let found = found.unwrap_or_else(|| link.to_owned());
            let expected = if link == "./far.md" {
                "far.md"
            } else {
                expected
            };
            assert_eq!(found, expected, "{link}");
        }
        let text = "[a](../far/#x) [b][r] ![c]({{< ref \"./far.md\" >}})\n\n[r]: ../far/ \"t\"\n";
        let options = MarkdownOptions::default();
        assert_eq!(
            foreign.page(text, Path::new("docs/op/near.md"), &options),
            "[a](far.md#x) [b][r] ![c](far.md)\n\n[r]: far.md \"t\"\n"
        );
    }
}
