//! Compares the sentence before a block with the block's node. Code hosts hide the words after the
//! language, so the reader sees only the sentence. If it names another node, that is reported.
//!
//! Only a place counts: *on the new machine*, not *announce the new member*. Without this rule,
//! most correct pages would have warnings.

use super::{Assembly, Of};
use crate::Machine;
use crate::markdown::fence::Tag;
use crate::model::attributes::Attributes;
use crate::source::Problem;

/// Prepositions of place: a role counts within so many words after one of them.
const PLACES: [&str; 4] = ["on", "from", "at", "in"];
const REACH: usize = 4;

impl Assembly<'_> {
    /// `said` is the sentence directly before the block; if it is empty, the heading counts, unless
    /// something else is between them.
    pub(super) fn other_machine_is_said(
        &mut self,
        tag: &Tag<'_>,
        attributes: &Attributes,
        said: &str,
        heading_is_near: bool,
    ) {
        let Some(Of::Procedure(index)) = self.scopes.last().map(|scope| &scope.of) else {
            return;
        };
        let roles = &self.found.procedures[*index].roles;
        let machine = attributes.on.as_ref();
        let machine = machine.and_then(|place| place.machine.as_ref());
        let Some(Machine::Role(own) | Machine::All(own)) = machine else {
            return;
        };
        let (what, said) = match said.trim() {
            "" if heading_is_near => ("heading", self.heading.1.as_str()),
            said => ("sentence", said),
        };
        let is_role = |word: &str| roles.contains_key(word);
        let Some(other) = place_of_another(said, own, &is_role) else {
            return;
        };
        let message =
            format!("the {what} before this block says `{other}`, and it runs on `{own}`");
        let problem = Problem::warning("prose-names-other-role", self.span(&tag.range), message);
        self.problems.push(problem.hint(format!(
            "write `{own}` in it: many readers see nothing else"
        )));
    }
}

/// The role that a text names as a place, unless the text also names `own`.
fn place_of_another(text: &str, own: &str, is_role: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut far = usize::MAX;
    let mut other = None;
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let bare = bare.to_lowercase();
        if bare == own {
            return None;
        }
        far = far.saturating_add(1);
        if far <= REACH && other.is_none() && is_role(&bare) {
            other = Some(bare.clone());
        }
        if PLACES.contains(&bare.as_str()) {
            far = 0;
        }
        if word.ends_with([',', ':', ';', '.']) {
            far = usize::MAX;
        }
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_place_is_told() {
        let is_role = |word: &str| ["old", "new", "web", "lb"].contains(&word);
        for (text, own, other) in [
            ("On the new machine:", "old", Some("new")),
            ("On the **New** machine:", "old", Some("new")),
            (
                "On the new machine, see that the old one is down:",
                "old",
                None,
            ),
            ("Announce the new member:", "old", None),
            (
                "On all load balancers, give the web node no traffic",
                "lb",
                None,
            ),
            (
                "Log in to it, and on each of the web nodes",
                "lb",
                Some("web"),
            ),
            ("Continue on, then the new", "old", None),
            ("A renewal on renewed hosts", "old", None),
            ("", "old", None),
        ] {
            let found = place_of_another(text, own, &is_role);
            assert_eq!(found.as_deref(), other, "{text}");
        }
    }
}
