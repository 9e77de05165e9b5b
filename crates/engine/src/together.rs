//! Many typed cases of one node asked by one script, so that a hundred of them cost one
//! process more than one of them does.

use std::time::{Duration, Instant};

use crate::check::{Answer, masked, milliseconds, of_facts, session_for};
use crate::event::{Checked, Outcome};
use crate::plan::{Ask, Case, probe};
use crate::session::{Done, Limits, Lost};
use crate::{Reach, Scope, Secrets, target};

/// What one script may take: probes that wait for nothing are done in moments, even many.
const LIMIT: Duration = Duration::from_secs(10);

/// What came of each case, and how long it took, where the node tells.
type Answers = (Vec<Option<Outcome>>, Vec<Option<Duration>>);

/// Asks typed cases that are asked in one place by one user. `None` is for those without an
/// answer: one of them took all the time or ended the script, most likely the first.
///
/// # Errors
/// Where the connection did not last until there were answers.
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
        // The node's word, as far as it can be true.
        let took = times.get(index).copied().flatten();
        Some(Checked {
            outcome: masked(answer?, secrets),
            tries: 1,
            milliseconds: milliseconds(took.map_or(share, |took| took.min(whole))),
        })
    };
    Ok(answers.into_iter().enumerate().map(checked).collect())
}

/// The outcome of each case, `None` where the script did not get to its end, and how long each
/// took; as an error the one answer for all.
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
        // Whose value it is, each will say for itself.
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
        // It may be one of them that the node cannot be told.
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
