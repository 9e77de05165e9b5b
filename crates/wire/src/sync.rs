//! Runs that went past the gateway: their journals, reported later; and what is found of them on
//! nodes until then.

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::state::{Ended, RunState};

/// `POST /v1/sync`: lines of the journal of a run on a laptop, byte for byte, in their order.
/// Sending a line twice does nothing. Without lines it asks how many the gateway has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sync {
    /// Which manual; none where the gateway has one.
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
    /// Number of the last line that the gateway has; 0 where it has none.
    pub acked: u64,
    /// What the run is, as far as its lines tell it.
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
    /// It holds the bundle.
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

    /// The value of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<How> {
        [How::Holds, How::Past]
            .into_iter()
            .find(|how| how.word() == word)
    }
}

/// Of a round of checks: a run of which a node has a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Trace {
    /// Its name.
    pub run: String,
    /// What the trace is.
    pub how: How,
}

/// `GET /v1/findings?manual=&node=`: a run that was on a node, and of which the gateway knows
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FindingView {
    /// The manual whose checks are asked there.
    pub manual: String,
    /// The node.
    pub node: String,
    /// The run.
    pub run: String,
    /// What the node has of it.
    pub how: How,
    /// When it was found first.
    pub since: Time,
    /// When it was found last.
    pub seen: Time,
}
