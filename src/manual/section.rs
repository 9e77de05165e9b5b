//! Marks of a page -> procedures and groups of checks: which block belongs to which, by
//! headings; how steps are numbered and checks are named; what an expectation is of.

mod checks;
mod expects;

use std::ops::Range;

use crate::manual::attributes::{self, Attributes};
use crate::manual::contract::{self, GroupContract, ProcedureContract};
use crate::manual::fence::Tag;
use crate::manual::page::Mark;
use crate::manual::placeholder::Placeholders;
use crate::manual::script::{interpreter, script};
use crate::manual::{
    Block, Delivery, DeliveryFrom, Group, On, Procedure, Role, Script, Spanned, Step, Work,
};
use crate::source::{Passage, Problem, Span};

/// What a page defines.
#[derive(Default)]
pub(crate) struct Sections {
    pub procedures: Vec<Procedure>,
    pub groups: Vec<Group>,
}

/// Puts the marks of one page together; names the blocks on the way.
pub(crate) fn assemble(
    page: usize,
    text: &Passage,
    blocks: &mut [Block],
    marks: Vec<Mark<'_>>,
    problems: &mut Vec<Problem>,
) -> Sections {
    let mut assembly = Assembly {
        page,
        text,
        blocks,
        problems,
        found: Sections::default(),
        scopes: Vec::new(),
        heading: (0, String::new()),
        section: 0,
        answers: None,
        declared: Vec::new(),
        nothing: Placeholders::none(),
    };
    for mark in marks {
        match mark {
            Mark::Heading { level, title } => assembly.heading(level, title),
            Mark::Prose => assembly.answers = None,
            Mark::Block { block, tag, intro } => assembly.block(block, &tag, intro),
        }
    }
    assembly.close(0);
    assembly.found
}

struct Assembly<'a> {
    page: usize,
    text: &'a Passage,
    blocks: &'a mut [Block],
    problems: &'a mut Vec<Problem>,
    found: Sections,
    /// What is open, the innermost last.
    scopes: Vec<Scope>,
    heading: (usize, String),
    /// Counts headings, to know whether two contracts stand under the same one.
    section: usize,
    /// What an `expect` would be of.
    answers: Option<Answers>,
    /// The placeholders of each procedure found.
    declared: Vec<Placeholders>,
    nothing: Placeholders,
}

struct Scope {
    level: usize,
    section: usize,
    of: Of,
}

enum Of {
    /// Indexes into [`Sections`].
    Procedure(usize),
    Group(usize),
    /// The contract could not be read: its blocks are checked, and dropped.
    Broken,
}

#[derive(Clone, Copy)]
enum Answers {
    Step {
        procedure: usize,
    },
    StepCheck {
        procedure: usize,
    },
    GroupCheck {
        group: usize,
    },
    /// A block that was in error itself.
    Broken,
}

