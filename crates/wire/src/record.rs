//! The record of a run: all that is needed to verify it where there is no gateway.

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::approve::ApprovalOut;

/// `GET /v1/runs/{run}/record`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Record {
    /// The run.
    pub run: String,
    /// The gateway's name.
    pub gateway: String,
    /// The procedure.
    pub procedure: String,
    /// Who has asked for it.
    pub asked_by: String,
    /// The journal of each controller of each part.
    pub threads: Vec<Thread>,
    /// What had to be approved, and who has.
    pub approved: Vec<Approved>,
    /// The newest checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
}

/// The journal of one controller of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Thread {
    /// The part.
    pub node: String,
    /// The controller.
    pub epoch: u64,
    /// The lines, byte for byte.
    pub lines: Vec<String>,
    /// Its last place in the log; none where it has not been recorded yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
    /// Its places before: ends that it had while it was under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Head>,
}

/// A leaf of the log: the end that a thread had when it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Head {
    /// Its number in the log, from 0.
    pub number: u64,
    /// `seq` of the last line.
    pub last: u64,
    /// Of the last line.
    pub last_sha256: String,
    /// The proof that it is in the tree of the checkpoint, hexadecimal hashes.
    pub proof: Vec<String>,
}

/// The text of a leaf.
#[must_use]
pub fn leaf(run: &str, node: &str, epoch: u64, last: u64, last_sha256: &str) -> String {
    format!("v1\n{run}\n{node}\n{epoch}\n{last}\n{last_sha256}\n")
}

/// What of a part was approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approved {
    /// The part.
    pub node: String,
    /// What was signed.
    pub document: String,
    /// How it was asked for.
    pub manner: String,
    /// The approvals.
    pub approvals: Vec<ApprovalOut>,
}

/// The log as it was at one moment, signed by the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Checkpoint {
    /// How many leaves it has.
    pub size: u64,
    /// The root of its tree, hexadecimal.
    pub root: String,
    /// When.
    pub at: Time,
    /// The gateway's name.
    pub gateway: String,
    /// The armoured signature of `ssh-keygen -Y sign` over [`Checkpoint::text`].
    pub signature: String,
    /// The public key that belongs to it.
    pub key: String,
}

impl Checkpoint {
    /// The text that is signed, in the namespace of [`namespace`].
    #[must_use]
    pub fn text(&self) -> String {
        let Checkpoint {
            size,
            root,
            at,
            gateway,
            ..
        } = self;
        format!("v1\n{gateway}\n{size}\n{root}\n{at}\n")
    }
}

/// The namespace of the signatures of checkpoints.
#[must_use]
pub fn namespace(gateway: &str) -> String {
    format!("opsbook-record@{gateway}")
}

/// `GET /v1/record?from=SIZE`: the newest checkpoint, and that an earlier one is its beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Log {
    /// The newest checkpoint; none where nothing has ended yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// The proof, hexadecimal hashes.
    pub consistency: Vec<String>,
}
