//! Which version of each application runs where.

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
    /// The pattern of its procedures.
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
    /// The version that the last OK run there captured; none if there was no such run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// That run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When that run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Time>,
    /// The last later run of these procedures there, if it did not end OK: the host may have
    /// changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}
