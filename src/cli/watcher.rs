//! Events to standard output as they come, for people or as lines of JSON.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cli::progress::Progress;
use crate::engine::Watcher;
use crate::event::Event;
use crate::report::human::Human;

/// A stream that two writers share.
#[derive(Clone)]
pub(crate) struct SharedOut(Arc<Mutex<Box<dyn Write + Send>>>);

impl SharedOut {
    pub fn new(out: Box<dyn Write + Send>) -> SharedOut {
        SharedOut(Arc::new(Mutex::new(out)))
    }

    pub fn lock(&self) -> MutexGuard<'_, Box<dyn Write + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for SharedOut {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.lock().flush()
    }
}

pub(crate) fn watcher(out: SharedOut, json: bool, progress: Progress) -> Watcher {
    if json {
        return Box::new(move |event: &Event| {
            let mut out = out.lock();
            if let Ok(line) = serde_json::to_string(event) {
                // The run goes on when nobody reads; the journal has it all.
                let _ = writeln!(out, "{line}").and_then(|()| out.flush());
            }
        });
    }
    let mut human = Human::new(out);
    Box::new(move |event| {
        let _ = progress.above(|| human.event(event));
        progress.event(event);
    })
}
