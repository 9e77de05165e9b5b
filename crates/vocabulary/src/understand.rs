//! Parses the attributes of one typed check into an assertion. Fails closed: everything unknown is
//! a problem with its place.

use std::sync::Arc;
use std::time::Duration;

use crate::assertion::{ArgumentText, Assertion, Expectation, Waiver};
use crate::duration::{eventually, milliseconds};
use crate::expected::{expected, is_open, literal, stated};
use crate::form;
use crate::found::Found;
use crate::header::{Argument, ArgumentKind, COMMON, Fact, FactKind, Kind};
use crate::interpolation::{Interpolated, wrong_references};
use crate::manual::{On, Spanned, SudoUser, duration};
use crate::source::{Problem, Span, in_one_line};
use crate::yaml::{Entry, Map, Value, Yaml};

/// goss's own options for repetition: `retry_count` and `retry_delay`.
const RETRY: [&str; 2] = ["retry-count", "retry-delay"];

pub fn understand(
    probe: &Arc<Kind>,
    kind: &Spanned<String>,
    resource: &Spanned<String>,
    attributes: &Yaml,
) -> (Option<Assertion>, Vec<Problem>) {
    let empty = Map::new();
    let map = match &attributes.value {
        Value::Map(map) => map,
        Value::Null => &empty,
        _ => {
            let message = format!(
                "`{}/{}` takes a map of attributes; found {}",
                kind.value,
                resource.value,
                attributes.kind()
            );
            let problem = Problem::error("wrong-type", attributes.span.clone(), message);
            return (None, vec![problem]);
        }
    };
    let mut reader = Reader {
        probe,
        attributes: Vec::new(),
        problems: Vec::new(),
    };
    reader.sort(map);
    let assertion = reader.assertion(kind, resource);
    let sound = reader.problems.iter().all(|problem| !problem.is_error());
    (assertion.filter(|_| sound), reader.problems)
}

