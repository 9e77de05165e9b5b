//! Renders a prepared book into its files, and collects data about its pages while they are
//! written.

use std::path::{Path, PathBuf};

use anyhow::Result;
use mdbook_driver::config::{HtmlConfig, Search};
use mdbook_html::HtmlHandlebars;
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use mdbook_renderer::{RenderContext, Renderer};

use crate::files::Files;

use super::about::About;
use super::finder::Finder;
use super::generated::Pictures;
use super::index::{Found, Index};
use super::links::{Anchors, Site, anchors, html_of, main_of};
use super::policy::{self, Policy};
use super::print::{Ids, Places};
use super::render::{self, Html, OWN};
use super::shards::Words;
use super::whole::Whole;
use super::{chapters, frames, generated, machines, shards, values};

/// A book with more pages is rendered in parts.
const LARGE: usize = 100;

/// The inputs of a build.
pub(super) struct Builder<'a> {
    pub(super) whole: &'a Whole<'a>,
    pub(super) files: &'a Files,
    pub(super) renderer: &'a Html,
    pub(super) about: &'a About,
    pub(super) held: Policy,
    pub(super) search: Option<Search>,
    /// Returns a chapter with its final Markdown.
    pub(super) prepare: &'a (dyn Fn(&Chapter) -> Chapter + Sync),
}

/// The data of one page.
struct PageFacts {
    path: PathBuf,
    anchors: Anchors,
    found: Option<Found>,
    ids: Option<Ids>,
}

/// The data of all pages.
struct Gathered<'a> {
    site: Site<'a>,
    index: Option<Index>,
    /// For the print page of a book that is rendered in parts.
    places: Option<Places>,
}

impl<'a> Builder<'a> {
    /// Writes the book into the context's destination. Returns the links of its pages.
    pub(super) fn build(&self, context: RenderContext) -> Result<Site<'a>> {
        let room = tempfile::tempdir()?;
        let mut context = self.renderer.confined(context, room.path())?;
        let into = context.destination.clone();
        let chapters = taken_out(&mut context.book);
        let theme = room.path().join(render::THEME);
        let gathered = if chapters.len() > LARGE && frames::possible(&theme) {
            self.in_parts(&context, &chapters)?
        } else {
            self.as_a_whole(context, &chapters)?
        };
        // In a large book each of these takes much memory: none is needed with the next one.
        drop(chapters);
        let Gathered {
            site,
            index,
            places,
        } = gathered;
        if let Some(mut index) = index {
            let mut others = Found::default();
            for unit in &chapters::found(self.whole) {
                others.add(unit);
            }
            index.add(others)?;
            index.finish()?;
        }
        if let Some(places) = places {
            places.fill(&into)?;
        }
        Ok(site)
    }

    fn in_parts(&self, context: &RenderContext, chapters: &[Chapter]) -> Result<Gathered<'a>> {
        let into = &context.destination;
        let html: HtmlConfig = context.config.get("output.html")?.unwrap_or_default();
        let frames = frames::render(context, chapters, Some(self.about), |into| {
            self.renderer.finish(into, chapters)?;
            policy::put_into(into, self.about, self.held)
        })?;
        let finder = self.add_own(into)?;
        let pictures = Pictures::of(self.whole);
        let mut gathered = self.gathered(into)?;
        gathered.places = html.print.enable.then(Places::default);
        let inspect = |words: &mut Words<'_>| {
            pictures.put_into(&mut words.html, &html_of(words.chapter));
            let print = html.print.enable;
            facts_of(finder.as_ref(), words.chapter, &words.html, print)
        };
        let collect = |facts| gathered.add(facts);
        shards::render(context, &frames, chapters, self.prepare, &inspect, collect)?;
        generated::put_machines(into)?;
        Ok(gathered)
    }

    fn as_a_whole(&self, mut context: RenderContext, chapters: &[Chapter]) -> Result<Gathered<'a>> {
        let into = context.destination.clone();
        let mut texts = chapters.iter().map(|own| (self.prepare)(own).content);
        put_back(&mut context.book.items, &mut texts);
        HtmlHandlebars::new().render(&context)?;
        drop(context);
        self.renderer.finish(&into, chapters)?;
        let finder = self.add_own(&into)?;
        let pictures = Pictures::of(self.whole);
        pictures.put_into_files(&into)?;
        generated::put_machines(&into)?;
        let mut gathered = self.gathered(&into)?;
        for chapter in chapters {
            let html = std::fs::read_to_string(into.join(html_of(chapter)))?;
            gathered.add(facts_of(finder.as_ref(), chapter, main_of(&html), false))?;
        }
        policy::put_into(&into, self.about, self.held)?;
        Ok(gathered)
    }

    fn gathered(&self, into: &Path) -> Result<Gathered<'a>> {
        let folder = into.join(OWN).join("search");
        Ok(Gathered {
            site: Site::of(self.whole.manual),
            index: { self.search.as_ref() }
                .map(|_| Index::new(folder))
                .transpose()?,
            places: None,
        })
    }

    /// Adds files that mdBook's books do not have: data for scripts. Returns the search settings.
    fn add_own(&self, into: &Path) -> Result<Option<Finder>> {
        let own = into.join(OWN);
        generated::write_state(self.whole, &own)?;
        self.whole.blocks.write(&own)?;
        machines::write(self.whole, self.files, &own)?;
        let values = values::write(self.whole.nodes, self.whole.blocks, &own)?;
        let search = self.search.clone();
        Ok(search.map(|search| Finder { search, values }))
    }
}

