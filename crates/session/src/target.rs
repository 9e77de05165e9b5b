//! The destination of a session: everything needed to get a shell. Other crates make it from the
//! user's files.

use std::path::PathBuf;
use std::time::Duration;

/// A way to get a POSIX shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The user's own OpenSSH client.
    Ssh(Ssh),
    /// A shell on this machine.
    Local,
    /// A program of this machine that opens a shell.
    Exec(Exec),
}

/// A program with its arguments, whose standard input and output belong to a POSIX `sh`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// The same with a terminal, for a person.
    pub with_terminal: Vec<String>,
    /// The tool, for interpreting its error messages.
    pub tool: Tool,
}

/// The kind of a program that opens a shell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// An unknown program.
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
    /// A command of an unknown program.
    #[must_use]
    pub fn of(words: Vec<String>) -> Self {
        Self {
            with_terminal: words.clone(),
            words,
            tool: Tool::Other,
        }
    }
}

/// Arguments for `ssh`. Where one is absent, the user's own configuration decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssh {
    /// A name or an address.
    pub host: String,
    /// The login name; from the configuration if absent.
    pub user: Option<String>,
    /// The port of the node's `sshd`; from the configuration if absent.
    pub port: Option<u16>,
    /// The argument of `ssh -J`.
    pub jump: Option<String>,
    /// The file of a private key.
    pub identity: Option<PathBuf>,
    /// Further options, each as a line of `ssh`'s configuration: `Compression=yes`.
    pub options: Vec<String>,
    /// Whether this process itself speaks ssh, instead of the user's OpenSSH client.
    pub in_process: bool,
    /// How long the connection is kept after its last use, for later commands.
    pub keep: Option<Duration>,
}
