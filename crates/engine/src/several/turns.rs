//! The turns of a run, one for each node of each section, and the journal's view of them.

use super::Ground;
use crate::event::{Site, Status, What};
use crate::journal::Record;
use crate::plan::{NodePlan, Section, Stretch, Turn};

/// The number of the section, and the turn's index in it.
pub type TurnKey = (usize, usize);

pub fn sections<'a>(ground: &Ground<'a>) -> impl Iterator<Item = &'a Section> {
    ground
        .binding
        .order
        .iter()
        .filter_map(|stretch| match stretch {
            Stretch::Section(section) => Some(section),
            Stretch::Step(_) | Stretch::Checks(_) => None,
        })
}

pub fn turns<'a>(ground: &Ground<'a>) -> Vec<(TurnKey, &'a Turn)> {
    let turns = sections(ground).flat_map(|section| {
        let numbered = section.turns.iter().enumerate();
        numbered.map(|(index, turn)| ((section.number, index), turn))
    });
    turns.collect()
}

pub fn plans<'a>(ground: &Ground<'a>, turn: &Turn) -> Vec<&'a NodePlan> {
    let plans = turn.plans.iter();
    plans
        .filter_map(|index| ground.plan.nodes.get(*index))
        .collect()
}

pub fn site<'a>(ground: &Ground<'a>, turn: &Turn) -> Option<Site<'a>> {
    plans(ground, turn).first().map(|plan| plan.site())
}

/// How a turn ended according to the journal.
pub fn status(ground: &Ground<'_>, turn: &Turn, record: &Record) -> Option<Status> {
    let site = site(ground, turn)?;
    let mut events = record.of(site).rev();
    events.find_map(|event| match event.what {
        What::TurnEnded { status, .. } => Some(status),
        _ => None,
    })
}

/// Whether some turn has not ended well.
pub fn is_left(ground: &Ground<'_>, resume: Option<&Record>) -> bool {
    turns(ground)
        .iter()
        .any(|(_, turn)| resume.and_then(|record| status(ground, turn, record)) != Some(Status::Ok))
}
