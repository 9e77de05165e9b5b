//! The state page: results of `opsbook test --record` for all nodes and groups. A chart, the most
//! urgent problems, coverage, history; and the same data as JSON.

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::manual::{Coverage, Manual, coverage};

use super::html::{attribute, code, text};
use super::matrix::{self, Cell, Table};
use super::results::{KINDS, Mark, Results, State, day};

/// The title of the page.
pub(super) const TITLE: &str = "State of the manual";
/// Its path in the book.
pub(super) const PAGE: &str = "opsbook-state.md";
/// The placeholder of the chart: SVG cannot pass through Markdown.
pub(super) const PICTURE: &str = "<div class=\"ops-put-state\"></div>";
pub(super) const HISTORY: &str = "<div class=\"ops-put-history\"></div>";
/// How many recordings are shown.
const SUITES: usize = 30;
const STATES: &str = "<th>Failing</th><th>Could not look</th><th>Changed since</th><th>Held</th>\
                      <th>Ignored</th><th>Never asked</th>";
const COUNTS: &str = "<th>Passed</th><th>Failed</th><th>Could not look</th><th>Ignored</th>";

/// The address of a check in the book, by the name of its test.
pub(super) type Places<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The data of the page.
pub(super) struct Numbers<'a> {
    results: &'a Results,
    coverage: Coverage,
    /// By node and group, the number of checks in each state. Worst nodes first.
    nodes: Vec<(&'a str, IndexMap<&'a str, [usize; 6]>)>,
    groups: Vec<&'a str>,
}

