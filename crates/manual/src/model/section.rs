//! Turns the marks of a page into procedures and groups of checks. Headings decide which block
//! belongs to which; the files in the folder of this module handle each kind of block.

mod checks;
mod contracts;
mod each;
mod expects;
mod machines;
mod place;
#[cfg(test)]
mod place_tests;
mod said;
mod steps;
mod strays;
#[cfg(test)]
mod strays_tests;

use std::ops::Range;

use crate::markdown::fence::Tag;
use crate::markdown::page::{Mark, introduction};
use crate::model::attributes;
use crate::shell::placeholder::Placeholders;
use crate::source::{Passage, Problem, Span};
use crate::{Block, Group, Kind, Procedure, Spanned};

use strays::{Strays, is_heading};

/// What a page defines.
#[derive(Default)]
pub(crate) struct Sections {
    pub procedures: Vec<Procedure>,
    pub groups: Vec<Group>,
    /// Ids of contracts that could not be read: others may still name them.
    pub unread: Vec<String>,
}

/// Assembles the marks of one page, and names the blocks.
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
        heading_is_near: true,
        each: None,
        section: 0,
        next: 0,
        answers: None,
        declared: Vec::new(),
        nothing: Placeholders::none(),
        unread_roles: Vec::new(),
        strays: Strays::default(),
    };
    for mark in marks {
        assembly.next += usize::from(!matches!(mark, Mark::Heading { .. }));
        match mark {
            Mark::Heading { level, title } => assembly.heading(level, title),
            Mark::Prose => {
                assembly.answers = None;
                assembly.heading_is_near = false;
            }
            Mark::Broken { tag } => assembly.broken(tag.as_ref()),
            Mark::Block { block, tag, said } => assembly.block(block, &tag, &said),
        }
    }
    assembly.close(0);
    let strays = std::mem::take(&mut assembly.strays);
    strays.tell(assembly.problems);
    assembly.found
}

struct Assembly<'a> {
    page: usize,
    text: &'a Passage,
    blocks: &'a mut [Block],
    problems: &'a mut Vec<Problem>,
    found: Sections,
    /// The open scopes, innermost last.
    scopes: Vec<Scope>,
    heading: (usize, String),
    /// No block is between the last heading and the current place.
    heading_is_near: bool,
    /// The open section.
    each: Option<OpenEach>,
    /// Counts headings, to detect two contracts under the same one.
    section: usize,
    /// The next block; each block of the page has a mark.
    next: usize,
    /// The block whose output an `expect` would describe.
    answers: Option<Answers>,
    /// The placeholders of each procedure found.
    declared: Vec<Placeholders>,
    nothing: Placeholders,
    /// For each procedure found, its roles that could not be read.
    unread_roles: Vec<Vec<String>>,
    /// Steps without a procedure, and procedures without steps.
    strays: Strays,
}

/// An open section: the level of its heading, and its index.
#[derive(Clone, Copy)]
struct OpenEach {
    level: usize,
    procedure: usize,
    section: usize,
}

struct Scope {
    level: usize,
    section: usize,
    /// Where its contract begins.
    start: usize,
    of: Of,
    /// Something in it could not be read: it may contain what seems to be missing.
    broken: bool,
    /// The heading of the last section that belongs to it, until that heading is reached.
    through: Option<Spanned<String>>,
}

impl Scope {
    /// Whether a heading of this level ends it; level 0 is the end of the page.
    fn ends_at(&self, level: usize) -> bool {
        let goes_on = self.through.is_some() && level == self.level;
        level == 0 || level <= self.level && !goes_on
    }
}

enum Of {
    /// Indexes into [`Sections`].
    Procedure(usize),
    Group(usize),
    /// The contract could not be read: its blocks are checked and then dropped.
    Broken,
}

#[derive(Clone, Copy)]
enum Answers {
    Step {
        procedure: usize,
    },
    StepCheck {
        procedure: usize,
        place: checks::Stands,
    },
    GroupCheck {
        group: usize,
    },
    /// A block that prints nothing.
    Silent(Kind),
    /// A block with an error of its own.
    Broken,
}

