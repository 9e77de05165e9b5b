//! The page of all results, in Markdown with HTML: what fails first, a line for each node and
//! each check, what was never asked, what is gone, the newest suites.

use std::collections::BTreeMap;

use super::html::{attribute, code};
use super::results::{Mark, Results, day};

/// What the page is called.
pub(super) const TITLE: &str = "Results of checks";
const STATES: &str = "<th>Failing</th><th>Could not look</th><th>Changed since</th><th>Held</th>\
                      <th>Ignored</th><th>Never asked</th>";
const COUNTS: &str = "<th>Passed</th><th>Failed</th><th>Could not look</th><th>Ignored</th>";

/// Where a check stands in the book, by the name of its test.
pub(super) type Places<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The page.
pub(super) fn page(results: &Results, place: Places<'_>) -> String {
    let mut page = format!(
        "# {TITLE}\n\n\
         What `opsbook test --record` found. *Held* and *failing* are said of a check whose text and \
         values are those that were asked; of any other it is said that it has changed since. A result \
         says how it was then, and nothing of today.\n\n"
    );
    page += &of_nodes(results);
    page += &of_checks(results, place);
    page += &gone(results);
    page += &of_suites(results);
    page
}

fn of_nodes(results: &Results) -> String {
    let mut nodes: BTreeMap<&str, [usize; 6]> = BTreeMap::new();
    for mark in results.rows().flat_map(|(_, marks)| marks) {
        nodes.entry(&mark.node).or_default()[mark.state.place()] += 1;
    }
    let mut nodes: Vec<_> = nodes.into_iter().collect();
    // What needs a person first.
    nodes.sort_by_key(|(name, counts)| (std::cmp::Reverse((counts[0], counts[1])), *name));
    let rows = nodes.iter().map(|(node, counts)| {
        format!(
            "<tr><td class=\"ops-of\">{}</td>{}</tr>",
            code(node),
            cells(counts)
        )
    });
    let head = format!("<th>Node</th>{STATES}");
    section("Nodes", &head, &rows.collect::<String>())
}

fn of_checks(results: &Results, place: Places<'_>) -> String {
    let mut rows: Vec<_> = results.rows().collect();
    let worst = |marks: &[Mark]| marks.iter().map(|mark| mark.state.place()).min();
    rows.sort_by_key(|(_, marks)| worst(marks).unwrap_or(usize::MAX));
    let rows = rows.into_iter().filter_map(|(row, marks)| {
        let check = marks.first()?.check.as_str();
        let name = match place(check) {
            Some(place) => format!("<a href=\"{}\">{}</a>", attribute(&place), code(check)),
            None => code(check),
        };
        let found = results.of_check(row);
        Some(format!(
            "<tr><td class=\"ops-of\">{name}</td><td>{found}</td></tr>"
        ))
    });
    let head = "<th>Check</th><th>How it stands</th>";
    section("Checks", head, &rows.collect::<String>())
}

fn gone(results: &Results) -> String {
    if results.gone().is_empty() {
        return String::new();
    }
    let rows = results.gone().iter().map(|(check, node, at)| {
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

fn of_suites(results: &Results) -> String {
    let rows = results.suites().iter().take(20).map(|suite| {
        let when = day(suite.at);
        format!(
            "<tr><td class=\"ops-when\">{when}</td>{}</tr>",
            cells(&suite.counts)
        )
    });
    let head = format!("<th>Ended</th>{COUNTS}");
    section("The newest suites", &head, &rows.collect::<String>())
}

fn section(title: &str, head: &str, rows: &str) -> String {
    format!(
        "## {title}\n\n<div class=\"ops-wide\"><table><thead><tr>{head}</tr></thead>\
         <tbody>{rows}</tbody></table></div>\n\n"
    )
}

fn cells(counts: &[usize]) -> String {
    counts
        .iter()
        .map(|count| format!("<td>{count}</td>"))
        .collect()
}
