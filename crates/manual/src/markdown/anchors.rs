//! The ids of a page in the book: headings as the book renderer numbers them, explicit ids, and ids
//! of HTML elements.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

/// Collects the ids of one page.
#[derive(Default)]
pub(crate) struct Anchors {
    ids: Vec<String>,
    /// Generated ids, each with the last number tried for it.
    used: HashMap<String, u32>,
    skip: bool,
}

impl Anchors {
    pub fn explicit(&mut self, id: &str) {
        self.ids.push(id.to_owned());
    }

    /// Notes that the next heading has an explicit id.
    pub fn heading_has_id(&mut self) {
        self.skip = true;
    }

    /// Returns how many earlier headings have the same words.
    pub fn heading(&mut self, text: &str) -> u32 {
        if std::mem::take(&mut self.skip) {
            return 0;
        }
        let base = id_of(text);
        let id = self.unique(base.clone());
        self.ids.push(id);
        self.used.get(&base).copied().unwrap_or(0)
    }

    /// `id=` and `name=` in a piece of HTML.
    pub fn html(&mut self, html: &str) {
        static ID: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r#"(?i)\s(?:id|name)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))"#)
                .expect("a constant pattern")
        });
        if !html.contains('=') {
            return;
        }
        for found in ID.captures_iter(html) {
            if let Some(id) = found.iter().skip(1).flatten().next() {
                self.ids.push(id.as_str().to_owned());
            }
        }
    }

    pub fn finish(self) -> Vec<String> {
        self.ids
    }

    fn unique(&mut self, id: String) -> String {
        let Some(count) = self.used.get(&id).copied() else {
            self.used.insert(id.clone(), 0);
            return id;
        };
        let mut count = count;
        loop {
            count += 1;
            let candidate = format!("{id}-{count}");
            if !self.used.contains_key(&candidate) {
                self.used.insert(id, count);
                self.used.insert(candidate.clone(), 0);
                return candidate;
            }
        }
    }
}

/// The id that the book renderer generates.
fn id_of(text: &str) -> String {
    if text.is_ascii() {
        let kept = |b: u8| match b {
            b if b.is_ascii_alphanumeric() || b == b'_' || b == b'-' => {
                Some(char::from(b.to_ascii_lowercase()))
            }
            b if b.is_ascii_whitespace() || b == 0x0b => Some('-'),
            _ => None,
        };
        let mut id = String::with_capacity(text.len());
        id.extend(text.trim().bytes().filter_map(kept));
        return id;
    }
    text.trim()
        .chars()
        .flat_map(char::to_lowercase)
        .filter_map(|c| match c {
            c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
            c if c.is_whitespace() => Some('-'),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_book() {
        let mut anchors = Anchors::default();
        for heading in ["`--passes`: add more", "A", "A", "A-1", "A", "Über"] {
            anchors.heading(heading);
        }
        anchors.html(r#"<a name="x"></a><b data-id=no ID='y' id=z>"#);
        assert_eq!(
            anchors.finish(),
            [
                "--passes-add-more",
                "a",
                "a-1",
                "a-1-1",
                "a-2",
                "über",
                "x",
                "y",
                "z"
            ]
        );
    }
}
