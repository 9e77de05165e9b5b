//! What is under way, for a person at a terminal: drawn after what stands in the line
//! already, and wiped before anything else is printed there. While a question is asked,
//! nothing is drawn or printed.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Counted by the tasks, drawn by whoever waits for them.
#[derive(Default)]
pub struct Progress {
    all: usize,
    done: AtomicUsize,
    connecting: Mutex<BTreeSet<String>>,
    terminal: Option<Mutex<Terminal>>,
    line: Mutex<Line>,
    answered: Condvar,
}

/// The line in which the cursor stands.
#[derive(Default)]
struct Line {
    /// How much of it the harness has printed.
    column: usize,
    /// Questions that are asked at this moment.
    asked: usize,
}

/// Where it is drawn.
pub struct Terminal {
    /// How wide it is now.
    pub columns: Box<dyn Fn() -> usize + Send>,
    pub out: Box<dyn Write + Send>,
}

impl Progress {
    /// Of so many tests; drawn nowhere without a terminal.
    #[must_use]
    pub fn new(all: usize, terminal: Option<Terminal>) -> Progress {
        Progress {
            all,
            terminal: terminal.map(Mutex::new),
            ..Progress::default()
        }
    }

    pub(super) fn ended(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connecting(&self, node: &str) {
        self.nodes().insert(node.to_owned());
    }

    pub(super) fn connected(&self, node: &str) {
        self.nodes().remove(node);
    }

    /// A question will be asked: it gets a line of its own. To be followed by `answered`.
    pub fn asks(&self) {
        let mut line = self.line();
        line.asked += 1;
        let begun = std::mem::take(&mut line.column) > 0;
        self.put(|_| Some(if begun { "\x1b[K\n" } else { "\r\x1b[K" }.to_owned()));
    }

    pub fn answered(&self) {
        self.line().asked -= 1;
        self.answered.notify_all();
    }

    /// Prints something else there, when no question is asked; the cursor is then at `column`.
    pub(super) fn print<T>(&self, column: usize, print: impl FnOnce() -> T) -> T {
        let mut line = self.line();
        while line.asked > 0 {
            line = self
                .answered
                .wait(line)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.put(|_| Some("\x1b[K".to_owned()));
        line.column = column;
        print()
    }

    /// Draws over what was drawn before, behind the first `column` columns, which may fill
    /// several lines. The cursor stays where it is.
    pub(super) fn draw(&self, column: usize, waited: Duration, name: &str) {
        let line = self.line();
        if line.asked > 0 {
            return;
        }
        self.put(|columns| {
            let text = self.text(waited, name);
            if column == 0 {
                let text = within(columns.saturating_sub(1), self.count(), &text)?;
                return Some(format!("\r\x1b[2m{text}\x1b[0m\x1b[K\r"));
            }
            let column = column % columns.max(1);
            // At the very beginning of a line the cursor may still stand in the one before.
            let room = columns.saturating_sub(column + 2);
            let text = within(room, self.count(), &text)?;
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
            // A terminal that is gone needs no progress.
            let _ = terminal.out.write_all(text.as_bytes());
            let _ = terminal.out.flush();
        }
    }

    fn count(&self) -> String {
        format!("{}/{}", self.done.load(Ordering::Relaxed), self.all)
    }

    fn text(&self, waited: Duration, name: &str) -> String {
        let mut text = self.count();
        // Nothing else moves while one check takes its time.
        if waited >= Duration::from_secs(2) {
            text.push_str(&format!(", {} s for {name}", waited.as_secs()));
        }
        let nodes = self.nodes();
        if !nodes.is_empty() {
            let first: Vec<&str> = nodes.iter().take(3).map(String::as_str).collect();
            text.push_str(", connecting to ");
            text.push_str(&first.join(", "));
            if nodes.len() > 3 {
                text.push_str(&format!(" and {} more", nodes.len() - 3));
            }
        }
        text
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.connecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// As much as there is room for; where that is little, the count alone or nothing.
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

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Progress({})", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_under_way_within_the_line() {
        let (read, out) = std::io::pipe().unwrap();
        let terminal = Terminal {
            columns: Box::new(|| 80),
            out: Box::new(out),
        };
        let progress = Progress::new(20, Some(terminal));
        progress.ended();
        for node in ["a", "b", "c", "d"] {
            progress.connecting(node);
        }
        progress.connected("a");
        let now = Duration::ZERO;
        assert_eq!(progress.text(now, "x"), "1/20, connecting to b, c, d");
        progress.connecting("e");
        progress.draw(1, now, "x");
        progress.draw(57, now, "x");
        // In the second line of what the harness has printed.
        progress.draw(137, now, "x");
        progress.draw(70, now, "x");
        progress.draw(75, now, "x");
        progress.draw(160, now, "x");
        progress.draw(1, Duration::from_millis(3900), "x");
        progress.draw(0, now, "x");
        progress.asks();
        progress.draw(0, now, "x");
        progress.answered();
        progress.print(1, || ());
        progress.asks();
        progress.answered();
        drop(progress);
        let drawn = std::io::read_to_string(read).unwrap();
        let line = |text: &str| format!("\x1b7\x1b[2m {text}\x1b[0m\x1b[K\x1b8");
        let expected = [
            "1/20, connecting to b, c, d and 1 more",
            "1/20, connecting to …",
            "1/20, connecting to …",
            "1/20",
            "1/20, 3 s for x, connecting to b, c, d and 1 more",
        ];
        let first = "\r\x1b[2m1/20, connecting to b, c, d and 1 more\x1b[0m\x1b[K\r";
        // A question takes the line of what was drawn, or one of its own.
        let asked = "\r\x1b[K\x1b[K\x1b[K\n";
        assert_eq!(drawn, expected.map(line).concat() + first + asked);
    }
}
