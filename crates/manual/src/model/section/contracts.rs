//! A contract opens a procedure or a group of checks, up to the next heading that ends it.

use super::{Assembly, Of, Scope};
use crate::markdown::fence::Tag;
use crate::model::contract::{self, GroupContract, ProcedureContract, Words};
use crate::shell::placeholder::Placeholders;
use crate::source::{Problem, Span};
use crate::{Group, Kind, Procedure, Reach, Spanned};

/// The id of a contract that is not valid YAML.
fn id_line(text: &str) -> Option<&str> {
    let id = text.lines().find_map(|line| line.strip_prefix("id:"))?;
    Some(id.trim().trim_matches(['"', '\'']))
}

fn reach(words: Words) -> Reach {
    Reach {
        range: 0..0,
        allow: words.allow,
        defined: words.defined,
    }
}

impl Assembly<'_> {
    pub(super) fn procedure(&mut self, block: usize, tag: &Tag<'_>) {
        self.answers = None;
        self.must_be_yaml(block, tag);
        let place = self.span(&tag.range);
        let contract = contract::procedure(&self.blocks[block].text, &place, self.problems);
        self.must_have_own_section(&place, tag.kind);
        let ProcedureContract {
            id,
            nodes,
            roles,
            unread_roles,
            same,
            approve,
            needs,
            timeout,
            through,
            params,
            replace,
            words,
        } = contract;
        let Some(id) = id else {
            return self.open(block, Of::Broken);
        };
        self.strays.contract(&id);
        self.blocks[block].name.clone_from(&id.value);
        self.declared.push(Placeholders::new(&replace));
        self.unread_roles.push(unread_roles);
        self.found.procedures.push(Procedure {
            id: id.value,
            title: self.heading.1.clone(),
            span: id.span,
            page: self.page,
            nodes,
            needs,
            timeout,
            params,
            replace,
            steps: Vec::new(),
            roles,
            same,
            approve,
            before: Vec::new(),
            sections: Vec::new(),
            after: Vec::new(),
            reach: reach(words),
        });
        self.open(block, Of::Procedure(self.found.procedures.len() - 1));
        self.reaches_through(through);
    }

    pub(super) fn group(&mut self, block: usize, tag: &Tag<'_>) {
        self.answers = None;
        self.must_be_yaml(block, tag);
        let place = self.span(&tag.range);
        let before = self.problems.len();
        let contract = contract::group(&self.blocks[block].text, &place, self.problems);
        let GroupContract {
            id,
            nodes,
            when,
            typed,
            words,
        } = contract;
        let broken = self.problems.len() > before;
        if id.is_none() {
            let text = &self.blocks[block].text.text;
            self.found.unread.extend(id_line(text).map(str::to_owned));
        }
        self.must_have_own_section(&place, tag.kind);
        let Some(id) = id else {
            return self.open(block, Of::Broken);
        };
        self.blocks[block].name.clone_from(&id.value);
        self.found.groups.push(Group {
            id: id.value,
            title: self.heading.1.clone(),
            span: id.span,
            page: self.page,
            nodes,
            when,
            typed,
            checks: Vec::new(),
            reach: reach(words),
        });
        self.open(block, Of::Group(self.found.groups.len() - 1));
        if broken {
            self.scope_is_broken();
        }
    }

    pub(super) fn open(&mut self, block: usize, of: Of) {
        self.scopes.push(Scope {
            start: self.blocks[block].range.start,
            level: self.heading.0,
            section: self.section,
            of,
            broken: false,
            through: None,
        });
    }

    /// The procedure continues below later headings of its own level.
    fn reaches_through(&mut self, through: Option<Spanned<String>>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.through = through;
        }
    }

    /// Refuses a contract under the heading of another one. Two groups may follow each other, and a
    /// group may be under a deeper heading within a procedure.
    fn must_have_own_section(&mut self, place: &Span, kind: Kind) {
        let section = self.section;
        let same_section = |scope: &Scope| scope.section == section;
        while kind == Kind::Checks
            && self
                .scopes
                .last()
                .is_some_and(|scope| same_section(scope) && matches!(scope.of, Of::Group(_)))
        {
            if let Some(scope) = self.scopes.pop() {
                // The other scope ends where this contract begins.
                self.closed(&scope, self.next - 1);
            }
        }
        let clash = match kind {
            Kind::Checks => self.scopes.iter().find(|scope| same_section(scope)),
            _ => self.scopes.last(),
        };
        let outer = match clash.map(|scope| &scope.of) {
            Some(Of::Procedure(index)) => {
                let procedure = &self.found.procedures[*index];
                (&procedure.id, &procedure.span)
            }
            Some(Of::Group(index)) => {
                let group = &self.found.groups[*index];
                (&group.id, &group.span)
            }
            Some(Of::Broken) | None => return,
        };
        self.problems.push(
            Problem::error(
                "contract-within-contract",
                place.clone(),
                format!("this contract is inside the section of `{}`", outer.0),
            )
            .note(outer.1.clone(), "it begins here")
            .hint("give each its own heading, of the same level"),
        );
    }

    pub(super) fn must_be_yaml(&mut self, block: usize, tag: &Tag<'_>) {
        let language = &self.blocks[block].language;
        if !matches!(language.as_str(), "yaml" | "yml" | "") {
            self.problems.push(
                Problem::error(
                    "wrong-language",
                    self.blocks[block].span.narrowed(language),
                    format!(
                        "a `{}` block is written in YAML, not in `{language}`",
                        tag.kind.name()
                    ),
                )
                .hint(format!("write `yaml {}`", tag.kind.name())),
            );
        }
    }
}
