//! What libtest prints of tests, in its three forms, and beside it what could not look: a word,
//! a count and a line of its own. Readers of libtest's output find what they look for.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::json;

use crate::event::Outcome;
use crate::report::tested::{Results, Tested};
use crate::suite::harness::Source;
use crate::suite::{Format, Test};

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

/// Prints tests as they end. Each of its lines is printed whole, so that nothing else that
/// is shown meanwhile stands in the middle of one.
pub(super) struct Lines<'a> {
    out: &'a mut dyn Write,
    format: Format,
    /// Columns of the node and of the name.
    widths: (usize, usize),
}

impl<'a> Lines<'a> {
    pub fn new(out: &'a mut dyn Write, format: Format, tests: &[(Test, Source)]) -> Lines<'a> {
        let tests = || tests.iter().map(|(test, _)| test);
        let longest = |of: fn(&Test) -> usize| tests().map(of).max().unwrap_or(0);
        Lines {
            out,
            format,
            widths: (
                longest(|test| test.node.name.chars().count() + 3),
                longest(|test| test.name.chars().count()),
            ),
        }
    }

    pub fn title(&mut self, tests: usize) -> io::Result<()> {
        match self.format {
            Format::Pretty | Format::Terse => {
                let plural = if tests == 1 { "" } else { "s" };
                writeln!(self.out, "\nrunning {tests} test{plural}")?;
            }
            Format::Json => writeln!(
                self.out,
                r#"{{ "type": "suite", "event": "started", "test_count": {tests} }}"#
            )?,
        }
        self.out.flush()
    }

    /// Before an answer is waited for.
    pub fn started(&mut self, test: &Test) -> io::Result<()> {
        if self.format == Format::Json {
            writeln!(
                self.out,
                r#"{{ "type": "test", "event": "started", "name": {} }}"#,
                json!(test.name)
            )?;
            self.out.flush()?;
        }
        Ok(())
    }

    pub fn ended(&mut self, test: &Tested) -> io::Result<()> {
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
                )?;
            }
            Format::Terse => write!(self.out, "{colour}{letter}{PLAIN}")?,
            Format::Json => self.ended_json(test)?,
        }
        self.out.flush()
    }

    /// libtest has three events; the reason tells what could not look from what failed.
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

    /// After all tests: what failed, what could not look, and how many.
    pub fn summary(&mut self, results: &Results) -> io::Result<()> {
        match self.format {
            Format::Json => self.summary_json(results)?,
            Format::Pretty | Format::Terse => {
                self.failures(results)?;
                self.unseen(results)?;
                self.result(results)?;
            }
        }
        self.out.flush()
    }

    fn failures(&mut self, results: &Results) -> io::Result<()> {
        let failed = |test: &&Tested| matches!(test.checked.outcome, Outcome::Failed(_));
        let failed: Vec<&Tested> = results.tests.iter().filter(failed).collect();
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
        let took: Duration = results.took;
        writeln!(
            self.out,
            r#"{{ "type": "suite", "event": "{event}", "passed": {}, "failed": {},{unseen} "ignored": {}, "measured": 0, "filtered_out": {}, "exec_time": {} }}"#,
            counts.passed,
            counts.failed,
            counts.ignored,
            results.filtered_out,
            took.as_secs_f64()
        )
    }
}
