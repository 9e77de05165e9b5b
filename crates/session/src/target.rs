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
    /// A program of this machine that gives a shell.
    Exec(Exec),
}

/// A program, with its arguments, whose standard input and output are a POSIX `sh`'s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// The same for a person, who has a terminal.
    pub with_terminal: Vec<String>,
    /// Whose words are understood where it fails.
    pub tool: Tool,
}

/// What a program that gives a shell is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Nothing is known of it.
    #[default]
    Other,
    /// `docker exec`.
    Docker,
    /// `podman exec`.
    Podman,
    /// `kubectl exec`.
    Kubectl,
    /// `systemd-run --machine`.
    SystemdRun,
}

impl Exec {
    /// A command of which nothing is known.
    #[must_use]
    pub fn of(words: Vec<String>) -> Self {
        Self {
            with_terminal: words.clone(),
            words,
            tool: Tool::Other,
        }
    }
}

/// What `ssh` is told. Where something is absent, the user's own configuration decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssh {
    /// A name or an address.
    pub host: String,
    /// The login name; as `ssh` is configured if absent.
    pub user: Option<String>,
    /// The port of the node's `sshd`; as `ssh` is configured if absent.
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
