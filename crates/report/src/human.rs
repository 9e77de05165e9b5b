//! Shows a run to its operator. With one node: its steps in order. With several: each line begins
//! with its node, with the role in a run with roles, and with the turn's node in another node's
//! turn.

mod step;

use std::collections::HashMap;
use std::io::{self, Write};

use anstyle::Style;

use crate::event::{Book, Event, RunStarted, Site, Status, What};
use crate::outside::{self, Net, Outside};
use crate::plan;
use crate::recap::Recap;
use crate::roles::Roles;
use crate::style::status_style;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// Prints events when they come.
pub struct Human<W: Write> {
    out: Net<W>,
    /// More than one node: lines have prefixes.
    several: bool,
    /// The nodes of each role; empty in a run without roles.
    roles: Roles,
    /// Step labels by site and number; titles are printed with them.
    labels: HashMap<(String, usize), String>,
    recap: Recap,
}

impl<W: Write> Human<W> {
    /// Prints to a writer, through the net that lets only text and our own colours pass.
    pub fn new(out: W) -> Human<W> {
        Human {
            out: Net::new(out),
            several: false,
            roles: Roles::default(),
            labels: HashMap::new(),
            recap: Recap::default(),
        }
    }

    /// Prints one event.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        let place = self.roles.place(event);
        let node = place.as_str();
        match &event.what {
            What::RunStarted(started) => self.run_started(event, started),
            What::RunResumed { .. } | What::BatchStarted { .. } | What::RunEnded { .. } => {
                self.of_the_run(event)
            }
            What::NodeReached { .. }
            | What::SudoProven { .. }
            | What::BundleOpened { .. }
            | What::BundleReopened { .. }
            | What::BundleKept { .. } => self.in_passing(node, &event.what),
            What::ConnectionLost { .. }
            | What::Reattached { .. }
            | What::NodeRebooted { .. }
            | What::Warned { .. } => self.of_the_node(node, &event.what),
            What::NodeEnded { status, cause } => self.node_ended(event, *status, cause.as_ref()),
            What::TurnEnded { status, cause } => self.turn_ended(event, *status, cause.as_ref()),
            What::StepStarted { .. } | What::StepFound { .. } | What::StepAttached { .. } => {
                self.step_begun(event)
            }
            What::Output { .. }
            | What::FileDelivered { .. }
            | What::ValueCaptured { .. }
            | What::LeftBehind { .. }
            | What::Asked { .. }
            | What::Answered { .. } => self.of_a_step(event),
            What::StepEnded(ended) => self.step_ended(event, ended),
            What::CheckHeld { .. } | What::CheckFailed { .. } | What::CheckUnknown { .. } => {
                self.of_a_check(node, &event.what)
            }
            What::Pinned { .. }
            | What::BundleClosed { .. }
            | What::CheckIgnored { .. }
            | What::CheckStarted { .. }
            | What::NodeTried
            | What::NodeTraced { .. }
            | What::NodeUnreachable { .. }
            | What::SuiteStarted { .. }
            | What::SuiteEnded { .. }
            | What::Unknown => Ok(()),
        }?;
        self.out.flush()
    }

    fn run_started(&mut self, event: &Event, started: &RunStarted) -> io::Result<()> {
        self.several = started.nodes.len() > 1 || !started.roles.is_empty();
        self.roles = Roles::of(started);
        for (node, plan) in &started.plans {
            for (number, step) in plan.numbered() {
                let label = step.name.rsplit('/').next().unwrap_or_default();
                self.labels.insert((node.clone(), number), label.to_owned());
            }
        }
        let manual = match (&started.book, &started.revision, started.clean) {
            (Some(book), ..) => book_line(book),
            (_, Some(revision), Some(true)) => format!("manual {revision}"),
            (_, Some(revision), _) => format!("manual {revision} with changes"),
            (_, None, _) => "manual without a git commit".to_owned(),
        };
        let (procedure, title) = (&started.procedure, &started.title);
        writeln!(self.out, "{BOLD}{procedure}{BOLD:#}  {title}")?;
        if let Some(why) = &started.break_glass {
            let (red, why) = (status_style(Status::Failed), crate::outside::line(why));
            writeln!(self.out, "{red}BREAK GLASS: {why}{red:#}")?;
        }
        let nodes = self.roles.named(&started.nodes).join(", ");
        let others = match self.roles.not_reached(&started.nodes) {
            others if others.is_empty() => String::new(),
            others => format!(", only named: {}", others.join(", ")),
        };
        writeln!(
            self.out,
            "{DIM}{manual}, on {nodes}{others}, run {}{DIM:#}",
            event.run
        )
    }

    fn of_the_run(&mut self, event: &Event) -> io::Result<()> {
        match &event.what {
            What::RunResumed { .. } => {
                writeln!(self.out, "{DIM}continuing run {}{DIM:#}", event.run)
            }
            What::BatchStarted {
                batch,
                batches,
                nodes,
            } => {
                let role = nodes.first().and_then(|node| self.roles.role(node));
                let each = role.map_or_else(String::new, |role| format!("for each {role}: "));
                let nodes = nodes.join(", ");
                writeln!(
                    self.out,
                    "\n{each}{BOLD}batch {batch} of {batches}{BOLD:#}: {nodes}"
                )
            }
            What::RunEnded { .. } if self.several => {
                writeln!(self.out)?;
                self.recap.write(&mut self.out)
            }
            _ => Ok(()),
        }
    }

    fn in_passing(&mut self, node: &str, what: &What) -> io::Result<()> {
        let text = match what {
            What::NodeReached {
                user,
                shell,
                milliseconds,
            } => {
                let (user, shell) = (user.line(), shell.line());
                format!("reached as {user} in {milliseconds} ms ({shell})")
            }
            What::SudoProven { user } => format!("sudo as {user} works"),
            What::BundleOpened { path, user, .. } => match user {
                None => format!("bundle {path}"),
                Some(user) => format!("bundle of {user} {path}"),
            },
            What::BundleReopened { path, .. } => format!("bundle {path} reopened"),
            What::BundleKept { path, .. } => {
                format!("the bundle {path} and its lock are kept")
            }
            _ => return Ok(()),
        };
        self.line(node, format_args!("{DIM}{text}{DIM:#}"))
    }

    fn of_the_node(&mut self, node: &str, what: &What) -> io::Result<()> {
        let text = match what {
            What::Warned { text } => format!("warning: {}", text.block()),
            What::ConnectionLost { cause } => format!("{}; reconnecting", cause.block()),
            What::Reattached { milliseconds } => {
                format!("reconnected after {:.1} s", *milliseconds as f64 / 1000.0)
            }
            What::NodeRebooted { expected: true } => {
                "the node has rebooted, as the step requested".to_owned()
            }
            What::NodeRebooted { expected: false } => {
                "the node has rebooted unexpectedly".to_owned()
            }
            _ => return Ok(()),
        };
        self.line(node, format_args!("  {text}"))
    }

    /// The end of a turn lists how it ended on each of its nodes.
    fn node_ended(
        &mut self,
        event: &Event,
        status: Status,
        cause: Option<&Outside>,
    ) -> io::Result<()> {
        let node = event.node.as_deref().unwrap_or_default();
        self.recap.ended(node, status, cause);
        if event.turn.is_some() {
            return Ok(());
        }
        if !self.several {
            writeln!(self.out)?;
        }
        let style = status_style(status);
        let cause = after(cause);
        let place = self.roles.place(event);
        self.line_named(&place, format_args!("{style}{status}{style:#}{cause}"))
    }

    fn turn_ended(
        &mut self,
        event: &Event,
        status: Status,
        cause: Option<&Outside>,
    ) -> io::Result<()> {
        let style = status_style(status);
        let cause = cause.map_or_else(String::new, |cause| format!(": {}", cause.block()));
        let place = self.roles.place(event);
        self.line_named(&place, format_args!("turn {style}{status}{style:#}{cause}"))
    }

    /// A step's number and label, from the plan of its site.
    fn heading(&self, event: &Event) -> String {
        let number = event.step.unwrap_or_default();
        let site = Site {
            node: event.node.as_deref().unwrap_or_default(),
            turn: event.turn.as_deref(),
        };
        let label = self.labels.get(&(site.to_string(), number));
        plan::heading(number, label.map(String::as_str).unwrap_or_default())
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

/// The text after a status.
fn after(cause: Option<&Outside>) -> String {
    cause.map_or_else(String::new, |cause| format!("  {}", cause.block()))
}

/// `manual shop 1.4.2 (sha256:6ad89bf1…, git b1580934283f, signed by release@example.net)`
fn book_line(book: &Book) -> String {
    let mut about = vec![format!("{}…", book.content.get(..15).unwrap_or_default())];
    about.extend(
        book.revision
            .as_ref()
            .map(|revision| format!("git {revision}")),
    );
    about.push(match &book.signer {
        Some(signer) => format!("signed by {signer}"),
        None => "no valid signature".to_owned(),
    });
    let text = format!(
        "manual {} {} ({})",
        book.name,
        book.version,
        about.join(", ")
    );
    outside::line(&text).to_string()
}
