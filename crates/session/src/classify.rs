//! Derives the cause of a failed connection from `ssh`'s messages. Pure, except that it reads the
//! record of a changed host key.

use std::path::Path;

use base64::Engine;
use sha2::{Digest, Sha256};

use super::error::Cause;

/// `ssh` prints this itself when the jump host does not connect.
const BEHIND_JUMP: &str = "UNKNOWN port 65535";

/// The cause, from ssh's standard error and whether the remote command was reached (an exit status
/// other than 255).
pub(super) fn cause(host: &str, said: &str, reached: bool) -> Cause {
    if reached {
        return Cause::NoShell;
    }
    if said.contains(BEHIND_JUMP) {
        return Cause::Jump(Box::new(direct(host, &of_jump(said))));
    }
    direct(host, said)
}

/// The messages without those that `ssh` adds itself.
pub(super) fn of_jump(said: &str) -> String {
    let telling: Vec<_> = said.lines().filter(|line| !is_closing(line)).collect();
    telling.join("\n")
}

fn is_closing(line: &str) -> bool {
    line.contains(BEHIND_JUMP) || line.starts_with("kex_exchange_identification:")
}

fn direct(host: &str, said: &str) -> Cause {
    let has = |text: &str| said.contains(text);
    if has("HOST IDENTIFICATION HAS CHANGED")
        || has("host key has changed")
        || has("host key for") && has("has changed")
    {
        return changed(host, said);
    }
    // A revoked key is also unknown; it must not be accepted.
    if has("REVOKED HOST KEY DETECTED") {
        let host = between(said, "host key for ", " is marked as revoked").unwrap_or(host);
        return Cause::HostKeyRevoked { host: host.into() };
    }
    if has("Host key verification failed") {
        return unknown(host, said);
    }
    let table: [(&[&str], Cause); 9] = [
        (
            &[
                "Permission denied (",
                "Too many authentication failures",
                "Permission denied, please",
            ],
            Cause::Auth,
        ),
        (&["Connection refused"], Cause::Refused),
        (&["Could not resolve"], Cause::Name),
        (&["timed out", "did not respond"], Cause::TimedOut),
        (
            &["Network is unreachable", "No route to host", "Host is down"],
            Cause::NoRoute,
        ),
        (&["no matching", "Unable to negotiate"], Cause::Algorithms),
        (
            &[
                "Bad configuration",
                "bad configuration",
                "Can't open user config",
                "Bad owner or permissions on",
                "command-line line 0",
                "command-line: line 0",
            ],
            Cause::Config,
        ),
        (
            &[
                "kex_exchange_identification",
                "ssh_exchange_identification",
                "banner exchange",
                "MaxStartups",
            ],
            Cause::Dropped,
        ),
        (
            &[
                "Connection closed by",
                "Connection reset by",
                "closed by remote host",
                "client_loop: send disconnect",
            ],
            Cause::Cut,
        ),
    ];
    let found = table
        .into_iter()
        .find(|(texts, _)| texts.iter().any(|text| has(text)));
    found.map_or(Cause::Other, |(_, cause)| cause)
}

fn unknown(host: &str, said: &str) -> Cause {
    let host = between(said, "host key is known for ", " and you")
        .or_else(|| between(said, "authenticity of host '", " ("))
        .or_else(|| between(said, "authenticity of host '", "'"))
        .unwrap_or(host);
    Cause::HostKeyUnknown {
        host: host.into(),
        fingerprint: fingerprint(said).map(Into::into),
    }
}

