//! How the runners of a segment log in to its nodes: with their machine's own keys, or with a
//! certificate that this gateway signs for one part or one round of checks. This file contains the
//! configuration and its validation.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::secret::{Secret, Vault};
pub use sealing::Sealing;

use crate::wire::{NodeLogin, limit};

pub(crate) mod sealing;
pub mod sign;

/// The default lifetime of a certificate.
const TTL: Duration = Duration::from_mins(10);
const LONGEST_TTL: Duration = Duration::from_hours(24);
/// The most principals, and the most addresses, of a certificate.
const MOST: usize = 64;
/// The placeholder for the name of each node that the certificate is for.
pub(super) const NODE: &str = "{node}";

/// All of them, by name.
pub type Segments = BTreeMap<String, Segment>;

/// `[segments.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Segment {
    /// How its runners log in to nodes.
    pub ssh: NodeSsh,
    /// Certificates for people who work without the gateway.
    pub sealed: Option<Sealing>,
}

/// `ssh = {kind = "…"}`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NodeSsh {
    /// With the machine's own keys.
    #[default]
    Own,
    /// With a certificate from this gateway.
    Certificate(Certificates),
}

/// `ssh = {kind = "certificate", …}`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificates {
    /// The key that nodes trust (`TrustedUserCAKeys`).
    pub ca: Ca,
    /// The lifetime of a certificate, `10m`. A runner renews it if necessary.
    #[serde(default = "ttl", deserialize_with = "duration")]
    pub ttl: Duration,
    /// The principals. `{node}` is replaced by the name of each node.
    pub principals: Vec<String>,
    /// The source addresses from which it is valid, `10.0.0.0/8`; empty: all.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Further permissions.
    #[serde(default)]
    pub permit: Vec<Permit>,
}

/// The source of the signing key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ca {
    /// A file that only this user can read.
    File(PathBuf),
    /// The output of a shell command.
    Command(String),
    /// A variable of the gateway's environment.
    Env(String),
    /// An answer of a vault.
    Vault(Vault),
    /// An ssh agent: the key itself never comes here.
    Agent(Agent),
}

/// `ca = {agent = {…}}`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// The agent's socket; default: `SSH_AUTH_SOCK`.
    #[serde(default)]
    pub socket: Option<PathBuf>,
    /// The file of the public key.
    pub key: PathBuf,
}

/// What a certificate permits besides commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permit {
    /// Connections to further hosts (`jump` in `nodes.yaml`).
    PortForwarding,
}

fn ttl() -> Duration {
    TTL
}

fn duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let read = crate::manual::duration(&text).map_err(serde::de::Error::custom)?;
    if read < Duration::from_secs(1) || read > LONGEST_TTL {
        return Err(serde::de::Error::custom("`ttl` must be from 1s to 24h"));
    }
    Ok(read)
}

impl Ca {
    /// The reference to the key; `None` if an agent has it.
    pub(super) fn secret(&self) -> Option<Secret> {
        Some(match self {
            Ca::File(path) => Secret::File(path.clone()),
            Ca::Command(command) => Secret::Command(command.clone()),
            Ca::Env(name) => Secret::Env(name.clone()),
            Ca::Vault(vault) => Secret::Vault(vault.clone()),
            Ca::Agent(_) => return None,
        })
    }
}

/// How a segment's runners log in.
#[must_use]
pub fn login(segments: &Segments, segment: &str) -> NodeLogin {
    match certificates(segments, segment) {
        Some(_) => NodeLogin::Certificate,
        None => NodeLogin::Own,
    }
}

/// The certificate settings of a segment; `None` if it has none.
#[must_use]
pub fn certificates<'a>(segments: &'a Segments, segment: &str) -> Option<&'a Certificates> {
    match &segments.get(segment)?.ssh {
        NodeSsh::Certificate(certificates) => Some(certificates),
        NodeSsh::Own => None,
    }
}