impl<'a> Numbers<'a> {
    pub(super) fn of(results: &'a Results, manual: &Manual) -> Numbers<'a> {
        let mut nodes: IndexMap<&str, IndexMap<&str, [usize; 6]>> = IndexMap::new();
        let mut groups: IndexMap<&str, ()> = IndexMap::new();
        for mark in results.rows().flat_map(|(_, marks)| marks) {
            let group = group_of(mark);
            groups.entry(group).or_default();
            let of_node = nodes.entry(&mark.node).or_default();
            of_node.entry(group).or_default()[mark.state.place()] += 1;
        }
        let mut nodes: Vec<_> = nodes.into_iter().collect();
        nodes.sort_by_key(|(name, groups)| {
            let all = sum(groups.values());
            (std::cmp::Reverse((all[0], all[1], all[2])), *name)
        });
        Numbers {
            results,
            coverage: coverage(manual),
            nodes,
            groups: groups.into_keys().collect(),
        }
    }

    fn total(&self) -> [usize; 6] {
        sum(self.nodes.iter().flat_map(|(_, groups)| groups.values()))
    }

    /// One sentence, also for readers who cannot see the chart.
    fn sentence(&self) -> String {
        let total = self.total();
        let parts = KINDS.iter().zip(total).filter(|(_, count)| *count > 0);
        let parts: Vec<String> = parts
            .map(|((_, _, words), count)| format!("{count} {words}"))
            .collect();
        format!("On {} nodes: {}.", self.nodes.len(), parts.join(", "))
    }

    /// The chart: a row for each node, a column for each group.
    pub(super) fn picture(&self) -> String {
        let rows = self.nodes.iter().map(|(node, groups)| {
            let cell = |group: &&str| groups.get(*group).map(|counts| Cell { counts: *counts });
            (*node, self.groups.iter().map(cell).collect())
        });
        matrix::table(&Table {
            columns: &self.groups,
            rows: rows.collect(),
            label: &self.sentence(),
        })
    }

    /// The last recordings, the newest on the right.
    pub(super) fn history(&self) -> String {
        let suites: Vec<_> = self.results.suites().iter().take(SUITES).collect();
        matrix::bars(suites.iter().rev().map(|suite| (suite.at, suite.counts)))
    }

    /// The page, in Markdown with HTML.
    pub(super) fn page(&self, place: Places<'_>) -> String {
        let mut page = format!(
            "# {TITLE}\n\n<p class=\"ops-state\">{} What `opsbook test --record` found: how it was \
             then, and nothing of today. <em>Held</em> and <em>failing</em> are said of a check \
             whose text and values are those that were asked. The same numbers for machines: \
             <a href=\"opsbook/state.json\">state.json</a>.</p>\n\n{PICTURE}\n\n",
            text(&self.sentence())
        )
        .replace("`opsbook test --record`", &code("opsbook test --record"));
        page += &self.dead();
        page += &self.checks(place);
        page += &self.as_table();
        page += &self.of_chapters();
        page += &self.of_suites();
        page += &self.gone();
        page
    }

    /// One line for each node that did not answer.
    fn dead(&self) -> String {
        let dead = self.results.dead();
        if dead.is_empty() {
            return String::new();
        }
        let rows = dead.iter().map(|(node, dead)| {
            format!(
                "<tr class=\"ops-is-unseen\"><td class=\"ops-of\">{}</td><td>{}</td>\
                 <td class=\"ops-when\">{}</td><td>{}</td></tr>",
                code(node),
                text(&dead.why),
                day(dead.since),
                dead.checks
            )
        });
        let head = "<th>Node</th><th>Why</th><th>Since</th><th>Checks</th>";
        section(
            "Nodes that could not be looked at",
            head,
            &rows.collect::<String>(),
        )
    }

    fn checks(&self, place: Places<'_>) -> String {
        let mut rows: Vec<_> = self.results.rows().collect();
        rows.sort_by_key(|(_, marks)| self.worst(marks));
        let rows = rows.into_iter().filter_map(|(_, marks)| {
            let check = marks.first()?.check.as_str();
            let name = match place(check) {
                Some(place) => format!("<a href=\"{}\">{}</a>", attribute(&place), code(check)),
                None => code(check),
            };
            let kind = KINDS.get(self.worst(marks)).map_or("never", |kind| kind.0);
            let found = self.results.shown(marks);
            Some(format!(
                "<tr class=\"ops-is-{kind}\"><td class=\"ops-of\">{name}</td><td>{found}</td></tr>"
            ))
        });
        let head = "<th>Check</th><th>How it stands</th>";
        section("Checks", head, &rows.collect::<String>())
    }

    /// The state of a check on the nodes that could be evaluated; the most urgent first.
    fn worst(&self, marks: &[Mark]) -> usize {
        let alive = marks
            .iter()
            .filter(|mark| !self.results.dead().contains_key(&mark.node));
        let worst = alive.map(|mark| mark.state.place()).min();
        worst.unwrap_or(1)
    }

    fn as_table(&self) -> String {
        let rows = self.nodes.iter().map(|(node, groups)| {
            let failing = groups.iter().filter(|(_, counts)| counts[0] > 0);
            let failing: Vec<String> = failing.map(|(group, _)| code(group)).collect();
            let all = sum(groups.values());
            let kind = all.iter().position(|count| *count > 0).unwrap_or(5);
            format!(
                "<tr class=\"ops-is-{}\"><td class=\"ops-of\">{}</td>{}<td>{}</td></tr>",
                KINDS[kind].0,
                code(node),
                cells(&all),
                failing.join(", ")
            )
        });
        let head = format!("<th>Node</th>{STATES}<th>Failing groups</th>");
        section("Nodes", &head, &rows.collect::<String>())
    }

    /// The coverage of each chapter.
    fn of_chapters(&self) -> String {
        let rows = self.coverage.pages.iter().map(|page| {
            let counts = page.counts;
            let numbers = [
                counts.steps,
                counts.checks,
                counts.examples,
                counts.undeclared,
            ];
            let path = page.path.to_string_lossy();
            format!(
                "<tr><td class=\"ops-of\">{}</td>{}</tr>",
                code(&path),
                cells(&numbers)
            )
        });
        let head = "<th>Chapter</th><th>Steps</th><th>Checks</th><th>Examples</th>\
                    <th>Undeclared</th>";
        section("Chapters", head, &rows.collect::<String>())
    }

    fn of_suites(&self) -> String {
        let rows = self.results.suites().iter().take(SUITES).map(|suite| {
            let when = day(suite.at);
            format!(
                "<tr><td class=\"ops-when\">{when}</td>{}</tr>",
                cells(&suite.counts)
            )
        });
        let head = format!("<th>Ended</th>{COUNTS}");
        let table = section("The newest suites", &head, &rows.collect::<String>());
        table.replacen("\n\n", &format!("\n\n{HISTORY}\n\n"), 1)
    }

    fn gone(&self) -> String {
        if self.results.gone().is_empty() {
            return String::new();
        }
        let rows = self.results.gone().iter().map(|(check, node, at)| {
            format!(
                "<tr><td class=\"ops-of\">{}</td><td>{}</td><td class=\"ops-when\">{}</td></tr>",
                code(check),
                code(node),
                day(*at)
            )
        });
        let head = "<th>Check</th><th>Node</th><th>Asked last</th>";
        section("No longer asked", head, &rows.collect::<String>())
    }

    /// The same as JSON.
    pub(super) fn json(&self) -> Value {
        let named = |counts: &[usize; 6]| -> Value {
            let pairs = KINDS.iter().zip(counts);
            pairs
                .map(|((kind, _, _), count)| ((*kind).to_owned(), json!(count)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let nodes = self.nodes.iter().map(|(node, groups)| {
            let groups = groups.iter().map(|(group, counts)| {
                let group = (*group).to_owned();
                (group, named(counts))
            });
            let groups: serde_json::Map<_, _> = groups.collect();
            json!({"node": node, "groups": groups})
        });
        let dead = self.results.dead().iter();
        let dead = dead.map(
            |(node, dead)| json!({"node": node, "why": dead.why, "since": dead.since.to_string()}),
        );
        let marks = self.results.rows().flat_map(|(_, marks)| marks);
        let checks = marks.map(|mark| {
            let (at, why) = said(&mark.state);
            json!({
                "check": mark.check, "node": mark.node, "state": KINDS[mark.state.place()].0,
                "at": at, "why": why,
            })
        });
        let suites = self.results.suites().iter().take(SUITES).map(|suite| {
            let [passed, failed, errors, ignored] = suite.counts;
            json!({
                "at": suite.at.to_string(), "passed": passed, "failed": failed,
                "could_not_look": errors, "ignored": ignored,
            })
        });
        json!({
            "v": 1,
            "total": named(&self.total()),
            "nodes": nodes.collect::<Vec<_>>(),
            "dead": dead.collect::<Vec<_>>(),
            "checks": checks.collect::<Vec<_>>(),
            "coverage": self.coverage,
            "suites": suites.collect::<Vec<_>>(),
        })
    }
}

/// When it was last seen, and its message.
fn said(state: &State) -> (Option<String>, Option<&str>) {
    let seen = match state {
        State::Failing { newest, .. }
        | State::Unseen { newest, .. }
        | State::Changed { newest, .. }
        | State::Held(newest)
        | State::Ignored(newest) => newest,
        State::Never => return (None, None),
    };
    let why = Some(seen.why.as_str()).filter(|why| !why.is_empty());
    (Some(seen.at.to_string()), why)
}

/// The group or procedure of a check.
fn group_of(mark: &Mark) -> &str {
    let check = mark.check.as_str();
    check.split_once("::").map_or(check, |(group, _)| group)
}

fn sum<'c>(all: impl Iterator<Item = &'c [usize; 6]>) -> [usize; 6] {
    all.fold([0; 6], |mut sum, counts| {
        for (sum, count) in sum.iter_mut().zip(counts) {
            *sum += count;
        }
        sum
    })
}

fn section(title: &str, head: &str, rows: &str) -> String {
    format!(
        "## {title}\n\n<div class=\"ops-wide ops-sifted\"><table><thead><tr>{head}</tr></thead>\
         <tbody>{rows}</tbody></table></div>\n\n"
    )
}

fn cells(counts: &[usize]) -> String {
    counts
        .iter()
        .map(|count| format!("<td>{count}</td>"))
        .collect()
}
