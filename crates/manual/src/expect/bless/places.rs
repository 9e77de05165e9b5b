//! Finds the place of each value in a JSON text, so that one value can be replaced and the rest
//! stays as the author wrote it.

use std::ops::Range;

/// A value with its place. The text is valid JSON, except for `${name}` references outside quotes.
pub(super) struct Node {
    pub range: Range<usize>,
    pub below: Below,
}

pub(super) enum Below {
    Scalar,
    List(Vec<Node>),
    /// Keys with their start offsets.
    Object(Vec<(String, usize, Node)>),
}

/// The values of a text; `None` if the text is not JSON.
pub(super) fn places(text: &str) -> Option<Node> {
    Scan { text, at: 0 }.value(0)
}

/// Scans a JSON text for the places of its values.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl Scan<'_> {
    /// The limit of `serde_json` as well.
    const DEEPEST: usize = 128;

    fn value(&mut self, depth: usize) -> Option<Node> {
        if depth > Self::DEEPEST {
            return None;
        }
        let start = self.skip();
        let below = match self.text.as_bytes().get(start)? {
            b'{' => Below::Object(self.items(b'}', |scan| {
                let start = scan.skip();
                let key = serde_json::from_str(scan.token()?).ok()?;
                scan.after(b':')?;
                Some((key, start, scan.value(depth + 1)?))
            })?),
            b'[' => Below::List(self.items(b']', |scan| scan.value(depth + 1))?),
            _ => {
                self.token()?;
                Below::Scalar
            }
        };
        Some(Node {
            range: start..self.at,
            below,
        })
    }

    fn items<T>(&mut self, end: u8, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            let at = self.skip();
            let next = *self.text.as_bytes().get(at)?;
            if next == end {
                self.at += 1;
                return Some(items);
            }
            self.at += usize::from(next == b',');
            items.push(one(self)?);
        }
    }

    fn after(&mut self, mark: u8) -> Option<()> {
        let at = self.skip();
        let found = self.text.as_bytes().get(at) == Some(&mark);
        self.at += usize::from(found);
        found.then_some(())
    }

    fn skip(&mut self) -> usize {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.at
    }

    /// A string, a number, a word or a reference.
    fn token(&mut self) -> Option<&str> {
        let start = self.at;
        let rest = &self.text[start..];
        let length = if rest.starts_with('"') {
            let mut escaped = false;
            let close = rest.char_indices().skip(1).find(|(_, c)| {
                let closes = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                closes
            });
            close?.0 + 1
        } else if rest.starts_with("${") {
            rest.find('}')? + 1
        } else {
            rest.find([',', '}', ']', ':'])
                .map_or(rest, |end| &rest[..end])
                .trim_end()
                .len()
        };
        self.at = start + length;
        (length > 0).then(|| &self.text[start..start + length])
    }
}
