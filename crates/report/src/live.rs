//! Shows a suite's progress at a terminal. It is drawn after the text of the current line, and
//! erased before anything else is printed. During a question, nothing is drawn or printed.

use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::course::Course;
use crate::event::CaseRecord;

/// The event loop draws; whoever asks a question announces it.
#[derive(Default)]
pub struct Live {
    terminal: Option<Mutex<Terminal>>,
    line: Mutex<Line>,
    answered: Condvar,
}

/// The line of the cursor.
#[derive(Default)]
struct Line {
    /// How much of it has been printed.
    column: usize,
    /// The number of open questions.
    asked: usize,
}

/// The terminal.
pub struct Terminal {
    /// Its current width.
    pub columns: Box<dyn Fn() -> usize + Send>,
    /// Its output.
    pub out: Box<dyn Write + Send>,
}

impl Live {
    /// Without a terminal, nothing is drawn.
    #[must_use]
    pub fn new(terminal: Option<Terminal>) -> Live {
        Live {
            terminal: terminal.map(Mutex::new),
            ..Live::default()
        }
    }

    /// Announces a question, which gets its own line. `answered` must follow.
    pub fn asks(&self) {
        let mut line = self.line();
        line.asked += 1;
        let begun = std::mem::take(&mut line.column) > 0;
        self.put(|_| Some(if begun { "\x1b[K\n" } else { "\r\x1b[K" }.to_owned()));
    }

    /// The question was answered or dropped.
    pub fn answered(&self) {
        self.line().asked -= 1;
        self.answered.notify_all();
    }

    /// Prints something else when no question is open. `print` returns the resulting column of the
    /// cursor.
    ///
    /// # Errors
    /// An error of `print`.
    pub fn print<E>(&self, print: impl FnOnce() -> Result<usize, E>) -> Result<(), E> {
        let mut line = self.line();
        while line.asked > 0 {
            line = self
                .answered
                .wait(line)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.put(|_| Some("\x1b[K".to_owned()));
        line.column = print()?;
        Ok(())
    }

    /// Redraws the progress after the printed text, which may fill several lines of the terminal.
    /// The cursor does not move. `waited` is the waiting time for the first case without an
    /// outcome.
    pub fn draw(&self, course: &Course, waited: Duration) {
        let line = self.line();
        if line.asked > 0 {
            return;
        }
        let column = line.column;
        self.put(|columns| {
            let text = text(course, waited);
            if column == 0 {
                let text = within(columns.saturating_sub(1), count(course), &text)?;
                return Some(format!("\r\x1b[2m{text}\x1b[0m\x1b[K\r"));
            }
            let column = column % columns.max(1);
            // At the beginning of a line the cursor may still be in the line before.
            let room = columns.saturating_sub(column + 2);
            let text = within(room, count(course), &text)?;
            (column > 0).then(|| format!("\x1b7\x1b[2m {text}\x1b[0m\x1b[K\x1b8"))
        });
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, text: impl FnOnce(usize) -> Option<String>) {
        let Some(terminal) = &self.terminal else {
            return;
        };
        let mut terminal = terminal.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = text((terminal.columns)()) {
            // If the terminal is gone, progress is useless.
            let _ = terminal.out.write_all(text.as_bytes());
            let _ = terminal.out.flush();
        }
    }
}

fn count(course: &Course) -> String {
    let (done, all) = course.count();
    format!("{done}/{all}")
}

fn text(course: &Course, waited: Duration) -> String {
    let mut text = count(course);
    // Nothing else moves while one check runs long.
    if let Some(name) = course.waiting().next().map(CaseRecord::name)
        && waited >= Duration::from_secs(2)
    {
        text.push_str(&format!(", {} s for {name}", waited.as_secs()));
    }
    let nodes = course.connecting();
    let more = nodes.len().saturating_sub(3);
    let first: Vec<&str> = nodes.take(3).collect();
    if !first.is_empty() {
        text.push_str(", connecting to ");
        text.push_str(&first.join(", "));
    }
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// As much as fits; with little room only the count, or nothing.
fn within(room: usize, count: String, text: &str) -> Option<String> {
    if text.chars().count() <= room {
        return Some(text.to_owned());
    }
    if room >= 20 {
        let cut: String = text.chars().take(room - 1).collect();
        return Some(cut + "…");
    }
    (count.len() <= room).then_some(count)
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Live")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::samples::{ended, event, started};
    use crate::event::{Outcome, What};

    #[test]
    fn it_says_what_is_under_way_within_the_line() {
        let (read, out) = std::io::pipe().unwrap();
        let terminal = Terminal {
            columns: Box::new(|| 80),
            out: Box::new(out),
        };
        let live = Live::new(Some(terminal));
        let checks: Vec<String> = (0..20).map(|number| format!("g::{number}")).collect();
        let cases: Vec<_> = checks.iter().map(|check| ("a", check.as_str())).collect();
        let mut course = Course::default();
        course.see(&started(&cases));
        course.see(&ended("a", "g::0", Outcome::Held));
        for node in ["a", "b", "c", "d"] {
            course.see(&event(node, What::NodeTried));
        }
        course.see(&event("a", What::NodeUnreachable { cause: "no".into() }));
        let now = Duration::ZERO;
        assert_eq!(text(&course, now), "1/20, connecting to b, c, d");
        course.see(&event("e", What::NodeTried));
        // Also in the second line of the printed text.
        for column in [1, 57, 137, 70, 75, 160] {
            let printed: Result<usize, ()> = Ok(column);
            live.print(|| printed).unwrap();
            live.draw(&course, now);
        }
        live.print(|| Ok::<_, ()>(1)).unwrap();
        live.draw(&course, Duration::from_millis(3900));
        live.print(|| Ok::<_, ()>(0)).unwrap();
        live.draw(&course, now);
        live.asks();
        live.draw(&course, now);
        live.answered();
        live.print(|| Ok::<_, ()>(1)).unwrap();
        live.asks();
        live.answered();
        drop(live);
        let drawn = std::io::read_to_string(read).unwrap();
        let line = |text: &str| format!("\x1b[K\x1b7\x1b[2m {text}\x1b[0m\x1b[K\x1b8");
        let expected = [
            line("1/20, connecting to b, c, d and 1 more"),
            line("1/20, connecting to …"),
            line("1/20, connecting to …"),
            line("1/20"),
            "\x1b[K\x1b[K".to_owned(),
            line("1/20, 3 s for a::g::1, connecting to b, c, d and 1 more"),
            "\x1b[K\r\x1b[2m1/20, connecting to b, c, d and 1 more\x1b[0m\x1b[K\r".to_owned(),
            // A question replaces what was drawn, or gets its own line.
            "\r\x1b[K\x1b[K\x1b[K\n".to_owned(),
        ];
        assert_eq!(drawn, expected.concat());
    }
}
