//! Turns the text of a block into a script: a plain script or a transcript. The prompt decides
//! which, not the language.

use crate::shell::placeholder::Placeholders;
use crate::shell::scan::{Context, scan};
use crate::source::{Passage, Problem};
use crate::{Command, Expect, ExpectKind, Script};

/// Languages of data or prose, which never run.
const NOT_RUN: [&str; 53] = [
    "yaml",
    "yml",
    "json",
    "toml",
    "ini",
    "conf",
    "cfg",
    "text",
    "txt",
    "plaintext",
    "markdown",
    "md",
    "nginx",
    "apache",
    "html",
    "xml",
    "css",
    "diff",
    "patch",
    "promql",
    "sql",
    "postgresql",
    "mysql",
    "dockerfile",
    "makefile",
    "hcl",
    "terraform",
    "systemd",
    "properties",
    "csv",
    "log",
    "mermaid",
    "http",
    "rust",
    "go",
    "java",
    "nix",
    "c",
    // Commands that do not take a script file as their first argument.
    "awk",
    "gawk",
    "mawk",
    "nawk",
    "sed",
    "jq",
    "yq",
    "psql",
    "sqlite",
    "sqlite3",
    "make",
    "docker",
    "vim",
    "gdb",
    "regex",
];

/// The interpreter of a language, if its blocks can run.
pub(crate) fn interpreter(language: &str) -> Option<&str> {
    Some(match language {
        "" | "sh" | "shell" | "console" | "shell-session" | "shellsession" | "shellscript"
        | "sh-session" | "no-highlight" | "nohighlight" | "posix" | "terminal" => "sh",
        "bash" | "zsh" | "dash" | "ksh" => language,
        "python" | "python3" | "py" => "python3",
        "js" | "javascript" => "node",
        "rb" => "ruby",
        "pl" => "perl",
        other if NOT_RUN.contains(&other) || !is_command(other) => return None,
        other => other,
    })
}

/// Whether the interpreter is a shell that opsbook can analyse.
#[must_use]
pub fn is_shell(interpreter: &str) -> bool {
    matches!(interpreter, "sh" | "bash" | "dash" | "ksh" | "zsh")
}

fn is_command(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
}

/// The script of a block, with the author's placeholders replaced.
pub(crate) fn script(
    interpreter: &str,
    text: &Passage,
    placeholders: &Placeholders,
    problems: &mut Vec<Problem>,
) -> Script {
    let plain = |text| Script {
        interpreter: interpreter.to_owned(),
        text,
        commands: Vec::new(),
        defined: Vec::new(),
    };
    if !is_shell(interpreter) {
        session(text, interpreter, problems);
        placeholders.refuse(text, interpreter, problems);
        return plain(text.clone());
    }
    if !is_transcript(&text.text) {
        prompts(text, problems);
        return plain(placeholders.in_shell(text, problems));
    }
    let mut commands = transcript(text, problems);
    for command in &mut commands {
        command.text = placeholders.in_shell(&command.text, problems);
        if let Some(expect) = &mut command.expect {
            expect.text = placeholders.in_text(&expect.text);
        }
    }
    let mut all = Passage::default();
    for command in &commands {
        all.push_from(&command.text, 0..command.text.text.len());
    }
    Script {
        interpreter: interpreter.to_owned(),
        text: all,
        commands,
        defined: Vec::new(),
    }
}

/// Reports interactive sessions of other interpreters, which are not scripts.
fn session(text: &Passage, interpreter: &str, problems: &mut Vec<Problem>) {
    let prompts = ["$ ", ">>> ", "irb> "];
    let first = text.text.lines().find(|line| !line.trim().is_empty());
    let Some((line, prompt)) = first.and_then(|line| {
        let prompt = prompts
            .into_iter()
            .find(|prompt| line.starts_with(prompt))?;
        Some((line, prompt))
    }) else {
        return;
    };
    let at = text.text.find(line).unwrap_or_default();
    problems.push(
        Problem::error(
            "prompt-in-script",
            text.span(at..at + prompt.trim_end().len()),
            format!("a prompt in a script for `{interpreter}`"),
        )
        .hint("only `sh` and `console` blocks can be transcripts (commands after `$ `)"),
    );
}

/// Reports prompts in a plain script, which would run a command named `$`; in here-documents and
/// quotes they are text.
fn prompts(text: &Passage, problems: &mut Vec<Problem>) {
    if memchr::memmem::find(text.text.as_bytes(), b"\n$ ").is_none() {
        return;
    }
    let scan = scan(&text.text);
    let prompt = text
        .text
        .match_indices("\n$ ")
        .map(|(at, _)| at + 1)
        .find(|at| scan.context(*at) == Context::Plain);
    if let Some(at) = prompt {
        problems.push(
            Problem::error(
                "prompt-in-script",
                text.span(at..at + 1),
                "this block has a prompt, but does not begin with one",
            )
            .hint("a transcript has `$ ` before its first command; a script has no prompts"),
        );
    }
}

/// A block whose first line, apart from blank lines and titles, begins with `$ `.
fn is_transcript(text: &str) -> bool {
    text.lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .is_some_and(|line| line.starts_with("$ "))
}

