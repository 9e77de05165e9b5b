//! ssh in this process, for fleets: no program is started for a node, except once `ssh -G`, which
//! says how to reach it. Does what OpenSSH would, or refuses. Only this folder names the `russh`
//! crate.

mod known;
mod login;
mod reach;
mod settings;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg};
use tokio::io::{AsyncWriteExt as _, BufReader, DuplexStream};

use self::reach::{Reached, Way, reach};
use super::channel::lock;
use super::connection::{self, Connection, Ended, Teller};
use super::error::Cause;
use super::{OpenOptions, Ssh, ssh, told};

/// What is under way between a session and its channel, in each direction. A channel's packet has
/// half of it.
const UNDER_WAY: usize = 64 << 10;
/// Most of what a failed upload says.
const MOST_SAID: usize = 4096;

/// How one node is reached, and its open connection.
#[derive(Debug)]
pub(super) struct Route(Arc<Shared>);

struct Shared {
    /// The node's name in messages about its connections.
    name: String,
    ssh: Ssh,
    /// Arguments of `ssh` that hold for every host on the way.
    common: Vec<OsString>,
    reached: Mutex<Option<Arc<Reached>>>,
    /// Whether the login was accepted.
    logged_in: AtomicBool,
    /// Why it could not be reached.
    failed: Mutex<Option<Cause>>,
}

/// Why a host could not be reached.
#[derive(Debug)]
struct Failed {
    cause: Cause,
    said: String,
}

impl Failed {
    fn new(cause: Cause, said: String) -> Self {
        Self { cause, said }
    }

    /// The same, of a jump host or behind it.
    fn behind(self) -> Self {
        let cause = match self.cause {
            Cause::Jump(_) => self.cause,
            cause => Cause::Jump(Box::new(cause)),
        };
        Self { cause, ..self }
    }
}

impl Route {
    pub(super) fn new(ssh: &Ssh, options: &OpenOptions) -> Self {
        Self(Arc::new(Shared {
            name: options.name.clone(),
            ssh: ssh.clone(),
            common: ssh::common(options.ssh_config.as_deref()),
            reached: Mutex::default(),
            logged_in: AtomicBool::new(false),
            failed: Mutex::default(),
        }))
    }

    /// The first connection.
    pub(super) fn connect(&self, limit: Duration) -> Connection {
        self.start(limit, false)
    }

    /// Another channel of the open connection or, if the server allows no more, a new connection.
    pub(super) fn another(&self) -> Connection {
        self.start(ssh::ONE_MORE, true)
    }

    fn start(&self, limit: Duration, another: bool) -> Connection {
        let (end, teller, stop) = connection::end(None);
        let (writer, input) = tokio::io::duplex(UNDER_WAY);
        let (output, reader) = tokio::io::duplex(UNDER_WAY);
        let (shared, teller) = (Arc::clone(&self.0), Arc::new(teller));
        tokio::spawn(async move {
            let mut stop = stop;
            let work = shared.serve(limit, another, (input, output), &teller);
            let status = tokio::select! {
                status = work => status,
                () = connection::must_end(&mut stop) => None,
            };
            if !another {
                // Dropping the last handle closes the connection.
                lock(&shared.reached).take();
            }
            teller.end(status);
        });
        Connection {
            reader: Box::pin(reader),
            writer: Box::pin(writer),
            end,
        }
    }

    /// Why no shell answered.
    pub(super) fn cause(&self, ended: &Ended) -> Cause {
        let failed = lock(&self.0.failed).take();
        failed.unwrap_or(match ended.status {
            Some(_) => Cause::NoShell,
            None => Cause::Cut,
        })
    }

    pub(super) fn is_logged_in(&self) -> bool {
        self.0.logged_in.load(Ordering::Relaxed)
    }

