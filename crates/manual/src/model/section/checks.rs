//! A check: after a step of a procedure, in a group, or alone.

use super::{Answers, Assembly, Of};
use crate::markdown::fence::Tag;
use crate::model::attributes::Attributes;
use crate::source::{Problem, Span};
use crate::{Check, Group, Procedure, Reach, When};

/// The position of a check in a procedure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// Before the first step.
    First,
    /// At the beginning of a section.
    InSection,
    /// After the end of a section: it opens the text after it.
    AfterSection,
    AfterStep,
}

impl Stands {
    fn of(procedure: &Procedure, in_section: bool) -> Stands {
        let next = procedure.steps.len() + 1;
        match procedure.sections.last() {
            Some(each) if in_section && each.steps.start == next => Stands::InSection,
            Some(each) if !in_section && each.steps.end == next => Stands::AfterSection,
            _ if next == 1 => Stands::First,
            _ => Stands::AfterStep,
        }
    }

    /// The checks at this position so far, and the name prefix of checks without an id.
    pub(super) fn checks(self, procedure: &mut Procedure) -> Option<(&mut Vec<Check>, String)> {
        let all = procedure.steps.len();
        match self {
            Stands::First => Some((&mut procedure.before, "before".to_owned())),
            Stands::InSection => {
                let each = procedure.sections.last_mut()?;
                Some((&mut each.before, format!("{}.before", all + 1)))
            }
            Stands::AfterSection => {
                let known = procedure.after.last().map(|(step, _)| *step);
                if known != Some(all) {
                    procedure.after.push((all, Vec::new()));
                }
                let (_, checks) = procedure.after.last_mut()?;
                Some((checks, format!("{all}.after")))
            }
            Stands::AfterStep => Some((&mut procedure.steps.last_mut()?.checks, all.to_string())),
        }
    }
}

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
        let (on, machine) = self.machine(tag, attributes);
        let check = Check {
            name: String::new(),
            title,
            span: self.step_span(tag, attributes),
            block,
            page: self.page,
            script,
            on,
            machine,
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
        let broken = self.scopes.last().is_some_and(|scope| scope.broken);
        let in_section = self.each.is_some();
        let procedure = &mut self.found.procedures[index];
        let place = Stands::of(procedure, in_section);
        // The missing step may be the block that could not be read.
        if place == Stands::First && broken {
            return;
        }
        let id = procedure.id.clone();
        let Some((checks, label)) = place.checks(procedure) else {
            return;
        };
        check.name = match &attributes.id {
            Some(own) => format!("{id}/{}", own.value),
            None => format!("{id}/{label}.{}", checks.len() + 1),
        };
        self.blocks[check.block].name.clone_from(&check.name);
        checks.reserve_exact(1);
        checks.push(check);
        self.answers = Some(Answers::StepCheck {
            procedure: index,
            place,
        });
    }

    fn group_check(&mut self, index: usize, mut check: Check, attributes: &Attributes) {
        self.not_within(
            attributes.nodes.as_ref().map(|nodes| &nodes.span),
            "nodes",
            "a group of checks",
        );
        self.not_within(attributes.always.as_ref(), "always", "a group of checks");
        let group = &mut self.found.groups[index];
        if let Some(id) = &attributes.id
            && !is_named_after(&id.value, &group.id)
        {
            let name = id.value.rsplit('.').next().unwrap_or_default();
            let message = format!(
                "the id of `{}` does not begin with its group `{}`",
                id.value, group.id
            );
            let problem = Problem::warning("check-name", id.span.clone(), message);
            let hint = format!(
                "write `id={}.{name}`: its test is listed as one of the group",
                group.id
            );
            self.problems.push(problem.hint(hint));
        }
        check.name = match &attributes.id {
            Some(id) => id.value.clone(),
            None => format!("{}/{}", group.id, group.checks.len() + 1),
        };
        self.blocks[check.block].name.clone_from(&check.name);
        group.checks.push(check);
        self.answers = Some(Answers::GroupCheck { group: index });
    }

    /// A check outside of procedures and groups is a group of one check.
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
                format!("`{attribute}` has no effect in {place}"),
            ));
        }
    }
}

/// `web.tls` in the group `web`.
fn is_named_after(check: &str, group: &str) -> bool {
    let name = check
        .strip_prefix(group)
        .and_then(|rest| rest.strip_prefix('.'));
    name.is_some_and(|name| !name.is_empty() && !name.contains('.'))
}
