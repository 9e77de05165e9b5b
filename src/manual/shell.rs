//! A tolerant reader of shell text: what is quoted how, which variables are mentioned, and
//! the words of each simple command. It never fails; where the text is unclear it mentions
//! rather than misses. Whether the syntax is right is not its business.

mod word;

use std::collections::VecDeque;
use std::ops::Range;

pub use word::{shell_quoted, shell_word};

/// Here-documents within each other; deeper ones are read as commands.
const MAX_HERE_DEPTH: usize = 64;

/// What one pass over a script found, in the order of the text.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Where each context begins; it holds until the next.
    contexts: Vec<(usize, Context)>,
    pub mentions: Vec<Mention>,
    /// The words of each simple command, reserved words among them.
    pub commands: Vec<Vec<Range<usize>>>,
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
    /// The mention gives it a value: `${x:=d}`, `$((x = 1))`.
    pub assigns: bool,
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

struct Here {
    word: Vec<u8>,
    quoted: bool,
    tabs: bool,
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

    fn commands(&mut self, end: Option<u8>) {
        let byte = self.byte(0);
        match byte {
            b'\n' => {
                self.end_command();
                self.at += 1;
                self.here_documents();
            }
            b' ' | b'\t' | b'\r' => {
                self.end_word();
                self.at += 1;
            }
            b'#' if self.frame().word.is_none() => self.comment(),
            b'\\' => {
                if self.byte(1) != b'\n' {
                    self.begin_word();
                }
                self.at += 2;
            }
            b'\'' => {
                self.begin_word();
                self.single(Context::Single, 1);
            }
            b'"' => {
                self.begin_word();
                self.open(Kind::Double, 1);
            }
            b'$' => {
                self.begin_word();
                self.dollar(false);
            }
            b'`' if end == Some(b'`') => self.close_over(1),
            b'`' => {
                self.begin_word();
                self.open(Kind::Commands { end: Some(b'`') }, 1);
            }
            b'(' => self.parenthesis(),
            b')' => self.closing(end),
            b';' | b'&' | b'|' => {
                self.end_command();
                self.at += 1;
            }
            b'<' if self.byte(1) == b'<' && self.byte(2) != b'<' => self.here_word(),
            b'<' | b'>' => self.redirection(),
            _ => {
                self.begin_word();
                self.at += 1;
            }
        }
    }

    fn comment(&mut self) {
        self.found.contexts.push((self.at, Context::Comment));
        let rest = &self.text[self.at..];
        self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.mark();
    }

    /// A quoted text in which only `$'…'` knows escapes.
    fn single(&mut self, context: Context, lead: usize) {
        self.found.contexts.push((self.at, context));
        self.at += lead;
        while self.at < self.text.len() && self.byte(0) != b'\'' {
            let escapes = context == Context::AnsiC && self.byte(0) == b'\\';
            self.at += if escapes { 2 } else { 1 };
        }
        self.at += 1;
        self.mark();
    }

    fn parenthesis(&mut self) {
        let command_begins = self.frame().words.is_empty() && self.frame().word.is_none();
        if command_begins && self.byte(1) == b'(' {
            self.open(Kind::Arithmetic { open: 0 }, 2);
        } else {
            self.open(Kind::Commands { end: Some(b')') }, 1);
        }
    }

    fn closing(&mut self, end: Option<u8>) {
        if end == Some(b')') && self.frame().cases == 0 {
            self.close_over(1);
        } else {
            self.end_command();
            self.at += 1;
        }
    }

    /// `<`, `>`, `>>`, `<&`, `<<<` and their kind end a word; where they lead follows.
    fn redirection(&mut self) {
        self.end_word();
        while matches!(self.byte(0), b'<' | b'>' | b'&' | b'|') {
            self.at += 1;
        }
        if self.byte(0) == b'(' {
            self.begin_word();
            self.open(Kind::Commands { end: Some(b')') }, 1);
        } else {
            self.frame_mut().target = true;
        }
    }

    fn dollar(&mut self, quoted: bool) {
        match self.byte(1) {
            b'(' if self.byte(2) == b'(' => self.open(Kind::Arithmetic { open: 0 }, 3),
            b'(' => self.open(Kind::Commands { end: Some(b')') }, 2),
            b'{' => self.braced(quoted),
            b'\'' if !quoted => self.single(Context::AnsiC, 2),
            b'"' if !quoted => self.open(Kind::Double, 2),
            first if is_name_start(first) => {
                let start = self.at + 1;
                let end = self.name_end(start);
                self.mention(start..end, false);
                self.at = end;
            }
            _ => self.at += 1,
        }
    }

    /// `${x}`, `${#x}`, `${!x}`, `${x:-word}` …
    fn braced(&mut self, quoted: bool) {
        let mut start = self.at + 2;
        if matches!(self.text.get(start), Some(b'#' | b'!')) {
            start += 1;
        }
        let end = self.name_end(start);
        self.open(Kind::Parameter { quoted }, 0);
        self.at = end.max(self.at + 2);
        if end > start {
            let rest = &self.text[end..];
            let assigns = rest.starts_with(b":=") || rest.starts_with(b"=");
            self.mention(start..end, assigns);
        }
    }

    fn parameter(&mut self, quoted: bool) {
        match self.byte(0) {
            b'}' => self.close_over(1),
            b'\\' => self.at += 2,
            b'$' => self.dollar(quoted),
            b'`' => self.open(Kind::Commands { end: Some(b'`') }, 1),
            b'"' => self.open(Kind::Double, 1),
            b'\'' if !quoted => self.single(Context::Single, 1),
            _ => self.at += 1,
        }
    }

