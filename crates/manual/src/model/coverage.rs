//! How much of a manual is declared: shell blocks that are steps, checks or examples, and shell
//! blocks without a declaration.

use std::path::PathBuf;

use serde::Serialize;

use crate::{Block, Group, Kind, Manual, Page, Procedure};

/// The coverage of a whole manual.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Pages with shell blocks, in the order of the book.
    pub pages: Vec<PageCoverage>,
    /// The sum of all pages.
    pub total: Counts,
    /// Procedures without any check or expectation.
    pub procedures_without_checks: Vec<Named>,
    /// Groups without checks.
    pub empty_groups: Vec<Named>,
}

/// The coverage of one page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PageCoverage {
    /// Relative to the root.
    pub path: PathBuf,
    /// How many blocks of each kind it has.
    #[serde(flatten)]
    pub counts: Counts,
    /// Lines of the undeclared blocks.
    pub undeclared_at: Vec<u32>,
}

/// Numbers of shell blocks by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Scripts that change a node.
    pub steps: usize,
    /// Scripts and typed assertions that only read.
    pub checks: usize,
    /// Blocks that are only shown.
    pub examples: usize,
    /// Blocks of other kinds: files, expected output.
    pub others: usize,
    /// Shell blocks without a declaration.
    pub undeclared: usize,
}

/// A procedure or a group of checks, and its title.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// `file:line`
    pub place: String,
}

/// Counts the shell blocks of a manual.
#[must_use]
pub fn coverage(manual: &Manual) -> Coverage {
    let pages: Vec<PageCoverage> = manual.pages.iter().filter_map(page).collect();
    Coverage {
        total: pages
            .iter()
            .fold(Counts::default(), |sum, page| sum.plus(page.counts)),
        pages,
        procedures_without_checks: manual
            .procedures
            .values()
            .filter(|procedure| !is_checked(procedure))
            .map(|procedure| named(&procedure.id, &procedure.span.place()))
            .collect(),
        empty_groups: manual
            .groups
            .values()
            .filter(|group| is_empty(group))
            .map(|group| named(&group.id, &group.span.place()))
            .collect(),
    }
}

/// A block that a reader would paste into a shell.
pub(crate) fn is_shell_block(block: &Block) -> bool {
    const SHELL: [&str; 13] = [
        "sh",
        "bash",
        "shell",
        "console",
        "zsh",
        "dash",
        "ksh",
        "shell-session",
        "shellsession",
        "shellscript",
        "sh-session",
        "terminal",
        "fish",
    ];
    const UNSAID: [&str; 6] = [
        "",
        "text",
        "txt",
        "plaintext",
        "no-highlight",
        "nohighlight",
    ];
    let language = block.language.as_str();
    SHELL.contains(&language)
        || UNSAID.contains(&language)
            && block.kind.is_none()
            && begins_with_prompt(&block.text.text)
}

/// A shell block without a kind.
pub(crate) fn is_undeclared_shell(block: &Block) -> bool {
    block.kind.is_none() && is_shell_block(block)
}

impl Counts {
    /// The number of all shell blocks.
    #[must_use]
    pub fn all(self) -> usize {
        self.steps + self.checks + self.examples + self.others + self.undeclared
    }

    fn plus(self, other: Counts) -> Counts {
        Counts {
            steps: self.steps + other.steps,
            checks: self.checks + other.checks,
            examples: self.examples + other.examples,
            others: self.others + other.others,
            undeclared: self.undeclared + other.undeclared,
        }
    }
}

fn page(page: &Page) -> Option<PageCoverage> {
    let mut counts = Counts::default();
    let mut undeclared_at = Vec::new();
    for block in &page.blocks {
        // A tagged block runs whatever its language is.
        match block.kind {
            Some(Kind::Step) => counts.steps += 1,
            Some(Kind::Check) => counts.checks += 1,
            _ if !is_shell_block(block) => {}
            Some(Kind::Example) => counts.examples += 1,
            Some(_) => counts.others += 1,
            None => {
                counts.undeclared += 1;
                undeclared_at.push(block.span.line());
            }
        }
    }
    (counts.all() > 0).then(|| PageCoverage {
        path: page.source.shown().to_owned(),
        counts,
        undeclared_at,
    })
}

fn begins_with_prompt(text: &str) -> bool {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .is_some_and(|line| line.starts_with("$ "))
}

fn is_checked(procedure: &Procedure) -> bool {
    procedure.steps.iter().any(|step| {
        step.expect.is_some()
            || !step.checks.is_empty()
            || matches!(&step.work, crate::Work::Script(script)
                if script.commands.iter().any(|command| command.expect.is_some()))
    })
}

fn is_empty(group: &Group) -> bool {
    group.typed.is_empty() && group.checks.is_empty()
}

fn named(id: &str, place: &str) -> Named {
    Named {
        id: id.to_owned(),
        place: place.to_owned(),
    }
}
