//! Reaches a node: one open POSIX `sh` on one channel, with a framed protocol, over ssh, local or
//! exec. Knows no manual, no nodes, no plan, no journal: it takes a [`Target`], and runs only a
//! [`Script`] or a [`Call`].
//!
//! ```
//! use opsbook_session::{Call, Limits, OpenOptions, Session, Target};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! // The same with `Target::Ssh`, by the user's own OpenSSH client.
//! let session = Session::open(&Target::Local, &OpenOptions::default()).await?;
//! assert!(!session.hello().home.is_empty());
//!
//! // Words are quoted: nothing in them is code.
//! let call = Call::new("printf '%s'").word("$HOME; rm -rf /");
//! let done = session.call(&call, Limits::seconds(10)).await?;
//! assert_eq!(done.out, b"$HOME; rm -rf /");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// The crates below this one, under the names that its files use.
use opsbook_text::outside;
use opsbook_text::remedies::{self, remedy};

mod call;
mod channel;
mod checksum;
mod classify;
mod connection;
mod control;
mod deliver;
mod done;
mod error;
mod exec;
pub mod fair;
mod handshake;
mod hello;
mod interactive;
mod limits;
mod local;
mod no_shell;
mod open;
mod own_ssh;
mod ping;
mod process;
mod redact;
mod script;
mod secret;
mod shared;
mod ssh;
mod sudo;
mod target;
mod text;
mod told;
mod transport;
mod values;

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use call::Call;
use channel::{Channel, Job};
pub use checksum::checksum_like;
use deliver::Becomes;
pub use deliver::Delivered;
pub use done::{Cancel, Done, End, Limits};
pub use error::{Cause, DeliverError, Lost, OpenError, SudoError};
pub use hello::{Hello, Utility};
pub use interactive::{interactive, shell_words, sshfs};
pub use limits::{hide_memory, nodes_within, raise_limits};
pub use ping::{Pong, SudoWay, ping};
pub use redact::{LEAST, MASK, Redactor};
pub use script::Script;
pub use secret::{Password, Secret};
pub use target::{Exec, Ssh, Target, Tool};
pub use text::compact;
/// The target of `tracing` events about connections; their field `node` names the node.
pub use told::TARGET as TOLD;
use transport::Transport;
pub use values::quote;
pub use values::{Value, ValueError, Values};

#[cfg(test)]
mod tests;

use crate::outside::Outside;

/// One open POSIX shell on a node. Cheap to clone; clones share the shell, and dropping the last
/// one ends it.
#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hello: Hello,
    channel: Channel,
    end: connection::End,
    transport: Arc<Transport>,
    /// This process closed it.
    closed: Arc<AtomicBool>,
    /// Behind sudo: further channels of the transport belong to another user.
    other_user: bool,
    loaded: deliver::Loaded,
    /// By user; a refusal is stored as well.
    others: tokio::sync::Mutex<HashMap<String, Result<Session, SudoError>>>,
}

/// The configuration from [`reach_with`].
static SSH_CONFIG: OnceLock<PathBuf> = OnceLock::new();

/// Makes this process use this ssh configuration (`ssh -F`) instead of the user's own. Only the
/// first call counts.
pub fn reach_with(ssh_config: PathBuf) {
    let _ = SSH_CONFIG.set(ssh_config);
}

/// Options for opening sessions.
#[derive(Clone)]
pub struct OpenOptions {
    /// The time for reaching the node, and again for its shell to answer. A person who must touch a
    /// key gets longer.
    pub timeout: Duration,
    /// How often a silent node is asked before it counts as dead. A try in which this machine was
    /// the bottleneck does not count.
    pub tries: u32,
    /// The node's name in messages about its connection (see [`TOLD`]).
    pub name: String,
    /// An ssh configuration instead of the user's own; default: that of [`reach_with`].
    pub ssh_config: Option<PathBuf>,
    /// opsbook's functions that the node's shell reads while its greeting is on its way.
    pub prelude: &'static str,
}

/// The content of a delivery.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Bytes in memory.
    Bytes(&'a [u8]),
    /// An open file on this machine; errors use its path.
    File(&'a Path, &'a std::fs::File),
}

impl Session {
    /// Opens a session.
    pub async fn open(target: &Target, options: &OpenOptions) -> Result<Self, OpenError> {
        open::open(target, options).await
    }

    /// A shell on this machine.
    pub async fn local(options: &OpenOptions) -> Result<Self, OpenError> {
        open::open(&Target::Local, options).await
    }

