//! Extracts the simple commands of a parsed script, each with what is known about its input and the
//! readers of its output. Treats no command specially except `exec`.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use brush_parser::ast::{
    AndOr, Command, CommandPrefixOrSuffixItem as Item, CompoundCommand, CompoundList,
    IoFileRedirectKind, IoRedirect, Pipeline, Program, RedirectList, SeparatorOperator,
    SimpleCommand, SourceLocation as _, Word,
};

use crate::shell::scan::scan;
use crate::source::Offsets;

/// One simple command of a script.
#[derive(Clone, Debug)]
pub(crate) struct Simple {
    /// Its name and arguments, unquoted.
    pub words: Vec<String>,
    /// The range of its name.
    pub place: Range<usize>,
    /// The names of the assignments before it.
    pub assigned: Vec<String>,
    pub input: Input,
    /// The commands that read its output, in pipe order; at most `MOST_READERS`. Shared by all
    /// commands of a group.
    pub readers: Vec<Arc<Vec<String>>>,
    /// Its output goes to a file or a variable.
    pub kept: bool,
    /// It runs in the background.
    pub background: bool,
    /// The surrounding function.
    function: Option<Arc<str>>,
}

/// The names of the surrounding functions.
pub(crate) fn functions(commands: &[Simple]) -> HashSet<&str> {
    let mut names = HashSet::new();
    let mut last: Option<&Arc<str>> = None;
    for name in commands
        .iter()
        .filter_map(|simple| simple.function.as_ref())
    {
        if last.is_none_or(|last| !Arc::ptr_eq(last, name)) {
            names.insert(&**name);
        }
        last = Some(name);
    }
    names
}

impl Simple {
    /// Marks it as part of a `$(…)` that begins at this offset.
    pub(super) fn within(mut self, start: usize) -> Simple {
        self.place = self.place.start + start..self.place.end + start;
        self.kept = true;
        self
    }
}

/// The standard input of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// That of the block: empty.
    Empty,
    /// A file, a pipe, a text; or unknown.
    Given,
}

/// Nesting of `$(…)`.
const MAX_DEPTH: usize = 8;

/// Real scripts have no longer pipes, and each command would store all others.
const MOST_READERS: usize = 16;

/// Depth of function calls.
const MAX_CALLS: usize = 16;

/// The simple commands of a program in order; `text` is the parsed text.
pub(super) fn simple_commands(program: &Program, text: &str) -> Vec<Simple> {
    let mut walk = Walk {
        text,
        offsets: Offsets::of(text),
        base: 0,
        depth: 0,
        found: Vec::new(),
        input: Input::Empty,
        readers: Vec::new(),
        kept: false,
        background: false,
        function: None,
    };
    walk.program(program);
    let mut found = walk.found;
    of_functions(&mut found);
    found
}

