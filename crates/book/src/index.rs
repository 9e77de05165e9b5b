//! Builds the files of the book's search: sorted terms with the places where each occurs, texts of
//! the places, and all words for inexact search. Each file is a script that is loaded on demand, so
//! the search works from disk. `assets/search.js` is the browser's half and splits words in the
//! same way.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;
use unicode_normalization::UnicodeNormalization as _;

use super::blocks::called;

/// The function that the files call.
const CALLER: &str = "opsbookSearch";

/// The approximate number of bytes of terms in a file.
const TERMS: usize = 48 * 1024;
/// The approximate number of bytes of texts in a file.
const TEXTS: usize = 32 * 1024;
/// The most characters of a place's text that are shown and ranked.
const TEXT: usize = 400;
/// Shorter words are found only exactly or by their beginning.
const SHORT: usize = 4;
/// Digits for numbers: five bits each, and a continuation bit.
const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
/// Characters that may join words to a path, a port, a flag or an id.
const JOINERS: [char; 12] = ['.', '_', '-', '/', ':', '@', '=', '+', '%', '~', '\\', '#'];

/// A section or a block of a page: a search entry.
#[derive(Debug, Default)]
pub(super) struct Unit {
    /// Its address: page and anchor.
    pub(super) address: String,
    /// The title of its page.
    pub(super) page: String,
    /// A block's id, or a heading.
    pub(super) title: String,
    pub(super) block: bool,
    pub(super) text: String,
    /// Its text with node values: searched, never shown.
    pub(super) more: String,
}

/// The weight of a word at a place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Prose,
    Block,
    Heading,
    Id,
}

/// The search entries of a page, numbered from 0.
#[derive(Default)]
pub(super) struct Found {
    /// By term, its places in order, each with its class.
    terms: HashMap<Box<str>, Vec<u32>>,
    /// The displayed text of each place, as JSON.
    texts: Vec<String>,
}

impl Found {
    pub(super) fn add(&mut self, unit: &Unit) {
        let Ok(number) = u32::try_from(self.texts.len()) else {
            return;
        };
        let (title, body) = if unit.block {
            (Class::Id, Class::Block)
        } else {
            (Class::Heading, Class::Prose)
        };
        for (text, class) in [(&unit.text, body), (&unit.more, body), (&unit.title, title)] {
            let place = number << 2 | class as u32;
            each_term(text, &mut |term| match self.terms.get_mut(term) {
                None => drop(self.terms.insert(term.into(), vec![place])),
                Some(places) => match places.last_mut() {
                    // Keep the highest class, which is in the lowest bits.
                    Some(last) if *last >> 2 == number => *last = place.max(*last),
                    _ => places.push(place),
                },
            });
        }
        let end = unit.text.floor_char_boundary(TEXT);
        let text = json!([
            unit.address,
            u8::from(unit.block),
            unit.title,
            unit.page,
            &unit.text[..end]
        ]);
        self.texts.push(text.to_string());
    }
}

/// The search index. Texts are written as they are added.
pub(super) struct Index {
    folder: PathBuf,
    terms: HashMap<Box<str>, Vec<u32>>,
    /// The number of places.
    count: usize,
    /// The texts of the current file, without the closing bracket.
    texts: String,
    /// The first place of each file of texts.
    starts: Vec<usize>,
}

impl Index {
    /// An index in a new folder.
    pub(super) fn new(folder: PathBuf) -> Result<Index> {
        std::fs::create_dir_all(&folder)?;
        Ok(Index {
            folder,
            terms: HashMap::new(),
            count: 0,
            texts: String::new(),
            starts: Vec::new(),
        })
    }

    /// Adds the entries of the next page.
    pub(super) fn add(&mut self, found: Found) -> Result<()> {
        let Ok(before) = u32::try_from(self.count) else {
            return Ok(());
        };
        for (term, places) in found.terms {
            let places = places.into_iter().map(|place| place + (before << 2));
            match self.terms.get_mut(&term) {
                Some(known) => known.extend(places),
                None => drop(self.terms.insert(term, places.collect())),
            }
        }
        for text in found.texts {
            if self.texts.is_empty() {
                self.starts.push(self.count);
            }
            self.texts
                .push(if self.texts.is_empty() { '[' } else { ',' });
            self.texts.push_str(&text);
            self.count += 1;
            if self.texts.len() > TEXTS {
                self.write_texts()?;
            }
        }
        Ok(())
    }

