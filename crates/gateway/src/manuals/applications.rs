//! The applications of a manual that a person may see.

use crate::wildcard;

use super::{Person, Read};

/// An application, and the nodes on which the person may read one of its procedures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub id: String,
    /// The pattern of its procedures.
    pub procedures: String,
    /// The captured value with its version.
    pub version: Option<String>,
    /// The nodes.
    pub nodes: Vec<String>,
}

impl Read {
    /// The applications; leaves out those without a node for this person.
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
            // `lint` reports invalid selectors.
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
