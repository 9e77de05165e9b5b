//! The sessions of a node: the login user's, those of other users, and the local one.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::Mutex;

use crate::manual::{On, SudoUser};
use crate::nodes::Node;
use crate::outside::Outside;
use crate::question::{Answer, Asked, Operator};
use crate::session::{Lost, OpenError, OpenOptions, Password, SudoError};
use crate::shell::Shell;

/// The sessions of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The node.
    pub node: Arc<Node>,
    session: Shell,
    others: Arc<Mutex<HashMap<String, Shell>>>,
    here: Arc<Mutex<Option<Shell>>>,
    options: Arc<OpenOptions>,
    passwords: Passwords,
}

/// The `sudo` password of a run: asked once for all nodes, and only if a node wants it.
#[derive(Clone, Debug)]
pub struct Passwords(Arc<Mutex<Asking>>, Operator);

#[derive(Debug)]
enum Asking {
    Not,
    Given(Password),
    /// It was refused somewhere, or nobody answered: never try it again on any node.
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
    /// `sudo` does not accept the given password for this user.
    #[error("sudo refused the password on `{0}`; it is not tried again")]
    Refused(String),
    /// The operator stopped at the question.
    #[error("the operator stopped at the password prompt")]
    Stopped,
}

/// Why a session is not available.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The session could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The session was lost.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// `sudo` refused.
    #[error("sudo as `{user}`: {cause}")]
    Sudo {
        /// The user to become.
        user: String,
        /// What `sudo` says.
        cause: SudoError,
    },
    /// `sudo` wants a password, and there is none.
    #[error("sudo as `{user}`: {why}")]
    NoPassword {
        /// The user to become.
        user: String,
        /// Why there is none.
        why: NoPassword,
    },
}

impl Passwords {
    /// Passwords from the operator, or the given one.
    #[must_use]
    pub fn new(operator: Operator, given: Option<Password>) -> Passwords {
        let asking = given.map_or(Asking::Not, Asking::Given);
        Passwords(Arc::new(Mutex::new(asking)), operator)
    }

    /// The password; asks for it if it is unknown. `of` is whose password it is, where that is not
    /// the login user's.
    ///
    /// # Errors
    /// If nobody gives it.
    pub async fn get(
        &self,
        node: &str,
        user: &str,
        of: Option<Outside>,
    ) -> Result<Password, NoPassword> {
        let mut asking = self.0.lock().await;
        match &*asking {
            Asking::Given(password) => return Ok(password.clone()),
            Asking::Never(why) => return Err(why.clone()),
            Asking::Not => {}
        }
        let user = user.to_owned();
        let asked = self.1.ask(node, Asked::SudoPassword { user, of }, None);
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
    /// If the node does not answer; with the true cause.
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

    /// The session for this side and user.
    ///
    /// # Errors
    /// If `sudo` refuses, or the node is gone.
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

    /// Lets all sessions with the node end by themselves, even if this process ends first.
    pub async fn let_go(&self) {
        for session in self.others.lock().await.values() {
            session.let_go().await;
        }
        if let Some(session) = &*self.here.lock().await {
            session.let_go().await;
        }
        self.session.let_go().await;
    }

    /// Whether its session is alive, as far as is known here.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let lost = std::pin::pin!(self.session.lost());
        lost.now_or_never().is_none()
    }

    /// Ends the sessions, and waits for their end.
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
            Err(SudoError::PasswordNeeded { of }) => {
                let login = &self.session.hello().user;
                let of = Some(of).filter(|of| !of.is_empty() && of != login);
                let password = self.passwords.get(&self.node.name, user, of).await;
                let password = password.map_err(|why| ReachError::NoPassword {
                    user: user.to_owned(),
                    why,
                })?;
                match self.session.sudo(user, Some(&password)).await {
                    Ok(session) => session,
                    Err(cause) => {
                        if matches!(cause, SudoError::WrongPassword { .. }) {
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
