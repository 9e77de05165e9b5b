//! Here-documents: their delimiters and their text.

use super::{Context, Kind, Scanner};

/// Nesting of here-documents; deeper ones are read as commands.
const MAX_HERE_DEPTH: usize = 64;

pub(super) struct Here {
    word: Vec<u8>,
    quoted: bool,
    tabs: bool,
}

impl Scanner<'_> {
    /// `<<WORD` or `<<-WORD`.
    pub(super) fn here_word(&mut self) {
        self.descriptor();
        self.end_word();
        self.at += 2;
        let tabs = self.byte(0) == b'-';
        if tabs {
            self.at += 1;
        }
        while matches!(self.byte(0), b' ' | b'\t') {
            self.at += 1;
        }
        let (mut word, mut quoted, mut quote) = (Vec::new(), false, 0);
        while self.at < self.text.len() {
            let byte = self.byte(0);
            if quote != 0 && byte == quote {
                quote = 0;
            } else if quote != 0 {
                word.push(byte);
            } else if byte == b'\'' || byte == b'"' {
                (quoted, quote) = (true, byte);
            } else if byte == b'\\' {
                quoted = true;
            } else if byte.is_ascii_whitespace() || b";&|<>()`".contains(&byte) {
                break;
            } else {
                word.push(byte);
            }
            self.at += 1;
        }
        // Each search for an end may read the whole rest of the text.
        if (!word.is_empty() || quoted) && self.frames.len() < MAX_HERE_DEPTH {
            self.frame_mut().here.push_back(Here { word, quoted, tabs });
        }
    }

    /// At the start of a line: reads the here-documents of the line before.
    pub(super) fn here_documents(&mut self) {
        while let Some(here) = self.frame_mut().here.pop_front() {
            let (end, after) = self.here_end(&here);
            if !here.quoted {
                // The remaining ones follow when this one is closed.
                return self.open(Kind::HereDoc { end }, 0);
            }
            self.found.contexts.push((self.at, Context::HereDocQuoted));
            self.at = after;
            self.mark();
        }
    }

    /// The end offset of a here-document's text, and of its last line.
    fn here_end(&self, here: &Here) -> (usize, usize) {
        let mut at = self.at;
        for line in self.text[self.at..].split_inclusive(|b| *b == b'\n') {
            let mut bare = line.strip_suffix(b"\n").unwrap_or(line);
            bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            while here.tabs && bare.first() == Some(&b'\t') {
                bare = &bare[1..];
            }
            if bare == here.word {
                return (at, at + line.len());
            }
            at += line.len();
        }
        (at, at)
    }
}
