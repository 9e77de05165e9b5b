//! Who asks: what a gateway says of itself without a login, and how one logs in.

use serde::{Deserialize, Serialize};

use crate::Time;

/// `GET /v1`: what a gateway says to everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct About {
    /// The name of the gateway.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The versions of this interface that it serves.
    pub api: Vec<u32>,
    /// How one may log in.
    pub login: Vec<LoginWay>,
    /// Its segments.
    pub segments: Vec<String>,
}

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LoginWay {
    /// By being a user of the gateway's machine: its socket says who calls.
    Peer,
    /// By a token in a file that only this user can read.
    Token,
    /// By a signature with an ssh key.
    Ssh,
    /// By an identity provider.
    Oidc,
    /// By a token of a CI.
    Ci,
    /// A word of a newer gateway.
    #[serde(other)]
    Other,
}

impl LoginWay {
    /// As it is written.
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

/// The file `.opsbook/gateway/address.json` beside a manual: where the gateway of this manual
/// listens on this machine. It is there for as long as the gateway runs. Beside it lies `token`,
/// mode 0600: a token that is good on `url`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// The path of the unix socket; who connects there is who the kernel says.
    pub socket: String,
}

/// `GET /v1/me`: who is logged in.
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

/// A login: `Authorization: Bearer TOKEN` from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoggedIn {
    /// Who is logged in.
    pub person: String,
    /// The token.
    pub token: String,
    /// When it ends.
    pub until: Time,
}

/// `POST /v1/login/link`: an address that logs a browser in, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Linked {
    /// The address.
    pub url: String,
    /// When it ends.
    pub until: Time,
}

/// `GET /v1/login/ssh/nonce`: what is to be signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Nonce {
    /// Good once, for a minute.
    pub nonce: String,
    /// The namespace of the signature: `ssh-keygen -Y sign -n NAMESPACE`, over the nonce and a
    /// line end.
    pub namespace: String,
}

/// `POST /v1/login/ssh`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SshLogin {
    /// Who signs, as the allowed signers name them.
    pub signer: String,
    /// The nonce.
    pub nonce: String,
    /// The armoured signature.
    pub signature: String,
}

/// `POST /v1/login/device`: a person logs in with any browser, for a program that has none.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceLogin {
    /// With it the program asks whether they have: a secret of the program's.
    pub device_code: String,
    /// What the person types there.
    pub user_code: String,
    /// Where.
    pub address: String,
    /// The same with the code in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_address: Option<String>,
    /// How long that is good.
    pub seconds: u64,
    /// How many seconds lie between two questions, at least.
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
    /// Of [`DeviceLogin`].
    pub device_code: String,
}

/// Whether the person has logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DevicePolled {
    /// Not yet: how many seconds more than before are to lie between two questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
    /// They have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoggedIn>,
}

/// `POST /v1/login/ci`
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CiLogin {
    /// What the CI's provider has signed: a JSON Web Token.
    pub token: String,
}
