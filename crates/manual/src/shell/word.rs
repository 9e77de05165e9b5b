//! Quotes a text as one word of a command line, mostly one that people read and copy. Values that
//! may be secret are quoted by the session instead, in bytes.

use crate::outside::is_hidden;

/// Quotes where necessary.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if text
        .chars()
        .any(|c| !matches!(c, '\n' | '\t') && is_hidden(c))
    {
        return printed(text);
    }
    shell_quoted(text)
}

/// The same value without characters that a terminal hides or interprets: a command that people
/// paste may contain a value of a node.
fn printed(text: &str) -> String {
    // Command substitution drops trailing line ends.
    let value = text.trim_end_matches('\n');
    let mut format = String::new();
    for c in value.chars() {
        match c {
            '%' => format.push_str("%%"),
            '\\' => format.push_str(r"\\"),
            '\'' => format.push_str(r"\047"),
            '\n' | '\t' => format.push(c),
            c if is_hidden(c) => {
                let bytes = c.encode_utf8(&mut [0; 4]).to_owned();
                format.extend(bytes.bytes().map(|byte| format!("\\{byte:03o}")));
            }
            c => format.push(c),
        }
    }
    let ends = &text[value.len()..];
    let ends = if ends.is_empty() {
        String::new()
    } else {
        shell_quoted(ends)
    };
    format!("\"$(printf '{format}')\"{ends}")
}

/// Always single-quoted.
#[must_use]
pub fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::scan::scan;

    #[test]
    fn a_shell_reads_a_value_back_that_no_terminal_obeys() {
        for text in ["\u{1b}]52;c;a\u{7} 100% \\n it's", "a\u{202e}b\n\tc\r\n\n"] {
            let word = shell_word(text);
            assert!(
                !word.chars().any(|c| !"\n\t".contains(c) && is_hidden(c)),
                "{word}"
            );
            let line = format!("printf %s. {word}");
            let read = std::process::Command::new("sh")
                .args(["-c", &line])
                .output();
            let read = String::from_utf8(read.unwrap().stdout).unwrap();
            assert_eq!(read, format!("{text}."));
        }
    }

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
