//! Analyses a template's text without rendering: names that it sets, templates that it includes,
//! and where it mentions a name. Pure; reads only tags.

use std::collections::BTreeSet;
use std::ops::Range;

/// A word, a quoted text or a sign within a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Word(&'t str),
    Text(&'t str),
    Sign(char),
}

type Placed<'t> = (Token<'t>, Range<usize>);

/// Names that its statements set: they are known to templates that it includes.
pub(super) fn assigned(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for tag in tags(text) {
        let mut words = tag.iter().filter_map(|(token, _)| match token {
            Token::Word(word) => Some(*word),
            Token::Text(_) | Token::Sign(_) => None,
        });
        let all: Vec<&str> = words.by_ref().collect();
        let own: Vec<&str> = match all.first().copied() {
            Some("for") => { all[1..].iter() }
                .take_while(|word| **word != "in")
                .copied()
                .collect(),
            Some("set" | "with") => before_equals(&tag),
            Some("macro" | "call") => all[1..].to_vec(),
            Some("import" | "from") => { all[1..].iter() }
                .filter(|word| !["as", "import"].contains(word))
                .copied()
                .collect(),
            _ => Vec::new(),
        };
        names.extend(own.into_iter().map(str::to_owned));
    }
    names
}

/// The words before `=` in `set a, b = …` and `with a = 1, b = 2`, and the name of a `set` block.
fn before_equals<'t>(tag: &[Placed<'t>]) -> Vec<&'t str> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    let mut open = true;
    for (token, _) in &tag[1..] {
        match token {
            Token::Word(word) if open && depth == 0 => names.push(*word),
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Token::Sign('=') => open = false,
            Token::Sign(',') if depth == 0 => open = true,
            _ => {}
        }
    }
    names
}

/// The templates in `include`, `extends`, `import` and `from`.
pub(super) fn taken_in(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for tag in tags(text) {
        let takes = matches!(
            tag.first(),
            Some((Token::Word("include" | "extends" | "import" | "from"), _))
        );
        if takes {
            names.extend(tag.iter().filter_map(|(token, _)| match token {
                Token::Text(name) => Some(*name),
                Token::Word(_) | Token::Sign(_) => None,
            }));
        }
    }
    names
}

/// The first place where a tag mentions a name.
pub(super) fn place(text: &str, name: &str) -> Option<Range<usize>> {
    tags(text).find_map(|tag| {
        let mut before = None;
        for (token, range) in tag {
            if token == Token::Word(name) && before != Some(Token::Sign('.')) {
                return Some(range);
            }
            before = Some(token);
        }
        None
    })
}

/// The tokens of each `{{ … }}` and `{% … %}`.
fn tags(text: &str) -> impl Iterator<Item = Vec<Placed<'_>>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let begin = at + text.get(at..)?.find('{')?;
            let end = match text.as_bytes().get(begin + 1)? {
                b'{' => "}}",
                b'%' => "%}",
                b'#' => {
                    at = begin + 2 + text.get(begin + 2..)?.find("#}")? + 2;
                    continue;
                }
                _ => {
                    at = begin + 1;
                    continue;
                }
            };
            let (tokens, after) = tokens(text, begin + 2, end);
            at = after;
            return Some(tokens);
        }
    })
}

/// The tokens up to the end of a tag, and the offset of that end.
fn tokens<'t>(text: &'t str, from: usize, end: &str) -> (Vec<Placed<'t>>, usize) {
    let mut tokens = Vec::new();
    let mut at = from;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(end) {
            return (tokens, at + end.len());
        }
        let first = rest.chars().next().unwrap_or(' ');
        let length = if first.is_alphabetic() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len())
        } else if first == '"' || first == '\'' {
            quoted(rest, first)
        } else {
            first.len_utf8()
        };
        let token = match first {
            '"' | '\'' => Some(Token::Text(rest[..length].trim_matches(first))),
            first if length > first.len_utf8() || first.is_alphabetic() || first == '_' => {
                Some(Token::Word(&rest[..length]))
            }
            // At the beginning or end of a tag, they trim white space.
            '-' | '+' if tokens.is_empty() => None,
            first if first.is_whitespace() => None,
            first => Some(Token::Sign(first)),
        };
        tokens.extend(token.map(|token| (token, at..at + length)));
        at += length;
    }
    (tokens, text.len())
}

/// The length of a quoted text, including its quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_say_what_they_set_take_in_and_mention() {
        let text = "{# set no #}{ x }{%- for a, b in list -%}{% set c = d %}{% with e=1, f = g(h) %}\
            {% macro m(i, j=2) %}{% from \"x.conf\" import k as l %}{% include ['y', \"z\"] %}{{ q.r }}{{ '{{ s }}' }}{{ r }}";
        let assigned: Vec<String> = assigned(text).into_iter().collect();
        assert_eq!(assigned.join(" "), "a b c e f i j k l m");
        assert_eq!(taken_in(text), ["x.conf", "y", "z"]);
        assert_eq!(place(text, "s"), None);
        let at = place(text, "r").unwrap();
        assert_eq!(at.start, text.rfind("r }}").unwrap());
        assert!(tags("{{ never closed").count() == 1 && tags("{").count() == 0);
    }
}
