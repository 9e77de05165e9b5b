//! Everything that a node is reached by: its session, its sessions as other users, and the
//! session on this machine for what is done here.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::Mutex;

use crate::manual::{On, SudoUser};
use crate::nodes::Node;
use crate::question::{Answer, Asked, Operator};
use crate::session::{Lost, OpenError, OpenOptions, Password, SudoError};
use crate::shell::Shell;

/// The sessions of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The node that is reached.
    pub node: Arc<Node>,
    session: Shell,
    others: Arc<Mutex<HashMap<String, Shell>>>,
    here: Arc<Mutex<Option<Shell>>>,
    options: Arc<OpenOptions>,
    passwords: Passwords,
}

/// The `sudo` password of a run: asked for once, for all nodes, and only where one asks.
#[derive(Clone, Debug)]
pub struct Passwords(Arc<Mutex<Asking>>, Operator);

#[derive(Debug)]
enum Asking {
    Not,
    Given(Password),
    /// It was refused somewhere, or nobody answered: it is not tried again, anywhere.
    Never(NoPassword),
}

/// Why there is no password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoPassword {
    /// Nobody can be asked, and no file was given.
    #[error(
        "a password is needed, and there is nobody to ask (`--sudo-password-file` reads it from a file)"
    )]
    Nobody,
    /// `sudo` does not take the password that was given for this user.
    #[error("the password was refused on `{0}`, and is not tried again")]
    Refused(String),
    /// The operator has stopped it at the question.
    #[error("the operator stopped at the question for the password")]
    Stopped,
}

/// Why something on a node cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// No session came about.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The session was lost.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// `sudo` says no.
    #[error("sudo as `{user}`: {cause}")]
    Sudo {
        /// The user that was wanted.
        user: String,
        /// What `sudo` says.
        cause: SudoError,
    },
    /// `sudo` wants a password, and there is none.
    #[error("sudo as `{user}`: {why}")]
    NoPassword {
        /// The user that was wanted.
        user: String,
        /// Why there is none.
        why: NoPassword,
    },
}

impl Passwords {
    /// Passwords that an operator is asked for, or the one that was given.
    #[must_use]
    pub fn new(operator: Operator, given: Option<Password>) -> Passwords {
        let asking = given.map_or(Asking::Not, Asking::Given);
        Passwords(Arc::new(Mutex::new(asking)), operator)
    }

    /// The password, asked for where it is not known yet.
    ///
    /// # Errors
    /// Where nobody gives it.
    pub async fn get(&self, node: &str, user: &str) -> Result<Password, NoPassword> {
        let mut asking = self.0.lock().await;
        match &*asking {
            Asking::Given(password) => return Ok(password.clone()),
            Asking::Never(why) => return Err(why.clone()),
            Asking::Not => {}
        }
        let user = user.to_owned();
        let asked = self.1.ask(node, Asked::SudoPassword { user }, None);
        let why = match asked.await {
            Answer::Secret(password) => {
                *asking = Asking::Given(password.clone());
                return Ok(password);
            }
            Answer::Quit => NoPassword::Stopped,
            _ => NoPassword::Nobody,
        };
        *asking = Asking::Never(why.clone());
        Err(why)
    }

    async fn refuse(&self, node: &str) {
        *self.0.lock().await = Asking::Never(NoPassword::Refused(node.to_owned()));
    }
}

impl Reach {
    /// # Errors
    /// Where the node does not answer; with the true cause.
    pub async fn open(
        node: &Arc<Node>,
        options: &OpenOptions,
        passwords: &Passwords,
    ) -> Result<Reach, OpenError> {
        Ok(Reach {
            node: Arc::clone(node),
            session: Shell::open(node, options).await?,
            others: Arc::default(),
            here: Arc::default(),
            options: Arc::new(options.clone()),
            passwords: passwords.clone(),
        })
    }

    /// The login user's shell.
    #[must_use]
    pub fn session(&self) -> &Shell {
        &self.session
    }

    /// The session in which something runs: here or on the node, as whom.
    ///
    /// # Errors
    /// Where `sudo` refuses, or the node is gone.
    pub async fn to(&self, on: On, sudo: Option<&SudoUser>) -> Result<Shell, ReachError> {
        match (on, sudo) {
            (On::Local, _) => {
                let mut here = self.here.lock().await;
                if let Some(session) = &*here {
                    return Ok(session.clone());
                }
                let session = Shell::here(&self.options).await?;
                *here = Some(session.clone());
                Ok(session)
            }
            (On::Node, None) => Ok(self.session.clone()),
            (On::Node, Some(user)) => self.as_user(&user.0).await,
        }
    }

    /// Has all sessions with the node end by themselves, also where this process ends first.
    pub async fn let_go(&self) {
        for session in self.others.lock().await.values() {
            session.let_go().await;
        }
        if let Some(session) = &*self.here.lock().await {
            session.let_go().await;
        }
        self.session.let_go().await;
    }

    /// Whether its session has not ended, as far as is known here.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let lost = std::pin::pin!(self.session.lost());
        lost.now_or_never().is_none()
    }

    /// Ends them, and waits for that.
    pub async fn close(&self) {
        for session in self.others.lock().await.drain().map(|(_, session)| session) {
            session.close().await;
        }
        if let Some(session) = self.here.lock().await.take() {
            session.close().await;
        }
        self.session.close().await;
    }

    async fn as_user(&self, user: &str) -> Result<Shell, ReachError> {
        let mut others = self.others.lock().await;
        if let Some(session) = others.get(user) {
            return Ok(session.clone());
        }
        if self.session.hello().user == *user {
            return Ok(self.session.clone());
        }
        let wrong = |cause| ReachError::Sudo {
            user: user.to_owned(),
            cause,
        };
        let session = match self.session.sudo(user, None).await {
            Ok(session) => session,
            Err(SudoError::PasswordNeeded) => {
                let password = self.passwords.get(&self.node.name, user).await;
                let password = password.map_err(|why| ReachError::NoPassword {
                    user: user.to_owned(),
                    why,
                })?;
                match self.session.sudo(user, Some(&password)).await {
                    Ok(session) => session,
                    Err(cause) => {
                        if matches!(cause, SudoError::WrongPassword) {
                            self.passwords.refuse(&self.node.name).await;
                        }
                        return Err(wrong(cause));
                    }
                }
            }
            Err(cause) => return Err(wrong(cause)),
        };
        others.insert(user.to_owned(), session.clone());
        Ok(session)
    }
}

/// Ssh's own words after the cause, where they say more.
pub(super) fn sentence(error: &OpenError) -> String {
    match error.said.last_line() {
        Some(said) => format!("{error}: {said}"),
        None => error.to_string(),
    }
}
