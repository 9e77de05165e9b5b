//! A `file` block with `to=`: writes a text to a file on the node, as the reader would paste it.

use std::ops::Range;

use super::Assembly;
use crate::markdown::fence::Tag;
use crate::model::attributes::Attributes;
use crate::source::Problem;
use crate::{How, Machine, On, Place, Work};

/// Attributes of a `file` block that need `to=`.
const WITH_TO: [&str; 6] = ["owner", "sudo", "append", "edit", "timeout", "setup"];

impl Assembly<'_> {
    pub(super) fn place(
        &mut self,
        block: usize,
        tag: &Tag<'_>,
        attributes: Attributes,
        title: String,
    ) {
        let place = self.span(&tag.range);
        let how = self.how(tag, &attributes);
        self.file_is_whole(block, tag, &attributes, how);
        self.here_as_you_are(tag, &attributes);
        let body = &self.blocks[block].text;
        if body.text.trim().is_empty() {
            self.empty(tag);
        } else if how == How::Edit
            && let Some((range, message)) = wrong_edit(&body.text)
        {
            let problem = Problem::error("edit-malformed", body.span(range), message);
            let hint = "a line begins with `-` if it is removed, `+` if it is added, a space if \
                it stays; `@@` begins the next place";
            self.problems.push(problem.hint(hint));
        }
        // An error in the path has already been reported.
        let to = attributes.to.clone();
        let (to, span) = to.map_or(("/unnamed".to_owned(), place), |to| (to.value, to.span));
        let work = Work::Place(Place {
            span,
            to,
            text: self.placeholders().in_template(&self.blocks[block].text),
            mode: attributes.mode,
            owner: attributes.owner.clone(),
            how,
        });
        self.step(block, tag, attributes, title, work);
    }

    fn how(&mut self, tag: &Tag<'_>, attributes: &Attributes) -> How {
        if let Some(name) = &attributes.bundle_name {
            let message = "a file has either `as`, its name in the bundle, or `to`, its path on \
                the machine";
            self.problems.push(Problem::error(
                "misplaced-attribute",
                name.span.clone(),
                message,
            ));
        }
        match (&attributes.append, &attributes.edit) {
            (Some(_), Some(edit)) => {
                let message = "`append` and `edit` exclude each other";
                let problem = Problem::error("misplaced-attribute", edit.clone(), message);
                self.problems.push(problem);
                How::Edit
            }
            (Some(_), None) => How::Append,
            (None, Some(_)) => How::Edit,
            (None, None) => {
                if attributes.mode.is_none() && !tag.words.iter().any(|word| word.key == "mode") {
                    let message = "this file does not say who may read it";
                    let place = self.span(&tag.range);
                    let problem = Problem::error("file-without-mode", place, message);
                    self.problems
                        .push(problem.hint("add `mode=0644`, or `mode=0600` for secrets"));
                }
                How::Whole
            }
        }
    }

    /// Refuses a whole file written as a diff: its `+` and `-` signs would be written to the node.
    fn file_is_whole(&mut self, block: usize, tag: &Tag<'_>, attributes: &Attributes, how: How) {
        let path = attributes.to.as_ref().map_or("", |to| to.value.as_str());
        let is_diff = [".diff", ".patch"].iter().any(|end| path.ends_with(end));
        let language = self.blocks[block].language.as_str();
        if how == How::Whole && matches!(language, "diff" | "patch") && !is_diff {
            let message = "this `diff` would be delivered with its `+` and `-`";
            let problem = Problem::error("edit-malformed", self.span(&tag.range), message);
            self.problems
                .push(problem.hint("add `edit` to apply it instead"));
        }
    }

    /// Reports attributes that need `to=` on a file for the bundle.
    pub(super) fn goes_with_to(&mut self, tag: &Tag<'_>) {
        let words = tag.words.iter().filter(|word| WITH_TO.contains(&word.key));
        for word in words {
            let message = format!("`{}` needs a file with `to`", word.key);
            let span = self.span(&word.range);
            let problem = Problem::error("misplaced-attribute", span, message);
            self.problems
                .push(problem.hint("add `to=/PATH` instead of `as`"));
        }
    }

    /// Reports two whole files for one path on one node: one would be lost.
    pub(super) fn placed_twice(&mut self, procedure: usize) {
        type Key<'a> = (&'a str, On, Option<&'a Machine>);
        let mut seen: Vec<(Key<'_>, &Place)> = Vec::new();
        let mut problems = Vec::new();
        for step in &self.found.procedures[procedure].steps {
            let Work::Place(place) = &step.work else {
                continue;
            };
            let key: Key<'_> = (&place.to, step.on, step.machine.as_ref());
            if place.how != How::Whole || place.to == "/unnamed" {
                continue;
            }
            match seen.iter().find(|(known, _)| *known == key) {
                None => seen.push((key, place)),
                Some((_, first)) => {
                    let message = format!("`{}` is placed twice in this procedure", place.to);
                    let problem = Problem::error("file-placed-twice", place.span.clone(), message)
                        .note(first.span.clone(), "first here")
                        .hint("use `append` or `edit` for a later change");
                    problems.push(problem);
                }
            }
        }
        self.problems.append(&mut problems);
    }
}

/// The first error in the lines of a diff, with its place.
fn wrong_edit(text: &str) -> Option<(Range<usize>, &'static str)> {
    let mut lines = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        lines.push((at..at + bare.len(), bare));
        at += line.len();
    }
    let all = 0..text.trim_end().len();
    if let [(_, first), (_, second), ..] = lines[..]
        && first.starts_with("--- ")
        && second.starts_with("+++ ")
    {
        lines.drain(..2);
    }
    let mut changes = 0;
    // The current hunk: its first added line, and whether any line anchors it.
    let (mut added, mut anchored) = (None, false);
    for (range, line) in lines {
        match line.as_bytes().first() {
            Some(b'@') if line.starts_with("@@") => {
                if let (Some(added), false) = (added.take(), anchored) {
                    return Some((added, NO_ANCHOR));
                }
                anchored = false;
            }
            Some(b'+') => {
                changes += 1;
                added = added.or(Some(range));
            }
            Some(b'-') => {
                changes += 1;
                anchored = true;
            }
            None | Some(b' ') => anchored = true,
            // A template comment, or diff's remark about a missing line end.
            Some(b'\\') => {}
            Some(b'{') if line.starts_with("{%") || line.starts_with("{#") => {}
            Some(_) => {
                return Some((
                    range,
                    "this line begins with none of `-`, `+`, a space and \
                     `@@`",
                ));
            }
        }
    }
    match added {
        Some(added) if !anchored => Some((added, NO_ANCHOR)),
        _ if changes == 0 => Some((all, "this changes nothing")),
        _ => None,
    }
}

const NO_ANCHOR: &str = "the place of these lines is unknown";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_where_and_what() {
        for (text, wrong) in [
            ("-a\n+b\n", None),
            (" a\n+b\n", None),
            ("+b\n a\n", None),
            ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", None),
            ("-a\n\n+b\n@@\n c\n-d\n", None),
            ("+b\n", Some((0..2, NO_ANCHOR))),
            ("-a\n@@\n+b\n", Some((6..8, NO_ANCHOR))),
            (" a\n", Some((0..2, "this changes nothing"))),
            (
                "-a\nb\n",
                Some((
                    3..4,
                    "this line begins with none of `-`, `+`, a space and `@@`",
                )),
            ),
        ] {
            assert_eq!(wrong_edit(text), wrong, "{text:?}");
        }
    }
}
