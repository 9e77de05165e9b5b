//! The values of one node during a run: everything that the plan left open.

use std::collections::{BTreeMap, BTreeSet};

use crate::interpolation::Interpolated;
use crate::manual::On;
use crate::nodes::{Node, Text};
use crate::plan::{Value, Variable};
use crate::secrets::{SecretError, Secrets};
use crate::session::{MASK, ValueError, Values};

/// Values known only in the run, in addition to the node's own.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    known: BTreeMap<String, String>,
    /// Values that an earlier controller captured with a secret in them: the journal has masked
    /// them.
    masked: BTreeSet<String>,
    /// The files with the variables of steps, on the node and here.
    state: [Option<String>; 2],
}

/// Why a script cannot get its values.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("`{0}` is not known yet: the step that captures it has not run")]
    NotCaptured(String),
    #[error(
        "`{0}` holds a secret, so its captured value was not kept: start at the step that \
         captures it"
    )]
    Masked(String),
}

impl Scope {
    /// Sets the value of a name.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.masked.remove(name);
        self.known.insert(name.to_owned(), value.into());
    }

    /// Sets a value from an earlier controller's journal.
    pub fn set_again(&mut self, name: &str, value: String) {
        if value
            .as_bytes()
            .windows(MASK.len())
            .any(|part| part == MASK)
        {
            self.known.remove(name);
            self.masked.insert(name.to_owned());
        } else {
            self.set(name, value);
        }
    }

    /// Lets checks see the variables of earlier steps, from the bundle of that side.
    pub fn set_state(&mut self, on: On, bundle: &str) {
        self.state[usize::from(on == On::Local)] = Some(format!("{bundle}/state"));
    }

    /// Takes over values that another node of the run has captured under these names.
    pub fn know_captured<'n>(&mut self, other: &Scope, names: impl Iterator<Item = &'n str>) {
        for name in names {
            if let Some(value) = other.known.get(name) {
                self.set(name, value);
            } else if other.masked.contains(name) {
                self.known.remove(name);
                self.masked.insert(name.to_owned());
            }
        }
    }

    /// Switches to another node, with the run's bundle there.
    pub fn move_to(&mut self, bundle: Option<&str>, on: On) {
        if let Some(bundle) = bundle {
            self.set("bundle", bundle);
            self.set_state(on, bundle);
        } else {
            self.known.remove("bundle");
            self.state[usize::from(on == On::Local)] = None;
        }
    }

    /// The variables for later scripts on this side, as shell text.
    #[must_use]
    pub fn state(&self, on: On) -> Option<&str> {
        self.state[usize::from(on == On::Local)].as_deref()
    }

    /// The run's own names and values, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.known
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a name, if set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.known.get(name).map(String::as_str)
    }

    /// A value that must be known by now.
    ///
    /// # Errors
    /// If no step of this run has captured it, or its value is no longer known.
    pub fn captured(&self, name: &str) -> Result<&str, ScopeError> {
        match self.get(name) {
            Some(text) => Ok(text),
            None if self.masked.contains(name) => Err(ScopeError::Masked(name.to_owned())),
            None => Err(ScopeError::NotCaptured(name.to_owned())),
        }
    }

    /// The values that a script mentions.
    ///
    /// # Errors
    /// If a secret cannot be resolved, or no shell can hold a value.
    pub async fn values(
        &self,
        node: &str,
        bindings: &[Variable],
        secrets: &Secrets,
    ) -> Result<Values, ScopeError> {
        let mut values = Values::new();
        for binding in bindings {
            match &binding.value {
                Value::Text(Text::Plain(text)) => values.insert(&binding.name, text.clone())?,
                Value::Text(Text::Secret(reference)) => {
                    values.insert_secret(&binding.name, secrets.resolve(node, reference).await?)?;
                }
                Value::Captured => {
                    values.insert(&binding.name, self.captured(&binding.name)?)?;
                }
                // Whoever runs the step renders it.
                Value::Rendered => {}
            }
        }
        Ok(values)
    }

    /// An expected text with its values substituted. Secrets stay references: no expectation may
    /// contain one.
    #[must_use]
    pub fn filled(&self, node: &Node, text: &Interpolated) -> Interpolated {
        text.fill(|name| {
            self.get(name)
                .map(str::to_owned)
                .or_else(|| match node.text(name) {
                    Ok(Text::Plain(value)) => Some(value),
                    Ok(Text::Secret(_)) | Err(_) => None,
                })
        })
    }
}
