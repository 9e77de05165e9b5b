//! A shell on a node or on this machine, as the engine uses it: a session. Tests of the engine
//! replace it by a fake without a process.

use std::path::Path;

use crate::nodes::Node;
use crate::session::{
    Call, Cancel, Content, DeliverError, Delivered, Done, Hello, Limits, Lost, OpenError,
    OpenOptions, Password, Script, Session, SudoError, Values,
};
use crate::target::target;

#[cfg(test)]
pub mod fake;

/// Cheap to clone; clones share the shell.
#[derive(Clone, Debug)]
pub enum Shell {
    /// A session on a real node.
    Session(Session),
    #[cfg(test)]
    /// A bundle in memory, for tests.
    Fake(fake::FakeShell),
}

/// How to call a function in the node's shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In parallel with everything else.
    Beside,
    /// In the main shell itself.
    Exclusive,
    /// The same, with a later report of its end.
    Later,
}

impl Shell {
    /// # Errors
    /// If the node does not answer; with the true cause.
    pub async fn open(node: &Node, options: &OpenOptions) -> Result<Shell, OpenError> {
        #[cfg(test)]
        if let Some(node) = fake::node(&node.name) {
            return node.open().map(Shell::Fake);
        }
        let options = OpenOptions {
            name: node.name.clone(),
            ..options.clone()
        };
        Session::open(&target(node), &options)
            .await
            .map(Shell::Session)
    }

    /// A shell on this machine.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn here(options: &OpenOptions) -> Result<Shell, OpenError> {
        #[cfg(test)]
        if let Some(node) = fake::node(fake::HERE) {
            return node.open().map(Shell::Fake);
        }
        Session::local(options).await.map(Shell::Session)
    }

    /// A second shell on the node, as another user.
    ///
    /// # Errors
    /// If `sudo` refuses, or the node is gone.
    pub async fn sudo(&self, user: &str, password: Option<&Password>) -> Result<Shell, SudoError> {
        match self {
            Shell::Session(session) => session.sudo(user, password).await.map(Shell::Session),
            #[cfg(test)]
            Shell::Fake(_) => Err(SudoError::PasswordNeeded { of: "".into() }),
        }
    }

    /// What the node said about itself.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        match self {
            Shell::Session(session) => session.hello(),
            #[cfg(test)]
            Shell::Fake(shell) => shell.hello(),
        }
    }

    /// Runs a script that only reads.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn run(
        &self,
        script: &Script,
        values: &Values,
        limits: Limits,
    ) -> Result<Done, Lost> {
        match self {
            Shell::Session(session) => session.run(script, values, limits).await,
            #[cfg(test)]
            Shell::Fake(shell) => shell.check().await,
        }
    }

    /// Evaluates opsbook's own code in parallel with everything else.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn call(&self, call: &Call, limits: Limits) -> Result<Done, Lost> {
        match self {
            Shell::Session(session) => session.call(call, limits).await,
            #[cfg(test)]
            Shell::Fake(shell) => shell.look().await,
        }
    }

    /// Calls a loaded function; with `before`, first evaluates the code that defines it.
    pub(super) async fn function(
        &self,
        way: Way,
        before: &'static str,
        name: &'static str,
        words: &[&[u8]],
        limits: Limits,
    ) -> Result<Done, Lost> {
        match self {
            Shell::Session(session) => {
                let call = Call::new(before).code(name).words(words);
                match way {
                    Way::Beside => session.call(&call, limits).await,
                    Way::Exclusive => session.exclusive(&call).await,
                    Way::Later => session.begin(call, limits).await,
                }
            }
            #[cfg(test)]
            Shell::Fake(shell) => shell.function(name, words).await,
        }
    }

    /// Whether the shell has read this text at its start.
    pub(super) fn knows(&self, functions: &'static str) -> bool {
        match self {
            Shell::Session(session) => session.knows(functions),
            #[cfg(test)]
            Shell::Fake(_) => true,
        }
    }

    /// Defines shell functions for [`function`](Self::function).
    pub(super) async fn load(&self, functions: &'static str) -> Result<(), Lost> {
        match self {
            Shell::Session(session) => session.load(functions).await,
            #[cfg(test)]
            Shell::Fake(shell) => shell.look().await.map(drop),
        }
    }

    /// Writes a file on the node.
    ///
    /// # Errors
    /// If it cannot be read here or written there.
    pub async fn deliver(
        &self,
        path: &str,
        content: Content<'_>,
        mode: u32,
        cancel: &Cancel,
    ) -> Result<Delivered, DeliverError> {
        match self {
            Shell::Session(session) => session.deliver(path, content, mode, cancel).await,
            #[cfg(test)]
            Shell::Fake(shell) => shell.deliver().await,
        }
    }

    /// Unpacks an archive of this machine into a folder on the node.
    ///
    /// # Errors
    /// If it cannot be read here or written there.
    pub async fn deliver_folder(
        &self,
        path: &str,
        archive: &Path,
        cancel: &Cancel,
    ) -> Result<Delivered, DeliverError> {
        match self {
            Shell::Session(session) => session.deliver_folder(path, archive, cancel).await,
            #[cfg(test)]
            Shell::Fake(shell) => shell.deliver().await,
        }
    }

    /// Ends the shell and everything that it runs; that continues even if this process ends first.
    pub async fn let_go(&self) {
        match self {
            Shell::Session(session) => session.let_go().await,
            #[cfg(test)]
            Shell::Fake(_) => {}
        }
    }

    /// Ends the shell and everything that it runs.
    pub async fn close(&self) {
        match self {
            Shell::Session(session) => session.close().await,
            #[cfg(test)]
            Shell::Fake(shell) => shell.close(),
        }
    }

    /// Resolves when the connection is lost, with the cause.
    pub async fn lost(&self) -> Lost {
        match self {
            Shell::Session(session) => session.lost().await,
            #[cfg(test)]
            Shell::Fake(_) => std::future::pending().await,
        }
    }
}