    fn arithmetic(&mut self, open: usize) {
        match self.byte(0) {
            b')' if open == 0 => self.close_over(if self.byte(1) == b')' { 2 } else { 1 }),
            b')' => self.reopen(open - 1),
            b'(' => self.reopen(open + 1),
            b'$' => self.dollar(true),
            b'`' => self.open(Kind::Commands { end: Some(b'`') }, 1),
            b'"' => self.open(Kind::Double, 1),
            b'\'' => self.single(Context::Single, 1),
            b'\\' => self.at += 2,
            byte if byte.is_ascii_digit() => {
                // `16#ff` and `0x1f` are numbers, not names.
                let word = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'#';
                self.at += self.text[self.at..].iter().take_while(word).count();
            }
            byte if is_name_start(byte) => {
                let start = self.at;
                self.at = self.name_end(start);
                let assigns = self.assignment_follows();
                self.mention(start..self.at, assigns);
            }
            _ => self.at += 1,
        }
    }

    fn reopen(&mut self, open: usize) {
        self.found.arithmetic = self.found.arithmetic.max(open);
        self.frame_mut().kind = Kind::Arithmetic { open };
        self.at += 1;
    }

    fn assignment_follows(&self) -> bool {
        let rest = self.text[self.at..].trim_ascii_start();
        rest.starts_with(b"=") && !rest.starts_with(b"==")
            || rest.get(1) == Some(&b'=') && rest.first().is_some_and(|b| b"+-*/%&|^".contains(b))
    }

    /// `<<WORD` or `<<-WORD`.
    fn here_word(&mut self) {
        self.end_word();
        self.at += 2;
        let tabs = self.byte(0) == b'-';
        if tabs {
            self.at += 1;
        }
        while matches!(self.byte(0), b' ' | b'\t') {
            self.at += 1;
        }
        let (mut word, mut quoted, mut quote) = (Vec::new(), false, 0);
        while self.at < self.text.len() {
            let byte = self.byte(0);
            if quote != 0 && byte == quote {
                quote = 0;
            } else if quote != 0 {
                word.push(byte);
            } else if byte == b'\'' || byte == b'"' {
                (quoted, quote) = (true, byte);
            } else if byte == b'\\' {
                quoted = true;
            } else if byte.is_ascii_whitespace() || b";&|<>()`".contains(&byte) {
                break;
            } else {
                word.push(byte);
            }
            self.at += 1;
        }
        // Each search for an end may read all that is left.
        if (!word.is_empty() || quoted) && self.frames.len() < MAX_HERE_DEPTH {
            self.frame_mut().here.push_back(Here { word, quoted, tabs });
        }
    }

    /// At the start of a line: the texts of the here-documents of the line before.
    fn here_documents(&mut self) {
        while let Some(here) = self.frame_mut().here.pop_front() {
            let (end, after) = self.here_end(&here);
            if !here.quoted {
                // What is left follows when this one is closed.
                return self.open(Kind::HereDoc { end }, 0);
            }
            self.found.contexts.push((self.at, Context::HereDocQuoted));
            self.at = after;
            self.mark();
        }
    }

    /// Where the text of a here-document ends, and where its last line does.
    fn here_end(&self, here: &Here) -> (usize, usize) {
        let mut at = self.at;
        for line in self.text[self.at..].split_inclusive(|b| *b == b'\n') {
            let mut bare = line.strip_suffix(b"\n").unwrap_or(line);
            bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            while here.tabs && bare.first() == Some(&b'\t') {
                bare = &bare[1..];
            }
            if bare == here.word {
                return (at, at + line.len());
            }
            at += line.len();
        }
        (at, at)
    }

    fn open(&mut self, kind: Kind, lead: usize) {
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
            Kind::Commands { .. } | Kind::Parameter { quoted: false } => Context::Plain,
            Kind::Double | Kind::Parameter { quoted: true } => Context::Double,
            Kind::Arithmetic { .. } => Context::Arithmetic,
            Kind::HereDoc { .. } => Context::HereDoc,
        };
        self.found.contexts.push((self.at, context));
    }

    fn begin_word(&mut self) {
        let at = self.at;
        self.frame_mut().word.get_or_insert(at);
    }

    fn end_word(&mut self) {
        let at = self.at.min(self.text.len());
        let text = self.text;
        let frame = self.frame_mut();
        if let Some(start) = frame.word.take() {
            let word = &text[start..at];
            if std::mem::take(&mut frame.target) {
                return;
            }
            if word == b"case" && frame.words.iter().all(|w| &text[w.clone()] != b"case") {
                frame.cases += 1;
            } else if word == b"esac" {
                frame.cases = frame.cases.saturating_sub(1);
            }
            frame.words.push(start..at);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.frame_mut().target = false;
        let words = std::mem::take(&mut self.frame_mut().words);
        if !words.is_empty() {
            self.found.commands.push(words);
        }
    }

    fn mention(&mut self, name: Range<usize>, assigns: bool) {
        self.found.mentions.push(Mention { name, assigns });
    }

    fn name_end(&self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        if !rest.first().copied().is_some_and(is_name_start) {
            return start;
        }
        let name = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
        start + rest.iter().take_while(name).count()
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

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

#[cfg(test)]
mod tests;
