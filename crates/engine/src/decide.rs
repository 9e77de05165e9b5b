//! Decides what to do with a step of a resumed run, from three small enums: what the journal says,
//! what the node says, and what is wanted. Pure: no I/O, no journal.

use std::collections::BTreeMap;

use crate::bundle::{How, StepDone, StepState};
use crate::event::{Site, Status};
use crate::journal::Record;

#[cfg(test)]
mod tests;

/// The journal's view of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JournalSays {
    NotBegun,
    /// It has a beginning and no end.
    Begun,
    /// OK, BY HAND or SKIPPED.
    Passed,
    /// It failed in a known way.
    Failed,
    /// ERROR, and according to the journal nothing of it ran.
    CouldNot,
    /// Whether it finished is unknown.
    Unknown,
}

/// The node's view of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeSays {
    /// Not asked yet.
    NotAsked,
    /// The bundle has no record of the step.
    NoRecord,
    /// The step's bundle is gone and was replaced.
    BundleGone,
    Running,
    Ended(End, Left),
    /// The node restarted while the step ran.
    Rebooted,
    /// The step began, and its end is unknown.
    Unknown,
    /// It has a record that the journal does not know.
    Ahead,
    /// Its record contradicts the journal.
    Contradicts,
}

/// The node's record of a step's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Exit status, output and variables are complete.
    Whole,
    /// The exit status is accepted; output or variables were lost.
    NotKept,
    /// It was stopped, exceeded its time limit, or did not begin.
    CutShort,
}

/// Processes that a step left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Something,
}

/// What is wanted with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Continue the run with it.
    GoOn,
    /// The operator named it, by `--start-at` or in the menu.
    Named,
    /// The operator agreed to run it again.
    Agreed,
    /// It is done and is repeated: a set-up, or a delivery whose file has changed.
    Repeat,
    /// `--done`: a person has done it.
    Done,
    /// `--start-at` names a later step.
    PassOver,
    /// `--catch-up`: read into the journal what the node knows.
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
    /// Ask the node first.
    Look,
    Run,
    /// Move its record aside and run it.
    RunAgain,
    /// Wait for its end.
    Attach,
    /// Take its end from the node.
    TakeEnd,
    /// End it with an unknown outcome.
    TellUnknown,
    /// Ask the operator whether to run it again.
    Ask(Doubt),
    /// Take it into the journal as the node records it.
    TakeIn,
    MarkByHand,
    MarkSkipped,
    /// Leave it as it is.
    Leave,
    Refuse(Refusal),
}

/// Why a step should not simply run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    MayHaveFinished,
    /// It ran, and its output or variables are lost.
    NotKept,
    /// Some of its processes still run.
    LeftBehind,
}

/// Why neither this step nor any other continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is running; without this option, opsbook waits for its end.
    StillRuns(&'static str),
    /// The node knows more: `--catch-up` reads that into the journal.
    NodeIsAhead,
    Contradiction,
}

pub(super) fn decide(journal: JournalSays, node: NodeSays, wanted: Wanted) -> Decision {
    use {Decision as D, JournalSays as J, NodeSays as N, Wanted as W};
    match (journal, node, wanted) {
        (_, N::Contradicts, _) => D::Refuse(Refusal::Contradiction),
        (_, N::Ahead, W::CatchUp) => D::TakeIn,
        (_, N::Ahead, _) => D::Refuse(Refusal::NodeIsAhead),
        // Any record of a step that this run has not begun comes from another controller.
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
        // Its end was unknown, and the node now knows it.
        (J::Unknown | J::CouldNot, N::Ended(End::Whole, _), W::GoOn | W::Named | W::CatchUp) => {
            D::TakeEnd
        }
        _ => again(journal, node, wanted),
    }
}

/// A step that was begun is followed until it has an end.
fn go_on_with_begun(node: NodeSays, wanted: Wanted) -> Decision {
    match node {
        NodeSays::Ended(..) => Decision::TakeEnd,
        NodeSays::Rebooted | NodeSays::Unknown => Decision::TellUnknown,
        NodeSays::BundleGone if wanted != Wanted::Named => Decision::Ask(Doubt::MayHaveFinished),
        _ => Decision::Run,
    }
}

/// A step that has ended runs again if nothing speaks against it, or if the operator named it.
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

/// Whether its end is unknown to both the journal and the node.
fn may_have_finished(journal: JournalSays, node: NodeSays) -> bool {
    let begun_on_node = matches!(node, NodeSays::Rebooted | NodeSays::Unknown);
    match journal {
        JournalSays::Unknown => true,
        // Nothing of a step runs before its record exists.
        JournalSays::Begun => begun_on_node || node == NodeSays::BundleGone,
        JournalSays::CouldNot => begun_on_node,
        JournalSays::NotBegun | JournalSays::Passed | JournalSays::Failed => false,
    }
}

impl JournalSays {
    /// The view of all steps that were begun on a node.
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

    /// Whether the journal has its beginning but not its end.
    pub fn lacks_its_end(self) -> bool {
        matches!(self, JournalSays::Begun | JournalSays::Unknown)
    }
}

impl NodeSays {
    /// The view from a bundle's answer; `accepted` are the accepted exit statuses.
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
    /// Nothing has happened to it yet.
    pub const FRESH: TakeUp = TakeUp {
        journal: JournalSays::NotBegun,
        wanted: Wanted::GoOn,
    };
    /// It was begun just now.
    pub const BEGUN: TakeUp = TakeUp {
        journal: JournalSays::Begun,
        wanted: Wanted::GoOn,
    };

    /// The decision before the node is asked.
    pub fn first_decision(self) -> Decision {
        decide(self.journal, NodeSays::NotAsked, self.wanted)
    }

    /// Whether it continues where it was left, without a question whether to begin.
    pub fn is_attached(self) -> bool {
        self.journal == JournalSays::Begun && matches!(self.wanted, Wanted::GoOn | Wanted::Named)
    }

    /// Whether it has ended and is done once more.
    pub fn is_again(self) -> bool {
        self.wanted == Wanted::Repeat
            || !matches!(self.journal, JournalSays::NotBegun | JournalSays::Begun)
    }

    /// Whether parts of it may be running unattended.
    pub fn may_be_under_way(self) -> bool {
        self.wanted != Wanted::Repeat && self.journal.may_run()
    }
}

impl Doubt {
    /// The reason, in the form `it …`. `left` are the processes that still run.
    pub fn because(self, left: &[String]) -> String {
        match self {
            Doubt::MayHaveFinished => "may or may not have finished".to_owned(),
            Doubt::NotKept => "has run, but its output or its variables were not kept".to_owned(),
            Doubt::LeftBehind => format!(
                "has left processes behind that still run: {}",
                left.join(", ")
            ),
        }
    }
}

impl Refusal {
    /// `step` names the step, `said` is what the node says of it, `run` is the run's name.
    pub fn sentence(self, step: &str, said: &str, run: &str) -> String {
        match self {
            Refusal::StillRuns(option) => {
                format!("{step} still runs: omit `{option}` to wait until it ends")
            }
            Refusal::NodeIsAhead => format!(
                "{step}: the node says that {said}, but the journal does not; `opsbook resume \
                 --catch-up {run}` reads the missing lines from the node"
            ),
            Refusal::Contradiction => format!(
                "the journal and the node contradict each other, and nothing was run: {step}{said}"
            ),
        }
    }
}
