//! Parses the resulting page as a manual, and finds errors that the old page did not have.

use std::collections::BTreeMap;
use std::path::Path;

use crate::files::Refused;
use crate::manual::{PageSource, Settings, lint, parse};
use crate::source::{Problem, Source};

/// New errors of the page: line from 0, and message.
pub fn new_errors(path: &str, old: &str, new: &str) -> Vec<(usize, String)> {
    let mut known: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for problem in errors(path, old) {
        *known.entry((problem.code, problem.message)).or_default() += 1;
    }
    let mut found = Vec::new();
    for problem in errors(path, new) {
        let count = known
            .entry((problem.code, problem.message.clone()))
            .or_default();
        if *count > 0 {
            *count -= 1;
        } else if let Some(span) = &problem.span {
            found.push((span.line() as usize - 1, problem.sentence()));
        }
    }
    found
}

fn errors(path: &str, text: &str) -> Vec<Problem> {
    let page = PageSource {
        path: path.into(),
        title: None,
        source: Source::new(path, text),
    };
    // Included text belongs to another page.
    let nothing = |_: &Path| Err(Refused::Missing);
    let (manual, mut problems) = parse(Path::new("."), Settings::default(), vec![page], &nothing);
    problems.extend(lint(&manual));
    problems.into_iter().filter(Problem::is_error).collect()
}
