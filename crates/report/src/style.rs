//! Colours of statuses, the same in every report for people.

use anstyle::{AnsiColor, Style};

use crate::event::Status;

/// Green for done, red for failed, yellow for waiting for a person.
#[must_use]
pub fn status_style(status: Status) -> Style {
    let colour = match status {
        Status::Ok => AnsiColor::Green,
        Status::Failed | Status::Error | Status::TimedOut => AnsiColor::Red,
        Status::Blocked | Status::Stopped | Status::Skipped | Status::ByHand => AnsiColor::Yellow,
    };
    Style::new().bold().fg_color(Some(colour.into()))
}
