//! How gateways with a common store notify each other of changes.

use std::path::PathBuf;

use serde::Deserialize;

use super::Config;
use crate::client::Address;
use crate::secret::Secret;

/// `[doorbell]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Doorbell {
    /// Not at all: there is one gateway. Others would notice everything after five seconds.
    Process,
    /// Through the store, which is PostgreSQL.
    Postgres,
    /// Through a NATS server.
    Nats(Box<Nats>),
}

/// `[doorbell] kind = "nats"`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    /// `tls://HOST[:PORT]`, or `nats://…` on this machine.
    pub url: String,
    /// The certificates of the authorities that may sign the server's; those that this machine
    /// trusts if absent.
    #[serde(default)]
    pub authority: Option<PathBuf>,
    /// The gateway's token for that server.
    #[serde(default)]
    pub token: Option<Secret>,
    /// The gateway's name there, with a password.
    #[serde(default)]
    pub user: Option<String>,
    /// The password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The gateway's certificate for that server, with its key.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// The file of the key.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The subject: a different one for each group of gateways.
    #[serde(default = "subject")]
    pub subject: String,
}

fn subject() -> String {
    "opsbook".to_owned()
}

impl Config {
    /// How gateways notify each other; the default is the store, if it can.
    ///
    /// # Errors
    /// Settings that exclude each other.
    pub fn doorbell(&self) -> Result<Doorbell, String> {
        let url = self.store.url.as_deref().unwrap_or_default();
        let postgres = url.starts_with("postgres:") || url.starts_with("postgresql:");
        match &self.doorbell {
            None if postgres => Ok(Doorbell::Postgres),
            None => Ok(Doorbell::Process),
            Some(Doorbell::Postgres) if !postgres => {
                Err("`doorbell`: the store is not PostgreSQL".to_owned())
            }
            Some(Doorbell::Nats(nats)) => {
                nats.checked().map_err(|why| format!("`doorbell`: {why}"))?;
                Ok(Doorbell::Nats(nats.clone()))
            }
            Some(other) => Ok(other.clone()),
        }
    }
}

impl Nats {
    fn checked(&self) -> Result<(), String> {
        let letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let subject = &self.subject;
        if subject.is_empty()
            || !subject.chars().all(letter)
            || subject.split('.').any(str::is_empty)
        {
            return Err(format!("`{subject}` is not a valid subject"));
        }
        for (one, other, names) in [
            (
                self.user.is_some(),
                self.password.is_some(),
                "`user` and `password`",
            ),
            (
                self.certificate.is_some(),
                self.key.is_some(),
                "`certificate` and `key`",
            ),
        ] {
            if one != other {
                return Err(format!("{names} go together"));
            }
        }
        if self.token.is_some() && self.user.is_some() {
            return Err("a server asks for `token`, or for `user` and `password`".to_owned());
        }
        let tls_only = self.authority.is_some() || self.certificate.is_some();
        if tls_only && !self.url.starts_with("tls://") {
            return Err("`authority` and `certificate` need `tls://…`".to_owned());
        }
        let (scheme, rest) = self.url.split_once("://").unwrap_or_default();
        let scheme = match scheme {
            "tls" => "https",
            "nats" => "http",
            _ => {
                return Err(format!(
                    "`{}` is neither `tls://…` nor `nats://…`",
                    self.url
                ));
            }
        };
        let address: Result<Address, _> = format!("{scheme}://{rest}").parse();
        let address = address.map_err(|error| error.to_string())?;
        if scheme == "http" && !address.is_local() {
            return Err(format!(
                "the connection to `{}` is not encrypted: use `tls://…`",
                self.url
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Doorbell, String> {
        let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        config.doorbell()
    }

    #[test]
    fn gateways_tell_each_other_by_what_they_share() {
        let store = "[store]\nurl = \"postgres://x@y/z\"\n";
        assert_eq!(read("").unwrap(), Doorbell::Process);
        assert_eq!(read(store).unwrap(), Doorbell::Postgres);
        let with = |text: &str| read(&format!("[doorbell]\n{text}"));
        assert!(matches!(
            with("kind = \"nats\"\nurl = \"tls://a.example\"").unwrap(),
            Doorbell::Nats(_)
        ));
        assert!(
            with("kind = \"nats\"\nurl = \"nats://127.0.0.1:4222\"\nsubject = \"a.b\"").is_ok()
        );
        for (text, why) in [
            ("kind = \"postgres\"", "not PostgreSQL"),
            ("kind = \"moon\"", "moon"),
            ("kind = \"nats\"", "url"),
            (
                "kind = \"nats\"\nurl = \"nats://a.example\"",
                "is not encrypted",
            ),
            ("kind = \"nats\"\nurl = \"a.example\"", "neither"),
            (
                "kind = \"nats\"\nurl = \"tls://a.example\"\nsubject = \"a.>\"",
                "not a valid subject",
            ),
            (
                "kind = \"nats\"\nurl = \"tls://a.example\"\nmoon = 1",
                "moon",
            ),
            (
                "kind = \"nats\"\nurl = \"tls://a.example\"\nuser = \"a\"",
                "`user` and `password` go together",
            ),
            (
                "kind = \"nats\"\nurl = \"tls://a.example\"\nkey = \"/k\"",
                "`certificate` and `key` go together",
            ),
            (
                "kind = \"nats\"\nurl = \"tls://a.example\"\nuser = \"a\"\npassword = {env = \"P\"}\ntoken = {env = \"T\"}",
                "a server asks for `token`, or",
            ),
            (
                "kind = \"nats\"\nurl = \"nats://127.0.0.1\"\nauthority = \"/ca.pem\"",
                "need `tls://…`",
            ),
        ] {
            let said = with(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