/// Checks the settings of segments.
///
/// # Errors
/// The error.
pub fn checked(segments: &Segments) -> Result<(), String> {
    for (name, segment) in segments {
        if !limit::is_name(name) {
            return Err(format!("`[segments.{name}]`: this is not a valid name"));
        }
        let of = certificates(segments, name);
        if let Some(of) = of {
            let wrong = |why| format!("`[segments.{name}] ssh`: {why}");
            of.checked().map_err(wrong)?;
        }
        if let Some(sealing) = &segment.sealed {
            let wrong = |why| format!("`[segments.{name}.sealed]`: {why}");
            let of = of.ok_or("needs `ssh = {kind = \"certificate\", …}`".to_owned());
            let of = of.map_err(wrong)?;
            sealing.certificates(of).checked().map_err(wrong)?;
        }
    }
    Ok(())
}

impl Certificates {
    fn checked(&self) -> Result<(), String> {
        // A certificate without principals would be valid for every user.
        if self.principals.is_empty() || self.principals.len() > MOST {
            return Err(format!(
                "`principals` must list from 1 to {MOST} names to log in as"
            ));
        }
        let odd = |letter: char| !letter.is_ascii_graphic() || letter == ',';
        let rest = |principal: &String| principal.replace(NODE, "x");
        let wrong = |text: &String| text.is_empty() || text.contains(odd);
        if let Some(wrong) = self.principals.iter().map(rest).find(wrong) {
            return Err(format!("`principals`: `{wrong}` is not a valid name"));
        }
        let address = |text: &String| {
            let letters = |letter: char| letter.is_ascii_hexdigit() || ".:/".contains(letter);
            !text.is_empty() && text.chars().all(letters)
        };
        if self.sources.len() > MOST || !self.sources.iter().all(address) {
            return Err("`sources` must be addresses or networks, such as `10.0.0.0/8`".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Segments, String> {
        let read: Result<Segments, _> = toml::from_str(text);
        let segments = read.map_err(|error| error.to_string())?;
        checked(&segments).map(|()| segments)
    }

    #[test]
    fn a_certificate_says_as_whom_it_lets_in() {
        let good = "[prod]\nssh = {kind = \"certificate\", ca = {agent = {key = \"/k.pub\"}}, ttl = \"5m\", \
                    principals = [\"deploy\", \"opsbook@{node}\"], sources = [\"10.0.0.0/8\", \"fd00::1\"], \
                    permit = [\"port-forwarding\"]}\n[dmz]\nssh = {kind = \"own\"}\n[lab]\n";
        let segments = read(good).unwrap();
        let prod = certificates(&segments, "prod").unwrap();
        assert_eq!(prod.ttl, Duration::from_mins(5));
        assert!(login(&segments, "dmz").is_own() && login(&segments, "lab").is_own());
        assert!(login(&segments, "nobody").is_own());
        for (of, why) in [
            ("", "missing field `ca`"),
            ("ca = {file = \"/k\"}", "missing field `principals`"),
            (
                "ca = {file = \"/k\"}, principals = []",
                "names to log in as",
            ),
            (
                "ca = {file = \"/k\"}, principals = [\"a,root\"]",
                "is not a valid name",
            ),
            (
                "ca = {file = \"/k\"}, principals = [\"a b\"]",
                "is not a valid name",
            ),
            ("ca = {moon = \"/k\"}, principals = [\"a\"]", "moon"),
            (
                "ca = {file = \"/k\"}, principals = [\"a\"], ttl = \"0s\"",
                "from 1s",
            ),
            (
                "ca = {file = \"/k\"}, principals = [\"a\"], ttl = \"48h\"",
                "from 1s",
            ),
            (
                "ca = {file = \"/k\"}, principals = [\"a\"], sources = [\"x,y\"]",
                "addresses",
            ),
            (
                "ca = {file = \"/k\"}, principals = [\"a\"], moon = 1",
                "moon",
            ),
            (
                "ca = {file = \"/k\"}, principals = [\"a\"], permit = [\"pty\"]",
                "pty",
            ),
        ] {
            let comma = if of.is_empty() { "" } else { ", " };
            let text = format!("[prod]\nssh = {{kind = \"certificate\"{comma}{of}}}\n");
            let said = read(&text).unwrap_err();
            assert!(said.contains(why), "{of}: {said}");
        }
        assert!(read("[\"a b\"]\n").is_err());
        assert!(read("[prod]\nssh = {kind = \"moon\"}\n").is_err());
    }
}
