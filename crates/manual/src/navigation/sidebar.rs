//! Reads `_Sidebar.md`, the list of pages that a wiki shows on each page.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use regex::Regex;

use super::{Item, MAX_DEPTH, Pages, is_frame};
use crate::source::Source;

pub(super) fn items(source: &Arc<Source>, pages: &Pages<'_>) -> Vec<Item> {
    let names = Names::of(pages);
    let text = links_of_wiki(&source.text);
    let mut list = List {
        open: vec![empty()],
        too_deep: 0,
        names_item: false,
        link: None,
        names,
    };
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        list.event(event);
    }
    list.close(0);
    list.open.pop().map(|top| top.items).unwrap_or_default()
}

/// Turns `[[Name]]` and `[[Title|Name]]` into Markdown links.
fn links_of_wiki(text: &str) -> String {
    static LINK: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\[\[([^\]\[|\n<>]+)(?:\|([^\]\[|\n<>]+))?\]\]").ok());
    let Some(link) = &*LINK else {
        return text.to_owned();
    };
    let replaced = link.replace_all(text, |found: &regex::Captures<'_>| {
        let title = &found[1];
        let name = found.get(2).map_or(title, |name| name.as_str());
        format!("[{title}](<{}>)", name.trim())
    });
    replaced.into_owned()
}

fn empty() -> Item {
    Item {
        title: None,
        page: None,
        items: Vec::new(),
    }
}

/// The list under construction: the open items, outermost first.
struct List {
    open: Vec<Item>,
    /// The number of open items beyond the depth limit; they are dropped.
    too_deep: usize,
    /// The current text belongs to the title of the last item.
    names_item: bool,
    /// The current link and its text.
    link: Option<(String, String)>,
    names: Names,
}

impl List {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                self.close(0);
                self.begin();
            }
            Event::Start(Tag::List(_)) | Event::End(TagEnd::Heading(_)) => self.names_item = false,
            Event::End(TagEnd::Item) if self.too_deep > 0 => self.too_deep -= 1,
            Event::End(TagEnd::Item) => self.close(self.open.len().saturating_sub(2)),
            Event::Start(Tag::Item) if self.open.len() > MAX_DEPTH => self.too_deep += 1,
            Event::Start(Tag::Item) => self.begin(),
            Event::Start(Tag::Link { dest_url, .. }) => {
                self.link = Some((dest_url.into_string(), String::new()));
            }
            Event::End(TagEnd::Link) => self.link_ends(),
            Event::Text(text) | Event::Code(text) => self.words(&text),
            _ => {}
        }
    }

    fn begin(&mut self) {
        self.open.push(empty());
        self.names_item = true;
    }

    fn words(&mut self, text: &str) {
        if let Some((_, words)) = &mut self.link {
            words.push_str(text);
        }
        if self.names_item
            && let Some(item) = self.open.last_mut()
            && item.page.is_none()
        {
            item.title.get_or_insert_default().push_str(text);
        }
    }

    /// Makes it the page of the current item, or a new item if that has a page already.
    fn link_ends(&mut self) {
        let Some((link, title)) = self.link.take() else {
            return;
        };
        let page = self.names.page(&link).filter(|_| self.too_deep == 0);
        let (Some(page), Some(item)) = (page, self.open.last_mut()) else {
            return;
        };
        if self.names_item && item.page.is_none() {
            item.page = Some(page);
        } else {
            item.items.push(Item {
                title: Some(title).filter(|title| !title.is_empty()),
                page: Some(page),
                items: Vec::new(),
            });
        }
    }

    /// Closes items until at most `most` are open.
    fn close(&mut self, most: usize) {
        self.names_item = false;
        while self.open.len() > most + 1 {
            let Some(mut item) = self.open.pop() else {
                return;
            };
            item.title = item.title.map(|title| title.trim().to_owned());
            item.title = item.title.filter(|title| !title.is_empty());
            if let Some(above) = self.open.last_mut() {
                above.items.push(item);
            }
        }
    }
}

/// Pages by wiki name: `Back up` is `Back-up.md` in any folder.
struct Names(HashMap<String, PathBuf>);

impl Names {
    fn of(pages: &Pages<'_>) -> Names {
        let mut names = HashMap::new();
        for page in pages.below {
            if page.extension().is_some_and(|end| end == "md") && !is_frame(page) {
                let path = page.with_extension("");
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                for name in [path.to_string_lossy(), name] {
                    names.entry(key(&name)).or_insert_with(|| page.clone());
                }
            }
        }
        Names(names)
    }

    fn page(&self, link: &str) -> Option<PathBuf> {
        let link = link.split(['#', '?']).next().unwrap_or_default();
        // A full wiki address: https://host/owner/project/wiki/Name.
        let name = match link.rsplit_once("/wiki/") {
            Some((_, name)) => name,
            None if link.contains("://") => return None,
            None => link,
        };
        let name = name.trim_start_matches("./").trim_matches('/');
        let name = Path::new(name.strip_suffix(".md").unwrap_or(name));
        self.0.get(&key(&name.to_string_lossy())).cloned()
    }
}

fn key(name: &str) -> String {
    let name = name.replace("%20", " ");
    name.trim().to_lowercase().replace([' ', '_'], "-")
}
