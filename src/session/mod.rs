//! Reaching a node: one open POSIX `sh` on one channel, spoken to in frames; ssh, local and
//! exec under it. Knows no manual, no plan beyond its `Script`, no journal.

mod done;
mod error;
mod hello;
mod secret;
mod values;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use done::{Cancel, Done, End, Limits};
pub use error::{Cause, DeliverError, Lost, OpenError, SudoError};
pub use hello::Hello;
pub use secret::{Password, Secret};
pub use values::{Value, ValueError, Values};

use crate::{nodes, plan};

/// One open POSIX shell on a node. Cheap to clone; clones share the shell.
#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hello: Hello,
}

/// How sessions are opened.
#[derive(Clone)]
pub struct OpenOptions {
    /// For one attempt, up to the node's shell answering.
    pub timeout: Duration,
    /// Receives what is worth showing while connecting, one line each.
    pub on_note: Arc<dyn Fn(&str) + Send + Sync>,
}

/// What is delivered to a node.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    Bytes(&'a [u8]),
    /// A file on this machine.
    File(&'a Path),
}

impl Session {
    /// Opens a session over the node's transport.
    pub async fn open(node: &nodes::Node, options: &OpenOptions) -> Result<Self, OpenError> {
        let _ = (node, options);
        Err(OpenError {
            cause: Cause::Other,
            said: String::new(),
        })
    }

    /// A shell on this machine.
    pub async fn local(options: &OpenOptions) -> Result<Self, OpenError> {
        let _ = options;
        Err(OpenError {
            cause: Cause::Other,
            said: String::new(),
        })
    }

    /// What the node said about itself.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.0.hello
    }

    /// Runs a script that only reads, in one of the node's workers: standard input
    /// `/dev/null`, the values as shell variables, its time limit enforced on the node.
    /// Dropping the future stops the script.
    pub async fn run(
        &self,
        script: &plan::Script,
        values: &Values,
        limits: Limits,
    ) -> Result<Done, Lost> {
        let _ = (script, values, limits);
        Err(Lost::Closed)
    }

    /// Defines shell functions in the session's main shell, for [`call`](Self::call).
    pub async fn load(&self, prelude: &str) -> Result<(), Lost> {
        let _ = prelude;
        Err(Lost::Closed)
    }

    /// Evaluates shell code in a background subshell of the session's main shell.
    /// What it opened with [`exclusive`](Self::exclusive) (file descriptors 7 to 9) is
    /// inherited.
    pub async fn call(&self, code: &[u8], limits: Limits) -> Result<Done, Lost> {
        let _ = (code, limits);
        Err(Lost::Closed)
    }

    /// Evaluates shell code in the session's main shell itself: it blocks everything else
    /// while it runs, and may open file descriptors 7 to 9 for later calls. Workers of
    /// [`run`](Self::run) do not inherit them.
    pub async fn exclusive(&self, code: &[u8]) -> Result<Done, Lost> {
        let _ = code;
        Err(Lost::Closed)
    }

    /// A second session on the node as another user. Opened once per user and kept; a
    /// refusal is kept too, so that nothing is ever asked twice by itself.
    pub async fn sudo(&self, user: &str, password: Option<&Password>) -> Result<Self, SudoError> {
        let _ = (user, password);
        Err(SudoError::Missing)
    }

    /// Writes a file on the node: a temporary one beside it, checksum verified there, `mode`
    /// set, renamed. A relative path starts at the login user's home.
    pub async fn deliver(
        &self,
        path: &str,
        content: Content<'_>,
        mode: u32,
    ) -> Result<(), DeliverError> {
        let _ = (path, content, mode);
        Err(Lost::Closed.into())
    }

    /// Ends the shell and everything that the session runs, and waits for it.
    pub async fn close(&self) {}

    /// Resolves when the session is gone, with the cause.
    pub fn lost(&self) -> impl Future<Output = Lost> + Send + 'static {
        std::future::pending()
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            on_note: Arc::new(|_| {}),
        }
    }
}
