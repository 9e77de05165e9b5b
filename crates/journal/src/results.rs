//! Results of check suites: `results/RUN.jsonl` in a manual's state folder, in the journal's
//! format.

use std::fs::OpenOptions;
use std::io::{BufReader, Write};
use std::path::PathBuf;

use crate::event::Event;
use crate::record::no_event;
use crate::{JournalError, State, open};

/// The number of suites to keep; older ones are deleted.
const KEPT: usize = 100;

/// Writes the events of one suite, atomically.
///
/// # Errors
/// If the folder or the file cannot be written.
pub fn write(state: &State, run: &str, events: &[Event]) -> Result<PathBuf, JournalError> {
    let folder = state.results();
    let path = folder.join(format!("{run}.jsonl"));
    let write = |cause| JournalError::Write {
        path: path.clone(),
        cause,
    };
    super::make_private(&folder).map_err(write)?;
    let mut text = Vec::new();
    for event in events {
        serde_json::to_writer(&mut text, event).map_err(|error| write(error.into()))?;
        text.push(b'\n');
    }
    let mut new = tempfile::NamedTempFile::new_in(&folder).map_err(write)?;
    new.write_all(&text)
        .and_then(|()| new.as_file().sync_data())
        .map_err(write)?;
    new.persist(&path).map_err(|error| write(error.error))?;
    forget(state);
    Ok(path)
}

/// All recorded suites of a manual, oldest first.
#[must_use]
pub fn runs(state: &State) -> Vec<String> {
    super::runs_in(&state.results())
}

/// Reads a suite back.
///
/// # Errors
/// If it does not exist, or a line is not an event.
pub fn read(state: &State, run: &str) -> Result<Vec<Event>, JournalError> {
    let path = state.results().join(format!("{run}.jsonl"));
    let failed = |cause| JournalError::Read {
        path: path.clone(),
        cause,
    };
    let file = open::regular(&path, OpenOptions::new().read(true)).map_err(failed)?;
    let (mut reader, mut line) = (BufReader::new(file), Vec::new());
    let mut events = Vec::new();
    while open::line(&mut reader, &mut line).map_err(failed)? > 0 {
        let event = serde_json::from_slice(&line).map_err(|error| JournalError::Line {
            path: path.clone(),
            line: events.len() + 1,
            cause: no_event(&line, &error),
        })?;
        events.push(event);
    }
    Ok(events)
}

fn forget(state: &State) {
    let runs = runs(state);
    for run in &runs[..runs.len().saturating_sub(KEPT)] {
        // An undeleted file only takes space, and the next suite tries again.
        let _ = std::fs::remove_file(state.results().join(format!("{run}.jsonl")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::What;

    fn event(run: &str) -> Event {
        Event {
            v: 1,
            seq: 1,
            at: "2026-11-21T09:14:03Z".into(),
            run: run.into(),
            node: None,
            turn: None,
            step: None,
            epoch: None,
            prev: None,
            sum: None,
            what: What::SuiteEnded {
                passed: 1,
                failed: 0,
                errors: 0,
                ignored: 0,
                milliseconds: 7,
            },
        }
    }

    #[test]
    fn suites_are_read_back_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::beside(folder.path());
        for number in 0..KEPT + 2 {
            let run = format!("2026-{number:04}");
            write(&state, &run, &[event(&run)]).unwrap();
        }
        let runs = runs(&state);
        assert_eq!((runs.len(), runs[0].as_str()), (KEPT, "2026-0002"));
        assert_eq!(read(&state, "2026-0007").unwrap(), [event("2026-0007")]);
    }
}
