//! The order of problems: settings, then the pages in the order of the book, each from top to
//! bottom, with included files at the place of their include.

use std::collections::HashMap;
use std::path::Path;

use crate::Manual;
use crate::source::Problem;

/// Sorts problems into source order. The order is deterministic.
pub fn sort(manual: &Manual, problems: &mut Vec<Problem>) {
    if problems.len() < 2 {
        return;
    }
    let mut pages: HashMap<&Path, (usize, u32)> = HashMap::new();
    for (index, page) in manual.pages.iter().enumerate() {
        pages.insert(&page.source.path, (index + 1, 0));
    }
    for (index, page) in manual.pages.iter().enumerate() {
        for (path, at) in &page.included {
            pages.entry(path).or_insert((index + 1, *at));
        }
    }
    let mut keyed: Vec<(Key, Problem)> = problems
        .drain(..)
        .map(|problem| (key(&pages, &problem), problem))
        .collect();
    keyed.sort_by(|(a, one), (b, other)| {
        a.cmp(b)
            .then_with(|| path(one).cmp(&path(other)))
            .then_with(|| one.sentence().cmp(&other.sentence()))
    });
    problems.extend(keyed.into_iter().map(|(_, problem)| problem));
}

/// Page, position of the file in it, position in the file.
type Key = (usize, u32, u32, &'static str);

fn key(pages: &HashMap<&Path, (usize, u32)>, problem: &Problem) -> Key {
    let Some(span) = &problem.span else {
        return (0, 0, 0, problem.code);
    };
    match pages.get(span.path()) {
        None => (0, rank(span.path()), span.start, problem.code),
        Some((page, 0)) => (*page, span.start, 0, problem.code),
        Some((page, at)) => (*page, *at, span.start, problem.code),
    }
}

/// The rank of a file that is not a page: settings, list of pages, others.
fn rank(path: &Path) -> u32 {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("book.toml") => 1,
        Some("SUMMARY.md") => 2,
        _ => 3,
    }
}

fn path(problem: &Problem) -> Option<&Path> {
    problem.span.as_ref().map(crate::source::Span::path)
}
