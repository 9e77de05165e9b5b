//! A tolerant scanner of shell text: quoting, mentioned variables, and the words of each simple
//! command. It never fails; in unclear text it reports too many mentions rather than too few. It
//! does not check syntax.
//!
//! We need it besides `brush_parser`, because it must also handle unfinished and invalid text,
//! where a parser gives up.

mod commands;
mod expansions;
mod here;

use std::collections::VecDeque;
use std::ops::Range;

use here::Here;

/// The result of one pass over a script, in text order.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Where each context begins; it holds until the next.
    contexts: Vec<(usize, Context)>,
    pub mentions: Vec<Mention>,
    /// The words of each simple command, reserved words among them.
    pub commands: Vec<Vec<Range<usize>>>,
    /// The inner text of each outermost `$(…)`.
    pub substitutions: Vec<Range<usize>>,
    /// Backquotes in here-documents that nothing closes before its end.
    pub unclosed: Vec<usize>,
    /// The deepest nesting of quotes, substitutions and groups.
    pub depth: usize,
    /// The deepest nesting of parentheses in one arithmetic expression.
    pub arithmetic: usize,
}

/// How the shell reads the text at an offset.
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
    /// A here-document with substitutions.
    HereDoc,
    /// A here-document with a quoted delimiter: literal text.
    HereDocQuoted,
    Arithmetic,
}

/// A variable in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    pub name: Range<usize>,
    pub usage: Usage,
}

/// How a mention uses the variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// It must be set: `$x`.
    Needs,
    /// The text gives a fallback: `${x:-d}`, `${x+y}`, `${x?why}`.
    Guards,
    /// It sets the variable: `${x:=d}`, `$((x = 1))`, `exec {x}>file`.
    Sets,
}

impl Scan {
    /// The context of the byte at an offset.
    pub fn context(&self, at: usize) -> Context {
        let index = self.contexts.partition_point(|(start, _)| *start <= at);
        index
            .checked_sub(1)
            .map_or(Context::Plain, |index| self.contexts[index].1)
    }
}

/// Scans a script.
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
    /// Never empty; the innermost frame is last.
    frames: Vec<Frame>,
    /// How many of these are `$(…)`.
    substitutions: usize,
    found: Scan,
}

struct Frame {
    kind: Kind,
    words: Vec<Range<usize>>,
    word: Option<usize>,
    /// The word is the target of a redirection, not a word of the command.
    target: bool,
    /// Here-documents whose text begins after this line.
    here: VecDeque<Here>,
    /// The number of open `case`s, in whose patterns `)` closes nothing.
    cases: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Commands up to `)`, a backtick, or the end.
    Commands {
        end: Option<u8>,
    },
    /// `$(…)`, with its start offset.
    Substitution {
        start: usize,
    },
    Double,
    /// `${name…}`, and whether it is within double quotes.
    Parameter {
        quoted: bool,
    },
    /// `((…))`, with the number of open parentheses in it.
    Arithmetic {
        open: usize,
    },
    /// A here-document with substitutions, up to an offset.
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

    /// Text in which only variables and substitutions are special.
    fn quoted(&mut self) {
        match self.byte(0) {
            b'\\' => self.at += 2,
            b'$' => self.dollar(true),
            b'`' if self.is_unclosed() => {
                self.found.unclosed.push(self.at);
                self.at += 1;
            }
            b'`' => self.open(Kind::Commands { end: Some(b'`') }, 1),
            _ => self.at += 1,
        }
    }

    /// Whether the here-document ends before the command in this backquote does.
    fn is_unclosed(&self) -> bool {
        let Kind::HereDoc { end } = self.frame().kind else {
            return false;
        };
        let end = end.min(self.text.len());
        let mut rest = self.text[self.at + 1..end].iter();
        while let Some(byte) = rest.next() {
            match byte {
                b'`' => return false,
                b'\\' => drop(rest.next()),
                _ => {}
            }
        }
        true
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
        // A here-document ends at its delimiter line.
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

    /// Notes that the context of the innermost frame begins here.
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
