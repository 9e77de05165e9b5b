//! The results of a suite, from which all test reports are made. [`crate::course`] builds them from
//! the suite's events.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::human;
use crate::event::{CaseRecord, Checked, Counts, Evidence, Outcome, Trace};
use crate::outside::{Block, Outside, block};

/// The ended cases of a suite, in the order of the book.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// Its name, in the form of a run's name.
    pub run: String,
    /// When the suite was started, by this machine's clock.
    pub started: Timestamp,
    /// The duration of the suite.
    pub took: Duration,
    /// How many tests were not selected.
    pub filtered_out: usize,
    /// The tests in the order of the book.
    pub tests: Vec<Tested>,
    /// When each node was used, by this machine's clock.
    pub asked: BTreeMap<String, (Timestamp, Timestamp)>,
    /// The runs that left a trace on each node, if requested.
    pub traces: BTreeMap<String, Vec<Trace>>,
    /// The differences to the last record, in one line.
    pub since: Option<String>,
}

/// One test and its outcome.
#[derive(Clone, Debug)]
pub struct Tested {
    /// `node::group::check`
    pub name: String,
    /// The node.
    pub node: String,
    /// The group of checks, or the procedure.
    pub group: String,
    /// The check within its group, or `run` of a procedure.
    pub check: String,
    /// `file:line` of the manual.
    pub place: String,
    /// Its outcome and duration.
    pub checked: Checked,
}

/// Tests of one node that could not be evaluated for the same cause.
#[derive(Clone, Debug)]
pub struct Unseen<'a> {
    /// The node's name.
    pub node: &'a str,
    /// The cause.
    pub why: &'a Outside,
    /// At least one.
    pub tests: Vec<&'a Tested>,
}

impl Results {
    /// The number of tests by outcome.
    #[must_use]
    pub fn counts(&self) -> Counts {
        counts(&self.tests)
    }

    /// Tests that were evaluated and do not hold.
    pub fn failed(&self) -> impl Iterator<Item = &Tested> {
        let failed = |test: &&Tested| matches!(test.checked.outcome, Outcome::Failed(_));
        self.tests.iter().filter(failed)
    }

    /// By node, in the order of the report.
    #[must_use]
    pub fn nodes(&self) -> indexmap::IndexMap<&str, Vec<&Tested>> {
        let mut nodes: indexmap::IndexMap<&str, Vec<&Tested>> = indexmap::IndexMap::new();
        for test in &self.tests {
            nodes.entry(&test.node).or_default().push(test);
        }
        nodes
    }

    /// Tests that could not be evaluated, by cause; distinct from failures.
    #[must_use]
    pub fn causes(&self) -> Vec<Unseen<'_>> {
        let mut causes: indexmap::IndexMap<(&str, &Outside), Vec<&Tested>> =
            indexmap::IndexMap::new();
        for test in &self.tests {
            if let Outcome::Unknown(why) = &test.checked.outcome {
                causes.entry((&test.node, why)).or_default().push(test);
            }
        }
        let causes = causes.into_iter();
        causes
            .map(|((node, why), tests)| Unseen { node, why, tests })
            .collect()
    }

    /// The same for people, one cause per line.
    #[must_use]
    pub fn unseen(&self) -> String {
        let causes = self.causes();
        let mut text = String::new();
        if !causes.is_empty() {
            text.push_str("could not look:\n");
        }
        for unseen in causes {
            let (cause, tests) = (one_line(unseen.why), &unseen.tests);
            // Formatting into a string cannot fail.
            let _ = match &tests[..] {
                [one] => writeln!(text, "    {} ({}): {cause}", one.name, one.place),
                many => writeln!(text, "    {} tests on {}: {cause}", many.len(), unseen.node),
            };
        }
        text
    }
}

/// The number of these tests by outcome.
#[must_use]
pub fn counts<'a>(tests: impl IntoIterator<Item = &'a Tested>) -> Counts {
    let mut counts = Counts::default();
    for test in tests {
        counts.add(&test.checked.outcome);
    }
    counts
}

