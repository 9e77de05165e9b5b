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

impl Held {
    /// `web.deploy is held by ana@desk since …, at step 3`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let at = match self.step {
            0 => "before its first step".to_owned(),
            step => format!("at step {step}"),
        };
        let alive = match self.alive {
            Alive::Live => "it is running",
            Alive::Stale => "nothing of it runs any more",
            Alive::Unknown => "whether it runs cannot be told here",
        };
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
