//! Replaces characters and words that have an effect when printed.
//! Knows no type.

use std::io::{self, Write};

/// Characters that a terminal does not show: controls, directions, zero widths.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// One line in which everything is visible and nothing has an effect.
pub(super) fn line(text: &str) -> String {
    without_commands(escaped(text))
}

fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push('\t'),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            c if c.is_ascii() && is_hidden(c) => {
                shown.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            c if is_hidden(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// A line that a CI system would execute gets a backslash: `\::error::`, `#\#[group]`.
///
/// GitHub's runner accepts `::name …::` after any leading blanks, and `##[name …]` anywhere; Azure
/// accepts `##vso[…]`, `TeamCity` `##teamcity[…]`. GitLab's sections need ESC and CR.
fn without_commands(mut line: String) -> String {
    for at in commands(&line).into_iter().rev() {
        line.insert(at, '\\');
    }
    line
}

/// The offsets where a line must be interrupted so that no CI system executes it, in order.
#[must_use]
pub fn commands(line: &str) -> Vec<usize> {
    let blanks = line.len() - line.trim_start().len();
    let first = is_command(&line[blanks..]).then_some(blanks);
    // In a row of three signs, each pair may begin a command.
    let pairs = line.bytes().zip(line.bytes().skip(1)).enumerate();
    let signs = pairs.filter(|(at, pair)| *pair == (b'#', b'#') && is_bracketed(&line[at + 2..]));
    first
        .into_iter()
        .chain(signs.map(|(at, _)| at + 1))
        .collect()
}

/// `::name`, alone or with a command's arguments; an address such as `::1` is not one.
fn is_command(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("::") else {
        return false;
    };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '-');
    let named = after.len() < rest.len();
    let more = after.chars().next();
    // No current runner accepts an empty end of the name.
    named && (more.is_none_or(char::is_whitespace) || after.starts_with("::"))
}

/// The commands of GitHub's and Azure's runners in the form `##[name …]`. Other texts of this form
/// are shell, such as `${x##[a-z]}`, and must stay unchanged.
const NAMES: [&str; 20] = [
    "add-mask",
    "add-matcher",
    "add-path",
    "command",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "internal-set-repo-path",
    "notice",
    "remove-matcher",
    "save-state",
    "section",
    "set-env",
    "set-output",
    "stop-commands",
    "task",
    "warning",
    "info",
];

/// Whether the text after `##` is a command.
fn is_bracketed(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let named = |rest: &str| {
        let end = rest.find([']', ' ']).unwrap_or(rest.len());
        NAMES.contains(&&rest[..end])
    };
    text.starts_with("vso[")
        || text.starts_with("teamcity[")
        || text.strip_prefix('[').is_some_and(named)
}

/// A stream for people that lets only text and our own colours through: a safety net under
/// everything that is printed. Makes other escape sequences visible, and disables CI commands.
#[derive(Debug)]
pub struct Net<W: Write> {
    to: W,
    /// An incomplete line.
    line: Vec<u8>,
}

impl<W: Write> Net<W> {
    /// Wraps a writer.
    pub fn new(to: W) -> Net<W> {
        let line = Vec::new();
        Net { to, line }
    }

    fn pass(&mut self, line: &[u8]) -> io::Result<()> {
        self.to
            .write_all(coloured(&String::from_utf8_lossy(line)).as_bytes())
    }
}

impl<W: Write> Write for Net<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.pop_if(|last| *last == b'\n').is_some() {
                let whole = std::mem::take(&mut self.line);
                self.pass(&whole)?;
                self.to.write_all(b"\n")?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.line.is_empty() {
            let part = std::mem::take(&mut self.line);
            self.pass(&part)?;
        }
        self.to.flush()
    }
}

impl<W: Write> Drop for Net<W> {
    fn drop(&mut self) {
        // If nobody reads any more, nothing is lost.
        let _ = self.flush();
    }
}

/// A harmless line with its colours; without them if they would hide a command.
fn coloured(text: &str) -> String {
    let (mut shown, mut plain, mut rest) = (String::new(), String::new(), text);
    while !rest.is_empty() {
        let (before, colour, after) = next_colour(rest);
        shown.push_str(&escaped(before));
        shown.push_str(colour);
        plain.push_str(&escaped(before));
        rest = after;
    }
    let harmless = without_commands(plain.clone());
    if harmless == plain { shown } else { harmless }
}

