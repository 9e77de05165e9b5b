//! The record of a run: everything needed to verify it without a gateway.

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
    /// The person who ordered it.
    pub asked_by: String,
    /// The journal of each controller of each part.
    pub threads: Vec<Thread>,
    /// The required approvals, and those given.
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
    /// Its last position in the log; none if it has not been recorded yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
    /// Its earlier positions, recorded while it was running.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Head>,
}

/// A leaf of the log: the end of a thread when it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Head {
    /// Its number in the log, from 0.
    pub number: u64,
    /// `seq` of the last line.
    pub last: u64,
    /// The hash of the last line.
    pub last_sha256: String,
    /// The proof that it is in the checkpoint's tree, hexadecimal hashes.
    pub proof: Vec<String>,
}

/// The text of a leaf.
#[must_use]
pub fn leaf(run: &str, node: &str, epoch: u64, last: u64, last_sha256: &str) -> String {
    format!("v1\n{run}\n{node}\n{epoch}\n{last}\n{last_sha256}\n")
}

/// An approved part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approved {
    /// The part.
    pub node: String,
    /// The signed document.
    pub document: String,
    /// The options of the part.
    pub manner: String,
    /// The approvals.
    pub approvals: Vec<ApprovalOut>,
}

/// The log at one moment, signed by the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Checkpoint {
    /// The number of leaves.
    pub size: u64,
    /// The root of its tree, hexadecimal.
    pub root: String,
    /// When.
    pub at: Time,
    /// The gateway's name.
    pub gateway: String,
    /// The armoured signature of `ssh-keygen -Y sign` over [`Checkpoint::text`].
    pub signature: String,
    /// The corresponding public key.
    pub key: String,
}

impl Checkpoint {
    /// The signed text, in the namespace of [`namespace`].
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

/// `GET /v1/record?from=SIZE`: the latest checkpoint, and the proof that an earlier one is its
/// beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Log {
    /// The latest checkpoint; none if nothing has ended yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// The proof, hexadecimal hashes.
    pub consistency: Vec<String>,
}
