//! The user's own OpenSSH client: one process per node, which is channel and mux master in
//! one. The only place that names the `openssh` crate.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::control::ControlDir;
use super::values::quote;
use super::{OpenOptions, Ssh, classify, fair};

/// What every `ssh` gets first, so that no configuration can turn it into something else.
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
/// What the node's own options may say otherwise. A dead peer is noticed in about 15 s.
const USUAL: [&str; 3] = [
    "LogLevel=INFO",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
];

/// For asking once more for an unknown host key.
const PROBE: Duration = Duration::from_secs(10);
/// For one more connection to a node that was reached already.
const ONE_MORE: Duration = Duration::from_secs(15);

/// How one node is reached, and the socket of its open connection.
#[derive(Debug)]
pub(super) struct Route {
    ssh: Ssh,
    config: Option<PathBuf>,
    socket: PathBuf,
    dir: Arc<ControlDir>,
}

impl Route {
    pub(super) fn new(ssh: &Ssh, options: &OpenOptions) -> std::io::Result<Self> {
        let dir = ControlDir::of_this_process()?;
        let (ssh, config, socket) = (ssh.clone(), options.ssh_config.clone(), dir.socket());
        Ok(Self {
            ssh,
            config,
            socket,
            dir,
        })
    }

    /// The first connection: carries the session and listens for more channels.
    pub(super) fn master(&self, limit: Duration) -> Command {
        let mut command = self.command(limit, "yes");
        command.arg("exec sh");
        command
    }

    /// One more channel of the open connection, or, where the server allows no more of
    /// them, a connection of its own.
    pub(super) fn channel(&self) -> Command {
        let mut command = self.command(ONE_MORE, "no");
        command.arg("exec sh");
        command
    }

    /// Writes what is left of `from` to a new file, over a channel of its own. The error is
    /// what the node or ssh said.
    pub(super) async fn upload(&self, part: &str, from: std::fs::File) -> Result<(), String> {
        let text = |error: openssh::Error| error.to_string();
        let mut place = Vec::new();
        quote(part.as_bytes(), &mut place);
        // One line that every login shell hands to sh as it is.
        let script = "exec sh -c 'umask 077; exec cat >\"$0\"' ";
        let line = format!("{script}{}", String::from_utf8_lossy(&place));
        let mux = openssh::Session::resume_mux(self.socket.clone().into_boxed_path(), None);
        let mut command = mux.raw_command(line);
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
        // Not closed: closing would end the master, which carries the session.
        let _ = mux.detach();
        if status.success() {
            return Ok(());
        }
        Err(said.trim().to_owned())
    }

    /// The name by which ssh would record the node's host key, and the fingerprint.
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

    /// A connection that ends before anybody is let in, and writes the host key that it was
    /// shown to `record` on the way.
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
            ssh,
            config: self.config.clone(),
            socket: PathBuf::from("none"),
            dir: Arc::clone(&self.dir),
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
        let own = [format!("ControlMaster={master}")];
        let wait = [format!("ConnectTimeout={}", limit.as_secs().max(1))];
        let fixed = FIXED.iter().map(|option| (*option).to_owned());
        let usual = USUAL.iter().map(|option| (*option).to_owned());
        let written = self.ssh.options.iter().cloned();
        for option in fixed.chain(own).chain(written).chain(usual).chain(wait) {
            command.arg("-o").arg(option);
        }
        self.destination(&mut command);
        command
    }

    fn destination(&self, command: &mut Command) {
        if let Some(port) = self.ssh.port {
            command.arg("-p").arg(port.to_string());
        }
        if let Some(user) = &self.ssh.user {
            command.arg("-l").arg(user);
        }
        if let Some(identity) = &self.ssh.identity {
            command
                .arg("-o")
                .arg("IdentitiesOnly=yes")
                .arg("-i")
                .arg(identity);
        }
        if let Some(jump) = &self.ssh.jump {
            command.arg("-J").arg(jump);
        }
        command.arg("--").arg(&self.ssh.host);
    }
}

/// Messages in English, here and (where the locale is sent along) on the node; all else of
/// the locale stays the user's.
fn quiet_locale(command: &mut Command) {
    if let Some(all) = std::env::var_os("LC_ALL") {
        command.env_remove("LC_ALL").env("LANG", all);
    }
    command.env_remove("LANGUAGE").env("LC_MESSAGES", "C");
}
