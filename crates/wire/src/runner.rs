//! The messages between a runner and the gateway.
//!
//! The runner sends requests; nothing connects to it. `work` and `beat` have the same request and
//! answer: `work?wait=N` stays open until there is news, `beat` answers at once. Both renew the
//! leases of the named parts. News is repeated until the journal shows its effect, so a lost answer
//! does no harm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::source::Source;
use crate::state::Confirm;
use crate::state::{Ended, NodeLogin, Want};

/// One controller of a part: the unit of a lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartKey {
    /// The run.
    pub run: String,
    /// The node; `*` for a procedure with roles.
    pub node: String,
    /// The controller, from 1.
    pub epoch: u64,
}

impl std::fmt::Display for PartKey {
    /// `RUN:NODE:EPOCH`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.run, self.node, self.epoch)
    }
}

/// `POST /v1/runner/enroll`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Enroll {
    /// From `opsbook-gateway token SEGMENT`: valid once, for 15 minutes.
    pub token: String,
    /// The runner's name.
    pub name: String,
    /// A certificate request (PKCS #10, PEM), signed with the runner's key: if the gateway itself
    /// uses TLS, the runner gets a certificate for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csr: Option<String>,
}

/// `POST /v1/runner/renew`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Renew {
    /// As in [`Enroll`].
    pub csr: String,
}

/// The runner's credentials: a certificate, or `Authorization: Bearer SECRET`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Enrolled {
    /// The runner's id.
    pub runner: String,
    /// Its segment.
    pub segment: String,
    /// Its secret, if it has no certificate. The gateway stores only its hash.
    #[serde(default)]
    pub secret: String,
    /// PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The remaining lifetime of the certificate in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

impl std::fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enrolled {} of {}", self.runner, self.segment)
    }
}

/// `POST /v1/runner/work?wait=N` and `POST /v1/runner/beat`: the state of a runner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hello {
    /// A name of this runner process, new at each start.
    pub boot: String,
    /// The runner's version.
    #[serde(default)]
    pub version: String,
    /// How many more parts it accepts. 0 while it drains.
    pub room: u32,
    /// All its parts. A lease that is missing here is offered again at once.
    pub parts: Vec<PartKey>,
    /// Parts that have ended since; repeated until [`News::ended`] contains them.
    #[serde(default)]
    pub ended: Vec<PartEnd>,
    /// All its rounds of checks in progress. None if it does not support rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<Vec<String>>,
}

/// How a part ended for a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartEnd {
    /// The run.
    pub run: String,
    /// The node.
    pub node: String,
    /// The controller.
    pub epoch: u64,
    /// Its state now.
    pub state: EndState,
    /// How it ended. Without meaning for `crashed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Ended>,
    /// The cause, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl PartEnd {
    /// Its lease.
    #[must_use]
    pub fn key(&self) -> PartKey {
        PartKey {
            run: self.run.clone(),
            node: self.node.clone(),
            epoch: self.epoch,
        }
    }
}

/// The state of a part when a runner has ended with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EndState {
    /// Nothing is left to do.
    Ended,
    /// A bundle is on the node; a person decides.
    Halted,
    /// Its process crashed, and the node knows the state of the step: offer the part again, with
    /// the next epoch.
    Crashed,
    /// Another run has the node, so nothing was changed: offer it again later.
    Busy,
}

/// News for a runner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct News {
    /// New parts, which the runner holds from now on.
    pub parts: Vec<Work>,
    /// Parts of [`Hello::parts`] that it has lost: another runner has continued them, or they have
    /// ended. It must end their processes (but not the steps on the nodes).
    pub lost: Vec<PartKey>,
    /// Requests to its parts.
    pub wants: Vec<WantOut>,
    /// Answers to questions of its parts.
    pub answers: Vec<AnswerOut>,
    /// Confirmed entries of [`Hello::ended`], even if another runner has the part.
    #[serde(default)]
    pub ended: Vec<PartKey>,
    /// Rounds of checks to evaluate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<crate::check::Round>,
}

