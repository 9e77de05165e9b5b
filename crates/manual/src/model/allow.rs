//! `allow=CODE` on a fence and `allow: [CODE]` in a contract accept problems that opsbook's own
//! reading of a script found. This module also applies silences.

use std::ops::Range;

use crate::model::silence;
use crate::source::{Problem, Span};
use crate::{Manual, Page};

/// The remaining problems, and the number that the author accepted.
#[derive(Debug, Default)]
pub struct Settled {
    /// Problems that nobody accepted.
    pub problems: Vec<Problem>,
    /// The number of accepted problems.
    pub silenced: usize,
}

/// Removes the problems that are allowed at their place.
#[must_use]
pub fn settle(manual: &Manual, problems: Vec<Problem>) -> Settled {
    let may_be = problems.iter().any(Problem::is_settled_by_a_word);
    let words = if may_be { words(manual) } else { Vec::new() };
    let before = problems.len();
    let mut problems = problems;
    if !words.is_empty() {
        problems.retain(|problem| !words.iter().any(|word| word.settles(problem)));
    }
    let silences = silence::all(manual);
    if !silences.is_empty() {
        problems.retain(|problem| !silences.iter().any(|own| own.silences(problem)));
    }
    Settled {
        silenced: before - problems.len(),
        problems,
    }
}

/// A place where some problems are allowed.
struct Allowed<'a> {
    page: &'a Page,
    range: &'a Range<usize>,
    codes: &'a [String],
}

impl Allowed<'_> {
    fn settles(&self, problem: &Problem) -> bool {
        let here = |place: &Span| self.page.text.holds(self.range, place);
        problem.is_settled_by_a_word()
            && self.codes.iter().any(|code| code == problem.code)
            && problem.span.as_ref().is_some_and(here)
    }
}

fn words(manual: &Manual) -> Vec<Allowed<'_>> {
    let procedures = manual.procedures.values().map(|p| (p.page, &p.reach));
    let groups = manual.groups.values().map(|g| (g.page, &g.reach));
    let contracts = procedures.chain(groups).map(|(page, reach)| Allowed {
        page: &manual.pages[page],
        range: &reach.range,
        codes: &reach.allow,
    });
    let blocks = manual.pages.iter().flat_map(|page| {
        page.blocks.iter().map(move |block| Allowed {
            page,
            range: &block.range,
            codes: &block.allow,
        })
    });
    contracts
        .chain(blocks)
        .filter(|allowed| !allowed.codes.is_empty())
        .collect()
}
