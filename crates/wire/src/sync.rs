//! Runs that bypassed the gateway: their journals, reported later, and their traces on nodes until
//! then.

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::state::{Ended, RunState};

/// `POST /v1/sync`: journal lines of a run on a laptop, byte for byte, in order. Sending a line
/// twice has no effect. Without lines it returns how many the gateway has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sync {
    /// The manual; optional if the gateway has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<String>,
    /// The run.
    pub run: String,
    /// Without line ends.
    #[serde(default)]
    pub lines: Vec<String>,
}

/// The answer to [`Sync`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Synced {
    /// The run.
    pub run: String,
    /// Number of the last line at the gateway; 0 without lines.
    pub acked: u64,
    /// The state of the run according to its lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Ended>,
}

/// What a node has of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum How {
    /// The run holds the bundle.
    Holds,
    /// Its record is in the node's history.
    Past,
}

impl How {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            How::Holds => "holds",
            How::Past => "past",
        }
    }

    /// Parses a word.
    #[must_use]
    pub fn of(word: &str) -> Option<How> {
        [How::Holds, How::Past]
            .into_iter()
            .find(|how| how.word() == word)
    }
}

/// A run that left a trace on a node, found in a round of checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Trace {
    /// Its name.
    pub run: String,
    /// What the trace is.
    pub how: How,
}

/// `GET /v1/findings?manual=&node=`: an unknown run that left a trace on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FindingView {
    /// The manual whose checks found it.
    pub manual: String,
    /// The node.
    pub node: String,
    /// The run.
    pub run: String,
    /// What the node has of it.
    pub how: How,
    /// When it was first found.
    pub since: Time,
    /// When it was last found.
    pub seen: Time,
}
