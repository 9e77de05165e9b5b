//! Secrets of a run: resolved when a script first needs one, kept until its end, masked in
//! everything that leaves the engine.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;

use crate::nodes::{self, SecretRef};
use crate::outside::Outside;
use crate::question::{Answer, Asked, Operator};
use crate::session::{Redactor, Secret};

/// The secrets of a run: each is looked up once, and masked wherever it would be shown.
#[derive(Clone, Debug)]
pub struct Secrets {
    root: PathBuf,
    operator: Operator,
    known: Arc<Mutex<Known>>,
    /// One question at a time: the second script that needs a secret finds it known.
    asking: Arc<tokio::sync::Mutex<()>>,
    warnings: Arc<Mutex<Vec<String>>>,
}

/// The secrets that were found, and what masks them: made anew with each more of them.
#[derive(Debug, Default)]
struct Known {
    secrets: HashMap<SecretRef, Secret>,
    redactor: Redactor,
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// What it refers to does not give it.
    #[error(transparent)]
    Reference(#[from] nodes::SecretError),
    /// It is to be typed, and nobody can be asked.
    #[error("there is nobody to ask for the secret `{0}`")]
    Nobody(String),
    /// Nothing was typed.
    #[error("nothing was given for the secret `{0}`")]
    Empty(String),
    /// The operator has stopped it at the question.
    #[error("the operator stopped where a secret was looked up")]
    Stopped,
}

/// Says so when it goes.
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Secrets {
    /// None is known yet. Files are relative to `root`.
    #[must_use]
    pub fn new(root: PathBuf, operator: Operator) -> Secrets {
        Secrets {
            root,
            operator,
            known: Arc::default(),
            asking: Arc::default(),
            warnings: Arc::default(),
        }
    }

    /// # Errors
    /// Where the reference leads nowhere, or nobody answers.
    pub async fn resolve(&self, node: &str, reference: &SecretRef) -> Result<Secret, SecretError> {
        let _one = self.asking.lock().await;
        if let Some(secret) = self.look_up(reference) {
            return Ok(secret);
        }
        let secret = match reference {
            SecretRef::Prompt(prompt) => self.asked(node, prompt).await?,
            other => {
                let resolved = self.looked_up(other.clone()).await?;
                self.warnings().extend(resolved.warning);
                Secret::new(resolved.text.expose().as_bytes().to_vec())
            }
        };
        self.keep(reference.clone(), secret.clone());
        Ok(secret)
    }

    async fn asked(&self, node: &str, prompt: &str) -> Result<Secret, SecretError> {
        let prompt = prompt.to_owned();
        let ask = Asked::Secret {
            prompt: prompt.clone(),
        };
        match self.operator.ask(node, ask, None).await {
            Answer::Secret(secret) if secret.expose().is_empty() => Err(SecretError::Empty(prompt)),
            Answer::Secret(secret) => Ok(secret),
            Answer::Quit => Err(SecretError::Stopped),
            _ => Err(SecretError::Nobody(prompt)),
        }
    }

    /// A command may take its time: it is ended where nobody waits for this any more.
    async fn looked_up(&self, reference: SecretRef) -> Result<nodes::Resolved, SecretError> {
        let given_up = GivenUp(Arc::default());
        let (root, flag) = (self.root.clone(), Arc::clone(&given_up.0));
        let looked = tokio::task::spawn_blocking(move || {
            let nobody = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::Unsupported));
            nodes::resolve(&reference, &root, &nobody, &flag)
        });
        let looked = looked.await;
        let looked = looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        looked.map_err(|error| match &error {
            // Ctrl-C reaches the command itself, too.
            nodes::SecretError::Failed { status, .. }
                if status.signal() == Some(Signal::INT.as_raw()) =>
            {
                SecretError::Stopped
            }
            _ => error.into(),
        })
    }

    /// What is to be said about secrets that were found: a file that others can read. Each
    /// is given once.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings())
    }

    fn warnings(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Masks everything that is known to be secret by now.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        self.known().redactor.clone()
    }

    /// A text in which every secret that is known by now is masked.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut redactor = self.redactor();
        let mut masked = redactor.push(text.as_bytes());
        masked.extend(redactor.finish());
        String::from_utf8_lossy(&masked).into_owned()
    }

    /// The same for text from outside.
    #[must_use]
    pub fn masked(&self, text: &Outside) -> Outside {
        self.mask(text.exact()).into()
    }

    fn look_up(&self, reference: &SecretRef) -> Option<Secret> {
        self.known().secrets.get(reference).cloned()
    }

    fn keep(&self, reference: SecretRef, secret: Secret) {
        let mut known = self.known();
        known.secrets.insert(reference, secret);
        known.redactor = Redactor::new(known.secrets.values());
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
