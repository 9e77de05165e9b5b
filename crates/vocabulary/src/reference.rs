//! The vocabulary's documentation: a chapter of the book, and text for a terminal. Everything comes
//! from the headers of the probes.

use std::fmt::Write;

use crate::header::{COMMON, Kind};
use crate::{ArgumentKind, Vocabulary};

/// One row of a kind's table.
struct Row {
    name: String,
    takes: &'static str,
    meaning: String,
}

/// The reference chapter, in Markdown.
#[must_use]
pub fn chapter(vocabulary: &Vocabulary) -> String {
    let mut text = include_str!("reference.md").to_owned();
    text.push_str("\n## Attributes that every type has\n\n| attribute | meaning |\n|---|---|\n");
    for (name, meaning) in COMMON {
        row(&mut text, &[&format!("`{name}`"), meaning]);
    }
    text.push_str("\n## Types\n");
    for kind in vocabulary.types() {
        section(&mut text, kind);
    }
    text
}

/// All kinds, one per line.
#[must_use]
pub fn list(vocabulary: &Vocabulary) -> String {
    let width = vocabulary.types().map(|kind| kind.name.len()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for kind in vocabulary.types() {
        let own = if kind.builtin {
            ""
        } else {
            "  (of this project)"
        };
        line(
            &mut text,
            &format!("{:width$}  {}{own}", kind.name, kind.title),
        );
    }
    text
}

/// One kind, for a terminal.
#[must_use]
pub fn explain(kind: &Kind) -> String {
    let mut text = String::new();
    line(&mut text, &format!("{}: {}", kind.name, kind.title));
    if !kind.about.is_empty() {
        line(&mut text, &format!("\n{}", kind.about));
    }
    let (told, expected) = (told(kind), expected(kind));
    let all = told.iter().chain(&expected);
    let width = all.map(|row| row.name.len()).max().unwrap_or_default();
    for (title, rows) in [("Resource and options", told), ("Expectations", expected)] {
        line(&mut text, &format!("\n{title}:"));
        for row in rows {
            line(
                &mut text,
                &format!("  {:width$}  {} ({})", row.name, row.meaning, row.takes),
            );
        }
    }
    if let Some(tools) = &kind.tools {
        line(&mut text, &format!("\nNeeds on the node: {tools}"));
    }
    if !kind.examples.is_empty() {
        line(&mut text, &format!("\nExample:\n  {}:", kind.name));
        for example in &kind.examples {
            line(&mut text, &format!("    {example}"));
        }
    }
    text
}

fn section(text: &mut String, kind: &Kind) {
    line(
        text,
        &format!("\n### {}\n\n{}.", kind.name, capital(&kind.title)),
    );
    if !kind.about.is_empty() {
        line(text, &format!("\n{}", kind.about));
    }
    if !kind.examples.is_empty() {
        line(text, &format!("\n```yaml\n{}:", kind.name));
        for example in &kind.examples {
            line(text, &format!("  {example}"));
        }
        line(text, "```");
    }
    line(
        text,
        "\n| resource and options | takes | meaning |\n|---|---|---|",
    );
    for told in told(kind) {
        row(
            text,
            &[&format!("`{}`", told.name), told.takes, &told.meaning],
        );
    }
    line(text, "\n| expectations | is | meaning |\n|---|---|---|");
    for expected in expected(kind) {
        row(
            text,
            &[
                &format!("`{}`", expected.name),
                expected.takes,
                &expected.meaning,
            ],
        );
    }
    if let Some(tools) = &kind.tools {
        line(text, &format!("\nNeeds on the node: {tools}."));
    }
}

fn told(kind: &Kind) -> Vec<Row> {
    let arguments = std::iter::once(&kind.key).chain(&kind.arguments);
    let row = |argument: &crate::Argument| {
        let mut meaning = argument.help.clone();
        if argument.name == kind.key.name {
            meaning.push_str("; if absent, the name of the check");
        }
        if let Some(default) = &argument.default {
            let unit = match argument.kind {
                ArgumentKind::Milliseconds => " ms",
                _ => "",
            };
            let _ = write!(meaning, "; {default}{unit} if absent");
        }
        Row {
            name: argument.name.clone(),
            takes: argument.kind.describe(),
            meaning,
        }
    };
    arguments.map(row).collect()
}

fn expected(kind: &Kind) -> Vec<Row> {
    let row = |fact: &crate::Fact| {
        let mut meaning = fact.help.clone();
        if let Some(default) = &fact.default {
            let _ = write!(meaning, "; expected to be `{default}` if absent");
        }
        if let Some(alias) = &fact.alias {
            let _ = write!(meaning, "; also called `{alias}`");
        }
        Row {
            name: fact.name.clone(),
            takes: fact.kind.describe(),
            meaning,
        }
    };
    kind.facts.iter().map(row).collect()
}

fn row(text: &mut String, cells: &[&str]) {
    text.push('|');
    for cell in cells {
        let _ = write!(text, " {} |", cell.replace('|', "\\|"));
    }
    text.push('\n');
}

fn line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().to_string() + chars.as_str()
    })
}
