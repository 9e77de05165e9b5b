//! Finds steps without a procedure and procedures without steps. A misplaced contract causes both;
//! this is reported once, with the right place for the contract.

use crate::source::{Problem, Span};
use crate::{Kind, Spanned};

/// Collects them in page order.
#[derive(Default)]
pub(super) struct Strays {
    headings: Vec<Heading>,
    contracts: Vec<Contract>,
    steps: Vec<Stray>,
}

struct Heading {
    level: usize,
    title: String,
    /// Its parent heading.
    parent: Option<usize>,
}

struct Contract {
    id: String,
    span: Span,
    heading: Option<usize>,
    is_empty: bool,
}

struct Stray {
    kind: Kind,
    span: Span,
    heading: Option<usize>,
    /// The number of procedure contracts before it.
    after: usize,
}

const REACH: &str = "a procedure ends at the next heading of the same or a higher level";

/// Whether a contract names this heading; the book may show typographic quotes.
pub(super) fn is_heading(name: &str, title: &str) -> bool {
    let plain = |text: &str| -> String {
        let plain = |c: char| match c {
            '\u{2018}' | '\u{2019}' => '\'',
            '\u{201c}' | '\u{201d}' => '"',
            c => c,
        };
        text.trim().chars().map(plain).collect()
    };
    plain(name) == plain(title)
}

impl Strays {
    pub fn heading(&mut self, level: usize, title: &str) {
        let mut parent = self.headings.len().checked_sub(1);
        while let Some(index) = parent.filter(|index| self.headings[*index].level >= level) {
            parent = self.headings[index].parent;
        }
        self.headings.push(Heading {
            level,
            title: title.to_owned(),
            parent,
        });
    }

    /// Notes a procedure contract under the current heading.
    pub fn contract(&mut self, id: &Spanned<String>) {
        self.contracts.push(Contract {
            id: id.value.clone(),
            span: id.span.clone(),
            heading: self.headings.len().checked_sub(1),
            is_empty: false,
        });
    }

    pub fn step(&mut self, kind: Kind, span: Span) {
        self.steps.push(Stray {
            kind,
            span,
            heading: self.headings.len().checked_sub(1),
            after: self.contracts.len(),
        });
    }

    /// Notes a procedure that ended without a step.
    pub fn empty(&mut self, span: &Span) {
        let mut contracts = self.contracts.iter_mut();
        if let Some(contract) = contracts.find(|own| own.span == *span) {
            contract.is_empty = true;
        }
    }

    /// The titles of this level.
    pub fn beside(&self, level: usize) -> Vec<String> {
        let headings = self.headings.iter();
        let alike = headings.filter(|heading| heading.level == level);
        alike.map(|heading| heading.title.clone()).collect()
    }

    pub fn tell(mut self, problems: &mut Vec<Problem>) {
        let mut steps = std::mem::take(&mut self.steps);
        for (index, contract) in self.contracts.iter().enumerate() {
            if !contract.is_empty {
                continue;
            }
            let number = index + 1;
            let below: Vec<usize> = of(&steps, |step| step.after == number);
            let above = || {
                of(&steps, |step| {
                    step.after < number && step.heading == contract.heading
                })
            };
            let own = if below.is_empty() { above() } else { below };
            problems.push(self.without_steps(contract, number, &steps, &own));
            let mut at = 0..;
            steps.retain(|_| !at.next().is_some_and(|at| own.contains(&at)));
        }
        let runs = 0..=self.contracts.len();
        problems.extend(runs.filter_map(|run| {
            let strays: Vec<&Stray> = steps.iter().filter(|step| step.after == run).collect();
            self.without_procedure(run, &strays)
        }));
    }

    /// `own` are the steps that its contract probably belongs to.
    fn without_steps(
        &self,
        contract: &Contract,
        number: usize,
        steps: &[Stray],
        own: &[usize],
    ) -> Problem {
        let message = format!("procedure `{}` has no steps", contract.id);
        let problem = Problem::error("procedure-without-steps", contract.span.clone(), message);
        let (Some(first), Some(last)) = (own.first(), own.last()) else {
            return problem.hint("it ends at the next heading of the same or a higher level");
        };
        let (first, last) = (&steps[*first], &steps[*last]);
        let note = match own.len() {
            1 => "this step is outside of it".to_owned(),
            count => format!("{count} steps are outside of it; this is the first"),
        };
        let problem = problem.note(first.span.clone(), note);
        if first.after < number {
            let hint = match self.named(contract.heading) {
                Some(heading) => format!("move it above its first step, below `{heading}`"),
                None => "move it above its first step".to_owned(),
            };
            return problem.hint(hint);
        }
        if let Some(through) = self.through(contract.heading, last.heading) {
            return problem.hint(format!("add `through: {through}` to it"));
        }
        let Some(heading) = self.named(first.heading) else {
            return problem.hint(REACH);
        };
        let more = match self.through(first.heading, last.heading) {
            Some(through) => format!(", with `through: {through}`"),
            None => String::new(),
        };
        problem.hint(format!("move it below `{heading}`{more}"))
    }

    /// Reports all steps between two contracts as one error.
    fn without_procedure(&self, run: usize, strays: &[&Stray]) -> Option<Problem> {
        let (first, last) = (strays.first()?, strays.last()?);
        let more = match strays.len() - 1 {
            0 => String::new(),
            1 => ", and so is one below it".to_owned(),
            more => format!(", and so are {more} below it"),
        };
        let message = format!(
            "this `{}` is outside of any procedure{more}",
            first.kind.name()
        );
        let problem = Problem::error("step-outside-procedure", first.span.clone(), message);
        let before = run.checked_sub(1).map(|index| &self.contracts[index]);
        let through = before.and_then(|own| self.through(own.heading, last.heading));
        Some(match (before, through, self.named(first.heading)) {
            (Some(own), Some(through), _) => problem
                .note(own.span.clone(), format!("`{}` ended before it", own.id))
                .hint(format!(
                    "`through: {through}` in that contract includes it; a new \
                     procedure needs its own `yaml procedure` block"
                )),
            (None, _, Some(heading)) => problem.hint(format!(
                "write its contract, a block `yaml procedure` with an `id`, below `{heading}`"
            )),
            _ => problem.hint(REACH),
        })
    }

    /// The last section that a contract would have to include to reach a place: its name as a YAML
    /// value. `None` if the contract has no such sibling section.
    fn through(&self, contract: Option<usize>, place: Option<usize>) -> Option<String> {
        let own = &self.headings[contract?];
        let mut at = place?;
        loop {
            if Some(at) == contract {
                return None;
            }
            let heading = &self.headings[at];
            if heading.level == own.level && heading.parent == own.parent {
                return Some(quoted(&heading.title));
            }
            at = heading.parent?;
        }
    }

    /// `## Install`
    fn named(&self, heading: Option<usize>) -> Option<String> {
        let heading = &self.headings[heading?];
        let title = heading.title.replace('`', "");
        Some(format!("{} {title}", "#".repeat(heading.level)))
    }
}

fn of(steps: &[Stray], is: impl Fn(&Stray) -> bool) -> Vec<usize> {
    let steps = steps.iter().enumerate();
    let found = steps.filter(|(_, step)| is(step));
    found.map(|(at, _)| at).collect()
}

/// A title as a value in YAML.
fn quoted(title: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == ' ' || c == '-';
    if title.chars().all(plain) && title.starts_with(char::is_alphabetic) {
        return title.to_owned();
    }
    format!("'{}'", title.replace('\'', "''"))
}
