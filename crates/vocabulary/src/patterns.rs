//! goss's patterns for lines of text: `foo`, `!foo`, `/re/`, `!/re/`. Only marks that the author
//! wrote count: a value that begins with `!` or `/` is text.

use regex::Regex;

use crate::go_regexp::regexp;
use crate::interpolation::Interpolated;

struct Pattern {
    inverse: bool,
    test: Test,
}

enum Test {
    Contains(String),
    Regex(Regex),
}

/// The patterns that the text does not match.
pub fn missing<'a>(
    patterns: &'a [Interpolated],
    text: &str,
) -> Result<Vec<&'a Interpolated>, String> {
    let mut missing = Vec::new();
    for written in patterns {
        if !parse(written)?.holds(text) {
            missing.push(written);
        }
    }
    Ok(missing)
}

/// What is wrong with a pattern.
pub fn check(written: &Interpolated) -> Result<(), String> {
    parse(written).map(|_| ())
}

impl Pattern {
    fn holds(&self, text: &str) -> bool {
        let found = match &self.test {
            Test::Contains(part) if part.is_empty() && !self.inverse => return true,
            Test::Contains(part) => lines(text).any(|line| line.contains(part.as_str())),
            Test::Regex(regex) => lines(text).any(|line| regex.is_match(line)),
        };
        found != self.inverse
    }
}

/// Lines without line ends (`\n` or `\r\n`); no empty line after the last line end.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
}

fn parse(written: &Interpolated) -> Result<Pattern, String> {
    let (inverse, core) = match written.strip_prefix('!') {
        Some(core) => (true, core),
        None => (false, written.clone()),
    };
    if core.known().as_deref() == Some("/") {
        return Err("`/` alone is no pattern; `/[/]/` is one for a `/`".to_owned());
    }
    let test = match delimited(&core) {
        Some(expression) => Test::Regex(regexp(&expression)?),
        None => Test::Contains(unmarked(written)),
    };
    Ok(Pattern { inverse, test })
}

/// The text between two `/`. Nothing may follow the second: `/srv/s` is text.
fn delimited(core: &Interpolated) -> Option<Interpolated> {
    core.strip_prefix('/')?.strip_suffix('/')
}

/// The literal text. A backslash before the first character makes `!` and `/` literal.
fn unmarked(written: &Interpolated) -> String {
    let mut text = written.clone();
    while let Some(rest) = ['\\', '/', '!']
        .iter()
        .find_map(|mark| text.strip_prefix(*mark))
    {
        text = rest;
    }
    text.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_goss() {
        let text = "alpha one\n!bang\n/path/to/x\nroot:x:0\n";
        for (pattern, holds) in [
            ("alpha", true),
            ("!alpha", false),
            ("!omega", true),
            ("omega", false),
            ("/^root:/", true),
            ("/^oot:/", false),
            ("!/^oot:/", true),
            ("!/^root:/", false),
            ("/(?i)ALPHA/", true),
            ("/ALPHA/i", false),
            ("/path/to/x", true),
            ("/path/t", true),
            ("!/path/to/s", true),
            ("\\!bang", true),
            ("\\/path", true),
            ("/one$/", true),
            ("", true),
        ] {
            let patterns = [Interpolated::read(pattern)];
            let missing = missing(&patterns, text).unwrap();
            assert_eq!(missing.is_empty(), holds, "{pattern}");
        }
    }

    #[test]
    fn an_empty_text_has_no_line_to_find() {
        for (pattern, holds) in [("!x", true), ("x", false), ("", true)] {
            let patterns = [Interpolated::read(pattern)];
            assert_eq!(missing(&patterns, "").unwrap().is_empty(), holds);
        }
    }

    #[test]
    fn a_value_is_no_pattern() {
        for (pattern, value, text, holds) in [
            ("${a}", "!x", "x", false),
            ("${a}", "/.*/", "x", false),
            ("/^${a}$/", ".*", "x", false),
            ("/^${a}$/", "a.b", "a.b", true),
            ("${a}/bin", "/srv", "/srv/bin", true),
            ("!${a}", "x", "y", true),
        ] {
            let filled = Interpolated::read(pattern).fill(|_| Some(value.to_owned()));
            let patterns = [filled];
            let missing = missing(&patterns, text).unwrap();
            assert_eq!(missing.is_empty(), holds, "{pattern} {value}");
        }
    }

    #[test]
    fn a_broken_expression_says_so() {
        assert_eq!(
            check(&Interpolated::read("!/")).unwrap_err(),
            "`/` alone is no pattern; `/[/]/` is one for a `/`"
        );
        assert_eq!(
            check(&Interpolated::read("/(/")).unwrap_err(),
            "`(` is not a valid regular expression: unclosed group"
        );
    }
}
