//! Charts as SVG within the page: with the colours of the page's theme, a different sign for each
//! state, and a sentence as the alternative text.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::html::{attribute, text};
use super::results::{KINDS, minute};

/// How many checks of a group have which state on a node.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub(super) counts: [usize; 6],
}

pub(super) struct Table<'a> {
    pub(super) columns: &'a [&'a str],
    /// The worst first.
    pub(super) rows: Vec<(&'a str, Vec<Option<Cell>>)>,
    /// A sentence that describes the whole.
    pub(super) label: &'a str,
}

/// The most rows and columns that a person can read; the table below contains everything.
const ROWS: usize = 200;
const COLUMNS: usize = 80;
const SIZE: usize = 20;
const STEP: usize = 23;
/// The width of a letter in a label.
const LETTER: usize = 7;

impl Cell {
    fn worst(self) -> usize {
        let found = self.counts.iter().position(|count| *count > 0);
        found.unwrap_or(KINDS.len() - 1)
    }
}

/// A square for each node and group, with the sign of its worst check.
pub(super) fn table(table: &Table<'_>) -> String {
    let columns = &table.columns[..table.columns.len().min(COLUMNS)];
    let rows = &table.rows[..table.rows.len().min(ROWS)];
    let left = label_room(rows.iter().map(|(name, _)| *name));
    let top = label_room(columns.iter().copied()) * 3 / 4 + 10;
    let lean = top * 2 / 3;
    let width = left + columns.len() * STEP + lean;
    let more = table.rows.len() - rows.len();
    let height = top + rows.len() * STEP + if more > 0 { 24 } else { 4 };
    let mut svg = begin("ops-matrix", table.label, width, height);
    for (index, name) in columns.iter().enumerate() {
        let (x, y) = (left + index * STEP + SIZE / 2, top - 6);
        let _ = write!(
            svg,
            "<text x=\"{x}\" y=\"{y}\" transform=\"rotate(-45 {x} {y})\">{}</text>",
            text(&short(name))
        );
    }
    for (index, (name, cells)) in rows.iter().enumerate() {
        let y = top + index * STEP;
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            left - 8,
            y + 15,
            text(&short(name))
        );
        for (column, cell) in cells.iter().take(columns.len()).enumerate() {
            if let Some(cell) = cell {
                square(
                    &mut svg,
                    left + column * STEP,
                    y,
                    *cell,
                    name,
                    columns[column],
                );
            }
        }
    }
    if more > 0 {
        let y = top + rows.len() * STEP + 16;
        let _ = write!(
            svg,
            "<text x=\"0\" y=\"{y}\">and {more} nodes more, none of which stands worse</text>"
        );
    }
    svg + "</svg></div>" + &legend()
}

fn square(svg: &mut String, x: usize, y: usize, cell: Cell, node: &str, group: &str) {
    let (kind, sign, words) = KINDS[cell.worst()];
    let _ = write!(
        svg,
        "<g class=\"ops-{kind}\"><rect x=\"{x}\" y=\"{y}\" width=\"{SIZE}\" height=\"{SIZE}\" rx=\"3\"/>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{sign}</text>",
        x + SIZE / 2,
        y + 15
    );
    if kind != "passed" {
        let count = cell.counts[cell.worst()];
        let title = format!("{node}, {group}: {count} {words}");
        let _ = write!(svg, "<title>{}</title>", text(&title));
    }
    svg.push_str("</g>");
}

fn legend() -> String {
    let all = KINDS.iter().map(|(kind, sign, words)| {
        format!("<span class=\"ops-result ops-{kind}\"><strong>{sign}</strong> {words}</span> ")
    });
    format!("<p class=\"ops-legend\">{}</p>", all.collect::<String>())
}

/// A bar for each suite: passed above failed and not evaluated.
pub(super) fn bars(suites: impl Iterator<Item = (Timestamp, [usize; 4])>) -> String {
    const HEIGHT: usize = 80;
    let suites: Vec<_> = suites.collect();
    let most = suites.iter().map(|(_, counts)| counts.iter().sum()).max();
    let most: usize = most.unwrap_or(1).max(1);
    let label = format!(
        "The last {} recordings, the newest at the right",
        suites.len()
    );
    let mut svg = begin("ops-bars", &label, suites.len() * 18 + 4, HEIGHT + 4);
    for (index, (at, counts)) in suites.iter().enumerate() {
        let [passed, failed, unseen, ignored] = *counts;
        let title = format!(
            "{}: {passed} passed, {failed} failed, {unseen} could not look",
            minute(*at)
        );
        let _ = write!(svg, "<g><title>{}</title>", text(&title));
        let mut y = HEIGHT;
        for (kind, count) in [
            ("failed", failed),
            ("unseen", unseen),
            ("ignored", ignored),
            ("passed", passed),
        ] {
            // A single one among many must be visible.
            let tall = (count * HEIGHT).div_ceil(most).min(y);
            y -= tall;
            if tall > 0 {
                let _ = write!(
                    svg,
                    "<rect class=\"ops-{kind}\" x=\"{}\" y=\"{y}\" width=\"14\" height=\"{tall}\"/>",
                    index * 18 + 2
                );
            }
        }
        svg.push_str("</g>");
    }
    svg + "</svg></div>"
}

fn begin(class: &str, label: &str, width: usize, height: usize) -> String {
    format!(
        "<div class=\"ops-wide\"><svg class=\"{class}\" role=\"img\" aria-label=\"{}\" \
         viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">",
        attribute(label)
    )
}

/// Names up to this length are shown completely.
const LONG: usize = 28;

fn short(name: &str) -> String {
    if name.chars().count() <= LONG {
        return name.to_owned();
    }
    let kept: String = name.chars().take(LONG - 1).collect();
    kept + "…"
}

fn label_room<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let longest = names.map(|name| short(name).chars().count()).max();
    longest.unwrap_or(0) * LETTER + 12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_worst_sign_of_each_square_and_ends_no_page() {
        let cell = |counts| Some(Cell { counts });
        let rows = vec![
            ("<b>&", vec![cell([1, 0, 0, 4, 0, 0]), None]),
            ("web2", vec![cell([0, 0, 0, 4, 0, 0]), cell([0; 6])]),
        ];
        let svg = table(&Table {
            columns: &["web", "db"],
            rows,
            label: "\"a\"",
        });
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(svg.contains("&lt;b&gt;&amp;, web: 1 failing"), "{svg}");
        assert!(!svg.contains("<b>") && svg.contains("aria-label=\"&quot;a&quot;\""));
        let many: Vec<String> = (0..500).map(|n| format!("n{n}")).collect();
        let rows = many.iter().map(|name| (name.as_str(), vec![cell([0; 6])]));
        let svg = table(&Table {
            columns: &["g"],
            rows: rows.collect(),
            label: "",
        });
        assert!(svg.contains("and 300 nodes more"), "{svg}");
    }
}
