//! The values of one node during a run: what the plan left open is known here.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::engine::secrets::{SecretError, Secrets};
use crate::manual::On;
use crate::nodes::{Node, Text};
use crate::plan::{Binding, Bound, fill};
use crate::session::{ValueError, Values};

/// Values that only a run knows, over the node's own.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    known: BTreeMap<String, String>,
    /// The file with what the steps have set, on the node and here.
    state: [Option<String>; 2],
}

/// A script cannot be given its values.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("`{0}` is not known yet: the step that captures it has not run")]
    NotCaptured(String),
}

impl Scope {
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.known.insert(name.to_owned(), value.into());
    }

    /// Checks see what the steps before them have set: the bundle of that side keeps it.
    pub fn set_state(&mut self, on: On, bundle: &str) {
        self.state[usize::from(on == On::Local)] = Some(format!("{bundle}/state"));
    }

    #[must_use]
    pub fn state(&self, on: On) -> Option<&str> {
        self.state[usize::from(on == On::Local)].as_deref()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.known
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.known.get(name).map(String::as_str)
    }

    /// The values that a script mentions.
    ///
    /// # Errors
    /// A secret that cannot be resolved, a value that no shell can hold.
    pub async fn values(
        &self,
        node: &str,
        bindings: &[Binding],
        secrets: &Secrets,
    ) -> Result<Values, ScopeError> {
        let mut values = Values::new();
        for binding in bindings {
            match &binding.value {
                Bound::Text(Text::Plain(text)) => values.insert(&binding.name, text.clone())?,
                Bound::Text(Text::Secret(reference)) => {
                    values.insert_secret(&binding.name, secrets.resolve(node, reference).await?)?;
                }
                Bound::Captured => {
                    let text = self.get(&binding.name);
                    let text = text.ok_or_else(|| ScopeError::NotCaptured(binding.name.clone()))?;
                    values.insert(&binding.name, text)?;
                }
            }
        }
        Ok(values)
    }

    /// An expected text with its values put in. A secret stays a reference: no expectation
    /// may hold one.
    #[must_use]
    pub fn filled(&self, node: &Node, text: &str) -> String {
        fill(text, |name: &str, _: Range<usize>| {
            self.get(name)
                .map(str::to_owned)
                .or_else(|| match node.text(name) {
                    Ok(Text::Plain(value)) => Some(value),
                    Ok(Text::Secret(_)) | Err(_) => None,
                })
        })
    }
}
