//! The words on a fence: `LANG ROLE (WORD | KEY=TOKEN)*`, on the fence itself or in the comment
//! before it. Decides which fences belong to opsbook and which are prose; does not interpret the
//! attributes.

use std::ops::Range;

use crate::Kind;
use crate::source::{Passage, Problem};

/// The contents of an opening fence.
#[derive(Debug, Default)]
pub(crate) struct Info<'t> {
    /// First word, lower case, without what follows a comma.
    pub language: String,
    pub meaning: Meaning<'t>,
}

/// The meaning of a fence.
#[derive(Debug, Default)]
pub(crate) enum Meaning<'t> {
    #[default]
    Prose,
    Tagged(Tag<'t>),
    /// The author meant a kind; the error has been reported.
    Broken,
}

/// A kind and its words.
#[derive(Debug)]
pub(crate) struct Tag<'t> {
    pub kind: Kind,
    /// Where the kind is written, in the page's text.
    pub range: Range<usize>,
    pub words: Vec<Word<'t>>,
    /// The kind is misspelt, which has been reported. The block is read as the kind that was meant,
    /// so that no further errors follow.
    pub guessed: bool,
}

/// `confirm` or `timeout=5m`.
#[derive(Debug)]
pub(crate) struct Word<'t> {
    pub key: &'t str,
    pub value: Option<&'t str>,
    pub range: Range<usize>,
}

const KINDS: [(&str, Kind); 10] = [
    ("procedure", Kind::Procedure),
    ("checks", Kind::Checks),
    ("step", Kind::Step),
    ("check", Kind::Check),
    ("expect", Kind::Expect),
    ("deliver", Kind::Deliver),
    ("file", Kind::File),
    ("manual", Kind::Manual),
    ("each", Kind::Each),
    ("example", Kind::Example),
];

/// Attributes that only opsbook uses after a language. With one of them, an unknown word before it
/// is an error.
const OURS: [&str; 17] = [
    "id",
    "on",
    "sudo",
    "timeout",
    "confirm",
    "capture",
    "exit",
    "reboot",
    "setup",
    "eventually",
    "always",
    "nodes",
    "regex",
    "as",
    "mode",
    "defined",
    "allow",
];

/// Words with a meaning to the book renderer.
const RENDERER: [&str; 15] = [
    "ignore",
    "editable",
    "hidelines",
    "no_run",
    "should_panic",
    "noplayground",
    "noplaypen",
    "boring",
    "mdbook-runnable",
    "compile_fail",
    "hidden",
    "edition2015",
    "edition2018",
    "edition2021",
    "edition2024",
];

impl Kind {
    /// The word on the fence.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    pub(crate) fn named(name: &str) -> Option<Kind> {
        KINDS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
    }
}

/// Reads the info string at `range` of the page.
pub(crate) fn read_info<'t>(
    page: &'t Passage,
    range: Range<usize>,
    problems: &mut Vec<Problem>,
) -> Info<'t> {
    if page.text[range.clone()].trim_start().starts_with('{') {
        // `{.bash .numbers}`: attributes of other tools, without a language.
        let mut words = words(&page.text, range);
        let bare = |word: &Range<usize>| page.text[word.clone()].trim_matches(['{', '}']);
        let Some(kind) = words.find(|word| Kind::named(bare(word)).is_some()) else {
            return Info::default();
        };
        let message = format!("the kind `{}` is in braces", bare(&kind));
        problems.push(
            Problem::error("joined-role", page.span(kind), message)
                .hint("write language and kind without braces: `sh step id=NAME`"),
        );
        return Info {
            language: String::new(),
            meaning: Meaning::Broken,
        };
    }
    if let Some(problem) = other_space(page, range.clone()) {
        problems.push(problem);
        return Info {
            language: String::new(),
            meaning: Meaning::Broken,
        };
    }
    let mut words = words(&page.text, range);
    let Some(first) = words.next() else {
        return Info::default();
    };
    let text = &page.text[first.clone()];
    let Some((problem, language, kind)) = misplaced_kind(page, first.clone(), words.clone().next())
    else {
        return Info {
            language: language(text),
            meaning: read_words(page, words, problems),
        };
    };
    problems.push(problem);
    Info {
        language: language.to_ascii_lowercase(),
        meaning: Meaning::Tagged(guessed(page, kind, first, words, problems)),
    }
}

/// A space that Markdown does not treat as one, between words with a kind.
fn other_space(page: &Passage, range: Range<usize>) -> Option<Problem> {
    let info = &page.text[range.clone()];
    let other = |c: char| c.is_whitespace() && !c.is_ascii();
    let at = info.find(other)?;
    let kind = info
        .split(char::is_whitespace)
        .skip(1)
        .find_map(Kind::named)?;
    let at = range.start + at;
    let c = page.text[at..].chars().next()?;
    let message = format!(
        "an unusual space character (U+{:04X}) on the fence of a `{}`",
        u32::from(c),
        kind.name()
    );
    let span = page.span(at..at + c.len_utf8());
    Some(Problem::error("other-space", span, message).hint("replace it by a plain space"))
}

