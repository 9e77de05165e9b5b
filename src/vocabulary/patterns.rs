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
    if core == "/" {
        return Err("`/` alone is no pattern; `/[/]/` is one for a `/`".to_owned());
    }
    let test = match delimited(core) {
        Some(expression) => Test::Regex(regexp(expression)?),
        // A backslash before the first character keeps `!` and `/` what they are.
        None => Test::Contains(written.trim_start_matches(['\\', '/', '!']).to_owned()),
    };
    Ok(Pattern { inverse, test })
}

/// What stands between two `/`. Nothing may follow the second: `/srv/s` is text.
fn delimited(core: &str) -> Option<&str> {
    core.strip_prefix('/')?.strip_suffix('/')
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
            check("!/").unwrap_err(),
            "`/` alone is no pattern; `/[/]/` is one for a `/`"
        );
        assert_eq!(
            check("/(/").unwrap_err(),
            "`(` is no regular expression: unclosed group"
        );
    }
}
