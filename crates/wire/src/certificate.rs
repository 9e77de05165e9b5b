//! A certificate with which a runner logs in at the nodes of one part or one round of checks.

use serde::{Deserialize, Serialize};

use crate::runner::PartKey;

/// `POST /v1/runner/certificate`: the gateway says for whom and how long it is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateIn {
    /// For what: something that this runner holds.
    pub held: Held,
    /// A public key of ssh, as it stands in a file: `ssh-ed25519 AAAA…`.
    pub public_key: String,
}

/// What a runner holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Held {
    /// A part, under this lease.
    Part(PartKey),
    /// A round of checks, by its name.
    Round(String),
}

/// The answer to [`CertificateIn`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateOut {
    /// As it stands in a file.
    pub certificate: String,
    /// For how many seconds it is good from now on.
    pub seconds: u64,
}
