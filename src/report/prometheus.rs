//! Results -> Prometheus text, for the textfile collector of the node exporter.

use std::fmt::Write as _;

use crate::report::tested::{Counts, Outcome, Results, Tested};

#[must_use]
pub fn prometheus(results: &Results) -> String {
    let mut text = String::new();
    let asked = || {
        results
            .tests
            .iter()
            .filter(|test| !matches!(test.outcome, Outcome::Ignored(_)))
    };
    head(
        &mut text,
        "opsbook_check_ok",
        "Whether a check holds; 0 where it could not be asked, too.",
    );
    for test in asked() {
        line(
            &mut text,
            "opsbook_check_ok",
            &labels(test),
            u8::from(test.passed()),
        );
    }
    head(
        &mut text,
        "opsbook_check_unknown",
        "Whether a check could not be asked.",
    );
    for test in asked() {
        let unknown = matches!(test.outcome, Outcome::Error(_));
        line(
            &mut text,
            "opsbook_check_unknown",
            &labels(test),
            u8::from(unknown),
        );
    }
    head(
        &mut text,
        "opsbook_check_duration_seconds",
        "How long a check took.",
    );
    for test in asked() {
        line(
            &mut text,
            "opsbook_check_duration_seconds",
            &labels(test),
            test.took.as_secs_f64(),
        );
    }
    head(
        &mut text,
        "opsbook_tests",
        "Tests of a node by their outcome.",
    );
    for (node, tests) in results.nodes() {
        let counts = Counts::of(tests.into_iter());
        for (outcome, count) in counts.by_word() {
            let labels = format!("node=\"{}\",outcome=\"{outcome}\"", escaped(node));
            line(&mut text, "opsbook_tests", &labels, count);
        }
    }
    head(
        &mut text,
        "opsbook_suite_duration_seconds",
        "How long all tests took.",
    );
    let _ = writeln!(
        text,
        "opsbook_suite_duration_seconds {}",
        results.took.as_secs_f64()
    );
    head(
        &mut text,
        "opsbook_suite_start_timestamp_seconds",
        "When the tests were started.",
    );
    let _ = writeln!(
        text,
        "opsbook_suite_start_timestamp_seconds {}",
        results.started.as_second()
    );
    text
}

fn head(text: &mut String, name: &str, help: &str) {
    // A formatter into a string cannot fail; nor below.
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
    use crate::report::tested::samples::results;

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
