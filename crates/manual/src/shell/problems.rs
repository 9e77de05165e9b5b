//! Problems of one script: its syntax, bash commands in a script for `sh`, and commands that need a
//! person.

use std::ops::Range;

use crate::shell::person::{self, As};
use crate::shell::placeholder::without_undeclared;
use crate::shell::scan::{Scan, scan};
use crate::shell::script::is_shell;
use crate::shell::syntax;
use crate::source::{Passage, Problem};
use crate::{Command, Script};

/// Checks a script, or each command of a transcript.
pub(crate) fn check(script: &Script, who: As, problems: &mut Vec<Problem>) {
    if !is_shell(&script.interpreter) {
        return;
    }
    if script.commands.is_empty() {
        let whole = (&script.text, false);
        look(whole, &script.interpreter, who, problems);
    }
    for Command { text, .. } in &script.commands {
        look((text, true), &script.interpreter, who, problems);
    }
}

/// Checks one text, which may be a command of a transcript.
fn look(
    (text, in_transcript): (&Passage, bool),
    interpreter: &str,
    who: As,
    problems: &mut Vec<Problem>,
) {
    let scan = scan(&text.text);
    if syntax::is_too_deep(&text.text, &scan) {
        let line = text.text.lines().next().map_or(0, str::len);
        let message = "this script is nested too deeply: opsbook cannot check it";
        problems.push(Problem::warning(
            "shell-syntax",
            text.span(0..line),
            message,
        ));
        return;
    }
    let sh = matches!(interpreter, "sh" | "dash");
    let mut masked = without_undeclared(&text.text, &scan);
    for word in selects(&text.text, &scan).filter(|_| !sh) {
        // The parser does not know `select`; its syntax is that of `for`.
        let readable = masked.get_or_insert_with(|| text.text.to_string());
        readable.replace_range(word.clone(), "for   ");
        problems.push(person::select(text.span(word)));
    }
    let readable = masked.as_deref().unwrap_or(&text.text);
    match syntax::understand(readable, sh) {
        Ok(commands) => {
            problems.extend(sh.then(|| of_bash(text, &scan)).flatten());
            problems.extend(scan.unclosed.iter().map(|at| {
                let message = "this backquote is not closed in its here-document";
                // bash complains, and continues without the text.
                Problem::warning("shell-syntax", text.span(*at..*at + 1), message)
                    .hint("write \\` for a literal one, or quote the word behind `<<`")
            }));
            person::check(text, &commands, who, problems);
        }
        Err(error) => {
            let problem = error.problem(text, interpreter);
            problems.push(if sh && syntax::understand(readable, false).is_ok() {
                problem.hint("bash does: if the node has it, name `bash` as the language")
            } else if in_transcript && error.is_unfinished() {
                problem.hint("in a transcript, a line that continues a command begins with `> `")
            } else {
                problem
            });
        }
    }
}

/// Bash commands that a plain shell does not have.
const OF_BASH: [&str; 10] = [
    "[[",
    "function",
    "source",
    "declare",
    "pushd",
    "popd",
    "shopt",
    "mapfile",
    "readarray",
    "let",
];

/// Words that may stand before a command.
const RESERVED: [&str; 11] = [
    "if", "then", "else", "elif", "while", "until", "do", "{", "!", "time", "(",
];

fn of_bash(text: &Passage, scan: &Scan) -> Option<Problem> {
    let command = |words: &Vec<Range<usize>>| {
        let word = |word: &&Range<usize>| !RESERVED.contains(&&text.text[(*word).clone()]);
        words.iter().find(word).cloned()
    };
    let found = scan.commands.iter().filter_map(command);
    let word = found
        .into_iter()
        .find(|word| OF_BASH.contains(&&text.text[word.clone()]))?;
    let message = format!(
        "`{}` is a feature of bash: not every `sh` has it",
        &text.text[word.clone()]
    );
    Some(
        Problem::warning("bash-in-sh", text.span(word), message)
            .hint("if the node has bash, name `bash` as the language"),
    )
}

/// The places where a command begins with `select`.
fn selects<'a>(text: &'a str, scan: &'a Scan) -> impl Iterator<Item = Range<usize>> + 'a {
    let command = |words: &&Vec<Range<usize>>| {
        let word = |word: &&Range<usize>| !RESERVED.contains(&&text[(*word).clone()]);
        words.iter().find(word).cloned()
    };
    let found = scan
        .commands
        .iter()
        .filter_map(move |words| command(&words));
    found.filter(|word| &text[word.clone()] == "select")
}
