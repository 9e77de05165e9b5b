//! The owner of a bundle, as the node reports it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::BundleError;
use crate::event::Manner;
use crate::outside::Outside;

/// The owner of a bundle; the bundle stores it as one line of JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The id of the run.
    pub run: Outside,
    /// The login name of the person who started the run.
    pub operator: Outside,
    /// The host name of the controller.
    pub controller: Outside,
    /// The id of the procedure.
    pub procedure: Outside,
    /// The node's name in the run: one account may serve several nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The controller's clock, RFC 3339, UTC.
    pub since: Outside,
    /// The Git revision of the manual, if it has one.
    pub revision: Option<Outside>,
    /// The message given to `opsbook lock acquire`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Outside>,
    /// The controller's number within the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The journal's last line and its hash when the controller took the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<(u64, Outside)>,
    /// The manual's folder on the controller, which contains the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<Outside>,
    /// The order of the run: enough to continue it if its journal is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// Why only this controller can continue the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pinned: Vec<Outside>,
}

/// The order of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The names of the nodes, in order.
    pub nodes: Vec<String>,
    /// The nodes of each role, if the procedure has roles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Vec<String>>,
    /// Arguments, from `--set`; never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    /// Number of the first step, from `--start-at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<usize>,
    /// Batches, confirmations and other options of the run.
    pub manner: Manner,
}

/// The most bytes of the owner line. Readers accept at most 16 KiB.
const LONGEST: usize = 12 << 10;

impl Owner {
    /// The line that the bundle stores. Leaves out a request that is too long.
    pub(super) fn line(&self) -> Result<String, BundleError> {
        let json = |owner: &Owner| {
            let line = serde_json::to_string(owner);
            line.map_err(|error| BundleError::Failed(error.to_string().into()))
        };
        let line = json(self)?;
        if line.len() <= LONGEST {
            return Ok(line);
        }
        json(&Owner {
            request: None,
            ..self.clone()
        })
    }
}

/// A bundle that another run or controller holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The absolute path of the bundle on the node.
    pub dir: String,
    /// Whether a controller uses it now.
    pub alive: Alive,
    /// The number of its newest step; 0 before the first.
    pub step: usize,
    /// `None` if it cannot be read.
    pub owner: Option<Owner>,
}

/// Whether the holder of a bundle is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alive {
    /// A controller has a session with it.
    Live,
    /// No controller has one.
    Stale,
    /// The node has no `flock`, so this cannot be determined.
    Unknown,
}

impl std::fmt::Display for Alive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Alive::Live => "it is running",
            Alive::Stale => "nothing of it runs any more",
            Alive::Unknown => "opsbook cannot tell whether it runs",
        })
    }
}

impl Held {
    /// Whether this run holds it.
    #[must_use]
    pub fn is_of(&self, run: &str) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.run == run)
    }

    /// The progress of the run, as far as this bundle shows it.
    #[must_use]
    pub fn position(&self) -> String {
        match self.step {
            0 => "no step has begun on this node".to_owned(),
            step => format!("step {step} is the latest on this node"),
        }
    }

    /// `the bundle is held by ana@desk since …: …, step 3 is the latest on this node`.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.sentence_at(&self.position())
    }

    /// The same with a more exact position.
    #[must_use]
    pub fn sentence_at(&self, at: &str) -> String {
        let alive = self.alive;
        match &self.owner {
            // A lock that a person acquired, without a run.
            Some(Owner {
                run,
                operator,
                controller,
                since,
                message: Some(message),
                ..
            }) => format!(
                "it is held by {}@{} since {} ({}): {}",
                operator.line(),
                controller.line(),
                since.line(),
                run.line(),
                message.line()
            ),
            None => format!("the bundle is held, owner unknown ({alive})"),
            Some(owner) => format!(
                "the bundle is held by {}@{} since {}: `{}`, run {}, {at} ({alive})",
                owner.operator.line(),
                owner.controller.line(),
                owner.since.line(),
                owner.procedure.line(),
                owner.run.line(),
            ),
        }
    }
}
