//! Prints a suite like libtest, in its three formats, with additions for tests that could not be
//! evaluated: a word, a count and a line. Parsers of libtest's output find what they expect.

use std::io::{self, Write};

use serde_json::json;

use crate::course::Course;
use crate::event::{CaseRecord, Outcome};
use crate::tested::{Results, Tested};

/// libtest's output formats, by `--format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One line for each test.
    #[default]
    Pretty,
    /// One character for each test.
    Terse,
    /// Events, one JSON object per line.
    Json,
}

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

/// Prints tests in order. Each line is printed as a whole, so that other messages cannot split it.
pub struct Lines<W> {
    out: W,
    format: Format,
    /// Widths of the columns for node and name.
    widths: (usize, usize),
    stage: Stage,
}

/// What to print next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Title,
    /// The start of this test.
    Start(usize),
    /// The result of this test.
    End(usize),
    Done,
}

impl<W: Write> Lines<W> {
    /// Prints to a writer.
    pub fn new(out: W, format: Format) -> Lines<W> {
        Lines {
            out,
            format,
            widths: (0, 0),
            stage: Stage::Title,
        }
    }

    /// Whether the course has results that are not printed yet.
    #[must_use]
    pub fn is_behind(&self, course: &Course) -> bool {
        match self.stage {
            Stage::Title => course.has_started(),
            Stage::Start(number) | Stage::End(number) => {
                number < course.results().tests.len() || course.has_ended()
            }
            Stage::Done => false,
        }
    }

    /// The column of the cursor.
    #[must_use]
    pub fn column(&self) -> usize {
        match (self.format, self.stage) {
            (Format::Terse, Stage::Start(number) | Stage::End(number)) => number,
            _ => 0,
        }
    }

