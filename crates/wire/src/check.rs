//! Scheduled checks: a runner's work and results, and each check's outcome with the time since when
//! it has it.

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::source::Source;
use crate::state::NodeLogin;

/// The most nodes of one round: a schedule for more nodes has several rounds.
pub const NODES: usize = 100;
/// The most results of one round.
pub const RESULTS: usize = 20_000;
/// The most traces of runs on a node.
pub const TRACES: usize = 250;
/// The most bytes of evidence of one check.
pub const EVIDENCE: usize = 1_000;
/// The time limit of a round in seconds; then another runner gets it.
pub const LIMIT: u64 = 600;

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Outcome {
    /// It holds.
    Held,
    /// It was evaluated, and does not hold.
    Failed,
    /// It could not be evaluated.
    Unknown,
}

impl Outcome {
    /// All values.
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

    /// Parses a word.
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
    /// The source of its files.
    pub source: Source,
    /// The nodes.
    pub nodes: Vec<String>,
    /// The checks: `GROUP::CHECK` with `*` and `?`.
    pub checks: Vec<String>,
    /// How the runner logs in to the nodes.
    #[serde(default, skip_serializing_if = "NodeLogin::is_own")]
    pub login: NodeLogin,
    /// Whether the gateway accepts traces of runs.
    #[serde(default)]
    pub traces: Traces,
}

/// Whether a round reports the traces of runs on its nodes. Older gateways do not accept them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Traces {
    /// No traces.
    #[default]
    Left,
    /// With traces.
    Told,
}

/// `POST /v1/runner/checks`: the results of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Checked {
    /// The round.
    pub id: String,
    /// The evaluated nodes.
    #[serde(default)]
    pub nodes: Vec<CheckedNode>,
    /// Why there are no results, if there are none.
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
    /// The checks that hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// The other checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<NotHeld>,
    /// The runs that left a trace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<crate::sync::Trace>,
}

/// A check that does not hold, or that could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotHeld {
    /// `GROUP::CHECK`
    pub check: String,
    /// `failed` or `unknown`.
    pub outcome: Outcome,
    /// The evidence, or why it could not be evaluated.
    pub evidence: String,
    /// `file:line` in the manual.
    pub place: String,
}

/// The answer to [`Checked`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Taken {
    /// False if the round belongs to another runner by now: the results were ignored.
    pub taken: bool,
}

/// `GET /v1/checks?node=&check=&outcome=&history=`: the outcome of a check on a node, and since
/// when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckView {
    /// The manual.
    pub manual: String,
    /// The node.
    pub node: String,
    /// `GROUP::CHECK`
    pub check: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// Since when.
    pub since: Time,
    /// Until when, if it has another outcome now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// When it was last evaluated.
    pub seen: Time,
    /// The last known run on the node before the outcome changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_before: Option<String>,
    /// The evidence, if it does not hold.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evidence: String,
    /// `file:line` in the manual, if it does not hold.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// Its schedule.
    pub schedule: String,
}

/// `GET /v1/schedules`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleView {
    /// Its name.
    pub name: String,
    /// What it checks or runs.
    pub what: String,
    /// Its nodes.
    pub nodes: String,
    /// Seconds between two ticks.
    pub every: u64,
    /// Its last tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    /// The next one.
    pub next: Time,
    /// Why its last tick failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
