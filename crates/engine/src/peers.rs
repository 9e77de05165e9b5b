//! The machines of a run over several, for whoever must look at another one than its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bundle::Bundle;
use crate::manual::On;
use crate::reach::Reach;
use crate::scope::Scope;

/// The machines of a run by their names. Shared by all that is done in it.
#[derive(Clone, Debug, Default)]
pub struct Peers(Arc<Mutex<BTreeMap<String, Peer>>>);

/// One machine, as another one sees it.
#[derive(Clone, Debug)]
pub struct Peer {
    pub reach: Reach,
    /// None before it is open.
    pub bundle: Option<Bundle>,
}

impl Peers {
    /// The same machines, for a turn that has bundles of its own on some of them.
    #[must_use]
    pub fn copy(&self) -> Peers {
        let peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Peers(Arc::new(Mutex::new(peers.clone())))
    }

    #[must_use]
    pub fn get(&self, node: &str) -> Option<Peer> {
        let peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peers.get(node).cloned()
    }

    /// All of them, in the order of their names.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Peer)> {
        let peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let peers = peers.iter();
        peers
            .map(|(node, peer)| (node.clone(), peer.clone()))
            .collect()
    }

    pub fn put(&self, node: &str, peer: Peer) {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peers.insert(node.to_owned(), peer);
    }
}

impl Peer {
    /// What is known of the run, as a script on this machine sees it.
    #[must_use]
    pub fn scope(&self, known: &Scope) -> Scope {
        let mut scope = known.clone();
        let dir = self.bundle.as_ref().map(|bundle| bundle.dir.as_str());
        scope.move_to(dir, On::Node);
        scope
    }
}
