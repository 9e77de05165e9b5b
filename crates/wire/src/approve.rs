//! The approval of a part: what is signed, and how it is said.
//!
//! A [`Document`] has everything that will be done on the machines of a part. Its SHA-256 stands
//! in a short text, which a person signs with an ssh key in the namespace [`namespace`]. The
//! gateway verifies the signature, and the runner verifies it again: with its own allowed signers
//! and a document that it makes itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::state::Confirm;

/// The longest time for which an approval may be given: 31 days, in seconds.
pub const LONGEST: i64 = 31 * 24 * 3600;
/// So long after its end an approval still covers a part that had begun before: as long as a node
/// remembers the runs that it has had. In seconds.
pub const AFTER_BEGIN: i64 = 7 * 24 * 3600;

/// How many approvals are wanted, and whose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Need {
    /// How many different people, the one who asks not among them.
    pub count: u32,
    /// Whose, as the rule writes it: people and `@groups`. Empty for everybody who has the verb
    /// `approve`.
    pub by: Vec<String>,
    /// The people whom `by` names.
    pub people: Vec<String>,
    /// What asks for it: `access.yaml:7`, or the node's value.
    pub place: String,
}

/// All that will be done on the machines of a part: JSON, which is signed byte for byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Document {
    /// The procedure.
    pub procedure: String,
    /// What was given.
    pub arguments: BTreeMap<String, String>,
    /// Each machine, and how it is reached.
    pub machines: BTreeMap<String, String>,
    /// SHA-256 over what of each machine's plan is not text for people: checks with their values,
    /// options of the connection, places of secrets.
    pub sums: BTreeMap<String, String>,
    /// The plan of each machine, as in the journal's `run-started`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub plans: serde_json::Value,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The run.
    pub run: &'a str,
    /// The part.
    pub node: &'a str,
    /// SHA-256 of the [`Document`].
    pub sha256: &'a str,
    /// Who has asked for the run.
    pub asked_by: &'a str,
    /// What becomes of confirmations, and which steps: [`manner`].
    pub manner: &'a str,
    /// When the approval ends.
    pub not_after: &'a str,
}

impl Statement<'_> {
    /// The text that is signed.
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

/// `confirmations are asked, steps 2 to the last`: how a part was asked for. A halted part that is
/// gone on with at another step, or to another one, is approved again: that is another manner.
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

/// The namespace of these signatures: an approval for another gateway is none here.
#[must_use]
pub fn namespace(gateway: &str) -> String {
    format!("opsbook-approve@{gateway}")
}

/// `POST /v1/runs/{run}/approvals`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approve {
    /// When the approval ends, `2026-11-29T18:00:00Z`: a part that has not begun by then waits
    /// again.
    pub not_after: Time,
    /// The parts that are approved.
    pub parts: Vec<ApprovedPart>,
}

/// A part that is approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovedPart {
    /// The node.
    pub node: String,
    /// SHA-256 of the document that was shown.
    pub sha256: String,
    /// The armoured signature of `ssh-keygen -Y sign` over the text.
    pub signature: String,
}

/// An approval that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalView {
    /// The part.
    pub node: String,
    /// Who approved.
    pub by: String,
    /// When.
    pub at: Time,
    /// When it ends.
    pub not_after: Time,
}

/// Of work: what its approvals are of, for a runner to verify.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Consent {
    /// SHA-256 of the document that was approved.
    pub sha256: String,
    /// How it was asked for: [`manner`].
    pub manner: String,
    /// The approvals.
    pub approvals: Vec<ApprovalOut>,
}

/// An approval, for a runner to verify.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalOut {
    /// Who approved, as the allowed signers name them.
    pub by: String,
    /// The armoured signature over the text.
    pub signature: String,
    /// When it ends.
    pub not_after: Time,
    /// Their groups, as an identity provider has told the gateway: of those for which the manual's
    /// rules ask. A runner counts them where it is told to believe that.
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
