//! Tests -> libtest's flags, lines and counts. The only file that names `libtest_mimic`.
//!
//! The harness prints in one thread and in the order of the tests; they are asked behind it,
//! many at a time, and each of its trials waits for one answer.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use jiff::Timestamp;
use libtest_mimic::{
    Arguments, ColorSetting, Completion, Conclusion, Failed, FormatSetting, Trial,
};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::event::Evidence;
use crate::journal;
use crate::report::tested::{Outcome, Results, Tested};
use crate::suite::ask::{Access, Answer, Asking, OfNode, Pending, Rehearse, STOPPED, node};
use crate::suite::{Options, Progress, Selected, Selection, Test, Work};

/// How libtest's lines look and where they go.
#[derive(Clone, Debug, Default)]
pub struct Output {
    pub format: Format,
    pub color: Color,
    /// A file instead of standard output.
    pub logfile: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Pretty,
    Terse,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// A name that no test has; what is not selected is counted under it.
const NOT_SELECTED: &str = "\0";
const GAVE_UP: &str = "opsbook itself gave up on it: this is a fault of opsbook";
/// For sessions to end.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often what is under way is drawn.
const TICK: Duration = Duration::from_millis(120);

/// `[node] name: test`, one a line.
///
/// # Errors
/// Where nobody reads any more.
pub fn list(selected: &Selected, out: &mut dyn Write) -> io::Result<()> {
    for test in &selected.tests {
        writeln!(out, "{}: test", test.listed())?;
    }
    out.flush()
}

/// Runs the selected tests. Must not be called from within the runtime: it waits.
///
/// # Errors
/// Where nobody reads the output any more.
#[expect(clippy::too_many_arguments, reason = "each is made somewhere else")]
pub fn run(
    selected: Selected,
    selection: &Selection,
    access: Access,
    rehearse: Rehearse,
    options: &Options,
    output: &Output,
    progress: Progress,
    runtime: &Handle,
) -> io::Result<Results> {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let asking = Arc::new(Asking::new(
        access,
        rehearse,
        options.clone(),
        Arc::new(progress),
    ));
    let ended = Arc::new(Mutex::new(Vec::with_capacity(selected.tests.len())));
    let line = Line::new(output.format, &selected.tests);
    let mut trials = Vec::with_capacity(selected.tests.len() + selected.filtered_out);
    let mut nodes: IndexMap<String, OfNode> = IndexMap::new();
    for (number, test) in selected.tests.into_iter().enumerate() {
        let (tell, told) = mpsc::channel();
        let source = match (&test.ignored, test.work.clone()) {
            (Some(why), _) if !selection.asks_ignored() => {
                Source::Known(Outcome::Ignored(why.clone()))
            }
            (_, Work::Overdue { reason, until }) => Source::Known(overdue(&reason, &until)),
            (_, Work::Check(case)) => {
                of_node(&mut nodes, &test)
                    .checks
                    .push(Pending { case, tell });
                Source::Asked(told)
            }
            (_, Work::Procedure(_)) => {
                of_node(&mut nodes, &test)
                    .procedures
                    .push((test.clone(), tell));
                Source::Asked(told)
            }
        };
        trials.push(trial(
            test,
            source,
            line.at(number),
            Arc::clone(&asking),
            Arc::clone(&ended),
        ));
    }
    let mut tasks = JoinSet::new();
    for of in nodes.into_values() {
        tasks.spawn_on(node(Arc::clone(&asking), of), runtime);
    }
    trials.extend((0..selected.filtered_out).map(|_| Trial::test(NOT_SELECTED, || Ok(()))));
    let conclusion = printed(&arguments(output), trials);
    // All have been answered: what is left is that sessions end in an orderly way.
    let _ = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, async {
            while tasks.join_next().await.is_some() {}
        })
        .await
    });
    let conclusion = conclusion?;
    let tests = std::mem::take(&mut *ended.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Results {
        run: journal::new_run(started, chance()),
        started,
        took: clock.elapsed(),
        filtered_out: usize::try_from(conclusion.num_filtered_out).unwrap_or(0),
        tests,
    })
}

fn of_node<'a>(nodes: &'a mut IndexMap<String, OfNode>, test: &Test) -> &'a mut OfNode {
    nodes
        .entry(test.node.name.clone())
        .or_insert_with(|| OfNode {
            node: Arc::clone(&test.node),
            checks: Vec::new(),
            procedures: Vec::new(),
        })
}

fn chance() -> u16 {
    u16::from_str_radix(&crate::engine::random_mark()[..4], 16).unwrap_or(0)
}

/// Where the outcome of a test comes from.
enum Source {
    Known(Outcome),
    Asked(mpsc::Receiver<Answer>),
}