impl Tested {
    /// From a case and its outcome.
    #[must_use]
    pub fn of(case: &CaseRecord, checked: Checked) -> Tested {
        let (group, check) = case
            .check
            .split_once("::")
            .unwrap_or((&case.check, &case.check));
        Tested {
            name: case.name(),
            node: case.node.clone(),
            group: group.to_owned(),
            check: check.to_owned(),
            place: case.place.clone(),
            checked,
        }
    }

    /// Whether it holds.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checked.outcome == Outcome::Held
    }

    /// Its outcome as a stable word for programs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match &self.checked.outcome {
            Outcome::Held => "passed",
            Outcome::Failed(_) => "failed",
            Outcome::Unknown(_) => "error",
            Outcome::Ignored(_) => "ignored",
        }
    }

    /// The file and the line of its place, the file relative to the checkout; `folder` is the
    /// manual's folder within it.
    #[must_use]
    pub fn file_and_line(&self, folder: Option<&Path>) -> (String, String) {
        let (file, line) = self.place.rsplit_once(':').unwrap_or((&self.place, "1"));
        let file = folder.unwrap_or(Path::new("")).join(file);
        (file.to_string_lossy().into_owned(), line.to_owned())
    }

    /// Its duration with all tries.
    #[must_use]
    pub fn took(&self) -> Duration {
        Duration::from_millis(self.checked.milliseconds)
    }

    /// One line that says what is wrong.
    #[must_use]
    pub fn headline(&self) -> String {
        match &self.checked.outcome {
            Outcome::Held => "passed".to_owned(),
            Outcome::Failed(evidence) => match &evidence[..] {
                [] => "does not hold".to_owned(),
                [one, rest @ ..] => {
                    let more = match rest.len() {
                        0 => String::new(),
                        n => format!(" (and {n} more)"),
                    };
                    let (expected, found) = (first_line(&one.expected), first_line(&one.found));
                    format!(
                        "{}: expected {expected}, found {found}{more}",
                        one.attribute
                    )
                }
            },
            Outcome::Unknown(why) => {
                format!("could not look: {}", first_line(why))
            }
            Outcome::Ignored(why) => format!("ignored: {why}"),
        }
    }

    /// Everything that a person needs: place, expected and found values, how to look by hand,
    /// number of tries.
    #[must_use]
    pub fn story(&self) -> String {
        let mut text = String::new();
        match &self.checked.outcome {
            Outcome::Held => {}
            Outcome::Ignored(why) => row(&mut text, "ignored", block(why)),
            Outcome::Unknown(why) => row(&mut text, "could not look", why.block()),
            Outcome::Failed(evidence) => told(&mut text, evidence),
        }
        row(&mut text, "manual", block(&self.place));
        if self.checked.tries > 1 {
            let tries = format!("{} times in {}", self.checked.tries, human(self.took()));
            row(&mut text, "tried", block(&tries));
        }
        text
    }
}

/// The cause, and the last line of further messages.
fn one_line(why: &Outside) -> String {
    let first = first_line(why);
    match why.last_line().filter(|_| why.lines().count() > 1) {
        Some(last) => format!("{first}: {last}"),
        None => first,
    }
}

fn first_line(text: &Outside) -> String {
    text.lines()
        .next()
        .map(|line| line.to_string())
        .unwrap_or_default()
}

fn told(text: &mut String, evidence: &[Evidence]) {
    for (index, one) in evidence.iter().enumerate() {
        row(text, "wrong", block(&one.attribute));
        row(text, "expected", one.expected.block());
        row(text, "found", one.found.block());
        // All attributes of one resource have the same command.
        let again = evidence
            .get(index + 1)
            .is_some_and(|next| next.how == one.how);
        if let Some(how) = one.how.as_ref().filter(|_| !again) {
            row(text, "look with", block(how));
        }
        if let Some(hint) = &one.hint {
            row(text, "hint", block(hint));
        }
    }
}

