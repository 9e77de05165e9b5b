//! Turns a step's output into pieces that may be shown and kept: whole lines, masked secrets,
//! harmless control characters.

use crate::session::Redactor;

/// One stream of one step.
pub struct Lines {
    redactor: Redactor,
    rest: Vec<u8>,
}

/// A longer line is split into pieces.
const LONGEST: usize = 8192;

impl Lines {
    #[must_use]
    pub fn new(redactor: Redactor) -> Lines {
        Lines {
            redactor,
            rest: Vec::new(),
        }
    }

    /// The lines that are complete now, with their line ends; empty if none is.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let masked = self.redactor.push(bytes);
        self.rest.extend(masked);
        let end = match memchr::memrchr(b'\n', &self.rest) {
            Some(at) => at + 1,
            None if self.rest.len() > LONGEST => self.rest.len(),
            None => 0,
        };
        let complete: Vec<u8> = self.rest.drain(..end).collect();
        harmless(&complete)
    }

    /// The rest at the end.
    pub fn finish(&mut self) -> String {
        let masked = self.redactor.finish();
        self.rest.extend(masked);
        harmless(&std::mem::take(&mut self.rest))
    }
}

/// Bytes as text that cannot move the cursor, change the title or hide anything. The bundle keeps
/// the original bytes.
#[must_use]
pub fn harmless(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\r' if rest.peek() == Some(&'\n') => {}
            // A progress line that overwrites itself: each state gets its own line.
            '\r' => shown.push('\n'),
            '\u{1b}' => skip_escape(&mut rest),
            c if c.is_control() => shown.extend(c.escape_default()),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Removes CSI and OSC sequences; of other sequences, one character after ESC.
fn skip_escape(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match rest.next() {
        Some('[') => {
            for c in rest.by_ref() {
                if ('@'..='~').contains(&c) {
                    break;
                }
            }
        }
        Some(']' | 'P' | '_' | '^' | 'X') => {
            while let Some(c) = rest.next() {
                if c == '\u{7}' {
                    break;
                }
                if c == '\u{1b}' {
                    rest.next();
                    break;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_masked_however_they_arrive() {
        let secret = crate::session::Secret::from("hunter22".to_owned());
        for size in 1..12 {
            let mut lines = Lines::new(Redactor::new([&secret]));
            let mut text = String::new();
            for piece in b"a hunt\nmy hunter22 is\nlast".chunks(size) {
                let some = lines.push(piece);
                assert!(some.is_empty() || some.ends_with('\n'));
                text.push_str(&some);
            }
            text.push_str(&lines.finish());
            assert_eq!(text, "a hunt\nmy [secret] is\nlast", "pieces of {size}");
        }
    }

    #[test]
    fn control_characters_cannot_reach_a_terminal() {
        let text = b"\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07x \x1b]0;t\x1b\\y 10%\r20%\r\n\x07\xff\xe2\x80\xae.";
        assert_eq!(harmless(text), "red x y 10%\n20%\n\\u{7}\u{fffd}\\u{202e}.");
    }
}
