//! Results of `opsbook test --record` in the book: the state of each check on each node, as far as
//! the recorded check equals the current one. Makes no statement without records. The browser
//! computes ages: a page does not know when it is read.

use std::collections::{BTreeMap, HashMap};

use indexmap::IndexMap;
use jiff::Timestamp;

use crate::event::{Checked, Event, Evidence, Outcome, What};
use crate::journal::{self, results};

use super::html::{code, text};
use super::present::{Asked, Present, Row};

/// How many nodes are named; then only their number.
const NAMED: usize = 8;

/// Whether what ran equals the current manual, in text and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fresh {
    Same,
    Changed,
}

impl Fresh {
    pub(super) fn is(same: bool) -> Fresh {
        if same { Fresh::Same } else { Fresh::Changed }
    }
}

/// All recorded results of checks.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// The states of each check, in the order of the book.
    rows: IndexMap<Row, Vec<Mark>>,
    /// Records of checks or nodes that no longer exist.
    gone: Vec<(String, String, Timestamp)>,
    /// The newest first.
    suites: Vec<Suite>,
    /// Nodes where nothing could be evaluated, all for the same reason.
    dead: BTreeMap<String, Dead>,
}

/// A node that did not answer at the last suite.
#[derive(Clone, Debug)]
pub(super) struct Dead {
    pub(super) why: String,
    pub(super) since: Timestamp,
    /// The number of checks that could not be evaluated.
    pub(super) checks: usize,
}

/// The state of a check on a node.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) node: String,
    /// The name of its test.
    pub(super) check: String,
    pub(super) state: State,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    Held(Seen),
    /// Failing; since the first of the uninterrupted failures.
    Failing {
        since: Timestamp,
        newest: Seen,
    },
    /// It could not be evaluated; and when it last held, if it did.
    Unseen {
        since: Timestamp,
        newest: Seen,
        held: Option<Seen>,
    },
    /// The recorded check differs from the current one; whether it held.
    Changed {
        newest: Seen,
        held: bool,
    },
    Ignored(Seen),
    Never,
}

/// One outcome.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Timestamp,
    pub(super) why: String,
    pub(super) revision: Option<String>,
    kind: Kind,
    /// The hash of the check; `None` from an older opsbook.
    sum: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Held,
    Failed,
    Unseen,
    Ignored,
}

#[derive(Debug)]
pub(super) struct Suite {
    pub(super) at: Timestamp,
    /// Passed, failed, not evaluated, ignored.
    pub(super) counts: [usize; 4],
}

/// All outcomes of a check on a node, the newest first.
type History = HashMap<(String, String), Vec<Seen>>;

/// Whether anything is recorded.
pub(super) fn any(state: &journal::State) -> bool {
    !results::runs(state).is_empty()
}

impl Results {
    /// The recorded results of a project. Unreadable files are skipped.
    pub(super) fn load(state: &journal::State, present: &Present) -> Results {
        let mut runs = results::runs(state);
        runs.reverse();
        let suites = runs.iter().filter_map(|run| results::read(state, run).ok());
        let (history, suites) = read(suites);
        Results::of(history, suites, &present.rows)
    }

