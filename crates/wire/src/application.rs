//! What runs where, and in which version.

use serde::{Deserialize, Serialize};

use crate::Time;

/// `GET /v1/applications?manual=`, `GET /v1/applications/{id}`: an application of `book.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApplicationView {
    /// The manual.
    pub manual: String,
    /// Its name.
    pub id: String,
    /// Its procedures: a pattern.
    pub procedures: String,
    /// Where it runs.
    pub hosts: Vec<ApplicationHost>,
}

/// An application on one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApplicationHost {
    /// The host.
    pub id: String,
    /// What the last run that ended OK there has captured; none where no run has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// That run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When it ended: as of then the version was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Time>,
    /// The last run of these procedures there since, which did not end OK: the host may be
    /// otherwise by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}
