//! What may be configured, and what holds where nothing is. `gateway.toml` in the state folder,
//! or the file that `--config` names.

use std::path::{Path, PathBuf};

use std::time::Duration;

use serde::Deserialize;

use crate::client::Address;
use crate::wire::version::{Rule, Upgrade};

/// How long a runner's certificate is good, where nobody says it.
const LIFE: Duration = Duration::from_hours(7 * 24);
const LONGEST_LIFE: Duration = Duration::from_hours(366 * 24);

/// The segment of the gateway's own machine.
pub const HERE: &str = "here";

/// The configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The name of the gateway; the machine's where it is absent.
    pub name: Option<String>,
    /// Where it listens beside the socket.
    pub listen: Listen,
    /// Where it keeps what was ordered.
    pub store: StoreAt,
    /// Where it keeps output.
    pub blobs: BlobsAt,
    /// Which clients it serves.
    pub version: Versions,
    /// What runners of other machines get.
    pub runners: Runners,
    /// How people log in, beside the ways that need no configuration.
    pub login: Login,
    /// Whose approvals count.
    pub approval: Approval,
}

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

/// `[runners]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runners {
    /// The folder of the authority that vouches for them; `tls` in the state folder where it is
    /// absent. Gateways on one store share it.
    pub authority: Option<PathBuf>,
    /// How long a certificate is good, `7d`. A runner gets another one long before.
    pub certificate: Option<String>,
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

/// `[store]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreAt {
    /// `sqlite:///path` or `postgres://…`; `gateway.db` in the state folder where it is absent.
    pub url: Option<String>,
}

/// `[blobs]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlobsAt {
    /// A folder; `blobs` in the state folder where it is absent. Gateways on one store share it.
    pub folder: Option<PathBuf>,
}

/// `[login]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Login {
    /// By a signature with an ssh key; nobody where it is absent.
    pub ssh: Option<SshKeys>,
}

/// `[login.ssh]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshKeys {
    /// A file as `ssh-keygen -Y verify` reads it: people and their keys.
    pub allowed_signers: PathBuf,
}

/// `[approval]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Approval {
    /// A file as `ssh-keygen -Y verify` reads it: people and the keys with which they approve;
    /// those of `[login.ssh]` where it is absent.
    pub allowed_signers: Option<PathBuf>,
    /// How many approvals every run needs, whatever the manual says.
    pub always: u32,
}

/// `[version]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Versions {
    /// The oldest version that is served; `0.0.0` where it is absent.
    pub oldest: Option<String>,
    /// The version that clients should have; the gateway's own where it is absent.
    pub wants: Option<String>,
    /// The commands that bring it.
    pub upgrade: Upgrade,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("`{}`: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// It says something that nobody understands.
    #[error("`{}`: {why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What and where.
        why: String,
    },
}

impl Config {
    /// Reads a file; where it was not named and is not there, nothing is configured.
    ///
    /// # Errors
    /// Where it cannot be read or says something unknown.
    pub fn read(path: &Path, named: bool) -> Result<Config, ConfigError> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(why) => return Err(ConfigError::Unreadable { path, why }),
        };
        let config: Config = match toml::from_str(&text) {
            Ok(config) => config,
            Err(error) => {
                let why = error.to_string();
                return Err(ConfigError::Wrong { path, why });
            }
        };
        if let Err(why) = config.rule() {
            let why = format!("`version`: `{why}` is no version");
            return Err(ConfigError::Wrong { path, why });
        }
        if config.approval.always > 0 && config.approvers().is_none() {
            let why = "`approval.always`: `allowed_signers` names those who approve".to_owned();
            return Err(ConfigError::Wrong { path, why });
        }
        if let Err(why) = config.checked() {
            return Err(ConfigError::Wrong { path, why });
        }
        Ok(config)
    }

    /// Whether what it says goes together.
    ///
    /// # Errors
    /// What does not.
    pub fn checked(&self) -> Result<(), String> {
        let tls = self.listen.tls.clone().unwrap_or_default();
        if tls.certificate.is_some() != tls.key.is_some() {
            return Err("`listen.tls`: `certificate` and `key` go together".to_owned());
        }
        let Some(url) = &self.listen.url else {
            return self.life().map(|_| ());
        };
        let address: Result<Address, _> = url.parse();
        match address.map_err(|error| format!("`listen.url`: {error}"))? {
            Address::Https { .. } => {}
            // A web server with TLS is meant; without one, this machine alone.
            address if address.is_local() => {}
            _ => {
                let why = format!(
                    "`listen.url`: what is said to `{url}` can be read on its way: it is `https://…`"
                );
                return Err(why);
            }
        }
        self.life().map(|_| ())
    }

    /// Whether the address speaks TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.listen.tls.is_some() || !self.listen.address.ip().is_loopback()
    }

    /// How long a runner's certificate is good.
    ///
    /// # Errors
    /// Where it is no time, or an odd one.
    pub fn life(&self) -> Result<Duration, String> {
        let Some(text) = &self.runners.certificate else {
            return Ok(LIFE);
        };
        let life = crate::manual::duration(text);
        let life = life.map_err(|why| format!("`runners.certificate`: {why}"))?;
        if life < Duration::from_secs(1) || life > LONGEST_LIFE {
            let why = "`runners.certificate`: it is between a second and a year".to_owned();
            return Err(why);
        }
        Ok(life)
    }

    /// The keys with which people approve.
    #[must_use]
    pub fn approvers(&self) -> Option<PathBuf> {
        let login = self.login.ssh.as_ref();
        let of_login = login.map(|ssh| ssh.allowed_signers.clone());
        self.approval.allowed_signers.clone().or(of_login)
    }

    /// Which versions are served.
    ///
    /// # Errors
    /// The text that is no version.
    pub fn rule(&self) -> Result<Rule, String> {
        let oldest = self.version.oldest.as_deref().unwrap_or("0.0.0");
        let mut rule = Rule::new(
            oldest,
            env!("CARGO_PKG_VERSION"),
            self.version.upgrade.clone(),
        )?;
        rule.wants = match &self.version.wants {
            Some(wants) => Rule::new(wants, wants, Upgrade::default())?.wants,
            None => rule.wants.max(rule.oldest.clone()),
        };
        Ok(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        config.checked().map(|()| config)
    }

    #[test]
    fn what_other_machines_reach_speaks_tls() {
        for (text, tls) in [
            ("", false),
            ("[listen]\naddress = \"127.0.0.1:1\"", false),
            ("[listen]\naddress = \"[::1]:1\"", false),
            ("[listen]\naddress = \"127.0.0.1:1\"\n[listen.tls]", true),
            ("[listen]\naddress = \"0.0.0.0:1\"", true),
            ("[listen]\naddress = \"192.0.2.1:1\"", true),
        ] {
            assert_eq!(read(text).unwrap().speaks_tls(), tls, "{text}");
        }
        for (text, why) in [
            (
                "[listen]\nurl = \"http://ops.example\"",
                "can be read on its way",
            ),
            ("[listen]\nurl = \"ops.example\"", "is no address"),
            ("[listen.tls]\nkey = \"k\"", "go together"),
            ("[listen]\ntls = false", "expected"),
            (
                "[runners]\ncertificate = \"0s\"",
                "between a second and a year",
            ),
            ("[runners]\ncertificate = \"soon\"", "runners.certificate"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