    fn of(mut history: History, suites: Vec<Suite>, now: &IndexMap<Row, Vec<Asked>>) -> Results {
        if history.is_empty() {
            return Results::default();
        }
        let rows = now.iter().map(|(row, asked)| {
            let marks = asked.iter().map(|one| {
                let key = (one.node.clone(), one.name.clone());
                let seen = history.remove(&key).unwrap_or_default();
                Mark {
                    node: key.0,
                    check: key.1,
                    state: state(&seen, &one.sum),
                }
            });
            (row.clone(), marks.collect())
        });
        let rows: IndexMap<Row, Vec<Mark>> = rows.collect();
        let dead = dead(rows.values().flatten());
        let gone = history.into_iter().filter_map(|((node, check), seen)| {
            let at = seen.first()?.at;
            Some((check, node, at))
        });
        let mut gone: Vec<_> = gone.collect();
        gone.sort();
        Results {
            rows,
            gone,
            suites,
            dead,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.suites.is_empty()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&Row, &[Mark])> {
        self.rows.iter().map(|(row, marks)| (row, marks.as_slice()))
    }

    pub(super) fn gone(&self) -> &[(String, String, Timestamp)] {
        &self.gone
    }

    pub(super) fn suites(&self) -> &[Suite] {
        &self.suites
    }

    pub(super) fn dead(&self) -> &BTreeMap<String, Dead> {
        &self.dead
    }

    /// The text next to a check: empty without recorded suites.
    pub(super) fn of_check(&self, row: &Row) -> String {
        match self.rows.get(row) {
            None => String::new(),
            Some(marks) => self.shown(marks),
        }
    }

    /// The state of a check on each node. A node where nothing could be evaluated is explained
    /// once, on the state page.
    pub(super) fn shown(&self, marks: &[Mark]) -> String {
        let (dead, alive): (Vec<&Mark>, Vec<&Mark>) = marks
            .iter()
            .partition(|mark| self.dead.contains_key(&mark.node));
        let mut html = shown(&alive);
        if !dead.is_empty() {
            let names: Vec<&str> = dead.iter().map(|mark| mark.node.as_str()).collect();
            let names = named(&names);
            html += &format!(
                "<span class=\"ops-result ops-unseen\"><strong>? could not look</strong> at \
                 anything on {names}</span> "
            );
        }
        format!("<div class=\"ops-results\">{html}</div>")
    }

    /// The same in a list of several.
    pub(super) fn in_table(&self, row: &Row) -> String {
        match self.of_check(row) {
            nothing if nothing.is_empty() => "<span class=\"ops-result\">no record</span>".into(),
            results => results,
        }
    }
}

/// Reads suites, the newest first.
fn read(suites: impl Iterator<Item = Vec<Event>>) -> (History, Vec<Suite>) {
    let mut history = History::new();
    let mut ended = Vec::new();
    for suite in suites {
        let mut sums = HashMap::new();
        let mut revision = None;
        for event in suite {
            if let What::SuiteStarted {
                cases,
                revision: of,
                ..
            } = &event.what
            {
                revision.clone_from(of);
                let cases = cases.iter().filter_map(|case| {
                    let key = (case.node.clone(), case.check.clone());
                    Some((key, case.sum.clone()?))
                });
                sums = cases.collect();
                continue;
            }
            let Ok(at) = event.at.parse::<Timestamp>() else {
                continue;
            };
            // Rounded to minutes: outcomes of the same minute are shown together.
            let at = Timestamp::from_second(at.as_second().div_euclid(60) * 60).unwrap_or(at);
            if let What::SuiteEnded {
                passed,
                failed,
                errors,
                ignored,
                ..
            } = event.what
            {
                let counts = [passed, failed, errors, ignored];
                ended.push(Suite { at, counts });
            } else if let (Some(node), Some((check, checked))) =
                (event.node, Checked::read(&event.what))
            {
                let key = (node, check.to_owned());
                let seen = Seen {
                    at,
                    why: why(&checked.outcome, &key.0),
                    revision: revision.clone(),
                    kind: kind(&checked.outcome),
                    sum: sums.get(&key).cloned(),
                };
                history.entry(key).or_default().push(seen);
            }
        }
    }
    (history, ended)
}

/// The state of a check with this hash, from its outcomes, the newest first.
fn state(seen: &[Seen], sum: &str) -> State {
    // A waiver is not an evaluation.
    let Some(newest) = seen.first() else {
        return State::Never;
    };
    let same = |one: &&Seen| one.sum.as_deref() == Some(sum);
    let run = seen.iter().take_while(|one| one.kind == newest.kind);
    let since = run.clone().last().map_or(newest.at, |one| one.at);
    let newest = newest.clone();
    match newest.kind {
        Kind::Ignored => State::Ignored(newest),
        Kind::Unseen => {
            let before = seen.iter().find(|one| one.kind != Kind::Unseen);
            let held = before.filter(|one| one.kind == Kind::Held).filter(same);
            let held = held.cloned();
            State::Unseen {
                since,
                newest,
                held,
            }
        }
        kind if newest.sum.as_deref() != Some(sum) => State::Changed {
            newest,
            held: kind == Kind::Held,
        },
        Kind::Held => State::Held(newest),
        Kind::Failed => {
            // Of the current text.
            let since = run.take_while(same).last().map_or(newest.at, |one| one.at);
            State::Failing { since, newest }
        }
    }
}

/// States by urgency: CSS class, sign, words.
pub(super) const KINDS: [(&str, &str, &str); 6] = [
    ("failed", "✗", "failing"),
    ("unseen", "?", "could not look"),
    ("changed", "≠", "changed since"),
    ("passed", "✓", "held"),
    ("ignored", "–", "ignored"),
    ("never", "○", "never asked"),
];

/// The nodes all of whose checks could not be evaluated, for the same reason.
fn dead<'a>(marks: impl Iterator<Item = &'a Mark>) -> BTreeMap<String, Dead> {
    let mut nodes: BTreeMap<&str, Option<Dead>> = BTreeMap::new();
    for mark in marks {
        let found = match &mark.state {
            // A check that was never evaluated says nothing about the node.
            State::Never | State::Ignored(_) => continue,
            State::Unseen { since, newest, .. } => Some((since, &newest.why)),
            _ => None,
        };
        let first = !nodes.contains_key(mark.node.as_str());
        let known = nodes.entry(&mark.node).or_insert(None);
        match (found, known.as_mut()) {
            (Some((since, why)), None) if first => {
                *known = Some(Dead {
                    why: why.clone(),
                    since: *since,
                    checks: 1,
                });
            }
            (Some((since, why)), Some(dead)) if dead.why == *why => {
                dead.checks += 1;
                dead.since = dead.since.min(*since);
            }
            _ => *known = None,
        }
    }
    let dead = nodes.into_iter();
    let dead = dead.filter_map(|(node, dead)| Some((node.to_owned(), dead?)));
    // A single check is explained at its own place.
    dead.filter(|(_, dead)| dead.checks > 1).collect()
}