/// Reads the words of a comment; `range` is the text after `opsbook:`.
pub(crate) fn read_comment<'t>(
    page: &'t Passage,
    range: Range<usize>,
    problems: &mut Vec<Problem>,
) -> Meaning<'t> {
    let mut words = words(&page.text, range.clone());
    let Some(first) = words.next() else {
        problems.push(Problem::error(
            "unknown-kind",
            page.span(range),
            "a comment for opsbook without a kind",
        ));
        return Meaning::Broken;
    };
    match Kind::named(&page.text[first.clone()]) {
        Some(kind) => Meaning::Tagged(tag(page, kind, first, words, problems)),
        None => unknown(page, first, words, problems),
    }
}

/// Splits a word: `timeout=5m` into `timeout` and `5m`.
fn split(word: &str) -> (&str, Option<&str>) {
    match word.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (word, None),
    }
}

/// A kind in the place of the language, or joined to it by a comma. Returns also the language and
/// the kind that were meant.
fn misplaced_kind(
    page: &Passage,
    first: Range<usize>,
    next: Option<Range<usize>>,
) -> Option<(Problem, &str, Kind)> {
    let text = &page.text[first.clone()];
    if let Some(kind) = Kind::named(text) {
        let kind_follows = next
            .as_ref()
            .is_some_and(|word| Kind::named(&page.text[word.clone()]).is_some());
        let alone = matches!(kind, Kind::Example | Kind::Each) && next.is_none();
        if kind_follows || alone {
            return None;
        }
        let message = format!("`{text}` is in the place of the language");
        let problem = Problem::error("role-without-language", page.span(first), message)
            .hint(format!("write the language first: `sh {text}`"));
        return Some((problem, "", kind));
    }
    let (language, joined) = text.split_once([',', '{', '#', ':'])?;
    let kind = joined.split(',').find_map(Kind::named)?;
    let name = kind.name();
    let message = format!("`{name}` is joined to the language");
    let problem = Problem::error("joined-role", page.span(first), message)
        .hint(format!("separate them by a space: `{language} {name}`"));
    Some((problem, language, kind))
}

fn read_words<'t>(
    page: &'t Passage,
    mut words: impl Iterator<Item = Range<usize>> + Clone,
    problems: &mut Vec<Problem>,
) -> Meaning<'t> {
    let Some(word) = words.find(|word| !is_renderers(&page.text[word.clone()])) else {
        return Meaning::Prose;
    };
    if let Some(kind) = Kind::named(&page.text[word.clone()]) {
        return Meaning::Tagged(tag(page, kind, word, words, problems));
    }
    let text = &page.text[word.clone()];
    if let Some(problem) = ill_formed(page, &word) {
        problems.push(problem);
        return Meaning::Broken;
    }
    let meant = near_kind(text).is_some()
        || words.clone().any(|word| {
            let word = &page.text[word];
            is_ours(word) || Kind::named(word).is_some()
        });
    if meant {
        return unknown(page, word, words, problems);
    }
    problems.push(Problem::warning(
        "foreign-word",
        page.span(word),
        format!("`{text}` is not a kind of block that opsbook knows: it treats this block as text"),
    ));
    Meaning::Prose
}

/// An attribute in the place of the kind, or a kind joined to its attributes.
fn ill_formed(page: &Passage, word: &Range<usize>) -> Option<Problem> {
    let text = &page.text[word.clone()];
    if is_ours(text) {
        return Some(Problem::error(
            "attribute-without-role",
            page.span(word.clone()),
            format!("attribute `{}` without a kind before it", split(text).0),
        ));
    }
    let (first, more) = text.split_once([',', ';', ':', '{', '[', '('])?;
    Kind::named(first)?;
    let more = more.replace([',', ';', '}', ']', ')'], " ");
    let message = format!("`{first}` is joined to what follows it");
    Some(
        Problem::error("joined-role", page.span(word.clone()), message).hint(format!(
            "separate words by spaces: `{first} {}`",
            more.trim()
        )),
    )
}

/// An unknown word in the place of a kind.
fn unknown<'t>(
    page: &'t Passage,
    word: Range<usize>,
    rest: impl Iterator<Item = Range<usize>>,
    problems: &mut Vec<Problem>,
) -> Meaning<'t> {
    let near = near_kind(&page.text[word.clone()]).and_then(Kind::named);
    problems.push(unknown_kind(page, word.clone()));
    match near {
        Some(kind) => Meaning::Tagged(guessed(page, kind, word, rest, problems)),
        None => Meaning::Broken,
    }
}

