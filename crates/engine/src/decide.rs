//! What is done with a step of a run that goes on: what the journal says of it, what the node
//! says of it and what is wanted with it, three small enums to one. Pure: it asks nobody and
//! writes nothing down.

use std::collections::BTreeMap;

use crate::bundle::{How, StepDone, StepState};
use crate::event::{Site, Status};
use crate::journal::Record;

#[cfg(test)]
mod tests;

/// What the journal says of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JournalSays {
    NotBegun,
    /// It has a beginning and no end.
    Begun,
    /// OK, BY HAND or SKIPPED.
    Passed,
    /// It ended badly, and how is known.
    Failed,
    /// ERROR, and as far as the journal knows nothing of it was run.
    CouldNot,
    /// It may or may not have finished.
    Unknown,
}

/// What the node says of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeSays {
    /// Nobody has asked it yet.
    NotAsked,
    /// The bundle has no record of the step.
    NoRecord,
    /// The bundle in which the step was begun is gone, and another one stands in its place.
    BundleGone,
    Running,
    Ended(End, Left),
    /// The node restarted while the step ran.
    Rebooted,
    /// The step has begun, and nothing tells how it ended.
    Unknown,
    /// It has a record that the journal does not know of.
    Ahead,
    /// Its record cannot be the one that the journal tells of.
    Contradicts,
}

/// What the node has of the end of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its exit status, and all that it printed and set.
    Whole,
    /// An exit status that is accepted; what it printed or set was lost.
    NotKept,
    /// It was stopped, took too long, or did not get to begin.
    CutShort,
}

/// Processes that a step has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Something,
}

/// What is wanted with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The run goes on with it.
    GoOn,
    /// The operator has named it, by `--start-at` or in the menu.
    Named,
    /// The operator has agreed to run it again.
    Agreed,
    /// It is done already and is done again: a set-up, or a delivery whose file has changed.
    Repeat,
    /// `--done` says that a person has done it.
    Done,
    /// `--start-at` names a later step.
    PassOver,
    /// `--catch-up`: the journal is to learn what the node knows.
    CatchUp,
}

/// How a step is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TakeUp {
    pub journal: JournalSays,
    pub wanted: Wanted,
}

/// What is done with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The node is asked first.
    Look,
    Run,
    /// Its record is put aside, and it is run.
    RunAgain,
    /// Its end is waited for.
    Attach,
    /// Its end is taken as the node has it.
    TakeEnd,
    /// It ends here, and nobody knows how.
    TellUnknown,
    /// The operator is asked whether it is run again.
    Ask(Doubt),
    /// The journal takes it in, as the node has it.
    TakeIn,
    MarkByHand,
    MarkSkipped,
    /// It is left as it is.
    Leave,
    Refuse(Refusal),
}

/// What speaks against running a step again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    MayHaveFinished,
    /// It has run, and what it printed or set is lost.
    NotKept,
    /// Processes of it still run.
    LeftBehind,
}

/// Why nothing is done with a step, nor with any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It runs; without this option its end is waited for.
    StillRuns(&'static str),
    /// `--catch-up` reads from the node what the journal lacks.
    NodeIsAhead,
    Contradiction,
}

pub(super) fn decide(journal: JournalSays, node: NodeSays, wanted: Wanted) -> Decision {
    use {Decision as D, JournalSays as J, NodeSays as N, Wanted as W};
    match (journal, node, wanted) {
        (_, N::Contradicts, _) => D::Refuse(Refusal::Contradiction),
        (_, N::Ahead, W::CatchUp) => D::TakeIn,
        (_, N::Ahead, _) => D::Refuse(Refusal::NodeIsAhead),
        // Any record of a step that was not begun is one of another controller.
        (J::NotBegun, N::Running | N::Ended(..) | N::Rebooted | N::Unknown, _) => {
            decide(journal, N::Ahead, wanted)
        }
        (_, N::Running, W::Done) => D::Refuse(Refusal::StillRuns("--done")),
        (_, N::Running, W::PassOver) => D::Refuse(Refusal::StillRuns("--start-at")),
        (_, _, W::Done) => D::MarkByHand,
        (J::Passed, _, W::PassOver) => D::Leave,
        (_, _, W::PassOver) => D::MarkSkipped,
        (_, N::Running, _) => D::Attach,
        (J::NotBegun, ..) => D::Run,
        (_, N::NotAsked, _) => D::Look,
        (_, _, W::Agreed) | (J::Begun, _, W::Repeat) => again(journal, node, wanted),
        (J::Begun, ..) => go_on_with_begun(node, wanted),
        // How it ended was not known here, and the node knows it by now.
        (J::Unknown | J::CouldNot, N::Ended(End::Whole, _), W::GoOn | W::Named | W::CatchUp) => {
            D::TakeEnd
        }
        _ => again(journal, node, wanted),
    }
}

/// A step that was begun and has no end yet is looked after until it has one.
fn go_on_with_begun(node: NodeSays, wanted: Wanted) -> Decision {
    match node {
        NodeSays::Ended(..) => Decision::TakeEnd,
        NodeSays::Rebooted | NodeSays::Unknown => Decision::TellUnknown,
        NodeSays::BundleGone if wanted != Wanted::Named => Decision::Ask(Doubt::MayHaveFinished),
        _ => Decision::Run,
    }
}

