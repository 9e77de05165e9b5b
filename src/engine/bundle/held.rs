//! Who holds a bundle, as the node tells it.

use serde::{Deserialize, Serialize};

use crate::outside::Outside;

/// Who holds a bundle; one line of JSON in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub run: Outside,
    pub operator: Outside,
    pub controller: Outside,
    pub procedure: Outside,
    /// The controller's clock, RFC 3339, UTC.
    pub since: Outside,
    pub revision: Option<Outside>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Outside>,
}

/// A bundle that somebody else holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub dir: String,
    pub alive: Alive,
    /// The newest step in it; 0 before the first.
    pub step: usize,
    /// Absent where it cannot be told.
    pub owner: Option<Owner>,
}

/// Does anything of the run that holds a bundle still live?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alive {
    Live,
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
