//! Everything that begins with `$`: variables, substitutions and arithmetic.

use std::ops::Range;

use super::{Context, Kind, Mention, Scanner, Usage};

impl Scanner<'_> {
    pub(super) fn dollar(&mut self, quoted: bool) {
        match self.byte(1) {
            b'(' if self.byte(2) == b'(' => self.open(Kind::Arithmetic { open: 0 }, 3),
            b'(' => {
                let start = self.at + 2;
                self.open(Kind::Substitution { start }, 2);
            }
            b'{' => self.braced(quoted),
            b'\'' if !quoted => self.single(Context::AnsiC, 2),
            b'"' if !quoted => self.open(Kind::Double, 2),
            first if is_name_start(first) => {
                let start = self.at + 1;
                let end = self.name_end(start);
                self.mention(start..end, Usage::Needs);
                self.at = end;
            }
            _ => self.at += 1,
        }
    }

    /// `${x}`, `${#x}`, `${!x}`, `${x:-word}` …
    fn braced(&mut self, quoted: bool) {
        let mut start = self.at + 2;
        let lead = self.text.get(start).copied();
        if matches!(lead, Some(b'#' | b'!')) {
            start += 1;
        }
        let end = self.name_end(start);
        self.open(Kind::Parameter { quoted }, 0);
        self.at = end.max(self.at + 2);
        let rest = after_subscript(&self.text[end..]);
        // `${!x*}` lists the names that begin with `x`.
        let names = lead == Some(b'!') && matches!(rest, [b'*' | b'@', b'}', ..]);
        if end > start && !names {
            self.mention(start..end, usage(rest));
        }
    }

    pub(super) fn parameter(&mut self, quoted: bool) {
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

    pub(super) fn arithmetic(&mut self, open: usize) {
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
                let usage = if self.assignment_follows() {
                    Usage::Sets
                } else {
                    Usage::Needs
                };
                self.mention(start..self.at, usage);
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

    fn name_end(&self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        if !rest.first().copied().is_some_and(is_name_start) {
            return start;
        }
        let name = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
        start + rest.iter().take_while(name).count()
    }

    pub(super) fn mention(&mut self, name: Range<usize>, usage: Usage) {
        self.found.mentions.push(Mention { name, usage });
    }
}

/// The text after the name in `${x[1]:-word}`, without the subscript.
fn after_subscript(rest: &[u8]) -> &[u8] {
    /// The search for the end of a subscript stops after so many bytes.
    const MOST: usize = 256;
    if rest.first() != Some(&b'[') {
        return rest;
    }
    let end = rest.iter().take(MOST).position(|b| *b == b']');
    end.map_or(rest, |end| &rest[end + 1..])
}

fn usage(operator: &[u8]) -> Usage {
    match operator.strip_prefix(b":").unwrap_or(operator) {
        [b'=', ..] => Usage::Sets,
        [b'-' | b'+' | b'?', ..] => Usage::Guards,
        _ => Usage::Needs,
    }
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}