    /// Writes the rest of `from` to a new file, on a separate channel. The error is the message of
    /// the node.
    pub(super) async fn upload(&self, part: &str, from: std::fs::File) -> Result<(), String> {
        let text = |error: russh::Error| error.to_string();
        let reached = lock(&self.0.reached).clone();
        let reached = reached.ok_or("the connection is closed")?;
        let channel = reached.handle.channel_open_session().await.map_err(text)?;
        channel
            .exec(true, ssh::receiving(part))
            .await
            .map_err(text)?;
        let (mut messages, to) = channel.split();
        let send = async {
            let from = tokio::fs::File::from_std(from);
            let mut from = BufReader::with_capacity(UNDER_WAY, from);
            let mut writer = to.make_writer();
            tokio::io::copy_buf(&mut from, &mut writer).await?;
            writer.shutdown().await
        };
        let (mut said, mut status) = (Vec::new(), None);
        let listen = async {
            while let Some(message) = messages.wait().await {
                match message {
                    ChannelMsg::ExtendedData { data, .. } => {
                        let room = MOST_SAID.saturating_sub(said.len());
                        said.extend_from_slice(&data[..data.len().min(room)]);
                    }
                    ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                    ChannelMsg::Failure => break,
                    _ => {}
                }
            }
        };
        // If the node ends first, nobody takes the rest.
        let sent = tokio::select! {
            () = listen => Ok(()),
            sent = async { send.await?; std::future::pending().await } => sent,
        };
        let sent: std::io::Result<()> = sent;
        if status == Some(0) {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        let sent = sent.err().map(|error| error.to_string());
        Err(sent.filter(|_| said.is_empty()).unwrap_or(said))
    }
}

impl Shared {
    /// Reaches the node, starts a shell, and passes its bytes on until it ends. Returns its exit
    /// status.
    async fn serve(
        &self,
        limit: Duration,
        another: bool,
        pipes: (DuplexStream, DuplexStream),
        teller: &Arc<Teller>,
    ) -> Option<ExitStatus> {
        match self.shell(limit, another, teller).await {
            Ok((_reached, channel)) => pass(channel, pipes, teller).await,
            Err(failed) => {
                *lock(&self.failed) = Some(failed.cause);
                teller.say(failed.said.as_bytes());
                None
            }
        }
    }

    async fn shell(
        &self,
        limit: Duration,
        another: bool,
        teller: &Arc<Teller>,
    ) -> Result<(Arc<Reached>, Channel<Msg>), Failed> {
        let no_shell = |error: russh::Error| Failed::new(Cause::NoShell, error.to_string());
        let open = if another {
            lock(&self.reached).clone()
        } else {
            None
        };
        if let Some(open) = open
            && let Ok(channel) = open.handle.channel_open_session().await
        {
            start_shell(&open, &channel).await.map_err(no_shell)?;
            return Ok((open, channel));
        }
        told::done(&self.name, &"connecting in this process".into());
        let way = Way {
            common: self.common.clone(),
            limit,
            teller: Arc::clone(teller),
        };
        let mut words = ssh::written(&self.ssh);
        words.extend(ssh::usual().chain(ssh::destination(&self.ssh)));
        let reached = Arc::new(reach(&way, words, 0).await?);
        self.logged_in.store(true, Ordering::Relaxed);
        if !another {
            *lock(&self.reached) = Some(Arc::clone(&reached));
        }
        let channel = reached.handle.channel_open_session().await;
        let channel = channel.map_err(no_shell)?;
        start_shell(&reached, &channel).await.map_err(no_shell)?;
        Ok((reached, channel))
    }
}

async fn start_shell(reached: &Reached, channel: &Channel<Msg>) -> Result<(), russh::Error> {
    for (name, value) in &reached.settings.env {
        // A server may refuse any of them, as it does with `ssh`.
        channel.set_env(false, name, value).await?;
    }
    channel.exec(true, "exec sh").await
}

/// Passes the bytes of a channel on, in both directions, until it ends.
async fn pass(
    channel: Channel<Msg>,
    (input, mut output): (DuplexStream, DuplexStream),
    teller: &Teller,
) -> Option<ExitStatus> {
    let (mut messages, to) = channel.split();
    let send = async {
        let mut input = BufReader::with_capacity(UNDER_WAY, input);
        let mut writer = to.make_writer();
        let copied = tokio::io::copy_buf(&mut input, &mut writer).await;
        if copied.is_ok() {
            let _ = writer.shutdown().await;
        }
        std::future::pending::<()>().await;
    };
    let receive = async {
        let mut status = None;
        while let Some(message) = messages.wait().await {
            match message {
                // Nobody may be left who reads.
                ChannelMsg::Data { data } => drop(output.write_all(&data).await),
                ChannelMsg::ExtendedData { data, ext: 1 } => teller.say(&data),
                ChannelMsg::Eof => drop(output.shutdown().await),
                ChannelMsg::ExitStatus { exit_status } => {
                    let code = i32::try_from(exit_status & 0xff).unwrap_or_default();
                    status = Some(ExitStatus::from_raw(code << 8));
                }
                ChannelMsg::ExitSignal { .. } => status = Some(ExitStatus::from_raw(9)),
                ChannelMsg::Failure => teller.say(b"the node refuses to start a shell\n"),
                ChannelMsg::Close => break,
                _ => {}
            }
        }
        status
    };
    tokio::select! {
        status = receive => status,
        () = send => None,
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("ssh", &self.ssh)
            .finish_non_exhaustive()
    }
}
