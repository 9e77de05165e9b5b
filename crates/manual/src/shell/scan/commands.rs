//! The words of commands, their separators, and what belongs to no command.

use super::{Context, Kind, Scanner, Usage};

impl Scanner<'_> {
    pub(super) fn commands(&mut self, end: Option<u8>) {
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
            b'&' if self.byte(1) == b'>' => {
                self.at += 1;
                self.redirection();
            }
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

    /// A quoted text in which only `$'…'` has escapes.
    pub(super) fn single(&mut self, context: Context, lead: usize) {
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
        let frame = self.frame();
        let arithmetic_follows = match &frame.words[..] {
            [] => true,
            [word] => &self.text[word.clone()] == b"for",
            _ => false,
        };
        if arithmetic_follows && frame.word.is_none() && self.byte(1) == b'(' {
            self.open(Kind::Arithmetic { open: 0 }, 2);
        } else {
            self.open(Kind::Commands { end: Some(b')') }, 1);
        }
    }

    fn closing(&mut self, end: Option<u8>) {
        // In `esac)`, end the word before handling the parenthesis.
        self.end_word();
        if end == Some(b')') && self.frame().cases == 0 {
            self.close_over(1);
        } else {
            self.end_command();
            self.at += 1;
        }
    }

    /// `<`, `>`, `>>`, `<&`, `<<<` and similar end a word; their target follows.
    fn redirection(&mut self) {
        self.descriptor();
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

    /// The `2` of `2>file` is not a word of the command, and `{fd}>file` sets `fd`.
    pub(super) fn descriptor(&mut self) {
        let Some(start) = self.frame().word.filter(|_| !self.frame().target) else {
            return;
        };
        let word = &self.text[start..self.at];
        let named = word.strip_prefix(b"{").and_then(|w| w.strip_suffix(b"}"));
        let name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        if word.iter().all(u8::is_ascii_digit) {
            self.frame_mut().word = None;
        } else if named.is_some_and(|named| !named.is_empty() && named.iter().all(name)) {
            self.mention(start + 1..self.at - 1, Usage::Sets);
            self.frame_mut().word = None;
        }
    }

    fn begin_word(&mut self) {
        let at = self.at;
        self.frame_mut().word.get_or_insert(at);
    }

    pub(super) fn end_word(&mut self) {
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

    pub(super) fn end_command(&mut self) {
        self.end_word();
        self.frame_mut().target = false;
        let words = std::mem::take(&mut self.frame_mut().words);
        if !words.is_empty() {
            self.found.commands.push(words);
        }
    }
}
