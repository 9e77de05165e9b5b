//! Splits a script into its simple commands: at `;`, `|`, `&&`, `||`, `&` and line ends outside
//! quotes. Reports scripts that it cannot split; the caller treats them as changes.

/// One simple command.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Its words, unquoted.
    pub words: Vec<String>,
    /// It writes to a file.
    pub writes: bool,
    /// Nested commands: `$(…)`, backquotes.
    pub holds: Vec<String>,
    /// It runs in the background (`&`).
    pub background: bool,
    /// Its input comes from a pipe or a here-document.
    pub fed: bool,
}

/// The commands of a script; `None` if it cannot be split with certainty.
pub fn commands(script: &str) -> Option<Vec<Command>> {
    let mut reader = Reader::default();
    let mut letters = script.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('\n') | None => {}
                Some(next) => reader.push(next),
            },
            '\'' => loop {
                match letters.next()? {
                    '\'' => {
                        reader.begun = true;
                        break;
                    }
                    other => reader.push(other),
                }
            },
            '"' => reader.quoted(&mut letters)?,
            '`' => {
                let inner = backquoted(&mut letters)?;
                reader.hold(inner);
            }
            // `$'…'` has escapes, so the quote may end elsewhere.
            '$' if letters.peek() == Some(&'\'') => return None,
            '$' if letters.peek() == Some(&'(') => {
                letters.next();
                let inner = bracket(&mut letters)?;
                reader.hold(inner);
            }
            '#' if !reader.begun => while letters.next_if(|letter| *letter != '\n').is_some() {},
            ' ' | '\t' => reader.end_word(),
            '\n' => {
                reader.end_command();
                reader.pass_over_documents(&mut letters)?;
            }
            ';' => reader.end_command(),
            '|' => {
                let or = letters.next_if_eq(&'|').is_some();
                letters.next_if_eq(&'&');
                reader.end_command();
                reader.command.fed = !or;
            }
            '&' => {
                // `2>&1` and `&>` are redirections; `&` and `&&` end a command.
                if letters.next_if_eq(&'>').is_some() {
                    reader.redirect(&mut letters)?;
                } else {
                    reader.command.background = letters.next_if_eq(&'&').is_none();
                    reader.end_command();
                }
            }
            '>' => reader.redirect(&mut letters)?,
            '<' => {
                reader.end_word();
                reader.command.fed = true;
                if letters.next_if_eq(&'<').is_some() {
                    // `<<<` takes a word, like any redirection; `<<` is followed by text lines.
                    if letters.next_if_eq(&'<').is_none() {
                        reader.begin_document(&mut letters)?;
                    }
                } else if letters.next_if_eq(&'(').is_some() {
                    let inner = bracket(&mut letters)?;
                    reader.hold(inner);
                    reader.end_word();
                }
            }
            // Groups, functions and subshells: their commands are read as if they were separate.
            '(' | ')' => reader.end_command(),
            other => reader.push(other),
        }
    }
    reader.end_command();
    reader.documents.is_empty().then_some(reader.commands)
}

/// A here-document: its delimiter, and whether the shell expands its text.
struct Document {
    end: String,
    plain: bool,
    tabs: bool,
}

#[derive(Default)]
struct Reader {
    commands: Vec<Command>,
    command: Command,
    word: String,
    begun: bool,
    documents: Vec<Document>,
}

type Letters<'s> = std::iter::Peekable<std::str::Chars<'s>>;

impl Reader {
    fn push(&mut self, letter: char) {
        self.word.push(letter);
        self.begun = true;
    }

    fn hold(&mut self, inner: String) {
        self.command.holds.push(inner);
        // Its result is unknown.
        self.word.push('\u{fffd}');
        self.begun = true;
    }

    fn quoted(&mut self, letters: &mut Letters<'_>) -> Option<()> {
        self.begun = true;
        loop {
            match letters.next()? {
                '"' => return Some(()),
                '\\' => self.push(letters.next()?),
                '`' => {
                    let inner = backquoted(letters)?;
                    self.hold(inner);
                }
                '$' if letters.peek() == Some(&'(') => {
                    letters.next();
                    let inner = bracket(letters)?;
                    self.hold(inner);
                }
                other => self.push(other),
            }
        }
    }

    /// After `<<`: the delimiter.
    fn begin_document(&mut self, letters: &mut Letters<'_>) -> Option<()> {
        let tabs = letters.next_if_eq(&'-').is_some();
        while letters
            .next_if(|letter| [' ', '\t'].contains(letter))
            .is_some()
        {}
        let mut word = String::new();
        while let Some(letter) =
            letters.next_if(|letter| !letter.is_whitespace() && !";|&<>()".contains(*letter))
        {
            word.push(letter);
        }
        let end: String = word
            .chars()
            .filter(|letter| !"'\"\\".contains(*letter))
            .collect();
        let plain = end != word;
        if end.is_empty() {
            return None;
        }
        self.documents.push(Document { end, plain, tabs });
        Some(())
    }

