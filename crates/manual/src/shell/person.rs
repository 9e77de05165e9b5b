//! Finds commands that need a person or never end. A block has no terminal and an empty standard
//! input; with empty input, many such commands do something else and report success.

mod asks;
mod ends;
mod opens;
mod options;
mod rules;
mod tables;

use std::collections::HashSet;

use crate::shell::syntax::{self, Input, Simple};
use crate::source::{Passage, Problem, Span};

use options::{Call, Inner, Place};

/// Why a command does not work without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// It asks a question; what to write instead.
    Asks(&'static str),
    /// It reads typed input; what to write instead.
    Reads(&'static str),
    /// It starts an interactive shell or program; what to write instead.
    Opens(&'static str),
    /// It runs until somebody stops it; what to write instead.
    NeverEnds(&'static str),
    /// It starts a pager; here, the pager prints everything at once.
    Pages,
    /// It may ask for a password, and nobody can answer.
    Sudo,
}

/// The user of a script, as far as it matters for sudo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    Login,
    /// `sudo` on the fence: root needs no password.
    Root,
}

/// Nesting of scripts in `sh -c` and `ssh`.
const MAX_DEPTH: usize = 4;

/// Checks the commands of one script.
pub(crate) fn check(text: &Passage, commands: &[Simple], who: As, problems: &mut Vec<Problem>) {
    // A script that sets an editor handles editors.
    let has_editor = commands.iter().any(|command| {
        let exports = matches!(command.words.first().map(String::as_str), Some("export"));
        exports && command.words.iter().any(|word| word.contains("EDITOR="))
    });
    // A script that tests for a terminal handles its absence.
    let asks_for_terminal = ["[ -t 0", "test -t 0", "! -t 0", "[ -t 1", "test -t 1"]
        .iter()
        .any(|test| text.text.contains(test));
    let functions = syntax::functions(commands);
    let mut look = Look {
        text,
        has_editor,
        functions,
        who,
        problems,
    };
    for command in commands {
        if asks_for_terminal && command.input == Input::Empty {
            let mut command = command.clone();
            command.input = Input::Given;
            look.at(&command, 0);
        } else {
            look.at(command, 0);
        }
    }
}

struct Look<'a> {
    text: &'a Passage,
    has_editor: bool,
    functions: HashSet<&'a str>,
    who: As,
    problems: &'a mut Vec<Problem>,
}

impl Look<'_> {
    fn at(&mut self, command: &Simple, depth: usize) {
        let name = command.words.first().map_or("", String::as_str);
        if self.functions.contains(name) || depth > MAX_DEPTH {
            return;
        }
        let call = Call::of(command, self.has_editor);
        let finding = rules::finding(&call);
        // Report `sudo -i` and `sudo su` once.
        let asks = call.sudo == options::Sudo::Asks;
        let told = finding.is_some() && matches!(call.name(), "sudo" | "su");
        if asks && !told && self.who == As::Login && depth == 0 {
            self.problems
                .push(problem(self.text, command, "sudo", Finding::Sudo));
        }
        if let Some(finding) = finding {
            self.problems
                .push(problem(self.text, command, call.name(), finding));
            return;
        }
        let limited = call.is_limited;
        for mut inner in inner(command, &call) {
            inner.background |= limited;
            self.at(&inner, depth + 1);
        }
    }
}

/// The commands that a command runs, as if they replaced it.
fn inner(command: &Simple, call: &Call<'_>) -> Vec<Simple> {
    match call.inner() {
        None => Vec::new(),
        Some(Inner::Words(words, place)) => {
            let mut inner = command.clone();
            inner.words = words;
            if place == Place::Cut {
                inner.input = Input::Empty;
            }
            vec![inner]
        }
        Some(Inner::Script(script)) => {
            let placed = |mut simple: Simple| {
                simple.place = command.place.clone();
                simple.background |= command.background;
                simple.kept |= command.kept;
                simple.readers.extend(command.readers.iter().cloned());
                if command.input == Input::Given {
                    simple.input = Input::Given;
                }
                simple
            };
            let found = syntax::commands_of(&script);
            found.into_iter().map(placed).collect()
        }
    }
}

/// The problem of `select`: it shows a menu and reads a choice.
pub(crate) fn select(span: Span) -> Problem {
    let message = "`select` reads from a person, but its input is empty";
    Problem::error("needs-a-person", span, message).hint("make it a parameter of the procedure")
}

fn problem(text: &Passage, command: &Simple, name: &str, finding: Finding) -> Problem {
    let length = text.text.len();
    let span = text.span(command.place.start.min(length)..command.place.end.min(length));
    let error =
        |code, message: String, hint: &str| Problem::error(code, span.clone(), message).hint(hint);
    match finding {
        Finding::Asks(hint) => {
            let message = format!("`{name}` asks a person here, but a script runs without one");
            error("needs-a-person", message, hint)
        }
        Finding::Reads(hint) => {
            let message = format!("`{name}` reads from a person, but its input is empty");
            error("needs-a-person", message, hint)
        }
        Finding::Opens(hint) => {
            let message = format!(
                "`{name}` opens an interactive session, but its input is empty: the commands \
                 below do not run in it"
            );
            error("needs-a-person", message, hint)
        }
        Finding::NeverEnds(hint) => {
            let message = format!("`{name}` runs until a person stops it");
            error("never-ends", message, hint)
        }
        Finding::Pages => {
            let message = format!(
                "`{name}` shows pages to a person; in a script it prints \
                 everything at once"
            );
            Problem::warning("needs-a-person", span.clone(), message)
                .hint("remove it, or write `allow=needs-a-person` on the fence")
        }
        Finding::Sudo => {
            let message = "if `sudo` needs a password, it cannot ask for it in a script";
            Problem::warning("sudo-in-script", span.clone(), message).hint(
                "write `sudo` on the fence, so that opsbook asks for the password, or `sudo -n` \
                 if it needs none",
            )
        }
    }
}

impl Call<'_> {
    fn has_no_input(&self) -> bool {
        self.command.input == Input::Empty
    }
}