impl News {
    /// Whether there is something to do.
    #[must_use]
    pub fn is_any(&self) -> bool {
        !(self.parts.is_empty()
            && self.rounds.is_empty()
            && self.lost.is_empty()
            && self.wants.is_empty()
            && self.answers.is_empty())
    }
}

/// A part to execute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Work {
    /// The run.
    pub run: String,
    /// The node.
    pub node: String,
    /// The controller: the number of this lease.
    pub epoch: u64,
    /// What to do.
    pub mode: Mode,
    /// The manual.
    pub manual: String,
    /// The source of its files.
    pub source: Source,
    /// The procedure.
    pub procedure: String,
    /// The words for its nodes on the command line of `opsbook run`.
    pub words: Vec<String>,
    /// The arguments of `--set NAME=VALUE`.
    pub arguments: BTreeMap<String, String>,
    /// The hash of the ordered plan; another plan is refused.
    pub plan_sha256: String,
    /// `--start-at`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<usize>,
    /// `--stop-after`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<usize>,
    /// How confirmations are answered.
    #[serde(default)]
    pub confirm: Confirm,
    /// The operator of the run.
    pub operator: String,
    /// The lines of its journal at the gateway, sorted by `epoch` and `seq`. A runner with its own
    /// copy of the journal needs none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub journal: Vec<String>,
    /// How many lines the gateway has. If there are more than in `journal`, the rest is at `GET
    /// /v1/runs/{run}/events?node=NODE` as NDJSON.
    #[serde(default)]
    pub journal_lines: u64,
    /// The person who ordered it; the operator may be another person by now.
    #[serde(default)]
    pub asked_by: String,
    /// The approvals, if they are required: a runner verifies them itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<crate::Consent>,
    /// How the runner logs in to the part's nodes.
    #[serde(default, skip_serializing_if = "NodeLogin::is_own")]
    pub login: NodeLogin,
}

impl Work {
    /// Its lease.
    #[must_use]
    pub fn key(&self) -> PartKey {
        PartKey {
            run: self.run.clone(),
            node: self.node.clone(),
            epoch: self.epoch,
        }
    }
}

/// What to do with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Mode {
    /// Nobody has begun it: `run --run RUN --epoch 1`.
    Begin,
    /// Somebody may have begun it, which the node knows: `run --run RUN --epoch N --adopt`.
    Adopt,
    /// It is given up: remove the bundle (like `opsbook lock release`), and run nothing.
    Release,
}

/// A request to a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WantOut {
    /// The run.
    pub run: String,
    /// The node.
    pub node: String,
    /// The controller.
    pub epoch: u64,
    /// The request.
    pub wants: Want,
}

/// An answer to a question of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnswerOut {
    /// The run.
    pub run: String,
    /// The node.
    pub node: String,
    /// The controller that asked.
    pub epoch: u64,
    /// `seq` of the question.
    pub seq: u64,
    /// The answer.
    pub answer: String,
    /// A note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The person who answered.
    pub by: String,
}

/// `POST /v1/runner/events`: lines of journals, byte for byte. Sending a line twice has no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Lines {
    /// Lines of each part, in order.
    pub parts: Vec<LinesOfPart>,
}

/// Lines of one part's journal. Each line contains its own epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LinesOfPart {
    /// The run.
    pub run: String,
    /// The node.
    pub node: String,
    /// The epoch of the lease; also that of lines without an epoch.
    pub epoch: u64,
    /// Without line ends.
    pub lines: Vec<String>,
}

/// The stored positions: lines after them must be sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Acked {
    /// `RUN:NODE:EPOCH` to the last stored `seq` of that epoch; only those of this request.
    pub acked: BTreeMap<String, u64>,
    /// `RUN:NODE:EPOCH` to the reason why its lines are refused, now or for ever.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
    /// `RUN:NODE:EPOCH` of unknown runs: the gateway's store was restored from an older state. The
    /// run may come back with a repeated order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_that_only_acknowledges_wakes_nobody() {
        let key = PartKey {
            run: "r".into(),
            node: "n".into(),
            epoch: 1,
        };
        let mut news = News::default();
        news.ended.push(key.clone());
        assert!(!news.is_any());
        news.lost.push(key);
        assert!(news.is_any());
    }
}
