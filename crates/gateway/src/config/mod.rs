//! The configuration and its defaults: `gateway.toml` in the state folder, or the file of
//! `--config`. Each file of this module contains the settings for one purpose.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::segments::{self, Segments};
use crate::ticket::Ticket;
use crate::wire::limit;
use crate::wire::version::Rule;

mod doorbell;
mod files;
mod inventory;
mod keep;
mod listen;
mod login;
mod manuals;
mod runners;
mod schedule;
mod tell;
mod versions;

pub use doorbell::{Doorbell, Nats};
pub use inventory::{Inventories, Inventory};
pub use keep::{BlobsAt, BlobsIn, Recorded, StoreAt};
pub use listen::{Listen, Tls};
pub use login::{Approval, CiLogin, CiMap, Login, OidcLogin, OneOrMore, SshKeys};
pub use manuals::{ManualAt, Source};
pub use runners::{HERE, Leases, Runners};
pub use schedule::{Schedule, Task};
pub use tell::{Alerts, AlertsKind, Event, Hook, To, split};
pub use versions::Versions;

/// The configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The name of the gateway; default: the machine's name.
    pub name: Option<String>,
    /// Where it listens besides the socket.
    pub listen: Listen,
    /// Where it stores orders.
    pub store: StoreAt,
    /// Where it stores output.
    pub blobs: BlobsAt,
    /// How it notifies other gateways of changes.
    pub doorbell: Option<Doorbell>,
    /// Which client versions it serves.
    pub version: Versions,
    /// Settings for runners on other machines.
    pub runners: Runners,
    /// How people log in, besides the ways that need no configuration.
    pub login: Login,
    /// Whose approvals count.
    pub approval: Approval,
    /// The log of all ended runs.
    pub record: Recorded,
    /// How runners log in to nodes, by segment.
    pub segments: Segments,
    /// The manuals by name, if there are several or one from git; default: the one of the current
    /// folder.
    pub manuals: BTreeMap<String, ManualAt>,
    /// Scheduled work, by name.
    pub schedules: BTreeMap<String, Schedule>,
    /// Receivers of repeated alerts about failures.
    pub alerts: BTreeMap<String, Alerts>,
    /// Receivers of single messages about events.
    pub hooks: BTreeMap<String, Hook>,
    /// The ticket tool, which is asked before each run.
    pub ticket: Option<Ticket>,
    /// Tools that provide nodes, by name.
    pub inventory: Inventories,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("`{}`: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
    /// It contains something unknown.
    #[error("`{}`: {why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The error and its place.
        why: String,
    },
}