/// The text before the next `ESC [ … m`, that sequence, and the rest.
fn next_colour(text: &str) -> (&str, &str, &str) {
    for (at, _) in text.match_indices("\u{1b}[") {
        let digits = text[at + 2..].trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        if digits.starts_with('m') {
            let end = text.len() - digits.len() + 1;
            return (&text[..at], &text[at..end], &text[end..]);
        }
    }
    (text, "", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How GitHub's runner parses a log line, reimplemented after its source
    /// (`ActionCommand.TryParseV2` and `TryParse`).
    fn runner(line: &str) -> Option<String> {
        const KNOWN: [&str; 9] = [
            "error",
            "warning",
            "notice",
            "debug",
            "group",
            "add-mask",
            "stop-commands",
            "echo",
            "set-env",
        ];
        let known = |info: &str| {
            let name = info.split(' ').next().unwrap_or_default().to_lowercase();
            KNOWN.contains(&name.as_str()).then_some(name)
        };
        let trimmed = line.trim_start();
        let second = trimmed
            .strip_prefix("::")
            .and_then(|rest| rest.split_once("::"))
            .and_then(|(info, _)| known(info));
        let first = line
            .split_once("##[")
            .and_then(|(_, rest)| rest.split_once(']'))
            .and_then(|(info, _)| known(info));
        second.or(first)
    }

    const COMMANDS: [&str; 10] = [
        "::error::forged",
        "::stop-commands::t",
        " \t \u{a0}\u{3000}::error file=a,line=1::forged",
        "\u{85}::add-mask::x",
        "##[error]forged",
        "text before ##[add-mask]x",
        "####[error]x ##[group]y",
        "::ERROR::x",
        "::error ::x",
        "::debug::",
    ];

    #[test]
    fn no_line_is_a_command_to_a_runner() {
        for command in COMMANDS {
            assert!(runner(command).is_some(), "the test itself: {command}");
            for indent in ["", "   ", "\t"] {
                let text = format!("{indent}{command}");
                let shown = line(&text);
                assert_eq!(runner(&shown), None, "{shown}");
                assert_eq!(line(&shown), shown, "twice is once");
                let mut out = Vec::new();
                Net::new(&mut out)
                    .write_all(format!("\u{1b}[2m{text}\u{1b}[0m\n").as_bytes())
                    .unwrap();
                let plain = String::from_utf8(out)
                    .unwrap()
                    .replace("\u{1b}[2m", "")
                    .replace("\u{1b}[0m", "");
                assert_eq!(runner(&plain), None, "{plain}");
            }
        }
        for other in [
            "##vso[task.setvariable variable=x]y",
            "##teamcity[buildStop]",
        ] {
            assert_eq!(line(other), other.replacen("##", "#\\#", 1));
        }
    }

    #[test]
    fn what_is_no_command_stays_as_it_is() {
        for text in [
            "::1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "a::b::c",
            "## [x]",
            "${x##[a-z]*}",
            "${y##[!abc]}",
            "# ##",
            "|\t::x",
            "a ::error::",
            "ü ∀ 日本 ❤️",
        ] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        for (text, shown) in [
            ("a\u{1b}]0;t\u{7}b", "a\\x1b]0;t\\x07b"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("10%\r20%", "10%\\r20%"),
            ("a\u{202e}b\u{2066}", "a\\u{202e}b\\u{2066}"),
            ("a\u{200b}\u{2028}\u{feff}", "a\\u{200b}\\u{2028}\\u{feff}"),
            ("\u{7f}\0", "\\x7f\\x00"),
        ] {
            assert_eq!(line(text), shown);
        }
    }

    #[test]
    fn the_net_lets_only_text_and_colours_through() {
        let mut out = Vec::new();
        let mut net = Net::new(&mut out);
        for piece in [
            "\u{1b}[1;31mred\u{1b}[0m",
            " \u{1b}[2Jx\u{1b}]52;c;a\u{7}\ny",
            "es\u{202e}? > ",
        ] {
            net.write_all(piece.as_bytes()).unwrap();
        }
        net.flush().unwrap();
        net.write_all("é\n".as_bytes()).unwrap();
        drop(net);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\u{1b}[1;31mred\u{1b}[0m \\x1b[2Jx\\x1b]52;c;a\\x07\nyes\\u{202e}? > é\n"
        );
    }
}
