//! Where the gateway listens, and how it is found.

use std::path::PathBuf;

use serde::Deserialize;

use crate::client::Address;

/// `[listen]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// An address of this machine.
    pub address: std::net::SocketAddr,
    /// Where people and runners find it, `https://NAME` or `https://NAME:PORT`; the name and the
    /// port of the gateway where it is absent.
    pub url: Option<String>,
    /// TLS: always where other machines reach the address, and where this table is.
    pub tls: Option<Tls>,
}

/// `[listen.tls]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// A file with the certificate and those behind it, PEM. The gateway's own authority vouches
    /// for it where none is named.
    pub certificate: Option<PathBuf>,
    /// The file with its key.
    pub key: Option<PathBuf>,
    /// More names and addresses for a certificate of the own authority.
    pub names: Vec<String>,
}

impl Tls {
    /// The certificate and the key, where somebody else gives them.
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
    /// Whether the address speaks TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.tls.is_some() || !self.address.ip().is_loopback()
    }

    /// What it says goes together.
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
            // A web server with TLS is meant; without one, this machine alone.
            address if address.is_local() => Ok(()),
            _ => Err(format!(
                "`listen.url`: what is said to `{url}` can be read on its way: it is `https://…`"
            )),
        }
    }
}
