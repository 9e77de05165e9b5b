use std::path::Path;

use super::*;
use crate::manual::{load, sort};

/// All that `load` and `lint` say about a folder of `tests/fixtures`.
fn drawn(fixture: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(fixture);
    let (manual, mut problems) = load(&root);
    problems.extend(lint(&manual));
    sort(&manual, &mut problems);
    let drawn: Vec<String> = problems.iter().map(Problem::to_string).collect();
    drawn.join("\n\n") + "\n"
}

#[test]
fn a_page_with_forty_mistakes_reports_all_forty() {
    let expected = include_str!("../../../tests/fixtures/forty-mistakes/expected.txt");
    let found = drawn("forty-mistakes");
    let errors = found
        .lines()
        .filter(|line| line.contains(": error: "))
        .count();
    assert_eq!(errors, 40);
    assert_eq!(found, expected, "{found}");
}
