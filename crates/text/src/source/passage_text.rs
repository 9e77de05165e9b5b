//! The text of a passage, which is mostly a stretch of one source.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use super::Source;

/// Reads as a `&str`. A stretch of a source takes no memory of its own: pages and their scripts
/// would be held twice otherwise.
#[derive(Clone)]
pub struct PassageText(Storage);

#[derive(Clone)]
enum Storage {
    /// The range of bytes of a source.
    Stretch(Arc<Source>, Range<u32>),
    Own(String),
}

impl PassageText {
    /// Appends text, which the source may hold from `offset` on.
    pub(super) fn push(&mut self, text: &str, source: &Arc<Source>, offset: u32) {
        let from = offset as usize;
        let said = source.text.get(from..from + text.len()) == Some(text);
        let end = super::offset(from + text.len());
        if said && self.is_empty() {
            self.0 = Storage::Stretch(Arc::clone(source), offset..end);
            return;
        }
        match &mut self.0 {
            Storage::Stretch(known, range)
                if said && range.end == offset && Arc::ptr_eq(known, source) =>
            {
                range.end = end;
            }
            Storage::Own(own) => own.push_str(text),
            Storage::Stretch(..) => {
                let own = format!("{}{text}", &**self);
                self.0 = Storage::Own(own);
            }
        }
    }
}

impl Default for PassageText {
    fn default() -> PassageText {
        PassageText(Storage::Own(String::new()))
    }
}

impl Deref for PassageText {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Storage::Stretch(source, range) => {
                &source.text[range.start as usize..range.end as usize]
            }
            Storage::Own(own) => own,
        }
    }
}

impl fmt::Debug for PassageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for PassageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl AsRef<str> for PassageText {
    fn as_ref(&self) -> &str {
        self
    }
}

impl PartialEq<str> for PassageText {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for PassageText {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialEq for PassageText {
    fn eq(&self, other: &PassageText) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_a_stretch_of_their_source_while_it_says_the_same() {
        let a = Source::new("a", "0123456789");
        let mut text = PassageText::default();
        text.push("", &a, 3);
        text.push("23", &a, 2);
        text.push("45", &a, 4);
        assert!(matches!(text.0, Storage::Stretch(..)), "{text}");
        assert_eq!(text, "2345");
        let mut other = text.clone();
        other.push("x", &a, 6);
        other.push("789", &a, 7);
        assert_eq!(other, "2345x789");
        text.push("2345", &a, 2);
        assert_eq!(text, "23452345");
        // A place that the source does not have.
        let mut none = PassageText::default();
        none.push("ab", &a, 9);
        assert_eq!(none, "ab");
    }
}
