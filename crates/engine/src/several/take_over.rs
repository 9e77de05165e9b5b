//! Turns that an earlier controller began: reads what their nodes know, and takes them over before
//! anything starts.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::Ground;
use super::line::{Line, Seed};
use super::stop::Stops;
use super::turns::{TurnKey, plans, status, turns};
use crate::event::Status;
use crate::halt::Halt;
use crate::journal::Record;
use crate::plan::{NodePlan, PlannedStep, PlannedWork};

/// Reads into the journal what the nodes know of turns without a good end in the journal.
pub async fn catch_up(ground: &Ground<'_>, record: &Record, main: &Line<'_>) -> Result<(), Stops> {
    for (_, turn) in turns(ground) {
        if status(ground, turn, record) == Some(Status::Ok) {
            continue;
        }
        let plans = plans(ground, turn);
        let mut line = Line::reach(ground, &plans, Some(&main.peers), None, Some(record)).await?;
        line.know(None, Some(record));
        let caught_up = line.catch_up(record).await;
        line.leave().await;
        caught_up?;
    }
    Ok(())
}

/// As one step runs at a time, all steps before the last begun one must have records. A missing
/// record means that a node has lost its bundle.
///
/// # Errors
/// The first missing step, and its node.
pub fn prove_no_hole(ground: &Ground<'_>, record: &Record) -> Result<(), Stops> {
    let started_at = record.started().and_then(|started| started.start_at);
    let earliest = started_at.unwrap_or(1);
    let main: Vec<&NodePlan> = { ground.plan.nodes.iter() }
        .filter(|node| node.turn.is_none())
        .collect();
    hole(&main, record, earliest)?;
    for (_, turn) in turns(ground) {
        hole(&plans(ground, turn), record, earliest)?;
    }
    Ok(())
}

fn hole(plans: &[&NodePlan], record: &Record, earliest: usize) -> Result<(), Stops> {
    let last = plans
        .iter()
        .filter_map(|plan| Some((*record.steps(plan.site()).keys().max()?, plan)))
        .max_by_key(|(number, _)| *number);
    let Some((last, on)) = last else {
        return Ok(());
    };
    for plan in plans {
        let known = record.steps(plan.site());
        let lost = plan.steps.iter().find(|step| {
            let script = matches!(step.work, PlannedWork::Script(_));
            script && (earliest..last).contains(&step.number) && !known.contains_key(&step.number)
        });
        if let Some(step) = lost {
            let cause = format!(
                "it has no record of step {}, but `{}` has one of step {}: it has lost the bundle \
                 of this run",
                step.heading(),
                on.node.name,
                on.step(last).map_or_else(String::new, PlannedStep::heading),
            );
            return Err(Stops::at(&plan.node.name, Halt::error(cause)));
        }
    }
    Ok(())
}

/// Takes over every turn that an earlier controller began without a good end, so that nothing of it
/// continues in parallel.
pub async fn turns_begun<'a>(
    ground: &'a Ground<'a>,
    seed: &Seed,
    record: &Record,
) -> Result<BTreeMap<TurnKey, Line<'a>>, Stops> {
    let begun = turns(ground).into_iter().filter(|(_, turn)| {
        let mut plans = plans(ground, turn).into_iter();
        status(ground, turn, record) != Some(Status::Ok)
            && plans.any(|plan| record.has_begun(plan.site()))
    });
    let taken = begun.map(async |(key, turn)| {
        let plans = plans(ground, turn);
        let mut line = Line::reach(ground, &plans, Some(&seed.peers), None, Some(record)).await?;
        line.know(Some(seed), Some(record));
        line.use_bundles();
        let opened = line.open(Some(record)).await;
        Ok::<_, Stops>((key, line, opened))
    });
    let (mut lines, mut results) = (BTreeMap::new(), Vec::new());
    for taken in join_all(taken).await {
        match taken {
            Ok((key, line, opened)) => {
                lines.insert(key, line);
                results.push(opened);
            }
            Err(stops) => results.push(Err(stops)),
        }
    }
    if results.iter().all(Result::is_ok) {
        let compared = lines.values_mut().map(|line| line.compare(Some(record)));
        results = join_all(compared).await;
    }
    match Stops::all(results) {
        Ok(()) => Ok(lines),
        Err(stops) => {
            join_all(lines.values_mut().map(Line::leave)).await;
            Err(stops)
        }
    }
}
