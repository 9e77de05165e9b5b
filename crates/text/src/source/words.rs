//! The text of a passage, which is mostly a stretch of one source.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use super::Source;

/// Reads as a `&str`. A stretch of a source takes no memory of its own: pages and their scripts
/// would be held twice otherwise.
#[derive(Clone)]
pub struct Words(Kept);

#[derive(Clone)]
enum Kept {
    Of(Arc<Source>, Range<u32>),
    Own(String),
}

impl Words {
    /// Appends text, which the source may hold from `offset` on.
    pub(super) fn push(&mut self, text: &str, source: &Arc<Source>, offset: u32) {
        let from = offset as usize;
        let said = source.text.get(from..from + text.len()) == Some(text);
        let end = super::offset(from + text.len());
        if said && self.is_empty() {
            self.0 = Kept::Of(Arc::clone(source), offset..end);
            return;
        }
        match &mut self.0 {
            Kept::Of(known, range) if said && range.end == offset && Arc::ptr_eq(known, source) => {
                range.end = end;
            }
            Kept::Own(own) => own.push_str(text),
            Kept::Of(..) => {
                let own = format!("{}{text}", &**self);
                self.0 = Kept::Own(own);
            }
        }
    }
}

impl Default for Words {
    fn default() -> Words {
        Words(Kept::Own(String::new()))
    }
}

impl Deref for Words {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Kept::Of(source, range) => &source.text[range.start as usize..range.end as usize],
            Kept::Own(own) => own,
        }
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl AsRef<str> for Words {
    fn as_ref(&self) -> &str {
        self
    }
}

impl PartialEq<str> for Words {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Words {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialEq for Words {
    fn eq(&self, other: &Words) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_a_stretch_of_their_source_while_it_says_the_same() {
        let a = Source::new("a", "0123456789");
        let mut words = Words::default();
        words.push("", &a, 3);
        words.push("23", &a, 2);
        words.push("45", &a, 4);
        assert!(matches!(words.0, Kept::Of(..)), "{words}");
        assert_eq!(words, "2345");
        let mut other = words.clone();
        other.push("x", &a, 6);
        other.push("789", &a, 7);
        assert_eq!(other, "2345x789");
        words.push("2345", &a, 2);
        assert_eq!(words, "23452345");
        // A place that the source does not have.
        let mut none = Words::default();
        none.push("ab", &a, 9);
        assert_eq!(none, "ab");
    }
}
