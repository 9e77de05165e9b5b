//! What every part of the gateway shares.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bell::Bell;
use crate::blobs::Blobs;
use crate::config::{Alerts, Hook, Schedule};
use crate::counters::Counters;
use crate::manuals::Manuals;
use crate::oidc::Providers;
use crate::segments::Segments;
use crate::store::Store;
use crate::ticket::Ticket;
use crate::tls::Certificates;
use crate::wire::version::Rule;

/// Says something to whoever looks after the gateway.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// A gateway.
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// Which clients it serves.
    pub rule: Rule,
    /// What was ordered.
    pub store: Store,
    /// What steps printed.
    pub blobs: Blobs,
    /// Archives of the manual.
    pub archives: std::path::PathBuf,
    /// Its names beside that one, as requests may give them.
    pub names: Vec<String>,
    /// What runners of other machines prove themselves with.
    pub certificates: Certificates,
    /// How runners log in at nodes.
    pub segments: Segments,
    /// Where people and programs log in.
    pub providers: Providers,
    /// Whose ssh keys log in.
    pub signers: Option<std::path::PathBuf>,
    /// Whose ssh keys approve runs.
    pub approvers: Option<std::path::PathBuf>,
    /// What is done again and again.
    pub schedules: BTreeMap<String, Schedule>,
    /// Who is told what fails.
    pub alerts: BTreeMap<String, Alerts>,
    /// Who is told what happens.
    pub hooks: BTreeMap<String, Hook>,
    /// Who knows tickets.
    pub ticket: Option<Ticket>,
    /// Who waits.
    pub bell: Arc<Bell>,
    /// The manuals.
    pub manuals: Manuals,
    /// The user of this machine whose gateway it is.
    pub local: LocalUser,
    /// Requests by their answers.
    pub counters: Counters,
}

/// The user of this machine whose gateway it is.
pub struct LocalUser {
    /// Their number.
    pub uid: u32,
    /// Their name.
    pub person: String,
    /// SHA-256 of the token in their file.
    pub token_sha256: String,
    /// The name of their runner, one for each state folder: gateways may share a store.
    pub runner: String,
    /// Where people find the gateway.
    pub url: String,
}

impl Gateway {
    /// Whether a host's name is this gateway's own.
    #[must_use]
    pub fn is_named(&self, host: &str) -> bool {
        let is = |name: &String| host.eq_ignore_ascii_case(name);
        is(&self.name) || self.names.iter().any(is)
    }

    /// Whether browsers reach it by TLS alone.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.local.url.starts_with("https:")
    }
}

/// The name of a new run.
#[must_use]
pub fn new_run() -> String {
    crate::project::Start::new_run().run().to_owned()
}
