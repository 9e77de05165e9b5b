//! The table of contents of a book that mdBook renders in parts: one file for all pages, in
//! mdBook's format.

use std::path::{Path, PathBuf};

use anyhow::Result;
use mdbook_driver::config::HtmlConfig;
use mdbook_preprocessor::book::{BookItem, Chapter};
use sha2::{Digest as _, Sha256};

use super::links::html_of;
use super::markup::escaped;

/// From this number of chapters on, the contents are loaded in parts.
const MANY: usize = 1000;
const PARTS: &str = include_str!("assets/contents.js");
const BEGIN: &str = "<ol class=\"chapter\">";

/// Writes the chapters of a book into `toc.html` and the script `toc.js`, replacing those of
/// another book, whose chapters are unnumbered.
pub(super) fn put(book: &Path, items: &[BookItem], html: &HtmlConfig) -> Result<()> {
    for entry in std::fs::read_dir(book)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let script = name.starts_with("toc") && name.ends_with(".js");
        if !script && name != "toc.html" {
            continue;
        }
        let mut list = List {
            html: BEGIN.to_owned(),
            target: if script {
                "\">"
            } else {
                "\" target=\"_parent\">"
            },
            settings: html,
            level: 1,
            chapters: 0,
        };
        list.items(items);
        list.close();
        let text = std::fs::read_to_string(&path)?;
        let mut text = replaced(&text, &list.html);
        if script && list.chapters > MANY {
            text = by_parts(&text);
        }
        std::fs::write(&path, &text)?;
        if script && html.hash_files {
            rename(book, &path, &text)?;
        }
    }
    Ok(())
}

fn replaced(text: &str, list: &str) -> String {
    const END: &str = "</ol>";
    let found = text.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some([before, list, after].concat())
    });
    found.unwrap_or_else(|| text.to_owned())
}

/// The script's name contains a hash of its content; each page names it.
fn rename(book: &Path, path: &Path, text: &str) -> Result<()> {
    let digest = Sha256::digest(text);
    let hash = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    let new = format!("toc-{hash:08x}.js");
    let old = path.file_name().unwrap_or_default();
    let old = old.to_string_lossy().into_owned();
    std::fs::rename(path, book.join(&new))?;
    let mut folders = vec![book.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path: PathBuf = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|end| end == "html" || end == "js")
            {
                let text = std::fs::read_to_string(&path)?;
                if text.contains(&old) {
                    std::fs::write(&path, text.replace(&old, &new))?;
                }
            }
        }
    }
    Ok(())
}

/// A list of tens of thousands of links takes a browser seconds on each page: it gets the links
/// around the current page, and the others on demand.
fn by_parts(script: &str) -> String {
    let list = "this.innerHTML = '";
    let Some((before, rest)) = script.split_once(list) else {
        return script.to_owned();
    };
    let Some((html, after)) = rest.split_once("';\n") else {
        return script.to_owned();
    };
    [
        PARTS,
        before,
        "opsbookContents(this, '",
        html,
        "');\n",
        after,
    ]
    .concat()
}

/// The list under construction, on one line.
struct List<'a> {
    html: String,
    /// The end of a link's opening tag.
    target: &'static str,
    settings: &'a HtmlConfig,
    level: usize,
    chapters: usize,
}

impl List<'_> {
    fn items(&mut self, items: &[BookItem]) {
        for item in items {
            match item {
                BookItem::Separator => {
                    self.open(1);
                    self.html.push_str("<li class=\"spacer\"></li>");
                }
                BookItem::PartTitle(title) => {
                    self.open(1);
                    for part in ["<li class=\"part-title\">", &escaped(title), "</li>"] {
                        self.html.push_str(part);
                    }
                }
                BookItem::Chapter(chapter) => {
                    self.chapter(chapter);
                    self.items(&chapter.sub_items);
                }
            }
        }
    }

    /// Begins an item of a level: a child, sibling or parent of the last one.
    fn open(&mut self, level: usize) {
        while self.level < level {
            self.level += 1;
            self.html.push_str("<ol class=\"section\">");
            if self.level < level {
                self.item(level);
            }
        }
        if self.level > level {
            while self.level > level {
                self.level -= 1;
                self.html.push_str("</li></ol>");
            }
        } else if !self.html.ends_with("\">") {
            self.html.push_str("</li>");
        }
        self.item(level);
    }

    fn item(&mut self, level: usize) {
        let fold = &self.settings.fold;
        let expanded = !fold.enable || level.saturating_sub(1) < usize::from(fold.level);
        self.html.push_str("<li class=\"chapter-item ");
        self.html
            .push_str(if expanded { "expanded \">" } else { "\">" });
    }

    fn chapter(&mut self, chapter: &Chapter) {
        let number = chapter.number.as_ref().map(ToString::to_string);
        self.open(
            number
                .as_ref()
                .map_or(1, |number| number.matches('.').count()),
        );
        self.html.push_str("<span class=\"chapter-link-wrapper\">");
        let (start, end) = match &chapter.path {
            Some(_) => {
                self.chapters += 1;
                let page = html_of(chapter);
                let page = page.to_string_lossy();
                (["<a href=\"", &page, self.target].concat(), "</a>")
            }
            None => ("<span>".to_owned(), "</span>"),
        };
        self.html.push_str(&start);
        if let Some(number) = number.filter(|_| !self.settings.no_section_label) {
            for part in ["<strong aria-hidden=\"true\">", &number, "</strong> "] {
                self.html.push_str(part);
            }
        }
        self.html.push_str(&escaped(&chapter.name));
        self.html.push_str(end);
        if self.settings.fold.enable && !chapter.sub_items.is_empty() {
            let toggle = "<a class=\"chapter-fold-toggle\"><div>❱</div></a>";
            self.html.push_str(toggle);
        }
        self.html.push_str("</span>");
    }

    fn close(&mut self) {
        while self.level > 0 {
            self.level -= 1;
            self.html.push_str("</li></ol>");
        }
    }
}
