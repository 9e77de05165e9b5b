//! Closed sets: the states of a run and of a part, what is wanted of a part, what a person may do.

use serde::{Deserialize, Serialize};

/// The state of a run, which follows from its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RunState {
    /// Somebody has to approve it.
    WaitingApproval,
    /// No runner has a part of it.
    Queued,
    /// A runner has a part of it, or had one and was not seen since.
    Running,
    /// What is left waits for a person.
    Halted,
    /// Every part has ended.
    Ended,
    /// It was refused, or taken back before anything began.
    Refused,
}

/// The state of a part: of a run on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PartState {
    /// For an earlier batch, or for an approval.
    Waiting,
    /// For a runner.
    Queued,
    /// A runner has it, and was seen lately.
    Leased,
    /// A runner had it, and was not seen since. What has become of the part is not known.
    Unseen,
    /// A person has to decide how it goes on; the bundle is on the node.
    Halted,
    /// It has ended.
    Ended,
}

/// The status with which a part or a run ended, in the words of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Ended {
    /// All was done, and its checks hold.
    #[serde(rename = "OK")]
    Ok,
    /// A step or a check said no.
    #[serde(rename = "FAILED")]
    Failed,
    /// It could not be done, or nobody knows.
    #[serde(rename = "ERROR")]
    Error,
    /// Nothing was touched.
    #[serde(rename = "BLOCKED")]
    Blocked,
    /// A person stopped it.
    #[serde(rename = "STOPPED")]
    Stopped,
    /// Past its time.
    #[serde(rename = "TIMED OUT")]
    TimedOut,
    /// It was given up, or never begun because an earlier part ended badly.
    #[serde(rename = "SKIPPED")]
    Skipped,
    /// A person did it by hand.
    #[serde(rename = "BY HAND")]
    ByHand,
}

/// Stores and paths keep each value as the word that JSON has for it.
macro_rules! words {
    ($type:ty { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every value.
            pub const ALL: &'static [$type] = &[$(<$type>::$variant),+];

            /// Its word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(<$type>::$variant => $word),+ }
            }

            /// The value of a word.
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
    /// What the parts of a run make of it, once it is approved.
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
    /// A part that ended so counts as one that went well.
    #[must_use]
    pub fn goes_on(self) -> bool {
        matches!(self, Ended::Ok | Ended::Skipped | Ended::ByHand)
    }

    /// The worse of two: what a person must look at first.
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

/// What a part that runs is told to do; the manners of Ctrl-C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Want {
    /// Hold after the step that is under way (Ctrl-C once).
    Hold,
    /// End the step that is under way (Ctrl-C twice).
    Stop,
    /// Leave: the step goes on on the node (Ctrl-C three times).
    Leave,
}

/// How a run is stopped: [`Want`] in the words of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Manner {
    /// After the step that is under way.
    #[default]
    AfterStep,
    /// The step that is under way is ended.
    Step,
    /// The step goes on; nobody looks after it.
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

/// Where a run was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Origin {
    /// By a person, through the gateway.
    Gateway,
    /// On a laptop, and reported later.
    Laptop,
    /// By a schedule.
    Schedule,
    /// By a build.
    Ci,
}

/// What becomes of the confirmations of a procedure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Confirm {
    /// The person is asked.
    #[default]
    Ask,
    /// Each is answered with yes, as by `--yes`.
    Yes,
}

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Verb {
    /// See runs, plans and output.
    Read,
    /// Ask for a run.
    Run,
    /// Answer the questions of a run, and hand it over.
    Answer,
    /// Stop a run.
    Stop,
    /// Go on with a halted run, or give it up.
    Resume,
    /// Approve the runs of others.
    Approve,
}

/// How a runner logs in at nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum NodeLogin {
    /// With what its machine has: keys, an agent, a configuration of ssh.
    #[default]
    Own,
    /// With a certificate of the gateway, for this part or round alone.
    Certificate,
}

impl NodeLogin {
    /// Nothing is asked of the gateway.
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
            // The batch before has ended badly: a person decides.
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
