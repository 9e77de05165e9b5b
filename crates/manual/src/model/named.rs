//! How a procedure and its steps are named to a person: on a card, in the book, in a message.

use crate::{Procedure, Step};

impl Procedure {
    /// The command that runs it, as far as its contract says: `opsbook run web.deploy web1
    /// --set version=VERSION`. `NODE` stands where there may be several.
    #[must_use]
    pub fn command(&self) -> String {
        let one = |nodes: &&str| !nodes.contains(['@', '*', '?', '!', '&', ',', '$']);
        let nodes = self.nodes.as_ref().map(|nodes| nodes.value.as_str());
        let node = nodes.filter(one).unwrap_or("NODE");
        let required = self.params.iter();
        let required = required.filter(|(_, param)| param.required && param.default.is_none());
        let set = required.map(|(name, _)| format!(" --set {name}={}", name.to_uppercase()));
        format!("opsbook run {} {node}{}", self.id, set.collect::<String>())
    }

    /// A step's name in the whole manual: `web.deploy/install`, or its number where it has
    /// no id.
    #[must_use]
    pub fn name_of(&self, step: &Step) -> String {
        match &step.id {
            Some(id) => format!("{}/{id}", self.id),
            None => format!("{}/{}", self.id, step.number),
        }
    }
}
