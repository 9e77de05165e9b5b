//! Errors between this machine and a node's shell, classified by cause.

use std::io;
use std::time::Duration;

use crate::outside::Outside;
use crate::remedies::PROCESSES;
use crate::remedy;

/// Why no session could be opened. Nothing was changed on the node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}{}{}", had.map_or_else(String::new, after), note.as_ref().map_or_else(String::new, |note| format!("; {note}")))]
pub struct OpenError {
    /// The cause, as an enum.
    pub cause: Cause,
    /// How long opsbook waited for the node, if that was too long. Time in which this machine was
    /// held up counts little.
    pub had: Option<Duration>,
    /// How a login behaved that gave no shell, as far as that tells why.
    pub note: Option<Box<str>>,
    /// The message of `ssh` or the transport's command, trimmed.
    pub said: Outside,
}

impl OpenError {
    pub(super) fn new(cause: Cause, said: impl Into<Outside>) -> Self {
        Self {
            cause,
            had: None,
            note: None,
            said: said.into(),
        }
    }

    /// The cause, then the last line of what was said about it.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self.said.last_line() {
            Some(said) => format!("{self}: {said}"),
            None => self.to_string(),
        }
    }

    /// The error of a node that did not answer, or not completely, within this time.
    pub(super) fn late(cause: Cause, had: Duration, said: impl Into<Outside>) -> Self {
        Self {
            had: Some(had),
            ..Self::new(cause, said)
        }
    }
}

fn after(had: Duration) -> String {
    format!(" after {:.0} s", had.as_secs_f64().max(1.0))
}

/// The command with which a person accepts the host's key. It shows the host only if it is a plain
/// name or address.
fn by_hand(host: &Outside) -> String {
    let host = host.line().to_string();
    let with_port = host
        .strip_prefix('[')
        .and_then(|host| host.split_once("]:"));
    let (name, port) = with_port.map_or((&*host, None), |(name, port)| (name, Some(port)));
    let plain = |text: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
        !text.is_empty() && !text.starts_with('-') && text.bytes().all(fits)
    };
    match port {
        _ if !plain(name) => "`ssh` to the node".to_owned(),
        None => format!("`ssh {name}`"),
        Some(port) if plain(port) => format!("`ssh -p {port} {name}`"),
        Some(_) => "`ssh` to the node".to_owned(),
    }
}

/// The cause, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The node accepts none of the offered keys.
    #[error("authentication refused")]
    Auth,
    /// Nobody has confirmed the node's key yet.
    #[error(
        "host key of `{}` is not known{}; verify it, then accept it once with {}",
        host.line(),
        key("; it shows ", fingerprint.as_ref()),
        by_hand(host)
    )]
    HostKeyUnknown {
        /// The host, as `ssh` names it.
        host: Outside,
        /// The fingerprint of the key that the host showed, if `ssh` reports it.
        fingerprint: Option<Outside>,
    },
    /// The node shows another key than the known one.
    #[error(
        "host key of `{}` has changed{}{}{}",
        host.line(),
        key("; it shows ", fingerprint.as_ref()),
        key(", on record is ", recorded.as_ref()),
        key(" in ", record.as_ref())
    )]
    HostKeyChanged {
        /// The host, as `ssh` names it.
        host: Outside,
        /// The fingerprint that the node shows now.
        fingerprint: Option<Outside>,
        /// The recorded fingerprint.
        recorded: Option<Outside>,
        /// The file and line of the known key (`file:line`), if `ssh` reports it.
        record: Option<Outside>,
    },
    /// The node shows a revoked key.
    #[error(
        "host key of `{}` is marked as revoked on this machine; do not connect to it",
        host.line()
    )]
    HostKeyRevoked {
        /// The host, as `ssh` names it.
        host: Outside,
    },
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// The node did not answer in time.
    #[error("timed out")]
    TimedOut,
    /// There is no route to the network.
    #[error("no route")]
    NoRoute,
    /// The host name has no address.
    #[error("name not found")]
    Name,
    /// The jump host, or the connection behind it; the inner cause says which.
    #[error("jump host: {0}")]
    Jump(Box<Cause>),
    /// The other side closed the connection before a shell answered.
    #[error("connection dropped before the key exchange")]
    Dropped,
    /// The connection was cut during the key exchange, or before the shell answered.
    #[error("connection cut")]
    Cut,
    /// `ssh` rejects its configuration.
    #[error("bad ssh configuration")]
    Config,
    /// The two sides have no common algorithm.
    #[error("no common algorithm")]
    Algorithms,
    /// The login has no POSIX shell.
    #[error("no POSIX shell answered")]
    NoShell,
    /// The tool knows no container, pod or machine with that name.
    #[error("there is no node of that name")]
    Missing,
    /// The container or pod exists but is not running.
    #[error("it is not running")]
    Stopped,
    /// The tool or its user lacks the permission.
    #[error("not allowed")]
    NotAllowed,
    /// The tool gets no answer from its daemon, cluster or bus.
    #[error("the service that manages it does not answer")]
    NoService,
    /// The node has no folder for a session's files.
    #[error("cannot create a private directory on the node")]
    NoDirectory,
    /// A program on this machine cannot be started.
    #[error("`{program}` could not be started")]
    Program {
        /// Its name.
        program: String,
    },
    /// Another cause; see the message.
    #[error("connection failed")]
    Other,
}

