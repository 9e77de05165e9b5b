//! The node that a block names: in a procedure with roles each block says where it runs.

use super::{Assembly, Of};
use crate::markdown::fence::Tag;
use crate::model::attributes::{self, Attributes, Where};
use crate::source::{Problem, Span};
use crate::{Count, Delivery, DeliveryFrom, Kind, Machine, On, Procedure};

impl Assembly<'_> {
    /// The node of a block. Reports one problem at most.
    pub(super) fn machine(
        &mut self,
        tag: &Tag<'_>,
        attributes: &Attributes,
    ) -> (On, Option<Machine>) {
        let place = attributes.on.as_ref();
        let side = place.map_or(On::Node, |place| place.side);
        let machine = place.and_then(|place| place.machine.clone());
        // A placed file has the same choices as a step.
        let kind = match attributes.to {
            Some(_) => Kind::Step,
            None => tag.kind,
        };
        let procedure = match self.scopes.last().map(|scope| &scope.of) {
            Some(Of::Procedure(index)) => Some(&self.found.procedures[*index]),
            Some(Of::Group(_) | Of::Broken) | None => None,
        };
        if self.is_of_an_unread_role(machine.as_ref()) {
            return (side, machine);
        }
        match procedure.filter(|procedure| !procedure.roles.is_empty()) {
            Some(procedure) => {
                let turn = self.each.map(|open| &procedure.sections[open.section].role);
                let turn = turn.map(|role| role.value.as_str());
                let tagged = self.text.span(tag.range.clone());
                let problem = wrong_machine(procedure, kind, place, turn, tagged);
                self.problems.extend(problem);
                let problem = wrong_word(attributes, machine.as_ref());
                self.problems.extend(problem);
            }
            None => self.problems.extend(place.and_then(|place| {
                if matches!(kind, Kind::Deliver | Kind::File | Kind::Manual) {
                    return Some(attributes::no_on_here(kind, place));
                }
                place.machine.as_ref()?;
                Some(attributes::no_such_side(place))
            })),
        }
        (side, machine)
    }

    /// Whether an error in its role has already been reported.
    fn is_of_an_unread_role(&self, machine: Option<&Machine>) -> bool {
        let Some(Of::Procedure(index)) = self.scopes.last().map(|scope| &scope.of) else {
            return false;
        };
        let unread = &self.unread_roles[*index];
        machine.is_some_and(|machine| unread.iter().any(|role| role == machine.role()))
    }

    /// Checks a delivery from another node's bundle.
    pub(super) fn delivery_of_a_machine(&mut self, delivery: &Delivery, attributes: &Attributes) {
        let DeliveryFrom::Machine { role, .. } = &delivery.from else {
            return;
        };
        let Some(Of::Procedure(index)) = self.scopes.last().map(|scope| &scope.of) else {
            return;
        };
        let procedure = &self.found.procedures[*index];
        let turn = self.each.map(|open| &procedure.sections[open.section].role);
        let own = attributes.on.as_ref();
        let own = own.and_then(|place| place.machine.as_ref());
        let span = delivery.span.clone();
        let problem = match procedure.roles.get(role) {
            None if procedure.roles.is_empty() => {
                let message = "`from` names a role, but this procedure has none";
                Problem::error("delivery-source", span, message)
                    .hint("write a file of the manual as `file: PATH`")
            }
            None => unknown(procedure, role, span),
            Some(_) if own.is_some_and(|own| own.role() == role) => {
                let message = format!("`{role}` is the machine itself: its bundle has the file");
                Problem::error("delivery-source", span, message)
            }
            Some(known) if known.count != Count::One && turn.is_none_or(|t| t.value != *role) => {
                let message = format!(
                    "`{role}` may be several nodes, but a file comes from \
                     exactly one"
                );
                Problem::error("role-of-several", span, message)
            }
            Some(_) => return,
        };
        self.problems.push(problem);
    }

    /// Reports roles that nothing in their procedure names.
    pub(super) fn unused_roles(&mut self, index: usize) {
        let procedure = &self.found.procedures[index];
        let inside = self.blocks.iter().filter(|block| {
            let range = &procedure.reach.range;
            block.kind != Some(Kind::Procedure)
                && range.start <= block.range.start
                && block.range.end <= range.end
        });
        let texts: Vec<&str> = inside.map(|block| &*block.text.text).collect();
        // The names in a template are not known here.
        if procedure.delivers_a_template() {
            return;
        }
        let word_of = |role: &str, word: &str| {
            word.strip_prefix(role)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        let not_of_a_name = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let mentioned = |role: &str| {
            let mut words = texts.iter().flat_map(|text| text.split(not_of_a_name));
            words.any(|word| word_of(role, word))
        };
        let unused = procedure
            .roles
            .iter()
            .filter(|(name, _)| !procedure.runs_on(name) && !mentioned(name));
        self.problems.extend(unused.map(|(name, role)| {
            let message = format!("no block of `{}` names the role `{name}`", procedure.id);
            Problem::warning("unused-role", role.span.clone(), message)
        }));
    }
}

