//! Secrets of a run: resolved when a script first needs one, kept until its end, masked in
//! everything that leaves the engine.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::question::{Answer, Asked, Operator};
use crate::nodes::{self, SecretRef};
use crate::outside::Outside;
use crate::session::{Redactor, Secret};

#[derive(Clone, Debug)]
pub struct Secrets {
    root: PathBuf,
    operator: Operator,
    known: Arc<Mutex<HashMap<SecretRef, Secret>>>,
    /// One question at a time: the second script that needs a secret finds it known.
    asking: Arc<tokio::sync::Mutex<()>>,
    warnings: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(transparent)]
    Reference(#[from] nodes::SecretError),
    #[error("there is nobody to ask for the secret `{0}`")]
    Nobody(String),
}

impl Secrets {
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
            SecretRef::Prompt(prompt) => {
                match self
                    .operator
                    .ask(
                        node,
                        Asked::Secret {
                            prompt: prompt.clone(),
                        },
                    )
                    .await
                {
                    Answer::Secret(secret) => secret,
                    _ => return Err(SecretError::Nobody(prompt.clone())),
                }
            }
            other => {
                let nobody = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::Unsupported));
                let resolved = nodes::resolve(other, &self.root, &nobody)?;
                self.warnings().extend(resolved.warning);
                Secret::new(resolved.text.expose().as_bytes().to_vec())
            }
        };
        self.keep(reference.clone(), secret.clone());
        Ok(secret)
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
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Redactor::new(known.values())
    }

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
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(reference)
            .cloned()
    }

    fn keep(&self, reference: SecretRef, secret: Secret) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(reference, secret);
    }
}
