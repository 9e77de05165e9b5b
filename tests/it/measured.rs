//! The chapter of measurements, generated from the rows and the recorded results, so that no number
//! in it is typed. `OPSBOOK_BLESS=1` rewrites it.

#[path = "../../benches/bench/measured.rs"]
mod rows;

use std::fmt::Write as _;
use std::path::Path;

use rows::{Found, Measured, PEERS, ROWS, Row, Unit, read};

const INTRODUCTION: &str = "\
# Measured

What opsbook costs, beside what the same work costs without it. A ratio compares two things that were measured in turns, in the same minute on the same machine: 1.00 is as fast as the other, less is faster. Everything counts, the start of the program, the connection and its end included.

Made from `benches/measured.json` by `tests/it/measured.rs`, which fails where this page says anything else. `just measure` measures everything anew and writes both; one row is measured by the command that it names, after `cargo bench --bench`.

";

fn chapter(measured: &Measured) -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut area = "";
    for row in &ROWS {
        if row.area != area {
            area = row.area;
            let _ = write!(
                text,
                "## {area}\n\n| what | beside | asked | measured | command | day |\n|---|---|---|---|---|---|\n"
            );
        }
        text.push_str(&line(row, measured.get(row.id)));
        let next = ROWS.iter().skip_while(|other| other.id != row.id).nth(1);
        if next.is_none_or(|next| next.area != area) {
            text.push('\n');
        }
    }
    text + &where_and_when(measured) + &others()
}

fn line(row: &Row, found: Option<&Found>) -> String {
    let beside = match row.unit {
        Unit::Times(floor) => floor,
        _ => "",
    };
    let asked = row.asked.map_or(String::new(), |asked| {
        format!("at most {}", row.unit.shown(asked))
    });
    let (value, day) = match found {
        None => ("not measured".to_owned(), ""),
        Some(found) => {
            let missed = row.asked.is_some_and(|asked| found.value > asked);
            let missed = if missed { "**, not met**" } else { "" };
            let value = row.unit.shown(found.value);
            (
                format!("{value}{missed}: {}", found.said),
                found.date.as_str(),
            )
        }
    };
    format!(
        "| {} | {beside} | {asked} | {value} | `{}` | {day} |\n",
        row.what, row.command
    )
}

fn where_and_when(measured: &Measured) -> String {
    let mut machines: Vec<(&str, f64, f64)> = Vec::new();
    for found in measured.values() {
        match machines
            .iter_mut()
            .find(|(name, ..)| *name == found.machine)
        {
            Some((_, least, most)) => {
                *least = least.min(found.load);
                *most = most.max(found.load);
            }
            None => machines.push((&found.machine, found.load, found.load)),
        }
    }
    let mut text = String::from("## Where\n\n");
    for (machine, least, most) in machines {
        let _ = writeln!(
            text,
            "- {machine}; load of the machine in the minute before, the measurement's own included: {least:.1} to {most:.1}"
        );
    }
    if measured.is_empty() {
        text.push_str("Nothing is recorded.\n");
    }
    text.push('\n');
    text
}

fn others() -> String {
    let mut text = String::from(
        "## Other tools\n\nAs the people who asked for opsbook measured them, on machines of theirs; not measured again here. Ratios to the same floors.\n\n| what | ratios |\n|---|---|\n",
    );
    for (what, ratios) in PEERS {
        let _ = writeln!(text, "| {what} | {ratios} |");
    }
    text
}

#[test]
fn the_chapter_is_what_was_measured() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manual/measured.md");
    let chapter = chapter(&read());
    if std::env::var_os("OPSBOOK_BLESS").is_some() {
        std::fs::write(&path, &chapter).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == chapter,
        "run this test with OPSBOOK_BLESS=1 to write the chapter anew"
    );
}

#[test]
fn what_was_measured_has_a_row() {
    let known = |id: &String| ROWS.iter().any(|row| row.id == id);
    let unknown: Vec<String> = read().into_keys().filter(|id| !known(id)).collect();
    assert_eq!(unknown, [""; 0]);
}

#[test]
fn a_row_says_what_was_asked_and_whether_it_is_met() {
    let row = &ROWS[0];
    assert_eq!(
        line(row, None),
        "| ten trivial steps, durable and journalled | one `ssh` with the same commands in one script | at most 1.25 | not measured | `run -- steps` |  |\n"
    );
    let found = Found {
        value: 1.7,
        said: "2s beside 1s".to_owned(),
        date: "2026-11-21".to_owned(),
        machine: "m".to_owned(),
        load: 1.0,
    };
    let line = line(row, Some(&found));
    assert!(
        line.contains("| 1.70**, not met**: 2s beside 1s | `run -- steps` | 2026-11-21 |"),
        "{line}"
    );
}