impl State {
    /// Its position in the order above.
    pub(super) fn place(&self) -> usize {
        match self {
            State::Failing { .. } => 0,
            State::Unseen { .. } => 1,
            State::Changed { .. } => 2,
            State::Held(_) => 3,
            State::Ignored(_) => 4,
            State::Never => 5,
        }
    }

    /// The description of nodes in the same state, after their names.
    fn words(&self) -> String {
        let why = |why: &str| match why {
            "" => String::new(),
            why => format!(" ({})", text(why)),
        };
        match self {
            State::Failing { since, newest } => {
                format!("{}; since {}", why(&newest.why), day(*since))
            }
            State::Unseen {
                since,
                newest,
                held,
            } => {
                let held = held.as_ref();
                let held = held.map(|held| format!("; held before, {}", when(held)));
                let held = held.unwrap_or_default();
                format!("{}; since {}{held}", why(&newest.why), day(*since))
            }
            State::Changed { newest, held } => {
                let then = match (held, newest.sum.is_some()) {
                    (_, false) => "; of which text is not recorded",
                    (true, true) => "; what was asked then held",
                    (false, true) => "; what was asked then failed",
                };
                format!("{then}, {}", when(newest))
            }
            State::Held(newest) => format!("; {}", when(newest)),
            State::Ignored(newest) => format!("{}; {}", why(&newest.why), day(newest.at)),
            State::Never => String::new(),
        }
    }
}

fn shown(marks: &[&Mark]) -> String {
    let mut html = String::new();
    for (place, (kind, sign, words)) in KINDS.iter().enumerate() {
        let own = marks.iter().filter(|mark| mark.state.place() == place);
        let mut alike: IndexMap<String, Vec<&str>> = IndexMap::new();
        for mark in own {
            let nodes = alike.entry(mark.state.words()).or_default();
            nodes.push(&mark.node);
        }
        if alike.is_empty() {
            continue;
        }
        let groups = alike.iter().map(|(said, nodes)| {
            let nodes = match nodes.len() {
                // Nodes with problems are named first.
                many if many > NAMED && place > 0 => format!("{many} nodes"),
                _ => named(nodes),
            };
            nodes + said
        });
        let groups: Vec<String> = groups.collect();
        html += &format!(
            "<span class=\"ops-result ops-{kind}\"><strong>{sign} {words}</strong> on {}</span> ",
            groups.join("; ")
        );
    }
    html
}

/// Some names of nodes and the number of others, expandable.
fn named(nodes: &[&str]) -> String {
    let names = |nodes: &[&str]| {
        let names = nodes.iter().map(|node| code(node));
        names.collect::<Vec<_>>().join(", ")
    };
    match nodes.split_at_checked(NAMED) {
        Some((first, rest)) if !rest.is_empty() => format!(
            "{} and <details class=\"ops-rest\"><summary>{} more nodes</summary>{}</details>",
            names(first),
            rest.len(),
            names(rest)
        ),
        _ => names(nodes),
    }
}

/// The day and the revision; the book's script adds how long ago that is.
pub(super) fn when(seen: &Seen) -> String {
    let revision = seen.revision.as_deref();
    let revision = revision.map(|revision| format!(", revision {}", code(revision)));
    day(seen.at) + &revision.unwrap_or_default()
}

pub(super) fn day(at: Timestamp) -> String {
    format!("<time datetime=\"{at}\">{}</time>", minute(at))
}