    /// At a line's end: skips the texts of its here-documents. Does not look for commands in them,
    /// so a text with commands cannot be split.
    fn pass_over_documents(&mut self, letters: &mut Letters<'_>) -> Option<()> {
        for document in std::mem::take(&mut self.documents) {
            loop {
                letters.peek()?;
                let line: String = letters
                    .by_ref()
                    .take_while(|letter| *letter != '\n')
                    .collect();
                let line = line.strip_suffix('\r').unwrap_or(&line);
                let bare = if document.tabs {
                    line.trim_start_matches('\t')
                } else {
                    line
                };
                if bare == document.end {
                    break;
                }
                if !document.plain && (line.contains("$(") || line.contains('`')) {
                    return None;
                }
            }
        }
        Some(())
    }

    /// After `>`: to the terminal, to nowhere, or to a file.
    fn redirect(&mut self, letters: &mut Letters<'_>) -> Option<()> {
        // The number in `2>` is not a word.
        if self.word.chars().all(|letter| letter.is_ascii_digit()) {
            self.word.clear();
            self.begun = false;
        }
        self.end_word();
        letters.next_if_eq(&'>');
        letters.next_if_eq(&'|');
        if letters.next_if_eq(&'&').is_some() {
            while letters
                .next_if(|letter| letter.is_ascii_digit() || *letter == '-')
                .is_some()
            {}
            return Some(());
        }
        if letters.next_if_eq(&'(').is_some() {
            let inner = bracket(letters)?;
            self.command.holds.push(inner);
            return Some(());
        }
        while letters.next_if(|letter| *letter == ' ').is_some() {}
        let mut target = String::new();
        while let Some(letter) =
            letters.next_if(|letter| !letter.is_whitespace() && !";|&".contains(*letter))
        {
            target.push(letter);
        }
        if target != "/dev/null" {
            self.command.writes = true;
        }
        Some(())
    }

    fn end_word(&mut self) {
        if self.begun {
            self.command.words.push(std::mem::take(&mut self.word));
        }
        self.begun = false;
    }

    fn end_command(&mut self) {
        self.end_word();
        let command = std::mem::take(&mut self.command);
        // A command needs a word or writes something, even if a pipe leads to it.
        if !command.words.is_empty() || command.writes || !command.holds.is_empty() {
            self.commands.push(command);
        } else {
            self.command.fed = command.fed;
        }
    }
}

/// Up to the next backquote. With escapes there may be nested ones: not split.
fn backquoted(letters: &mut Letters<'_>) -> Option<String> {
    let mut inner = String::new();
    loop {
        match letters.next()? {
            '`' => return Some(inner),
            '\\' => return None,
            other => inner.push(other),
        }
    }
}

/// Up to the closing bracket; skips quotes.
fn bracket(letters: &mut Letters<'_>) -> Option<String> {
    let mut depth = 1;
    let mut inner = String::new();
    let mut quote = None;
    loop {
        let letter = letters.next()?;
        match (quote, letter) {
            (None, '(') => depth += 1,
            (None, ')') => {
                depth -= 1;
                if depth == 0 {
                    return Some(inner);
                }
            }
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
        inner.push(letter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_cut_outside_quotes() {
        let cut = |script| {
            let commands = commands(script)?;
            Some(
                commands
                    .into_iter()
                    .map(|command| (command.words.join("_"), command.writes))
                    .collect::<Vec<_>>(),
            )
        };
        let some = |commands: &[(&str, bool)]| {
            Some(
                commands
                    .iter()
                    .map(|(words, writes)| ((*words).to_owned(), *writes))
                    .collect(),
            )
        };
        assert_eq!(
            cut("a b | c 'd | e' && f"),
            some(&[("a_b", false), ("c_d | e", false), ("f", false)])
        );
        assert_eq!(
            cut("a 2>&1 >/dev/null; b >> x"),
            some(&[("a", false), ("b", true)])
        );
        assert_eq!(
            cut("a # b\nc \\\n d"),
            some(&[("a", false), ("c_d", false)])
        );
        assert_eq!(cut("a &> log"), some(&[("a", true)]));
        assert_eq!(
            cut("cat <<E > x; b\nrm\nE\nc"),
            some(&[("cat", true), ("b", false), ("c", false)])
        );
        assert_eq!(cut("cat <<'E'\n$(rm)\nE"), some(&[("cat", false)]));
        assert_eq!(cut("cat <<<word"), some(&[("cat_word", false)]));
        // Text with code, and unterminated text.
        assert_eq!(cut("cat <<E\n$(rm)\nE"), None);
        assert_eq!(cut("cat <<E\nrm"), None);
        assert_eq!(cut("cat <<E"), None);
        assert_eq!(cut("a 'b"), None);
        let held = commands("echo \"$(rm -rf /)\" `id`").unwrap();
        assert_eq!(held[0].holds, ["rm -rf /", "id"]);
    }
}
