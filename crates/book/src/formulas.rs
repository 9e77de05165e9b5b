//! Shows the formulas of a page. They leave the page before it is sanitised and return last, so that
//! nothing of TeX is read as Markdown or HTML. Their MathML has passed its own list of elements.

use std::fmt::Write as _;

use mdbook_markdown::MarkdownOptions;

use crate::manual::formula::{Formula, Shape, Syntax, formulas};

use super::sanitise::{BLOCK, literal};

/// A formula in the page is its number between two characters that no text may contain.
const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';

/// The formulas of one page, as HTML in its order.
#[derive(Default)]
pub(super) struct Formulas(Vec<String>);

impl Formulas {
    /// Takes the formulas out of a page.
    pub(super) fn take(text: &mut String, syntax: Syntax, options: &MarkdownOptions) -> Formulas {
        let mut taken = Formulas::default();
        if text.contains(OPEN) {
            return taken;
        }
        let mut out = String::new();
        let mut done = 0;
        for formula in formulas(text, syntax, options) {
            let written = &text[formula.range.clone()];
            // A fence that cannot be read is code.
            if formula.shape == Shape::Fence && formula.mathml.is_err() {
                continue;
            }
            out.push_str(&text[done..formula.range.start]);
            let number = taken.0.len();
            let spaces = written.len() - written.trim_start_matches(' ').len();
            out.push_str(&written[..spaces]);
            // Writing into a string cannot fail.
            let _ = write!(out, "{OPEN}{number}{CLOSE}");
            if written.ends_with('\n') {
                out.push('\n');
            }
            done = formula.range.end;
            taken.0.push(shown(&formula, written));
        }
        if done > 0 {
            out.push_str(&text[done..]);
            *text = out;
        }
        taken
    }

    /// Puts them back as HTML.
    pub(super) fn put(&self, text: &mut String) {
        if self.0.is_empty() {
            return;
        }
        let mut parts = text.split(OPEN);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (number, rest) = part.split_once(CLOSE).unwrap_or(("", part));
            let own = number
                .parse()
                .ok()
                .and_then(|number: usize| self.0.get(number));
            out.push_str(own.map_or("", String::as_str));
            out.push_str(rest);
        }
        *text = out;
    }
}

fn shown(formula: &Formula, written: &str) -> String {
    match (&formula.mathml, formula.shape) {
        (Err(_), _) => format!("<code>{}</code>", literal(&written.replace('\n', " "))),
        (Ok(mathml), Shape::Inline) => mathml.clone(),
        (Ok(mathml), Shape::Display) => block(mathml),
        (Ok(mathml), Shape::Fence) => format!("{BLOCK}{}", block(mathml)),
    }
}

/// A wide formula scrolls.
fn block(mathml: &str) -> String {
    format!("<span class=\"ops-formula\">{mathml}</span>")
}
