//! The words on a fence: `LANG ROLE (WORD | KEY=TOKEN)*`, on the fence itself or in the
//! comment before it. Decides what is ours and what is prose; knows nothing of what a role
//! does with its attributes.

use std::ops::Range;

use crate::manual::Role;
use crate::source::{Passage, Problem};

/// What an opening fence says.
#[derive(Debug, Default)]
pub(crate) struct Info<'t> {
    /// First word, lower case, without what follows a comma.
    pub language: String,
    pub tag: Option<Tag<'t>>,
}

/// A role and its words.
#[derive(Debug)]
pub(crate) struct Tag<'t> {
    pub role: Role,
    /// Where the role is written, in the page's text.
    pub range: Range<usize>,
    pub words: Vec<Word<'t>>,
}

/// `confirm` or `timeout=5m`.
#[derive(Debug)]
pub(crate) struct Word<'t> {
    pub key: &'t str,
    pub value: Option<&'t str>,
    pub range: Range<usize>,
}

const ROLES: [(&str, Role); 9] = [
    ("procedure", Role::Procedure),
    ("checks", Role::Checks),
    ("step", Role::Step),
    ("check", Role::Check),
    ("expect", Role::Expect),
    ("deliver", Role::Deliver),
    ("file", Role::File),
    ("manual", Role::Manual),
    ("example", Role::Example),
];

/// Attributes that nobody but opsbook writes after a language; one of them makes an unknown
/// word before it an error.
const OURS: [&str; 15] = [
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
];

/// Words that mean something to the book renderer.
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

impl Role {
    /// The word on the fence.
    #[must_use]
    pub fn name(self) -> &'static str {
        ROLES
            .iter()
            .find(|(_, role)| *role == self)
            .map_or("", |(name, _)| name)
    }

    pub(crate) fn named(name: &str) -> Option<Role> {
        ROLES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, role)| *role)
    }
}

/// Reads the info string that stands at `range` of the page.
pub(crate) fn read_info<'t>(
    page: &'t Passage,
    range: Range<usize>,
    problems: &mut Vec<Problem>,
) -> Info<'t> {
    if page.text[range.clone()].starts_with('{') {
        // `{.bash .numbers}`: the attributes of other tools, and no language.
        return Info::default();
    }
    let mut words = words(&page.text, range);
    let Some(first) = words.next() else {
        return Info::default();
    };
    let language = language(&page.text[first.clone()]);
    let tag = if let Some(problem) = misplaced_role(page, first, words.clone().next()) {
        problems.push(problem);
        None
    } else {
        read_words(page, words, problems)
    };
    Info { language, tag }
}

/// Reads the words of a comment, `range` being what follows `opsbook:`.
pub(crate) fn read_comment<'t>(
    page: &'t Passage,
    range: Range<usize>,
    problems: &mut Vec<Problem>,
) -> Option<Tag<'t>> {
    let mut words = words(&page.text, range.clone());
    let Some(first) = words.next() else {
        problems.push(Problem::error(
            "unknown-role",
            page.span(range),
            "a comment for opsbook without a role",
        ));
        return None;
    };
    let Some(role) = Role::named(&page.text[first.clone()]) else {
        problems.push(unknown_role(page, first));
        return None;
    };
    Some(tag(page, role, first, words, problems))
}

/// The parts of a word: `timeout=5m` is `timeout` and `5m`.
fn split(word: &str) -> (&str, Option<&str>) {
    match word.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (word, None),
    }
}

