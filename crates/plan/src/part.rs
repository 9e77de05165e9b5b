//! The part of a procedure to run, and the names that a step needs.

use std::collections::BTreeSet;

use crate::interpolation::{Part as Piece, Piece as Read, pieces};
use crate::manual::Expect;
use crate::{Ask, NodePlan, Plan, PlannedStep, PlannedWork, Script, Stretch, Variable};

/// The step numbers that `--start-at` and `--stop-after` select.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The number of the first step; from the beginning if absent.
    pub start_at: Option<usize>,
    /// The number of the last step; to the end if absent.
    pub stop_after: Option<usize>,
}

impl Part {
    /// Whether the part contains the step of this number.
    #[must_use]
    pub fn contains(self, number: usize) -> bool {
        self.start_at.is_none_or(|first| number >= first)
            && self.stop_after.is_none_or(|last| number <= last)
    }
}

impl Plan {
    /// The number of nodes of which a batch is a share. With roles, the nodes of the largest
    /// section.
    #[must_use]
    pub fn in_batches(&self) -> usize {
        let Some(binding) = &self.binding else {
            return self.nodes.len();
        };
        let turns = binding.order.iter().map(|stretch| match stretch {
            Stretch::Section(section) => section.turns.len(),
            Stretch::Step(_) | Stretch::Checks(_) => 0,
        });
        turns.max().unwrap_or_default()
    }

    /// The arguments that replace captured values.
    pub fn given<'a>(&'a self, node: &'a NodePlan) -> impl Iterator<Item = (&'a str, &'a str)> {
        let captures = |name: &str| {
            let mut captures = node.captures.iter();
            captures.any(|capture| capture.name == name)
        };
        let given = self.arguments.iter();
        given
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(move |(name, _)| captures(name))
    }
}

impl PlannedStep {
    /// The scripts that it runs, also those of its checks.
    fn scripts(&self) -> impl Iterator<Item = (&Script, Option<&Expect>)> {
        let checks = self.all_checks().filter_map(|case| match &case.ask {
            Ask::Script { script, expect, .. } => Some((script, expect.as_ref())),
            Ask::Probe { .. } => None,
        });
        let own = self.script().map(|script| (script, self.expect.as_ref()));
        own.into_iter().chain(checks)
    }

    /// The variables of its scripts and checks.
    pub fn bindings(&self) -> impl Iterator<Item = &Variable> {
        let probes = self.all_checks().filter_map(|case| match &case.ask {
            Ask::Probe { bindings, .. } => Some(bindings.as_slice()),
            Ask::Script { .. } => None,
        });
        let scripts = self.scripts().map(|(script, _)| script.bindings());
        scripts.chain(probes).flatten()
    }

    /// The names in its texts: expectations, and instructions to a person.
    #[must_use]
    pub fn names_in_texts(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for (script, expect) in self.scripts() {
            let commands = script.commands().iter();
            let expects = commands.filter_map(|command| command.expect.as_ref());
            for expect in expects.chain(expect) {
                names.extend(pieces(&expect.text.text).filter_map(|piece| match piece {
                    Read::Name(name, _) => Some(name),
                    Read::Text(_) | Read::Wrong(..) => None,
                }));
            }
        }
        if let PlannedWork::Manual(text) = &self.work {
            names.extend(text.parts().iter().filter_map(|part| match part {
                Piece::Name(name) => Some(name.as_str()),
                Piece::Written(_) | Piece::Value(_) => None,
            }));
        }
        names
    }
}
