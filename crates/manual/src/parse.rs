//! Parses the sources of pages into the manual. No I/O: a function returns included files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::formula;
use crate::markdown::front;
use crate::markdown::include::{self, Included, Includes};
use crate::markdown::page::{self, Mark, Walked};
use crate::model::names;
use crate::model::order;
use crate::model::section::{self, Sections};
use crate::source::{Problem, Source};
use crate::threads::side_by_side;
use crate::{Manual, Page, Settings};

/// A page to be parsed.
#[derive(Clone, Debug)]
pub struct PageSource {
    /// Relative to the source folder.
    pub path: PathBuf,
    /// Its title in `SUMMARY.md`.
    pub title: Option<String>,
    /// Its text.
    pub source: Arc<Source>,
}

/// Parses the pages of a book in order. Problems are in source order.
#[must_use]
pub fn parse(
    root: &Path,
    settings: Settings,
    pages: Vec<PageSource>,
    includes: Includes<'_>,
) -> (Manual, Vec<Problem>) {
    let parsed = parse_pages(&settings, pages, includes);
    let mut manual = Manual {
        root: root.to_owned(),
        settings,
        ..Manual::default()
    };
    let mut problems = Vec::new();
    let mut sections = Vec::with_capacity(parsed.len());
    for one in parsed {
        manual.pages.push(one.page);
        sections.push(one.sections);
        problems.extend(one.problems);
    }
    (manual.procedures, manual.groups, manual.doubles) = names::merge(sections, &mut problems);
    order::sort(&manual, &mut problems);
    (manual, problems)
}

/// Parses one page again, for a preview while it is written. The other pages stay as they were.
/// Returns the problems of this page alone.
pub(crate) fn again(
    manual: &mut Manual,
    index: usize,
    source: Arc<Source>,
    includes: Includes<'_>,
) -> Vec<Problem> {
    let Some(page) = manual.pages.get(index) else {
        return Vec::new();
    };
    let page = PageSource {
        path: page.path.clone(),
        title: Some(page.title.clone()),
        source,
    };
    let parsed = parse_page(index, &manual.settings, page, includes);
    manual.procedures.retain(|_, own| own.page != index);
    manual.groups.retain(|_, own| own.page != index);
    // References between pages are checked after all pages have been parsed.
    let (procedures, groups, _) = names::merge(vec![parsed.sections], &mut Vec::new());
    for (id, procedure) in procedures {
        manual.procedures.entry(id).or_insert(procedure);
    }
    for (id, group) in groups {
        manual.groups.entry(id).or_insert(group);
    }
    manual.pages[index] = parsed.page;
    parsed.problems
}

struct Parsed {
    page: Page,
    sections: Sections,
    problems: Vec<Problem>,
}

/// Pages are independent of each other, so they are parsed in parallel.
fn parse_pages(settings: &Settings, pages: Vec<PageSource>, includes: Includes<'_>) -> Vec<Parsed> {
    const LEAST: usize = 16;
    let pages: Vec<_> = pages.into_iter().enumerate().collect();
    side_by_side(pages, LEAST, |pages| {
        let parse = |(index, page)| parse_page(index, settings, page, includes);
        pages.into_iter().map(parse).collect()
    })
}

fn parse_page(
    index: usize,
    settings: &Settings,
    PageSource {
        path,
        title,
        source,
    }: PageSource,
    includes: Includes<'_>,
) -> Parsed {
    let mut problems = Vec::new();
    let options = settings.markdown.options();
    let front = front::read(&source, &mut problems);
    let Included {
        text,
        title: set_title,
        files: included,
        withheld,
    } = include::expand(&source, front.body, includes, &mut problems);
    let Walked {
        mut blocks,
        marks,
        links,
        anchors,
        exceeded,
        silences,
    } = page::walk(&text, &options, &mut problems);
    let formulas = match settings.formulas {
        formula::Syntax::Fences if front::has_formulas(&source.text) => formula::Syntax::Tex,
        own => own,
    };
    if !exceeded {
        formula::check(&text, formulas, &options, &mut problems);
    }
    let is_top = |mark: &Mark<'_>| matches!(mark, Mark::Heading { level: 1, .. });
    let heading = front.title.clone();
    let heading = heading.filter(|title| !title.is_empty() && !marks.iter().any(is_top));
    let title = set_title
        .clone()
        .or(title)
        .or(front.title)
        .or_else(|| first_heading(&marks))
        .unwrap_or_else(|| stem(&path));
    let sections = section::assemble(index, &text, &mut blocks, marks, &mut problems);
    let page = Page {
        source,
        text,
        title,
        heading,
        path,
        blocks,
        has_front_matter: front.is_there,
        links,
        anchors,
        included,
        body: front.body,
        set_title,
        plain: exceeded,
        silences,
        withheld,
        formulas,
    };
    Parsed {
        page,
        sections,
        problems,
    }
}

fn first_heading(marks: &[Mark<'_>]) -> Option<String> {
    marks.iter().find_map(|mark| match mark {
        Mark::Heading { title, .. } if !title.is_empty() => Some(title.clone()),
        _ => None,
    })
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
