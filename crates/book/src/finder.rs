//! Splits the pages of a built book into search entries: sections and blocks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mdbook_driver::config::Search;
use mdbook_preprocessor::book::Chapter;

use super::generated;
use super::index::{Found, Unit, expanded};
use super::links::html_of;
use super::markup::{tags, unescaped};

/// The attribute with additional search words of a block.
pub(super) const FIND: &str = "data-find";

/// The search settings: which pages are searched, and the values of names.
pub(super) struct Finder {
    pub(super) search: Search,
    /// The values of names on nodes.
    pub(super) values: BTreeMap<String, Vec<String>>,
}

impl Finder {
    /// The search entries of a page with this text. Generated chapters have none: they would be
    /// found instead of the pages that they come from.
    pub(super) fn page(&self, chapter: &Chapter, words: &str) -> Found {
        let mut found = Found::default();
        let page = html_of(chapter);
        let source = chapter.source_path.as_ref().or(chapter.path.as_ref());
        if generated::is(chapter) || !source.is_some_and(|source| wanted(source, &self.search)) {
            return found;
        }
        for mut unit in units(words, &page, &chapter.name) {
            let more = expanded(&unit.text, &self.values);
            unit.more.push_str(&more);
            found.add(&unit);
        }
        found
    }
}

/// Whether `[output.html.search.chapter]` includes a page.
fn wanted(page: &Path, search: &Search) -> bool {
    let mut rules: Vec<(PathBuf, bool)> = search
        .chapter
        .iter()
        .filter_map(|(key, settings)| Some((PathBuf::from(key), settings.enable?)))
        .filter(|(key, _)| page.starts_with(key))
        .collect();
    rules.sort_by_key(|(key, _)| key.components().count());
    rules.last().is_none_or(|(_, wanted)| *wanted)
}

/// The state of reading a page.
struct Reader<'a> {
    address: String,
    page: &'a str,
    units: Vec<Unit>,
    /// The current section.
    section: Option<usize>,
    /// The current block.
    block: Option<usize>,
    /// The last block, to which an expectation belongs.
    last_block: Option<usize>,
    /// The number of open elements within the block.
    depth: usize,
    in_heading: bool,
    /// Within a formula, of which only the source is searched.
    in_formula: bool,
}

fn units(main: &str, path: &Path, page: &str) -> Vec<Unit> {
    let mut reader = Reader {
        address: path.to_string_lossy().into_owned(),
        page,
        units: Vec::new(),
        section: None,
        block: None,
        last_block: None,
        depth: 0,
        in_heading: false,
        in_formula: false,
    };
    let mut at = 0;
    for tag in tags(main) {
        reader.between(&main[at..tag.start]);
        let attribute = |wanted: &str| {
            let found = tag.attributes().find(|(name, _)| *name == wanted);
            found.map(|(_, range)| unescaped(&main[range]))
        };
        at = tag.start + 1 + main[tag.start + 1..].find('>').unwrap_or(0) + 1;
        if let Some(words) = attribute(FIND) {
            reader.finds(&words);
        }
        match tag.name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                if let Some(id) = attribute("id") {
                    reader.begin(&id, String::new(), false);
                    reader.in_heading = true;
                }
            }
            "math" => reader.in_formula = true,
            "annotation" => reader.in_formula = false,
            "div" if reader.depth > 0 => reader.depth += 1,
            "div" => {
                let class = attribute("class").unwrap_or_default();
                if let (true, Some(name), Some(id)) = (
                    class.starts_with("ops "),
                    attribute("data-name"),
                    attribute("id"),
                ) {
                    reader.begin(&id, name, true);
                    reader.depth = 1;
                } else if class.starts_with("ops ops-expect") {
                    reader.block = reader.last_block;
                    reader.depth = 1;
                }
            }
            _ => {}
        }
    }
    reader.between(&main[at.min(main.len())..]);
    let full = |unit: &Unit| !unit.title.is_empty() || !unit.text.trim().is_empty();
    let mut units = reader.units;
    units.retain(full);
    for unit in &mut units {
        unit.text = unit.text.split_whitespace().collect::<Vec<_>>().join(" ");
        unit.title = unit.title.trim().to_owned();
    }
    units
}

impl Reader<'_> {
    fn begin(&mut self, anchor: &str, title: String, block: bool) {
        self.units.push(Unit {
            address: format!("{}#{anchor}", self.address),
            page: self.page.to_owned(),
            title,
            block,
            ..Unit::default()
        });
        let at = Some(self.units.len() - 1);
        if block {
            self.block = at;
            self.last_block = at;
        } else {
            self.section = at;
        }
    }

    /// Adds invisible search words to the current block.
    fn finds(&mut self, words: &str) {
        if let Some(unit) = self.block.and_then(|at| self.units.get_mut(at)) {
            unit.more.push_str(words);
            unit.more.push(' ');
        }
    }

    /// Handles the text and closing tags between two opening tags.
    fn between(&mut self, html: &str) {
        let mut rest = html;
        while let Some((text, after)) = rest.split_once('<') {
            self.text(text);
            let (tag, after) = after.split_once('>').unwrap_or((after, ""));
            if let Some(name) = tag.strip_prefix('/') {
                self.close(name);
            }
            rest = after;
        }
        self.text(rest);
    }

    fn close(&mut self, name: &str) {
        match name {
            "div" if self.depth > 0 => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.block = None;
                }
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.in_heading = false,
            "annotation" => self.in_formula = true,
            "math" => self.in_formula = false,
            _ => {}
        }
    }

    fn text(&mut self, html: &str) {
        if html.is_empty() || self.in_formula {
            return;
        }
        let text = unescaped(html);
        if self.section.is_none() && self.block.is_none() {
            if text.trim().is_empty() {
                return;
            }
            // Text before the first heading.
            self.begin("", self.page.to_owned(), false);
        }
        let at = if self.in_heading {
            self.section
        } else {
            self.block.or(self.section)
        };
        let Some(unit) = at.and_then(|at| self.units.get_mut(at)) else {
            return;
        };
        if self.in_heading {
            unit.title.push_str(&text);
        } else {
            unit.text.push_str(&text);
            // Separate table cells and list items by a space.
            unit.text.push(' ');
        }
    }
}