    fn write_texts(&mut self) -> Result<()> {
        if self.texts.is_empty() {
            return Ok(());
        }
        let number = self.starts.len() - 1;
        let texts = std::mem::take(&mut self.texts) + "]";
        let text = called(CALLER, "texts", &[number.to_string(), texts]);
        Ok(std::fs::write(
            self.folder.join(format!("d{number}.js")),
            text,
        )?)
    }

    /// Writes the remaining files.
    pub(super) fn finish(mut self) -> Result<()> {
        self.write_texts()?;
        let mut terms: Vec<(Box<str>, Vec<u32>)> = self.terms.into_iter().collect();
        terms.sort_unstable_by(|(a, _), (b, _)| in_browser(a, b));
        let folder = &self.folder;
        let mut firsts: Vec<Box<str>> = Vec::new();
        let mut lines = String::new();
        let mut words = String::new();
        let write_terms = |number: usize, lines: &mut String| {
            let text = called(
                CALLER,
                "terms",
                &[number.to_string(), json!(lines).to_string()],
            );
            lines.clear();
            std::fs::write(folder.join(format!("t{number}.js")), text)
        };
        for (term, places) in terms {
            if lines.len() > TERMS {
                write_terms(firsts.len() - 1, &mut lines)?;
            }
            if lines.is_empty() {
                firsts.push(term.clone());
            }
            lines.push_str(&term);
            lines.push(' ');
            encode(&places, &mut lines);
            lines.push('\n');
            if term.chars().count() >= SHORT && !term.contains('·') {
                words.push_str(&term);
                words.push('\n');
            }
        }
        if !lines.is_empty() {
            write_terms(firsts.len() - 1, &mut lines)?;
        }
        let words = called(CALLER, "words", &[json!(words).to_string()]);
        std::fs::write(folder.join("words.js"), words)?;
        let root = [json!(self.count), json!(firsts), json!(self.starts)];
        let root = called(CALLER, "root", &root.map(|part| part.to_string()));
        std::fs::write(folder.join("root.js"), root)?;
        Ok(())
    }
}

/// The sort order of texts in a browser.
fn in_browser(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        return a.cmp(b);
    }
    a.encode_utf16().cmp(b.encode_utf16())
}

/// Encodes the differences of sorted numbers.
fn encode(places: &[u32], out: &mut String) {
    let mut before = 0;
    for place in places {
        // The class is stored next to the difference of the numbers.
        let mut rest = ((place >> 2) - before) << 2 | place & 3;
        before = place >> 2;
        loop {
            let more = rest >> 5;
            let digit = (rest & 31) | if more > 0 { 32 } else { 0 };
            out.push(char::from(DIGITS[digit as usize]));
            if more == 0 {
                break;
            }
            rest = more;
        }
    }
}

/// A word for comparison: lower case without diacritics.
fn folded(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        return Cow::Borrowed(text);
    }
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    let plain = text.nfkd().filter(|c| !('\u{300}'..='\u{36f}').contains(c));
    let plain: String = plain.nfc().collect::<String>().to_lowercase();
    let plain = plain.replace('ß', "ss").replace('æ', "ae");
    Cow::Owned(plain.replace('ø', "o"))
}

/// `groesse` also matches `größe`.
fn without_umlauts(word: &str) -> Option<String> {
    if !word.contains('e') {
        return None;
    }
    let plain = word
        .replace("ae", "a")
        .replace("oe", "o")
        .replace("ue", "u");
    (plain != word).then_some(plain)
}

/// Scripts without spaces between words: their characters are indexed in pairs.
fn is_dense(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x20000..=0x2ffff)
}

