//! Checks that are asked on a schedule: what a runner is given, what it says of them, and what is
//! known of each check since when.

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::source::Source;
use crate::state::NodeLogin;

/// Nodes of one round: a schedule over more is several rounds.
pub const NODES: usize = 100;
/// Results of one round.
pub const RESULTS: usize = 20_000;
/// Runs of which a node may have a trace.
pub const TRACES: usize = 250;
/// Bytes of what was seen of one check that does not hold.
pub const EVIDENCE: usize = 1_000;
/// Seconds that a round may take; then it is given to another runner.
pub const LIMIT: u64 = 600;

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Outcome {
    /// It holds.
    Held,
    /// It was looked at, and does not hold.
    Failed,
    /// Nobody could look.
    Unknown,
}

impl Outcome {
    /// Every value.
    pub const ALL: [Outcome; 3] = [Outcome::Held, Outcome::Failed, Outcome::Unknown];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Held => "held",
            Outcome::Failed => "failed",
            Outcome::Unknown => "unknown",
        }
    }

    /// The value of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Outcome> {
        Outcome::ALL
            .into_iter()
            .find(|outcome| outcome.word() == word)
    }
}

/// A round of checks, for a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Round {
    /// Its name.
    pub id: String,
    /// The manual.
    pub manual: String,
    /// Where its files are.
    pub source: Source,
    /// The nodes that are asked.
    pub nodes: Vec<String>,
    /// Which checks: `GROUP::CHECK` with `*` and `?`.
    pub checks: Vec<String>,
    /// How the runner logs in at the nodes.
    #[serde(default, skip_serializing_if = "NodeLogin::is_own")]
    pub login: NodeLogin,
    /// Whether the gateway takes what nodes have of runs.
    #[serde(default)]
    pub traces: Traces,
}

/// Whether a round tells of which runs its nodes have a trace. Older gateways take none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Traces {
    /// It does not.
    #[default]
    Left,
    /// It does.
    Told,
}

/// `POST /v1/runner/checks`: what became of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Checked {
    /// The round.
    pub id: String,
    /// Each node that was asked.
    #[serde(default)]
    pub nodes: Vec<CheckedNode>,
    /// Why there are no results, where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The checks of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckedNode {
    /// Its name.
    pub node: String,
    /// Those that hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// The others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<NotHeld>,
    /// The runs of which it has a trace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<crate::sync::Trace>,
}

/// A check that does not hold, or at which nobody could look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotHeld {
    /// `GROUP::CHECK`
    pub check: String,
    /// `failed` or `unknown`.
    pub outcome: Outcome,
    /// What was seen, or why nobody could look.
    pub evidence: String,
    /// `file:line` in the manual.
    pub place: String,
}

/// The answer to [`Checked`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Taken {
    /// False where the round is somebody else's by now: the results were left out.
    pub taken: bool,
}

/// `GET /v1/checks?node=&check=&outcome=&history=`: a check on a node, and since when it is so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckView {
    /// The manual.
    pub manual: String,
    /// The node.
    pub node: String,
    /// `GROUP::CHECK`
    pub check: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Since when.
    pub since: Time,
    /// Until when, where it is not so any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// When it was looked at last.
    pub seen: Time,
    /// The last run on the node that the gateway knows, from before it became so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_before: Option<String>,
    /// What was seen, where it does not hold.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evidence: String,
    /// `file:line` in the manual, where it does not hold.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// The schedule that asks it.
    pub schedule: String,
}

/// `GET /v1/schedules`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleView {
    /// Its name.
    pub name: String,
    /// What it asks or runs.
    pub what: String,
    /// On which nodes.
    pub nodes: String,
    /// Seconds between two ticks.
    pub every: u64,
    /// Its last tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    /// The next one.
    pub next: Time,
    /// Why its last tick came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
