//! Names against patterns of `*` and `?`, as a shell matches them within one folder.
//!
//! It is ours because the crates for globs also know classes, braces and paths, and `[` or `{` in
//! a name of ours is a letter like any other.

/// Whether a name fits a pattern: `*` stands for any bytes, `?` for one. Linear but for the
/// stars, each of which is tried at most once a position.
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

/// Whether a text is a pattern, and not a name.
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
