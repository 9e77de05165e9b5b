//! Translates Go's regular expressions for the `regex` crate. Leaves unknown parts unchanged, so
//! that the crate reports them.
//!
//! Our own code, because no crate translates between the two, and their differences would change
//! the meaning of a check: Go's `\d`, `\s`, `\w` are ASCII only, it has `\Q…\E` and octal escapes,
//! and no nested sets.

use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

use crate::interpolation::Interpolated;

/// Compiles the author's expression with Go's meaning, as in goss.
///
/// # Errors
/// What is wrong with it.
pub fn regexp(text: &Interpolated) -> Result<Regex, String> {
    text.regex(translated).map_err(|error| {
        let message = error.to_string();
        let last = message.lines().last().unwrap_or_default();
        format!(
            "`{text}` is not a valid regular expression: {}",
            last.trim_start_matches("error: ")
        )
    })
}

/// The expression in the crate's syntax.
#[must_use]
pub fn translated(text: &str) -> String {
    let mut writer = Writer {
        rest: text.chars().peekable(),
        out: String::with_capacity(text.len() + 8),
    };
    writer.expression();
    writer.out
}

struct Writer<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Writer<'_> {
    fn expression(&mut self) {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' if self.eat('Q') => self.quoted(),
                '\\' => self.escape(false),
                '[' => self.class(),
                '{' => self.brace(),
                c => self.out.push(c),
            }
        }
    }

    /// From `\Q` to `\E`, or to the end.
    fn quoted(&mut self) {
        let mut text = String::new();
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.eat('E') {
                break;
            }
            text.push(c);
        }
        self.out.push_str(&regex::escape(&text));
    }

    /// After a backslash. Go's character classes are ASCII only.
    fn escape(&mut self, in_class: bool) {
        let Some(c) = self.rest.next() else {
            self.out.push('\\');
            return;
        };
        let set = match c.to_ascii_lowercase() {
            'd' => "0-9",
            's' => "\\t\\n\\x0C\\r ",
            'w' => "0-9A-Za-z_",
            _ => "",
        };
        match c {
            'd' | 's' | 'w' if in_class => self.out.push_str(set),
            'd' | 's' | 'w' => self.out.push_str(&format!("[{set}]")),
            'D' | 'S' | 'W' => self.out.push_str(&format!("[^{set}]")),
            'b' | 'B' if !in_class => self.out.push_str(&format!("(?-u:\\{c})")),
            '<' | '>' => self.out.push(c),
            '0'..='7' => self.octal(c),
            'p' | 'P' | 'x' => {
                self.out.push('\\');
                self.out.push(c);
                self.braces();
            }
            c => {
                self.out.push('\\');
                self.out.push(c);
            }
        }
    }

    /// Up to three digits; a single digit except `\0` is a back-reference, which neither supports.
    fn octal(&mut self, first: char) {
        let mut digits = String::from(first);
        while digits.len() < 3
            && let Some(digit) = self.rest.next_if(|c| matches!(c, '0'..='7'))
        {
            digits.push(digit);
        }
        match u32::from_str_radix(&digits, 8) {
            Ok(code) if digits.len() > 1 || first == '0' => {
                self.out.push_str(&format!("\\x{{{code:X}}}"));
            }
            _ => self.out.push_str(&format!("\\{digits}")),
        }
    }

    /// `[…]`, in which Go has no nested sets and no set operations.
    fn class(&mut self) {
        self.out.push('[');
        if self.eat('^') {
            self.out.push('^');
        }
        if self.eat(']') {
            self.out.push_str("\\]");
        }
        let mut before = ' ';
        while let Some(c) = self.rest.next() {
            match c {
                ']' => {
                    self.out.push(']');
                    return;
                }
                '\\' => self.escape(true),
                '[' if self.rest.peek() == Some(&':') && self.named() => {}
                '[' | '&' | '~' => {
                    self.out.push('\\');
                    self.out.push(c);
                }
                '-' if before == '-' => self.out.push_str("\\-"),
                c => self.out.push(c),
            }
            before = c;
        }
    }

    /// `[:name:]`, if present.
    fn named(&mut self) -> bool {
        let rest: String = self.rest.clone().collect();
        let Some(end) = rest.find(":]") else {
            return false;
        };
        let name = &rest[1..end];
        if !name.chars().all(|c| c == '^' || c.is_ascii_lowercase()) {
            return false;
        }
        self.out.push_str(&format!("[:{name}:]"));
        self.skip(end + 2);
        true
    }

    /// A repetition, `{2}` or `{2,}` or `{2,5}`; otherwise an ordinary character.
    fn brace(&mut self) {
        let all: String = self.rest.clone().collect();
        let inner = all.split_once('}').map_or("", |(inner, _)| inner);
        let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !least.is_empty() && digits(least) && digits(most) {
            self.out.push_str(&format!("{{{inner}}}"));
            self.skip(inner.len() + 1);
        } else {
            self.out.push_str("\\{");
        }
    }

    /// The `{…}` of a `\p` or `\x`, unchanged.
    fn braces(&mut self) {
        if self.rest.peek() == Some(&'{') {
            for c in self.rest.by_ref() {
                self.out.push(c);
                if c == '}' {
                    break;
                }
            }
        }
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.rest.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each with the answer of Go's `regexp`.
    #[test]
    fn what_go_means() {
        for (expression, text, expected) in [
            (r"^\Qa.b\E$", "a.b", true),
            (r"^\Qa.b\E$", "axb", false),
            (r"^\Q\E(-\d+)*$", "-12", true),
            (r"\Qa(", "a(", true),
            ("a{,2}", "a{,2}", true),
            ("a{,2}", "aa", false),
            ("^a{2}$", "aa", true),
            ("^a{1,}$", "aaa", true),
            ("^{$", "{", true),
            ("[[]a", "[a", true),
            ("^[]a]+$", "]a", true),
            ("^[^]a]$", "]", false),
            ("[a&&b]", "&", true),
            ("^[+--]$", ",", true),
            ("^[[:alpha:]_]+$", "a_", true),
            (r"^[\d.]+$", "1.2", true),
            (r"^[\D]$", "a", true),
            (r"^\w$", "ü", false),
            (r"^\d$", "٣", false),
            (r"^\s$", "\u{a0}", false),
            (r"\bfoo\b", "a foo.", true),
            (r"\<b\>", "<b>", true),
            (r"^\101\x42\x{43}$", "ABC", true),
            (r"^\p{Greek}\pL$", "αβ", true),
            ("(?i)ROOT", "root", true),
            (r"\/path\/", "/path/", true),
        ] {
            let regex = regex::Regex::new(&translated(expression)).unwrap();
            assert_eq!(regex.is_match(text), expected, "{expression} on {text}");
        }
        for wrong in ["(", r"\1", "[a", r"\", "a{2,1}", r"\y"] {
            assert!(regex::Regex::new(&translated(wrong)).is_err(), "{wrong}");
        }
    }
}