fn kind(outcome: &Outcome) -> Kind {
    match outcome {
        Outcome::Held => Kind::Held,
        Outcome::Failed(_) => Kind::Failed,
        Outcome::Unknown(_) => Kind::Unseen,
        Outcome::Ignored(_) => Kind::Ignored,
    }
}

/// One line for a table cell next to the node's name.
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

pub(super) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::CaseRecord;

    /// A suite of the text with this hash.
    fn suite(day: &str, sum: &str, checks: &[(&str, Outcome)]) -> Vec<Event> {
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
        let case = |node: &&str| CaseRecord {
            node: (*node).to_owned(),
            check: "g::x".to_owned(),
            place: String::new(),
            sum: Some(sum.to_owned()),
        };
        let nodes = checks.iter().map(|(node, _)| node);
        let mut events = vec![event(
            None,
            What::SuiteStarted {
                operator: "ops".to_owned(),
                controller: "desk".to_owned(),
                version: "1".to_owned(),
                revision: Some("abc".to_owned()),
                cases: nodes.map(case).collect(),
                filtered_out: 0,
            },
        )];
        for (node, outcome) in checks {
            let checked = Checked::at_once(outcome.clone());
            events.push(event(
                Some(*node),
                checked.written("g::x".to_owned(), String::new()),
            ));
        }
        let counts = What::SuiteEnded {
            passed: 1,
            failed: 0,
            errors: 0,
            ignored: 0,
            milliseconds: 1,
        };
        events.push(event(None, counts));
        events
    }

    fn failed() -> Outcome {
        Outcome::Failed(vec![Evidence {
            attribute: "mode".to_owned(),
            expected: "0600".into(),
            found: "<0644>".into(),
            how: None,
            hint: None,
        }])
    }

    /// The display of a check with the hash `new`, with these recorded suites, the newest first.
    fn said(nodes: &[&str], suites: Vec<Vec<Event>>) -> String {
        let asked = nodes.iter().map(|node| Asked {
            node: (*node).to_owned(),
            name: "g::x".to_owned(),
            sum: "new".to_owned(),
        });
        let row = Row::Script("g::x".to_owned());
        let now = [(row.clone(), asked.collect())].into_iter().collect();
        let (history, suites) = read(suites.into_iter());
        let html = Results::of(history, suites, &now).of_check(&row);
        let tags = regex::Regex::new("<[^>]*>").unwrap();
        tags.replace_all(&html, "").trim().to_owned()
    }

    #[test]
    fn a_mark_is_of_the_text_and_values_that_ran() {
        let (held, gone) = (Outcome::Held, Outcome::Unknown("gone".into()));
        for (suites, expected) in [
            (
                vec![suite("11-20", "new", &[("a", held.clone())])],
                "✓ held on a; 2026-11-20 09:14 UTC, revision abc",
            ),
            (
                vec![suite("11-20", "old", &[("a", held.clone())])],
                "≠ changed since on a; what was asked then held, 2026-11-20 09:14 UTC, revision abc",
            ),
            (
                vec![
                    suite("11-20", "new", &[("a", failed())]),
                    suite("11-19", "new", &[("a", failed())]),
                    suite("11-18", "old", &[("a", failed())]),
                    suite("11-17", "new", &[("a", held.clone())]),
                ],
                "✗ failing on a (mode: expected 0600, found &lt;0644&gt;); since 2026-11-19 09:14 UTC",
            ),
            (
                vec![
                    suite("11-20", "new", &[("a", gone.clone())]),
                    suite("11-19", "new", &[("a", gone.clone())]),
                    suite("11-18", "new", &[("a", held.clone())]),
                ],
                "? could not look on a (gone); since 2026-11-19 09:14 UTC; held before, 2026-11-18 09:14 UTC, revision abc",
            ),
            (
                vec![
                    suite("11-20", "new", &[("a", gone)]),
                    suite("11-18", "old", &[("a", held.clone())]),
                ],
                "? could not look on a (gone); since 2026-11-20 09:14 UTC",
            ),
            (
                vec![suite("11-20", "new", &[("b", held)])],
                "○ never asked on a",
            ),
        ] {
            assert_eq!(said(&["a"], suites), expected);
        }
    }

    #[test]
    fn a_node_that_is_gone_has_no_mark_and_nothing_is_claimed_without_a_record() {
        assert_eq!(said(&["a"], Vec::new()), "");
        let both = [("a", Outcome::Held), ("gone", Outcome::Held)];
        let shown = said(&["a"], vec![suite("11-20", "new", &both)]);
        assert_eq!(shown, "✓ held on a; 2026-11-20 09:14 UTC, revision abc");
    }
}
