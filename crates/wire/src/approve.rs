//! The approval of a part: the signed document and its statement.
//!
//! A [`Document`] contains everything that will be done on the nodes of a part. A person signs a
//! short text with its SHA-256, using an ssh key in the namespace [`namespace`]. The gateway
//! verifies the signature, and the runner verifies it again, with its own list of signers and a
//! document that it makes itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::state::Confirm;

/// The longest validity of an approval: 31 days, in seconds.
pub const LONGEST: i64 = 31 * 24 * 3600;
/// How long after its end an approval covers a part that had begun before: as long as a node
/// remembers its runs. In seconds.
pub const AFTER_BEGIN: i64 = 7 * 24 * 3600;

/// How many approvals are required, and whose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Need {
    /// How many different people, without the person who ordered the run.
    pub count: u32,
    /// Whose, as written in the rule: people and `@groups`. Empty: everybody with the verb
    /// `approve`.
    pub by: Vec<String>,
    /// The people in `by`.
    pub people: Vec<String>,
    /// What requires it: `access.yaml:7`, or the node's value.
    pub place: String,
}

/// Everything that will be done on the nodes of a part: JSON, which is signed byte for byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Document {
    /// The procedure.
    pub procedure: String,
    /// The arguments.
    pub arguments: BTreeMap<String, String>,
    /// Each node, and how it is reached.
    pub machines: BTreeMap<String, String>,
    /// SHA-256 over the parts of each node's plan that are not displayed: checks with their values,
    /// connection options, places of secrets.
    pub sums: BTreeMap<String, String>,
    /// The plan of each node, as in the journal's `run-started`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub plans: serde_json::Value,
}

/// The signed statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The run.
    pub run: &'a str,
    /// The part.
    pub node: &'a str,
    /// SHA-256 of the [`Document`].
    pub sha256: &'a str,
    /// The person who ordered the run.
    pub asked_by: &'a str,
    /// How confirmations are answered, and which steps run: [`manner`].
    pub manner: &'a str,
    /// When the approval expires.
    pub not_after: &'a str,
}

impl Statement<'_> {
    /// The signed text.
    #[must_use]
    pub fn text(&self) -> String {
        let Statement {
            run,
            node,
            sha256,
            asked_by,
            manner,
            not_after,
        } = self;
        format!("v1\n{run}\n{node}\n{sha256}\n{asked_by}\n{manner}\n{not_after}\n")
    }
}

/// `confirmations are asked, steps 2 to the last`: the options of a part. A halted part that
/// continues with other steps has other options, and needs a new approval.
#[must_use]
pub fn manner(confirm: Confirm, start_at: Option<usize>, stop_after: Option<usize>) -> String {
    let first = start_at.map_or_else(|| "the first".to_owned(), |step| step.to_string());
    let last = stop_after.map_or_else(|| "the last".to_owned(), |step| step.to_string());
    format!("{}, steps {first} to {last}", confirmations(confirm))
}

fn confirmations(confirm: Confirm) -> &'static str {
    match confirm {
        Confirm::Ask => "confirmations are asked",
        Confirm::Yes => "confirmations are answered with yes",
    }
}

/// The namespace of these signatures: an approval for another gateway is invalid.
#[must_use]
pub fn namespace(gateway: &str) -> String {
    format!("opsbook-approve@{gateway}")
}

/// `POST /v1/runs/{run}/approvals`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approve {
    /// When the approval expires, `2026-11-29T18:00:00Z`: a part that has not begun by then needs a
    /// new approval.
    pub not_after: Time,
    /// The approved parts.
    pub parts: Vec<ApprovedPart>,
}

/// An approved part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovedPart {
    /// The node.
    pub node: String,
    /// SHA-256 of the displayed document.
    pub sha256: String,
    /// The armoured signature of `ssh-keygen -Y sign` over the text.
    pub signature: String,
}

/// An approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalView {
    /// The part.
    pub node: String,
    /// The person who approved.
    pub by: String,
    /// When.
    pub at: Time,
    /// When it expires.
    pub not_after: Time,
}

/// The approvals of a part, for verification by a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Consent {
    /// SHA-256 of the approved document.
    pub sha256: String,
    /// The options of the part: [`manner`].
    pub manner: String,
    /// The approvals.
    pub approvals: Vec<ApprovalOut>,
}

/// An approval, for verification by a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalOut {
    /// The person who approved, as named in the list of signers.
    pub by: String,
    /// The armoured signature over the text.
    pub signature: String,
    /// When it expires.
    pub not_after: Time,
    /// Their groups from an identity provider, as far as the manual's rules use them. A runner
    /// counts them only if it is configured to trust them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_the_text_says_one_thing() {
        let statement = Statement {
            run: "20261129-180000-ab12",
            node: "web1",
            sha256: "00ff",
            asked_by: "ana",
            manner: &manner(Confirm::Yes, Some(2), None),
            not_after: "2026-11-29T19:00:00Z",
        };
        assert_eq!(
            statement.text(),
            "v1\n20261129-180000-ab12\nweb1\n00ff\nana\nconfirmations are answered with yes, \
             steps 2 to the last\n2026-11-29T19:00:00Z\n"
        );
        let asked = manner(Confirm::Ask, None, Some(3));
        assert_eq!(asked, "confirmations are asked, steps the first to 3");
    }
}
