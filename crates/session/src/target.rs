//! Where a session leads: what it takes to get to a shell. Who stands above makes it from
//! what a user has written; nothing here knows of that.

use std::path::PathBuf;
use std::time::Duration;

/// A way to a POSIX shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The user's own OpenSSH client.
    Ssh(Ssh),
    /// A shell on this machine.
    Local,
    /// A program of this machine, with its arguments, whose standard input and output are a
    /// POSIX `sh`'s.
    Exec(Vec<String>),
}

/// What `ssh` is told. Where something is absent, the user's own configuration decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssh {
    /// A name or an address.
    pub host: String,
    pub user: Option<String>,
    pub port: Option<u16>,
    /// As for `ssh -J`.
    pub jump: Option<String>,
    /// The file of a private key.
    pub identity: Option<PathBuf>,
    /// Further options, each as one line of `ssh`'s configuration: `Compression=yes`.
    pub options: Vec<String>,
    /// How long the connection is kept after its last use, for commands that come after this one.
    pub keep: Option<Duration>,
}
