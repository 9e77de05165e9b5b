//! The user's own OpenSSH client: one process per node, which is both channel and mux master. Only
//! this file names the `openssh` crate.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::connection::Connection;
use super::control::ControlDir;
use super::error::OpenError;
use super::shared::{Asking, Shared};
use super::values::quote;
use super::{OpenOptions, Ssh, classify, fair, process, shared, told};

/// The first options of every `ssh`, which no configuration can override.
const FIXED: [&str; 9] = [
    "BatchMode=yes",
    "RemoteCommand=none",
    "RequestTTY=no",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ForwardX11=no",
    "ForwardAgent=no",
    "ControlPersist=no",
    "StdinNull=no",
];
/// Defaults that a node's own options may override. A dead peer is noticed in about 15 s.
const USUAL: [&str; 3] = [
    "LogLevel=INFO",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
];

/// For asking for an unknown host key.
const PROBE: Duration = Duration::from_secs(10);
/// For another connection to a node that was reached before.
pub(super) const ONE_MORE: Duration = Duration::from_secs(15);

/// How one node is reached, and the socket of its open connection.
#[derive(Debug)]
pub(super) struct Route {
    /// The node's name in messages about its connections.
    name: String,
    ssh: Ssh,
    config: Option<PathBuf>,
    socket: PathBuf,
    dir: Arc<ControlDir>,
    /// A connection of other commands to use instead of a new one.
    shared: Option<Shared>,
}

impl Route {
    pub(super) fn new(ssh: &Ssh, options: &OpenOptions) -> std::io::Result<Self> {
        let dir = ControlDir::of_this_process()?;
        let (ssh, config, socket) = (ssh.clone(), options.ssh_config.clone(), dir.socket());
        Ok(Self {
            name: options.name.clone(),
            ssh,
            config,
            socket,
            dir,
            shared: None,
        })
    }

    /// Looks for a connection of other commands. With `alone`, uses no open one and replaces a kept
    /// one. Returns why a connection cannot be kept.
    pub(super) async fn share(&mut self, alone: bool) -> Result<(), String> {
        let (found, why) = match self.ssh.keep {
            Some(time) => match shared::kept(&self.asking().all(), time, alone) {
                Ok(kept) => (Some(kept), Ok(())),
                Err(error) => (None, Err(error.to_string())),
            },
            None if alone => (None, Ok(())),
            None => (
                shared::theirs(&self.asking(), &self.ssh.options).await,
                Ok(()),
            ),
        };
        if let Some(shared) = &found {
            shared.socket().clone_into(&mut self.socket);
        }
        self.shared = found;
        why
    }

    /// Whether it uses a connection that was open before, and may be dead by now.
    pub(super) fn was_open(&self) -> bool {
        self.shared.as_ref().is_some_and(Shared::was_open)
    }

    /// The arguments that identify this destination, and the same with one part changed.
    fn asking(&self) -> Asking {
        let another = || "opsbook-another".to_owned();
        let ssh = &self.ssh;
        let host = Ssh {
            host: another(),
            ..ssh.clone()
        };
        let user = ssh.user.as_ref().map(|_| Ssh {
            user: Some(another()),
            ..ssh.clone()
        });
        let port = ssh.port.map(|port| Ssh {
            port: Some(if port == 1 { 2 } else { 1 }),
            ..ssh.clone()
        });
        let others = [Some(host), user, port].into_iter().flatten();
        Asking {
            config: self.config.clone(),
            words: words(ssh),
            others: others.map(|ssh| words(&ssh)).collect(),
        }
    }

    /// The first connection: carries the session and listens for more channels.
    pub(super) fn connect(&self, limit: Duration) -> Result<Connection, OpenError> {
        let mut command = self.command(limit, "yes");
        command.arg("exec sh");
        process::start(command, &self.name)
    }

    /// Another channel of the open connection or, if the server allows no more, a new connection.
    pub(super) fn another(&self) -> Result<Connection, OpenError> {
        let mut command = self.command(ONE_MORE, "no");
        command.arg("exec sh");
        process::start(command, &self.name)
    }

    /// Writes the rest of `from` to a new file, on a separate channel. The error is the message of
    /// the node or of ssh.
    pub(super) async fn upload(&self, part: &str, from: std::fs::File) -> Result<(), String> {
        let text = |error: openssh::Error| error.to_string();
        let mux = openssh::Session::resume_mux(self.socket.clone().into_boxed_path(), None);
        let mut command = mux.raw_command(receiving(part));
        command
            .stdin(from)
            .stdout(openssh::Stdio::null())
            .stderr(openssh::Stdio::piped());
        let mut child = command.spawn().await.map_err(text)?;
        let mut said = String::new();
        if let Some(stderr) = child.stderr().take() {
            let _ = stderr.take(4096).read_to_string(&mut said).await;
        }
        let status = child.wait().await.map_err(text)?;
        // Do not close it: that would end the master, which carries the session.
        let _ = mux.detach();
        if status.success() {
            return Ok(());
        }
        Err(said.trim().to_owned())
    }

