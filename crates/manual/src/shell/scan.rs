//! A tolerant reader of shell text: what is quoted how, which variables are mentioned, and
//! the words of each simple command. It never fails; where the text is unclear it mentions
//! rather than misses. Whether the syntax is right is not its business.
//!
//! It is ours beside `brush_parser`, because it must also understand a text that is not finished or
//! not right, and because a parser gives up where this one still says what a variable is.

mod commands;
mod expansions;
mod here;

use std::collections::VecDeque;
use std::ops::Range;

use here::Here;

/// What one pass over a script found, in the order of the text.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Where each context begins; it holds until the next.
    contexts: Vec<(usize, Context)>,
    pub mentions: Vec<Mention>,
    /// The words of each simple command, reserved words among them.
    pub commands: Vec<Vec<Range<usize>>>,
    /// What stands within each outermost `$(…)`.
    pub substitutions: Vec<Range<usize>>,
    /// Quotes, substitutions and groups within each other, at most.
    pub depth: usize,
    /// Parentheses within each other in one arithmetic expression, at most.
    pub arithmetic: usize,
}

/// How the shell reads the text at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// Outside quotes.
    Plain,
    Double,
    /// `'…'`
    Single,
    /// `$'…'`
    AnsiC,
    Comment,
    /// A here-document in which variables are put in.
    HereDoc,
    /// A here-document whose word was quoted: taken as it is.
    HereDocQuoted,
    Arithmetic,
}

/// A variable that the text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    pub name: Range<usize>,
    pub usage: Usage,
}

/// What a mention does with the variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// It must be set: `$x`.
    Needs,
    /// The text says what holds where it is not set: `${x:-d}`, `${x+y}`, `${x?why}`.
    Guards,
    /// It is given a value: `${x:=d}`, `$((x = 1))`, `exec {x}>file`.
    Sets,
}

impl Scan {
    /// The context of the byte at a place.
    pub fn context(&self, at: usize) -> Context {
        let index = self.contexts.partition_point(|(start, _)| *start <= at);
        index
            .checked_sub(1)
            .map_or(Context::Plain, |index| self.contexts[index].1)
    }
}

/// Reads a script.
pub(crate) fn scan(text: &str) -> Scan {
    let mut scanner = Scanner {
        text: text.as_bytes(),
        at: 0,
        frames: vec![Frame::new(Kind::Commands { end: None })],
        substitutions: 0,
        found: Scan::default(),
    };
    scanner.mark();
    while scanner.at < scanner.text.len() {
        scanner.step();
    }
    while scanner.frames.len() > 1 {
        scanner.close();
    }
    scanner.end_command();
    scanner.found
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// Never empty; the innermost last.
    frames: Vec<Frame>,
    /// How many of these are `$(…)`.
    substitutions: usize,
    found: Scan,
}

struct Frame {
    kind: Kind,
    words: Vec<Range<usize>>,
    word: Option<usize>,
    /// The word is where a redirection leads, and no word of the command.
    target: bool,
    /// Here-documents whose text begins after this line.
    here: VecDeque<Here>,
    /// `case`s that are open, in whose patterns `)` closes nothing.
    cases: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Commands up to `)`, a backtick, or the end.
    Commands {
        end: Option<u8>,
    },
    /// `$(…)`, which begins at this place.
    Substitution {
        start: usize,
    },
    Double,
    /// `${name…}`; whether it stands within double quotes.
    Parameter {
        quoted: bool,
    },
    /// `((…))`, with the parentheses open within.
    Arithmetic {
        open: usize,
    },
    /// A here-document in which variables are put in, up to a place.
    HereDoc {
        end: usize,
    },
}

impl Frame {
    fn new(kind: Kind) -> Frame {
        Frame {
            kind,
            words: Vec::new(),
            word: None,
            target: false,
            here: VecDeque::new(),
            cases: 0,
        }
    }
}

impl Scanner<'_> {
    fn step(&mut self) {
        match self.frame().kind {
            Kind::Commands { end } => self.commands(end),
            Kind::Substitution { .. } => self.commands(Some(b')')),
            Kind::Double => match self.byte(0) {
                b'"' => self.close_over(1),
                _ => self.quoted(),
            },
            Kind::HereDoc { end } if self.at >= end => {
                self.close();
            }
            Kind::HereDoc { .. } => self.quoted(),
            Kind::Parameter { quoted } => self.parameter(quoted),
            Kind::Arithmetic { open } => self.arithmetic(open),
        }
    }

    /// Where variables and substitutions are put in, and all else is text.
    fn quoted(&mut self) {
        match self.byte(0) {
            b'\\' => self.at += 2,
            b'$' => self.dollar(true),
            b'`' => self.open(Kind::Commands { end: Some(b'`') }, 1),
            _ => self.at += 1,
        }
    }

    fn open(&mut self, kind: Kind, lead: usize) {
        self.substitutions += usize::from(matches!(kind, Kind::Substitution { .. }));
        self.found.depth = self.found.depth.max(self.frames.len());
        self.frames.push(Frame::new(kind));
        self.mark();
        self.at += lead;
    }

    fn close_over(&mut self, length: usize) {
        self.at += length;
        self.close();
    }

    fn close(&mut self) {
        self.end_command();
        let Some(frame) = self.frames.pop() else {
            return;
        };
        if let Kind::Substitution { start } = frame.kind {
            self.substitutions -= 1;
            if self.substitutions == 0 {
                let end = self.at.min(self.text.len());
                let range = start..end.saturating_sub(1).max(start);
                self.found.substitutions.push(range);
            }
        }
        // A here-document ends with the line that names its word.
        if let Kind::HereDoc { end } = frame.kind {
            let end = end.min(self.text.len());
            let rest = &self.text[end..];
            self.at = end;
            self.mark();
            self.at = end + memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            self.here_documents();
            return;
        }
        self.mark();
    }

    /// The context of the innermost frame begins here.
    fn mark(&mut self) {
        let context = match self.frame().kind {
            Kind::Commands { .. }
            | Kind::Substitution { .. }
            | Kind::Parameter { quoted: false } => Context::Plain,
            Kind::Double | Kind::Parameter { quoted: true } => Context::Double,
            Kind::Arithmetic { .. } => Context::Arithmetic,
            Kind::HereDoc { .. } => Context::HereDoc,
        };
        self.found.contexts.push((self.at, context));
    }

    /// The byte at an offset from here; 0 past the end.
    fn byte(&self, offset: usize) -> u8 {
        self.text.get(self.at + offset).copied().unwrap_or(0)
    }

    fn frame(&self) -> &Frame {
        &self.frames[self.frames.len() - 1]
    }

    fn frame_mut(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }
}

#[cfg(test)]
mod tests;
