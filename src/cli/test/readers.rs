//! Who reads the events of a suite while it runs: libtest's lines and the live view, or
//! libtest-mimic; and what is kept.

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

/// What was read, when the suite has ended.
pub(super) struct Read {
    pub results: Results,
    /// Where results are to be kept.
    pub record: Option<Record>,
}

/// How often what is under way is drawn.
const TICK: Duration = Duration::from_millis(120);

/// Prints libtest's lines as the events come, and draws what is under way meanwhile.
///
/// # Errors
/// Where nobody reads the output any more.
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

/// What was not asked to its end is no pass.
fn unended() -> io::Error {
    io::Error::other("the suite did not come to its end: this is a fault of opsbook")
}

fn see(event: &Event, course: &mut Course, record: &mut Option<Record>) {
    course.see(event);
    if let Some(record) = record {
        record.see(event);
    }
}

/// Gives the events to the trials of libtest-mimic, which prints.
///
/// # Errors
/// Where the suite has not come to its end.
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
        // Trials wait for events alone; that the suite ends does not wait for them.
        let _ = reading.join();
    });
    let results = answers.take().ok_or_else(unended)?;
    Ok(Read { results, record })
}

/// Where a person sees what is under way.
pub(super) fn terminal() -> Option<Terminal> {
    let stderr = io::stderr();
    stderr.is_terminal().then(|| Terminal {
        columns: Box::new(columns),
        out: Box::new(stderr),
    })
}

/// None where it does not tell.
fn columns() -> usize {
    rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col.into())
}