impl Gathered<'_> {
    /// Adds the data of the next page.
    fn add(&mut self, facts: PageFacts) -> Result<()> {
        self.site.add(&facts.path, facts.anchors);
        if let (Some(places), Some(ids)) = (&mut self.places, facts.ids) {
            places.add(ids);
        }
        match (&mut self.index, facts.found) {
            (Some(index), Some(found)) => index.add(found),
            _ => Ok(()),
        }
    }
}

fn facts_of(finder: Option<&Finder>, chapter: &Chapter, words: &str, print: bool) -> PageFacts {
    let path = html_of(chapter);
    PageFacts {
        anchors: anchors(words),
        found: finder.map(|finder| finder.page(chapter, words)),
        ids: print.then(|| Ids::of(&chapter.name, &path, words)),
        path,
    }
}

/// Takes the chapters out in order; the book keeps their names and paths.
fn taken_out(book: &mut Book) -> Vec<Chapter> {
    let mut chapters = Vec::new();
    taken_out_of(&mut book.items, &mut chapters);
    chapters
}

fn taken_out_of(items: &mut [BookItem], chapters: &mut Vec<Chapter>) {
    for item in items {
        let BookItem::Chapter(chapter) = item else {
            continue;
        };
        if !chapter.is_draft_chapter() {
            chapters.push(Chapter {
                name: chapter.name.clone(),
                content: std::mem::take(&mut chapter.content),
                number: chapter.number.clone(),
                sub_items: Vec::new(),
                path: chapter.path.clone(),
                source_path: chapter.source_path.clone(),
                parent_names: chapter.parent_names.clone(),
            });
        }
        taken_out_of(&mut chapter.sub_items, chapters);
    }
}

/// Puts the texts of [`taken_out`] back in the same order, in which a chapter precedes its
/// children: [`Book::for_each_chapter_mut`] has another order.
fn put_back(items: &mut [BookItem], texts: &mut dyn Iterator<Item = String>) {
    for item in items {
        let BookItem::Chapter(chapter) = item else {
            continue;
        };
        if !chapter.is_draft_chapter() {
            chapter.content = texts.next().unwrap_or_default();
        }
        put_back(&mut chapter.sub_items, texts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_comes_back_to_its_own_chapter() {
        let chapter = |name: &str, within: Vec<BookItem>| {
            let mut chapter = Chapter::new(name, name.to_owned(), format!("{name}.md"), Vec::new());
            chapter.sub_items = within;
            BookItem::Chapter(chapter)
        };
        let draft = BookItem::Chapter(Chapter::new_draft("not written", Vec::new()));
        let deepest = vec![chapter("a-b-c", Vec::new())];
        let within = vec![chapter("a-b", deepest), draft, chapter("a-d", Vec::new())];
        let items = vec![
            chapter("a", within),
            BookItem::Separator,
            chapter("e", Vec::new()),
        ];
        let mut book = Book::new_with_items(items);
        let taken = taken_out(&mut book);
        let order: Vec<&str> = taken.iter().map(|chapter| chapter.name.as_str()).collect();
        assert_eq!(order, ["a", "a-b", "a-b-c", "a-d", "e"]);
        assert!(book.chapters().all(|chapter| chapter.content.is_empty()));

        let mut texts = taken.iter().map(|own| own.content.clone());
        put_back(&mut book.items, &mut texts);
        for chapter in book.chapters().filter(|own| !own.is_draft_chapter()) {
            assert_eq!(chapter.content, chapter.name);
        }
    }
}
