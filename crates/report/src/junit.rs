//! Formats results as `JUnit` XML for CI servers. Only this file names `quick_junit`.

use std::path::Path;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::event::Outcome;
use crate::tested::{Results, Tested};

/// One test suite for each node; a test that could not be evaluated is an error, a wrong one a
/// failure. Each case has its `file` and `line`, with the file relative to the checkout; `folder`
/// is the manual's folder within it.
///
/// # Errors
/// Never for valid results; the XML writer's type requires it.
pub fn junit(results: &Results, folder: Option<&Path>) -> Result<String, SerializeError> {
    xml(results, |test| {
        let mut case = case(test);
        let (file, line) = test.file_and_line(folder);
        case.extra.insert("file".into(), file.into());
        case.extra.insert("line".into(), line.into());
        case
    })
}

/// The same without places, as the schema of Jenkins' xUnit plug-in requires.
///
/// # Errors
/// The same as for [`junit`].
pub fn xunit(results: &Results) -> Result<String, SerializeError> {
    xml(results, case)
}

fn xml(results: &Results, case: impl Fn(&Tested) -> TestCase) -> Result<String, SerializeError> {
    let mut report = Report::new("opsbook");
    report.set_time(results.took);
    for (node, tests) in results.nodes() {
        let mut suite = TestSuite::new(node);
        let asked = results.asked.get(node).copied();
        let (first, last) = asked.unwrap_or((results.started, results.started));
        let started = first.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        suite.extra.insert("hostname".into(), node.into());
        suite.extra.insert("timestamp".into(), started.into());
        // A node's checks run in parallel, so their times add up to more than this.
        suite.set_time(last.duration_since(first).unsigned_abs());
        suite.add_test_cases(tests.into_iter().map(&case));
        report.add_test_suite(suite);
    }
    let xml = report.to_string()?;
    // The schema of CI servers has this count for a suite, but not for the total.
    let skipped: usize = report.test_suites.iter().map(|suite| suite.skipped).sum();
    Ok(xml.replacen(&format!(" skipped=\"{skipped}\""), "", 1))
}

fn case(test: &Tested) -> TestCase {
    let status = match &test.checked.outcome {
        Outcome::Held => TestCaseStatus::success(),
        Outcome::Ignored(why) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(why.as_str());
            status
        }
        Outcome::Failed(_) => not_passed(test, NonSuccessKind::Failure, "failed"),
        Outcome::Unknown(_) => not_passed(test, NonSuccessKind::Error, "could not look"),
    };
    let mut case = TestCase::new(format!("{}::{}", test.group, test.check), status);
    case.set_classname(format!("{}.{}", test.node, test.group));
    case.set_time(test.took());
    case
}

fn not_passed(test: &Tested, kind: NonSuccessKind, name: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(name);
    status.set_message(test.headline());
    status.set_description(format!("\n{}", test.story()));
    status
}

#[cfg(test)]
mod tests {
    use super::{junit, xunit};
    use std::path::Path;

    use crate::tested::samples::results;

    /// The allowed attributes of each element in the schema of Jenkins' xUnit plug-in.
    const ALLOWED: [(&str, &[&str]); 6] = [
        (
            "testsuites",
            &["name", "time", "tests", "failures", "errors"],
        ),
        (
            "testsuite",
            &[
                "name",
                "tests",
                "failures",
                "errors",
                "group",
                "time",
                "skipped",
                "timestamp",
                "hostname",
                "id",
                "package",
                "file",
                "log",
                "url",
            ],
        ),
        ("testcase", &["name", "time", "classname", "group"]),
        ("failure", &["type", "message"]),
        ("error", &["type", "message"]),
        ("skipped", &["type", "message"]),
    ];

    #[test]
    fn elements_and_attributes_are_those_of_the_schema() {
        let xml = xunit(&results()).unwrap();
        let tag = regex::Regex::new(r"<([a-z]+)((?: [a-z]+=\x22[^\x22]*\x22)*) ?/?>").unwrap();
        let attribute = regex::Regex::new(r" ([a-z]+)=").unwrap();
        let mut seen = 0;
        for found in tag.captures_iter(&xml) {
            let (_, allowed) = ALLOWED.iter().find(|(name, _)| *name == &found[1]).unwrap();
            for attribute in attribute.captures_iter(&found[2]) {
                assert!(
                    allowed.contains(&&attribute[1]),
                    "{} of {}",
                    &attribute[1],
                    &found[1]
                );
            }
            seen += 1;
        }
        assert_eq!(seen, 1 + 2 + 4 + 3, "{xml}");
    }

    #[test]
    fn failures_and_errors_are_counted_apart_and_control_characters_are_gone() {
        let xml = xunit(&results()).unwrap();
        assert!(
            xml.contains(
                r#"<testsuites name="opsbook" tests="4" failures="1" errors="1" time="1.500">"#
            ),
            "{xml}"
        );
        assert!(
            xml.contains(r#"<testsuite name="web1" tests="3" skipped="1" errors="0" failures="1""#),
            "{xml}"
        );
        assert!(xml.contains("classname=\"web1.web\""), "{xml}");
        assert!(!xml.contains('\x1b'), "{xml}");
    }
    #[test]
    fn a_case_has_its_place_and_a_suite_the_time_in_which_its_node_was_asked() {
        let xml = junit(&results(), Some(Path::new("docs"))).unwrap();
        let place = r#"time="0.250" file="docs/manual/web.md" line="14">"#;
        assert!(xml.contains(place), "{xml}");
        let suite = r#"hostname="web1" timestamp="2026-11-21T09:14:03""#;
        let suite = xml.lines().find(|line| line.contains(suite)).unwrap();
        assert!(suite.contains(r#" time="0.500""#), "{suite}");
        let without = xunit(&results()).unwrap();
        assert!(!without.contains(" file="), "{without}");
    }
}
