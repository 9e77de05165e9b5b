//! Formulas of a page, written in TeX: finds them where the author asks for formulas, and turns
//! them into MathML, so that a book shows them offline and without a script.
//!
//! `$PATH` and `$5` are words of an operations manual. So a page has formulas only in fences with
//! the language `math`, and within the delimiters that its generator is set up to read.

mod find;
mod mathml;

use std::ops::Range;

use mdbook_markdown::MarkdownOptions;

use crate::source::{Passage, Problem};

/// Where a page has formulas, besides fences with the language `math`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syntax {
    /// Nowhere else.
    #[default]
    Fences,
    /// As mdBook's `mathjax-support`: `\\(…\\)`, `\\[…\\]`, `$$…$$`, after Markdown's escapes.
    Mathjax,
    /// As `pymdownx.arithmatex` and most site generators: `$…$`, `\(…\)`, `\[…\]`, `$$…$$`.
    Tex,
}

/// How a formula stands on its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Within a line of text.
    Inline,
    /// On a line of its own.
    Display,
    /// As [`Shape::Display`], in a fence.
    Fence,
}

/// A formula of a page.
#[derive(Debug)]
pub struct Formula {
    /// Bytes of the text, with delimiters.
    pub range: Range<usize>,
    /// How it stands on the page.
    pub shape: Shape,
    /// A `<math>` element on one line, which Markdown leaves unchanged; or why the formula cannot
    /// be read.
    pub mathml: Result<String, String>,
}

/// The formulas of a text in its order, except in headings, pictures, code and HTML.
#[must_use]
pub fn formulas(text: &str, syntax: Syntax, options: &MarkdownOptions) -> Vec<Formula> {
    let found = find::find(text, syntax, options);
    let drawn = mathml::all(&found);
    let formulas = found.into_iter().zip(drawn);
    formulas
        .map(|(found, mathml)| Formula {
            range: found.range,
            shape: found.shape,
            mathml,
        })
        .collect()
}

/// Reports the formulas that cannot be read.
pub(crate) fn check(
    page: &Passage,
    syntax: Syntax,
    options: &MarkdownOptions,
    problems: &mut Vec<Problem>,
) {
    for formula in formulas(&page.text, syntax, options) {
        let Err(why) = formula.mathml else {
            continue;
        };
        let Range { start, end } = formula.range;
        let line = page.text[start..end].lines().next().unwrap_or_default();
        let span = page.span(start..start + line.len());
        let message = format!("this formula cannot be read: {why}");
        let problem = Problem::warning("bad-formula", span, message);
        problems.push(problem.hint("the book shows its source instead"));
    }
}
