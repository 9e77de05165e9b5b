//! A section of the page that is gone through for each node of a role: its turns, in batches.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::Ground;
use super::line::{Line, Seed};
use super::stop::{Stops, ended};
use crate::event::{Site, Status, What};
use crate::halt::Halt;
use crate::journal::{JournalError, Record};
use crate::plan::batch::{in_batches, smaller};
use crate::plan::{NodePlan, PlannedStep, PlannedWork, Section, Stretch, Turn};

/// The number of the section, and the turn's place in it.
pub type TurnKey = (usize, usize);

/// Turns that are looked at side by side before the first step.
const SIDE_BY_SIDE: usize = 10;

fn sections<'a>(ground: &Ground<'a>) -> impl Iterator<Item = &'a Section> {
    ground
        .binding
        .order
        .iter()
        .filter_map(|stretch| match stretch {
            Stretch::Section(section) => Some(section),
            Stretch::Step(_) | Stretch::Checks(_) => None,
        })
}

fn turns<'a>(ground: &Ground<'a>) -> Vec<(TurnKey, &'a Turn)> {
    let turns = sections(ground).flat_map(|section| {
        let numbered = section.turns.iter().enumerate();
        numbered.map(|(index, turn)| ((section.number, index), turn))
    });
    turns.collect()
}

fn plans<'a>(ground: &Ground<'a>, turn: &Turn) -> Vec<&'a NodePlan> {
    let plans = turn.plans.iter();
    plans
        .filter_map(|index| ground.plan.nodes.get(*index))
        .collect()
}

fn site<'a>(ground: &Ground<'a>, turn: &Turn) -> Option<Site<'a>> {
    plans(ground, turn).first().map(|plan| plan.site())
}

/// How a turn ended, as the journal says.
fn status(ground: &Ground<'_>, turn: &Turn, record: &Record) -> Option<Status> {
    let site = site(ground, turn)?;
    let mut events = record.of(site).rev();
    events.find_map(|event| match event.what {
        What::TurnEnded { status, .. } => Some(status),
        _ => None,
    })
}

/// Is there a turn that has not come to a good end?
pub fn is_left(ground: &Ground<'_>, resume: Option<&Record>) -> bool {
    turns(ground)
        .iter()
        .any(|(_, turn)| resume.and_then(|record| status(ground, turn, record)) != Some(Status::Ok))
}

/// Asks what the nodes of sections need, and that nobody holds them, before anything of the run
/// is touched. They are asked again, and locked, at their turn.
pub async fn prove_needs(
    ground: &Ground<'_>,
    seed: &Seed,
    resume: Option<&Record>,
) -> Result<(), Stops> {
    for some in turns(ground).chunks(SIDE_BY_SIDE) {
        let proven = some.iter().map(async |(_, turn)| {
            let own: Vec<&NodePlan> = plans(ground, turn).into_iter().take(1).collect();
            let proven = prove_node(ground, &own, seed, resume).await;
            if let Err(stops) = &proven {
                stops.record(ground.recorder, &own)?;
            }
            proven
        });
        all(join_all(proven).await)?;
    }
    Ok(())
}

async fn prove_node(
    ground: &Ground<'_>,
    own: &[&NodePlan],
    seed: &Seed,
    resume: Option<&Record>,
) -> Result<(), Stops> {
    let mut line = Line::reach(ground, own, Some(&seed.peers), resume).await?;
    line.know(Some(seed), resume);
    let proven = match line.prove_needs().await {
        Ok(()) => line.prove_free().await,
        stopped => stopped,
    };
    line.leave().await;
    proven
}

/// All that went wrong in several lines.
fn all(results: Vec<Result<(), Stops>>) -> Result<(), Stops> {
    let mut stops: Option<Stops> = None;
    for more in results.into_iter().filter_map(Result::err) {
        stops = Some(match stops {
            Some(stops) => stops.and(more),
            None => more,
        });
    }
    stops.map_or(Ok(()), Err)
}

