//! Formats explained nodes as text for people, and as JSON and YAML. The text is readable without
//! colour; `paint` adds colour.

use std::fmt::Write;

use serde::Serialize;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use super::container::Way;
use super::explain::{Difference, Explained, Overridden, Place, Row};
use super::{Node, Transport};
use crate::source::visible;
use crate::yaml;

/// Wider values do not widen their column.
const MAX_WIDTH: usize = 60;

const NAME: anstyle::Style = anstyle::Style::new().bold();
const FAINT: anstyle::Style = anstyle::Style::new().dimmed();
const REMOVED: anstyle::Style = anstyle::AnsiColor::Red.on_default();
const ADDED: anstyle::Style = anstyle::AnsiColor::Green.on_default();
const WARNING: anstyle::Style = anstyle::AnsiColor::Yellow.on_default();

/// A node, and each value with its origin.
#[must_use]
pub fn text(node: &Node, values: &[Explained], paint: bool) -> String {
    let mut heading = styled(&node.name, NAME, paint);
    for group in &node.groups {
        heading.push_str(" @");
        heading.push_str(group);
    }
    // Writing to a string cannot fail.
    let _ = writeln!(heading, ", {}", node.transport);
    if values.is_empty() {
        return heading;
    }
    let rows: Vec<_> = values.iter().map(|value| value_row(value, paint)).collect();
    heading + "\n" + &columns(&rows)
}

/// The differences between two nodes, each value with its origin.
#[must_use]
pub fn diff_text(left: &Node, right: &Node, differences: &[Difference], paint: bool) -> String {
    if differences.is_empty() {
        return format!("{} and {} have the same values\n", left.name, right.name);
    }
    let mut rows = vec![
        vec![Cell::new(&format!("- {}", left.name), REMOVED, paint)],
        vec![Cell::new(&format!("+ {}", right.name), ADDED, paint)],
    ];
    for difference in differences {
        rows.push(Vec::new());
        rows.push(vec![Cell::new(
            &format!("  {}", visible(&difference.name)),
            NAME,
            paint,
        )]);
        for (sign, style, side) in [
            ('-', REMOVED, &difference.left),
            ('+', ADDED, &difference.right),
        ] {
            if let Some(value) = side {
                let shown = Cell::new(&format!("{sign} {}", value.shown), style, paint);
                let mut row = vec![shown];
                row.extend(origin_cells(&value.origin, paint));
                rows.push(row);
            }
        }
    }
    columns(&rows)
}

/// Nodes as a table with a heading.
#[must_use]
pub fn table_text(rows: &[Row], paint: bool) -> String {
    let heading =
        ["NODE", "REACHED BY", "GROUPS", "NOTES"].map(|title| Cell::new(title, FAINT, paint));
    let mut cells = vec![heading.into()];
    cells.extend(rows.iter().map(|row| {
        vec![
            Cell::new(&row.node, NAME, paint),
            Cell::plain(&row.reached),
            Cell::plain(&row.groups.join(", ")),
            Cell::plain(&row.notes.join(", ")),
        ]
    }));
    columns(&cells)
}

/// All values of a node as JSON, each with its layer.
#[must_use]
pub fn json(node: &Node, values: &[Explained]) -> String {
    pretty(&NodeJson {
        v: 1,
        node: &node.name,
        groups: &node.groups,
        transport: transport(&node.transport),
        values,
    })
}

/// The differing values of two nodes as JSON.
#[must_use]
pub fn diff_json(left: &Node, right: &Node, differences: &[Difference]) -> String {
    pretty(&DiffJson {
        v: 1,
        left: &left.name,
        right: &right.name,
        differences,
    })
}

/// The list of nodes as JSON.
#[must_use]
pub fn table_json(rows: &[Row]) -> String {
    pretty(&TableJson { v: 1, nodes: rows })
}

/// The evaluated values alone, nested as written: all, or those named.
#[must_use]
pub fn yaml(node: &Node, names: &[String]) -> String {
    let chosen = |name: &str| {
        names.is_empty()
            || names.iter().any(|chosen| {
                chosen == name
                    || chosen
                        .strip_prefix(name)
                        .is_some_and(|rest| rest.starts_with('_'))
            })
    };
    let values = node
        .values
        .iter()
        .filter(|(name, evaluated)| chosen(name) && evaluated.undefined.is_none());
    values
        .map(|(name, evaluated)| yaml::entry_to_yaml(name, &evaluated.value))
        .collect()
}

