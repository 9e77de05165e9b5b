//! Certificates with which a runner logs in to the nodes of one part or one round of checks.

use serde::{Deserialize, Serialize};

use crate::runner::PartKey;

/// `POST /v1/runner/certificate`: requests a certificate. The gateway chooses its principals and
/// lifetime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateIn {
    /// The work that this runner holds.
    pub held: Held,
    /// An ssh public key, as in a file: `ssh-ed25519 AAAA…`.
    pub public_key: String,
}

/// Work that a runner holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Held {
    /// A part, with this lease.
    Part(PartKey),
    /// A round of checks, by its name.
    Round(String),
}

/// The answer to [`CertificateIn`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateOut {
    /// The certificate, as in a file.
    pub certificate: String,
    /// Its remaining lifetime in seconds.
    pub seconds: u64,
}
