//! The keys that answer a question, and their effects.

use crate::engine::Answer;

/// One key of a question.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub key: char,
    /// The answer as a word: `yes`.
    word: &'static str,
    /// Its label in the question: `[y]es`. Empty for keys that are only explained.
    label: &'static str,
    means: &'static str,
    pub does: Does,
}

#[derive(Clone, Debug)]
pub(crate) enum Does {
    Answer(Answer),
    /// Yes, also to all later questions of this kind on this node.
    Onward,
    /// The same on every node.
    OnwardEverywhere,
    /// After Ctrl-C: asks about each node.
    Each,
    /// Shows the subject of the question again.
    View,
    Output,
    Shell,
    Explain,
}

const fn key(
    key: char,
    word: &'static str,
    label: &'static str,
    means: &'static str,
    does: Does,
) -> Key {
    Key {
        key,
        word,
        label,
        means,
        does,
    }
}

const fn answer(
    key: char,
    word: &'static str,
    label: &'static str,
    means: &'static str,
    answer: Answer,
) -> Key {
    self::key(key, word, label, means, Does::Answer(answer))
}

const YES: Key = key('y', "yes", "[y]es", "go on", Does::Answer(Answer::Yes));
const NO: Key = key(
    'n',
    "no",
    "[n]o",
    "stop here; `opsbook resume` continues later",
    Does::Answer(Answer::No),
);
const VIEW: Key = key(
    'v',
    "view",
    "[v]iew again",
    "show again what this is about",
    Does::View,
);
const EXPLAIN: Key = key('?', "help", "[?]", "explain these keys", Does::Explain);
const EVERYWHERE: Key = key(
    'a',
    "all",
    "on [a]ll nodes",
    "the same as `c`, on every node of this run",
    Does::OnwardEverywhere,
);

/// Before a step with `confirm`, or the first step of a node; `several` nodes in the run.
pub(crate) fn confirm(several: bool) -> Vec<Key> {
    let onward = key(
        'c',
        "continue",
        "[c]ontinue without asking",
        "yes, also to all later confirmations on this node",
        Does::Onward,
    );
    let mut keys = vec![YES, NO, onward];
    keys.extend(several.then_some(EVERYWHERE));
    keys.extend([VIEW, EXPLAIN]);
    keys
}

/// Before a run on several nodes; before a lock is released.
pub(crate) fn yes_or_no() -> Vec<Key> {
    let no = key(
        'n',
        "no",
        "[n]o",
        "change nothing",
        Does::Answer(Answer::No),
    );
    vec![YES, no, VIEW, EXPLAIN]
}

/// A step done by a person.
pub(crate) fn done() -> Vec<Key> {
    let yes = Key {
        means: "it is done: continue",
        ..YES
    };
    vec![yes, NO, VIEW, EXPLAIN]
}

/// Before each step with `--step`.
pub(crate) fn menu(several: bool) -> Vec<Key> {
    let mut keys = vec![
        answer('r', "run", "[r]un", "run this step", Answer::Yes),
        answer(
            's',
            "skip",
            "[s]kip",
            "skip this step, with a note",
            Answer::Skip,
        ),
        answer(
            'b',
            "by hand",
            "[b]y hand",
            "you do this step yourself, with a note; its checks run afterwards",
            Answer::ByHand,
        ),
        key(
            'c',
            "continue",
            "[c]ontinue without asking",
            "run this step and all later ones on this node; confirmations are still asked",
            Does::Onward,
        ),
    ];
    keys.extend(several.then_some(EVERYWHERE));
    keys.extend([
        VIEW,
        key(
            'o',
            "output",
            "[o]utput so far",
            "show what the steps have printed on this node",
            Does::Output,
        ),
        key(
            '!',
            "shell",
            "[!] shell",
            "a shell in the bundle, with the run's variables; `exit` returns here",
            Does::Shell,
        ),
        EXPLAIN,
        answer(
            'q',
            "quit",
            "[q]uit",
            "stop here; `opsbook resume` continues later",
            Answer::Quit,
        ),
    ]);
    keys
}

/// Before running a step again that may have succeeded.
pub(crate) fn again() -> Vec<Key> {
    vec![
        answer(
            'a',
            "again",
            "run it [a]gain",
            "run it from its beginning",
            Answer::Yes,
        ),
        answer(
            'd',
            "done",
            "it is [d]one",
            "you looked, and it is done: continue after it",
            Answer::ByHand,
        ),
        Key { label: "", ..VIEW },
        Key {
            label: "",
            ..EXPLAIN
        },
        answer(
            'q',
            "quit",
            "[q]uit",
            "stop here; `opsbook resume` asks again",
            Answer::Quit,
        ),
    ]
}

/// Ctrl-C during one step.
pub(crate) fn interrupted() -> Vec<Key> {
    vec![
        answer(
            's',
            "stop",
            "[s]top it",
            "send TERM, then KILL after ten seconds, to everything that the step started",
            Answer::Stop,
        ),
        answer(
            'l',
            "leave",
            "[l]eave it running and go",
            "opsbook ends, the step continues without it; `opsbook resume` reads its result",
            Answer::Leave,
        ),
        answer(
            'h',
            "hold",
            "[h]old after it",
            "let it finish, with its checks, and stop before the next step",
            Answer::Hold,
        ),
        Key { label: "", ..VIEW },
        Key {
            label: "",
            ..EXPLAIN
        },
    ]
}

/// Ctrl-C during steps on several nodes.
pub(crate) fn all_interrupted() -> Vec<Key> {
    let labels = [
        "[s]top all",
        "[l]eave all running and go",
        "[h]old after them",
    ];
    let mut keys = interrupted();
    for (key, label) in keys.iter_mut().zip(labels) {
        key.label = label;
    }
    let each = key(
        'e',
        "each",
        "ask about [e]ach",
        "ask this for each node separately",
        Does::Each,
    );
    keys.insert(labels.len(), each);
    keys
}

/// The keys at the end of a question.
pub(crate) fn line(keys: &[Key]) -> String {
    let labels = keys.iter().map(|key| key.label);
    let labels: Vec<&str> = labels.filter(|label| !label.is_empty()).collect();
    labels.join(", ")
}

/// The explanation for `?`, and for an invalid answer.
pub(crate) fn explained(keys: &[Key]) -> String {
    keys.iter()
        .map(|key| format!("  {}  {}\n", key.key, key.means))
        .collect()
}

/// The key for an input: the key itself, or its word. Everything else is invalid.
pub(crate) fn meant<'k>(keys: &'k [Key], line: &str) -> Option<&'k Key> {
    let line = line.trim().to_lowercase();
    keys.iter()
        .find(|key| line == key.word || line.chars().eq([key.key]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_or_its_word_answers_and_nothing_else_does() {
        let keys = menu(true);
        for (line, key) in [
            ("r", Some('r')),
            (" R ", Some('r')),
            ("run", Some('r')),
            ("by hand", Some('b')),
            ("!", Some('!')),
            ("?", Some('?')),
            ("", None),
            ("rm", None),
            ("y", None),
        ] {
            assert_eq!(meant(&keys, line).map(|key| key.key), key, "{line:?}");
        }
    }

    #[test]
    fn each_key_of_a_question_is_another() {
        for keys in [
            confirm(true),
            yes_or_no(),
            done(),
            menu(true),
            again(),
            interrupted(),
            all_interrupted(),
        ] {
            let mut all: Vec<char> = keys.iter().map(|key| key.key).collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), keys.len(), "{keys:?}");
            assert_eq!(explained(&keys).lines().count(), keys.len());
        }
    }
}