    /// Prints the new results.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn show(&mut self, course: &Course) -> io::Result<()> {
        let results = course.results();
        if self.stage == Stage::Title && course.has_started() {
            self.title(course)?;
            self.stage = Stage::Start(0);
        }
        loop {
            match self.stage {
                Stage::Start(number) => {
                    let waited = || course.waiting().next().map(CaseRecord::name);
                    let tested = results.tests.get(number);
                    match tested.map(|test| test.name.clone()).or_else(waited) {
                        Some(name) => self.started(&name)?,
                        None if course.has_ended() => {
                            self.summary(results)?;
                            self.stage = Stage::Done;
                            break;
                        }
                        None => break,
                    }
                    self.stage = Stage::End(number);
                }
                Stage::End(number) => match results.tests.get(number) {
                    Some(test) => {
                        self.ended(test)?;
                        self.stage = Stage::Start(number + 1);
                    }
                    None => break,
                },
                Stage::Title | Stage::Done => break,
            }
        }
        self.out.flush()
    }

    fn title(&mut self, course: &Course) -> io::Result<()> {
        let ended = course.results().tests.iter();
        let ended = ended.map(|test| (test.node.as_str(), test.name.chars().count()));
        let waiting = course.waiting();
        let waiting = waiting.map(|case| (case.node.as_str(), case.name().chars().count()));
        let mut tests = 0;
        for (node, name) in ended.chain(waiting) {
            tests += 1;
            let (first, second) = self.widths;
            self.widths = (first.max(node.chars().count() + 3), second.max(name));
        }
        match self.format {
            Format::Pretty | Format::Terse => {
                let plural = if tests == 1 { "" } else { "s" };
                writeln!(self.out, "\nrunning {tests} test{plural}")
            }
            Format::Json => writeln!(
                self.out,
                r#"{{ "type": "suite", "event": "started", "test_count": {tests} }}"#
            ),
        }
    }

    fn started(&mut self, name: &str) -> io::Result<()> {
        match self.format {
            Format::Json => writeln!(
                self.out,
                r#"{{ "type": "test", "event": "started", "name": {} }}"#,
                json!(name)
            ),
            Format::Pretty | Format::Terse => Ok(()),
        }
    }

    fn ended(&mut self, test: &Tested) -> io::Result<()> {
        let (colour, word, letter) = match &test.checked.outcome {
            Outcome::Held => (GREEN, "ok".to_owned(), '.'),
            Outcome::Failed(_) => (RED, "FAILED".to_owned(), 'F'),
            Outcome::Unknown(_) => (YELLOW, "COULD NOT LOOK".to_owned(), '?'),
            Outcome::Ignored(why) => (YELLOW, format!("ignored ({why})"), 'i'),
        };
        match self.format {
            Format::Pretty => {
                let (kind, name) = (format!("[{}] ", test.node), &test.name);
                let (first, second) = self.widths;
                writeln!(
                    self.out,
                    "test {kind:first$}{name:second$} ... {colour}{word}{PLAIN}"
                )
            }
            Format::Terse => write!(self.out, "{colour}{letter}{PLAIN}"),
            Format::Json => self.ended_json(test),
        }
    }

    /// libtest has three events; the reason distinguishes failed from not evaluated.
    fn ended_json(&mut self, test: &Tested) -> io::Result<()> {
        let (event, reason) = match &test.checked.outcome {
            Outcome::Held => ("ok", ""),
            Outcome::Ignored(_) => ("ignored", ""),
            Outcome::Failed(_) => ("failed", ""),
            Outcome::Unknown(_) => ("failed", r#", "reason": "could not look""#),
        };
        let said = match event {
            "failed" => {
                let said = format!("Error: \"{}\"\n", test.story().trim_end());
                format!(", \"stdout\": {}", json!(said))
            }
            _ => String::new(),
        };
        writeln!(
            self.out,
            r#"{{ "type": "test", "name": {}, "event": "{event}"{reason}{said} }}"#,
            json!(test.name)
        )
    }

    /// After all tests: what failed, what could not be evaluated, and the counts.
    fn summary(&mut self, results: &Results) -> io::Result<()> {
        match self.format {
            Format::Json => self.summary_json(results),
            Format::Pretty | Format::Terse => {
                self.failures(results)?;
                self.unseen(results)?;
                self.result(results)
            }
        }
    }

    fn failures(&mut self, results: &Results) -> io::Result<()> {
        let failed: Vec<&Tested> = results.failed().collect();
        if failed.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\nfailures:\n")?;
        for test in &failed {
            let (name, story) = (&test.name, test.story());
            writeln!(self.out, "---- {name} ----\n{}\n", story.trim_end())?;
        }
        writeln!(self.out, "\nfailures:")?;
        for test in failed {
            writeln!(self.out, "    {}", test.name)?;
        }
        Ok(())
    }

    fn unseen(&mut self, results: &Results) -> io::Result<()> {
        let unseen = results.unseen();
        if !unseen.is_empty() {
            write!(self.out, "\n{unseen}")?;
        }
        Ok(())
    }

    fn result(&mut self, results: &Results) -> io::Result<()> {
        let counts = results.counts();
        let (colour, word) = match counts.failed + counts.errors {
            0 => (GREEN, "ok"),
            _ => (RED, "FAILED"),
        };
        writeln!(
            self.out,
            "\ntest result: {colour}{word}{PLAIN}. {} passed; {} failed; {} ignored; 0 measured; {} filtered out; finished in {:.2}s",
            counts.passed,
            counts.failed,
            counts.ignored,
            results.filtered_out,
            results.took.as_secs_f64()
        )?;
        if counts.errors > 0 {
            let plural = if counts.errors == 1 { "" } else { "s" };
            writeln!(self.out, "could not look: {} test{plural}", counts.errors)?;
        }
        writeln!(self.out)
    }

    fn summary_json(&mut self, results: &Results) -> io::Result<()> {
        let counts = results.counts();
        let (event, unseen) = match (counts.failed, counts.errors) {
            (0, 0) => ("ok", String::new()),
            (_, 0) => ("failed", String::new()),
            (_, errors) => ("failed", format!(r#" "could_not_look": {errors},"#)),
        };
        writeln!(
            self.out,
            r#"{{ "type": "suite", "event": "{event}", "passed": {}, "failed": {},{unseen} "ignored": {}, "measured": 0, "filtered_out": {}, "exec_time": {} }}"#,
            counts.passed,
            counts.failed,
            counts.ignored,
            results.filtered_out,
            results.took.as_secs_f64()
        )
    }
}
