//! `${name}` in texts: found, looked up once, put in as text. What was put in is never
//! looked at again.

use std::ops::Range;

/// A reference is replaced, `$${` is a literal `${`, everything else is text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Text(&'a str),
    /// `${name}`; the range covers all of it.
    Name(&'a str, Range<usize>),
    /// `${` that is no reference; the range covers what was written.
    Wrong(Wrong<'a>, Range<usize>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong<'a> {
    /// No `}` follows.
    Unclosed,
    /// `${HOME}`, `${a.b}`: not `[a-z][a-z0-9_]*`.
    Name(&'a str),
}

/// The pieces of a text, in order.
pub fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let (piece, length) = piece(rest, at);
        at += length;
        Some(piece)
    })
}

/// The piece at the start of a text that is not empty, and how much of it that takes.
fn piece(rest: &str, at: usize) -> (Piece<'_>, usize) {
    if rest.starts_with("$${") {
        return (Piece::Text(&rest[1..3]), 3);
    }
    let Some(inner) = rest.strip_prefix("${") else {
        let length = next_dollar(rest);
        return (Piece::Text(&rest[..length]), length);
    };
    let Some(length) = inner.find('}') else {
        let range = at..at + rest.len();
        return (Piece::Wrong(Wrong::Unclosed, range), rest.len());
    };
    let name = &inner[..length];
    let range = at..at + length + 3;
    if super::is_variable_name(name) {
        (Piece::Name(name, range), length + 3)
    } else {
        (Piece::Wrong(Wrong::Name(name), range), length + 3)
    }
}

/// The length of the text up to the next `$` that may begin a piece.
fn next_dollar(rest: &str) -> usize {
    rest.char_indices()
        .skip(1)
        .find(|(_, c)| *c == '$')
        .map_or(rest.len(), |(at, _)| at)
}

impl Wrong<'_> {
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Wrong::Unclosed => "`${` without `}`".to_owned(),
            Wrong::Name(name) => format!("`{name}` cannot be the name of a value"),
        }
    }

    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "a literal `${` is written `$${`"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_literals_and_mistakes_are_told_apart() {
        let table: [(&str, Vec<Piece<'_>>); 7] = [
            ("", vec![]),
            (
                "a $b $",
                vec![Piece::Text("a "), Piece::Text("$b "), Piece::Text("$")],
            ),
            (
                "ü${a_1}b",
                vec![Piece::Text("ü"), Piece::Name("a_1", 2..8), Piece::Text("b")],
            ),
            ("$${a}", vec![Piece::Text("${"), Piece::Text("a}")]),
            (
                "$$${a}",
                vec![Piece::Text("$"), Piece::Text("${"), Piece::Text("a}")],
            ),
            (
                "x${a",
                vec![Piece::Text("x"), Piece::Wrong(Wrong::Unclosed, 1..4)],
            ),
            (
                "${A}${}",
                vec![
                    Piece::Wrong(Wrong::Name("A"), 0..4),
                    Piece::Wrong(Wrong::Name(""), 4..7),
                ],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(pieces(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