fn changed(host: &str, said: &str) -> Cause {
    let host = between(said, "Host key for ", " has changed")
        .or_else(|| between(said, "host key for ", " has changed"))
        .unwrap_or(host);
    let record = said
        .lines()
        .find(|line| line.starts_with("Offending ") && line.contains(" key in "))
        .and_then(|line| line.rsplit_once(" key in "))
        .map(|(_, place)| place.trim().to_owned());
    let recorded = record.as_deref().and_then(recorded);
    Cause::HostKeyChanged {
        host: host.into(),
        fingerprint: fingerprint(said).map(Into::into),
        recorded: recorded.map(Into::into),
        record: record.map(Into::into),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    let line = rest.lines().next()?;
    line.split_once(after).map(|(found, _)| found)
}

fn fingerprint(said: &str) -> Option<String> {
    let at = said.find("SHA256:")?;
    let end = said[at..]
        .find(char::is_whitespace)
        .map_or(said.len(), |end| at + end);
    Some(said[at..end].trim_end_matches('.').to_owned())
}

/// The fingerprint of the key in `FILE:LINE`.
pub(super) fn recorded(place: &str) -> Option<String> {
    let (file, line) = place.rsplit_once(':')?;
    let number: usize = line.parse().ok()?;
    let text = bounded(Path::new(file))?;
    let line = text.lines().nth(number.checked_sub(1)?)?;
    let key = line
        .split_whitespace()
        .find(|word| word.starts_with("AAAA"))?;
    key_fingerprint(key)
}

/// The first host in a file of known hosts, and the fingerprint of its key.
pub(super) fn first_key(file: &Path) -> Option<(String, String)> {
    let text = bounded(file)?;
    let mut words = text.split_whitespace();
    let host = words.next()?.to_owned();
    let key = words.find(|word| word.starts_with("AAAA"))?;
    Some((host, key_fingerprint(key)?))
}

/// The text of a known hosts file. A node's banner may have named the file, so it may be anything.
fn bounded(file: &Path) -> Option<String> {
    use std::io::Read as _;
    const MOST: u64 = 16 << 20;
    if !std::fs::metadata(file).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    let file = std::fs::File::open(file).ok()?;
    file.take(MOST).read_to_string(&mut text).ok()?;
    Some(text)
}

fn key_fingerprint(key: &str) -> Option<String> {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    let bytes = STANDARD.decode(key).ok()?;
    Some(format!(
        "SHA256:{}",
        STANDARD_NO_PAD.encode(Sha256::digest(bytes))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_by_what_ssh_says() {
        let jump = |cause| Cause::Jump(Box::new(cause));
        for (said, cause) in [
            ("ops@n: Permission denied (publickey).", Cause::Auth),
            (
                "ssh: connect to host n port 22: Connection refused",
                Cause::Refused,
            ),
            (
                "ssh: connect to host n port 22: Connection timed out",
                Cause::TimedOut,
            ),
            (
                "Connection timed out during banner exchange\nConnection to 1.2.3.4 port 22 timed out",
                Cause::TimedOut,
            ),
            (
                "ssh: Could not resolve hostname n: Name or service not known",
                Cause::Name,
            ),
            (
                "ssh: connect to host n port 22: No route to host",
                Cause::NoRoute,
            ),
            (
                "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 1.2.3.4 port 22",
                Cause::Dropped,
            ),
            ("Connection closed by 1.2.3.4 port 22", Cause::Cut),
            ("client_loop: send disconnect: Broken pipe", Cause::Cut),
            (
                "Unable to negotiate with 1.2.3.4 port 22: no matching key exchange method found. Their offer: x",
                Cause::Algorithms,
            ),
            (
                "command-line: line 0: Bad configuration option: frob",
                Cause::Config,
            ),
            (
                "Bad owner or permissions on /home/u/.ssh/config",
                Cause::Config,
            ),
            (
                "u@j: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535",
                jump(Cause::Auth),
            ),
            (
                "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\nConnection closed by UNKNOWN port 65535",
                jump(Cause::Refused),
            ),
            (
                "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
                jump(Cause::Other),
            ),
            ("", Cause::Other),
        ] {
            assert_eq!(super::cause("n", said, false), cause, "{said}");
        }
        assert_eq!(
            super::cause("n", "This account is currently not available.", true),
            Cause::NoShell
        );
    }

    #[test]
    fn host_keys_are_told_with_their_fingerprints() {
        let said = "The authenticity of host '[127.0.0.1]:22 ([127.0.0.1]:22)' can't be established.\n\
            ED25519 key fingerprint is SHA256:abc.\nHost key verification failed.";
        let (host, fingerprint) = ("[127.0.0.1]:22".into(), Some("SHA256:abc".into()));
        assert_eq!(
            cause("n", said, false),
            Cause::HostKeyUnknown { host, fingerprint }
        );
        let said = "No ED25519 host key is known for n and you have requested strict checking.\n\
            Host key verification failed.";
        let expected = Cause::HostKeyUnknown {
            host: "n".into(),
            fingerprint: None,
        };
        assert_eq!(cause("x", said, false), expected);
    }
}
