//! The ways to a node's shell: a closed set. Each has a file that makes its connections.

use std::time::Duration;

use super::connection::{Connection, Ended};
use super::error::{Cause, OpenError};
use super::ssh::Route;
use super::target::Exec;
use super::{OpenOptions, Target, classify, exec, local, own_ssh};

#[derive(Debug)]
pub(super) enum Transport {
    Local(Name),
    Ssh(Box<Route>),
    OwnSsh(own_ssh::Route),
    Exec(Exec, Name),
}

/// The node's name in messages about its connections.
type Name = String;

impl Transport {
    pub(super) fn of(target: &Target, options: &OpenOptions) -> Result<Self, OpenError> {
        match target {
            Target::Local => Ok(Self::Local(options.name.clone())),
            Target::Exec(exec) => Ok(Self::Exec(exec.clone(), options.name.clone())),
            Target::Ssh(ssh) if ssh.in_process => {
                Ok(Self::OwnSsh(own_ssh::Route::new(ssh, options)))
            }
            Target::Ssh(ssh) => match Route::new(ssh, options) {
                Ok(route) => Ok(Self::Ssh(Box::new(route))),
                Err(error) => Err(OpenError::new(Cause::Other, error.to_string())),
            },
        }
    }

    /// Looks for a connection of another command. With `alone`, uses no open one. Returns why a
    /// connection cannot be kept.
    pub(super) async fn share(&mut self, alone: bool) -> Result<(), String> {
        match self {
            Self::Ssh(route) => route.share(alone).await,
            Self::Local(_) | Self::Exec(..) | Self::OwnSsh(_) => Ok(()),
        }
    }

    /// Whether it uses a connection that was open before.
    pub(super) fn was_open(&self) -> bool {
        matches!(self, Self::Ssh(route) if route.was_open())
    }

    /// Makes the connection for the session; gives up after the limit.
    pub(super) fn connect(&self, limit: Duration) -> Result<Connection, OpenError> {
        match self {
            Self::Local(name) => local::connect(name),
            Self::Ssh(route) => route.connect(limit),
            Self::OwnSsh(route) => Ok(route.connect(limit)),
            Self::Exec(exec, name) => exec::connect(exec, name),
        }
    }

    /// A connection to another shell on the same node.
    pub(super) fn another(&self) -> Result<Connection, OpenError> {
        match self {
            Self::Local(name) => local::connect(name),
            Self::Ssh(route) => route.another(),
            Self::OwnSsh(route) => Ok(route.another()),
            Self::Exec(exec, name) => exec::connect(exec, name),
        }
    }

    /// Writes the rest of `from` to a new file on the node, on a separate channel. The error is the
    /// message of the node or of ssh.
    pub(super) async fn upload(&self, part: &str, from: std::fs::File) -> Result<(), String> {
        match self {
            Self::Ssh(route) => route.upload(part, from).await,
            Self::OwnSsh(route) => route.upload(part, from).await,
            Self::Local(_) | Self::Exec(..) => Err("no separate channel".to_owned()),
        }
    }

    /// Whether the shell is a login, which knows its user.
    pub(super) fn is_login(&self) -> bool {
        matches!(self, Self::Ssh(_) | Self::OwnSsh(_))
    }

    /// Why the connection ended before a shell answered.
    pub(super) fn cause(&self, ended: &Ended) -> Cause {
        let code = ended.status.and_then(|status| status.code());
        match self {
            Self::Ssh(route) => classify::cause(
                route.host(),
                &ended.said,
                code.is_some_and(|code| code != 255),
            ),
            Self::OwnSsh(route) => route.cause(ended),
            Self::Exec(exec, _) => exec::cause(exec.tool, &ended.said),
            Self::Local(_) => Cause::NoShell,
        }
    }

    /// Asks the node again for a host key that was refused without being shown.
    pub(super) async fn show_key(&self, cause: &mut Cause) {
        let Self::Ssh(route) = self else { return };
        if matches!(
            cause,
            Cause::HostKeyUnknown {
                fingerprint: None,
                ..
            }
        ) && let Some((host, shown)) = route.shown_key().await
        {
            *cause = Cause::HostKeyUnknown {
                host: host.into(),
                fingerprint: Some(shown.into()),
            };
        }
    }

    /// Why nothing answered in time although the connection is open.
    pub(super) fn late(&self) -> Cause {
        match self {
            // The socket exists once the server has accepted the login.
            Self::Ssh(route) if route.socket().exists() => Cause::NoShell,
            Self::OwnSsh(route) if route.is_logged_in() => Cause::NoShell,
            Self::Ssh(_) | Self::OwnSsh(_) => Cause::TimedOut,
            Self::Local(_) | Self::Exec(..) => Cause::NoShell,
        }
    }
}
