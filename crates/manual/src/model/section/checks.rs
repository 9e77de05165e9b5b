//! A check: after a step of a procedure, in a group, or alone.

use super::{Answers, Assembly, Of};
use crate::markdown::fence::Tag;
use crate::model::attributes::Attributes;
use crate::source::{Problem, Span};
use crate::{Check, Group, On, Reach, When};

impl Assembly<'_> {
    pub(super) fn check(
        &mut self,
        block: usize,
        tag: &Tag<'_>,
        attributes: &Attributes,
        title: String,
    ) {
        self.answers = Some(Answers::Broken);
        let Some(mut script) = self.script(block, tag, attributes) else {
            return self.scope_is_broken();
        };
        self.transcript_exit(tag, attributes, &mut script);
        self.here_as_you_are(tag, attributes);
        let check = Check {
            name: String::new(),
            title,
            span: self.step_span(tag, attributes),
            block,
            page: self.page,
            script,
            on: attributes.on.unwrap_or(On::Node),
            machine: None,
            sudo: attributes.sudo.clone(),
            timeout: attributes.timeout,
            exit: attributes.exit.clone().unwrap_or_else(|| vec![0]),
            expect: None,
            eventually: attributes.eventually,
            always: attributes.always.is_some(),
            nodes: attributes.nodes.clone(),
        };
        match self.scopes.last().map(|scope| &scope.of) {
            Some(Of::Broken) => {}
            Some(Of::Procedure(index)) => self.step_check(*index, check, attributes),
            Some(Of::Group(index)) => self.group_check(*index, check, attributes),
            None => self.lone_check(tag, check, attributes),
        }
    }

    fn step_check(&mut self, index: usize, mut check: Check, attributes: &Attributes) {
        self.not_within(
            attributes.nodes.as_ref().map(|nodes| &nodes.span),
            "nodes",
            "a procedure",
        );
        let procedure = &mut self.found.procedures[index];
        let Some(step) = procedure.steps.last_mut() else {
            if self.scopes.last().is_some_and(|scope| scope.broken) {
                return;
            }
            self.scope_is_broken();
            let procedure = &self.found.procedures[index];
            self.problems.push(
                Problem::error(
                    "check-before-steps",
                    check.span,
                    format!("a check before the first step of `{}`", procedure.id),
                )
                .hint("what must hold first is a group of checks named in `needs`"),
            );
            return;
        };
        check.name = match &attributes.id {
            Some(id) => format!("{}/{}", procedure.id, id.value),
            None => format!("{}/{}.{}", procedure.id, step.number, step.checks.len() + 1),
        };
        self.blocks[check.block].name.clone_from(&check.name);
        step.checks.reserve_exact(1);
        step.checks.push(check);
        self.answers = Some(Answers::StepCheck { procedure: index });
    }

    fn group_check(&mut self, index: usize, mut check: Check, attributes: &Attributes) {
        self.not_within(
            attributes.nodes.as_ref().map(|nodes| &nodes.span),
            "nodes",
            "a group of checks",
        );
        self.not_within(attributes.always.as_ref(), "always", "a group of checks");
        let group = &mut self.found.groups[index];
        check.name = match &attributes.id {
            Some(id) => id.value.clone(),
            None => format!("{}/{}", group.id, group.checks.len() + 1),
        };
        self.blocks[check.block].name.clone_from(&check.name);
        group.checks.push(check);
        self.answers = Some(Answers::GroupCheck { group: index });
    }

    /// A check on its own is a group of one.
    fn lone_check(&mut self, tag: &Tag<'_>, mut check: Check, attributes: &Attributes) {
        self.not_within(attributes.always.as_ref(), "always", "no procedure");
        let Some(id) = &attributes.id else {
            self.problems.push(
                Problem::error(
                    "no-id",
                    self.span(&tag.range),
                    "a check outside procedures and groups needs an `id`",
                )
                .hint("add `id=NAME`, and `nodes=SELECTOR` unless it holds everywhere"),
            );
            return;
        };
        check.name.clone_from(&id.value);
        let block = check.block;
        self.blocks[block].name.clone_from(&check.name);
        self.found.groups.push(Group {
            id: id.value.clone(),
            title: check.title.clone(),
            span: id.span.clone(),
            page: self.page,
            nodes: check.nodes.clone(),
            when: When::Always,
            typed: Vec::new(),
            checks: vec![check],
            reach: Reach {
                range: self.blocks[block].range.clone(),
                ..Reach::default()
            },
        });
        self.answers = Some(Answers::GroupCheck {
            group: self.found.groups.len() - 1,
        });
    }

    fn not_within(&mut self, span: Option<&Span>, attribute: &str, place: &str) {
        if let Some(span) = span {
            self.problems.push(Problem::error(
                "misplaced-attribute",
                span.clone(),
                format!("`{attribute}` means nothing in {place}"),
            ));
        }
    }
}
