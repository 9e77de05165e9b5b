//! Who holds a bundle, as the node tells it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::BundleError;
use crate::event::Manner;
use crate::outside::Outside;

/// Who holds a bundle; one line of JSON in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The id of the run that holds the bundle.
    pub run: Outside,
    /// The login name of the person who started it.
    pub operator: Outside,
    /// The machine on which their opsbook worked.
    pub controller: Outside,
    /// The id of the procedure.
    pub procedure: Outside,
    /// Its name among the nodes of the run: one account may be several of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The controller's clock, RFC 3339, UTC.
    pub since: Outside,
    /// The Git revision of the manual, where it has one.
    pub revision: Option<Outside>,
    /// What `opsbook lock acquire` was given to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Outside>,
    /// Number of the controller among those of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The journal's last line, and its hash, when the controller took the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<(u64, Outside)>,
    /// The manual's folder on the controller: there is the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<Outside>,
    /// What the run was asked to do: enough to go on with it where its journal is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// Why only this controller can go on with the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pinned: Vec<Outside>,
}

/// What was asked of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The names of the nodes, in their order.
    pub nodes: Vec<String>,
    /// The nodes that play each role, where the procedure has roles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Vec<String>>,
    /// What was given with `--set`; never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    /// Number of the step at which it was to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<usize>,
    /// How the run goes through its nodes and steps.
    pub manner: Manner,
}

/// Bytes of the line that a bundle keeps of its owner. Readers take no more than 16 KiB.
const LONGEST: usize = 12 << 10;

impl Owner {
    /// As the bundle keeps it. A request that is too long for that is left out.
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

/// A bundle that somebody else holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The bundle's folder on the node, absolute.
    pub dir: String,
    /// Whether a controller uses it at this moment.
    pub alive: Alive,
    /// The newest step in it; 0 before the first.
    pub step: usize,
    /// Absent where it cannot be told.
    pub owner: Option<Owner>,
}

/// Does anything of the run that holds a bundle still live?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alive {
    /// A controller has a session with it.
    Live,
    /// No controller has.
    Stale,
    /// The node has no `flock` to tell.
    Unknown,
}

impl std::fmt::Display for Alive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Alive::Live => "it is running",
            Alive::Stale => "nothing of it runs any more",
            Alive::Unknown => "whether it runs cannot be told here",
        })
    }
}

impl Held {
    /// Whether this run holds it.
    #[must_use]
    pub fn is_of(&self, run: &str) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.run == run)
    }

    /// How far the run is, as the bundle shows it. Of what was done elsewhere it knows nothing.
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

    /// The same where it is known better how far the run is.
    #[must_use]
    pub fn sentence_at(&self, at: &str) -> String {
        let alive = self.alive;
        match &self.owner {
            // Somebody's word, and no run.
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
