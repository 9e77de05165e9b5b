//! A wish to run something, and what a gateway knows of procedures and hosts.

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
    /// Which manual; none where the gateway has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<String>,
    /// The id of the procedure.
    pub procedure: String,
    /// Nodes or selectors, or `ROLE=NODE,NODE`: the words of `opsbook run`.
    pub nodes: Vec<String>,
    /// Arguments of the procedure. Never secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The ticket that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Sizes of the batches: `1,5,25%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// Nodes that may end badly before no further batch is started.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_fail: u32,
    /// Number of the first step to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<usize>,
    /// Number of the step after which it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<usize>,
    /// Whether confirmations are asked.
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

/// The answer to an ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Asked {
    /// The name of the run.
    pub run: String,
    /// Its state.
    pub state: RunState,
    /// Its parts.
    pub parts: Vec<AskedPart>,
    /// What is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<Approvals>,
}

/// How many approvals a run waits for, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approvals {
    /// How many.
    pub approvals: u32,
    /// Of whom: people and `@groups`; those who have the verb `approve` where it is empty.
    pub by: String,
}

/// A part of a run that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AskedPart {
    /// The node. Of a procedure with roles, whose machines are one part, `*`.
    pub node: String,
    /// The segment whose runners do it.
    pub segment: String,
    /// Of its plan.
    pub plan_sha256: String,
}

/// `GET /v1/hosts`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostView {
    /// The manual whose `nodes.yaml` names it.
    pub manual: String,
    /// Its name.
    pub id: String,
    /// Its segment.
    pub segment: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// The run that is under way there, as the gateway knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// What the person may do there: `run web.deploy`.
    pub may: Vec<String>,
}

/// `GET /v1/procedures/{id}`: what the card of a procedure needs.
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
    /// SHA-256 of what the page says, with what it includes.
    pub page_sha256: String,
    /// The manual's revision, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What may be given.
    pub parameters: Vec<Parameter>,
    /// Its roles; none where it runs on each node by itself.
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
    /// The person may.
    pub granted: bool,
    /// The place of the rule that grants it; none where there are no rules, and all is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Every rule that was looked at.
    pub rules: Vec<Rule>,
    /// Of `run`: the approvals that are wanted before it begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<crate::approve::Need>,
}

/// A rule, as it answers one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rule {
    /// `access.yaml:7`
    pub place: String,
    /// What of it does not hold; nothing where it grants.
    pub against: Vec<String>,
}

/// A parameter of a procedure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The author's explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What it is where nobody says anything; none where a value has to be given.
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

/// `GET /v1/runs/{run}/plan?node=`: the texts exactly as they would run.
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
    /// By the part: the [`crate::approve::Document`] that is approved, byte for byte. Only of
    /// parts that have to be approved.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub documents: BTreeMap<String, String>,
    /// How it was asked for, as it stands in what is signed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manner: String,
    /// The same by the part: one that is gone on with at another step has a manner of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub manners: BTreeMap<String, String>,
}