struct Reader<'a> {
    probe: &'a Arc<Kind>,
    /// By their names in the header.
    attributes: Vec<(&'a str, &'a Entry)>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Identifies each attribute, in any of its spellings.
    fn sort(&mut self, map: &'a Map) {
        for (written, entry) in map {
            let Some(name) = self.proper(written) else {
                let message = format!("`{}` has no attribute `{written}`", self.probe.name);
                let mut names: Vec<&str> = self.probe.attributes().collect();
                names.sort_unstable();
                let problem = Problem::error("unknown-attribute", entry.key.clone(), message)
                    .did_you_mean(written, names.iter().copied());
                let problem = match problem.hint {
                    Some(_) => problem,
                    None => problem.hint(format!("there are {}", names.join(", "))),
                };
                self.problems.push(problem);
                continue;
            };
            if let Some((_, first)) = self.attributes.iter().find(|(known, _)| *known == name) {
                let first = first.key.clone();
                let message = format!("`{name}` is here twice");
                let problem = Problem::error("duplicate-attribute", entry.key.clone(), message);
                self.problems.push(problem.note(first, "first here"));
                continue;
            }
            self.attributes.push((name, entry));
        }
    }

    fn proper(&self, written: &str) -> Option<&'a str> {
        let name = written.replace('_', "-");
        let probe: &'a Kind = self.probe;
        if let Some(fact) = probe.fact(&name) {
            return Some(&fact.name);
        }
        if let Some(argument) = probe.argument(&name) {
            return Some(&argument.name);
        }
        let common = COMMON.iter().map(|(name, _)| *name).chain(RETRY);
        common.into_iter().find(|common| *common == name)
    }

    fn take(&self, name: &str) -> Option<&'a Entry> {
        self.attributes
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, entry)| *entry)
    }

    fn assertion(
        &mut self,
        kind: &Spanned<String>,
        resource: &Spanned<String>,
    ) -> Option<Assertion> {
        let probe = Arc::clone(self.probe);
        let arguments = self.arguments(&probe, resource);
        let given = probe
            .arguments
            .iter()
            .find(|argument| argument.kind == ArgumentKind::Any)
            .map(|argument| self.take(&argument.name).map(|entry| literal(&entry.value)));
        let lines = arguments
            .iter()
            .any(|told| told.name == "as-reader" && told.text.known().as_deref() == Some("true"));
        let given = match given {
            Some(Some(found)) if lines => Some(Found::Text(found.as_text())),
            Some(given) => given.or(Some(Found::Absent)),
            None => None,
        };
        let expected = self.expectations(&probe, lines);
        if expected.is_empty() && !self.problems.iter().any(Problem::is_error) {
            let facts: Vec<String> = probe
                .facts
                .iter()
                .map(|fact| format!("`{}`", fact.name))
                .collect();
            let message = format!("`{}/{}` asserts nothing", kind.value, resource.value);
            let problem = Problem::error("asserts-nothing", resource.span.clone(), message);
            self.problems
                .push(problem.hint(format!("state what you expect of {}", facts.join(", "))));
            return None;
        }
        let title = self
            .take("title")
            .and_then(|entry| self.text("title", entry))
            .map(|title| Interpolated::read(&title));
        let waiver = self.take("skip").and_then(|entry| self.waiver(entry));
        let eventually = self.eventually();
        let timeout = self.timeout(&probe, &arguments);
        let sudo = self.take("sudo").and_then(|entry| self.sudo(entry));
        let on = self.take("on").and_then(|entry| self.on(entry));
        Some(Assertion {
            kind: kind.clone(),
            resource: Spanned {
                value: told_text(probe.key.kind, &resource.value),
                span: resource.span.clone(),
            },
            probe,
            title,
            waiver,
            eventually,
            timeout,
            sudo,
            on,
            arguments,
            expected,
            given,
            told_by_hand: Vec::new(),
        })
    }

    fn arguments(&mut self, probe: &Kind, resource: &Spanned<String>) -> Vec<ArgumentText> {
        let mut told = Vec::new();
        for argument in std::iter::once(&probe.key).chain(&probe.arguments) {
            if argument.kind == ArgumentKind::Any {
                continue;
            }
            let text = match self.take(&argument.name) {
                Some(entry) => self.told(argument, entry),
                None if argument.name == probe.key.name => Some(resource.value.clone()),
                None => argument.default.clone(),
            };
            let place = self.take(&argument.name).map(|entry| &entry.value.span);
            let place = place.unwrap_or(&resource.span);
            if let (Some(text), true) = (&text, argument.kind != ArgumentKind::Shell) {
                for wrong in wrong_references(text) {
                    let problem = Problem::error("not-a-reference", place.clone(), wrong.message());
                    self.problems.push(problem.hint(wrong.hint()));
                }
            }
            // An empty name was already reported.
            let given = text
                .as_deref()
                .filter(|text| !text.is_empty() && !is_open(text));
            if let Some(message) = given.and_then(|text| form::wrong(argument.kind, text)) {
                self.wrong::<()>(place, &message);
            }
            if let Some(text) = text {
                told.push(ArgumentText {
                    name: argument.name.clone(),
                    kind: argument.kind,
                    text: told_text(argument.kind, &text),
                });
            }
        }
        told
    }

    fn told(&mut self, argument: &Argument, entry: &Entry) -> Option<String> {
        let name = &argument.name;
        let yaml = &entry.value;
        if let (ArgumentKind::List, Value::Seq(items)) = (argument.kind, &yaml.value) {
            let texts: Option<Vec<&str>> = items.iter().map(Yaml::text).collect();
            return match texts {
                Some(texts) => Some(texts.join("\n")),
                None => self.wrong(&yaml.span, &format!("`{name}` must be a list of texts")),
            };
        }
        let Some(text) = yaml.text() else {
            let message = format!(
                "`{name}` is {}; found {}",
                argument.kind.describe(),
                yaml.kind()
            );
            return self.wrong(&yaml.span, &message);
        };
        let result = match argument.kind {
            _ if is_open(text) => Ok(text.to_owned()),
            ArgumentKind::Bool => match text {
                "true" | "false" => Ok(text.to_owned()),
                _ => Err(format!("`{name}` must be `true` or `false`")),
            },
            ArgumentKind::Int => match text.parse::<i64>() {
                Ok(_) => Ok(text.to_owned()),
                Err(_) => Err(format!("`{name}` is a number")),
            },
            ArgumentKind::Milliseconds => {
                let given = milliseconds(text).map(|duration| duration.as_millis().to_string());
                // As in goss, no time means the default time.
                given.map(|given| match &argument.default {
                    Some(default) if given == "0" => default.clone(),
                    _ => given,
                })
            }
            _ => Ok(text.to_owned()),
        };
        match result {
            Ok(text) => Some(text),
            Err(message) => self.wrong(&yaml.span, &message),
        }
    }

    fn expectations(&mut self, probe: &Kind, lines: bool) -> Vec<Expectation> {
        let mut all = Vec::new();
        for fact in &probe.facts {
            match self.take(&fact.name) {
                Some(entry) => {
                    // The spelling of `goss add`.
                    if let Some(instead) =
                        says_nothing(fact.kind).filter(|_| is_empty(&entry.value))
                    {
                        let message = format!("an empty list in `{}` asserts nothing", fact.name);
                        let span = entry.value.span.clone();
                        let problem = Problem::warning("empty-list", span, message);
                        self.problems
                            .push(problem.hint(format!("leave it out; {instead}")));
                        continue;
                    }
                    let kind = match fact.kind {
                        FactKind::Given if lines => FactKind::Lines,
                        kind => kind,
                    };
                    match expected(&fact.name, kind, &entry.value) {
                        Ok(matcher) => all.push(expectation(fact, matcher)),
                        Err(problems) => self.problems.extend(problems),
                    }
                }
                None => {
                    if let Some(default) = &fact.default {
                        let matcher = stated(fact.kind, default);
                        all.push(expectation(fact, matcher));
                    }
                }
            }
        }
        all
    }

    fn waiver(&mut self, entry: &Entry) -> Option<Waiver> {
        let yaml = &entry.value;
        match &yaml.value {
            Value::Bool(false) => None,
            Value::Bool(true) => Some(Waiver {
                reason: "skipped in the manual".to_owned(),
                until: None,
            }),
            Value::Map(map) => self.dated(map, &yaml.span),
            _ => self.wrong(
                &yaml.span,
                "`skip` must be `true` or `{reason: TEXT, until: YYYY-MM-DD}`",
            ),
        }
    }

    fn dated(&mut self, map: &Map, span: &Span) -> Option<Waiver> {
        for (name, entry) in map {
            if !["reason", "until"].contains(&name.as_str()) {
                let message = format!("`skip` has no attribute `{name}`");
                let problem = Problem::error("unknown-attribute", entry.key.clone(), message);
                self.problems
                    .push(problem.did_you_mean(name, ["reason", "until"]));
            }
        }
        let until = match map.get("until") {
            None => None,
            Some(entry) => match entry.value.text().map(str::parse) {
                Some(Ok(date)) => Some(date),
                _ => {
                    return self.wrong(
                        &entry.value.span,
                        "`until` must be a date such as \
                         `2027-01-31`",
                    );
                }
            },
        };
        match map.get("reason").and_then(|entry| entry.value.text()) {
            Some(reason) if !reason.trim().is_empty() => Some(Waiver {
                reason: in_one_line(reason.trim()),
                until,
            }),
            _ => self.wrong(span, "`skip` does not say its `reason`"),
        }
    }

    fn eventually(&mut self) -> Option<(Duration, Duration)> {
        if let Some(entry) = self.take("eventually") {
            let text = entry.value.text().unwrap_or_default();
            return match eventually(text) {
                Ok(eventually) => Some(eventually),
                Err(message) => self.wrong(
                    &entry.value.span,
                    &format!("{message}; `eventually` is as `60s/2s`"),
                ),
            };
        }
        let count: u32 = match self.take(RETRY[0]) {
            None => return None,
            Some(entry) => match entry.value.text().map(str::parse) {
                Some(Ok(0)) => return None,
                Some(Ok(count)) => count,
                _ => return self.wrong(&entry.value.span, "`retry_count` is a number"),
            },
        };
        let every = match self.take(RETRY[1]) {
            None => Duration::from_secs(1),
            Some(entry) => match milliseconds(entry.value.text().unwrap_or_default()) {
                Ok(every) if !every.is_zero() => every,
                Ok(_) => Duration::from_secs(1),
                Err(message) => return self.wrong(&entry.value.span, &message),
            },
        };
        Some((every * count, every))
    }

    /// A kind with its own time limit passes it to its probe; the process gets a little longer, so
    /// that the probe can report.
    fn timeout(&mut self, probe: &Kind, arguments: &[ArgumentText]) -> Option<Duration> {
        let own = arguments.iter().find(|told| told.name == "timeout");
        if let Some(told) = own {
            let limit = milliseconds(&told.text.known()?).ok()?;
            let runs = probe.key.kind == ArgumentKind::Shell;
            let margin = if runs {
                Duration::ZERO
            } else {
                limit * 2 + Duration::from_secs(10)
            };
            return Some(limit + margin);
        }
        let entry = self.take("timeout")?;
        match duration(entry.value.text().unwrap_or_default()) {
            Ok(limit) => Some(limit),
            Err(message) => self.wrong(&entry.value.span, &message),
        }
    }

    fn sudo(&mut self, entry: &Entry) -> Option<SudoUser> {
        match &entry.value.value {
            Value::Bool(true) => Some(SudoUser("root".to_owned())),
            Value::Bool(false) => None,
            Value::Str(user) if !user.is_empty() => Some(SudoUser(user.clone())),
            _ => self.wrong(
                &entry.value.span,
                "`sudo` must be `true` or the name of a user",
            ),
        }
    }

    fn on(&mut self, entry: &Entry) -> Option<On> {
        match entry.value.text() {
            Some("node") => Some(On::Node),
            Some("local") => Some(On::Local),
            _ => self.wrong(&entry.value.span, "`on` is `node` or `local`"),
        }
    }

    fn text(&mut self, name: &str, entry: &Entry) -> Option<String> {
        match entry.value.text() {
            Some(text) => Some(text.to_owned()),
            None => self.wrong(&entry.value.span, &format!("`{name}` is text")),
        }
    }

    fn wrong<T>(&mut self, span: &Span, message: &str) -> Option<T> {
        self.problems
            .push(Problem::error("bad-attribute", span.clone(), message));
        None
    }
}

/// The argument's text; commands have their own variables.
fn told_text(kind: ArgumentKind, text: &str) -> Interpolated {
    match kind {
        ArgumentKind::Shell => Interpolated::literal(text),
        _ => Interpolated::read(text),
    }
}

/// Kinds for which an empty list is no expectation, as in goss, and how to expect nothing instead.
fn says_nothing(kind: FactKind) -> Option<&'static str> {
    match kind {
        FactKind::Lines | FactKind::Headers => Some("write `\"\"` to expect no text"),
        FactKind::List | FactKind::Sorted | FactKind::Addresses => {
            Some("write `{consist-of: []}` to expect nothing")
        }
        _ => None,
    }
}

fn is_empty(yaml: &Yaml) -> bool {
    matches!(&yaml.value, Value::Seq(items) if items.is_empty())
}

fn expectation(fact: &Fact, matcher: crate::Matcher) -> Expectation {
    Expectation {
        fact: fact.name.clone(),
        kind: fact.kind,
        gate: fact.gate,
        matcher,
    }
}
