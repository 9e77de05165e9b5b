//! A step of the surrounding procedure: a script, a delivery, a file, or work for a person.

use super::{Answers, Assembly, Of};
use crate::markdown::fence::Tag;
use crate::model::attributes::Attributes;
use crate::model::contract;
use crate::shell::script::{interpreter, is_shell, script};
use crate::source::{Problem, Span};
use crate::{Block, Delivery, DeliveryFrom, On, Script, Step, Work};

impl Assembly<'_> {
    pub(super) fn script_step(
        &mut self,
        block: usize,
        tag: &Tag<'_>,
        attributes: Attributes,
        title: String,
    ) {
        let Some(mut script) = self.script(block, tag, &attributes) else {
            self.answers = Some(Answers::Broken);
            return self.scope_is_broken();
        };
        self.transcript_exit(tag, &attributes, &mut script);
        self.here_as_you_are(tag, &attributes);
        self.step(block, tag, attributes, title, Work::Script(script));
    }

    pub(super) fn deliver(
        &mut self,
        block: usize,
        tag: &Tag<'_>,
        attributes: Attributes,
        title: String,
    ) {
        self.must_be_yaml(block, tag);
        let place = self.span(&tag.range);
        let mut work = contract::deliveries(&self.blocks[block].text, &place, self.problems);
        for delivery in &mut work {
            self.delivery_of_a_machine(delivery, &attributes);
            let (DeliveryFrom::File(from)
            | DeliveryFrom::Tree(from)
            | DeliveryFrom::Template(from)
            | DeliveryFrom::Machine { path: from, .. }) = &mut delivery.from
            else {
                continue;
            };
            *from = self.placeholders().in_name(from);
            delivery.to = self.placeholders().in_name(&delivery.to);
        }
        self.step(block, tag, attributes, title, Work::Deliver(work));
    }

    pub(super) fn file(
        &mut self,
        block: usize,
        tag: &Tag<'_>,
        attributes: Attributes,
        title: String,
    ) {
        if tag.words.iter().any(|word| word.key == "to") {
            return self.place(block, tag, attributes, title);
        }
        self.goes_with_to(tag);
        let place = self.span(&tag.range);
        let to = if let Some(name) = &attributes.bundle_name {
            name.value.clone()
        } else {
            if !tag.words.iter().any(|word| word.key == "as") {
                self.problems.push(
                    Problem::error("file-without-name", place.clone(), "this file has no name")
                        .hint("add `as=NAME`, its name in the bundle, or `to=/PATH`, its place on the machine"),
                );
            }
            "unnamed".to_owned()
        };
        let delivery = Delivery {
            span: place,
            from: DeliveryFrom::Inline(self.placeholders().in_template(&self.blocks[block].text)),
            to,
            mode: attributes.mode.unwrap_or(0o600),
        };
        self.step(block, tag, attributes, title, Work::Deliver(vec![delivery]));
    }

    pub(super) fn manual(
        &mut self,
        block: usize,
        tag: &Tag<'_>,
        attributes: Attributes,
        title: String,
    ) {
        let language = &self.blocks[block].language;
        if !matches!(language.as_str(), "" | "text" | "txt" | "markdown" | "md") {
            let message = format!("a `manual` block is written in `text`, not in `{language}`");
            let span = self.blocks[block].span.narrowed(language);
            let problem = Problem::error("wrong-language", span, message);
            self.problems
                .push(problem.hint("a person follows it; use `step` for commands that run"));
        }
        let text = self.placeholders().in_text(&self.blocks[block].text);
        if text.text.trim().is_empty() {
            self.empty(tag);
        }
        self.step(block, tag, attributes, title, Work::Manual(text));
    }

    pub(super) fn step(
        &mut self,
        block: usize,
        tag: &Tag<'_>,
        attributes: Attributes,
        title: String,
        work: Work,
    ) {
        self.answers = Some(Answers::Broken);
        let Some(procedure) = self.procedure_here(tag) else {
            return;
        };
        self.answers = Some(match work {
            Work::Script(_) => Answers::Step { procedure },
            Work::Deliver(_) | Work::Manual(_) | Work::Place(_) => Answers::Silent(tag.kind),
        });
        let (on, machine) = self.machine(tag, &attributes);
        self.role_is_captured(procedure, tag, &attributes);
        let number = self.found.procedures[procedure].steps.len() + 1;
        if let Some(id) = &attributes.id
            && id.value.bytes().all(|b| b.is_ascii_digit())
        {
            let message = format!(
                "`{}` is a number, which is how steps without an id are named",
                id.value
            );
            self.problems.push(
                Problem::error("bad-attribute", id.span.clone(), message)
                    .hint("begin the id with a letter"),
            );
        }
        let id = &self.found.procedures[procedure].id;
        let step = attributes.id.as_ref().map(|id| id.value.clone());
        self.blocks[block].name = match &step {
            Some(step) => format!("{id}/{step}"),
            None => format!("{id}/{number}"),
        };
        let span = self.step_span(tag, &attributes);
        self.found.procedures[procedure].steps.push(Step {
            number,
            id: step,
            title,
            span,
            block,
            work,
            on,
            machine,
            sudo: attributes.sudo,
            timeout: attributes.timeout,
            confirm: attributes.confirm,
            capture: attributes.capture,
            exit: attributes.exit.unwrap_or_else(|| vec![0]),
            reboot: attributes.reboot,
            setup: attributes.setup,
            expect: None,
            checks: Vec::new(),
        });
    }

    fn role_is_captured(&mut self, procedure: usize, tag: &Tag<'_>, attributes: &Attributes) {
        let Some(name) = &attributes.capture else {
            return;
        };
        if let Some(role) = self.found.procedures[procedure].roles.get(name) {
            let message = format!("`{name}` is a role, and cannot also be captured");
            let span = self.text.span(tag.range.clone());
            let problem = Problem::error("role-hides-value", span, message);
            self.problems
                .push(problem.note(role.span.clone(), "the role"));
        }
    }

    /// `exit=` on a transcript of one command is that command's status. With several commands, each
    /// shows its own status.
    pub(super) fn transcript_exit(
        &mut self,
        tag: &Tag<'_>,
        attributes: &Attributes,
        script: &mut Script,
    ) {
        let (Some(exit), [first, more @ ..]) = (&attributes.exit, &mut script.commands[..]) else {
            return;
        };
        match exit[..] {
            [status] if more.is_empty() && first.exit == 0 => first.exit = status,
            _ => self.problems.push(
                Problem::error(
                    "exit-of-transcript",
                    self.span(&tag.range),
                    "a transcript contains its exit statuses",
                )
                .hint("write `exit N` below the command"),
            ),
        }
    }

    /// A step on the operator's machine runs as the operator and must not reboot it.
    pub(super) fn here_as_you_are(&mut self, tag: &Tag<'_>, attributes: &Attributes) {
        let side = attributes.on.as_ref().map(|place| place.side);
        if side != Some(On::Local) {
            return;
        }
        for (set, word) in [
            (attributes.sudo.is_some(), "sudo"),
            (attributes.reboot, "reboot"),
        ] {
            if set {
                self.problems.push(Problem::error(
                    "misplaced-attribute",
                    self.span(&tag.range),
                    format!("`{word}` has no effect with `on=local`"),
                ));
            }
        }
    }

    pub(super) fn step_span(&self, tag: &Tag<'_>, attributes: &Attributes) -> Span {
        match &attributes.id {
            Some(id) => id.span.clone(),
            None => self.span(&tag.range),
        }
    }

    /// The procedure that a step at this place belongs to.
    fn procedure_here(&mut self, tag: &Tag<'_>) -> Option<usize> {
        let problem = match self.scopes.last().map(|scope| &scope.of) {
            Some(Of::Procedure(index)) => return Some(*index),
            Some(Of::Broken) => return None,
            Some(Of::Group(index)) => {
                let group = &self.found.groups[*index];
                Problem::error(
                    "step-outside-procedure",
                    self.span(&tag.range),
                    format!(
                        "a `{}` in the group of checks `{}`",
                        tag.kind.name(),
                        group.id
                    ),
                )
                .note(group.span.clone(), "the group begins here")
                .hint("a step needs a `yaml procedure` block below the heading of its section")
            }
            None => {
                let span = self.span(&tag.range);
                self.strays.step(tag.kind, span);
                return None;
            }
        };
        self.problems.push(problem);
        None
    }

    pub(super) fn script(
        &mut self,
        block: usize,
        tag: &Tag<'_>,
        attributes: &Attributes,
    ) -> Option<Script> {
        let Block { language, text, .. } = &self.blocks[block];
        let interpreter = interpreter(language);
        let comments = interpreter.is_some_and(is_shell);
        let nothing = |line: &str| line.is_empty() || comments && line.starts_with('#');
        if text.text.lines().all(|line| nothing(line.trim())) {
            match text.text.lines().find(|line| !line.trim().is_empty()) {
                None => self.empty(tag),
                Some(_) => self.only_comments(tag),
            }
            return None;
        }
        let Some(interpreter) = interpreter else {
            self.problems.push(
                Problem::error(
                    "wrong-language",
                    self.blocks[block].span.narrowed(language),
                    format!("a `{}` in `{language}` cannot run", tag.kind.name()),
                )
                .hint("the language names the interpreter: `sh`, `bash`, `python`, …"),
            );
            return None;
        };
        let mut problems = Vec::new();
        let mut script = script(interpreter, text, self.placeholders(), &mut problems);
        script.defined = [self.defined(), &attributes.defined].concat();
        self.problems.append(&mut problems);
        Some(script)
    }
}
