//! An expectation, and the block before it whose output it is.

use super::{Answers, Assembly};
use crate::manual::attributes::Attributes;
use crate::manual::fence::Tag;
use crate::manual::{Expect, ExpectKind, Step, Work};
use crate::source::Problem;

impl Assembly<'_> {
    pub(super) fn expect(&mut self, block: usize, tag: &Tag<'_>, attributes: &Attributes) {
        let place = self.span(&tag.range);
        let kind = self.expect_kind(block, attributes);
        let answers = self.answers.take();
        let Some(kind) = kind else {
            return;
        };
        let expect = Expect {
            span: place.clone(),
            kind,
            text: self.placeholders().in_text(&self.blocks[block].text),
        };
        let (name, script, slot) = match answers {
            Some(Answers::Broken) => return,
            Some(Answers::Silent(role)) => {
                let message = format!("a `{}` prints nothing that could be expected", role.name());
                self.problems.push(
                    Problem::error("expect-of-nothing", place, message)
                        .hint("an `expect` stands directly after a `step` or a `check`"),
                );
                return;
            }
            Some(Answers::Step { procedure }) => {
                let step = self.found.procedures[procedure].steps.last_mut();
                match step {
                    Some(Step {
                        block,
                        work: Work::Script(script),
                        expect,
                        ..
                    }) => (*block, script, expect),
                    _ => return,
                }
            }
            Some(Answers::StepCheck { procedure }) => {
                let step = self.found.procedures[procedure].steps.last_mut();
                match step.and_then(|step| step.checks.last_mut()) {
                    Some(check) => (check.block, &mut check.script, &mut check.expect),
                    None => return,
                }
            }
            Some(Answers::GroupCheck { group }) => {
                match self.found.groups[group].checks.last_mut() {
                    Some(check) => (check.block, &mut check.script, &mut check.expect),
                    None => return,
                }
            }
            None => {
                self.problems.push(Problem::error(
                    "expect-of-nothing",
                    place,
                    "there is no step or check directly before this `expect`",
                ));
                return;
            }
        };
        if let Some(own) = script
            .commands
            .iter()
            .find_map(|command| command.expect.as_ref())
        {
            self.problems.push(
                Problem::error(
                    "expected-twice",
                    place,
                    "the transcript above already shows what it prints",
                )
                .note(own.span.clone(), "here"),
            );
            return;
        }
        // Of a transcript it is what the last command prints.
        match script.commands.last_mut() {
            Some(command) => command.expect = Some(expect),
            None => *slot = Some(expect),
        }
        let name = self.blocks[name].name.clone();
        self.blocks[block].name = name;
    }

    fn expect_kind(&mut self, block: usize, attributes: &Attributes) -> Option<ExpectKind> {
        let language = self.blocks[block].language.as_str();
        let problem = match (language, &attributes.regex) {
            ("json", None) => return Some(ExpectKind::Json),
            ("" | "text" | "txt" | "plaintext" | "console" | "no-highlight", regex) => {
                return Some(match regex {
                    Some(_) => ExpectKind::Regex,
                    None => ExpectKind::Text,
                });
            }
            ("json", Some(span)) => Problem::error(
                "misplaced-attribute",
                span.clone(),
                "expected JSON is a subset, not regular expressions",
            )
            .hint("write `text expect regex`"),
            _ => Problem::error(
                "wrong-language",
                self.blocks[block].span.narrowed(language),
                format!("an `expect` is written in `text` or `json`, not in `{language}`"),
            ),
        };
        self.problems.push(problem);
        None
    }
}