/// Reads into the journal what is known on the nodes of turns that it knows no good end of.
pub async fn catch_up(ground: &Ground<'_>, record: &Record, main: &Line<'_>) -> Result<(), Stops> {
    for (_, turn) in turns(ground) {
        if status(ground, turn, record) == Some(Status::Ok) {
            continue;
        }
        let plans = plans(ground, turn);
        let mut line = Line::reach(ground, &plans, Some(&main.peers), Some(record)).await?;
        line.know(None, Some(record));
        let caught_up = line.catch_up(record).await;
        line.leave().await;
        caught_up?;
    }
    Ok(())
}

/// As one step runs at a time, what was begun is all that stands before the last that was: where
/// the record of one is missing, a machine has lost its bundle.
///
/// # Errors
/// The first step that is missing, and on which machine.
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
                "it has no record of step {}, and `{}` has one of step {}: the bundle of this run is gone from it",
                step.heading(),
                on.node.name,
                on.step(last).map_or_else(String::new, PlannedStep::heading),
            );
            return Err(Stops::at(&plan.node.name, Halt::error(cause)));
        }
    }
    Ok(())
}

/// Takes over every turn that an earlier controller has begun and not brought to a good end, so
/// that nothing of it goes on beside this one.
pub async fn take_over<'a>(
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
        let mut line = Line::reach(ground, &plans, Some(&seed.peers), Some(record)).await?;
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
    match all(results) {
        Ok(()) => Ok(lines),
        Err(stops) => {
            join_all(lines.values_mut().map(Line::leave)).await;
            Err(stops)
        }
    }
}

/// Goes through a section: batches one after the other, the turns of a batch side by side. What
/// stands after it does not begin unless all turns have ended well.
pub async fn run<'a>(
    ground: &'a Ground<'a>,
    section: &'a Section,
    begun: &mut BTreeMap<TurnKey, Line<'a>>,
    seed: &Seed,
    resume: Option<&Record>,
) -> Result<(), Stops> {
    let todo = section.turns.iter().enumerate().filter(|(_, turn)| {
        resume.and_then(|record| status(ground, turn, record)) != Some(Status::Ok)
    });
    let todo: Vec<(usize, &Turn)> = todo.collect();
    if section.turns.is_empty() {
        let text = format!(
            "no node is bound to `{}`: nothing is done here",
            section.role
        );
        let text = text.into();
        ground.recorder.record(None, None, What::Warned { text })?;
    }
    if let Some((_, turn)) = todo.first() {
        let first = turn.steps.first().copied().unwrap_or_default();
        ground.prove_wanted(first, &turn.node)?;
    }
    let mut rest = todo.as_slice();
    let mut bad: Option<Stops> = None;
    let mut badly = 0;
    let sizes = smaller(&section.batches, &ground.options.batches);
    let batches = in_batches(rest, &sizes);
    for (number, batch) in (1..).zip(&batches) {
        rest = &rest[batch.len()..];
        if batches.len() > 1 {
            let started = What::BatchStarted {
                batch: number,
                batches: batches.len(),
                nodes: batch.iter().map(|(_, turn)| turn.node.clone()).collect(),
            };
            ground.recorder.record(None, None, started)?;
        }
        let lines: Vec<_> = batch
            .iter()
            .map(|(index, _)| begun.remove(&(section.number, *index)))
            .collect();
        let ends = batch.iter().zip(lines);
        let ends =
            ends.map(|((_, turn), line)| Box::pin(one_turn(ground, turn, line, seed, resume)));
        for end in join_all(ends).await {
            if let Err(stops) = end? {
                badly += usize::from(!stops.is_as_asked());
                bad = Some(match bad {
                    Some(bad) => bad.and(stops),
                    None => stops,
                });
            }
        }
        let interrupted = *ground.options.interrupts.borrow() > 0;
        let as_asked = bad
            .as_ref()
            .is_some_and(|bad| badly == 0 && bad.is_as_asked());
        if !rest.is_empty() && (interrupted || badly > section.max_fail || as_asked) {
            let cause = match (interrupted, as_asked) {
                (true, _) => "not begun: the operator stopped the run".to_owned(),
                (_, true) => "not begun: the run was to stop before".to_owned(),
                _ => format!("not begun: {badly} turn(s) before ended badly"),
            };
            for (_, turn) in rest {
                not_begun(ground, turn, &cause)?;
            }
            bad = bad.or_else(|| {
                Some(Stops::at(
                    &rest[0].1.node,
                    Halt::end(Status::Stopped, cause),
                ))
            });
            break;
        }
        if !rest.is_empty() && !section.wait.is_zero() {
            let mut interrupts = ground.options.interrupts.clone();
            tokio::select! {
                () = tokio::time::sleep(section.wait) => {}
                _ = interrupts.changed() => {}
            }
        }
    }
    bad.map_or(Ok(()), Err)
}

