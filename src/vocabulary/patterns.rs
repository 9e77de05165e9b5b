//! goss's patterns for the lines of a text: `foo`, `!foo`, `/re/`, `!/re/`.

use regex::Regex;

use crate::vocabulary::matchers::regexp;

struct Pattern {
    inverse: bool,
    test: Test,
}

enum Test {
    Contains(String),
    Regex(Regex),
}

/// The patterns that the text does not satisfy.
pub fn missing<'a>(patterns: &'a [String], text: &str) -> Result<Vec<&'a str>, String> {
    let mut missing = Vec::new();
    for written in patterns {
        if !parse(written)?.holds(text) {
            missing.push(written.as_str());
        }
    }
    Ok(missing)
}

/// Says what is wrong with a pattern.
pub fn check(written: &str) -> Result<(), String> {
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

/// Lines without their ends, `\r\n` among them; no line after the last line end.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
}

fn parse(written: &str) -> Result<Pattern, String> {
    let (inverse, core) = match written.strip_prefix('!') {
        Some(core) => (true, core),
        None => (false, written),
    };
    let test = match delimited(core) {
        Some((expression, "")) => Test::Regex(regexp(expression)?),
        Some((expression, flags)) => Test::Regex(regexp(&format!("(?{flags}){expression}"))?),
        // A backslash before the first character keeps `!` and `/` what they are.
        None => Test::Contains(written.trim_start_matches(['\\', '/', '!']).to_owned()),
    };
    Ok(Pattern { inverse, test })
}

/// `/expression/flags`, flags as Go has them.
fn delimited(core: &str) -> Option<(&str, &str)> {
    let (expression, flags) = core.strip_prefix('/')?.rsplit_once('/')?;
    flags
        .chars()
        .all(|flag| matches!(flag, 'i' | 'm' | 's'))
        .then_some((expression, flags))
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
            ("/ALPHA/i", true),
            ("/path/to/x", true),
            ("\\!bang", true),
            ("\\/path", true),
            ("/one$/", true),
            ("", true),
        ] {
            let patterns = [pattern.to_owned()];
            let missing = missing(&patterns, text).unwrap();
            assert_eq!(missing.is_empty(), holds, "{pattern}");
        }
    }

    #[test]
    fn an_empty_text_has_no_line_to_find() {
        assert!(missing(&["!x".to_owned()], "").unwrap().is_empty());
        assert_eq!(missing(&["x".to_owned()], "").unwrap(), ["x"]);
        assert!(missing(&[String::new()], "").unwrap().is_empty());
    }

    #[test]
    fn a_broken_expression_says_so() {
        assert_eq!(
            check("/(/").unwrap_err(),
            "`(` is no regular expression: unclosed group"
        );
    }
}
