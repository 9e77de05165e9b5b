//! A run as its operator reads it. One node: its steps, one under the other. Several: each
//! line begins with its node.

use std::collections::HashMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::event::{BY_YES, Event, Evidence, Found, Status, Stream, What};
use crate::outside::{Block, Net, Outside, block};
use crate::plan;
use crate::recap::Recap;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// Processes left behind that are shown one by one.
const LEFT_SHOWN: usize = 10;

/// Prints events as they come.
pub struct Human<W: Write> {
    out: Net<W>,
    /// More than one node: lines are prefixed.
    several: bool,
    /// Names of steps by node and number; titles are printed with them.
    labels: HashMap<(String, usize), String>,
    recap: Recap,
}

impl<W: Write> Human<W> {
    pub fn new(out: W) -> Human<W> {
        Human {
            out: Net::new(out),
            several: false,
            labels: HashMap::new(),
            recap: Recap::default(),
        }
    }

    /// # Errors
    /// Where nobody reads any more.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each event, in their order"
    )]
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        let node = event.node.as_deref().unwrap_or_default();
        match &event.what {
            What::RunStarted(started) => {
                self.several = started.nodes.len() > 1;
                for (node, plan) in &started.plans {
                    for (index, step) in plan.steps.iter().enumerate() {
                        let label = step.name.rsplit('/').next().unwrap_or_default();
                        self.labels
                            .insert((node.clone(), index + 1), label.to_owned());
                    }
                }
                let manual = match (&started.revision, started.clean) {
                    (Some(revision), Some(true)) => format!("manual {revision}"),
                    (Some(revision), _) => format!("manual {revision} with changes"),
                    (None, _) => "manual without a git commit".to_owned(),
                };
                writeln!(
                    self.out,
                    "{BOLD}{}{BOLD:#}  {}",
                    started.procedure, started.title
                )?;
                writeln!(
                    self.out,
                    "{DIM}{manual}, on {}, run {}{DIM:#}",
                    started.nodes.join(", "),
                    event.run
                )?;
            }
            What::RunResumed { .. } => {
                writeln!(self.out, "{DIM}going on with run {}{DIM:#}", event.run)?;
            }
            What::NodeReached {
                user,
                shell,
                milliseconds,
            } => {
                self.line(
                    node,
                    format_args!(
                        "{DIM}reached as {} in {milliseconds} ms ({}){DIM:#}",
                        user.line(),
                        shell.line()
                    ),
                )?;
            }
            What::SudoProven { user } => {
                self.line(node, format_args!("{DIM}sudo as {user} works{DIM:#}"))?;
            }
            What::BundleOpened {
                path, user: None, ..
            }
            | What::BundleReopened {
                path, local: true, ..
            } => {
                self.line(node, format_args!("{DIM}bundle {path}{DIM:#}"))?;
            }
            What::BundleOpened {
                path,
                user: Some(user),
                ..
            } => {
                self.line(node, format_args!("{DIM}bundle of {user} {path}{DIM:#}"))?;
            }
            What::BundleReopened { path, .. } => {
                self.line(
                    node,
                    format_args!("{DIM}bundle {path} taken up again{DIM:#}"),
                )?;
            }
            What::StepStarted {
                title,
                limit_seconds,
                ..
            } => {
                let number = event.step.unwrap_or_default();
                let heading = self.heading(node, number);
                let limit = std::time::Duration::from_secs(*limit_seconds);
                let limit = match limit_seconds {
                    0 => String::new(),
                    _ => format!(" {DIM}(at most {}){DIM:#}", crate::engine::human(limit)),
                };
                if !self.several {
                    writeln!(self.out)?;
                }
                self.line(
                    node,
                    format_args!("{BOLD}{heading}{BOLD:#}  {title}{limit}"),
                )?;
            }
            What::StepFound { title, from, .. } => {
                let number = event.step.unwrap_or_default();
                let heading = self.heading(node, number);
                let from = match from {
                    Found::Bundle => "the bundle",
                    Found::History => "the history",
                };
                if !self.several {
                    writeln!(self.out)?;
                }
                self.line(
                    node,
                    format_args!(
                        "{BOLD}{heading}{BOLD:#}  {title} {DIM}(found in {from} on the node){DIM:#}"
                    ),
                )?;
            }
            What::StepAttached { title, .. } => {
                let number = event.step.unwrap_or_default();
                let heading = self.heading(node, number);
                if !self.several {
                    writeln!(self.out)?;
                }
                self.line(
                    node,
                    format_args!(
                        "{BOLD}{heading}{BOLD:#}  {title} {DIM}(was started before){DIM:#}"
                    ),
                )?;
            }
            What::Output { stream, text } => {
                let bar = match stream {
                    Stream::Out => "|",
                    Stream::Err => "!",
                };
                for line in text.lines() {
                    self.line(node, format_args!("  {DIM}{bar}{DIM:#} {line}"))?;
                }
            }
            What::FileDelivered { to, bytes, .. } => {
                self.line(
                    node,
                    format_args!("  {DIM}delivered{DIM:#} {to} {DIM}{bytes} bytes{DIM:#}"),
                )?;
            }
            What::ValueCaptured { name, value } => {
                self.line(node, format_args!("  {name} = {}", value.line()))?;
            }
            What::CheckHeld { check, tries, .. } => {
                let tries = if *tries > 1 {
                    format!(" (at the {tries}. try)")
                } else {
                    String::new()
                };
                self.line(
                    node,
                    format_args!("  {DIM}check{DIM:#} {check} holds{tries}"),
                )?;
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
                self.evidence(node, evidence)?;
            }
            What::CheckUnknown {
                check,
                place,
                cause,
                ..
            } => {
                let red = status_style(Status::Error);
                self.line(
                    node,
                    format_args!(
                        "  check {check} {red}could not be asked{red:#}: {}  {DIM}{place}{DIM:#}",
                        cause.block()
                    ),
                )?;
            }
            What::Warned { text } => {
                self.line(node, format_args!("  warning: {}", text.block()))?;
            }
            What::ConnectionLost { cause } => {
                self.line(
                    node,
                    format_args!("  {}; looking for the node", cause.block()),
                )?;
            }
            What::Reattached { milliseconds } => {
                self.line(
                    node,
                    format_args!("  found again after {:.1} s", *milliseconds as f64 / 1000.0),
                )?;
            }
            What::NodeRebooted { expected } => {
                let how = if *expected {
                    "as the step wants"
                } else {
                    "and nobody asked for it"
                };
                self.line(node, format_args!("  the node has rebooted, {how}"))?;
            }
            What::LeftBehind { processes } => self.left(node, processes)?,
            What::StepEnded(ended) => {
                self.evidence(node, &ended.evidence)?;
                let style = status_style(ended.status);
                let seconds = ended.milliseconds as f64 / 1000.0;
                let cause = ended
                    .cause
                    .as_ref()
                    .map(|cause| format!("  {}", cause.block()))
                    .unwrap_or_default();
                let note = ended
                    .note
                    .as_ref()
                    .map(|note| format!("  note: {note}"))
                    .unwrap_or_default();
                let unknown = if ended.outcome_unknown {
                    "  outcome: unknown"
                } else {
                    ""
                };
                let number = if self.several {
                    format!("{} ", event.step.unwrap_or_default())
                } else {
                    "  ".to_owned()
                };
                self.line(node, format_args!("{number}{style}{}{style:#} {DIM}{seconds:.2} s{DIM:#}{cause}{unknown}{note}", ended.status))?;
            }
            What::BundleKept { path, .. } => {
                self.line(
                    node,
                    format_args!("{DIM}the bundle {path} is kept, and with it the lock{DIM:#}"),
                )?;
            }
            What::NodeEnded { status, cause } => {
                self.recap.ended(node, *status, cause.as_ref());
                if !self.several {
                    writeln!(self.out)?;
                }
                let style = status_style(*status);
                let cause = cause
                    .as_ref()
                    .map(|cause| format!("  {}", cause.block()))
                    .unwrap_or_default();
                self.line_named(node, format_args!("{style}{status}{style:#}{cause}"))?;
            }
            What::BatchStarted {
                batch,
                batches,
                nodes,
            } => {
                let nodes = nodes.join(", ");
                writeln!(
                    self.out,
                    "\n{BOLD}batch {batch} of {batches}{BOLD:#}: {nodes}"
                )?;
            }
            What::RunEnded { .. } if self.several => {
                writeln!(self.out)?;
                self.recap.write(&mut self.out)?;
            }
            What::Asked {
                told: Some(told), ..
            } => {
                let by = if event.step.is_some() {
                    "by a person: "
                } else {
                    ""
                };
                for line in told.lines() {
                    self.line(node, format_args!("  {DIM}{by}{DIM:#}{line}"))?;
                }
            }
            What::Answered {
                note: Some(note), ..
            } if note == BY_YES => {
                self.line(node, format_args!("  confirmed {BY_YES}"))?;
            }
            What::RunEnded { .. }
            | What::Pinned { .. }
            | What::BundleClosed { .. }
            | What::Asked { told: None, .. }
            | What::Answered { .. }
            | What::CheckIgnored { .. }
            | What::CheckStarted { .. }
            | What::NodeTried
            | What::NodeUnreachable { .. }
            | What::SuiteStarted { .. }
            | What::SuiteEnded { .. }
            | What::Unknown => {}
        }
        self.out.flush()
    }

    fn heading(&self, node: &str, number: usize) -> String {
        let label = self.labels.get(&(node.to_owned(), number));
        plan::heading(number, label.map(String::as_str).unwrap_or_default())
    }

    fn left(&mut self, node: &str, processes: &[Outside]) -> io::Result<()> {
        for process in processes.iter().take(LEFT_SHOWN) {
            self.line(
                node,
                format_args!(
                    "  {DIM}still running: step, process, command:{DIM:#} {}",
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

    fn line(&mut self, node: &str, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        if self.several {
            self.line_named(node, text)
        } else {
            writeln!(self.out, "{text}")
        }
    }

    fn line_named(&mut self, node: &str, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        writeln!(self.out, "{BOLD}{node}{BOLD:#}: {text}")
    }
}

/// Green for done, red for no, yellow for what waits for a person.
#[must_use]
pub fn status_style(status: Status) -> Style {
    let colour = match status {
        Status::Ok => AnsiColor::Green,
        Status::Failed | Status::Error | Status::TimedOut => AnsiColor::Red,
        Status::Blocked | Status::Stopped | Status::Skipped | Status::ByHand => AnsiColor::Yellow,
    };
    Style::new().bold().fg_color(Some(colour.into()))
}
