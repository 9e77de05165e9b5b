//! Who is told what happens: alerts and hooks, and the addresses where they listen.

use serde::Deserialize;

use crate::adapter::Adapter;
use crate::client::Address;

/// `[alerts.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// Who listens there.
    pub kind: AlertsKind,
    /// Where: `https://HOST/api/v2/alerts`.
    pub url: String,
}

/// Who is told what fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertsKind {
    /// Alertmanager, or what speaks its interface (version 2).
    Alertmanager,
}

/// `[hooks.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenHook")]
pub struct Hook {
    /// Who listens.
    pub to: To,
    /// What is told.
    pub on: Vec<Event>,
}

/// Who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A POST with a JSON object goes to this address.
    Webhook(String),
    /// The same goes to a program's standard input.
    Program(Adapter),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHook {
    kind: String,
    url: Option<String>,
    command: Option<String>,
    on: Vec<Event>,
}

impl TryFrom<WrittenHook> for Hook {
    type Error = String;

    fn try_from(written: WrittenHook) -> Result<Hook, String> {
        let WrittenHook {
            kind,
            url,
            command,
            on,
        } = written;
        let to = match (kind.as_str(), url, command) {
            ("webhook", Some(url), None) => To::Webhook(url),
            (_, url, command) => To::Program(Adapter::new(&kind, command, url, None)?),
        };
        Ok(Hook { to, on })
    }
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A run waits for a person.
    RunHalted,
    /// A run waits for an approval.
    ApprovalWanted,
    /// A run has ended.
    RunEnded,
    /// A check has begun to fail, or does so no more.
    Drift,
    /// Somebody has run something without the gateway, and reports it.
    BreakGlass,
    /// A node has a trace of a run that nobody knows.
    UnknownRun,
}

impl Event {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Event::RunHalted => "run-halted",
            Event::ApprovalWanted => "approval-wanted",
            Event::RunEnded => "run-ended",
            Event::Drift => "drift",
            Event::BreakGlass => "break-glass",
            Event::UnknownRun => "unknown-run",
        }
    }
}

/// The address and the path of a URL.
///
/// # Errors
/// Where it is none.
pub fn split(url: &str) -> Result<(Address, String), String> {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url[after..].find('/').map_or(url.len(), |at| at + after);
    let (address, path) = url.split_at(end);
    let address: Result<Address, _> = address.parse();
    let address = address.map_err(|_| "it is no `http://` or `https://` address".to_owned())?;
    let odd = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '#';
    if matches!(address, Address::Unix(_)) || path.contains(odd) || !path.is_ascii() {
        return Err("it is no `http://` or `https://` address".to_owned());
    }
    let path = if path.is_empty() { "/" } else { path };
    Ok((address, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_an_address_and_a_path() {
        let (address, path) = split("http://127.0.0.1:9093/api/v2/alerts?x=1").unwrap();
        assert_eq!(address.to_string(), "http://127.0.0.1:9093");
        assert_eq!(path, "/api/v2/alerts?x=1");
        assert_eq!(split("https://chat.example").unwrap().1, "/");
        for wrong in [
            "",
            "chat",
            "ftp://a/b",
            "unix:/x",
            "http://a/b c",
            "http://a/é",
            "http:///x",
        ] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }
}
