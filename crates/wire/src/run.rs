//! Runs as people see them, and people's actions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::state::{Ended, Manner, Origin, PartState, RunState, Want};

/// `GET /v1/runs`: a page, newest first. There is no total count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunsPage {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// `after` of the next page; none on the last page.
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
    /// The first hundred of its nodes.
    pub nodes: Vec<String>,
    /// The person who ordered it.
    pub asked_by: String,
    /// The person who is responsible now.
    pub owner: String,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it bypassed the gateway, for a break-glass run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// The origin of the order.
    pub origin: Origin,
    /// Its state.
    pub state: RunState,
    /// How it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Ended>,
    /// When it was ordered.
    pub asked: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
}

/// `GET /v1/runs/{run}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunView {
    /// The data in a list.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// The ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The manual's revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// SHA-256 of the procedure's page.
    pub page_sha256: String,
    /// The arguments.
    pub arguments: BTreeMap<String, String>,
    /// Its parts.
    pub parts: Vec<PartView>,
    /// Open questions.
    pub questions: Vec<QuestionView>,
    /// The missing approvals, if it waits for approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<crate::ask::Approvals>,
    /// The given approvals.
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
    /// The hash of its plan.
    pub plan_sha256: String,
    /// Its state.
    pub state: PartState,
    /// How it ended or why it halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Ended>,
    /// The cause, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The number of its controllers so far.
    pub epoch: u64,
    /// The runner that has it, or had it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// When that runner last sent a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Time>,
    /// A request to it that has no effect yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<Want>,
    /// Number of the last step that began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The hash of the document to approve; none if no approval is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve_sha256: Option<String>,
    /// Until when it may begin, once enough people have approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_until: Option<Time>,
}

/// A question in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QuestionView {
    /// The part.
    pub node: String,
    /// The controller.
    pub epoch: u64,
    /// `seq` of the event `asked`.
    pub seq: u64,
    /// The step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The question.
    pub text: String,
    /// Instructions for the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// The valid answers.
    pub choices: Vec<String>,
    /// When it was asked.
    pub at: Time,
}

/// `POST /v1/runs/{run}/answers`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnswerIn {
    /// The part.
    pub node: String,
    /// The controller.
    pub epoch: u64,
    /// `seq` of the question.
    pub seq: u64,
    /// One of its choices.
    pub answer: String,
    /// A note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The answer was the first, or a repetition by the same person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Answered {
    /// The answer.
    pub answer: String,
    /// The person who gave it.
    pub by: String,
}

/// `POST /v1/runs/{run}/stop`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stop {
    /// The parts; empty for all.
    pub nodes: Vec<String>,
    /// How.
    pub manner: Manner,
}

/// `POST /v1/runs/{run}/resume`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Resume {
    /// The parts; empty for all halted ones.
    pub nodes: Vec<String>,
    /// Number of the step at which to continue.
    pub start_at: Option<usize>,
    /// Number of the step after which it halts.
    pub stop_after: Option<usize>,
    /// If the manual has changed: the hash of the page that the person has read and accepts.
    /// Refused by this version of the gateway.
    pub accept_changed: Option<String>,
}

/// `POST /v1/runs/{run}/hand-over`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandOver {
    /// The new person.
    pub to: String,
    /// A note for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `POST /v1/runs/{run}/release`: gives up a run. Its bundles are removed from the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Release {
    /// The parts; empty for all halted ones.
    pub nodes: Vec<String>,
    /// The reason.
    pub note: Option<String>,
}

/// A position in the events of a run: `NODE:EPOCH:SEQ`. The id of each event of a stream.
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
