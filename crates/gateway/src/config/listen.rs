//! Where the gateway listens, and its address for people and runners.

use std::path::PathBuf;

use serde::Deserialize;

use crate::client::Address;

/// `[listen]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// A local address.
    pub address: std::net::SocketAddr,
    /// Its address for people and runners, `https://NAME` or `https://NAME:PORT`; default: the
    /// gateway's name and port.
    pub url: Option<String>,
    /// TLS: enabled if other machines can reach the address, or if this table exists.
    pub tls: Option<Tls>,
}

/// `[listen.tls]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// A PEM file with the certificate and its chain. Default: a certificate of the gateway's own
    /// authority.
    pub certificate: Option<PathBuf>,
    /// The file with its key.
    pub key: Option<PathBuf>,
    /// Further names and addresses for a certificate of the gateway's own authority.
    pub names: Vec<String>,
}

impl Tls {
    /// The certificate and key files, if given.
    #[must_use]
    pub fn files(&self) -> Option<(PathBuf, PathBuf)> {
        Some((self.certificate.clone()?, self.key.clone()?))
    }
}

impl Default for Listen {
    fn default() -> Listen {
        Listen {
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 7373)),
            url: None,
            tls: None,
        }
    }
}

impl Listen {
    /// Whether the address uses TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.tls.is_some() || !self.address.ip().is_loopback()
    }

    /// Checks that the settings are consistent.
    pub(super) fn checked(&self) -> Result<(), String> {
        let tls = self.tls.clone().unwrap_or_default();
        if tls.certificate.is_some() != tls.key.is_some() {
            return Err("`listen.tls`: `certificate` and `key` go together".to_owned());
        }
        let Some(url) = &self.url else {
            return Ok(());
        };
        let address: Result<Address, _> = url.parse();
        match address.map_err(|error| format!("`listen.url`: {error}"))? {
            Address::Https { .. } => Ok(()),
            // A web server with TLS is in front; without one, only this machine.
            address if address.is_local() => Ok(()),
            _ => Err(format!(
                "`listen.url`: the connection to `{url}` is not encrypted: use `https://…`"
            )),
        }
    }
}
