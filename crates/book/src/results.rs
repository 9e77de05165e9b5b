//! What `opsbook test --record` kept, as the book shows it: the newest result of each check on
//! each node, with its time and its age. Claims nothing where nothing is recorded.

use std::collections::BTreeMap;
use std::path::Path;

use indexmap::IndexMap;
use jiff::Timestamp;

use crate::event::{Checked, Event, Evidence, Outcome, What};
use crate::journal::results;

use super::html::{attribute, code, text};

/// Nodes that are named; of more, only the number.
const NAMED: usize = 8;

/// Everything that is recorded, seen from the time at which the book is built.
#[derive(Debug)]
pub(super) struct Results {
    built: Timestamp,
    /// By check, then by node.
    newest: IndexMap<String, BTreeMap<String, Result>>,
    /// The newest first.
    suites: Vec<Suite>,
}

#[derive(Debug)]
struct Result {
    at: Timestamp,
    outcome: Outcome,
    why: String,
}

#[derive(Debug)]
struct Suite {
    at: Timestamp,
    /// Passed, failed, could not look, ignored.
    counts: [usize; 4],
}

impl Results {
    /// What is recorded in a project. A file that cannot be read says nothing.
    pub(super) fn load(root: &Path, built: Timestamp) -> Results {
        let mut runs = results::runs(root);
        runs.reverse();
        let suites = runs.iter().filter_map(|run| results::read(root, run).ok());
        Results::of(suites, built)
    }

    pub(super) fn none() -> Results {
        Results::of(std::iter::empty(), Timestamp::now())
    }

    /// The newest suite first.
    fn of(suites: impl Iterator<Item = Vec<Event>>, built: Timestamp) -> Results {
        let mut all = Results {
            built,
            newest: IndexMap::new(),
            suites: Vec::new(),
        };
        for event in suites.flatten() {
            let Ok(at) = event.at.parse() else { continue };
            if let What::SuiteEnded {
                passed,
                failed,
                errors,
                ignored,
                ..
            } = event.what
            {
                let counts = [passed, failed, errors, ignored];
                all.suites.push(Suite { at, counts });
            } else if let (Some(node), Some((check, checked))) =
                (event.node, Checked::read(&event.what))
            {
                let outcome = checked.outcome;
                let why = why(&outcome, &node);
                let of_check = all.newest.entry(check.to_owned()).or_default();
                of_check.entry(node).or_insert(Result { at, outcome, why });
            }
        }
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }

    /// What stands beside a check: nothing where it has no record.
    pub(super) fn of_check(&self, check: &str) -> String {
        let Some(results) = self.newest.get(check) else {
            return String::new();
        };
        let parts = PARTS.iter().filter_map(|part| self.part(part, results));
        format!("<p class=\"ops-results\">{}</p>", parts.collect::<String>())
    }

    /// The same where several stand one under the other.
    pub(super) fn in_table(&self, check: &str) -> String {
        match self.of_check(check) {
            nothing if nothing.is_empty() => "<span class=\"ops-result\">no record</span>".into(),
            results => results,
        }
    }

    /// All nodes on which it ended in one way.
    fn part(&self, part: &Part, results: &BTreeMap<String, Result>) -> Option<String> {
        let own = results
            .iter()
            .filter(|(_, result)| part.has(&result.outcome));
        let mut by_reason: IndexMap<&str, Vec<&str>> = IndexMap::new();
        let mut times = Vec::new();
        for (node, result) in own {
            by_reason.entry(&result.why).or_default().push(node);
            times.push(result.at);
        }
        let (oldest, newest) = (times.iter().min()?, times.iter().max()?);
        let groups = by_reason.iter().map(|(why, nodes)| {
            let why = match *why {
                "" => String::new(),
                why => format!(" ({})", text(why)),
            };
            let nodes: Vec<String> = match nodes.len() {
                // A failure is named however many there are.
                many if many > NAMED && part.kind == "passed" => vec![format!("{many} nodes")],
                _ => nodes.iter().map(|node| code(node)).collect(),
            };
            nodes.join(", ") + &why
        });
        Some(format!(
            "<span class=\"ops-result ops-{}\"><strong>{} {}</strong> on {}; {}</span> ",
            part.kind,
            part.mark,
            part.words,
            groups.collect::<Vec<_>>().join(", "),
            self.between(*oldest, *newest)
        ))
    }

    /// The time, and how old that was when the book was built: a page cannot know when it is
    /// read.
    fn when(&self, at: Timestamp) -> String {
        format!(
            "<time datetime=\"{at}\">{}</time>, {} before this build",
            minute(at),
            age(at, self.built)
        )
    }