fn unknown_kind(page: &Passage, word: Range<usize>) -> Problem {
    let text = &page.text[word.clone()];
    let problem = Problem::error(
        "unknown-kind",
        page.span(word),
        format!("unknown kind `{text}`"),
    );
    if let Some(kind) = near_kind(text) {
        return problem.hint(format!("did you mean `{kind}`?"));
    }
    let kinds = KINDS.map(|(name, _)| format!("`{name}`")).join(", ");
    problem.hint(format!("kinds are {kinds}"))
}

/// Stricter than `nearest`: `site`, `text` and `fish` are not misspelt kinds.
fn near_kind(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let allowed = if word.len() >= 6 { 2 } else { 1 };
    // `each` is too similar to other words.
    KINDS
        .iter()
        .filter(|(_, kind)| *kind != Kind::Each)
        .map(|(name, _)| (strsim::damerau_levenshtein(&word, name), *name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

fn guessed<'t>(
    page: &'t Passage,
    kind: Kind,
    range: Range<usize>,
    rest: impl Iterator<Item = Range<usize>>,
    problems: &mut Vec<Problem>,
) -> Tag<'t> {
    Tag {
        guessed: true,
        ..tag(page, kind, range, rest, problems)
    }
}

fn tag<'t>(
    page: &'t Passage,
    kind: Kind,
    range: Range<usize>,
    rest: impl Iterator<Item = Range<usize>>,
    problems: &mut Vec<Problem>,
) -> Tag<'t> {
    let mut words = Vec::new();
    let mut rest = rest.peekable();
    while let Some(mut word) = rest.next() {
        let begins = |word: &Range<usize>| page.text[word.clone()].starts_with('=');
        let ends = |word: &Range<usize>| page.text[word.clone()].ends_with('=');
        let start = word.end;
        while let Some(next) = rest.next_if(|next| begins(next) || ends(&word)) {
            word.end = next.end;
        }
        let text = &page.text[word.clone()];
        if word.end > start {
            problems.push(spaced(page, word));
            continue;
        }
        if is_renderers(text) {
            continue;
        }
        let (key, value) = split(text);
        if value == Some("") && !key.is_empty() {
            let message = format!("`{key}` needs a value: `{key}=…`");
            problems.push(Problem::error("bad-attribute", page.span(word), message));
            continue;
        }
        if value.is_some_and(|value| !is_token(value)) {
            problems.push(
                Problem::error(
                    "not-a-token",
                    page.span(word.end - value.unwrap_or_default().len()..word.end),
                    format!("this value of `{key}` is not possible on a fence"),
                )
                .hint(how_to_write(key, value.unwrap_or_default())),
            );
            continue;
        }
        words.push(Word {
            key,
            value,
            range: word,
        });
    }
    Tag {
        kind,
        range,
        words,
        guessed: false,
    }
}

/// How to write an invalid value.
fn how_to_write(key: &str, value: &str) -> String {
    let bare = value.trim_matches(['"', '\'']);
    if bare != value && is_token(bare) {
        return format!("write `{key}={bare}`, without quotes");
    }
    let token = "a value is letters, digits and `._:/@%,+-`";
    match key {
        "id" => "an id is letters, digits, `_` and `-`, in parts joined by dots".to_owned(),
        "nodes" => format!("{token}; write other values in a contract"),
        _ => format!("{token}, without spaces and quotes"),
    }
}

/// `timeout = 5m`
fn spaced(page: &Passage, range: Range<usize>) -> Problem {
    let joined: String = page.text[range.clone()].split_ascii_whitespace().collect();
    Problem::error("spaced-attribute", page.span(range), "spaces around `=`")
        .hint(format!("write `{joined}`"))
}

fn is_token(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._:/@%,+-".contains(&b))
}

fn is_ours(word: &str) -> bool {
    let (key, value) = split(word);
    OURS.contains(&key)
        && match key {
            "confirm" | "reboot" | "setup" | "always" | "regex" => value.is_none(),
            "sudo" => true,
            _ => value.is_some(),
        }
}

fn is_renderers(word: &str) -> bool {
    RENDERER.contains(&split(word).0)
}

fn language(word: &str) -> String {
    let name = word.split(',').next().unwrap_or_default();
    if name.is_ascii() {
        name.to_ascii_lowercase()
    } else {
        name.to_lowercase()
    }
}

/// The words within a range, as ranges.
fn words(text: &str, range: Range<usize>) -> impl Iterator<Item = Range<usize>> + Clone {
    let base = text.as_ptr() as usize;
    text[range].split_ascii_whitespace().map(move |word| {
        let start = word.as_ptr() as usize - base;
        start..start + word.len()
    })
}
