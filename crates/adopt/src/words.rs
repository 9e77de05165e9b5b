//! A script cut into its simple commands: at `;`, `|`, `&&`, `||`, `&` and line ends outside
//! quotes. What cannot be cut is said to be so; whoever judges takes that for a change.

/// One simple command.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Its words, without their quotes.
    pub words: Vec<String>,
    /// It writes into a file.
    pub writes: bool,
    /// A word holds another command: `$(…)`, backquotes.
    pub holds: Vec<String>,
    /// It is left to itself with `&`.
    pub background: bool,
    /// It gets its input from a pipe or a here-document.
    pub fed: bool,
}

/// The commands of a script; none where it cannot be cut with certainty.
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
            // `$'…'` has escapes that end a quote somewhere else.
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
                    // `<<<` has a word, as any redirection; `<<` has lines that are no commands.
                    if letters.next_if_eq(&'<').is_none() {
                        reader.begin_document(&mut letters)?;
                    }
                } else if letters.next_if_eq(&'(').is_some() {
                    let inner = bracket(&mut letters)?;
                    reader.hold(inner);
                    reader.end_word();
                }
            }
            // Groups, functions and subshells: their commands are read as if they stood alone.
            '(' | ')' => reader.end_command(),
            other => reader.push(other),
        }
    }
    reader.end_command();
    reader.documents.is_empty().then_some(reader.commands)
}

/// A here-document that is announced: what ends it, and whether its text is read by the shell.
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
        // What it gives is not known.
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

    /// Behind `<<`: the word that will end the text.
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

    /// At a line's end: the texts of the documents that it announced. Commands within are not
    /// looked for, so a text that has some cannot be cut.
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

    /// Behind `>`: into the terminal, nowhere, or into a file.
    fn redirect(&mut self, letters: &mut Letters<'_>) -> Option<()> {
        // `2>`: the number is no word.
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
        // What has no word, and writes nothing, is no command, though a pipe may lead to it.
        if !command.words.is_empty() || command.writes || !command.holds.is_empty() {
            self.commands.push(command);
        } else {
            self.command.fed = command.fed;
        }
    }
}

/// Up to the next backquote. With escapes there may be others within: that is not cut.
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

/// Up to the bracket that closes; quotes within are passed over.
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
        // Text that is run, and text that does not end.
        assert_eq!(cut("cat <<E\n$(rm)\nE"), None);
        assert_eq!(cut("cat <<E\nrm"), None);
        assert_eq!(cut("cat <<E"), None);
        assert_eq!(cut("a 'b"), None);
        let held = commands("echo \"$(rm -rf /)\" `id`").unwrap();
        assert_eq!(held[0].holds, ["rm -rf /", "id"]);
    }
}
