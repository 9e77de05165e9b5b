//! `yaml each` opens a section of a procedure, up to the next heading that ends it. Its steps run
//! for one node of a role after the other.

use super::{Assembly, Of, OpenEach};
use crate::markdown::fence::Tag;
use crate::model::contract;
use crate::source::Problem;
use crate::{Count, Each, Procedure};

impl Assembly<'_> {
    pub(super) fn each(&mut self, block: usize, tag: &Tag<'_>) {
        self.answers = None;
        self.must_be_yaml(block, tag);
        let place = self.span(&tag.range);
        let contract = contract::each(&self.blocks[block].text, &place, self.problems);
        let procedure = match self.scopes.last().map(|scope| &scope.of) {
            Some(Of::Broken) => return,
            Some(Of::Procedure(index)) => Some(*index),
            Some(Of::Group(_)) | None => None,
        };
        let roles = procedure.map(|index| &self.found.procedures[index].roles);
        if roles.is_none_or(indexmap::IndexMap::is_empty) {
            let message = "this `each` is outside of any procedure with roles";
            let problem = Problem::error("each-without-roles", place, message);
            self.problems
                .push(problem.hint("the contract names them: `roles: {web: {nodes: \"@web\"}}`"));
            return;
        }
        let (Some(contract), Some(index)) = (contract, procedure) else {
            return self.scope_is_broken();
        };
        let procedure = &mut self.found.procedures[index];
        if let Some(open) = self.each {
            let message = "a section within a section";
            let problem = Problem::error("each-within-each", place, message)
                .note(
                    procedure.sections[open.section].span.clone(),
                    "it begins here",
                )
                .hint("give each its own heading, of the same level");
            self.problems.push(problem);
            self.roles_are_unknown(index);
            return;
        }
        let wrong = not_repeated(procedure, &contract.role);
        let is_wrong = wrong.is_some();
        self.problems.extend(wrong);
        let first = procedure.steps.len() + 1;
        self.blocks[block].name.clone_from(&procedure.id);
        procedure.sections.push(Each {
            span: place,
            block,
            title: self.heading.1.clone(),
            role: contract.role,
            batch: contract.batch,
            wait: contract.wait,
            max_fail: contract.max_fail,
            steps: first..first,
            before: Vec::new(),
        });
        self.each = Some(OpenEach {
            level: self.heading.0,
            procedure: index,
            section: procedure.sections.len() - 1,
        });
        if is_wrong {
            self.roles_are_unknown(index);
        }
    }

    /// The role of this section is unknown: do not report blocks that name a role.
    fn roles_are_unknown(&mut self, procedure: usize) {
        let roles = self.found.procedures[procedure].roles.keys();
        self.unread_roles[procedure].extend(roles.cloned());
    }

    /// Closes the open section. If a part of the procedure could not be read, that part may have
    /// been its steps.
    pub(super) fn close_each(&mut self, broken: bool) {
        let Some(open) = self.each.take() else { return };
        let procedure = &mut self.found.procedures[open.procedure];
        let section = &mut procedure.sections[open.section];
        section.steps.end = procedure.steps.len() + 1;
        if section.steps.is_empty() && !broken {
            let message = "this section has no steps";
            let problem = Problem::error("each-without-steps", section.span.clone(), message);
            self.problems
                .push(problem.hint("it ends at the next heading of the same or a higher level"));
        }
    }
}

/// A section needs a role that can have several nodes.
fn not_repeated(procedure: &Procedure, role: &crate::Spanned<String>) -> Option<Problem> {
    let (name, span) = (&role.value, role.span.clone());
    match procedure.roles.get(name).map(|role| role.count) {
        Some(Count::Several | Count::Any) => None,
        Some(Count::One) => {
            let message = format!("`{name}` is one node: there is nothing to repeat");
            let problem = Problem::error("each-of-one", span, message);
            Some(problem.hint("a role for several nodes has `count: 1+` or `0+`"))
        }
        None => Some(super::machines::unknown(procedure, name, span)),
    }
}