impl Assembly<'_> {
    fn heading(&mut self, level: usize, title: String) {
        if self.each.is_some_and(|open| level <= open.level) {
            self.close_each(self.scopes.last().is_some_and(|scope| scope.broken));
        }
        self.close(level);
        self.strays.heading(level, &title);
        if let Some(scope) = self.scopes.last_mut()
            && scope.level == level
        {
            scope.through.take_if(|own| is_heading(&own.value, &title));
        }
        self.heading = (level, title);
        self.heading_is_near = true;
        self.section += 1;
        self.answers = None;
    }

    /// Closes the scopes that end at a heading of this level; 0 closes all.
    fn close(&mut self, level: usize) {
        while self.scopes.last().is_some_and(|scope| scope.ends_at(level)) {
            if let Some(scope) = self.scopes.pop() {
                self.closed(&scope, self.next);
            }
        }
    }

    fn closed(&mut self, scope: &Scope, next: usize) {
        if let Of::Procedure(_) = scope.of {
            self.close_each(scope.broken);
        }
        let end = self.blocks.get(next);
        let end = end.map_or(self.text.text.len(), |block| block.range.start);
        let range = scope.start..end.max(scope.start);
        match &scope.of {
            Of::Procedure(index) => self.found.procedures[*index].reach.range = range,
            Of::Group(index) => self.found.groups[*index].reach.range = range,
            Of::Broken => {}
        }
        if let Some(through) = &scope.through {
            let known = self.strays.beside(scope.level);
            let message = format!(
                "no section `{}` of the same level follows this contract",
                through.value
            );
            let problem = Problem::error("no-such-section", through.span.clone(), message);
            let problem = problem.did_you_mean(&through.value, known.iter().map(String::as_str));
            self.problems.push(problem);
        }
        match &scope.of {
            _ if scope.broken => {}
            Of::Procedure(index) => {
                let procedure = &mut self.found.procedures[*index];
                // The manual stays in memory, and most lists have one item or none.
                procedure.steps.shrink_to_fit();
                procedure.before.shrink_to_fit();
                for step in &mut procedure.steps {
                    step.checks.shrink_to_fit();
                }
                for (_, checks) in &mut procedure.after {
                    checks.shrink_to_fit();
                }
                if procedure.steps.is_empty() {
                    self.strays.empty(&procedure.span);
                }
                self.unused_placeholders(*index);
                self.placed_twice(*index);
                self.unused_roles(*index);
            }
            Of::Group(index) => {
                let group = &mut self.found.groups[*index];
                group.checks.shrink_to_fit();
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
                format!("no block of this procedure contains `{value}`"),
            ));
        }
    }

    /// Handles a block that cannot be read; prevents follow-up errors.
    fn broken(&mut self, tag: Option<&Tag<'_>>) {
        self.answers = Some(Answers::Broken);
        let Some(tag) = tag else {
            return self.scope_is_broken();
        };
        attributes::read(self.text, tag, self.problems);
        match tag.kind {
            Kind::Procedure | Kind::Checks => self.open(self.next - 1, Of::Broken),
            _ => self.scope_is_broken(),
        }
    }

    fn scope_is_broken(&mut self) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.broken = true;
        }
    }

    /// Whether a block of this kind is allowed here.
    fn fits(&self, kind: Kind) -> bool {
        let scope = self.scopes.last().map(|scope| &scope.of);
        match kind {
            Kind::Procedure | Kind::Checks | Kind::Example => true,
            Kind::Expect => self.answers.is_some(),
            Kind::Check => scope.is_some(),
            Kind::Step | Kind::Deliver | Kind::File | Kind::Manual | Kind::Each => {
                matches!(scope, Some(Of::Procedure(_)))
            }
        }
    }

    fn block(&mut self, block: usize, tag: &Tag<'_>, said: &str) {
        if tag.guessed && !self.fits(tag.kind) {
            return self.broken(Some(tag));
        }
        let attributes = attributes::read(self.text, tag, self.problems);
        self.blocks[block].allow.clone_from(&attributes.allow);
        let heading_is_near = std::mem::take(&mut self.heading_is_near);
        self.other_machine_is_said(tag, &attributes, said, heading_is_near);
        let intro = introduction(said);
        let title = if intro.is_empty() {
            self.heading.1.clone()
        } else {
            intro
        };
        match tag.kind {
            Kind::Procedure => self.procedure(block, tag),
            Kind::Checks => self.group(block, tag),
            Kind::Step => self.script_step(block, tag, attributes, title),
            Kind::Deliver => self.deliver(block, tag, attributes, title),
            Kind::File => self.file(block, tag, attributes, title),
            Kind::Manual => self.manual(block, tag, attributes, title),
            Kind::Check => self.check(block, tag, &attributes, title),
            Kind::Expect => self.expect(block, tag, &attributes),
            Kind::Each => self.each(block, tag),
            Kind::Example => self.answers = None,
        }
    }

    /// The placeholders of the procedure at this place.
    fn placeholders(&self) -> &Placeholders {
        match self.scopes.last().map(|scope| &scope.of) {
            Some(Of::Procedure(index)) => &self.declared[*index],
            _ => &self.nothing,
        }
    }

    /// The names in `defined:` of the surrounding contract.
    fn defined(&self) -> &[String] {
        match self.scopes.last().map(|scope| &scope.of) {
            Some(Of::Procedure(index)) => &self.found.procedures[*index].reach.defined,
            Some(Of::Group(index)) => &self.found.groups[*index].reach.defined,
            Some(Of::Broken) | None => &[],
        }
    }

    fn empty(&mut self, tag: &Tag<'_>) {
        self.problems.push(Problem::error(
            "empty-block",
            self.span(&tag.range),
            format!("this `{}` is empty", tag.kind.name()),
        ));
    }

    fn only_comments(&mut self, tag: &Tag<'_>) {
        let message = format!("this `{}` holds only comments", tag.kind.name());
        self.problems.push(
            Problem::error("empty-block", self.span(&tag.range), message).hint(
                "a prompt `# ` makes a comment: write the command alone, with `sudo` on the fence",
            ),
        );
    }

    fn span(&self, range: &Range<usize>) -> Span {
        self.text.span(range.clone())
    }
}
