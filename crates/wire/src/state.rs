//! Closed sets: states of runs and parts, requests to parts, permissions.

use serde::{Deserialize, Serialize};

/// The state of a run, derived from its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RunState {
    /// It needs approval.
    WaitingApproval,
    /// No runner has a part of it.
    Queued,
    /// A runner has a part of it, or had one and is unseen.
    Running,
    /// The rest waits for a person.
    Halted,
    /// Every part has ended.
    Ended,
    /// It was refused, or withdrawn before anything began.
    Refused,
}

/// The state of a part, which is a run on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PartState {
    /// It waits for an earlier batch, or for an approval.
    Waiting,
    /// It waits for a runner.
    Queued,
    /// A runner has it, and was seen recently.
    Leased,
    /// A runner had it, and is unseen. The state of the part is unknown.
    Unseen,
    /// A person must decide how to continue; the bundle is on the node.
    Halted,
    /// It has ended.
    Ended,
}

/// The final status of a part or a run, in the journal's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Ended {
    /// Everything was done, and its checks hold.
    #[serde(rename = "OK")]
    Ok,
    /// A step or a check failed.
    #[serde(rename = "FAILED")]
    Failed,
    /// It could not be done, or its result is unknown.
    #[serde(rename = "ERROR")]
    Error,
    /// Nothing was changed.
    #[serde(rename = "BLOCKED")]
    Blocked,
    /// A person stopped it.
    #[serde(rename = "STOPPED")]
    Stopped,
    /// It exceeded its time limit.
    #[serde(rename = "TIMED OUT")]
    TimedOut,
    /// It was given up, or never begun because an earlier part failed.
    #[serde(rename = "SKIPPED")]
    Skipped,
    /// A person did it by hand.
    #[serde(rename = "BY HAND")]
    ByHand,
}

/// Stores and paths use the JSON word of each value.
macro_rules! words {
    ($type:ty { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// All values.
            pub const ALL: &'static [$type] = &[$(<$type>::$variant),+];

            /// Its word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(<$type>::$variant => $word),+ }
            }

            /// Parses a word.
            #[must_use]
            pub fn of(word: &str) -> Option<$type> {
                match word { $($word => Some(<$type>::$variant),)+ _ => None }
            }
        }
    };
}

words!(RunState {
    WaitingApproval = "waiting-approval",
    Queued = "queued",
    Running = "running",
    Halted = "halted",
    Ended = "ended",
    Refused = "refused",
});

words!(PartState {
    Waiting = "waiting",
    Queued = "queued",
    Leased = "leased",
    Unseen = "unseen",
    Halted = "halted",
    Ended = "ended",
});

words!(Ended {
    Ok = "OK",
    Failed = "FAILED",
    Error = "ERROR",
    Blocked = "BLOCKED",
    Stopped = "STOPPED",
    TimedOut = "TIMED OUT",
    Skipped = "SKIPPED",
    ByHand = "BY HAND",
});

words!(Want {
    Hold = "hold",
    Stop = "stop",
    Leave = "leave",
});

words!(Origin {
    Gateway = "gateway",
    Laptop = "laptop",
    Schedule = "schedule",
    Ci = "ci",
});

words!(Verb {
    Read = "read",
    Run = "run",
    Answer = "answer",
    Stop = "stop",
    Resume = "resume",
    Approve = "approve",
});

impl RunState {
    /// The state of an approved run, from the states of its parts.
    #[must_use]
    pub fn of_parts(parts: &[PartState]) -> RunState {
        let any = |states: &[PartState]| parts.iter().any(|part| states.contains(part));
        if any(&[PartState::Leased, PartState::Unseen]) {
            RunState::Running
        } else if any(&[PartState::Queued]) {
            RunState::Queued
        } else if any(&[PartState::Halted, PartState::Waiting]) {
            RunState::Halted
        } else {
            RunState::Ended
        }
    }
}

impl Ended {
    /// Whether a part with this status counts as successful.
    #[must_use]
    pub fn goes_on(self) -> bool {
        matches!(self, Ended::Ok | Ended::Skipped | Ended::ByHand)
    }

    /// The worse of two: the one to look at first.
    #[must_use]
    pub fn worse(self, other: Ended) -> Ended {
        let weight = |status| match status {
            Ended::Ok | Ended::Skipped | Ended::ByHand => 0,
            Ended::Blocked => 1,
            Ended::Stopped => 2,
            Ended::TimedOut => 3,
            Ended::Failed => 4,
            Ended::Error => 5,
        };
        if weight(other) > weight(self) {
            other
        } else {
            self
        }
    }
}

/// A request to a running part, with the meanings of Ctrl-C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Want {
    /// Halt after the current step (Ctrl-C once).
    Hold,
    /// Kill the current step (Ctrl-C twice).
    Stop,
    /// Leave: the step continues on the node (Ctrl-C three times).
    Leave,
}

/// How to stop a run: [`Want`] in a person's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Manner {
    /// After the current step.
    #[default]
    AfterStep,
    /// Kill the current step.
    Step,
    /// The step continues unattended.
    Leave,
}

impl From<Manner> for Want {
    fn from(manner: Manner) -> Want {
        match manner {
            Manner::AfterStep => Want::Hold,
            Manner::Step => Want::Stop,
            Manner::Leave => Want::Leave,
        }
    }
}

/// The origin of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Origin {
    /// A person, through the gateway.
    Gateway,
    /// A laptop, reported later.
    Laptop,
    /// A schedule.
    Schedule,
    /// A build.
    Ci,
}

/// How confirmations of a procedure are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Confirm {
    /// Ask the person.
    #[default]
    Ask,
    /// Answer each with yes, like `--yes`.
    Yes,
}

/// A permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Verb {
    /// See runs, plans and output.
    Read,
    /// Order a run.
    Run,
    /// Answer the questions of a run, and hand it over.
    Answer,
    /// Stop a run.
    Stop,
    /// Resume a halted run, or release it.
    Resume,
    /// Approve the runs of others.
    Approve,
}

/// How a runner logs in to nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum NodeLogin {
    /// With the keys, agent and ssh configuration of its machine.
    #[default]
    Own,
    /// With a certificate of the gateway, only for this part or round.
    Certificate,
}

impl NodeLogin {
    /// Whether the gateway provides nothing.
    #[must_use]
    pub fn is_own(&self) -> bool {
        *self == NodeLogin::Own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_what_its_parts_are() {
        use PartState::{Ended, Halted, Leased, Queued, Unseen, Waiting};
        for (parts, expected) in [
            (vec![Queued, Waiting], RunState::Queued),
            (vec![Leased, Queued], RunState::Running),
            (vec![Unseen, Ended], RunState::Running),
            (vec![Halted, Queued], RunState::Queued),
            (vec![Halted, Ended], RunState::Halted),
            // The earlier batch has failed: a person decides.
            (vec![Ended, Waiting], RunState::Halted),
            (vec![Ended, Ended], RunState::Ended),
        ] {
            assert_eq!(RunState::of_parts(&parts), expected, "{parts:?}");
        }
    }

    #[test]
    fn the_word_is_the_one_of_json() {
        fn all<T: Copy + Serialize>(values: &[T], word: impl Fn(T) -> &'static str) {
            for value in values {
                let json = serde_json::to_value(value).unwrap();
                assert_eq!(json, word(*value));
            }
        }
        all(RunState::ALL, RunState::word);
        all(PartState::ALL, PartState::word);
        all(Ended::ALL, Ended::word);
        all(Want::ALL, Want::word);
        all(Origin::ALL, Origin::word);
        all(Verb::ALL, Verb::word);
    }
}