impl Assembly<'_> {
    fn heading(&mut self, level: usize, title: String) {
        self.close(level);
        self.heading = (level, title);
        self.section += 1;
        self.answers = None;
    }

    /// Ends the scopes that do not reach below a heading of this level; 0 ends all.
    fn close(&mut self, level: usize) {
        while self
            .scopes
            .last()
            .is_some_and(|scope| level == 0 || level <= scope.level)
        {
            if let Some(Scope { of, .. }) = self.scopes.pop() {
                self.closed(&of);
            }
        }
    }

    fn closed(&mut self, of: &Of) {
        match of {
            Of::Procedure(index) => {
                let procedure = &mut self.found.procedures[*index];
                // A manual is kept in memory, and most steps have one check or none.
                procedure.steps.shrink_to_fit();
                if procedure.steps.is_empty() {
                    self.problems.push(
                        Problem::error(
                            "procedure-without-steps",
                            procedure.span.clone(),
                            format!("procedure `{}` has no steps", procedure.id),
                        )
                        .hint("it reaches to the next heading of the same or a higher level"),
                    );
                }
                self.unused_placeholders(*index);
            }
            Of::Group(index) => {
                let group = &self.found.groups[*index];
                if group.typed.is_empty() && group.checks.is_empty() {
                    self.problems.push(Problem::error(
                        "group-without-checks",
                        group.span.clone(),
                        format!("group of checks `{}` checks nothing", group.id),
                    ));
                }
            }
            Of::Broken => {}
        }
    }

    fn unused_placeholders(&mut self, procedure: usize) {
        for Spanned { value, span } in self.declared[procedure].unused() {
            self.problems.push(Problem::warning(
                "unused-placeholder",
                span.clone(),
                format!("`{value}` is replaced nowhere in this procedure"),
            ));
        }
    }

    fn block(&mut self, block: usize, tag: &Tag<'_>, intro: String) {
        let attributes = attributes::read(self.text, tag, self.problems);
        let title = if intro.is_empty() {
            self.heading.1.clone()
        } else {
            intro
        };
        match tag.role {
            Role::Procedure => self.procedure(block, tag),
            Role::Checks => self.group(block, tag),
            Role::Step => self.script_step(block, tag, attributes, title),
            Role::Deliver => self.deliver(block, tag, attributes, title),
            Role::File => self.file(block, tag, attributes, title),
            Role::Manual => self.manual(block, tag, attributes, title),
            Role::Check => self.check(block, tag, &attributes, title),
            Role::Expect => self.expect(block, tag, &attributes),
            Role::Example => self.answers = None,
        }
    }

    fn procedure(&mut self, block: usize, tag: &Tag<'_>) {
        self.answers = None;
        self.must_be_yaml(block, tag);
        let place = self.span(&tag.range);
        let contract = contract::procedure(&self.blocks[block].text, &place, self.problems);
        self.must_have_own_section(&place, tag.role);
        let ProcedureContract {
            id,
            nodes,
            needs,
            timeout,
            params,
            replace,
        } = contract;
        let Some(id) = id else {
            return self.open(Of::Broken);
        };
        self.blocks[block].name.clone_from(&id.value);
        self.declared.push(Placeholders::new(&replace));
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
        });
        self.open(Of::Procedure(self.found.procedures.len() - 1));
    }

    fn group(&mut self, block: usize, tag: &Tag<'_>) {
        self.answers = None;
        self.must_be_yaml(block, tag);
        let place = self.span(&tag.range);
        let GroupContract { id, nodes, typed } =
            contract::group(&self.blocks[block].text, &place, self.problems);
        self.must_have_own_section(&place, tag.role);
        let Some(id) = id else {
            return self.open(Of::Broken);
        };
        self.blocks[block].name.clone_from(&id.value);
        self.found.groups.push(Group {
            id: id.value,
            title: self.heading.1.clone(),
            span: id.span,
            page: self.page,
            nodes,
            typed,
            checks: Vec::new(),
        });
        self.open(Of::Group(self.found.groups.len() - 1));
    }

    fn open(&mut self, of: Of) {
        self.scopes.push(Scope {
            level: self.heading.0,
            section: self.section,
            of,
        });
    }

    /// A contract under the heading of another: two groups may follow each other, and a
    /// group may stand under a deeper heading within a procedure; nothing else.
    fn must_have_own_section(&mut self, place: &Span, role: Role) {
        let section = self.section;
        let same_section = |scope: &Scope| scope.section == section;
        while role == Role::Checks
            && self
                .scopes
                .last()
                .is_some_and(|scope| same_section(scope) && matches!(scope.of, Of::Group(_)))
        {
            if let Some(Scope { of, .. }) = self.scopes.pop() {
                self.closed(&of);
            }
        }
        let clash = match role {
            Role::Checks => self.scopes.iter().find(|scope| same_section(scope)),
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
                format!("this contract stands where `{}` still reaches", outer.0),
            )
            .note(outer.1.clone(), "it begins here")
            .hint("give each a heading of its own, of the same level"),
        );
    }

    fn must_be_yaml(&mut self, block: usize, tag: &Tag<'_>) {
        let language = &self.blocks[block].language;
        if !matches!(language.as_str(), "yaml" | "yml" | "") {
            self.problems.push(
                Problem::error(
                    "wrong-language",
                    self.blocks[block].span.clone(),
                    format!(
                        "a `{}` block is written in YAML, not in `{language}`",
                        tag.role.name()
                    ),
                )
                .hint(format!("write `yaml {}`", tag.role.name())),
            );
        }
    }

    fn script_step(&mut self, block: usize, tag: &Tag<'_>, attributes: Attributes, title: String) {
        let Some(mut script) = self.script(block, tag) else {
            self.answers = Some(Answers::Broken);
            return;
        };
        self.transcript_exit(tag, &attributes, &mut script);
        self.step(block, tag, attributes, title, Work::Script(script));
    }

    fn deliver(&mut self, block: usize, tag: &Tag<'_>, attributes: Attributes, title: String) {
        self.must_be_yaml(block, tag);
        let place = self.span(&tag.range);
        let mut work = contract::deliveries(&self.blocks[block].text, &place, self.problems);
        for delivery in &mut work {
            let (DeliveryFrom::File(from)
            | DeliveryFrom::Tree(from)
            | DeliveryFrom::Template(from)) = &mut delivery.from
            else {
                continue;
            };
            *from = self.placeholders().in_name(from);
            delivery.to = self.placeholders().in_name(&delivery.to);
        }
        self.step(block, tag, attributes, title, Work::Deliver(work));
    }

    fn file(&mut self, block: usize, tag: &Tag<'_>, attributes: Attributes, title: String) {
        let place = self.span(&tag.range);
        let to = if let Some(name) = &attributes.bundle_name {
            name.value.clone()
        } else {
            self.problems.push(
                Problem::error("file-without-name", place.clone(), "this file has no name")
                    .hint("add `as=NAME`, its name in the bundle"),
            );
            String::new()
        };
        let delivery = Delivery {
            span: place,
            from: DeliveryFrom::Inline(self.placeholders().in_template(&self.blocks[block].text)),
            to,
            mode: attributes.mode.unwrap_or(0o600),
        };
        self.step(block, tag, attributes, title, Work::Deliver(vec![delivery]));
    }

    fn manual(&mut self, block: usize, tag: &Tag<'_>, attributes: Attributes, title: String) {
        let text = self.blocks[block].text.text.trim();
        let text = self.placeholders().in_name(text);
        if text.is_empty() {
            self.empty(tag);
        }
        self.step(block, tag, attributes, title, Work::Manual(text));
    }

    fn step(
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
        if let Work::Script(_) = work {
            self.answers = Some(Answers::Step { procedure });
        }
        let number = self.found.procedures[procedure].steps.len() + 1;
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
            on: attributes.on.unwrap_or(On::Node),
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

    /// `exit=` on a transcript of one command is that command's status; with more, each shows
    /// its own.
    fn transcript_exit(&mut self, tag: &Tag<'_>, attributes: &Attributes, script: &mut Script) {
        let (Some(exit), [first, more @ ..]) = (&attributes.exit, &mut script.commands[..]) else {
            return;
        };
        match exit[..] {
            [status] if more.is_empty() && first.exit == 0 => first.exit = status,
            _ => self.problems.push(
                Problem::error(
                    "exit-of-transcript",
                    self.span(&tag.range),
                    "the statuses of a transcript stand in it",
                )
                .hint("write `exit N` below the command"),
            ),
        }
    }

    fn step_span(&self, tag: &Tag<'_>, attributes: &Attributes) -> Span {
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
                    format!("a `{}` in the group of checks `{}`", tag.role.name(), group.id),
                )
                .note(group.span.clone(), "the group begins here")
            }
            None => Problem::error(
                "step-outside-procedure",
                self.span(&tag.range),
                format!("this `{}` stands outside any procedure", tag.role.name()),
            )
            .hint("a procedure reaches from its contract to the next heading of the same or a higher level"),
        };
        self.problems.push(problem);
        None
    }

    fn script(&mut self, block: usize, tag: &Tag<'_>) -> Option<Script> {
        let Block { language, text, .. } = &self.blocks[block];
        if text.text.trim().is_empty() {
            self.empty(tag);
            return None;
        }
        let Some(interpreter) = interpreter(language) else {
            self.problems.push(
                Problem::error(
                    "wrong-language",
                    self.blocks[block].span.clone(),
                    format!("a `{}` in `{language}` cannot run", tag.role.name()),
                )
                .hint("the language names the interpreter: `sh`, `bash`, `python`, …"),
            );
            return None;
        };
        let mut problems = Vec::new();
        let script = script(interpreter, text, self.placeholders(), &mut problems);
        self.problems.append(&mut problems);
        Some(script)
    }

    /// Those of the procedure at this place.
    fn placeholders(&self) -> &Placeholders {
        match self.scopes.last().map(|scope| &scope.of) {
            Some(Of::Procedure(index)) => &self.declared[*index],
            _ => &self.nothing,
        }
    }

    fn empty(&mut self, tag: &Tag<'_>) {
        self.problems.push(Problem::error(
            "empty-block",
            self.span(&tag.range),
            format!("this `{}` is empty", tag.role.name()),
        ));
    }

    fn span(&self, range: &Range<usize>) -> Span {
        self.text.span(range.clone())
    }
}