/// `name` in its column; further lines of the text are below the first.
fn row(text: &mut String, name: &str, value: Block<'_>) {
    const WIDTH: usize = 14;
    let mut name = name;
    let value = match value.to_string() {
        empty if empty.is_empty() => "(empty)".to_owned(),
        value => value,
    };
    for line in value.lines() {
        // Formatting into a string cannot fail.
        let _ = writeln!(text, "  {name:WIDTH$}  {line}");
        name = "";
    }
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// One test of each outcome, with characters that each format must escape.
    pub fn results() -> Results {
        let wrong = Evidence {
            attribute: "running".into(),
            expected: "true".into(),
            found: "\u{1b}[31mfalse\n<&>".into(),
            how: Some("systemctl show a#b".into()),
            hint: None,
        };
        let unreachable = "`web2` cannot be reached: timed out\nssh says so";
        Results {
            traces: BTreeMap::new(),
            run: "20261121-091403-3f9a".into(),
            started: "2026-11-21T09:14:03Z".parse().unwrap(),
            took: Duration::from_millis(1500),
            filtered_out: 2,
            tests: vec![
                test("web1", "file//etc/hosts", 9, Outcome::Held),
                test("web1", "service/a#b", 14, Outcome::Failed(vec![wrong])),
                test(
                    "web1",
                    "port/tcp:443",
                    17,
                    Outcome::Ignored("later, see #7".into()),
                ),
                test(
                    "web2",
                    "file//etc/hosts",
                    9,
                    Outcome::Unknown(unreachable.into()),
                ),
            ],
            asked: BTreeMap::from([(
                "web1".to_owned(),
                (
                    "2026-11-21T09:14:03.250Z".parse().unwrap(),
                    "2026-11-21T09:14:03.750Z".parse().unwrap(),
                ),
            )]),
            since: Some("since the last record: 1 fixed (web1::web::a_b)".to_owned()),
        }
    }

    fn test(node: &str, check: &str, line: u32, outcome: Outcome) -> Tested {
        Tested {
            name: format!("{node}::web::{check}"),
            node: node.into(),
            group: "web".into(),
            check: check.into(),
            place: format!("manual/web.md:{line}"),
            checked: Checked {
                outcome,
                tries: 1,
                milliseconds: 250,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tested(outcome: Outcome) -> Tested {
        Tested {
            name: "web1::web::service/nginx".into(),
            node: "web1".into(),
            group: "web".into(),
            check: "service/nginx".into(),
            place: "manual/web.md:14".into(),
            checked: Checked {
                outcome,
                tries: 3,
                milliseconds: 6000,
            },
        }
    }

    fn evidence(attribute: &str, expected: &str, found: &str) -> Evidence {
        Evidence {
            attribute: attribute.into(),
            expected: expected.into(),
            found: found.into(),
            how: Some("systemctl show nginx".into()),
            hint: None,
        }
    }

    #[test]
    fn a_failure_tells_all_that_a_person_needs() {
        let test = tested(Outcome::Failed(vec![
            evidence("running", "true", "false"),
            evidence("enabled", "true", "one\ntwo"),
        ]));
        assert_eq!(
            test.story(),
            "  wrong           running\n  expected        true\n  found           false\n  \
             wrong           enabled\n  expected        true\n  found           one\n                  two\n  \
             look with       systemctl show nginx\n  manual          manual/web.md:14\n  tried           3 times in 6s\n"
        );
        assert_eq!(
            test.headline(),
            "running: expected true, found false (and 1 more)"
        );
    }

    #[test]
    fn an_error_is_not_called_a_failure() {
        let test = tested(Outcome::Unknown("no `ss`\nand more".into()));
        assert_eq!(test.headline(), "could not look: no `ss`");
        assert!(test.story().starts_with("  could not look  no `ss`\n"));
    }
}
