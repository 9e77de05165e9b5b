//! The data that all parts of the gateway share.

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
use crate::turns::Turns;
use crate::wire::version::Rule;

/// Reports a message to the gateway's administrator.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// A gateway.
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// Which client versions it serves.
    pub rule: Rule,
    /// The store of orders.
    pub store: Store,
    /// The store of output.
    pub blobs: Blobs,
    /// The folder of the manual's archives.
    pub archives: std::path::PathBuf,
    /// Its other host names that requests may use.
    pub names: Vec<String>,
    /// The certificates of runners on other machines.
    pub certificates: Certificates,
    /// How runners log in to nodes.
    pub segments: Segments,
    /// The folder of sealed certificates.
    pub sealed: std::path::PathBuf,
    /// Identity providers for people and programs.
    pub providers: Providers,
    /// The ssh keys for logins.
    pub signers: Option<std::path::PathBuf>,
    /// The ssh keys for approvals.
    pub approvers: Option<std::path::PathBuf>,
    /// Scheduled work.
    pub schedules: BTreeMap<String, Schedule>,
    /// Receivers of repeated alerts.
    pub alerts: BTreeMap<String, Alerts>,
    /// Receivers of single messages.
    pub hooks: BTreeMap<String, Hook>,
    /// The ticket tool.
    pub ticket: Option<Ticket>,
    /// The doorbell.
    pub bell: Arc<Bell>,
    /// The line of runners that want the store.
    pub turns: Turns,
    /// The manuals.
    pub manuals: Manuals,
    /// The user who runs the gateway on this machine.
    pub local: LocalUser,
    /// Counts of requests.
    pub counters: Counters,
}

/// The user who runs the gateway on this machine.
pub struct LocalUser {
    /// Their user id.
    pub uid: u32,
    /// Their name.
    pub person: String,
    /// SHA-256 of the token in their file.
    pub token_sha256: String,
    /// The name of their runner, one for each state folder: gateways may share a store.
    pub runner: String,
    /// The gateway's address for people.
    pub url: String,
}

impl Gateway {
    /// Whether a host name is one of the gateway's.
    #[must_use]
    pub fn is_named(&self, host: &str) -> bool {
        let is = |name: &String| host.eq_ignore_ascii_case(name);
        is(&self.name) || self.names.iter().any(is)
    }

    /// Whether browsers reach it only with TLS.
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
