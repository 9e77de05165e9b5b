//! The table of contents of a book that was rendered in parts: mdBook writes it for drafts,
//! and here each draft becomes the link to its page.

use std::path::Path;

use anyhow::Result;
use mdbook_preprocessor::book::{BookItem, Chapter};

use super::markup::escaped;

/// From so many chapters on, the contents are shown by parts.
const MANY: usize = 1000;
const PARTS: &str = include_str!("assets/contents.js");

/// No title is written so: mdBook escapes none of these letters.
const MARK: &str = "opsbook:chapter:";
const END: &str = ":";

/// Makes a draft of each chapter, with its number as its title until [`fill`].
pub(super) fn draft(items: &mut [BookItem]) {
    number(items, &mut 0);
}

fn number(items: &mut [BookItem], next: &mut usize) {
    for item in items {
        let BookItem::Chapter(chapter) = item else {
            continue;
        };
        if chapter.path.take().is_some() {
            chapter.name = format!("{MARK}{next}{END}");
            *next += 1;
        }
        chapter.content.clear();
        number(&mut chapter.sub_items, next);
    }
}

/// Puts the chapters into `toc.html` and the script `toc.js` of a book.
pub(super) fn fill(book: &Path, chapters: &[Chapter]) -> Result<()> {
    for entry in std::fs::read_dir(book)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("toc") || !(name.ends_with(".js") || name.ends_with(".html")) {
            continue;
        }
        let target = if name.ends_with(".html") {
            "\" target=\"_parent\">"
        } else {
            "\">"
        };
        let text = std::fs::read_to_string(&path)?;
        let mut text = linked(&text, chapters, target);
        if chapters.len() > MANY && name.ends_with(".js") {
            text = by_parts(&text);
        }
        std::fs::write(&path, text)?;
    }
    Ok(())
}

/// A list of tens of thousands of links takes a browser seconds on each page: it gets those
/// around the page at hand, and the others when they are asked for.
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

/// `<span>1. MARK</span>` becomes `<a href="PAGE">1. TITLE</a>`.
fn linked(text: &str, chapters: &[Chapter], target: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(MARK) {
        let found = after.split_once(END).and_then(|(number, after)| {
            let chapter = chapters.get(number.parse::<usize>().ok()?)?;
            let (before, label) = before.rsplit_once("<span>")?;
            Some((chapter, before, label, after.strip_prefix("</span>")?))
        });
        let Some((chapter, before, label, after)) = found else {
            out.push_str(before);
            out.push_str(MARK);
            rest = after;
            continue;
        };
        let page = chapter
            .path
            .as_ref()
            .map(|path| path.with_extension("html"));
        out.push_str(before);
        out.push_str("<a href=\"");
        out.push_str(&page.unwrap_or_default().to_string_lossy());
        out.push_str(target);
        out.push_str(label);
        out.push_str(&escaped(&chapter.name));
        out.push_str("</a>");
        rest = after;
    }
    out.push_str(rest);
    out
}
