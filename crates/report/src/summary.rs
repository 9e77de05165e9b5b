//! Formats results as Markdown for a person who opens a CI job (GitHub's job summary): counts,
//! failures with their places, and each cause for tests that could not be evaluated, once.

use std::fmt::Write as _;

use crate::engine::human;
use crate::tested::{Results, Tested};

/// The most rows of a table; a GitHub summary may have 1 MiB.
const MOST: usize = 100;

/// Counts first, then failures and tests that could not be evaluated.
#[must_use]
pub fn summary(results: &Results) -> String {
    let counts = results.counts();
    let word = match (counts.failed, counts.errors) {
        (0, 0) => "ok",
        (0, _) => "could not look",
        (_, _) => "FAILED",
    };
    let mut text = format!(
        "## opsbook test: {word}\n\n{} passed, {} failed, {} could not look, {} ignored, in {}\n",
        counts.passed,
        counts.failed,
        counts.errors,
        counts.ignored,
        human(results.took)
    );
    if let Some(since) = &results.since {
        // Formatting into a string cannot fail.
        let _ = writeln!(text, "\n{}", plain(since));
    }
    let failed: Vec<[String; 3]> = results.failed().map(of_test).collect();
    table(
        &mut text,
        "Failed",
        ["Test", "Manual", "What is wrong"],
        &failed,
    );
    let unseen: Vec<[String; 3]> = results
        .causes()
        .iter()
        .map(|unseen| {
            let tests = match &unseen.tests[..] {
                [one] => one.name.clone(),
                many => format!("{} tests", many.len()),
            };
            [
                unseen.node.to_owned(),
                tests,
                unseen.why.block().to_string(),
            ]
        })
        .collect();
    table(
        &mut text,
        "Could not look",
        ["Node", "Tests", "Why"],
        &unseen,
    );
    text
}

fn of_test(test: &Tested) -> [String; 3] {
    [test.name.clone(), test.place.clone(), test.headline()]
}

/// Writes nothing without rows.
fn table(text: &mut String, title: &str, heads: [&str; 3], rows: &[[String; 3]]) {
    if rows.is_empty() {
        return;
    }
    // Formatting into a string cannot fail.
    let _ = writeln!(
        text,
        "\n### {title}\n\n| {} |\n|---|---|---|",
        heads.join(" | ")
    );
    for row in rows.iter().take(MOST) {
        let cells: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    if rows.len() > MOST {
        let _ = writeln!(text, "\nand {} more", rows.len() - MOST);
    }
}

/// Escapes text so that Markdown sees no markup, no link and no end of a cell. A character
/// reference never has a structural meaning.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => plain.push_str("<br>"),
            c if c.is_ascii_punctuation() && !"-./,".contains(c) => {
                let _ = write!(plain, "&#{};", u32::from(c));
            }
            c if c.is_control() => plain.extend(c.escape_default()),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::summary;
    use crate::tested::samples::results;

    #[test]
    fn what_failed_and_what_could_not_look_stand_in_tables() {
        assert_eq!(
            summary(&results()),
            "## opsbook test: FAILED\n\n\
             1 passed, 1 failed, 1 could not look, 1 ignored, in 1.5s\n\n\
             since the last record&#58; 1 fixed &#40;web1&#58;&#58;web&#58;&#58;a&#95;b&#41;\n\n\
             ### Failed\n\n\
             | Test | Manual | What is wrong |\n|---|---|---|\n\
             | web1&#58;&#58;web&#58;&#58;service/a&#35;b | manual/web.md&#58;14 \
             | running&#58; expected true, found &#92;x1b&#91;31mfalse |\n\n\
             ### Could not look\n\n\
             | Node | Tests | Why |\n|---|---|---|\n\
             | web2 | web2&#58;&#58;web&#58;&#58;file//etc/hosts \
             | &#96;web2&#96; cannot be reached&#58; timed out<br>ssh says so |\n"
        );
    }
}