fn transport(transport: &Transport) -> serde_json::Value {
    match transport {
        Transport::Local => json!("local"),
        Transport::Exec(words) => json!({"exec": words}),
        Transport::Container(container) => json!({
            container.tool.word(): {"name": container.name, "words": container.words(Way::Pipes)}
        }),
        Transport::Ssh(ssh) => json!({ssh.word(): {
            "host": ssh.host,
            "user": ssh.user,
            "port": ssh.port,
            "jump": ssh.jump,
            "identity": ssh.identity,
            "options": ssh.options,
        }}),
    }
}

/// These are structs because their fields keep their order.
#[derive(Serialize)]
struct TableJson<'a> {
    v: u32,
    nodes: &'a [Row],
}

#[derive(Serialize)]
struct NodeJson<'a> {
    v: u32,
    node: &'a str,
    groups: &'a [String],
    transport: serde_json::Value,
    values: &'a [Explained],
}

#[derive(Serialize)]
struct DiffJson<'a> {
    v: u32,
    left: &'a str,
    right: &'a str,
    differences: &'a [Difference],
}

fn pretty(value: &impl Serialize) -> String {
    // This cannot fail for these types: their keys are texts.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Name, value, layer, place, and remarks.
fn value_row(value: &Explained, paint: bool) -> Vec<Cell> {
    let style = if value.undefined.is_some() {
        WARNING
    } else {
        anstyle::Style::new()
    };
    let mut row = vec![
        Cell::new(&format!("  {}", visible(&value.name)), NAME, paint),
        Cell::new(&value.shown, style, paint),
    ];
    row.extend(origin_cells(&value.origin, paint));
    let remark = [
        value.undefined.as_ref().map(|why| format!("({why})")),
        value
            .written
            .as_ref()
            .map(|written| format!("from {}", one_line(written))),
        value.overrode.first().map(|_| overrode(&value.overrode)),
    ];
    let remark = remark.into_iter().flatten().collect::<Vec<_>>().join(", ");
    row.push(Cell::new(&remark, FAINT, paint));
    row
}

fn origin_cells(origin: &Place, paint: bool) -> [Cell; 2] {
    [
        Cell::new(&origin.layer, FAINT, paint),
        Cell::new(&file_and_line(origin), FAINT, paint),
    ]
}

/// `over 8000 (@web nodes.yaml:8), 80 (defaults nodes.yaml:3)`
fn overrode(values: &[Overridden]) -> String {
    let said = values.iter().map(|value| {
        let place = file_and_line(&value.origin);
        let origin = format!("{} {place}", value.origin.layer);
        format!("{} ({})", one_line(&value.value), origin.trim_end())
    });
    format!("over {}", said.collect::<Vec<_>>().join(", "))
}

fn file_and_line(origin: &Place) -> String {
    match (&origin.file, origin.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        _ => String::new(),
    }
}

fn one_line(text: &str) -> String {
    visible(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

struct Cell {
    text: String,
    width: usize,
}

impl Cell {
    fn plain(text: &str) -> Cell {
        Cell {
            text: text.to_owned(),
            width: text.width(),
        }
    }

    fn new(text: &str, style: anstyle::Style, paint: bool) -> Cell {
        Cell {
            text: styled(text, style, paint),
            width: text.width(),
        }
    }
}

fn styled(text: &str, style: anstyle::Style, paint: bool) -> String {
    if paint && !text.is_empty() {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

/// Rows with aligned columns, separated by two spaces, without spaces at the ends of lines.
fn columns(rows: &[Vec<Cell>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let widths = rows
            .iter()
            .filter(|row| row.len() > column + 1)
            .map(|row| row[column].width);
        widths
            .filter(|width| *width <= MAX_WIDTH)
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<_> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        line(&mut text, row, &widths);
    }
    text
}

fn line(text: &mut String, row: &[Cell], widths: &[usize]) {
    let last = row.iter().rposition(|cell| cell.width > 0);
    for (column, cell) in row.iter().enumerate().take(last.map_or(0, |last| last + 1)) {
        text.push_str(&cell.text);
        if Some(column) != last {
            text.push_str(&" ".repeat(widths[column].saturating_sub(cell.width) + 2));
        }
    }
    text.push('\n');
}