fn trial(
    test: Test,
    source: Source,
    column: usize,
    asking: Arc<Asking>,
    ended: Arc<Mutex<Vec<Tested>>>,
) -> Trial {
    let (name, kind) = (test.name.clone(), test.node.name.clone());
    let runner = move || {
        let answer = match source {
            Source::Known(outcome) => Answer {
                outcome,
                tries: 1,
                took: Duration::ZERO,
            },
            Source::Asked(told) => wait(&told, &asking, column),
        };
        let tested = tested(&test, answer);
        let completion = completion(&tested);
        if completion.is_err() {
            asking.failed();
        }
        ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(tested);
        completion
    };
    Trial::ignorable_test(name, runner).with_kind(kind)
}

fn wait(told: &mpsc::Receiver<Answer>, asking: &Asking, column: usize) -> Answer {
    let no = |outcome| Answer {
        outcome,
        tries: 1,
        took: Duration::ZERO,
    };
    let begin = Instant::now();
    loop {
        match told.recv_timeout(TICK) {
            Ok(answer) => {
                asking.progress.wipe();
                return answer;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                asking.progress.draw(column, begin.elapsed());
            }
            Err(mpsc::RecvTimeoutError::Disconnected) if asking.is_stopped() => {
                return no(Outcome::Ignored(STOPPED.to_owned()));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return no(Outcome::Error(GAVE_UP.into()));
            }
        }
    }
}

fn completion(tested: &Tested) -> Result<Completion, Failed> {
    match &tested.outcome {
        Outcome::Passed => Ok(Completion::Completed),
        Outcome::Ignored(why) => Ok(Completion::ignored_with(why)),
        Outcome::Failed(_) | Outcome::Error(_) => Err(Failed::from(tested.story().trim_end())),
    }
}

fn tested(test: &Test, answer: Answer) -> Tested {
    let rest = test
        .name
        .strip_prefix(&test.node.name)
        .and_then(|rest| rest.strip_prefix("::"));
    let rest = rest.unwrap_or(&test.name);
    let (group, check) = rest.split_once("::").unwrap_or((rest, rest));
    Tested {
        name: test.name.clone(),
        node: test.node.name.clone(),
        group: group.to_owned(),
        check: check.to_owned(),
        place: test.span.place(),
        outcome: answer.outcome,
        tries: answer.tries,
        took: answer.took,
    }
}

fn overdue(reason: &str, until: &str) -> Outcome {
    Outcome::Failed(vec![Evidence {
        attribute: "skip".to_owned(),
        expected: "a waiver that has not run out".into(),
        found: format!("waived until {until}: {reason}").into(),
        how: None,
    }])
}

fn arguments(output: &Output) -> Arguments {
    Arguments {
        test_threads: Some(1),
        skip: vec![NOT_SELECTED.to_owned()],
        logfile: output.logfile.clone(),
        color: Some(match output.color {
            Color::Auto => ColorSetting::Auto,
            Color::Always => ColorSetting::Always,
            Color::Never => ColorSetting::Never,
        }),
        format: Some(match output.format {
            Format::Pretty => FormatSetting::Pretty,
            Format::Terse => FormatSetting::Terse,
            Format::Json => FormatSetting::Json,
        }),
        ..Arguments::default()
    }
}

/// The harness panics where its output cannot be written; that is no fault of anyone.
fn printed(arguments: &Arguments, trials: Vec<Trial>) -> io::Result<Conclusion> {
    let usual = Arc::new(std::panic::take_hook());
    let say = Arc::clone(&usual);
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload_as_str().is_some_and(is_broken_pipe) {
            say(panic);
        }
    }));
    let ran = catch_unwind(AssertUnwindSafe(|| libtest_mimic::run(arguments, trials)));
    std::panic::set_hook(Box::new(move |panic| usual(panic)));
    ran.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        let broken = is_broken_pipe(&text);
        let kind = if broken {
            io::ErrorKind::BrokenPipe
        } else {
            io::ErrorKind::Other
        };
        io::Error::new(kind, text)
    })
}

fn is_broken_pipe(text: &str) -> bool {
    text.contains("BrokenPipe")
}

/// How much of a line the harness has printed when a test is waited for.
struct Line {
    format: Format,
    width: usize,
}

impl Line {
    fn new(format: Format, tests: &[Test]) -> Line {
        let longest = |of: fn(&Test) -> usize| tests.iter().map(of).max().unwrap_or(0);
        let kind = longest(|test| test.node.name.chars().count() + 3);
        let name = longest(|test| test.name.chars().count());
        Line {
            format,
            width: "test  ... ".len() + kind + name,
        }
    }

    fn at(&self, number: usize) -> usize {
        match self.format {
            Format::Pretty => self.width,
            Format::Terse => number,
            Format::Json => 0,
        }
    }
}
