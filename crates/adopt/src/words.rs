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
                let inner: String = letters
                    .by_ref()
                    .take_while(|letter| *letter != '`')
                    .collect();
                reader.hold(inner);
            }
            '$' if letters.peek() == Some(&'(') => {
                letters.next();
                let inner = bracket(&mut letters)?;
                reader.hold(inner);
            }
            '#' if !reader.begun => while letters.next_if(|letter| *letter != '\n').is_some() {},
            ' ' | '\t' => reader.end_word(),
            '\n' | ';' | '|' => reader.end_command(),
            '&' => {
                // `2>&1` and `&>` are redirections; `&` and `&&` end a command.
                if letters.next_if_eq(&'>').is_some() {
                    reader.redirect(&mut letters)?;
                } else {
                    reader.end_command();
                }
            }
            '>' => reader.redirect(&mut letters)?,
            '<' => {
                // A here-document has lines that are no commands.
                if letters.peek() == Some(&'<') {
                    return None;
                }
                if letters.peek() == Some(&'(') {
                    letters.next();
                    let inner = bracket(&mut letters)?;
                    reader.hold(inner);
                }
                reader.end_word();
            }
            // Groups, functions and subshells: their commands are read as if they stood alone.
            '(' | ')' => reader.end_command(),
            other => reader.push(other),
        }
    }
    reader.end_command();
    Some(reader.commands)
}

#[derive(Default)]
struct Reader {
    commands: Vec<Command>,
    command: Command,
    word: String,
    begun: bool,
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
                    let inner: String = letters
                        .by_ref()
                        .take_while(|letter| *letter != '`')
                        .collect();
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
        if command != Command::default() {
            self.commands.push(command);
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
        assert_eq!(cut("cat <<E\nrm\nE"), None);
        assert_eq!(cut("a 'b"), None);
        let held = commands("echo \"$(rm -rf /)\" `id`").unwrap();
        assert_eq!(held[0].holds, ["rm -rf /", "id"]);
    }
}
