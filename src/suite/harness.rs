//! Tests -> answers in the order of the book. They are asked behind it, many at a time; the
//! harness waits for one after the other, and prints it.

use std::io::{self, Write};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::event::{Checked, Evidence, Outcome};
use crate::journal;
use crate::report::tested::{Results, Tested};
use crate::suite::ask::{Access, Asking, OfNode, Pending, Rehearse, STOPPED, node};
use crate::suite::libtest::{self, Libtest};
use crate::suite::lines::Lines;
use crate::suite::{Options, Progress, Selected, Selection, Test, Work};

/// Who prints the tests.
pub enum Front<'a> {
    /// `opsbook test`: libtest's lines, and what could not look beside them.
    Lines(Format, &'a mut dyn Write),
    /// A test target of cargo: libtest-mimic itself.
    Libtest(Libtest),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Pretty,
    Terse,
    Json,
}

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
    front: Front<'_>,
    progress: Arc<Progress>,
    runtime: &Handle,
) -> io::Result<Results> {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let asking = Arc::new(Asking::new(access, rehearse, options.clone(), progress));
    let mut nodes: IndexMap<String, OfNode> = IndexMap::new();
    let sources: Vec<(Test, Source)> = selected
        .tests
        .into_iter()
        .map(|test| {
            let source = source(&test, selection, &mut nodes);
            (test, source)
        })
        .collect();
    let mut tasks = JoinSet::new();
    for of in nodes.into_values() {
        tasks.spawn_on(node(Arc::clone(&asking), of), runtime);
    }
    let mut results = Results {
        run: journal::new_run(started, chance()),
        started,
        took: Duration::ZERO,
        filtered_out: selected.left_out.len(),
        tests: Vec::with_capacity(sources.len()),
    };
    let mut lines = None;
    let printed = match front {
        Front::Lines(format, out) => {
            let own = lines.insert(Lines::new(out, format, &sources));
            answers(sources, &asking, format, own, &mut results.tests)
        }
        Front::Libtest(libtest) => {
            let left_out = &selected.left_out;
            results.tests = libtest::answers(libtest, selection, sources, left_out, &asking);
            Ok(())
        }
    };
    // All have been answered: what is left is that sessions end in an orderly way.
    let _ = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, async {
            while tasks.join_next().await.is_some() {}
        })
        .await
    });
    printed?;
    results.took = clock.elapsed();
    if let Some(mut lines) = lines {
        lines.summary(&results)?;
    }
    Ok(results)
}

/// One after the other, each printed when it has come.
fn answers(
    sources: Vec<(Test, Source)>,
    asking: &Asking,
    format: Format,
    lines: &mut Lines<'_>,
    ended: &mut Vec<Tested>,
) -> io::Result<()> {
    lines.title(sources.len())?;
    for (number, (test, source)) in sources.into_iter().enumerate() {
        lines.started(&test)?;
        let column = match format {
            Format::Terse => number,
            Format::Pretty | Format::Json => 0,
        };
        let tested = tested(&test, answer(source, asking, column, &test.name));
        if matches!(
            tested.checked.outcome,
            Outcome::Failed(_) | Outcome::Unknown(_)
        ) {
            asking.failed();
        }
        let next = match format {
            Format::Terse => number + 1,
            Format::Pretty | Format::Json => 0,
        };
        asking.progress.print(next, || lines.ended(&tested))?;
        ended.push(tested);
    }
    Ok(())
}

/// Where the outcome of a test comes from.
pub(super) enum Source {
    Known(Outcome),
    Asked(mpsc::Receiver<Checked>),
}

/// Adds a test to what its node is asked, where it is.
fn source(test: &Test, selection: &Selection, nodes: &mut IndexMap<String, OfNode>) -> Source {
    let (tell, told) = mpsc::channel();
    match (&test.ignored, test.work.clone()) {
        (Some(why), _) if !selection.asks_ignored() => {
            return Source::Known(Outcome::Ignored(why.clone()));
        }
        (_, Work::Overdue { reason, until }) => {
            return Source::Known(overdue(&reason, &until));
        }
        (_, Work::Check(case)) => of_node(nodes, test).checks.push(Pending { case, tell }),
        (_, Work::Procedure(_)) => of_node(nodes, test).procedures.push((test.clone(), tell)),
    }
    Source::Asked(told)
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

pub(super) fn answer(source: Source, asking: &Asking, column: usize, name: &str) -> Checked {
    match source {
        Source::Known(outcome) => Checked::at_once(outcome),
        Source::Asked(told) => wait(&told, asking, column, name),
    }
}

fn wait(told: &mpsc::Receiver<Checked>, asking: &Asking, column: usize, name: &str) -> Checked {
    let begin = Instant::now();
    loop {
        match told.recv_timeout(TICK) {
            Ok(answer) => return answer,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                asking.progress.draw(column, begin.elapsed(), name);
            }
            Err(mpsc::RecvTimeoutError::Disconnected) if asking.is_stopped() => {
                return Checked::at_once(Outcome::Ignored(STOPPED.to_owned()));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Checked::at_once(Outcome::Unknown(GAVE_UP.into()));
            }
        }
    }
}

pub(super) fn tested(test: &Test, checked: Checked) -> Tested {
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
        checked,
    }
}

fn overdue(reason: &str, until: &str) -> Outcome {
    Outcome::Failed(vec![Evidence {
        attribute: "skip".to_owned(),
        expected: "a waiver that has not run out".into(),
        found: format!("waived until {until}: {reason}").into(),
        how: None,
        hint: None,
    }])
}
