//! Rewrites a shell's own messages about the author's command.

/// A shell's message in the form of `sh -c`: `sh: 1: x: not found` in dash, `sh: x: not found` in
/// busybox, `sh: line 1: x: command not found`. The command begins at line `first` of the script
/// `name`.
pub(super) fn as_sh(err: &[u8], first: u64, name: &str) -> Vec<u8> {
    let prefix = format!("{name}: ").into_bytes();
    let mut all = Vec::with_capacity(err.len());
    for line in err.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(&prefix[..]) {
            Some(rest) => {
                let (head, rest) = said_by_sh(rest, first);
                all.extend_from_slice(head.as_bytes());
                all.extend_from_slice(rest);
            }
            None => all.extend_from_slice(line),
        }
    }
    all
}

/// The prefix of a shell's message, and the message.
fn said_by_sh(line: &[u8], first: u64) -> (String, &[u8]) {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u64>().ok();
    let colon = |text: &[u8]| memchr::memmem::find(text, b": ");
    if let Some(rest) = line.strip_prefix(b"eval: line ") {
        return match colon(rest) {
            Some(at) if number(&rest[..at]).is_some() => ("sh: ".to_owned(), &rest[at + 2..]),
            _ => ("sh: ".to_owned(), line),
        };
    }
    if let Some(rest) = line.strip_prefix(b"line ")
        && let Some(at) = colon(rest)
        && let Some(number) = number(&rest[..at])
    {
        let number = (number + 1).saturating_sub(first).max(1);
        return (format!("sh: line {number}: "), &rest[at + 2..]);
    }
    if let Some(at) = colon(line)
        && let Some(number) = number(&line[..at])
        && let Some(rest) = line[at + 2..].strip_prefix(b"eval: ")
    {
        return (format!("sh: {number}: "), rest);
    }
    ("sh: ".to_owned(), line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_speaks_as_sh_c_would() {
        for (said, expected) in [
            ("script: 12: eval: x: not found\n", "sh: 12: x: not found\n"),
            ("script: eval: line 3: x: not found\n", "sh: x: not found\n"),
            (
                "script: line 9: x: command not found\n",
                "sh: line 3: x: command not found\n",
            ),
            (
                "script: line 2: x: command not found\n",
                "sh: line 1: x: command not found\n",
            ),
            ("script: x: not found\n", "sh: x: not found\n"),
            (
                "cat: script: no such file\nscript: line 8: a",
                "cat: script: no such file\nsh: line 2: a",
            ),
            ("", ""),
        ] {
            let found = as_sh(said.as_bytes(), 7, "script");
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{said}");
        }
    }
}
