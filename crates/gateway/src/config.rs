//! What may be configured, and what holds where nothing is. `gateway.toml` in the state folder,
//! or the file that `--config` names.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::wire::version::{Rule, Upgrade};

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
    /// How people log in, beside the ways that need no configuration.
    pub login: Login,
}

/// `[listen]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// An address of this machine that only this machine reaches.
    pub address: std::net::SocketAddr,
}

impl Default for Listen {
    fn default() -> Listen {
        Listen {
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 7373)),
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
        if let Err(why) = config.checked() {
            let why = format!("`listen.address`: {why}");
            return Err(ConfigError::Wrong { path, why });
        }
        Ok(config)
    }

    /// Whether it listens where only this machine reaches it.
    ///
    /// # Errors
    /// Why not.
    pub fn checked(&self) -> Result<(), String> {
        if self.listen.address.ip().is_loopback() {
            return Ok(());
        }
        Err(format!(
            "{} can be reached from other machines, and this gateway speaks no TLS: \
             let a web server with TLS pass requests on to a loopback address",
            self.listen.address
        ))
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
