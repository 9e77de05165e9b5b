//! A text as one word of a command line, mostly of one that people read and may copy. Values
//! that may be secret are not written here, but by the session, in bytes.

/// Quoted where it needs to be.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    shell_quoted(text)
}

/// In single quotes, whatever it is.
#[must_use]
pub fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual::shell::scan;

    #[test]
    fn a_word_is_quoted_where_it_needs_to_be() {
        for (text, expected) in [
            ("web1", "web1"),
            ("/var/lib/a_b-c.d", "/var/lib/a_b-c.d"),
            ("name=a@b:1,2+3%", "name=a@b:1,2+3%"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("'", r"''\'''"),
            ("$HOME", "'$HOME'"),
            ("~", "'~'"),
            ("a*?[b]", "'a*?[b]'"),
            ("a;b|c&d<e>f", "'a;b|c&d<e>f'"),
            ("#", "'#'"),
            ("a\nb", "'a\nb'"),
            ("grün", "'grün'"),
        ] {
            let word = shell_word(text);
            assert_eq!(word, expected);
            let read = scan(&format!("echo {word}"));
            assert_eq!(read.commands, [vec![0..4, 5..5 + word.len()]], "{text}");
            assert!(read.mentions.is_empty(), "{text}");
        }
        assert_eq!(shell_quoted("web1"), "'web1'");
    }
}
