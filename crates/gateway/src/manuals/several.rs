//! The manuals of a gateway by name. A single manual need not be named.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::wire::{Kind, Problem, limit};

use super::Manual;

/// All manuals of a gateway; at least one.
#[derive(Debug)]
pub struct Manuals(BTreeMap<String, Arc<Manual>>);

impl Manuals {
    /// These.
    #[must_use]
    pub fn new(all: Vec<Manual>) -> Manuals {
        let all = all.into_iter();
        Manuals(all.map(|one| (one.id.clone(), Arc::new(one))).collect())
    }

    /// All of them, sorted by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Manual>> {
        self.0.values()
    }

    /// The only manual, if there is one.
    #[must_use]
    pub fn alone(&self) -> Option<&Arc<Manual>> {
        let mut all = self.0.values();
        all.next().filter(|_| all.next().is_none())
    }

    /// Their names, for a sentence.
    #[must_use]
    pub fn names(&self) -> String {
        self.0.keys().cloned().collect::<Vec<_>>().join(", ")
    }

    /// The manual with this name; without a name, the only one.
    ///
    /// # Errors
    /// If it does not exist, or there are several and no name.
    pub fn one(&self, id: Option<&str>) -> Result<&Arc<Manual>, Box<Problem>> {
        let Some(id) = id else {
            return self.alone().ok_or_else(|| {
                let detail = format!("`manual` must name one of: {}", self.names());
                Box::new(Problem::new(Kind::Wrong, detail))
            });
        };
        self.0.get(id).ok_or_else(|| {
            let cut = id.floor_char_boundary(limit::NAME);
            let id = crate::outside::line(&id[..cut]);
            let detail = format!("this gateway has no manual `{id}`: it has {}", self.names());
            Box::new(Problem::new(Kind::NotFound, detail))
        })
    }

    /// The manual whose rules apply to data of this one: if there is only one manual, that one,
    /// even if it had another name at the time.
    ///
    /// # Errors
    /// If it is none of several.
    pub fn of(&self, id: &str) -> Result<&Arc<Manual>, Box<Problem>> {
        match self.alone() {
            Some(alone) => Ok(alone),
            None => self.one(Some(id)),
        }
    }

    /// The manual with this name; without a name, the only one with the procedure. May take long.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn with(&self, id: Option<&str>, procedure: &str) -> Result<&Arc<Manual>, Box<Problem>> {
        if id.is_some() || self.0.len() == 1 {
            return self.one(id);
        }
        let has = |manual: &&Arc<Manual>| {
            let read = manual.read();
            read.is_ok_and(|read| read.project.manual.procedures.contains_key(procedure))
        };
        let mut have = self.0.values().filter(has);
        match (have.next(), have.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => self.one(None),
            (None, _) => {
                let cut = procedure.floor_char_boundary(limit::NAME);
                let procedure = crate::outside::line(&procedure[..cut]);
                let detail = format!("no manual has a procedure `{procedure}`");
                Err(Box::new(Problem::new(Kind::NotFound, detail)))
            }
        }
    }
}
