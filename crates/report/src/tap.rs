//! Formats results as TAP, version 13, which all its readers know.

use std::fmt::Write as _;

use crate::event::Outcome;
use crate::tested::{Results, Tested};

/// The results as TAP.
#[must_use]
pub fn tap(results: &Results) -> String {
    let mut text = format!("TAP version 13\n1..{}\n", results.tests.len());
    for (index, test) in results.tests.iter().enumerate() {
        line(&mut text, index + 1, test);
    }
    text
}

fn line(text: &mut String, number: usize, test: &Tested) {
    let name = escaped(&test.name);
    // Formatting into a string cannot fail.
    let _ = match &test.checked.outcome {
        Outcome::Held => writeln!(text, "ok {number} - {name}"),
        Outcome::Ignored(why) => {
            let why = why.lines().next().unwrap_or_default();
            writeln!(text, "ok {number} - {name} # SKIP {}", escaped(why))
        }
        Outcome::Failed(_) | Outcome::Unknown(_) => writeln!(text, "not ok {number} - {name}"),
    };
    if matches!(
        test.checked.outcome,
        Outcome::Failed(_) | Outcome::Unknown(_)
    ) {
        let _ = writeln!(
            text,
            "  ---\n  outcome: {}\n  place: {}\n  evidence: |",
            test.word(),
            test.place
        );
        for line in test.story().lines() {
            let _ = writeln!(text, "    {line}");
        }
        text.push_str("  ...\n");
    }
}

/// A `#` begins a directive.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#")
}

#[cfg(test)]
mod tests {
    use super::tap;
    use crate::tested::samples::results;

    #[test]
    fn the_plan_the_lines_and_their_diagnosis() {
        assert_eq!(
            tap(&results()),
            "TAP version 13\n1..4\n\
             ok 1 - web1::web::file//etc/hosts\n\
             not ok 2 - web1::web::service/a\\#b\n  ---\n  outcome: failed\n  place: manual/web.md:14\n  evidence: |\n      \
             wrong           running\n      expected        true\n      found           \\x1b[31mfalse\n                      <&>\n      \
             look with       systemctl show a#b\n      manual          manual/web.md:14\n  ...\n\
             ok 3 - web1::web::port/tcp:443 # SKIP later, see \\#7\n\
             not ok 4 - web2::web::file//etc/hosts\n  ---\n  outcome: error\n  place: manual/web.md:9\n  evidence: |\n      \
             could not look  `web2` cannot be reached: timed out\n                      ssh says so\n      \
             manual          manual/web.md:9\n  ...\n"
        );
    }
}