    fn between(&self, oldest: Timestamp, newest: Timestamp) -> String {
        if minute(oldest) == minute(newest) {
            return self.when(newest);
        }
        format!("{}, to {}", self.when(oldest), self.when(newest))
    }

    /// The page of all results, in Markdown with HTML.
    pub(super) fn page(&self, places: &BTreeMap<String, String>) -> String {
        let mut page = format!(
            "# {TITLE}\n\n\
             What `opsbook test --record` found: the newest result of each check on each node. \
             A result says how it was then, of the check as it was written then; it says nothing of today.\n\n\
             This page was built on **{}**.\n\n",
            minute(self.built)
        );
        page += &self.of_nodes();
        page += &self.of_checks(places);
        page += &self.without(places);
        page += &self.of_suites();
        page
    }

    fn of_nodes(&self) -> String {
        let mut nodes: BTreeMap<&str, ([usize; 4], Timestamp, Timestamp)> = BTreeMap::new();
        for (node, result) in self.newest.values().flatten() {
            let (counts, oldest, newest) =
                nodes.entry(node).or_insert(([0; 4], result.at, result.at));
            counts[place(&result.outcome)] += 1;
            *oldest = result.at.min(*oldest);
            *newest = result.at.max(*newest);
        }
        let rows = nodes.iter().map(|(node, (counts, oldest, newest))| {
            format!(
                "<tr><td class=\"ops-of\">{}</td>{}<td class=\"ops-when\">{}</td></tr>",
                code(node),
                cells(*counts),
                self.between(*oldest, *newest)
            )
        });
        let head = format!("<th>Node</th>{HEADS}<th>Asked</th>");
        section("Nodes", &head, &rows.collect::<String>())
    }

    fn of_checks(&self, places: &BTreeMap<String, String>) -> String {
        let rows = self.newest.keys().map(|check| {
            let name = match places.get(check) {
                Some(place) => format!("<a href=\"{}\">{}</a>", attribute(place), code(check)),
                None => code(check) + " (no longer in the manual)",
            };
            format!(
                "<tr><td class=\"ops-of\">{name}</td><td>{}</td></tr>",
                self.of_check(check)
            )
        });
        let head = "<th>Check</th><th>Newest result on each node</th>";
        section("Checks", head, &rows.collect::<String>())
    }

    fn without(&self, places: &BTreeMap<String, String>) -> String {
        let unknown = places
            .iter()
            .filter(|(check, _)| !self.newest.contains_key(*check));
        let items: String = unknown
            .map(|(check, place)| {
                format!(
                    "<li><a href=\"{}\">{}</a></li>",
                    attribute(place),
                    code(check)
                )
            })
            .collect();
        if items.is_empty() {
            return String::new();
        }
        format!("## Checks without a record\n\n<ul>{items}</ul>\n\n")
    }

    fn of_suites(&self) -> String {
        let rows = self.suites.iter().take(20).map(|suite| {
            let when = self.when(suite.at);
            format!(
                "<tr><td class=\"ops-when\">{when}</td>{}</tr>",
                cells(suite.counts)
            )
        });
        let head = format!("<th>Ended</th>{HEADS}");
        section("The newest suites", &head, &rows.collect::<String>())
    }
}

pub(super) const TITLE: &str = "Results of checks";
const HEADS: &str = "<th>Passed</th><th>Failed</th><th>Could not look</th><th>Ignored</th>";

struct Part {
    kind: &'static str,
    mark: char,
    words: &'static str,
}

/// What needs a person first.
const PARTS: [Part; 4] = [
    part("failed", '✗', "failed"),
    part("unseen", '?', "could not look"),
    part("passed", '✓', "passed"),
    part("ignored", '–', "ignored"),
];

const fn part(kind: &'static str, mark: char, words: &'static str) -> Part {
    Part { kind, mark, words }
}

impl Part {
    fn has(&self, outcome: &Outcome) -> bool {
        let kind = match outcome {
            Outcome::Held => "passed",
            Outcome::Failed(_) => "failed",
            Outcome::Unknown(_) => "unseen",
            Outcome::Ignored(_) => "ignored",
        };
        kind == self.kind
    }
}

fn place(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Held => 0,
        Outcome::Failed(_) => 1,
        Outcome::Unknown(_) => 2,
        Outcome::Ignored(_) => 3,
    }
}

/// In a line, for a cell beside the node's name.
fn why(outcome: &Outcome, node: &str) -> String {
    match outcome {
        Outcome::Held => String::new(),
        Outcome::Failed(evidence) => headline(evidence),
        Outcome::Unknown(cause) => {
            let (why, named) = (first_line(cause.exact()), format!("`{node}` "));
            why.strip_prefix(&named).unwrap_or(&why).to_owned()
        }
        Outcome::Ignored(reason) => first_line(reason),
    }
}

