//! Parses tags in HTML from mdBook: quoted attributes, text without `<`.

use std::ops::Range;

/// An opening tag with the places of its attribute values.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    pub(super) start: usize,
    attributes: &'a str,
    /// The offset of the attributes.
    offset: usize,
}

/// The opening tags of a text, except in comments, scripts and styles.
pub(super) fn tags(text: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + memchr::memchr(b'<', text.get(at..)?.as_bytes())?;
            let rest = &text[start + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                at = start + 4 + comment.find("-->").map_or(comment.len(), |end| end + 3);
                continue;
            }
            let inside = &rest[..end_of_tag(rest)];
            at = start + 1 + inside.len();
            let length = inside.find([' ', '\n', '\t']).unwrap_or(inside.len());
            let (name, attributes) = inside.split_at(length);
            if name.starts_with(['/', '!', '?']) {
                continue;
            }
            if matches!(name, "script" | "style") {
                let close = format!("</{name}");
                at += text[at..].find(&close).unwrap_or(text.len() - at);
            }
            return Some(Tag {
                name,
                start,
                attributes,
                offset: start + 1 + length,
            });
        }
    })
}

impl<'a> Tag<'a> {
    /// Names of attributes with the places of their values.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'a str, Range<usize>)> + use<'a> {
        let all = self.attributes;
        let offset = self.offset;
        let mut at = 0;
        std::iter::from_fn(move || {
            let equals = at + all[at..].find('=')?;
            let name = all[at..equals].rsplit([' ', '\n', '\t', '"']).next()?;
            let quote = all[equals + 1..].chars().next()?;
            let (start, end) = if matches!(quote, '"' | '\'') {
                let start = equals + 2;
                (start, start + all[start..].find(quote)?)
            } else {
                let start = equals + 1;
                let length = all[start..].find([' ', '\n', '\t']);
                (start, length.map_or(all.len(), |length| start + length))
            };
            at = (end + 1).min(all.len());
            Some((name, offset + start..offset + end))
        })
    }
}

/// The end of a tag: a `>` in quotes does not count.
fn end_of_tag(text: &str) -> usize {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    text.len()
}

/// Escapes like mdBook in attribute values and titles.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&quot;"),
            '\\' => out.push_str("&#92;"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    out
}

/// Reverses [`escaped`].
pub(super) fn unescaped(text: &str) -> String {
    let mut plain = text.to_owned();
    for (entity, c) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&quot;", "\""),
        ("&#92;", "\\"),
        ("&amp;", "&"),
    ] {
        if plain.contains(entity) {
            plain = plain.replace(entity, c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_with_the_places_of_their_values() {
        let text = "a<!-- <p id=\"no\"> --><h1 id=\"a\" class='x y'>t</h1><style>p>a<b id=\"n\"></style>\
                    <a title=\"1 > 0\" href=b.html>=\"text\"</a><br>";
        let found: Vec<String> = tags(text)
            .map(|tag| {
                let values = tag.attributes();
                let values: Vec<String> = values
                    .map(|(name, range)| format!("{name}:{}", &text[range]))
                    .collect();
                format!("{} {}", tag.name, values.join(","))
            })
            .collect();
        let expected = [
            "h1 id:a,class:x y",
            "style ",
            "a title:1 > 0,href:b.html",
            "br ",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn escapes_are_undone() {
        let text = "<a & \"b\" 'c' \\ &lt;>";
        assert_eq!(unescaped(&escaped(text)), text);
    }
}
