//! A shell on a node or on this machine, as the engine uses it: a session. Tests of the engine put
//! a fake in its place, which needs no process.

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

/// How a function of the node's main shell is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Beside everything else.
    Beside,
    /// In the main shell itself.
    Exclusive,
    /// The same, and it is told later how it ended.
    Later,
}

impl Shell {
    /// # Errors
    /// Where the node does not answer; with the true cause.
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

    /// One on this machine.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub async fn here(options: &OpenOptions) -> Result<Shell, OpenError> {
        #[cfg(test)]
        if let Some(node) = fake::node(fake::HERE) {
            return node.open().map(Shell::Fake);
        }
        Session::local(options).await.map(Shell::Session)
    }

    /// A second one on the node, as another user.
    ///
    /// # Errors
    /// Where `sudo` refuses, or the node is gone.
    pub async fn sudo(&self, user: &str, password: Option<&Password>) -> Result<Shell, SudoError> {
        match self {
            Shell::Session(session) => session.sudo(user, password).await.map(Shell::Session),
            #[cfg(test)]
            Shell::Fake(_) => Err(SudoError::PasswordNeeded),
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
    /// Where the connection is lost.
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

    /// Evaluates code of our own beside everything else.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn call(&self, call: &Call, limits: Limits) -> Result<Done, Lost> {
        match self {
            Shell::Session(session) => session.call(call, limits).await,
            #[cfg(test)]
            Shell::Fake(shell) => shell.look().await,
        }
    }

    /// Calls a function that was loaded, or, with `before`, code that defines it and then calls
    /// it.
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

    /// Defines shell functions, for [`function`](Self::function).
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
    /// Where it cannot be read here or written there.
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

    /// Unpacks an archive of this machine to a folder on the node.
    ///
    /// # Errors
    /// Where it cannot be read here or written there.
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

    /// Has the shell end, and everything that it runs; that goes on where this process ends.
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

    /// Resolves when the connection is gone, with the cause.
    pub async fn lost(&self) -> Lost {
        match self {
            Shell::Session(session) => session.lost().await,
            #[cfg(test)]
            Shell::Fake(_) => std::future::pending().await,
        }
    }
}
