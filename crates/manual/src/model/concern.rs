//! The one place that decides what a problem stops. A problem stops only what it may have changed;
//! if that is unknown, it stops more.

use std::path::Path;

use crate::source::{Concern, Problem, Span};
use crate::{Check, Group, Manual, Page, Procedure, Reach};

/// Something that can be run or evaluated by itself.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// With the groups of checks that it needs.
    Procedure(&'a Procedure),
    /// The typed checks of a group.
    Typed(&'a Group),
    /// One check that is a script.
    Check(&'a Group, &'a Check),
}

/// Whether the problem forbids using the subject. Problems of nodes are not decided here: they are
/// reported where a node is evaluated.
#[must_use]
pub fn concerns(manual: &Manual, problem: &Problem, subject: Subject<'_>) -> bool {
    match &problem.concern {
        Concern::Nothing | Concern::Node | Concern::Selection => false,
        _ if concerns_all(manual, problem) => true,
        Concern::Project => true,
        Concern::Group(id) => groups(manual, subject).any(|group| group.id == *id),
        Concern::Kind(kind) => groups(manual, subject)
            .flat_map(|group| &group.typed)
            .any(|typed| typed.kind.value == *kind),
        _ if lacks_a_group(manual, subject) => true,
        Concern::Page => by_page(manual, problem, subject),
        Concern::Place => by_place(manual, problem, subject),
    }
}

/// Whether the problem forbids all use of the manual: it is on no page, and its finder has not
/// limited its effect.
#[must_use]
pub fn concerns_all(manual: &Manual, problem: &Problem) -> bool {
    match &problem.concern {
        Concern::Project => true,
        Concern::Place | Concern::Page => {
            let path = problem.span.as_ref().map(Span::path);
            path.is_none_or(|path| !manual.pages.iter().any(|page| is_of(page, path)))
        }
        Concern::Node
        | Concern::Selection
        | Concern::Nothing
        | Concern::Group(_)
        | Concern::Kind(_) => false,
    }
}

/// A needed group that could not be read may have been hidden by any error on a page.
fn lacks_a_group(manual: &Manual, subject: Subject<'_>) -> bool {
    let Subject::Procedure(procedure) = subject else {
        return false;
    };
    let known = |need: &str| manual.groups.contains_key(need);
    !procedure.all_needs().all(|need| known(&need.value))
}

/// The groups whose checks the subject evaluates.
fn groups<'a>(manual: &'a Manual, subject: Subject<'a>) -> impl Iterator<Item = &'a Group> {
    let (procedure, own) = match subject {
        Subject::Procedure(procedure) => (Some(procedure), None),
        Subject::Typed(group) | Subject::Check(group, _) => (None, Some(group)),
    };
    let needed = procedure
        .into_iter()
        .flat_map(Procedure::all_needs)
        .filter_map(|need| manual.groups.get(&need.value));
    needed.chain(own)
}

/// The texts that the subject consists of.
fn texts<'a>(
    manual: &'a Manual,
    subject: Subject<'a>,
) -> impl Iterator<Item = (&'a Page, &'a Reach)> {
    let own = match subject {
        Subject::Procedure(procedure) => Some((procedure.page, &procedure.reach)),
        Subject::Typed(_) | Subject::Check(..) => None,
    };
    groups(manual, subject)
        .map(|group| (group.page, &group.reach))
        .chain(own)
        .map(|(page, reach)| (&manual.pages[page], reach))
}

fn by_page(manual: &Manual, problem: &Problem, subject: Subject<'_>) -> bool {
    let Some(path) = problem.span.as_ref().map(Span::path) else {
        return true;
    };
    texts(manual, subject).any(|(page, _)| is_of(page, path))
}

fn by_place(manual: &Manual, problem: &Problem, subject: Subject<'_>) -> bool {
    let Some(span) = &problem.span else {
        return true;
    };
    let explained = problem.notes.iter().map(|(span, _)| span);
    let mut places = std::iter::once(span).chain(explained);
    places.any(|place| {
        texts(manual, subject).any(|(page, reach)| page.text.holds(&reach.range, place))
            && !is_of_another_check(manual, place, subject)
    })
}

/// Within a group, a problem in the block of one check concerns only that check.
fn is_of_another_check(manual: &Manual, place: &Span, subject: Subject<'_>) -> bool {
    let (group, own) = match subject {
        Subject::Procedure(_) => return false,
        Subject::Typed(group) => (group, None),
        Subject::Check(group, check) => (group, Some(check.block)),
    };
    let page = &manual.pages[group.page];
    let holds = |block: usize| page.text.holds(&page.blocks[block].range, place);
    let others = group.checks.iter().map(|check| check.block);
    let mut others = others.filter(|block| Some(*block) != own);
    !own.is_some_and(holds) && others.any(holds)
}

/// Whether a file is the page or is included by it.
fn is_of(page: &Page, path: &Path) -> bool {
    page.source.path == path || page.included.iter().any(|(included, _)| included == path)
}
