//! Logins, and the public data of a gateway.

use serde::{Deserialize, Serialize};

use crate::Time;

/// `GET /v1`: the public data of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct About {
    /// The name of the gateway.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The versions of this interface that it serves.
    pub api: Vec<u32>,
    /// The available ways to log in.
    pub login: Vec<LoginWay>,
    /// Its segments.
    pub segments: Vec<String>,
}

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LoginWay {
    /// As a user of the gateway's machine: the socket identifies the caller.
    Peer,
    /// With a token in a private file.
    Token,
    /// With a signature of an ssh key.
    Ssh,
    /// At an identity provider.
    Oidc,
    /// With a token of a CI system.
    Ci,
    /// A way of a newer gateway.
    #[serde(other)]
    Other,
}

impl LoginWay {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            LoginWay::Peer => "peer",
            LoginWay::Token => "token",
            LoginWay::Ssh => "ssh",
            LoginWay::Oidc => "oidc",
            LoginWay::Ci => "ci",
            LoginWay::Other => "other",
        }
    }
}

/// The file `.opsbook/gateway/address.json` next to a manual: the local address of this manual's
/// gateway. It exists as long as the gateway runs. The file `token` next to it, mode 0600, contains
/// a token for `url`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// The path of the unix socket; the kernel identifies the caller.
    pub socket: String,
}

/// `GET /v1/me`: the logged-in person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    /// The person.
    pub person: String,
    /// Their groups.
    pub groups: Vec<String>,
    /// How they logged in.
    pub way: LoginWay,
}

/// A login, for `Authorization: Bearer TOKEN`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoggedIn {
    /// The person.
    pub person: String,
    /// The token.
    pub token: String,
    /// When it expires.
    pub until: Time,
}

/// `POST /v1/login/link`: a link that logs a browser in once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Linked {
    /// The address.
    pub url: String,
    /// When it expires.
    pub until: Time,
}

/// `GET /v1/login/ssh/nonce`: the text to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Nonce {
    /// Valid once, for a minute.
    pub nonce: String,
    /// The namespace of the signature: `ssh-keygen -Y sign -n NAMESPACE`, over the nonce and a line
    /// end.
    pub namespace: String,
}

/// `POST /v1/login/ssh`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SshLogin {
    /// The signer, as named in the list of signers.
    pub signer: String,
    /// The nonce.
    pub nonce: String,
    /// The armoured signature.
    pub signature: String,
}

/// `POST /v1/login/device`: a person uses any browser to log in a program without one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceLogin {
    /// The program's secret for polling.
    pub device_code: String,
    /// The code that the person types.
    pub user_code: String,
    /// The address to open.
    pub address: String,
    /// The same address with the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_address: Option<String>,
    /// How long it is valid, in seconds.
    pub seconds: u64,
    /// The least number of seconds between two polls.
    pub interval: u64,
}

impl std::fmt::Debug for DeviceLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceLogin {} at {}", self.user_code, self.address)
    }
}

/// `POST /v1/login/device/poll`
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DevicePoll {
    /// The code of [`DeviceLogin`].
    pub device_code: String,
}

/// Whether the person has logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DevicePolled {
    /// Not yet: how many more seconds to wait between two polls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
    /// The login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoggedIn>,
}

/// `POST /v1/login/ci`
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CiLogin {
    /// The JSON Web Token that the CI's provider has signed.
    pub token: String,
}
