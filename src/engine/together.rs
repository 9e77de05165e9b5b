//! Many typed cases of one node asked by one script, so that a hundred of them cost one
//! process more than one of them does.

use std::time::{Duration, Instant};

use crate::engine::check::{Checked, Outcome, check, masked, of_facts};
use crate::engine::{Reach, Scope, Secrets};
use crate::plan::{Ask, Case, probe};
use crate::session::{Done, Limits, Lost};

/// Asks typed cases that are asked in one place by one user. What has no answer in the end,
/// because one of them took all the time or ended the script, is asked again alone, so that
/// each case stands for itself.
pub async fn check_together(
    reach: &Reach,
    cases: &[&Case],
    scope: &Scope,
    secrets: &Secrets,
) -> Vec<Checked> {
    let started = Instant::now();
    let answers = match ask(reach, cases, scope, secrets).await {
        Ok(answers) => answers,
        Err(outcome) => vec![Some(outcome); cases.len()],
    };
    let took = share(started.elapsed(), cases.len());
    let mut checked = Vec::with_capacity(cases.len());
    for (case, answer) in cases.iter().zip(answers) {
        checked.push(match answer {
            Some(outcome) => Checked {
                outcome: masked(outcome, secrets),
                tries: 1,
                took,
            },
            None => check(reach, case, scope, secrets).await,
        });
    }
    checked
}

/// The outcome of each case, `None` where the script did not get to its end; or the one
/// outcome of all.
async fn ask(
    reach: &Reach,
    cases: &[&Case],
    scope: &Scope,
    secrets: &Secrets,
) -> Result<Vec<Option<Outcome>>, Outcome> {
    let Some(first) = cases.first() else {
        return Ok(Vec::new());
    };
    let unknown = |error: &dyn std::error::Error| Outcome::Unknown(error.to_string());
    let session = match reach.to(first.on, first.sudo.as_ref()).await {
        Ok(session) => session,
        Err(crate::engine::ReachError::Lost(lost)) => return Err(Outcome::Lost(lost)),
        Err(error) => return Err(unknown(&error)),
    };
    let (script, batch) = probe(cases);
    let bindings = script.bindings();
    let values = scope.values(&reach.node.name, bindings, secrets).await;
    let Ok(mut values) = values else {
        // Whose value it is, each will say for itself.
        return Ok(vec![None; cases.len()]);
    };
    if let Some(state) = scope.state(first.on) {
        values.then_source(state);
    }
    let done = match session.run(&script, &values, limits(cases)).await {
        Ok(done) => done,
        // It may be one of them that the node cannot be told.
        Err(Lost::Refused { .. }) => return Ok(vec![None; cases.len()]),
        Err(lost) => return Err(Outcome::Lost(lost)),
    };
    let whole = done.end == crate::session::End::Exited && !done.truncated;
    Ok(outcomes(cases, &batch, &done, whole))
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

/// A case that hangs may hold up the others as long as it may take itself, no longer.
fn limits(cases: &[&Case]) -> Limits {
    Limits {
        time: cases
            .iter()
            .map(|case| case.timeout)
            .max()
            .unwrap_or(crate::plan::CHECK_LIMIT),
        ..Limits::default()
    }
}

fn share(took: Duration, of: usize) -> Duration {
    took / u32::try_from(of.max(1)).unwrap_or(u32::MAX)
}
