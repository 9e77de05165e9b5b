//! A bash array in the form of `declare -p`: parsed strictly, written with every key and value
//! single-quoted.

use crate::session::quote;

/// Indexed or associative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Array {
    kind: Kind,
    items: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Numbered,
    Named,
}

impl Array {
    /// `declare -a NAME=([0]="x" …)`: returns the name and the array. Drops other attributes, such
    /// as read-only.
    pub(super) fn read(text: &[u8]) -> Option<(String, Array)> {
        let text = text.strip_prefix(b"declare -")?;
        let end = memchr::memchr(b' ', text)?;
        let (attributes, text) = (&text[..end], &text[end + 1..]);
        if !attributes.iter().all(u8::is_ascii_alphabetic) {
            return None;
        }
        let kind = match (attributes.contains(&b'a'), attributes.contains(&b'A')) {
            (true, false) => Kind::Numbered,
            (false, true) => Kind::Named,
            _ => return None,
        };
        // The name ends before `=` or at the end of the text.
        let line = [text, b"\n"].concat();
        let (name, rest) = super::name(&line)?;
        let items = match rest {
            b"\n" => Vec::new(),
            rest => items(rest.strip_prefix(b"=(")?.strip_suffix(b")\n")?, kind)?,
        };
        Some((name.to_owned(), Array { kind, items }))
    }

    pub(super) fn declaration(&self, name: &str) -> Vec<u8> {
        let letter = match self.kind {
            Kind::Numbered => 'a',
            Kind::Named => 'A',
        };
        let mut text = format!("declare -{letter} {name}=(").into_bytes();
        for (key, value) in &self.items {
            text.push(b'[');
            match self.kind {
                Kind::Numbered => text.extend(key),
                Kind::Named => quote(key, &mut text),
            }
            text.extend(b"]=");
            quote(value, &mut text);
            text.push(b' ');
        }
        text.push(b')');
        text
    }
}

fn items(mut text: &[u8], kind: Kind) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut items = Vec::new();
    loop {
        text = text.trim_ascii_start();
        if text.is_empty() {
            return Some(items);
        }
        let (key, rest) = word(text.strip_prefix(b"[")?, b"]")?;
        let numbered = key.len() < 18 && !key.is_empty() && key.iter().all(u8::is_ascii_digit);
        if key.is_empty() || (kind == Kind::Numbered && !numbered) {
            return None;
        }
        let (value, rest) = word(rest.strip_prefix(b"]=")?, b" )")?;
        items.push((key, value));
        text = rest;
    }
}

/// A word in the quotes of `declare -p`, or an unquoted word up to one of `ends`; and the rest.
fn word<'a>(text: &'a [u8], ends: &[u8]) -> Option<(Vec<u8>, &'a [u8])> {
    // The form that this module writes.
    if text.starts_with(b"'") {
        return super::quoted(text);
    }
    if let Some(text) = text.strip_prefix(b"$'") {
        return ansi(text);
    }
    if let Some(text) = text.strip_prefix(b"\"") {
        return double(text);
    }
    let end = text.iter().position(|byte| ends.contains(byte));
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.,:/@%+*".contains(byte);
    word.iter().all(plain).then(|| (word.to_vec(), rest))
}

fn double(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut at = 0;
    loop {
        match *text.get(at)? {
            b'"' => return Some((word, &text[at + 1..])),
            // Bash escapes these; a bare one is not from bash.
            b'$' | b'`' => return None,
            b'\\' => {
                let escaped = *text.get(at + 1)?;
                if !b"$`\"\\".contains(&escaped) {
                    return None;
                }
                word.push(escaped);
                at += 2;
            }
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

fn ansi(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut at = 0;
    loop {
        match *text.get(at)? {
            b'\'' => return Some((word, &text[at + 1..])),
            b'\\' => {
                let escaped = *text.get(at + 1)?;
                at += 2;
                word.push(match escaped {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => 9,
                    b'n' => 10,
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => 13,
                    b'e' | b'E' => 27,
                    b'\\' | b'\'' | b'"' | b'?' => escaped,
                    b'0'..=b'3' => {
                        let octal = std::str::from_utf8(text.get(at - 1..at + 2)?).ok()?;
                        at += 2;
                        match u8::from_str_radix(octal, 8).ok()? {
                            0 => return None,
                            byte => byte,
                        }
                    }
                    _ => return None,
                });
            }
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}
