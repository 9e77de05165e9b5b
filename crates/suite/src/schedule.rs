//! Groups the cases of one node into jobs. Pure.

use indexmap::IndexMap;

use crate::manual::On;
use crate::plan::{Ask, Case};

/// Cases that are evaluated together, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Typed cases that only read, in one script.
    Together(Vec<usize>),
    Alone(usize),
}

impl Job {
    /// The first of its cases.
    pub fn first(&self) -> usize {
        match self {
            Job::Together(positions) => positions.first().copied().unwrap_or(0),
            Job::Alone(position) => *position,
        }
    }
}

/// More cases in one script gain nothing, and each result waits for the last case.
const MOST: usize = 250;
/// Fewer cases are not worth a script.
const LEAST: usize = 8;

/// Jobs that keep each of the node's cores busy. Cases of another place or user get their own jobs.
pub(super) fn jobs(cases: &[&Case], cores: usize) -> Vec<Job> {
    let mut alike: IndexMap<(bool, Option<&str>), Vec<usize>> = IndexMap::new();
    let mut jobs = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        if is_quick(case) {
            let user = case.sudo.as_ref().map(|user| user.0.as_str());
            alike
                .entry((case.on == On::Local, user))
                .or_default()
                .push(index);
        }
    }
    for group in alike.into_values() {
        jobs.extend(scripts(&group, cores));
    }
    let slow = cases.iter().enumerate().filter(|(_, case)| !is_quick(case));
    jobs.extend(slow.map(|(index, _)| Job::Alone(index)));
    jobs
}

fn scripts(group: &[usize], cores: usize) -> impl Iterator<Item = Job> {
    let cores = cores.clamp(1, group.len().div_ceil(LEAST).max(1));
    let size = group.len().div_ceil(cores).clamp(1, MOST);
    group.chunks(size).map(|part| match part {
        [one] => Job::Alone(*one),
        many => Job::Together(many.to_vec()),
    })
}

/// Whether it is evaluated once, by a probe that does not wait.
fn is_quick(case: &Case) -> bool {
    match &case.ask {
        Ask::Probe { assertion, .. } => !assertion.may_wait() && case.eventually.is_none(),
        Ask::Script { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(count: usize, cores: usize) -> Vec<usize> {
        let group: Vec<usize> = (0..count).collect();
        let jobs: Vec<Job> = scripts(&group, cores).collect();
        let mut all = Vec::new();
        for job in &jobs {
            match job {
                Job::Together(positions) => all.extend(positions),
                Job::Alone(position) => all.push(*position),
            }
        }
        assert_eq!(all, group, "each once, in the order of the book");
        let size = |job: &Job| match job {
            Job::Together(positions) => positions.len(),
            Job::Alone(_) => 1,
        };
        jobs.iter().map(size).collect()
    }

    #[test]
    fn each_core_has_a_script_and_no_script_is_tiny_or_huge() {
        assert_eq!(sizes(100, 2), [50, 50]);
        assert_eq!(sizes(100, 1), [100]);
        assert_eq!(sizes(100, 0), [100]);
        assert_eq!(
            sizes(100, 64),
            [8; 12].into_iter().chain([4]).collect::<Vec<_>>()
        );
        assert_eq!(sizes(7, 8), [7]);
        assert_eq!(sizes(1, 8), [1]);
        assert_eq!(sizes(1000, 2), [250; 4]);
        assert_eq!(sizes(0, 2), [0; 0]);
    }
}