/// Checks the `on=` of a block. `turn` is the role of the surrounding section.
fn wrong_machine(
    procedure: &Procedure,
    kind: Kind,
    place: Option<&Where>,
    turn: Option<&str>,
    tagged: Span,
) -> Option<Problem> {
    let Some(place) = place else {
        let message = format!("this `{}` does not say where it runs", kind.name());
        return Some(
            Problem::error("block-without-on", tagged, message)
                .hint(format!("write {}", choices(procedure, turn))),
        );
    };
    let span = || place.span.clone();
    match (&place.machine, place.side) {
        (None, On::Node) => {
            let message = "`on=node` is ambiguous in a procedure with roles";
            let problem = Problem::error("block-without-on", span(), message);
            Some(problem.hint(format!("write {}", choices(procedure, turn))))
        }
        (None, On::Local) if matches!(kind, Kind::Deliver | Kind::File) => {
            let message = "a delivery goes to a machine of the run";
            let problem = Problem::error("bad-attribute", span(), message);
            Some(problem.hint(format!("write {}", choices(procedure, turn))))
        }
        (None, On::Local) => None,
        (Some(Machine::Role(name) | Machine::All(name)), _)
            if !procedure.roles.contains_key(name) =>
        {
            Some(unknown(procedure, name, span()))
        }
        (Some(Machine::Role(name)), _) => {
            let one = procedure.roles.get(name)?.count == Count::One;
            if one || turn == Some(name) {
                return None;
            }
            let message = format!("`{name}` may be several nodes");
            let problem = Problem::error("role-of-several", span(), message);
            Some(problem.hint(format!(
                "`on=all:{name}` means all of them in parallel; a section with `yaml each` takes \
                 one after the other"
            )))
        }
        (Some(Machine::All(name)), _) if turn == Some(name) => {
            let message = format!("in its section, `{name}` is the node whose turn it is");
            let problem = Problem::error("all-in-a-turn", span(), message);
            Some(problem.hint(format!(
                "write `on={name}`, or move the block out of the section"
            )))
        }
        (Some(Machine::All(_)), _) => None,
    }
}

/// Reports other attributes that the block may not have with its `on=`.
fn wrong_word(attributes: &Attributes, machine: Option<&Machine>) -> Option<Problem> {
    if let Some(span) = &attributes.always {
        let message = "`always` has no effect in a procedure with roles";
        let problem = Problem::error("misplaced-attribute", span.clone(), message);
        return Some(problem.hint(
            "write a check that must always hold in a group of checks, which names \
             its nodes",
        ));
    }
    let place = attributes.on.as_ref()?;
    if let (Some(name), Some(Machine::All(role))) = (&attributes.capture, machine) {
        let message = format!("`capture={name}` with `on=all:{role}`: each node prints its own");
        let problem = Problem::error("capture-of-all", place.span.clone(), message);
        return Some(problem.hint("capture it on one machine, or in a section"));
    }
    None
}

pub(super) fn unknown(procedure: &Procedure, name: &str, span: Span) -> Problem {
    let known = procedure.roles.keys().map(String::as_str);
    let message = format!("`{}` has no role `{name}`", procedure.id);
    let problem = Problem::error("no-such-role", span, message);
    if crate::source::nearest(name, known.clone()).is_some() {
        return problem.did_you_mean(name, known);
    }
    let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
    problem.hint(format!("its roles are {}", known.join(", ")))
}

/// The possible values of `on=` at this place.
fn choices(procedure: &Procedure, turn: Option<&str>) -> String {
    let roles = procedure.roles.iter().map(|(name, role)| {
        if role.count == Count::One || turn == Some(name) {
            format!("`on={name}`")
        } else {
            format!("`on=all:{name}`")
        }
    });
    let roles: Vec<String> = roles.collect();
    format!("{} or `on=local`", roles.join(", "))
}