impl Config {
    /// Reads a file. If it was not named and does not exist, the defaults apply. Adds the `*.toml`
    /// files of the folder next to it (`gateway.d`), sorted by name: a value replaces an earlier
    /// one, a table is merged.
    ///
    /// # Errors
    /// If it cannot be read or contains something unknown.
    pub fn read(path: &Path, named: bool) -> Result<Config, ConfigError> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(why) => return Err(ConfigError::Unreadable { path, why }),
        };
        let more = files::beside(&path)?;
        let config = if more.is_empty() {
            toml::from_str(&text).map_err(|error| error.to_string())
        } else {
            files::merged(&path, &text, &more)?
        };
        let config: Config = match config {
            Ok(config) => config,
            Err(why) => return Err(ConfigError::Wrong { path, why }),
        };
        if let Err(why) = config.rule() {
            let why = format!("`version`: `{why}` is not a version");
            return Err(ConfigError::Wrong { path, why });
        }
        if let Err(why) = config.targets() {
            return Err(ConfigError::Wrong { path, why });
        }
        if config.approval.always > 0 && config.approvers().is_none() {
            let why = "`approval.always` needs `allowed_signers`, which names the \
                approvers"
                .to_owned();
            return Err(ConfigError::Wrong { path, why });
        }
        if let Err(why) = config.checked() {
            return Err(ConfigError::Wrong { path, why });
        }
        Ok(config)
    }

    /// Checks that the settings are consistent.
    ///
    /// # Errors
    /// The conflict.
    pub fn checked(&self) -> Result<(), String> {
        self.login.checked()?;
        segments::checked(&self.segments)?;
        self.blobs.place()?;
        self.doorbell()?;
        self.listen.checked()?;
        self.record.pause()?;
        self.of_manuals()?;
        self.runners.leases()?;
        self.life().map(|_| ())
    }

    /// Whether the address uses TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.listen.speaks_tls()
    }

    /// The lifetime of a runner's certificate.
    ///
    /// # Errors
    /// If it is not a valid time.
    pub fn life(&self) -> Result<Duration, String> {
        self.runners.life()
    }

    /// Checks that the manuals can be found, and that each schedule names one.
    fn of_manuals(&self) -> Result<(), String> {
        for (name, manual) in &self.manuals {
            if !limit::is_name(name) || name.len() > 64 || name.starts_with('.') {
                return Err(format!("`[manuals.{name}]`: this is not a valid name"));
            }
            manual
                .checked()
                .map_err(|why| format!("`[manuals.{name}]`: {why}"))?;
        }
        for (name, schedule) in &self.schedules {
            let place = format!("`[schedules.{name}]`");
            match &schedule.manual {
                None if self.manuals.len() > 1 => {
                    return Err(format!("{place}: `manual` must name the manual"));
                }
                Some(manual) if !self.manuals.is_empty() && !self.manuals.contains_key(manual) => {
                    return Err(format!("{place}: there is no manual `{manual}`"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks names and addresses.
    fn targets(&self) -> Result<(), String> {
        let names = [
            ("schedules", self.schedules.keys().collect::<Vec<_>>()),
            ("alerts", self.alerts.keys().collect()),
            ("hooks", self.hooks.keys().collect()),
            ("inventory", self.inventory.keys().collect()),
        ];
        for (section, names) in names {
            let short = |name: &&&String| !(limit::is_name(name) && name.len() <= 64);
            if let Some(name) = names.iter().find(short) {
                return Err(format!("`[{section}.{name}]`: this is not a valid name"));
            }
        }
        let alerts = self
            .alerts
            .iter()
            .map(|(name, to)| ("alerts", name, &to.url));
        let hooks = self.hooks.iter().filter_map(|(name, hook)| match &hook.to {
            To::Webhook(url) => Some(("hooks", name, url)),
            To::Program(_) => None,
        });
        for (section, name, url) in alerts.chain(hooks) {
            split(url).map_err(|why| format!("`[{section}.{name}] url`: {why}"))?;
        }
        Ok(())
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
    /// The text that is not a version.
    pub fn rule(&self) -> Result<Rule, String> {
        self.version.rule()
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
            ("[listen]\nurl = \"http://ops.example\"", "is not encrypted"),
            ("[listen]\nurl = \"ops.example\"", "is not the address"),
            ("[listen.tls]\nkey = \"k\"", "go together"),
            ("[listen]\ntls = false", "expected"),
            (
                "[login.oidc]\nissuer = \"http://id.example\"\nclient = \"o\"",
                "is not encrypted",
            ),
            (
                "[login.oidc]\nissuer = \"https://id.example\"\nclient = \"o\"\nscopes = []",
                "add `openid`",
            ),
            (
                "[login.ci.g]\nissuer = \"https://i.example\"\naudience = \"o\"\nmap = {as = \"ci\"}",
                "names no claim",
            ),
            (
                "[login.ci.g]\nissuer = \"https://i.example\"\naudience = \"o\"\nmap = [{as = \"ci\", sub = \"*\"}]",
                "names no claim",
            ),
            (
                "[runners]\ncertificate = \"0s\"",
                "between a second and a year",
            ),
            ("[runners]\ncertificate = \"soon\"", "runners.certificate"),
            ("[runners]\nlease = \"0s\"", "`runners.lease`"),
            (
                "[runners]\nadopt_after = \"2h\"",
                "between a second and an hour",
            ),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn files_of_the_folder_beside_it_are_added_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        std::fs::create_dir(folder.path().join("gateway.d")).unwrap();
        let basic = "name = \"ops\"\n[listen]\naddress = \"127.0.0.1:1\"\nurl = \"https://ops.example\"\n\
                     [login.oidc]\nissuer = \"https://id.example\"\nclient = \"ops\"\n";
        write("gateway.toml", basic);
        write(
            "gateway.d/20-b.toml",
            "[listen]\naddress = \"127.0.0.1:3\"\n",
        );
        write(
            "gateway.d/10-a.toml",
            "[listen]\naddress = \"127.0.0.1:2\"\n[login.oidc]\nscopes = [\"openid\"]\n",
        );
        // Files that are skipped.
        write("gateway.d/.30-c.toml", "nothing");
        write("gateway.d/30-c.toml~", "nothing");
        let config = Config::read(&path, true).unwrap();
        assert_eq!(config.listen.address.port(), 3);
        assert_eq!(config.listen.url.as_deref(), Some("https://ops.example"));
        let oidc = config.login.oidc.unwrap();
        assert_eq!((oidc.client.as_str(), oidc.scopes.len()), ("ops", 1));
        // Errors name the file, even if only the merged result shows them.
        write("gateway.d/40-d.toml", "[listen\n");
        let said = Config::read(&path, true).unwrap_err().to_string();
        assert!(said.contains("40-d.toml"), "{said}");
        write("gateway.d/40-d.toml", "[listen]\nadress = 1\n");
        let said = Config::read(&path, true).unwrap_err().to_string();
        assert!(
            said.contains("40-d.toml") && said.contains("adress"),
            "{said}"
        );
        // Without the main file, the folder contains everything.
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(folder.path().join("gateway.d/40-d.toml")).unwrap();
        std::fs::remove_file(folder.path().join("gateway.d/10-a.toml")).unwrap();
        assert_eq!(Config::read(&path, false).unwrap().listen.address.port(), 3);
    }
}
