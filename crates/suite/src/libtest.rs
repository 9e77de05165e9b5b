//! Runs tests as a cargo test target: libtest-mimic selects, runs, prints and counts, with one
//! trial for each test. Only this file names it.
//!
//! libtest-mimic prints in one thread and in the order of the tests. The suite runs in parallel,
//! many cases at a time, and each trial waits for the event with its outcome.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use libtest_mimic::{Arguments, ColorSetting, Completion, Failed, FormatSetting, Trial};

use crate::event::{Event, Outcome};
use crate::report::course::Course;
use crate::report::lines::Format;
use crate::report::tested::{Results, Tested};
use crate::{Ignored, Selected, Selection, Test};

/// Output options of libtest-mimic.
#[derive(Clone, Debug)]
pub struct Libtest {
    /// The output format.
    pub format: Format,
    /// `None`: the terminal decides.
    pub colour: Option<bool>,
    /// A file to use instead of standard output.
    pub logfile: Option<String>,
}

/// The outcomes from the events, for the trials that wait for them.
#[derive(Debug, Default)]
pub struct Answers {
    told: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    course: Course,
    /// No more events will come, whether the suite has ended or not.
    over: bool,
}

impl Answers {
    /// Handles an event.
    pub fn see(&self, event: &Event) {
        self.told().course.see(event);
        self.changed.notify_all();
    }

    /// Marks the end of events: no trial waits any longer.
    pub fn end(&self) {
        self.told().over = true;
        self.changed.notify_all();
    }

    /// Takes the results; `None` if the suite did not reach its end.
    #[must_use]
    pub fn take(&self) -> Option<Results> {
        std::mem::take(&mut self.told().course).into_results()
    }

    /// Waits for the outcome of the test with this index in the order of the book.
    fn wait(&self, number: usize) -> Option<Tested> {
        let mut told = self.told();
        loop {
            if let Some(tested) = told.course.results().tests.get(number) {
                return Some(tested.clone());
            }
            if told.over {
                return None;
            }
            told = self
                .changed
                .wait(told)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn told(&self) -> MutexGuard<'_, Progress> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Libtest {
    /// Waits for the outcomes and prints each when it arrives. Tests that are not selected are only
    /// counted.
    pub fn run(
        self,
        selection: &Selection,
        tests: &[Test],
        left_out: &[Test],
        answers: &Arc<Answers>,
    ) {
        let trials = tests.iter().enumerate().map(|(number, test)| {
            let answers = Arc::clone(answers);
            trial(test, selection, move || match answers.wait(number) {
                Some(tested) => completion(&tested),
                None => Err(Failed::from("the suite ended without its result")),
            })
        });
        let (arguments, others) = chosen(self, selection, left_out);
        let trials = trials.chain(others).collect();
        // The caller derives the exit status from the results, which distinguish failed from not
        // evaluated.
        let _ = libtest_mimic::run(&arguments, trials);
    }

    /// Prints the names of the selected tests.
    pub fn list(self, selection: &Selection, selected: &Selected) {
        let tests = selected.tests.iter();
        let trials = tests.map(|test| trial(test, selection, never));
        let (arguments, others) = chosen(self, selection, &selected.left_out);
        let arguments = Arguments {
            list: true,
            ..arguments
        };
        let _ = libtest_mimic::run(&arguments, trials.chain(others).collect());
    }
}

fn never() -> Result<Completion, Failed> {
    Err(Failed::from("it ran although it was ignored"))
}

fn trial(
    test: &Test,
    selection: &Selection,
    runner: impl FnOnce() -> Result<Completion, Failed> + Send + 'static,
) -> Trial {
    // With the flag, libtest-mimic does not print the reason: set the flag only if it affects the
    // selection.
    let ignored = selection.ignored == Ignored::Only && test.ignored.is_some();
    Trial::ignorable_test(test.name(), runner)
        .with_kind(test.node.name.clone())
        .with_ignored_flag(ignored)
}

fn completion(tested: &Tested) -> Result<Completion, Failed> {
    match &tested.checked.outcome {
        Outcome::Held => Ok(Completion::Completed),
        Outcome::Ignored(why) => Ok(Completion::ignored_with(why)),
        Outcome::Failed(_) | Outcome::Unknown(_) => Err(Failed::from(tested.story().trim_end())),
    }
}

/// The same selection as libtest-mimic's arguments, and the tests that it leaves out. libtest-mimic
/// has only one filter and no partitions: for more, unselected tests are removed beforehand.
fn chosen(libtest: Libtest, selection: &Selection, left_out: &[Test]) -> (Arguments, Vec<Trial>) {
    let arguments = Arguments {
        test_threads: Some(1),
        logfile: libtest.logfile,
        color: Some(match libtest.colour {
            None => ColorSetting::Auto,
            Some(true) => ColorSetting::Always,
            Some(false) => ColorSetting::Never,
        }),
        format: Some(match libtest.format {
            Format::Pretty => FormatSetting::Pretty,
            Format::Terse => FormatSetting::Terse,
            Format::Json => FormatSetting::Json,
        }),
        ignored: selection.ignored == Ignored::Only,
        ..Arguments::default()
    };
    if selection.filters.len() > 1 || selection.partition.is_some() {
        return (arguments, Vec::new());
    }
    let arguments = Arguments {
        filter: selection.filters.first().cloned(),
        skip: selection.skip.clone(),
        exact: selection.exact,
        ..arguments
    };
    let others = left_out.iter().map(|test| trial(test, selection, never));
    (arguments, others.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_does_not_wait_for_a_suite_that_is_gone() {
        let answers = Arc::new(Answers::default());
        let waiting = {
            let answers = Arc::clone(&answers);
            std::thread::spawn(move || answers.wait(0).is_none())
        };
        answers.end();
        assert!(waiting.join().unwrap());
        assert!(answers.take().is_none());
    }
}
