//! Parses the output of probes into facts. Only this file and `prelude.sh` know the format.

mod forms;
mod said_by_sh;

use indexmap::IndexMap;
use jiff::Timestamp;

use crate::found::{Found, parse_number};
use crate::header::FactKind;

use forms::{address, days_until, headers};
use said_by_sh::as_sh;

/// The most bytes kept of a text; a probe prints at most one more.
pub const MOST: usize = 1024 * 1024;
/// The frame in which a probe passes on curl's complete output.
const ANSWER: &str = "answer";

/// The report of one probe about one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    values: IndexMap<String, Reported>,
    found_with: Option<String>,
    cannot_look: Option<String>,
    note: Option<String>,
    /// The first line of the author's command in the script, and the script's name.
    speaks_as: Option<(u64, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reported {
    Absent,
    /// Neither true nor false, but a state between.
    Neither(String),
    Items(Vec<Vec<u8>>),
}

/// Why nothing is known. This is neither a pass nor a failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot look: {reason}")]
pub struct CannotLook {
    /// The obstacle, in one sentence without a full stop.
    pub reason: String,
    /// A command to try by hand, if there is one.
    pub how: Option<String>,
}

impl CannotLook {
    /// Without a command to try by hand.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> CannotLook {
        CannotLook {
            reason: reason.into(),
            how: None,
        }
    }
}

impl Facts {
    /// Parses the lines of one probe. `err` is its standard error, which becomes the fact `stderr`
    /// unless the probe reports one.
    #[must_use]
    pub fn read(nonce: &[u8], out: &[u8], err: &[u8]) -> Facts {
        let mut facts = Facts::default();
        let begin = [nonce, b" > "].concat();
        let end = [b"\n", nonce, b" .\n"].concat();
        let mut rest = out;
        while !rest.is_empty() {
            let (line, after) = split_line(rest);
            rest = after;
            if let Some(name) = line.strip_prefix(&begin[..]) {
                // An unterminated frame: the probe was stopped within it.
                let Some(length) = memchr::memmem::find(rest, &end) else {
                    facts.cannot_look = Some("the probe was stopped".to_owned());
                    break;
                };
                facts.add(&text(name), &rest[..length]);
                rest = &rest[length + end.len()..];
            } else if let Some(space) = memchr::memchr(b' ', line) {
                facts.add(&text(&line[..space]), &line[space + 1..]);
            }
        }
        if !facts.values.contains_key("stderr") {
            let err = facts.as_sh(err);
            let said = text(&err);
            let last = said.lines().rfind(|line| !line.trim().is_empty());
            facts.note = facts.note.or(last.map(|line| line.trim().to_owned()));
            facts.add("stderr", &err);
        }
        facts
    }

    /// How the probe looked: a command with `{argument}` placeholders.
    #[must_use]
    pub fn found_with(&self) -> Option<&str> {
        self.found_with.as_deref()
    }

    /// Why the probe could not examine everything.
    #[must_use]
    pub fn cannot_look(&self) -> Option<&str> {
        self.cannot_look.as_deref()
    }

    /// A message of the tool besides the facts.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// One fact as a value of its type, or why it is not known. Days are counted from `now`.
    pub fn get(&self, name: &str, kind: FactKind, now: Timestamp) -> Result<Found, String> {
        let items = match self.values.get(name) {
            Some(Reported::Items(items)) => items,
            Some(Reported::Absent) => return Ok(Found::Absent),
            Some(Reported::Neither(state)) => return Ok(Found::Text(state.clone())),
            None => {
                return Err(self
                    .cannot_look
                    .clone()
                    .unwrap_or_else(|| format!("the probe does not report `{name}`")));
            }
        };
        let all = || {
            let lines: Vec<_> = items.iter().map(|item| text(item)).collect();
            lines.join("\n")
        };
        Ok(match kind {
            FactKind::Bool => match all().as_str() {
                "true" => Found::Bool(true),
                "false" => Found::Bool(false),
                other => return Err(format!("the probe reports `{other}` for `{name}`")),
            },
            FactKind::Int => match parse_number(&all()) {
                Some(number) => Found::Number(number),
                None => return Err(format!("the probe reports `{}` for `{name}`", all())),
            },
            FactKind::Text | FactKind::Mode | FactKind::Lines | FactKind::Given => {
                Found::Text(all())
            }
            FactKind::Headers => Found::Text(headers(&all())),
            FactKind::List => list(items, |text| text),
            FactKind::Sorted => {
                let mut items = items.clone();
                items.sort();
                list(&items, |text| text)
            }
            FactKind::Days => match days_until(&all(), now) {
                Some(days) => Found::Number(days),
                None => return Err(format!("the probe reports `{}` for `{name}`", all())),
            },
            FactKind::Addresses => list(items, |text| address(&text)),
        })
    }