/// The input of a function is the input of its commands. Without a visible call, or with too deep
/// calls, the input is unknown.
fn of_functions(found: &mut [Simple]) {
    let calls = |found: &[Simple], input: Input| -> BTreeSet<String> {
        let calls = found.iter().filter(|simple| simple.input == input);
        calls
            .filter_map(|simple| simple.words.first().cloned())
            .collect()
    };
    if found.iter().all(|simple| simple.function.is_none()) {
        return;
    }
    for _ in 0..MAX_CALLS {
        let fed = calls(found, Input::Given);
        let bare = calls(found, Input::Empty);
        let mut changed = false;
        // Commands of one function share its name: look it up once.
        let mut last: Option<(Arc<str>, bool)> = None;
        for simple in found.iter_mut() {
            let Some(name) = &simple.function else {
                continue;
            };
            let given = match &last {
                Some((same, given)) if Arc::ptr_eq(same, name) => *given,
                _ => fed.contains(&**name) || !bare.contains(&**name),
            };
            last = Some((Arc::clone(name), given));
            if simple.input == Input::Empty && given {
                simple.input = Input::Given;
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
    for simple in found.iter_mut().filter(|simple| simple.function.is_some()) {
        simple.input = Input::Given;
    }
}

struct Walk<'a> {
    text: &'a str,
    offsets: Offsets,
    /// The offset of the text in the whole script.
    base: usize,
    depth: usize,
    found: Vec<Simple>,
    input: Input,
    readers: Vec<Arc<Vec<String>>>,
    kept: bool,
    background: bool,
    function: Option<Arc<str>>,
}

impl Walk<'_> {
    fn program(&mut self, program: &Program) {
        for list in &program.complete_commands {
            self.list(list);
        }
    }

    fn list(&mut self, list: &CompoundList) {
        for item in &list.0 {
            let before = self.background;
            self.background |= matches!(item.1, SeparatorOperator::Async);
            self.pipeline(&item.0.first);
            for more in &item.0.additional {
                let (AndOr::And(pipeline) | AndOr::Or(pipeline)) = more;
                self.pipeline(pipeline);
            }
            self.background = before;
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline) {
        let outside = std::mem::take(&mut self.readers);
        let before = self.input;
        let all = pipeline
            .seq
            .iter()
            .map(|command| Arc::new(words_of(command)));
        let all: Vec<_> = all.chain(outside.iter().cloned()).collect();
        for (index, command) in pipeline.seq.iter().enumerate() {
            let after = all[index + 1..].iter().take(MOST_READERS);
            self.readers = after.cloned().collect();
            if index > 0 {
                self.input = Input::Given;
            }
            self.command(command);
        }
        // `exec <file` lasts, except in a pipe.
        if pipeline.seq.len() > 1 {
            self.input = before;
        }
        self.readers = outside;
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Simple(simple) => self.simple(simple),
            Command::Compound(compound, redirects) => {
                self.within(redirects.as_ref(), |walk| walk.compound(compound));
            }
            Command::Function(function) => {
                let before = (self.function.take(), self.input);
                self.function = Some(function.fname.value.as_str().into());
                self.within(function.body.1.as_ref(), |walk| {
                    walk.compound(&function.body.0);
                });
                (self.function, self.input) = before;
            }
            Command::ExtendedTest(..) => {}
        }
    }

    fn within(&mut self, redirects: Option<&RedirectList>, walk: impl FnOnce(&mut Self)) {
        let before = (self.input, self.kept);
        let redirects = redirects.map_or(&[][..], |list| &list.0);
        self.redirected(redirects.iter());
        let given = self.input != before.0;
        walk(self);
        self.kept = before.1;
        if given {
            self.input = before.0;
        }
    }

    fn redirected<'r>(&mut self, redirects: impl Iterator<Item = &'r IoRedirect>) {
        for redirect in redirects {
            match redirect {
                IoRedirect::File(fd, kind, _) => match kind {
                    IoFileRedirectKind::Read
                    | IoFileRedirectKind::ReadAndWrite
                    | IoFileRedirectKind::DuplicateInput => {
                        if matches!(fd, None | Some(0)) {
                            self.input = Input::Given;
                        }
                    }
                    IoFileRedirectKind::Write
                    | IoFileRedirectKind::Append
                    | IoFileRedirectKind::Clobber => {
                        self.kept |= matches!(fd, None | Some(1));
                    }
                    IoFileRedirectKind::DuplicateOutput => {}
                },
                IoRedirect::HereDocument(fd, _) | IoRedirect::HereString(fd, _) => {
                    if matches!(fd, None | Some(0)) {
                        self.input = Input::Given;
                    }
                }
                IoRedirect::OutputAndError(..) => self.kept = true,
            }
        }
    }

    fn compound(&mut self, compound: &CompoundCommand) {
        match compound {
            CompoundCommand::BraceGroup(group) => self.list(&group.list),
            CompoundCommand::Subshell(subshell) => self.list(&subshell.list),
            CompoundCommand::ForClause(each) => {
                each.values
                    .iter()
                    .flatten()
                    .for_each(|word| self.word(word));
                self.list(&each.body.list);
            }
            CompoundCommand::ArithmeticForClause(each) => self.list(&each.body.list),
            CompoundCommand::CaseClause(case) => {
                self.word(&case.value);
                case.cases
                    .iter()
                    .filter_map(|case| case.cmd.as_ref())
                    .for_each(|list| self.list(list));
            }
            CompoundCommand::IfClause(choice) => {
                self.list(&choice.condition);
                self.list(&choice.then);
                for other in choice.elses.iter().flatten() {
                    other.condition.iter().for_each(|list| self.list(list));
                    self.list(&other.body);
                }
            }
            CompoundCommand::WhileClause(repeat) | CompoundCommand::UntilClause(repeat) => {
                self.list(&repeat.0);
                self.list(&repeat.1.list);
            }
            CompoundCommand::Coprocess(process) => {
                let before = (self.input, self.background);
                (self.input, self.background) = (Input::Given, true);
                self.command(&process.body);
                (self.input, self.background) = before;
            }
            CompoundCommand::Arithmetic(_) => {}
        }
    }

    fn simple(&mut self, simple: &SimpleCommand) {
        let before = (self.input, self.kept);
        let items = || {
            let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
            let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
            prefix.chain(suffix)
        };
        let redirects = items().filter_map(|item| match item {
            Item::IoRedirect(redirect) => Some(redirect),
            _ => None,
        });
        self.redirected(redirects);
        let mut assigned = Vec::new();
        for item in items() {
            match item {
                Item::Word(word) => self.word(word),
                Item::AssignmentWord(assignment, word) => {
                    assigned.push(assignment.name.to_string());
                    self.word(word);
                }
                Item::ProcessSubstitution(_, inner) => self.list(&inner.list),
                Item::IoRedirect(_) => {}
            }
        }
        if let Some(name) = &simple.word_or_name {
            self.word(name);
            self.found.push(Simple {
                words: words_of(&Command::Simple(simple.clone())),
                place: self.place(name),
                assigned,
                input: self.input,
                readers: self.readers.clone(),
                kept: self.kept,
                background: self.background,
                function: self.function.clone(),
            });
        }
        let lasts = simple.suffix.as_ref().is_some_and(|suffix| {
            let redirect = |item: &Item| matches!(item, Item::IoRedirect(_));
            suffix.0.iter().all(redirect)
        });
        let exec = simple.word_or_name.as_ref();
        if exec.is_some_and(|name| name.value == "exec") && lasts {
            self.kept = before.1;
        } else {
            (self.input, self.kept) = before;
        }
    }

    /// The scripts in a word: `$(…)`.
    fn word(&mut self, word: &Word) {
        if self.depth >= MAX_DEPTH || !word.value.contains("$(") {
            return;
        }
        let at = self.place(word).start;
        for range in scan(&word.value).substitutions {
            let code = &word.value[range.clone()];
            let Ok(program) = super::read(code, false) else {
                continue;
            };
            let mut inner = Walk {
                text: code,
                offsets: Offsets::of(code),
                base: at + range.start,
                depth: self.depth + 1,
                found: Vec::new(),
                input: self.input,
                readers: Vec::new(),
                kept: true,
                background: self.background,
                function: self.function.clone(),
            };
            inner.program(&program);
            self.found.append(&mut inner.found);
        }
    }

    /// The range in bytes; the parser counts characters.
    fn place(&self, word: &Word) -> Range<usize> {
        let index = word.location().map_or(0, |span| span.start.index);
        let start = self.offsets.byte(index, self.text);
        let end = (start + word.value.len()).min(self.text.len());
        self.base + start..self.base + end
    }
}

/// The name and the arguments of a simple command.
fn words_of(command: &Command) -> Vec<String> {
    let Command::Simple(simple) = command else {
        return Vec::new();
    };
    let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
    let arguments = suffix.filter_map(|item| match item {
        Item::Word(word) | Item::AssignmentWord(_, word) => Some(word),
        _ => None,
    });
    let words = simple.word_or_name.iter().chain(arguments);
    words.map(|word| unquoted(&word.value)).collect()
}

/// A word without its quotes; expansions stay as written.
fn unquoted(word: &str) -> String {
    let mut plain = String::with_capacity(word.len());
    let mut quote = None;
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None | Some('"'), '\\') => plain.extend(chars.next().filter(|c| *c != '\n')),
            (_, c) => plain.push(c),
        }
    }
    plain
}
