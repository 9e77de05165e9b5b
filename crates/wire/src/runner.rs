//! What a runner and the gateway say to each other.
//!
//! A runner asks; nothing calls it. `work` and `beat` have the same request and the same answer:
//! `work?wait=N` stays open until there is news, `beat` answers at once. Both renew the leases of
//! the parts that they name. News is repeated until the journal shows that it was taken: a lost
//! answer costs nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::source::Source;
use crate::state::Confirm;
use crate::state::{Ended, NodeLogin, Want};

/// One controller of a part. The unit of a lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartKey {
    /// The run.
    pub run: String,
    /// The node; `*` for all machines of a procedure with roles.
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
    /// From `opsbook-gateway token SEGMENT`: good once, for a quarter of an hour.
    pub token: String,
    /// The runner's name.
    pub name: String,
    /// A certificate request (PKCS #10, PEM), signed by the runner's key: where the gateway itself
    /// speaks TLS, the runner gets a certificate for it.
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

/// The runner is known from now on: by its certificate, or by `Authorization: Bearer SECRET`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Enrolled {
    /// The runner's id.
    pub runner: String,
    /// Its segment.
    pub segment: String,
    /// What it proves itself with where it has no certificate. The gateway keeps a hash of it.
    #[serde(default)]
    pub secret: String,
    /// PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// For how many seconds the certificate is good from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

impl std::fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enrolled {} of {}", self.runner, self.segment)
    }
}

/// `POST /v1/runner/work?wait=N` and `POST /v1/runner/beat`: how a runner is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hello {
    /// A name of this process of the runner, new at each start.
    pub boot: String,
    /// The runner's version.
    #[serde(default)]
    pub version: String,
    /// How many more parts it would take. 0 while it drains.
    pub room: u32,
    /// The parts that it has: all of them. One of its leases that is not among them is offered
    /// again at once.
    pub parts: Vec<PartKey>,
    /// Parts that have ended since; repeated until they are in [`News::ended`].
    #[serde(default)]
    pub ended: Vec<PartEnd>,
    /// Rounds of checks that it is asking: all of them. None where it knows of no rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<Vec<String>>,
}

/// How a part has ended for a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartEnd {
    /// The run.
    pub run: String,
    /// The node.
    pub node: String,
    /// The controller.
    pub epoch: u64,
    /// What it is now.
    pub state: EndState,
    /// How it ended. Of `crashed` it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Ended>,
    /// The same in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl PartEnd {
    /// Of which lease.
    #[must_use]
    pub fn key(&self) -> PartKey {
        PartKey {
            run: self.run.clone(),
            node: self.node.clone(),
            epoch: self.epoch,
        }
    }
}

/// What a part is once a runner has ended with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EndState {
    /// Nothing is left to be done.
    Ended,
    /// A bundle is on the node; a person decides.
    Halted,
    /// The process that did it died, and what became of the step is on the node: offer the part
    /// again, under the next epoch.
    Crashed,
    /// Nothing was touched because another run has the node: offer it again later.
    Busy,
}

/// What a runner is to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct News {
    /// New parts, which it has from now on.
    pub parts: Vec<Work>,
    /// Parts of [`Hello::parts`] that it does not have any more: somebody has gone on with them,
    /// or they have ended. Their process is to be ended (the step on the node is not).
    pub lost: Vec<PartKey>,
    /// What its parts are to do.
    pub wants: Vec<WantOut>,
    /// Answers to questions of its parts.
    pub answers: Vec<AnswerOut>,
    /// Those of [`Hello::ended`] that are known now, also where somebody else has the part.
    #[serde(default)]
    pub ended: Vec<PartKey>,
    /// Rounds of checks to be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<crate::check::Round>,
}

impl News {
    /// There is something for the runner to do.
    #[must_use]
    pub fn is_any(&self) -> bool {
        !(self.parts.is_empty()
            && self.rounds.is_empty()
            && self.lost.is_empty()
            && self.wants.is_empty()
            && self.answers.is_empty())
    }
}

/// A part to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Work {
    /// The run.
    pub run: String,
    /// The node.
    pub node: String,
    /// The controller: this lease.
    pub epoch: u64,
    /// What is to be done.
    pub mode: Mode,
    /// The manual.
    pub manual: String,
    /// Where its files are.
    pub source: Source,
    /// The procedure.
    pub procedure: String,
    /// What names the node or nodes on the command line of `opsbook run`.
    pub words: Vec<String>,
    /// `--set NAME=VALUE` each.
    pub arguments: BTreeMap<String, String>,
    /// Of the plan that was asked for; another plan is not run.
    pub plan_sha256: String,
    /// `--start-at`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<usize>,
    /// `--stop-after`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<usize>,
    /// What becomes of confirmations.
    #[serde(default)]
    pub confirm: Confirm,
    /// Who asked for it: the operator of the run.
    pub operator: String,
    /// The lines of its journal that the gateway has, in the order of `epoch` and `seq`. A runner
    /// that has the part's journal itself needs none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub journal: Vec<String>,
    /// How many lines the gateway has; more than in `journal` where they are too many for one
    /// answer: the rest is at `GET /v1/runs/{run}/events?node=NODE` as NDJSON.
    #[serde(default)]
    pub journal_lines: u64,
    /// Who asked for it; the operator may be another person by now.
    #[serde(default)]
    pub asked_by: String,
    /// What was approved, where somebody had to: a runner verifies it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<crate::Consent>,
    /// How the runner logs in at the part's nodes.
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

/// What is to be done with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Mode {
    /// Nobody has begun it: `run --run RUN --epoch 1`.
    Begin,
    /// Somebody may have begun it: `run --run RUN --epoch N --adopt`. The node knows.
    Adopt,
    /// It is given up: the bundle goes (`opsbook lock`'s release), and nothing runs.
    Release,
}

/// What a part is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WantOut {
    /// The run.
    pub run: String,
    /// The node.
    pub node: String,
    /// The controller.
    pub epoch: u64,
    /// What.
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
    /// What the person says beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who answered.
    pub by: String,
}

/// `POST /v1/runner/events`: lines of journals, byte for byte. Sending a line twice does nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Lines {
    /// For each part some lines, in their order.
    pub parts: Vec<LinesOfPart>,
}

/// Lines of the journal of one part. The epoch of a line is the one that stands in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LinesOfPart {
    /// The run.
    pub run: String,
    /// The node.
    pub node: String,
    /// Of the lease under which they are sent; a line without an epoch is taken as one of it.
    pub epoch: u64,
    /// Without line ends.
    pub lines: Vec<String>,
}

/// Up to where lines are stored: those after it are to be sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Acked {
    /// `RUN:NODE:EPOCH` to the last `seq` of that epoch; only those of this request.
    pub acked: BTreeMap<String, u64>,
    /// `RUN:NODE:EPOCH` to the reason why its lines are not taken, now or ever.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
    /// `RUN:NODE:EPOCH` of runs that the gateway does not know: its store is an older one, after a
    /// loss. The run may come back, by an ask that is made again.
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
