//! What is under way, for a person at a terminal: drawn after what stands in the line
//! already, and wiped before anything else is printed there.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counted by the tasks, drawn by whoever waits for them.
#[derive(Default)]
pub struct Progress {
    all: usize,
    done: AtomicUsize,
    connecting: Mutex<BTreeSet<String>>,
    terminal: Option<Mutex<Terminal>>,
}

/// Where it is drawn.
pub struct Terminal {
    pub columns: usize,
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

    /// Draws over what was drawn before, behind the first `column` columns. The cursor
    /// stays where it is.
    pub(super) fn draw(&self, column: usize) {
        self.put(|columns| {
            let room = columns.saturating_sub(column + 2);
            let text: String = self.text().chars().take(room).collect();
            (room >= 20).then(|| format!("\x1b7\x1b[2m {text}\x1b[0m\x1b[K\x1b8"))
        });
    }

    pub(super) fn wipe(&self) {
        self.put(|_| Some("\x1b[K".to_owned()));
    }

    fn put(&self, text: impl FnOnce(usize) -> Option<String>) {
        let Some(terminal) = &self.terminal else {
            return;
        };
        let mut terminal = terminal.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = text(terminal.columns) {
            // A terminal that is gone needs no progress.
            let _ = terminal.out.write_all(text.as_bytes());
            let _ = terminal.out.flush();
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{}/{}", self.done.load(Ordering::Relaxed), self.all);
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

    fn nodes(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.connecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Progress({})", self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_under_way_within_the_line() {
        let (read, out) = std::io::pipe().unwrap();
        let terminal = Terminal {
            columns: 80,
            out: Box::new(out),
        };
        let progress = Progress::new(20, Some(terminal));
        progress.ended();
        for node in ["a", "b", "c", "d"] {
            progress.connecting(node);
        }
        progress.connected("a");
        assert_eq!(progress.text(), "1/20, connecting to b, c, d");
        progress.connecting("e");
        progress.draw(0);
        progress.draw(60);
        progress.draw(55);
        drop(progress);
        let drawn = std::io::read_to_string(read).unwrap();
        let line = |text: &str| format!("\x1b7\x1b[2m {text}\x1b[0m\x1b[K\x1b8");
        let all = line("1/20, connecting to b, c, d and 1 more");
        assert_eq!(drawn, all + &line("1/20, connecting to b, "));
    }
}