/// A step that has come to an end is run again where nothing speaks against it, or where the
/// operator has named it.
fn again(journal: JournalSays, node: NodeSays, wanted: Wanted) -> Decision {
    let doubt = match node {
        _ if matches!(wanted, Wanted::Named | Wanted::Agreed) => None,
        NodeSays::Ended(End::NotKept, _) => Some(Doubt::NotKept),
        NodeSays::Ended(_, Left::Something) => Some(Doubt::LeftBehind),
        NodeSays::Ended(_, Left::Nothing) => None,
        _ => may_have_finished(journal, node).then_some(Doubt::MayHaveFinished),
    };
    match (doubt, node) {
        (Some(doubt), _) => Decision::Ask(doubt),
        (None, NodeSays::NoRecord | NodeSays::BundleGone) => Decision::Run,
        (None, _) => Decision::RunAgain,
    }
}

/// Whether neither the journal nor the node tells how it ended.
fn may_have_finished(journal: JournalSays, node: NodeSays) -> bool {
    let begun_on_node = matches!(node, NodeSays::Rebooted | NodeSays::Unknown);
    match journal {
        JournalSays::Unknown => true,
        // Before its record is made, nothing of a step is run.
        JournalSays::Begun => begun_on_node || node == NodeSays::BundleGone,
        JournalSays::CouldNot => begun_on_node,
        JournalSays::NotBegun | JournalSays::Passed | JournalSays::Failed => false,
    }
}

impl JournalSays {
    /// Of all steps on a node that were begun.
    pub fn of_steps(record: &Record, node: Site<'_>) -> BTreeMap<usize, JournalSays> {
        let unknown = record.doubtful(node);
        let says = |(number, status): (usize, Option<Status>)| {
            let says = match status {
                None => JournalSays::Begun,
                Some(status) if status.goes_on() => JournalSays::Passed,
                Some(_) if unknown.contains(&number) => JournalSays::Unknown,
                Some(Status::Error) => JournalSays::CouldNot,
                Some(_) => JournalSays::Failed,
            };
            (number, says)
        };
        record.steps(node).into_iter().map(says).collect()
    }

    /// Whether it may still run on the node.
    pub fn may_run(self) -> bool {
        matches!(
            self,
            JournalSays::Begun | JournalSays::CouldNot | JournalSays::Unknown
        )
    }

    /// Whether the journal knows that it was begun, and not how it ended.
    pub fn lacks_its_end(self) -> bool {
        matches!(self, JournalSays::Begun | JournalSays::Unknown)
    }
}

impl NodeSays {
    /// A bundle's answer; these exit statuses are accepted.
    pub fn of(state: &StepState, accepted: &[i32]) -> NodeSays {
        match state {
            StepState::NotStarted => NodeSays::NoRecord,
            StepState::Running(_) => NodeSays::Running,
            StepState::Rebooted => NodeSays::Rebooted,
            StepState::Unknown => NodeSays::Unknown,
            StepState::Done(done) => {
                let left = if done.left.is_empty() {
                    Left::Nothing
                } else {
                    Left::Something
                };
                NodeSays::Ended(End::of(done, accepted), left)
            }
        }
    }
}

impl End {
    fn of(done: &StepDone, accepted: &[i32]) -> End {
        match done.how {
            How::Exited => End::Whole,
            How::DiskFull if accepted.contains(&done.status) => End::NotKept,
            How::DiskFull | How::NoFolder | How::TimedOut | How::Stopped => End::CutShort,
        }
    }
}

impl TakeUp {
    /// Nothing was done with it.
    pub const FRESH: TakeUp = TakeUp {
        journal: JournalSays::NotBegun,
        wanted: Wanted::GoOn,
    };
    /// It was begun just now.
    pub const BEGUN: TakeUp = TakeUp {
        journal: JournalSays::Begun,
        wanted: Wanted::GoOn,
    };

    /// Before the node was asked.
    pub fn first_decision(self) -> Decision {
        decide(self.journal, NodeSays::NotAsked, self.wanted)
    }

    /// Whether it goes on where it was left, so that nobody is asked whether it is to begin.
    pub fn is_attached(self) -> bool {
        self.journal == JournalSays::Begun && matches!(self.wanted, Wanted::GoOn | Wanted::Named)
    }

    /// Whether it has come to an end, and is done once more.
    pub fn is_again(self) -> bool {
        self.wanted == Wanted::Repeat
            || !matches!(self.journal, JournalSays::NotBegun | JournalSays::Begun)
    }

    /// Whether something of it may go on without anybody to look after it.
    pub fn may_be_under_way(self) -> bool {
        self.wanted != Wanted::Repeat && self.journal.may_run()
    }
}

impl Doubt {
    /// What is told of the step: `it …`. `left` are the processes that still run.
    pub fn because(self, left: &[String]) -> String {
        match self {
            Doubt::MayHaveFinished => "may or may not have finished".to_owned(),
            Doubt::NotKept => "has run, and what it printed or set was not kept".to_owned(),
            Doubt::LeftBehind => format!("has left behind what still runs: {}", left.join(", ")),
        }
    }
}

impl Refusal {
    /// `step` names the step, `said` is what the node says of it, and `run` the name of the run.
    pub fn sentence(self, step: &str, said: &str, run: &str) -> String {
        match self {
            Refusal::StillRuns(option) => {
                format!("{step} still runs: without `{option}` its end is waited for")
            }
            Refusal::NodeIsAhead => format!(
                "{step}: the node says that {said}, and the journal knows nothing of that; `opsbook resume --catch-up {run}` reads from the node what the journal lacks"
            ),
            Refusal::Contradiction => format!(
                "the journal and the node contradict each other, and nothing was run: {step}{said}"
            ),
        }
    }
}