fn headline(evidence: &[Evidence]) -> String {
    let Some(one) = evidence.first() else {
        return "does not hold".to_owned();
    };
    let (expected, found) = (
        first_line(one.expected.exact()),
        first_line(one.found.exact()),
    );
    format!("{}: expected {expected}, found {found}", one.attribute)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn section(title: &str, head: &str, rows: &str) -> String {
    format!(
        "## {title}\n\n<div class=\"ops-wide\"><table><thead><tr>{head}</tr></thead>\
         <tbody>{rows}</tbody></table></div>\n\n"
    )
}

fn cells(counts: [usize; 4]) -> String {
    counts.map(|count| format!("<td>{count}</td>")).concat()
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn age(at: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(at).as_mins().max(0);
    let (number, unit) = match minutes {
        0..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    let many = if number == 1 { "" } else { "s" };
    format!("<strong>{number} {unit}{many}</strong>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(day: &str, checks: &[(&str, &str, bool)]) -> Vec<Event> {
        let event = |node: Option<&str>, what| Event {
            v: 1,
            seq: 1,
            at: format!("2026-{day}T09:14:03Z"),
            run: String::new(),
            node: node.map(str::to_owned),
            turn: None,
            step: None,
            epoch: None,
            what,
            prev: None,
            sum: None,
        };
        let held = |check: &str| What::CheckHeld {
            check: check.to_owned(),
            tries: 1,
            milliseconds: 1,
        };
        let failed = |check: &str| What::CheckFailed {
            check: check.to_owned(),
            place: String::new(),
            evidence: vec![Evidence {
                attribute: "mode".to_owned(),
                expected: "0600".into(),
                found: "<0644>".into(),
                how: None,
                hint: None,
            }],
            tries: 1,
            milliseconds: 1,
        };
        let what = |check: &str, good| if good { held(check) } else { failed(check) };
        let ended = What::SuiteEnded {
            passed: 1,
            failed: 0,
            errors: 0,
            ignored: 0,
            milliseconds: 1,
        };
        let checks = checks.iter();
        let mut events: Vec<Event> = checks
            .map(|(node, check, good)| event(Some(*node), what(check, *good)))
            .collect();
        events.push(event(None, ended));
        events
    }

    fn results() -> Results {
        let new = suite("11-20", &[("a", "g::x", false)]);
        let old = suite(
            "11-18",
            &[
                ("a", "g::x", true),
                ("b", "g::x", true),
                ("c", "g::x", true),
            ],
        );
        let built = "2026-11-21T09:15:00Z".parse().unwrap();
        Results::of([new, old].into_iter(), built)
    }

    #[test]
    fn the_newest_of_each_node_is_shown_with_its_age() {
        let shown = results().of_check("g::x");
        assert_eq!(
            shown,
            "<p class=\"ops-results\"><span class=\"ops-result ops-failed\"><strong>✗ failed</strong> on \
             <code>a</code> (mode: expected 0600, found &lt;0644&gt;); \
             <time datetime=\"2026-11-20T09:14:03Z\">2026-11-20 09:14 UTC</time>, <strong>24 hours</strong> before this build</span> \
             <span class=\"ops-result ops-passed\"><strong>✓ passed</strong> on <code>b</code>, <code>c</code>; \
             <time datetime=\"2026-11-18T09:14:03Z\">2026-11-18 09:14 UTC</time>, <strong>3 days</strong> before this build</span> </p>"
        );
    }

    #[test]
    fn nothing_is_claimed_where_nothing_is_recorded() {
        let results = results();
        assert_eq!(results.of_check("g::y"), "");
        let places = [("g::y".to_owned(), "page.html#g.y".to_owned())];
        let page = results.page(&places.into());
        let (_, without) = page.split_once("## Checks without a record").unwrap();
        assert!(without.contains("<li><a href=\"page.html#g.y\"><code>g::y</code></a></li>"));
        assert!(page.contains("<code>g::x</code> (no longer in the manual)"));
    }

    #[test]
    fn ages_are_in_the_unit_that_a_person_would_use() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (at, expected) in [
            ("2026-11-21T13:00:00Z", "0 minutes"),
            ("2026-11-21T11:59:00Z", "1 minute"),
            ("2026-11-21T10:00:00Z", "2 hours"),
            ("2026-11-19T12:00:00Z", "2 days"),
            ("2025-11-19T12:00:00Z", "367 days"),
        ] {
            let age = age(at.parse().unwrap(), now);
            assert_eq!(age, format!("<strong>{expected}</strong>"));
        }
    }
}
