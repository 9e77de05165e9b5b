//! A section that repeats for each node of a role: its turns, in batches.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::Ground;
use super::ahead::LookedAt;
use super::line::{Line, Seed};
use super::stop::{Stops, ended};
use super::turns::{TurnKey, plans, site, status};
use crate::event::{Status, What};
use crate::halt::Halt;
use crate::journal::{JournalError, Record};
use crate::plan::batch::{in_batches, smaller};
use crate::plan::{Section, Turn};
use crate::reach::Reach;

/// Turns that are already prepared.
#[derive(Default)]
pub struct There<'a> {
    /// Turns that an earlier controller began, taken over.
    pub begun: BTreeMap<TurnKey, Line<'a>>,
    /// Nodes that were examined before the first step.
    pub looked_at: LookedAt,
}

impl There<'_> {
    /// Ends the sessions of unused turns; their bundles stay as they are.
    pub async fn leave(&mut self) {
        join_all(self.begun.values_mut().map(Line::leave)).await;
        self.looked_at.leave().await;
    }
}

/// How the turns of a section have ended so far.
#[derive(Default)]
struct Ends {
    stops: Vec<Result<(), Stops>>,
    badly: usize,
}

impl Ends {
    fn add(&mut self, end: Result<(), Stops>) {
        self.badly += usize::from(end.as_ref().is_err_and(|stops| !stops.is_as_asked()));
        self.stops.push(end);
    }

    /// Why no new turn begins.
    fn end_it(&self, ground: &Ground<'_>, section: &Section) -> Option<String> {
        let as_asked = self.stops.iter().any(Result::is_err) && self.badly == 0;
        if *ground.options.interrupts.borrow() > 0 {
            Some("not started: the operator stopped the run".to_owned())
        } else if as_asked {
            Some("not started: the run was to stop before it".to_owned())
        } else {
            let badly = self.badly;
            (badly > section.max_fail)
                .then(|| format!("not started: earlier turns that did not end OK: {badly}"))
        }
    }
}

/// Runs a section: batches one after the other, the turns of a batch in parallel. The steps after
/// it begin only if all turns have ended well.
pub async fn run<'a>(
    ground: &'a Ground<'a>,
    section: &'a Section,
    there: &mut There<'a>,
    seed: &Seed,
    resume: Option<&Record>,
) -> Result<(), Stops> {
    let todo = section.turns.iter().enumerate().filter(|(_, turn)| {
        resume.and_then(|record| status(ground, turn, record)) != Some(Status::Ok)
    });
    let todo: Vec<(usize, &Turn)> = todo.collect();
    if section.turns.is_empty() {
        let role = &section.role;
        let text = format!("no node is bound to `{role}`: nothing to do here").into();
        ground.recorder.record(None, None, What::Warned { text })?;
    }
    if let Some((_, turn)) = todo.first() {
        let first = turn.steps.first().copied().unwrap_or_default();
        ground.prove_wanted(first, &turn.node)?;
    }
    let mut rest = todo.as_slice();
    let mut ends = Ends::default();
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
        let mut turns = Vec::new();
        for (index, turn) in *batch {
            let key = (section.number, *index);
            let begun = there.begun.remove(&key);
            let reach = there.looked_at.take(key).await;
            turns.push(Box::pin(one_turn(
                ground,
                turn,
                (begun, reach),
                seed,
                resume,
            )));
        }
        for end in join_all(turns).await {
            ends.add(end?);
        }
        if rest.is_empty() {
            break;
        }
        if let Some(why) = ends.end_it(ground, section) {
            for (_, turn) in rest {
                not_begun(ground, turn, &why)?;
            }
            if ends.stops.iter().all(Result::is_ok) {
                let halt = Halt::end(Status::Stopped, why);
                ends.stops.push(Err(Stops::at(&rest[0].1.node, halt)));
            }
            break;
        }
        wait(ground, section).await;
    }
    Stops::all(ends.stops)
}

/// Waits between two batches.
async fn wait(ground: &Ground<'_>, section: &Section) {
    if section.wait.is_zero() {
        return;
    }
    let mut interrupts = ground.options.interrupts.clone();
    tokio::select! {
        () = tokio::time::sleep(section.wait) => {}
        _ = interrupts.changed() => {}
    }
}

/// One turn, to its end: OK, or the reason why it cannot continue.
async fn one_turn<'a>(
    ground: &'a Ground<'a>,
    turn: &'a Turn,
    (begun, reach): (Option<Line<'a>>, Option<Reach>),
    seed: &Seed,
    resume: Option<&Record>,
) -> Result<Result<(), Stops>, JournalError> {
    let plans = plans(ground, turn);
    let line = match begun {
        Some(line) => Ok((line, true)),
        None => Line::reach(ground, &plans, Some(&seed.peers), reach, resume)
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
