//! Shows a step and its checks to the operator of a run.

use std::io::{self, Write};
use std::time::Duration;

use crate::event::{BY_YES, Event, Evidence, Found, Status, StepEnded, Stream, What};
use crate::human::{BOLD, DIM, Human, after};
use crate::outside::{Block, Outside, block};
use crate::style::status_style;

/// How many leftover processes are listed.
const LEFT_SHOWN: usize = 10;

impl<W: Write> Human<W> {
    pub(super) fn step_begun(&mut self, event: &Event) -> io::Result<()> {
        let (title, more) = match &event.what {
            What::StepStarted {
                title,
                limit_seconds,
                ..
            } => {
                let limit = Duration::from_secs(*limit_seconds);
                let limit = format!("(at most {})", crate::engine::human(limit));
                (title, Some(limit).filter(|_| *limit_seconds > 0))
            }
            What::StepFound {
                title,
                from: Found::Bundle,
                ..
            } => (title, Some("(found in the bundle on the node)".to_owned())),
            What::StepFound {
                title,
                from: Found::History,
                ..
            } => (title, Some("(found in the history on the node)".to_owned())),
            What::StepAttached { title, .. } => (title, Some("(was started before)".to_owned())),
            _ => return Ok(()),
        };
        let place = self.roles.place(event);
        let node = place.as_str();
        let heading = self.heading(event);
        let more = more.map_or_else(String::new, |more| format!(" {DIM}{more}{DIM:#}"));
        if !self.several {
            writeln!(self.out)?;
        }
        self.line(node, format_args!("{BOLD}{heading}{BOLD:#}  {title}{more}"))
    }

    pub(super) fn of_a_step(&mut self, event: &Event) -> io::Result<()> {
        let place = self.roles.place(event);
        let node = place.as_str();
        match &event.what {
            What::Output { stream, text } => {
                let bar = match stream {
                    Stream::Out => "|",
                    Stream::Err => "!",
                };
                for line in text.lines() {
                    self.line(node, format_args!("  {DIM}{bar}{DIM:#} {line}"))?;
                }
                Ok(())
            }
            What::FileDelivered { to, bytes, .. } => self.line(
                node,
                format_args!("  {DIM}delivered{DIM:#} {to} {DIM}{bytes} bytes{DIM:#}"),
            ),
            What::ValueCaptured { name, value } => {
                self.line(node, format_args!("  {name} = {}", value.line()))
            }
            What::LeftBehind { processes } => self.left(node, processes),
            // The person has seen it with the question.
            What::Asked {
                told: Some(told),
                choices,
                ..
            } if event.step.is_none() || choices.is_empty() => {
                let by = if event.step.is_some() {
                    "by a person: "
                } else {
                    ""
                };
                for line in told.lines() {
                    self.line(node, format_args!("  {DIM}{by}{DIM:#}{line}"))?;
                }
                Ok(())
            }
            What::Answered {
                note: Some(note), ..
            } if note == BY_YES => self.line(node, format_args!("  confirmed {BY_YES}")),
            _ => Ok(()),
        }
    }

    pub(super) fn step_ended(&mut self, event: &Event, ended: &StepEnded) -> io::Result<()> {
        let place = self.roles.place(event);
        let node = place.as_str();
        self.evidence(node, &ended.evidence)?;
        let number = if self.several {
            format!("{} ", event.step.unwrap_or_default())
        } else {
            "  ".to_owned()
        };
        let (style, status) = (status_style(ended.status), ended.status);
        let seconds = ended.milliseconds as f64 / 1000.0;
        let cause = after(ended.cause.as_ref());
        let unknown = if ended.outcome_unknown {
            "  outcome: unknown"
        } else {
            ""
        };
        let note = ended.note.as_ref();
        let note = note.map_or_else(String::new, |note| format!("  note: {note}"));
        self.line(
            node,
            format_args!(
                "{number}{style}{status}{style:#} {DIM}{seconds:.2} s{DIM:#}{cause}{unknown}{note}"
            ),
        )
    }

    pub(super) fn of_a_check(&mut self, node: &str, what: &What) -> io::Result<()> {
        match what {
            What::CheckHeld { check, tries, .. } => {
                let tries = if *tries > 1 {
                    format!(" (at the {tries}. try)")
                } else {
                    String::new()
                };
                self.line(
                    node,
                    format_args!("  {DIM}check{DIM:#} {check} holds{tries}"),
                )
            }
            What::CheckFailed {
                check,
                place,
                evidence,
                ..
            } => {
                let red = status_style(Status::Failed);
                self.line(
                    node,
                    format_args!("  check {check} {red}does not hold{red:#}  {DIM}{place}{DIM:#}"),
                )?;
                self.evidence(node, evidence)
            }
            What::CheckUnknown {
                check,
                place,
                cause,
                ..
            } => {
                let (red, cause) = (status_style(Status::Error), cause.block());
                self.line(
                    node,
                    format_args!(
                        "  check {check} {red}could not be evaluated{red:#}: {cause}  \
                         {DIM}{place}{DIM:#}"
                    ),
                )
            }
            _ => Ok(()),
        }
    }

    fn left(&mut self, node: &str, processes: &[Outside]) -> io::Result<()> {
        for process in processes.iter().take(LEFT_SHOWN) {
            self.line(
                node,
                format_args!(
                    "  {DIM}still running (step, process, command):{DIM:#} {}",
                    process.line()
                ),
            )?;
        }
        match processes.len().checked_sub(LEFT_SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => self.line(
                node,
                format_args!("  {DIM}and {more} more, which the journal names{DIM:#}"),
            ),
        }
    }

    fn evidence(&mut self, node: &str, evidence: &[Evidence]) -> io::Result<()> {
        for piece in evidence {
            self.line(node, format_args!("    {}", piece.attribute))?;
            self.block(node, "expected", piece.expected.block())?;
            self.block(node, "found", piece.found.block())?;
            if let Some(how) = &piece.how {
                self.block(node, "by hand", block(how))?;
            }
            if let Some(hint) = &piece.hint {
                self.block(node, "hint", block(hint))?;
            }
        }
        Ok(())
    }

    fn block(&mut self, node: &str, word: &str, text: Block<'_>) -> io::Result<()> {
        let text = text.to_string();
        for (index, line) in text
            .lines()
            .chain(text.is_empty().then_some(""))
            .enumerate()
        {
            let word = if index == 0 { word } else { "" };
            self.line(node, format_args!("      {DIM}{word:>8}{DIM:#}  {line}"))?;
        }
        Ok(())
    }
}
