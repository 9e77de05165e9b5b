//! Receivers of messages: alerts and hooks, and their addresses.

use serde::Deserialize;

use crate::adapter::Adapter;
use crate::client::Address;

/// `[alerts.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// The kind of receiver.
    pub kind: AlertsKind,
    /// Its address: `https://HOST/api/v2/alerts`.
    pub url: String,
}

/// A kind of receiver for alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertsKind {
    /// Alertmanager, or a tool with its API (version 2).
    Alertmanager,
}

/// `[hooks.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenHook")]
pub struct Hook {
    /// The receiver.
    pub to: To,
    /// The events to send.
    pub on: Vec<Event>,
}

/// The receiver of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A POST with a JSON object to this address.
    Webhook(String),
    /// The same object on a program's standard input.
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

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A run waits for a person.
    RunHalted,
    /// A run waits for an approval.
    ApprovalWanted,
    /// A run ended.
    RunEnded,
    /// A check begins to fail, or holds again.
    Drift,
    /// Somebody ran something without the gateway, and reports it.
    BreakGlass,
    /// A node has a trace of an unknown run.
    UnknownRun,
}

impl Event {
    /// Its name.
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
/// If it is invalid.
pub fn split(url: &str) -> Result<(Address, String), String> {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url[after..].find('/').map_or(url.len(), |at| at + after);
    let (address, path) = url.split_at(end);
    let address: Result<Address, _> = address.parse();
    let address = address.map_err(|_| "it is not an `http://` or `https://` address".to_owned())?;
    let odd = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '#';
    if matches!(address, Address::Unix(_)) || path.contains(odd) || !path.is_ascii() {
        return Err("it is not an `http://` or `https://` address".to_owned());
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
