//! Tests as a test target of cargo has them: libtest-mimic chooses, runs, prints and counts, one
//! trial for each test. The only file that names it.
//!
//! It prints in one thread and in the order of the tests. They are asked behind it, many at a
//! time, and each trial waits for its answer.

use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, ColorSetting, Completion, Failed, FormatSetting, Trial};

use crate::event::Outcome;
use crate::report::tested::Tested;
use crate::suite::ask::Asking;
use crate::suite::harness::{Source, answer, tested};
use crate::suite::{Format, Selection, Test};

/// How libtest-mimic prints.
#[derive(Clone, Debug)]
pub struct Libtest {
    pub format: Format,
    /// None where the terminal decides.
    pub colour: Option<bool>,
    /// A file instead of standard output.
    pub logfile: Option<String>,
}

/// Waits for the answers, each printed when it has come. What is not selected is only counted.
pub(super) fn answers(
    libtest: Libtest,
    selection: &Selection,
    sources: Vec<(Test, Source)>,
    left_out: &[Test],
    asking: &Arc<Asking>,
) -> Vec<Tested> {
    let ended = Arc::new(Mutex::new(Vec::with_capacity(sources.len())));
    let mut trials: Vec<Trial> = sources
        .into_iter()
        .map(|(test, source)| {
            let (asking, ended) = (Arc::clone(asking), Arc::clone(&ended));
            let runner = {
                let test = test.clone();
                move || {
                    let tested = tested(&test, answer(source, &asking, 0, &test.name));
                    let completion = completion(&tested);
                    if completion.is_err() {
                        asking.failed();
                    }
                    let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                    ended.push(tested);
                    completion
                }
            };
            trial(&test, selection, runner)
        })
        .collect();
    let arguments = match chosen(libtest, selection) {
        Ok(arguments) => {
            let never = || Err(Failed::from("it was not selected, and ran"));
            trials.extend(left_out.iter().map(|test| trial(test, selection, never)));
            arguments
        }
        // It has one filter and knows no parts: what is left out stays away.
        Err(arguments) => arguments,
    };
    // What is concluded from its counts tells what failed from what could not look.
    let _ = libtest_mimic::run(&arguments, trials);
    let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *ended)
}

fn trial(
    test: &Test,
    selection: &Selection,
    runner: impl FnOnce() -> Result<Completion, Failed> + Send + 'static,
) -> Trial {
    // With the flag, its reason would not be printed: only where it makes a choice.
    Trial::ignorable_test(test.name.clone(), runner)
        .with_kind(test.node.name.clone())
        .with_ignored_flag(selection.ignored && test.ignored.is_some())
}

fn completion(tested: &Tested) -> Result<Completion, Failed> {
    match &tested.checked.outcome {
        Outcome::Held => Ok(Completion::Completed),
        Outcome::Ignored(why) => Ok(Completion::ignored_with(why)),
        Outcome::Failed(_) | Outcome::Unknown(_) => Err(Failed::from(tested.story().trim_end())),
    }
}

/// The same choice in libtest's words; as an error where it has none for it, without a choice.
fn chosen(libtest: Libtest, selection: &Selection) -> Result<Arguments, Arguments> {
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
        ..Arguments::default()
    };
    if selection.filters.len() > 1 || selection.partition.is_some() {
        return Err(Arguments {
            ignored: selection.ignored,
            ..arguments
        });
    }
    Ok(Arguments {
        filter: selection.filters.first().cloned(),
        skip: selection.skip.clone(),
        exact: selection.exact,
        ignored: selection.ignored,
        ..arguments
    })
}
