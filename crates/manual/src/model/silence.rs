//! Problems that the author silences: with a comment on the page, or with a line in `book.toml`. A
//! silence without a problem is itself a problem.
//!
//! Only problems that may be intended or that concern readers can be silenced. An error that stops
//! a run cannot: the run would do something else than the page says.

use std::ops::Range;

use crate::source::{Problem, Span};
use crate::wildcard::fits;
use crate::{Manual, Page};

/// A problem name, and where it is silenced.
pub(super) struct Silent<'a> {
    code: &'a str,
    span: &'a Span,
    at: At<'a>,
}

enum At<'a> {
    Page(&'a Page, &'a Range<usize>),
    Files(&'a str),
    Everywhere,
}

impl Silent<'_> {
    /// Whether this silences the problem.
    pub fn silences(&self, problem: &Problem) -> bool {
        problem.may_be_silenced() && self.means(problem)
    }

    fn means(&self, problem: &Problem) -> bool {
        let place = problem.span.as_ref();
        problem.code == self.code
            && match self.at {
                At::Everywhere => true,
                At::Files(pattern) => place.is_some_and(|place| {
                    let path = place.path().as_os_str().as_encoded_bytes();
                    fits(pattern.as_bytes(), path)
                }),
                At::Page(page, range) => place.is_some_and(|place| page.text.holds(range, place)),
            }
    }
}

pub(super) fn all(manual: &Manual) -> Vec<Silent<'_>> {
    let of_pages = manual.pages.iter().flat_map(|page| {
        page.silences.iter().flat_map(move |silence| {
            silence.codes.iter().map(move |code| Silent {
                code: &code.value,
                span: &code.span,
                at: At::Page(page, &silence.range),
            })
        })
    });
    let of_settings = manual.settings.silence.iter().map(|line| {
        let (code, path) = match line.value.trim().split_once(char::is_whitespace) {
            Some((code, path)) => (code, Some(path.trim())),
            None => (line.value.trim(), None),
        };
        Silent {
            code,
            span: &line.span,
            at: path.map_or(At::Everywhere, At::Files),
        }
    });
    of_pages.chain(of_settings).collect()
}

/// Silences that match none of `problems`, the list of all problems.
#[must_use]
pub fn unused(manual: &Manual, problems: &[Problem]) -> Vec<Problem> {
    let told = |silent: Silent<'_>| {
        let mut meant = problems.iter().filter(|problem| silent.means(problem));
        let code = silent.code;
        let span = silent.span.clone();
        let Some(first) = meant.next() else {
            let message = format!("there is no problem `{code}` here to silence");
            let problem = Problem::warning("unused-silence", span, message)
                .hint("remove it, or put it before the block that has the problem");
            let known = problems.iter().filter(|own| own.may_be_silenced());
            let known = known.map(|own| own.code).filter(|known| *known != code);
            return Some(problem.did_you_mean(code, known));
        };
        if std::iter::once(first)
            .chain(meant)
            .any(Problem::may_be_silenced)
        {
            return None;
        }
        let message = format!("`{code}` cannot be silenced: the script would do something wrong");
        Some(Problem::warning("unused-silence", span, message))
    };
    all(manual).into_iter().filter_map(told).collect()
}
