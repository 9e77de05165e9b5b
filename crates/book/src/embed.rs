//! Puts the pictures of packages into their pages, for plain mdBook: it copies files only from the
//! book's own folder, and empties the folder of the built book after it has called us.

use std::collections::{BTreeSet, HashSet};
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use mdbook_preprocessor::book::Book;
use pulldown_cmark::{Event, Tag};

use crate::files::{Files, is_private, normal};
use crate::manual::Manual;
use crate::source::{Problem, Severity};

use super::markup::{tags, unescaped};
use super::single::{PICTURES, data};

/// Puts the pictures of packages into the pages of a book. Returns a warning about their other files.
pub(super) fn packages(
    book: &mut Book,
    manual: &Manual,
    files: &Files,
    options: &MarkdownOptions,
) -> Option<Problem> {
    let pages = manual.pages.iter();
    let pages = pages.filter(|page| page.source.packaged.is_some());
    let pages: HashSet<&Path> = pages.map(|page| page.path.as_path()).collect();
    let mut pictures = Pictures::of(files, &manual.settings.source);
    book.for_each_chapter_mut(|chapter| {
        let page = chapter.source_path.as_deref();
        if let Some(page) = page.filter(|page| pages.contains(page)) {
            chapter.content = pictures.put(&chapter.content, page, options);
        }
    });
    pictures.problem()
}

/// The pictures of packages, and their other files that pages link to.
struct Pictures<'a> {
    files: &'a Files,
    /// The folder of the pages.
    source: &'a Path,
    /// How many more bytes of pictures may go into pages.
    left: u64,
    /// Files that mdBook does not publish.
    absent: BTreeSet<PathBuf>,
}

impl<'a> Pictures<'a> {
    fn of(files: &'a Files, source: &'a Path) -> Pictures<'a> {
        Pictures {
            files,
            source,
            left: PICTURES,
            absent: BTreeSet::new(),
        }
    }

    /// The text of a package's page, with its pictures as `data:` addresses.
    fn put(&mut self, text: &str, page: &Path, options: &MarkdownOptions) -> String {
        let named = named(text, options);
        for link in named.links {
            self.look_for(page, &link);
        }
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (range, address) in named.pictures {
            let Some(at) = text[range.clone()].find(&address) else {
                continue;
            };
            let start = range.start + at;
            let Some(picture) = self.picture(page, &unescaped(&address)) else {
                continue;
            };
            if start >= done {
                out.push_str(&text[done..start]);
                out.push_str(&picture);
                done = start + address.len();
            }
        }
        out.push_str(&text[done..]);
        out
    }

    /// One warning for all files that are missing in the built book.
    fn problem(&self) -> Option<Problem> {
        let first = self.absent.first()?.display();
        let message = match self.absent.len() - 1 {
            0 => format!("plain mdBook does not publish `{first}`, a file of a package"),
            more => {
                format!("plain mdBook does not publish `{first}` and {more} more files of packages")
            }
        };
        let problem = Problem::bare("package-files", message);
        let problem = Problem {
            severity: Severity::Warning,
            ..problem
        };
        Some(problem.hint("`opsbook build` puts them into the book"))
    }

    /// The picture, if the package has one there that may be published.
    fn picture(&mut self, page: &Path, address: &str) -> Option<String> {
        let path = self.place(page, address)?;
        let found = self.read(&path).and_then(|bytes| data(&path, &bytes));
        if found.is_none() && self.files.is_file(&path) {
            self.absent.insert(path);
        }
        found
    }

    fn read(&mut self, path: &Path) -> Option<Vec<u8>> {
        let opened = self.files.open_public(path).ok()?;
        if is_private(path) {
            return None;
        }
        let mut bytes = Vec::new();
        let read = opened.file.take(self.left + 1).read_to_end(&mut bytes);
        let size = u64::try_from(read.ok()?).ok()?;
        self.left = self.left.checked_sub(size)?;
        Some(bytes)
    }

    fn look_for(&mut self, page: &Path, address: &str) {
        let is_page = |path: &Path| path.extension().is_some_and(|end| end == "md");
        let file = self.place(page, address);
        let file = file.filter(|path| !is_page(path) && self.files.is_file(path));
        self.absent.extend(file);
    }

    /// The file that an address on a page names, relative to the root.
    fn place(&self, page: &Path, address: &str) -> Option<PathBuf> {
        let address = address.split(['#', '?']).next()?;
        if address.is_empty() || address.starts_with('/') || address.contains(':') {
            return None;
        }
        let folder = self.source.join(page.parent()?);
        Some(normal(&folder.join(address)))
    }
}