    /// Whether only the beginning of a text was kept.
    #[must_use]
    pub fn is_cut(&self, name: &str) -> bool {
        match self.values.get(name) {
            Some(Reported::Items(items)) => items.iter().any(|item| item.len() > MOST),
            _ => false,
        }
    }

    fn add(&mut self, name: &str, value: &[u8]) {
        match name {
            "found-with" => self.found_with = Some(text(value)),
            "cannot-look" => self.cannot_look = Some(text(value)),
            "note" => self.note = Some(text(value)),
            "speaks-as" => {
                let value = text(value);
                let (line, name) = value.split_once(' ').unwrap_or(("0", &value));
                self.speaks_as = Some((line.parse().unwrap_or(0), name.to_owned()));
            }
            "absent" => {
                let value = text(value);
                let (name, why) = value.split_once(' ').unwrap_or((&value, ""));
                self.values.insert(name.to_owned(), Reported::Absent);
                if !why.is_empty() {
                    self.note = Some(why.to_owned());
                }
            }
            "neither" => {
                let value = text(value);
                let (name, state) = value.split_once(' ').unwrap_or((&value, ""));
                let state = Reported::Neither(state.to_owned());
                self.values.insert(name.to_owned(), state);
            }
            "unknown" => drop(self.values.shift_remove(&text(value))),
            "none" => {
                self.values.insert(text(value), Reported::Items(Vec::new()));
            }
            "curl-answer" => self.answer(&text(value)),
            _ => {
                if let Some(Reported::Items(items)) = self.values.get_mut(name) {
                    items.push(value.to_vec());
                } else {
                    // curl's answer is cut after it has been split.
                    let most = if name == ANSWER {
                        value.len()
                    } else {
                        MOST + 1
                    };
                    let items = vec![value[..value.len().min(most)].to_vec()];
                    self.values.insert(name.to_owned(), Reported::Items(items));
                }
            }
        }
    }

    fn as_sh(&self, err: &[u8]) -> Vec<u8> {
        match &self.speaks_as {
            Some((first, name)) => as_sh(err, *first, name),
            None => err.to_vec(),
        }
    }

    /// The output of `curl -i`, followed by `-w '\n%{http_code} %{size_header}'`.
    fn answer(&mut self, name: &str) {
        let Some(Reported::Items(items)) = self.values.shift_remove(name) else {
            return;
        };
        let all = items.concat();
        let Some(at) = memchr::memrchr(b'\n', &all) else {
            return;
        };
        let trailer = text(&all[at + 1..]);
        let (status, bytes) = trailer.split_once(' ').unwrap_or((&trailer, "0"));
        let bytes = bytes.parse().unwrap_or(0).min(at);
        self.add("status", status.as_bytes());
        self.add("headers", &all[..bytes]);
        self.add("body", &all[bytes..at]);
    }
}

fn list(items: &[Vec<u8>], f: impl Fn(String) -> String) -> Found {
    Found::List(
        items
            .iter()
            .map(|item| Found::Text(f(text(item))))
            .collect(),
    )
}

