//! Consumers of a suite's events while it runs: libtest's lines and the live view, or
//! libtest-mimic; and the record.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::cli::test::arguments::Printing;
use crate::event::Event;
use crate::report::course::Course;
use crate::report::lines::Lines;
use crate::report::live::{Live, Terminal};
use crate::report::record::Record;
use crate::report::tested::Results;
use crate::suite::{Answers, Libtest, Selected, Selection};

/// The results at the end of the suite.
pub(super) struct Read {
    pub results: Results,
    /// The record, if results are to be stored.
    pub record: Option<Record>,
}

/// How often the progress is redrawn.
const TICK: Duration = Duration::from_millis(120);

/// Prints libtest's lines as the events arrive, and draws the progress.
///
/// # Errors
/// If the output is closed.
pub(super) fn lines(
    told: &Receiver<Event>,
    printing: &Printing,
    live: &Live,
    record: bool,
) -> io::Result<Read> {
    let mut lines = Lines::new(printing.out()?, printing.format());
    let mut record = record.then(Record::default);
    let mut course = Course::default();
    let (mut printed, mut drawn) = (Instant::now(), Instant::now());
    loop {
        match told.recv_timeout(TICK) {
            Ok(event) => see(&event, &mut course, &mut record),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if lines.is_behind(&course) {
            live.print(|| lines.show(&course).map(|()| lines.column()))?;
            (printed, drawn) = (Instant::now(), Instant::now());
        } else if drawn.elapsed() >= TICK {
            live.draw(&course, printed.elapsed());
            drawn = Instant::now();
        }
    }
    let results = course.into_results().ok_or_else(unended)?;
    Ok(Read { results, record })
}

/// A suite that did not reach its end does not pass.
fn unended() -> io::Error {
    io::Error::other("the suite did not finish: this is a bug in opsbook")
}

fn see(event: &Event, course: &mut Course, record: &mut Option<Record>) {
    course.see(event);
    if let Some(record) = record {
        record.see(event);
    }
}

/// Passes the events to the trials of libtest-mimic, which prints.
///
/// # Errors
/// If the suite did not reach its end.
pub(super) fn libtest(
    told: Receiver<Event>,
    libtest: Libtest,
    selection: &Selection,
    selected: &Selected,
    record: bool,
) -> io::Result<Read> {
    let answers = Arc::new(Answers::default());
    let mut record = record.then(Record::default);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            for event in told {
                answers.see(&event);
                if let Some(record) = &mut record {
                    record.see(&event);
                }
            }
            answers.end();
        });
        libtest.run(selection, &selected.tests, &selected.left_out, &answers);
        // The trials wait only for events, not for the end of the suite.
        let _ = reading.join();
    });
    let results = answers.take().ok_or_else(unended)?;
    Ok(Read { results, record })
}

/// The terminal for the progress display.
pub(super) fn terminal() -> Option<Terminal> {
    let stderr = io::stderr();
    stderr.is_terminal().then(|| Terminal {
        columns: Box::new(columns),
        out: Box::new(stderr),
    })
}

/// The terminal's width; 0 if unknown.
fn columns() -> usize {
    rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col.into())
}
