//! The nodes of a run over several, for code that must look at another node than its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bundle::Bundle;
use crate::manual::On;
use crate::reach::Reach;
use crate::scope::Scope;

/// The nodes of a run by name. All parts of the run share it.
#[derive(Clone, Debug, Default)]
pub struct Peers(Arc<Mutex<BTreeMap<String, Peer>>>);

/// One node, as another one sees it.
#[derive(Clone, Debug)]
pub struct Peer {
    pub reach: Reach,
    /// `None` before it is open.
    pub bundle: Option<Bundle>,
}

impl Peers {
    /// The same nodes, for a turn that has its own bundles on some of them.
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

    /// All of them, sorted by name.
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
    /// The run's known values, as a script on this node sees them.
    #[must_use]
    pub fn scope(&self, known: &Scope) -> Scope {
        let mut scope = known.clone();
        let dir = self.bundle.as_ref().map(|bundle| bundle.dir.as_str());
        scope.move_to(dir, On::Node);
        scope
    }
}
