//! The state of a run beyond its plan, from its journal: for a person who continues by hand.

use std::collections::BTreeMap;

use crate::event::{Site, What};
use crate::journal::Record;
use crate::manual::{On, SudoUser};
use crate::session::MASK;

/// The state on one node; empty before the run.
#[derive(Debug, Default)]
pub struct Known {
    /// The id of the run; empty if it has none yet.
    pub run: String,
    /// The existing bundles, on the node and on this machine.
    bundles: [Option<String>; 2],
    /// The bundles of other users on the node.
    pub of_users: BTreeMap<String, String>,
    /// The captured values, without those that contain a secret.
    captured: BTreeMap<String, String>,
}

impl Known {
    /// Before the run: the given values for captured names.
    #[must_use]
    pub fn given(arguments: &[(String, String)]) -> Known {
        Known {
            captured: arguments.iter().cloned().collect(),
            ..Known::default()
        }
    }

    /// The values that steps captured or the operator gave, without secrets.
    pub fn captured(&self) -> impl Iterator<Item = (&str, &str)> {
        let captured = self.captured.iter();
        captured.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// From the journal, for one site.
    #[must_use]
    pub fn of<'p>(record: &Record, site: impl Into<Site<'p>>) -> Known {
        let site = site.into();
        let run = record.events.first().map(|event| event.run.clone());
        let captured = captured(record, site).into_iter();
        let mut known = Known {
            run: run.unwrap_or_default(),
            captured: captured.filter(|(_, value)| !holds_secret(value)).collect(),
            ..Known::default()
        };
        let mut kept = [false; 2];
        for event in record.of(site) {
            match &event.what {
                What::BundleKept { path, local } => {
                    known.bundles[side(*local)] = Some(path.clone());
                    kept[side(*local)] = true;
                }
                What::BundleOpened {
                    path,
                    user: Some(user),
                    ..
                } => drop(known.of_users.insert(user.clone(), path.clone())),
                What::BundleOpened { path, local, .. }
                | What::BundleReopened { path, local, .. } => {
                    known.bundles[side(*local)] = Some(path.clone());
                    kept[side(*local)] = false;
                }
                What::BundleClosed {
                    user: Some(user), ..
                } => drop(known.of_users.remove(user)),
                What::BundleClosed { local, .. } => known.bundles[side(*local)] = None,
                What::NodeEnded { .. } => {
                    // A bundle that was not kept is gone or belongs to another run.
                    for (bundle, kept) in known.bundles.iter_mut().zip(kept) {
                        bundle.take_if(|_| !kept);
                    }
                }
                _ => {}
            }
        }
        known
    }

    /// The bundle on the node.
    #[must_use]
    pub fn bundle(&self) -> Option<&str> {
        self.bundles[side(false)].as_deref()
    }

    /// Sets the folder for local steps done by hand, if they have no bundle yet.
    pub fn set_local_bundle(&mut self, path: String) {
        self.bundles[side(true)] = Some(path);
    }

    /// A script's variable on one side, for the login user or another one, if known.
    #[must_use]
    pub fn value(&self, name: &str, on: On, user: Option<&SudoUser>) -> Option<&str> {
        match name {
            "run_id" => Some(self.run.as_str()).filter(|run| !run.is_empty()),
            "bundle" => user
                .filter(|_| on == On::Node)
                .and_then(|user| self.of_users.get(&user.0))
                .or(self.bundles[side(on == On::Local)].as_ref())
                .map(String::as_str),
            _ => self.captured.get(name).map(String::as_str),
        }
    }
}

/// The captured values. In a run over several nodes every node knows them; those of a turn are
/// known only within it.
fn captured(record: &Record, site: Site<'_>) -> Vec<(String, String)> {
    let started = record.started();
    if started.is_none_or(|started| started.roles.is_empty()) {
        return record.captured(site);
    }
    let of = |turn: Option<&str>| {
        let events = record.events.iter();
        let events = events.filter(move |event| event.turn.as_deref() == turn);
        let values = events.filter_map(|event| match &event.what {
            What::ValueCaptured { name, value } => Some((name.clone(), value.exact().to_owned())),
            _ => None,
        });
        values.collect::<Vec<_>>()
    };
    let mut all = of(None);
    if site.turn.is_some() {
        all.extend(of(site.turn));
    }
    all
}

fn holds_secret(value: &str) -> bool {
    value
        .as_bytes()
        .windows(MASK.len())
        .any(|part| part == MASK)
}

fn side(local: bool) -> usize {
    usize::from(local)
}