fn key(before: &str, key: Option<&Outside>) -> String {
    key.map_or_else(String::new, |key| format!("{before}{}", key.line()))
}

/// A session that has ended, or that could not do what was requested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The connection was closed.
    #[error("session was closed")]
    Closed,
    /// The connection was lost, or the shell on the node ended.
    #[error("connection lost: {}", said.block())]
    Connection {
        /// The last message.
        said: Outside,
    },
    /// The shell on the node ended: it could start no process.
    #[error("connection lost: the shell on the node can start no process{PROCESSES}")]
    NoProcess,
    /// No result long after the script's own time limit; the node's state is unknown.
    #[error("no answer from the node")]
    Silent,
    /// Something on the node killed the answering process.
    #[error("the helper on the node was killed")]
    Killed,
    /// The connection was closed because the other side printed invalid data without end.
    #[error("the node was left: {why}")]
    Endless {
        /// What is wrong with the answer.
        why: &'static str,
    },
    /// Refused before anything was sent.
    #[error("{}", reason.block())]
    Refused {
        /// The obstacle.
        reason: Outside,
    },
}

/// Why a file did not arrive. Nothing of it remains on the node.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The connection was lost.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The content could not be read on this machine.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file on this machine.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// The node refused: disk full, no permission, no such directory.
    #[error("cannot write `{path}`: {}{}", said.block(), remedy(said.exact()))]
    Node {
        /// The file on the node.
        path: String,
        /// The node's message.
        said: Outside,
    },
    /// It was cancelled; nothing of it remains on the node.
    #[error("the delivery of `{path}` was stopped")]
    Cancelled {
        /// The file on the node.
        path: String,
    },
    /// The received bytes differ from the sent ones.
    #[error("`{path}` arrived damaged: sent {sent}, arrived {}", arrived.line())]
    Checksum {
        /// The file on the node.
        path: String,
        /// The checksum of what was sent.
        sent: String,
        /// The checksum that the node reports.
        arrived: Outside,
    },
}

fn not_that(of: &Outside) -> String {
    if of.is_empty() {
        String::new()
    } else {
        format!(": it is not that of `{}`", of.line())
    }
}

/// Why `sudo` gave no shell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SudoError {
    /// `sudo` rejects the password.
    #[error("sudo refused the password{}", not_that(of))]
    WrongPassword {
        /// Whose password it asked for; empty if it does not say.
        of: Outside,
    },
    /// `sudo` wants a password, and none was given.
    #[error("sudo asks for a password, and none was given")]
    PasswordNeeded {
        /// Whose password it asks for; empty if it does not say.
        of: Outside,
    },
    /// The rules of `sudo` do not allow it.
    #[error("sudo does not allow it: {}", _0.line())]
    NotAllowed(Outside),
    /// The rules of `sudo` require a terminal, and a session has none.
    #[error("sudo requires a terminal: {}", _0.line())]
    NeedsTty(Outside),
    /// The node has no `sudo`.
    #[error("no `sudo` on the node")]
    Missing,
    /// Another reason, in `sudo`'s words.
    #[error("sudo failed: {}", _0.line())]
    Other(Outside),
    /// The connection was lost.
    #[error(transparent)]
    Lost(#[from] Lost),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_accepts_a_key_shows_only_a_plain_host() {
        for (host, command) in [
            ("web1.example.net", "`ssh web1.example.net`"),
            ("[127.0.0.1]:2222", "`ssh -p 2222 127.0.0.1`"),
            ("fe80::1", "`ssh fe80::1`"),
            ("-oProxyCommand=x", "`ssh` to the node"),
            ("a;reboot", "`ssh` to the node"),
            ("[a]:1 2", "`ssh` to the node"),
        ] {
            assert_eq!(by_hand(&Outside::from(host.to_owned())), command);
        }
    }
}