/// A role where the language should be, or joined to it by a comma.
fn misplaced_role(
    page: &Passage,
    first: Range<usize>,
    next: Option<Range<usize>>,
) -> Option<Problem> {
    let text = &page.text[first.clone()];
    if let Some(role) = Role::named(text) {
        let role_follows = next
            .as_ref()
            .is_some_and(|word| Role::named(&page.text[word.clone()]).is_some());
        if role_follows || role == Role::Example && next.is_none() {
            return None;
        }
        let message = format!("`{text}` stands where the language should be");
        return Some(
            Problem::error("role-without-language", page.span(first), message)
                .hint(format!("write the language first: `sh {text}`")),
        );
    }
    let (language, joined) = text.split_once([',', '{', '#', ':'])?;
    let role = joined.split(',').find_map(Role::named)?.name();
    let message = format!("`{role}` is joined to the language");
    Some(
        Problem::error("joined-role", page.span(first), message)
            .hint(format!("separate them by a space: `{language} {role}`")),
    )
}

fn read_words<'t>(
    page: &'t Passage,
    mut words: impl Iterator<Item = Range<usize>>,
    problems: &mut Vec<Problem>,
) -> Option<Tag<'t>> {
    let word = words.find(|word| !is_renderers(&page.text[word.clone()]))?;
    if let Some(role) = Role::named(&page.text[word.clone()]) {
        return Some(tag(page, role, word, words, problems));
    }
    problems.push(foreign_word(page, word, words));
    None
}

/// Somebody meant a role, or the fence is written for another tool.
fn foreign_word(
    page: &Passage,
    word: Range<usize>,
    mut rest: impl Iterator<Item = Range<usize>>,
) -> Problem {
    let text = &page.text[word.clone()];
    if is_ours(text) {
        return Problem::error(
            "attribute-without-role",
            page.span(word),
            format!("attribute `{}` without a role before it", split(text).0),
        );
    }
    if let Some((first, more)) = text.split_once([',', ';', ':', '{', '[', '('])
        && Role::named(first).is_some()
    {
        let more = more.replace([',', ';', '}', ']', ')'], " ");
        return Problem::error(
            "joined-role",
            page.span(word),
            format!("`{first}` is joined to what follows it"),
        )
        .hint(format!(
            "separate words by spaces: `{first} {}`",
            more.trim()
        ));
    }
    let meant = near_role(text).is_some()
        || rest.any(|word| {
            let word = &page.text[word];
            is_ours(word) || Role::named(word).is_some()
        });
    if meant {
        return unknown_role(page, word);
    }
    Problem::warning(
        "foreign-word",
        page.span(word.clone()),
        format!("`{text}` is no role of opsbook: this block is prose"),
    )
}

fn unknown_role(page: &Passage, word: Range<usize>) -> Problem {
    let text = &page.text[word.clone()];
    let problem = Problem::error(
        "unknown-role",
        page.span(word),
        format!("unknown role `{text}`"),
    );
    match near_role(text) {
        Some(role) => problem.hint(format!("did you mean `{role}`?")),
        None => problem,
    }
}

/// Narrower than `nearest`: `site`, `text` and `fish` are nobody's accident for a role.
fn near_role(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let allowed = if word.len() >= 6 { 2 } else { 1 };
    ROLES
        .iter()
        .map(|(name, _)| (strsim::damerau_levenshtein(&word, name), *name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

fn tag<'t>(
    page: &'t Passage,
    role: Role,
    range: Range<usize>,
    rest: impl Iterator<Item = Range<usize>>,
    problems: &mut Vec<Problem>,
) -> Tag<'t> {
    let mut words = Vec::new();
    for word in rest {
        let text = &page.text[word.clone()];
        if is_renderers(text) {
            continue;
        }
        let (key, value) = split(text);
        if value.is_some_and(|value| !is_token(value)) {
            problems.push(
                Problem::error(
                    "not-a-token",
                    page.span(word.end - value.unwrap_or_default().len()..word.end),
                    format!("the value of `{key}` cannot be written on a fence"),
                )
                .hint("a value is letters, digits and `._:/@%,+-`; what does not fit goes into a contract"),
            );
            continue;
        }
        words.push(Word {
            key,
            value,
            range: word,
        });
    }
    Tag { role, range, words }
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
