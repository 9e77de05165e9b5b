//! An expectation, and the block before it that prints the output.

use super::{Answers, Assembly, Sections};
use crate::markdown::fence::Tag;
use crate::model::attributes::Attributes;
use crate::source::{Problem, Span};
use crate::{Expect, ExpectKind, Script, Work};

/// Where an expectation is stored.
struct Answering<'a> {
    block: usize,
    script: &'a mut Script,
    expect: &'a mut Option<Expect>,
}

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
        if let Some(problem) = of_nothing(answers, &place) {
            self.problems.push(problem);
            return;
        }
        let Some(answering) = answers.and_then(|answers| answering(&mut self.found, answers))
        else {
            return;
        };
        let commands = &mut answering.script.commands;
        let own = commands.iter().find_map(|command| command.expect.as_ref());
        if let Some(own) = own {
            let message = "the transcript above already shows its output";
            let problem = Problem::error("expected-twice", place, message);
            self.problems.push(problem.note(own.span.clone(), "here"));
            return;
        }
        // After a transcript, it describes the output of the last command.
        match commands.last_mut() {
            Some(command) => command.expect = Some(expect),
            None => *answering.expect = Some(expect),
        }
        let name = self.blocks[answering.block].name.clone();
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

fn of_nothing(answers: Option<Answers>, place: &Span) -> Option<Problem> {
    let problem = |message: &str| Problem::error("expect-of-nothing", place.clone(), message);
    match answers {
        None => Some(problem(
            "there is no step or check directly before this `expect`",
        )),
        Some(Answers::Silent(kind)) => Some(
            problem(&format!("a `{}` has no output to compare", kind.name()))
                .hint("put the `expect` directly after a `step` or a `check`"),
        ),
        Some(_) => None,
    }
}

/// The step or check whose output is expected; `None` if it could not be read.
fn answering(found: &mut Sections, answers: Answers) -> Option<Answering<'_>> {
    let check = match answers {
        Answers::Broken | Answers::Silent(_) => return None,
        Answers::Step { procedure } => {
            let step = found.procedures[procedure].steps.last_mut()?;
            let Work::Script(script) = &mut step.work else {
                return None;
            };
            return Some(Answering {
                block: step.block,
                script,
                expect: &mut step.expect,
            });
        }
        Answers::StepCheck { procedure, place } => {
            let (checks, _) = place.checks(&mut found.procedures[procedure])?;
            checks.last_mut()?
        }
        Answers::GroupCheck { group } => found.groups[group].checks.last_mut()?,
    };
    Some(Answering {
        block: check.block,
        script: &mut check.script,
        expect: &mut check.expect,
    })
}
