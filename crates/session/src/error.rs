//! What can go wrong between here and a node's shell, told apart by its cause. Knows nobody.

use std::io;
use std::time::Duration;

use crate::outside::Outside;

/// Why no session could be opened. Nothing was done on the node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}{}", had.map_or_else(String::new, after))]
pub struct OpenError {
    /// Why, as a case of its own.
    pub cause: Cause,
    /// How long the node was waited for, where that was not enough. Time in which this
    /// machine was held up counts little.
    pub had: Option<Duration>,
    /// What `ssh` (or the command of the transport) itself said, trimmed.
    pub said: Outside,
}

impl OpenError {
    pub(super) fn new(cause: Cause, said: impl Into<Outside>) -> Self {
        Self {
            cause,
            had: None,
            said: said.into(),
        }
    }

    /// The node said nothing, or not enough, in so much time.
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

/// The cause, as far as it can be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The node takes none of the keys that were offered.
    #[error("authentication refused")]
    Auth,
    /// Nobody has said yet that the node's key is right.
    #[error(
        "host key of `{}` is not known{}; compare it, then accept it by `ssh` to it once",
        host.line(),
        key("; it shows ", fingerprint.as_ref())
    )]
    HostKeyUnknown {
        /// The host, as `ssh` names it.
        host: Outside,
        /// The fingerprint of the key that it showed, where `ssh` says it.
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
        /// What the node shows now.
        fingerprint: Option<Outside>,
        /// What is on record, and where (`file:line`).
        recorded: Option<Outside>,
        /// The file and line of the known key, where `ssh` says it.
        record: Option<Outside>,
    },
    /// The node shows a key that was revoked.
    #[error(
        "host key of `{}` is marked as revoked on this machine; do not go there",
        host.line()
    )]
    HostKeyRevoked {
        /// The host, as `ssh` names it.
        host: Outside,
    },
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// Nobody answered in time.
    #[error("timed out")]
    TimedOut,
    /// The network knows no way there.
    #[error("no route")]
    NoRoute,
    /// The name of the host has no address.
    #[error("name not found")]
    Name,
    /// The jump host, or the way on from it; the inner cause says what.
    #[error("jump host: {0}")]
    Jump(Box<Cause>),
    /// The other side ended the connection before a shell was there.
    #[error("connection dropped before the key exchange")]
    Dropped,
    /// In the middle: while keys were exchanged, or before the shell had answered.
    #[error("connection cut")]
    Cut,
    /// `ssh` does not accept its own configuration.
    #[error("bad ssh configuration")]
    Config,
    /// The two sides have no algorithm in common.
    #[error("no common algorithm")]
    Algorithms,
    /// The login gives no POSIX shell.
    #[error("no POSIX shell answered")]
    NoShell,
    /// The tool knows no container, pod or machine of that name.
    #[error("there is none of that name")]
    Missing,
    /// The container or pod is there, and nothing runs in it.
    #[error("it is not running")]
    Stopped,
    /// The tool may not, or its user.
    #[error("not allowed")]
    NotAllowed,
    /// Nobody answers the tool: no daemon, no cluster, no bus.
    #[error("the service that knows it does not answer")]
    NoService,
    /// There is no folder on the node in which a session could keep its files.
    #[error("no private directory can be made on the node")]
    NoDirectory,
    /// A program on this machine cannot be started.
    #[error("`{program}` could not be started")]
    Program {
        /// Its name.
        program: String,
    },
    /// None of these; the message says what is known.
    #[error("connection failed")]
    Other,
}

fn key(before: &str, key: Option<&Outside>) -> String {
    key.map_or_else(String::new, |key| format!("{before}{}", key.line()))
}

/// A session that is no more, or never could do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The connection has ended.
    #[error("session was closed")]
    Closed,
    /// The connection went, or the shell on the node ended; with what was said last.
    #[error("connection lost: {}", said.block())]
    Connection {
        /// What was said on it last.
        said: Outside,
    },
    /// No result long after the script's own time limit; the node's side is not known.
    #[error("no answer from the node")]
    Silent,
    /// Something on the node killed what was to answer.
    #[error("what was to answer on the node was killed")]
    Killed,
    /// The other side was left: what it printed was no answer, and did not end.
    #[error("the node was left: {why}")]
    Endless {
        /// What is wrong with the answer.
        why: &'static str,
    },
    /// Refused before anything was sent.
    #[error("{}", reason.block())]
    Refused {
        /// What was in the way.
        reason: Outside,
    },
}

/// Why a file did not arrive. Nothing is left of it on the node.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The connection was lost.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The content could not be read here.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file on this machine.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The node said no: disk full, no permission, no such directory.
    #[error("cannot write `{path}`: {}", said.block())]
    Node {
        /// The file on the node.
        path: String,
        /// What the node says.
        said: Outside,
    },
    /// It was told to stop; nothing of it is left on the node.
    #[error("the delivery of `{path}` was stopped")]
    Cancelled {
        /// The file on the node.
        path: String,
    },
    /// Other bytes arrived than were sent.
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

/// Why there is no shell behind `sudo`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SudoError {
    /// `sudo` does not take the password.
    #[error("sudo refused the password")]
    WrongPassword,
    /// `sudo` wants a password, and none was given.
    #[error("sudo asks for a password and none was given")]
    PasswordNeeded,
    /// The rules of `sudo` do not allow it.
    #[error("sudo does not allow it: {}", _0.line())]
    NotAllowed(Outside),
    /// The rules of `sudo` want a terminal, and a session has none.
    #[error("sudo wants a terminal: {}", _0.line())]
    NeedsTty(Outside),
    /// There is no `sudo` on the node.
    #[error("no `sudo` on the node")]
    Missing,
    /// None of these; what `sudo` said.
    #[error("sudo failed: {}", _0.line())]
    Other(Outside),
    /// The connection was lost.
    #[error(transparent)]
    Lost(#[from] Lost),
}