/// Invalid UTF-8 becomes the replacement character.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', bytes) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn facts(out: &str) -> Facts {
        Facts::read(b"N", out.as_bytes(), b"")
    }

    #[test]
    fn lines_lists_frames_and_absences() {
        let facts = facts(
            "exists true\nsize 12\ngroups a b\ngroups c\nnone ip\nabsent linked-to\nN > body\ntwo\nexists false\n\nN .\nfound-with ls {path}\n",
        );
        for (name, kind, expected) in [
            ("exists", FactKind::Bool, "true"),
            ("size", FactKind::Int, "12"),
            ("groups", FactKind::List, r#"["a b", "c"]"#),
            ("ip", FactKind::List, "[]"),
            ("linked-to", FactKind::Text, "nothing"),
            ("body", FactKind::Lines, r#""two\nexists false\n""#),
        ] {
            assert_eq!(
                facts.get(name, kind, now()).unwrap().to_string(),
                expected,
                "{name}"
            );
        }
        assert_eq!(facts.found_with(), Some("ls {path}"));
        assert_eq!(
            facts.get("mode", FactKind::Mode, now()),
            Err("the probe does not report `mode`".to_owned())
        );
        assert_eq!(
            facts.get("groups", FactKind::Bool, now()),
            Err("the probe reports `a b\nc` for `groups`".to_owned())
        );
    }

    #[test]
    fn a_state_between_is_neither_and_what_is_taken_back_is_unknown() {
        let facts = facts(
            "neither installed half-configured\nN > contents\nhalf\nN .\nunknown contents\ncannot-look it cannot be read\n",
        );
        assert_eq!(
            facts.get("installed", FactKind::Bool, now()),
            Ok(Found::Text("half-configured".to_owned()))
        );
        assert_eq!(
            facts.get("contents", FactKind::Lines, now()),
            Err("it cannot be read".to_owned())
        );
    }

    #[test]
    fn the_status_of_a_long_answer_stands_behind_its_body() {
        let head = "HTTP/1.1 404 Not Found\r\n\r\n";
        let body = "200 0\n".repeat(MOST / 4);
        let facts = facts(&format!(
            "N > answer\n{head}{body}\n404 {}\nN .\ncurl-answer answer\n",
            head.len()
        ));
        let status = facts.get("status", FactKind::Int, now());
        assert_eq!(status, Ok(Found::Number(404.0)));
        assert!(facts.is_cut("body"));
    }

    #[test]
    fn a_frame_that_does_not_end_is_no_fact() {
        let facts = facts("N > stdout\nhalf of");
        assert_eq!(
            facts.get("stdout", FactKind::Lines, now()),
            Err("the probe was stopped".to_owned())
        );
    }

    #[test]
    fn an_answer_of_curl_is_taken_apart() {
        let head = "HTTP/1.1 200 OK\r\na: b\r\n\r\n";
        let facts = facts(&format!(
            "N > answer\n{head}two\nlines\n\n200 {}\nN .\ncurl-answer answer\n",
            head.len()
        ));
        for (name, kind, expected) in [
            ("status", FactKind::Int, "200"),
            ("headers", FactKind::Headers, "\"A: b\""),
            ("body", FactKind::Lines, "\"two\\nlines\\n\""),
        ] {
            let found = facts.get(name, kind, now()).unwrap();
            assert_eq!(found.to_string(), expected);
        }
    }

    /// Any output of a node gives facts or a reason, never a panic.
    #[test]
    fn nothing_that_is_printed_harms() {
        const PARTS: &[&[u8]] = &[
            b"N > x\n",
            b"\nN .\n",
            b"x",
            b" ",
            b"\n",
            b"\xff\xfe",
            b"none x\n",
            b"absent x why\n",
            b"curl-answer x\n",
            b"200 99999999999999999999",
            b"found-with {x\n",
            b"true",
            b"\r\n\r\n:",
            b"0000000A",
            b"N B 0\n",
            b"N E 0\n",
        ];
        let mut state = 1_u64;
        for _ in 0..5000 {
            let mut printed = Vec::new();
            for _ in 0..12 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let part = usize::try_from(state >> 33).unwrap() % PARTS.len();
                printed.extend_from_slice(PARTS[part]);
            }
            let facts = Facts::read(b"N", &printed, &printed);
            for kind in [
                FactKind::Bool,
                FactKind::Int,
                FactKind::Text,
                FactKind::List,
                FactKind::Addresses,
                FactKind::Lines,
                FactKind::Headers,
                FactKind::Days,
            ] {
                for name in ["x", "status", "headers", "body", "stderr"] {
                    let _ = facts.get(name, kind, now());
                }
            }
        }
    }
}
