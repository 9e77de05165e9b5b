//! Orders of runs, and the gateway's data about procedures and hosts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Time;
pub use crate::state::Confirm;
use crate::state::{RunState, Verb};

/// `POST /v1/asks`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ask {
    /// The manual; optional if the gateway has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<String>,
    /// The id of the procedure.
    pub procedure: String,
    /// Nodes or selectors, or `ROLE=NODE,NODE`: the words of `opsbook run`.
    pub nodes: Vec<String>,
    /// Arguments of the procedure. Never secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Sizes of the batches: `1,5,25%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// How many nodes may fail before no further batch begins.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_fail: u32,
    /// Number of the first step to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<usize>,
    /// Number of the step after which it halts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<usize>,
    /// How confirmations are answered.
    #[serde(default)]
    pub confirm: Confirm,
    /// SHA-256 of the page that the person read. Another page is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_sha256: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The answer to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Asked {
    /// The name of the run.
    pub run: String,
    /// Its state.
    pub state: RunState,
    /// Its parts.
    pub parts: Vec<AskedPart>,
    /// The missing approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<Approvals>,
}

/// The approvals that a run waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approvals {
    /// The number of approvals.
    pub approvals: u32,
    /// Whose: people and `@groups`; empty for everybody with the verb `approve`.
    pub by: String,
}

/// A part of an ordered run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AskedPart {
    /// The node; `*` for a procedure with roles, whose nodes are one part.
    pub node: String,
    /// The segment of its runners.
    pub segment: String,
    /// The hash of its plan.
    pub plan_sha256: String,
}

/// `GET /v1/hosts`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostView {
    /// The manual with this node.
    pub manual: String,
    /// Its name.
    pub id: String,
    /// Its segment.
    pub segment: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// The run that currently holds the node, as far as the gateway knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// What the person may do there: `run web.deploy`.
    pub may: Vec<String>,
}

/// `GET /v1/procedures/{id}`: the data of a procedure's card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProcedureView {
    /// The manual.
    pub manual: String,
    /// Its id.
    pub id: String,
    /// The heading over its contract.
    pub title: String,
    /// The page's file in the manual.
    pub page: String,
    /// SHA-256 of the page, with its includes.
    pub page_sha256: String,
    /// The manual's revision, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Its roles; empty if it runs on each node separately.
    pub roles: Vec<String>,
    /// Its steps.
    pub steps: Vec<StepView>,
    /// The nodes on which this person may run it.
    pub nodes: Vec<String>,
    /// What this person may do with it on any node.
    pub may: Vec<Verb>,
}

/// `GET /v1/explain?person=&verb=&procedure=&node=`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explained {
    /// Whether the person may do it.
    pub granted: bool,
    /// The place of the rule that grants it; none if there are no rules, and everything is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Every examined rule.
    pub rules: Vec<Rule>,
    /// For `run`: the approvals that are required before it begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<crate::approve::Need>,
}

/// A rule's answer to one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rule {
    /// `access.yaml:7`
    pub place: String,
    /// The conditions that do not hold; empty if it grants.
    pub against: Vec<String>,
}

/// A parameter of a procedure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The author's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The default; none if a value is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// A step of a procedure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepView {
    /// From 1.
    pub number: usize,
    /// Its full name.
    pub name: String,
    /// Its title on the page.
    pub title: String,
}

/// `GET /v1/runs/{run}/plan?node=`: the exact texts that will run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanView {
    /// The run.
    pub run: String,
    /// When the plan was made.
    pub at: Time,
    /// The plan of each node, as in the journal's `run-started`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub plans: serde_json::Value,
    /// For each part, the [`crate::approve::Document`] to approve, byte for byte. Only for parts
    /// that need approval.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub documents: BTreeMap<String, String>,
    /// The options of the run, as in the signed statement.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manner: String,
    /// The options of each part: a part that is resumed at another step has its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub manners: BTreeMap<String, String>,
}