/// Reads the commands of a transcript, each with the output below it.
fn transcript(text: &Passage, problems: &mut Vec<Problem>) -> Vec<Command> {
    let mut reader = Transcript {
        text,
        commands: Vec::new(),
        title: None,
        output: 0..0,
        continues: false,
    };
    let mut at = 0;
    for line in text.text.split_inclusive('\n') {
        reader.line(line, at, problems);
        at += line.len();
    }
    if reader.continues {
        let last = text.text.trim_end();
        let start = last.rfind('\n').map_or(0, |at| at + 1);
        problems.push(Problem::error(
            "transcript",
            text.span(start..last.len()),
            "the command continues on the next line, but there is none",
        ));
    }
    reader.finish(problems);
    if let Some(title) = reader.title.filter(|title| !title.reported) {
        let message = "this line is a title, but no command follows it";
        problems.push(Problem::warning("transcript", text.span(title.range), message).hint(TITLES));
    }
    reader.commands
}

const TITLES: &str = "output ends at the next `# `; if a command prints such lines, write an \
    `expect` block";

struct Transcript<'a> {
    text: &'a Passage,
    commands: Vec<Command>,
    title: Option<Title>,
    /// The output of the last command so far, as a range of the block.
    output: std::ops::Range<usize>,
    /// The last command line ended with a backslash.
    continues: bool,
}

/// A `# ` line before its command.
struct Title {
    range: std::ops::Range<usize>,
    text: String,
    /// A different line than a command followed it.
    reported: bool,
}

impl Transcript<'_> {
    fn line(&mut self, line: &str, at: usize, problems: &mut Vec<Problem>) {
        let bare = line.trim_end_matches(['\n', '\r']);
        let no_output = self.output.is_empty();
        if self.continues {
            let prompt = if bare.starts_with("> ") { 2 } else { 0 };
            self.extend(at + prompt..at + line.len());
        } else if let Some(command) = bare.strip_prefix("$ ") {
            self.finish(problems);
            self.commands.push(Command {
                title: self.title.take().map(|title| title.text),
                text: self.text.slice(at + 2..at + line.len()),
                expect: None,
                exit: 0,
            });
            self.terminate();
            self.output = at + line.len()..at + line.len();
            self.continues = ends_open(command);
        } else if no_output && !self.commands.is_empty() && is_continuation(bare) {
            let prompt = bare.len().min(2);
            self.extend(at + prompt..at + line.len());
        } else if let Some(title) = bare.strip_prefix("# ") {
            self.finish(problems);
            self.title = Some(Title {
                range: at..at + bare.len(),
                text: title.trim().to_owned(),
                reported: false,
            });
            self.output = at + line.len()..at + line.len();
        } else if let Some(title) = self.title.as_mut().filter(|_| !bare.trim().is_empty()) {
            if !std::mem::replace(&mut title.reported, true) {
                let place = self.text.span(at..at + bare.len());
                problems.push(
                    Problem::error("transcript", place, "output without a command above it")
                        .note(self.text.span(title.range.clone()), "this line is a title")
                        .hint(TITLES),
                );
            }
        } else {
            self.output.end = at + line.len();
        }
    }

    fn extend(&mut self, range: std::ops::Range<usize>) {
        let end = range.end;
        self.continues = ends_open(self.text.text[range.clone()].trim_end_matches(['\n', '\r']));
        if let Some(command) = self.commands.last_mut() {
            command.text.push_from(self.text, range);
        }
        self.terminate();
        self.output = end..end;
    }

    /// Ends each command with a line end, also the last one of an included file.
    fn terminate(&mut self) {
        if let Some(command) = self.commands.last_mut()
            && !command.text.text.ends_with('\n')
        {
            let length = command.text.text.len();
            let end = command.text.span(length..length);
            command.text.push("\n", &end.source, end.start as usize);
        }
    }

    /// Makes the output so far the expectation of the last command.
    fn finish(&mut self, problems: &mut Vec<Problem>) {
        let range = std::mem::take(&mut self.output);
        let Some(command) = self.commands.last_mut().filter(|_| !range.is_empty()) else {
            return;
        };
        let output = &self.text.text[range.clone()];
        let mut end = range.start + output.trim_end().len();
        let last = output.trim_end().lines().last().unwrap_or_default();
        if let Some(status) = last.strip_prefix("exit ") {
            let place = end - last.len()..end;
            if let Ok(status) = status.trim().parse::<u8>() {
                command.exit = i32::from(status);
            } else {
                problems.push(Problem::error(
                    "transcript",
                    self.text.span(place.clone()),
                    format!("`{}` is not an exit status from 0 to 255", status.trim()),
                ));
            }
            end = range.start + self.text.text[range.start..place.start].trim_end().len();
        }
        let text = &self.text.text[range.start..end];
        if !text.trim().is_empty() {
            let lead = text.len() - text.trim_start_matches(['\n', '\r']).len();
            let passage = self.text.slice(range.start + lead..end);
            command.expect = Some(Expect {
                span: passage.span(0..passage.text.lines().next().map_or(0, str::len)),
                kind: ExpectKind::Text,
                text: passage,
            });
        }
    }
}

/// `> ` after a command continues it, as in an interactive shell.
fn is_continuation(line: &str) -> bool {
    line == ">" || line.starts_with("> ")
}

/// Whether the line ends with an unescaped backslash.
fn ends_open(line: &str) -> bool {
    let slashes = line.bytes().rev().take_while(|b| *b == b'\\').count();
    slashes % 2 == 1
}