/// All terms of a text.
fn each_term(text: &str, tell: &mut dyn FnMut(&str)) {
    let mut joined = String::new();
    let mut before: Option<(Cow<'_, str>, usize)> = None;
    for (start, run) in runs(text) {
        let word = folded(run);
        let between = before.as_ref().map_or("", |(_, end)| &text[*end..start]);
        let mut tell_joined = |first: &str| {
            joined.clear();
            joined.extend([first, "·", &word]);
            tell(&joined);
        };
        if let Some((last, _)) = &before
            && !between.is_empty()
            && between.len() < 3
            && between.chars().all(|c| JOINERS.contains(&c))
        {
            tell_joined(last);
        }
        let ahead = &text[..start];
        let dashes = ahead.len() - ahead.trim_end_matches('-').len();
        let free = ahead[..ahead.len() - dashes].chars().next_back();
        if dashes > 0 && free.is_none_or(|c| !c.is_alphanumeric()) {
            tell_joined("-");
        }
        of_run(run, &word, tell);
        before = Some((word, start + run.len()));
    }
}

/// A word, its parts, and its alternative spelling.
fn of_run(run: &str, word: &str, tell: &mut dyn FnMut(&str)) {
    if !word.is_ascii() && word.chars().any(is_dense) {
        let letters: Vec<char> = word.chars().collect();
        for part in letters.chunk_by(|a, b| is_dense(*a) == is_dense(*b)) {
            match part {
                [] => {}
                [one] => tell(&one.to_string()),
                _ if is_dense(part[0]) => {
                    for pair in part.windows(2) {
                        tell(&pair.iter().collect::<String>());
                    }
                    tell(&part[part.len() - 1].to_string());
                }
                _ => tell(&part.iter().collect::<String>()),
            }
        }
        return;
    }
    if let Some(other) = without_umlauts(word) {
        tell(&other);
    }
    if run.chars().any(char::is_uppercase) && run.chars().any(char::is_lowercase) {
        let mut start = 0;
        let mut small = false;
        for (at, c) in run.char_indices() {
            if c.is_uppercase() && small {
                tell(&folded(&run[start..at]));
                start = at;
            }
            small = c.is_lowercase();
        }
        if start > 0 {
            tell(&folded(&run[start..]));
        }
    }
    tell(word);
}

/// Sequences of letters and digits, each with its place.
fn runs(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &text[at..];
        let start = at + rest.find(char::is_alphanumeric)?;
        let rest = &text[start..];
        let length = rest.find(|c: char| !c.is_alphanumeric());
        let end = start + length.unwrap_or(rest.len());
        at = end;
        Some((start, &text[start..end]))
    })
}

/// The text with each of the values of the names in it.
pub(super) fn expanded(text: &str, values: &BTreeMap<String, Vec<String>>) -> String {
    let mut more = String::new();
    for word in text.split_whitespace().filter(|word| word.contains('$')) {
        for (name, values) in values {
            let (braced, plain) = (format!("${{{name}}}"), format!("${name}"));
            if !word.contains(&braced) && !word.contains(&plain) {
                continue;
            }
            for value in values {
                more.push_str(&word.replace(&braced, value).replace(&plain, value));
                more.push(' ');
            }
        }
    }
    more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> String {
        let mut found = Vec::new();
        each_term(text, &mut |term| found.push(term.to_owned()));
        found.join(" ")
    }

    #[test]
    fn words_are_taken_apart_as_people_type_them() {
        for (text, expected) in [
            (
                "shop.rollback/find",
                "shop shop·rollback rollback rollback·find find",
            ),
            ("tcp:8000", "tcp tcp·8000 8000"),
            ("run --start-at X", "run -·start start start·at at x"),
            ("/srv/shop", "srv srv·shop shop"),
            ("Größe groesse", "grosse grosse groesse"),
            ("MaxSessions", "max sessions maxsessions"),
            ("日本語 x", "日本 本語 語 x"),
            ("a  b :: c", "a b c"),
        ] {
            assert_eq!(terms(text), expected, "{text}");
        }
    }

    #[test]
    fn names_stand_for_their_values() {
        let values = BTreeMap::from([("port".to_owned(), vec!["80".to_owned(), "81".to_owned()])]);
        assert_eq!(
            expanded("a tcp:${port} $port b", &values),
            "tcp:80 tcp:81 80 81 "
        );
    }

    #[test]
    fn places_are_written_as_differences() {
        let mut out = String::new();
        encode(&[1 << 2, 1000 << 2 | 3], &mut out);
        assert_eq!(out, "4_y3");
    }
}
