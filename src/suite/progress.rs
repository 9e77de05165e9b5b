//! What is under way, for a person at a terminal: drawn after what stands in the line
//! already, and wiped before anything else is printed there.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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

    /// Draws over what was drawn before, behind the first `column` columns, which may fill
    /// several lines. The cursor stays where it is.
    pub(super) fn draw(&self, column: usize, waited: Duration) {
        self.put(|columns| {
            let column = column % columns.max(1);
            // At the very beginning of a line the cursor may still stand in the one before.
            let room = columns.saturating_sub(column + 2);
            let text = within(room, self.count(), &self.text(waited))?;
            (column > 0).then(|| format!("\x1b7\x1b[2m {text}\x1b[0m\x1b[K\x1b8"))
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
        if let Some(text) = text((terminal.columns)()) {
            // A terminal that is gone needs no progress.
            let _ = terminal.out.write_all(text.as_bytes());
            let _ = terminal.out.flush();
        }
    }

    fn count(&self) -> String {
        format!("{}/{}", self.done.load(Ordering::Relaxed), self.all)
    }

    fn text(&self, waited: Duration) -> String {
        let mut text = self.count();
        // Nothing else moves while one check takes its time.
        if waited >= Duration::from_secs(2) {
            text.push_str(&format!(", {} s", waited.as_secs()));
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

    fn nodes(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
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
        assert_eq!(progress.text(now), "1/20, connecting to b, c, d");
        progress.connecting("e");
        progress.draw(1, now);
        progress.draw(57, now);
        // In the second line of what the harness has printed.
        progress.draw(137, now);
        progress.draw(70, now);
        progress.draw(75, now);
        progress.draw(160, now);
        progress.draw(1, Duration::from_millis(3900));
        drop(progress);
        let drawn = std::io::read_to_string(read).unwrap();
        let line = |text: &str| format!("\x1b7\x1b[2m {text}\x1b[0m\x1b[K\x1b8");
        let expected = [
            "1/20, connecting to b, c, d and 1 more",
            "1/20, connecting to …",
            "1/20, connecting to …",
            "1/20",
            "1/20, 3 s, connecting to b, c, d and 1 more",
        ];
        assert_eq!(drawn, expected.map(line).concat());
    }
}