    /// The name under which ssh would record the node's host key, and the fingerprint.
    pub(super) async fn shown_key(&self) -> Option<(String, String)> {
        let record = self.socket.with_extension("key");
        let mut probe = self.key_probe(&record);
        let probe = probe
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let ended = fair::within(PROBE, probe.status()).await;
        let found = ended.and_then(|_| classify::first_key(&record));
        let _ = std::fs::remove_file(&record);
        found
    }

    /// A connection that ends before the login, and writes the host key to `record`.
    fn key_probe(&self, record: &Path) -> Command {
        let mut ssh = self.ssh.clone();
        let record = format!("UserKnownHostsFile={}", record.display());
        let own = [
            &record,
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=accept-new",
            "HashKnownHosts=no",
            "PreferredAuthentications=none",
        ];
        ssh.options
            .splice(0..0, own.iter().map(|option| (*option).to_owned()));
        let probe = Self {
            name: self.name.clone(),
            ssh,
            config: self.config.clone(),
            socket: PathBuf::from("none"),
            dir: Arc::clone(&self.dir),
            shared: None,
        };
        let mut command = probe.command(PROBE, "no");
        command.arg("true");
        command
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) fn host(&self) -> &str {
        &self.ssh.host
    }

    fn command(&self, limit: Duration, master: &str) -> Command {
        let mut command = Command::new("ssh");
        quiet_locale(&mut command);
        command.arg("-T");
        if let Some(config) = &self.config {
            command.arg("-F").arg(config);
        }
        command.arg("-S").arg(&self.socket);
        let own = match &self.shared {
            Some(shared) if master == "yes" => shared.options(),
            _ => vec![format!("ControlMaster={master}")],
        };
        let wait = [format!("ConnectTimeout={}", limit.as_secs().max(1))];
        let whole = told::is_wanted_whole().then(|| "LogLevel=DEBUG1".to_owned());
        let fixed = FIXED.iter().map(|option| (*option).to_owned());
        let usual = USUAL.iter().map(|option| (*option).to_owned());
        let written = self.ssh.options.iter().cloned();
        // With ssh, the first value of an option counts.
        let options = own.into_iter().chain(whole).chain(fixed).chain(written);
        for option in options.chain(usual).chain(wait) {
            command.arg("-o").arg(option);
        }
        command.args(destination(&self.ssh));
        command
    }
}

/// The destination and the node's options.
fn words(ssh: &Ssh) -> Vec<OsString> {
    let mut words = written(ssh);
    words.extend(destination(ssh));
    words
}

/// The arguments that hold for every host on the way to a node, and that nothing overrides.
pub(super) fn common(config: Option<&Path>) -> Vec<OsString> {
    let config = config.into_iter();
    let config = config.flat_map(|path| ["-F".into(), OsString::from(path)]);
    config.chain(options(FIXED.iter().copied())).collect()
}

/// The usual options, after those that override them.
pub(super) fn usual() -> impl Iterator<Item = OsString> {
    options(USUAL.into_iter())
}

/// The node's own options.
pub(super) fn written(ssh: &Ssh) -> Vec<OsString> {
    options(ssh.options.iter().map(String::as_str)).collect()
}

fn options<'a>(options: impl Iterator<Item = &'a str>) -> impl Iterator<Item = OsString> {
    options.flat_map(|option| ["-o".into(), OsString::from(option)])
}

/// A line that writes its input to a new file. Every login shell passes it to sh unchanged.
pub(super) fn receiving(part: &str) -> String {
    let mut place = Vec::new();
    quote(part.as_bytes(), &mut place);
    let script = "exec sh -c 'umask 077; exec cat >\"$0\"' ";
    format!("{script}{}", String::from_utf8_lossy(&place))
}

pub(super) fn destination(ssh: &Ssh) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    if let Some(port) = ssh.port {
        words.extend(["-p".into(), port.to_string().into()]);
    }
    if let Some(user) = &ssh.user {
        words.extend(["-l".into(), user.into()]);
    }
    if let Some(identity) = &ssh.identity {
        let identity = identity.as_os_str().to_owned();
        words.extend([
            "-o".into(),
            "IdentitiesOnly=yes".into(),
            "-i".into(),
            identity,
        ]);
    }
    if let Some(jump) = &ssh.jump {
        words.extend(["-J".into(), jump.into()]);
    }
    words.extend(["--".into(), OsString::from(&ssh.host)]);
    words
}

/// Requests messages in English, here and, if the locale is sent along, on the node; the rest of
/// the locale stays the user's.
pub(super) fn quiet_locale(command: &mut Command) {
    if let Some(all) = std::env::var_os("LC_ALL") {
        command.env_remove("LC_ALL").env("LANG", all);
    }
    command.env_remove("LANGUAGE").env("LC_MESSAGES", "C");
}

/// This process's environment as `quiet_locale` changes it.
pub(super) fn quiet_environment() -> impl Iterator<Item = (OsString, OsString)> {
    let mut command = Command::new("ssh");
    quiet_locale(&mut command);
    let changed = command.as_std().get_envs();
    let changed: Vec<_> = changed
        .map(|(name, value)| (name.to_owned(), value.map(OsString::from)))
        .collect();
    let names: Vec<_> = changed.iter().map(|(name, _)| name.clone()).collect();
    let kept = std::env::vars_os().filter(move |(name, _)| !names.contains(name));
    kept.chain(
        changed
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    )
}
