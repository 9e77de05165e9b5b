//! Secrets of a run: resolved on first use, kept until its end, masked in everything that leaves
//! the engine.

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

/// The secrets of a run: each is looked up once and always masked.
#[derive(Clone, Debug)]
pub struct Secrets {
    root: PathBuf,
    operator: Operator,
    known: Arc<Mutex<Known>>,
    /// One question at a time: a second script that needs the secret finds it known.
    asking: Arc<tokio::sync::Mutex<()>>,
    warnings: Arc<Mutex<Vec<String>>>,
}

/// The known secrets and their mask, which is rebuilt with each new secret.
#[derive(Debug, Default)]
struct Known {
    secrets: HashMap<SecretRef, Secret>,
    redactor: Redactor,
}

/// Why a secret is not available.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Its reference does not yield it.
    #[error(transparent)]
    Reference(#[from] nodes::SecretError),
    /// It must be typed, and nobody can be asked.
    #[error("there is nobody to ask for the secret `{0}`")]
    Nobody(String),
    /// The operator typed nothing.
    #[error("nothing was given for the secret `{0}`")]
    Empty(String),
    /// The operator stopped at the question.
    #[error("the operator stopped at the prompt for a secret")]
    Stopped,
}

/// Sets the flag when dropped.
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Secrets {
    /// No secret is known yet. File paths are relative to `root`.
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
    /// If the reference cannot be resolved, or nobody answers.
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

    /// A command may take long: it is killed when nobody waits for the result any more.
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
            // Ctrl-C also reaches the command itself.
            nodes::SecretError::Failed { status, .. }
                if status.signal() == Some(Signal::INT.as_raw()) =>
            {
                SecretError::Stopped
            }
            _ => error.into(),
        })
    }

    /// Warnings about the secrets found, such as a file that others can read. Returns each once.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings())
    }

    fn warnings(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Masks every secret known so far.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        self.known().redactor.clone()
    }

    /// The text with every known secret masked.
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