/// What a page names, each address as written.
struct Named {
    /// Each within the text that contains it.
    pictures: Vec<(Range<usize>, String)>,
    links: Vec<String>,
}

fn named(text: &str, options: &MarkdownOptions) -> Named {
    let mut named = Named {
        pictures: Vec::new(),
        links: Vec::new(),
    };
    let mut labels = HashSet::new();
    let mut events = new_cmark_parser(text, options).into_offset_iter();
    for (event, range) in events.by_ref() {
        match event {
            Event::Start(Tag::Image { dest_url, id, .. }) => {
                // Behind the picture's words; one with a label has its address elsewhere.
                if let Some(at) = text[range.clone()].find("](") {
                    let range = range.start + at..range.end;
                    named.pictures.push((range, dest_url.into_string()));
                }
                labels.insert(id.into_string());
            }
            Event::Start(Tag::Link { dest_url, .. }) => named.links.push(dest_url.into_string()),
            Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_) => {
                named
                    .pictures
                    .extend(in_html(&text[range.clone()], range.start));
            }
            _ => {}
        }
    }
    let defined = events.reference_definitions().iter();
    let defined = defined.filter(|(label, _)| labels.contains(*label));
    let defined = defined.map(|(_, link)| (link.span.clone(), link.dest.to_string()));
    named.pictures.extend(defined);
    named.pictures.sort_by_key(|(range, _)| range.start);
    named
}

fn in_html(html: &str, offset: usize) -> impl Iterator<Item = (Range<usize>, String)> {
    let pictures = tags(html).filter(|tag| tag.name == "img");
    let sources = pictures.filter_map(|tag| tag.attributes().find(|(name, _)| *name == "src"));
    sources.map(move |(_, range)| {
        let address = html[range.clone()].to_owned();
        (offset + range.start..offset + range.end, address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_a_page_go_into_it_and_other_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("src/packages/p/img")).unwrap();
        for (name, text) in [
            ("img/a.png", "A"),
            ("b.svg", "<svg/>"),
            ("c.tar", "c"),
            (".d.png", "d"),
        ] {
            std::fs::write(root.join("src/packages/p").join(name), text).unwrap();
        }
        std::fs::write(root.join("secret.png"), "no").unwrap();
        let files = Files::below(root);
        let mut pictures = Pictures::of(&files, Path::new("src"));
        let options = MarkdownOptions::default();
        let page = Path::new("packages/p/page.md");
        let text = "![img/a.png](img/a.png \"img/a.png\") ![b][r]\n\n<p><img alt=\"x\" src=\"b.svg\"></p>\n\n\
                    [c](c.tar) ![d](.d.png) ![e](https://x.test/a.png) ![f](gone.png) `![a](img/a.png)`\n\n\
                    ![s](../../../../secret.png) [p](other.md)\n\n[r]: b.svg\n";
        assert_eq!(
            pictures.put(text, page, &options),
            "![img/a.png](data:image/png;base64,QQ== \"img/a.png\") ![b][r]\n\n\
             <p><img alt=\"x\" src=\"data:image/svg+xml;base64,PHN2Zy8+\"></p>\n\n\
             [c](c.tar) ![d](.d.png) ![e](https://x.test/a.png) ![f](gone.png) `![a](img/a.png)`\n\n\
             ![s](../../../../secret.png) [p](other.md)\n\n[r]: data:image/svg+xml;base64,PHN2Zy8+\n"
        );
        let problem = pictures.problem().unwrap();
        assert!(
            problem
                .message
                .ends_with("`src/packages/p/.d.png` and 1 more files of packages"),
            "{}",
            problem.message
        );
        pictures.left = 0;
        assert!(
            pictures
                .put("![a](img/a.png)", page, &options)
                .contains("(img/a.png)")
        );
    }
}
