//! A run as people see it, and what they do with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::state::{Ended, Manner, Origin, PartState, RunState, Want};

/// `GET /v1/runs`: a page, the newest first. There is no count of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunsPage {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// `after` of the next page; none on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A run in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunSummary {
    /// Its name.
    pub run: String,
    /// The manual.
    pub manual: String,
    /// The procedure.
    pub procedure: String,
    /// Its title.
    pub title: String,
    /// Its nodes, the first hundred.
    pub nodes: Vec<String>,
    /// Who asked for it.
    pub asked_by: String,
    /// Who looks after it now.
    pub owner: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it was run without the gateway, where somebody broke the glass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// Where it was asked for.
    pub origin: Origin,
    /// Its state.
    pub state: RunState,
    /// How it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Ended>,
    /// When it was asked for.
    pub asked: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
}

/// `GET /v1/runs/{run}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunView {
    /// What a list says of it.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// The ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The manual's revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// SHA-256 of the page that the procedure stands on.
    pub page_sha256: String,
    /// What was given.
    pub arguments: BTreeMap<String, String>,
    /// Its parts.
    pub parts: Vec<PartView>,
    /// Questions that nobody has answered.
    pub questions: Vec<QuestionView>,
    /// What it waits for, where it waits for approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<crate::ask::Approvals>,
    /// The approvals that were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<crate::ApprovalView>,
}

/// A part of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartView {
    /// The node.
    pub node: String,
    /// Its segment.
    pub segment: String,
    /// Its batch, from 1.
    pub batch: u32,
    /// Of its plan.
    pub plan_sha256: String,
    /// Its state.
    pub state: PartState,
    /// How it ended or why it halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Ended>,
    /// The same in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How many controllers it has had.
    pub epoch: u64,
    /// The runner that has it, or had it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// When that runner was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Time>,
    /// What was asked of it and has not happened yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<Want>,
    /// Number of the step that began last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// Of what has to be approved before it begins; none where nobody has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve_sha256: Option<String>,
    /// Until when it may begin, once enough people have approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_until: Option<Time>,
}

/// A question of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QuestionView {
    /// Of which part.
    pub node: String,
    /// Of which controller.
    pub epoch: u64,
    /// `seq` of the event `asked`.
    pub seq: u64,
    /// The step at which it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// What is asked.
    pub text: String,
    /// What a person is told to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// The words that are answers to it.
    pub choices: Vec<String>,
    /// When it was asked.
    pub at: Time,
}

/// `POST /v1/runs/{run}/answers`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnswerIn {
    /// Of which part.
    pub node: String,
    /// Of which controller.
    pub epoch: u64,
    /// `seq` of the question.
    pub seq: u64,
    /// One of its choices.
    pub answer: String,
    /// What the person says beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The answer was the first, or the same one of the same person again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Answered {
    /// The answer.
    pub answer: String,
    /// Who gave it.
    pub by: String,
}

/// `POST /v1/runs/{run}/stop`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stop {
    /// Which parts; empty for all.
    pub nodes: Vec<String>,
    /// How.
    pub manner: Manner,
}

/// `POST /v1/runs/{run}/resume`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Resume {
    /// Which parts; empty for all that are halted.
    pub nodes: Vec<String>,
    /// Number of the step to go on at.
    pub start_at: Option<usize>,
    /// Number of the step after which it holds.
    pub stop_after: Option<usize>,
    /// The manual has changed since: the hash of the page that the person has read, and agrees to.
    /// Refused by this version of the gateway.
    pub accept_changed: Option<String>,
}

/// `POST /v1/runs/{run}/hand-over`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandOver {
    /// To whom.
    pub to: String,
    /// What they should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `POST /v1/runs/{run}/release`: gives up a run. Its bundles are removed from the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Release {
    /// Which parts; empty for all that are halted.
    pub nodes: Vec<String>,
    /// Why.
    pub note: Option<String>,
}

/// A place in the events of a run: `NODE:EPOCH:SEQ`. The id of each event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The part.
    pub node: String,
    /// The controller.
    pub epoch: u64,
    /// The event's number.
    pub seq: u64,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.node, self.epoch, self.seq)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Cursor, ()> {
        let mut words = text.rsplitn(3, ':');
        let mut number = || words.next()?.parse().ok();
        let (seq, epoch) = (number(), number());
        match (words.next(), epoch, seq) {
            (Some(node), Some(epoch), Some(seq)) if crate::limit::is_name(node) => Ok(Cursor {
                node: node.to_owned(),
                epoch,
                seq,
            }),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_the_same() {
        for text in ["web1:2:17", "*:1:1", "web-1.example:10:0"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for text in [
            "", "web1", "web1:2", "web1:x:1", ":1:1", "a/b:1:1", "a:b:1:1", "a:1:-1",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