/// One turn, to its end: OK, or what keeps it from going on.
async fn one_turn<'a>(
    ground: &'a Ground<'a>,
    turn: &'a Turn,
    begun: Option<Line<'a>>,
    seed: &Seed,
    resume: Option<&Record>,
) -> Result<Result<(), Stops>, JournalError> {
    let plans = plans(ground, turn);
    let line = match begun {
        Some(line) => Ok((line, true)),
        None => Line::reach(ground, &plans, Some(&seed.peers), resume)
            .await
            .map(|line| (line, false)),
    };
    let result = match line {
        Err(stops) => Err(stops),
        Ok((mut line, taken_over)) => {
            let done = steps(ground, turn, &mut line, taken_over, seed, resume).await;
            let result = match done {
                Ok(()) => line.close().await,
                Err(stops) => {
                    line.keep(&stops).await?;
                    Err(stops)
                }
            };
            if result.is_ok() {
                line.record_end()?;
            }
            line.leave().await;
            result
        }
    };
    let (status, result) = match result {
        Ok(()) => (Status::Ok, Ok(())),
        Err(stops) => {
            let (status, stops) = stops.status()?;
            stops.record(ground.recorder, &plans)?;
            (status, Err(stops.of_turn(&turn.node)))
        }
    };
    let cause = result.as_ref().err().map(|stops| stops.causes().into());
    let end = What::TurnEnded { status, cause };
    ground.recorder.record(site(ground, turn), None, end)?;
    Ok(result)
}

async fn steps(
    ground: &Ground<'_>,
    turn: &Turn,
    line: &mut Line<'_>,
    taken_over: bool,
    seed: &Seed,
    resume: Option<&Record>,
) -> Result<(), Stops> {
    if taken_over {
        line.prove_ready(resume).await?;
    } else {
        line.know(Some(seed), resume);
        line.prove_needs().await?;
        line.prove(&turn.before).await?;
        line.prove_ready(resume).await?;
        line.open(resume).await?;
        line.compare(resume).await?;
        if let Some(own) = line.runs.first_mut() {
            let confirmed = own.confirm_run(ground.plan).await;
            confirmed.map_err(|halt| Stops::at(&turn.node, halt))?;
        }
    }
    line.attend(resume).await?;
    let left = line.is_left();
    for number in &turn.steps {
        line.step(*number, left).await?;
    }
    Ok(())
}

fn not_begun(ground: &Ground<'_>, turn: &Turn, cause: &str) -> Result<(), JournalError> {
    let Some(site) = site(ground, turn) else {
        return Ok(());
    };
    let status = Status::Stopped;
    ended(ground.recorder, site, status, Some(cause.to_owned()))?;
    let cause = Some(cause.into());
    let end = What::TurnEnded { status, cause };
    ground.recorder.record(Some(site), None, end)?;
    Ok(())
}