    /// What the node reported about itself.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.0.hello
    }

    /// Whether its shell has read this text at the start, as the prelude of [`OpenOptions`].
    #[must_use]
    pub fn knows(&self, prelude: &'static str) -> bool {
        std::ptr::eq(self.0.channel.prelude, prelude)
    }

    /// Runs a script that only reads, in one of the node's workers: standard input `/dev/null`,
    /// values as shell variables, time limit enforced on the node. Dropping the future stops the
    /// script.
    pub async fn run(
        &self,
        script: &Script,
        values: &Values,
        limits: Limits,
    ) -> Result<Done, Lost> {
        let values = values.assignments();
        let job = Job {
            interpreter: script.interpreter(&values),
            values: &values,
            text: script.text(),
        };
        let mut done = self.0.channel.run(job, &limits).await?;
        done::name_script(&mut done.err, &self.0.hello.dir);
        Ok(done)
    }

    /// Defines shell functions in the session's main shell, for [`call`](Self::call).
    pub async fn load(&self, prelude: &'static str) -> Result<(), Lost> {
        let done = self.exclusive(&Call::new(prelude)).await?;
        if done.ok() {
            return Ok(());
        }
        let said = Outside::of_bytes(&done.err).trimmed();
        let reason = format!("the node's shell cannot read a prelude: {}", said.block());
        Err(Lost::Refused {
            reason: reason.into(),
        })
    }

    /// Evaluates a call in a background subshell of the session's main shell. It inherits the file
    /// descriptors 7 to 9 that [`exclusive`](Self::exclusive) calls opened.
    pub async fn call(&self, call: &Call, limits: Limits) -> Result<Done, Lost> {
        self.0.channel.call(call.bytes(), &limits).await
    }

    /// Evaluates a call in the session's main shell itself: it blocks everything else while it
    /// runs, and may open file descriptors 7 to 9 for later calls. Workers of [`run`](Self::run) do
    /// not inherit them.
    pub async fn exclusive(&self, call: &Call) -> Result<Done, Lost> {
        self.0.channel.here(call.bytes(), &Limits::default()).await
    }

    /// The same for code that starts a process which reports the end itself, by setting `ob_later`:
    /// the main shell is free again at once.
    pub async fn begin(&self, call: Call, limits: Limits) -> Result<Done, Lost> {
        self.0.channel.begin(call.into_bytes(), &limits).await
    }

    /// A second session on the node as another user. Opened once per user and kept. A refusal is
    /// kept as well, so that opsbook never asks twice by itself.
    pub async fn sudo(&self, user: &str, password: Option<&Password>) -> Result<Self, SudoError> {
        // Hold the lock while sudo is asked: two tasks must not send the password twice.
        let mut others = self.0.others.lock().await;
        if let Some(known) = others.get(user) {
            let retry =
                matches!(known, Err(SudoError::PasswordNeeded { .. })) && password.is_some();
            if !retry {
                return known.clone();
            }
        }
        let session = open::as_user(self, user, password).await;
        others.insert(user.to_owned(), session.clone());
        session
    }

    /// Writes a file on the node: to a temporary file next to it, then verifies its checksum, sets
    /// `mode` and renames it. A relative path starts at the login user's home.
    pub async fn deliver(
        &self,
        path: &str,
        content: Content<'_>,
        mode: u32,
        cancel: &Cancel,
    ) -> Result<Delivered, DeliverError> {
        deliver::deliver(self, path, content, Becomes::File { mode }, cancel).await
    }

    /// Unpacks an archive of this machine into a folder on the node. The complete folder then
    /// replaces the existing one. The node needs `tar`.
    pub async fn deliver_folder(
        &self,
        path: &str,
        archive: &Path,
        cancel: &Cancel,
    ) -> Result<Delivered, DeliverError> {
        let file = std::fs::File::open(archive).map_err(|source| DeliverError::Read {
            path: archive.display().to_string(),
            source,
        })?;
        let content = Content::File(archive, &file);
        deliver::deliver(self, path, content, Becomes::Folder, cancel).await
    }

    /// Ends the shell and everything that the session runs, without waiting: that continues even if
    /// this process ends first.
    pub async fn let_go(&self) {
        for other in self.0.others.lock().await.values().flatten() {
            Box::pin(other.let_go()).await;
        }
        self.0.closed.store(true, Ordering::Relaxed);
        self.0.channel.end();
        self.0.end.let_go();
    }

    /// Ends the shell and everything that the session runs, and waits for that.
    pub async fn close(&self) {
        let others = std::mem::take(&mut *self.0.others.lock().await);
        for other in others.into_values().flatten() {
            Box::pin(other.close()).await;
        }
        self.0.closed.store(true, Ordering::Relaxed);
        self.0.channel.end();
        self.0.end.leave().await;
    }

    /// Resolves when the session is lost, with the cause.
    pub fn lost(&self) -> impl Future<Output = Lost> + Send + 'static {
        let mut gone = self.0.channel.gone();
        async move {
            let lost = gone.wait_for(Option::is_some).await;
            lost.ok()
                .and_then(|lost| lost.clone())
                .unwrap_or(Lost::Closed)
        }
    }
}

impl Session {
    fn of(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }
}

impl Inner {
    fn new(
        hello: Hello,
        channel: Channel,
        end: connection::End,
        transport: Arc<Transport>,
        closed: Arc<AtomicBool>,
        other_user: bool,
    ) -> Self {
        let others = tokio::sync::Mutex::default();
        let loaded = deliver::Loaded::default();
        Self {
            hello,
            channel,
            end,
            transport,
            closed,
            other_user,
            loaded,
            others,
        }
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            tries: 2,
            name: String::new(),
            ssh_config: SSH_CONFIG.get().cloned(),
            prelude: "",
        }
    }
}

impl std::fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenOptions")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
