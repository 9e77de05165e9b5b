//! Evaluates many typed cases of one node with one script, so that a hundred cases cost one process
//! more than one case.

use std::time::{Duration, Instant};

use crate::check::{Answer, masked, milliseconds, of_facts, session_for};
use crate::event::{Checked, Outcome};
use crate::plan::{Ask, Case, probe};
use crate::session::{Done, Limits, Lost};
use crate::{Reach, Scope, Secrets, target};

/// The time limit of one script: probes that wait for nothing take moments, even many.
const LIMIT: Duration = Duration::from_secs(10);

/// The outcome of each case and its duration, if the node reports it.
type Answers = (Vec<Option<Outcome>>, Vec<Option<Duration>>);

/// Evaluates typed cases of one place and one user. `None` marks cases without an answer: one of
/// them took all the time or ended the script, most likely the first of these.
///
/// # Errors
/// If the connection was lost before the answers came.
pub async fn check_together(
    reach: &Reach,
    cases: &[&Case],
    scope: &Scope,
    secrets: &Secrets,
) -> Result<Vec<Option<Checked>>, Lost> {
    let started = Instant::now();
    let (answers, times) = match ask(reach, cases, scope, secrets).await {
        Ok(answers) => answers,
        Err(answer) => (vec![Some(answer?); cases.len()], Vec::new()),
    };
    let whole = started.elapsed();
    let share = share(whole, cases.len());
    let checked = |(index, answer): (usize, Option<Outcome>)| {
        // The node's value, as far as it is plausible.
        let took = times.get(index).copied().flatten();
        Some(Checked {
            outcome: masked(answer?, secrets),
            tries: 1,
            milliseconds: milliseconds(took.map_or(share, |took| took.min(whole))),
        })
    };
    Ok(answers.into_iter().enumerate().map(checked).collect())
}

/// The outcome of each case, `None` if the script did not get that far, and how long each took; the
/// error is one outcome for all.
async fn ask(
    reach: &Reach,
    cases: &[&Case],
    scope: &Scope,
    secrets: &Secrets,
) -> Result<Answers, Answer> {
    let Some(first) = cases.first() else {
        return Ok(Answers::default());
    };
    let nothing = || (vec![None; cases.len()], Vec::new());
    let session = session_for(reach, first).await?;
    let (script, batch) = probe(cases);
    let bindings = script.bindings();
    let values = scope.values(&reach.node.name, bindings, secrets).await;
    let Ok(mut values) = values else {
        // Each case will report its own values.
        return Ok(nothing());
    };
    if let Some(state) = scope.state(first.on) {
        values.then_source(state);
    }
    let done = match session
        .run(&target::script(&script), &values, limits(cases))
        .await
    {
        Ok(done) => done,
        // One of the cases may have a value that the node cannot receive.
        Err(Lost::Refused { .. }) => return Ok(nothing()),
        Err(lost) => return Err(Err(lost)),
    };
    let whole = done.end == crate::session::End::Exited && !done.truncated;
    let times = batch.times(&done.out);
    Ok((outcomes(cases, &batch, &done, whole), times))
}

fn outcomes(
    cases: &[&Case],
    batch: &crate::vocabulary::Batch,
    done: &Done,
    whole: bool,
) -> Vec<Option<Outcome>> {
    let facts = batch.split(done.status, &done.out, &done.err);
    let outcome = |(case, facts): (&&Case, _)| match (&case.ask, facts) {
        (Ask::Probe { .. }, Err(_)) if !whole || cases.len() > 1 => None,
        (Ask::Probe { assertion, .. }, facts) => Some(of_facts(assertion, facts)),
        (Ask::Script { .. }, _) => None,
    };
    cases.iter().zip(facts).map(outcome).collect()
}

fn limits(cases: &[&Case]) -> Limits {
    let longest = cases.iter().map(|case| case.timeout).max();
    Limits {
        time: longest.map_or(LIMIT, |longest| longest.min(LIMIT)),
        ..Limits::default()
    }
}

fn share(took: Duration, of: usize) -> Duration {
    took / u32::try_from(of.max(1)).unwrap_or(u32::MAX)
}
