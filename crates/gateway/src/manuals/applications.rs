//! The applications that a manual names, as somebody may see them.

use crate::wildcard;

use super::{Person, Read};

/// An application, and the nodes on which somebody may read one of its procedures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub id: String,
    /// Its procedures: a pattern.
    pub procedures: String,
    /// The captured value that is its version.
    pub version: Option<String>,
    /// The nodes.
    pub nodes: Vec<String>,
}

impl Read {
    /// The applications; one that has no node for this person is left out.
    #[must_use]
    pub fn places(&self, who: &Person) -> Vec<Place> {
        let mut places = Vec::new();
        for (id, application) in &self.project.manual.settings.applications {
            let fits = |name: &&String| {
                wildcard::fits(application.procedures.value.as_bytes(), name.as_bytes())
            };
            let procedures: Vec<String> = { self.project.manual.procedures.keys() }
                .filter(fits)
                .cloned()
                .collect();
            // What the selector does not select is told by `lint`.
            let nodes = self.project.nodes.select_at(&application.nodes);
            let nodes: Vec<String> = { nodes.unwrap_or_default().into_iter() }
                .map(str::to_owned)
                .filter(|node| self.reads_one(who, &procedures, std::slice::from_ref(node)))
                .collect();
            if !nodes.is_empty() {
                places.push(Place {
                    id: id.clone(),
                    procedures: application.procedures.value.clone(),
                    version: application.version.as_ref().map(|name| name.value.clone()),
                    nodes,
                });
            }
        }
        places
    }
}
