//! Matches names against patterns with `*` and `?`, like a shell within one folder.
//!
//! Our own code, because glob crates also interpret classes, braces and paths, and `[` or `{` in
//! our names are ordinary characters.

/// Whether a name matches a pattern: `*` matches any bytes, `?` one. Linear, apart from the stars,
/// each of which is tried at most once per position.
#[must_use]
pub fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Whether a text is a pattern.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("web*", "web1", true),
            ("*", "", true),
            ("?", "", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-", false),
            ("*.yaml", "a.yaml.yaml", true),
            ("web?", "web12", false),
            ("", "", true),
            ("web", "web1", false),
        ] {
            let found = fits(pattern.as_bytes(), name.as_bytes());
            assert_eq!(found, expected, "{pattern} {name}");
        }
        let (many, long) = ("*a".repeat(50), "a".repeat(5_000) + "b");
        assert!(!fits(many.as_bytes(), long.as_bytes()));
    }
}
