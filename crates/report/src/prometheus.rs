//! Formats results as Prometheus text, for the textfile collector of the node exporter.

use std::fmt::Write as _;

use crate::event::Outcome;
use crate::tested::{Results, Tested, counts};

/// The results as metrics.
#[must_use]
pub fn prometheus(results: &Results) -> String {
    let mut text = String::new();
    checks(results, &mut text);
    nodes(results, &mut text);
    let name = "opsbook_suite_duration_seconds";
    head(&mut text, name, "How long all tests took.");
    // Formatting into a string cannot fail, here and below.
    let _ = writeln!(text, "{name} {}", results.took.as_secs_f64());
    let name = "opsbook_suite_start_timestamp_seconds";
    head(&mut text, name, "When the tests were started.");
    let _ = writeln!(text, "{name} {}", results.started.as_second());
    text
}

fn checks(results: &Results, text: &mut String) {
    type Value = fn(&Tested) -> f64;
    let metrics: [(&str, &str, Value); 3] = [
        (
            "opsbook_check_ok",
            "Whether a check holds; 0 where it could not be evaluated, too.",
            |test| f64::from(u8::from(test.passed())),
        ),
        (
            "opsbook_check_unknown",
            "Whether a check could not be evaluated.",
            |test| {
                f64::from(u8::from(matches!(
                    test.checked.outcome,
                    Outcome::Unknown(_)
                )))
            },
        ),
        (
            "opsbook_check_duration_seconds",
            "How long a check took.",
            |test| test.took().as_secs_f64(),
        ),
    ];
    let ignored = |test: &&Tested| matches!(test.checked.outcome, Outcome::Ignored(_));
    for (name, help, value) in metrics {
        head(text, name, help);
        for test in results.tests.iter().filter(|test| !ignored(test)) {
            line(text, name, &labels(test), value(test));
        }
    }
}

fn nodes(results: &Results, text: &mut String) {
    let name = "opsbook_tests";
    head(text, name, "Tests of a node by their outcome.");
    for (node, tests) in results.nodes() {
        let counts = counts(tests);
        for (outcome, count) in [
            ("passed", counts.passed),
            ("failed", counts.failed),
            ("error", counts.errors),
            ("ignored", counts.ignored),
        ] {
            let labels = format!("node=\"{}\",outcome=\"{outcome}\"", escaped(node));
            line(text, name, &labels, count);
        }
    }
}

fn head(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "{name}{{{labels}}} {value}");
}

fn labels(test: &Tested) -> String {
    format!(
        "node=\"{}\",group=\"{}\",check=\"{}\"",
        escaped(&test.node),
        escaped(&test.group),
        escaped(&test.check)
    )
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tested::samples::results;

    #[test]
    fn every_line_is_a_comment_or_a_sample_and_none_is_said_twice() {
        let text = prometheus(&results());
        let sample = regex::Regex::new(
            r#"^[a-z_]+(\{[a-z]+="([^"\\\n]|\\.)*"(,[a-z]+="([^"\\\n]|\\.)*")*\})? [0-9.e+-]+$"#,
        )
        .unwrap();
        let mut seen = std::collections::HashSet::new();
        for line in text.lines().filter(|line| !line.starts_with("# ")) {
            assert!(sample.is_match(line), "{line}");
            assert!(
                seen.insert(line.rsplit_once(' ').unwrap().0.to_owned()),
                "{line}"
            );
        }
        assert!(
            text.contains(
                "opsbook_check_ok{node=\"web1\",group=\"web\",check=\"service/a#b\"} 0\n"
            )
        );
        assert!(text.contains(
            "opsbook_check_unknown{node=\"web2\",group=\"web\",check=\"file//etc/hosts\"} 1\n"
        ));
        assert!(text.contains("opsbook_tests{node=\"web1\",outcome=\"ignored\"} 1\n"));
        assert!(!text.contains("tcp:443"));
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
