//! One typed assertion: what to tell the probe, and what its facts must be.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::event::Evidence;
use crate::facts::{CannotLook, Facts};
use crate::form;
use crate::found::Found;
use crate::header::{ArgumentKind, FactKind, Kind};
use crate::interpolation::Interpolated;
use crate::manual::{On, Spanned, SudoUser, shell_word};
use crate::matchers::Matcher;
use crate::patterns;
use crate::source::in_one_line;

/// One typed assertion, understood: which probe to run with which arguments, and what its
/// facts must be.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The type, such as `service`, and where it stands.
    pub kind: Spanned<String>,
    /// The name of the resource, such as `nginx`, and where it stands.
    pub resource: Spanned<Interpolated>,
    pub(super) probe: Arc<Kind>,
    pub(super) title: Option<Interpolated>,
    pub(super) waiver: Option<Waiver>,
    pub(super) eventually: Option<(Duration, Duration)>,
    pub(super) timeout: Option<Duration>,
    pub(super) sudo: Option<SudoUser>,
    pub(super) on: Option<On>,
    /// In the order of the header; those without a value are not here.
    pub(super) arguments: Vec<Told>,
    /// In the order of the header, so that gates come first.
    pub(super) expected: Vec<Expectation>,
    /// What the check itself brings along: `content` of `matching`.
    pub(super) given: Option<Found>,
    /// Values of the node that the author's commands mention, for who looks by hand.
    pub(super) told_by_hand: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct Told {
    pub name: String,
    pub kind: ArgumentKind,
    pub text: Interpolated,
}

#[derive(Clone, Debug)]
pub(super) struct Expectation {
    pub fact: String,
    pub kind: FactKind,
    pub gate: bool,
    pub matcher: Matcher,
}

/// `skip`: why, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The author's reason.
    pub reason: String,
    /// The last day on which it is not asked; none where that has no end.
    pub until: Option<Date>,
}

/// What the facts say about an assertion.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Everything that the author expects is so.
    Holds,
    /// Looked, and it is wrong.
    Fails(Vec<Evidence>),
    /// What would decide it was not to be seen, and nothing else is wrong.
    CannotLook(CannotLook),
}

impl Assertion {
    /// `service/nginx`, in one line.
    #[must_use]
    pub fn name(&self) -> String {
        in_one_line(&format!("{}/{}", self.kind.value, self.resource.value))
    }

    /// All that decides it, values put in, as one text: to be compared, never shown.
    #[must_use]
    pub fn asked(&self) -> String {
        let told = self.arguments.iter();
        let told: Vec<String> = told
            .map(|told| format!("{}={:?}", told.name, told.text))
            .collect();
        let expected = self.expected.iter();
        let expected: Vec<String> = expected
            .map(|one| format!("{} {:?}", one.fact, one.matcher))
            .collect();
        let (on, sudo) = (self.on(), &self.sudo);
        format!(
            "{}\n{}\n{on:?} {sudo:?} {:?}\n{}\n{}",
            self.kind.value,
            self.probe.body,
            self.given,
            told.join("\n"),
            expected.join("\n")
        )
    }

    /// The author's title, with values put in.
    #[must_use]
    pub fn title(&self) -> Option<String> {
        self.title.as_ref().map(ToString::to_string)
    }

    /// Why it is not to be asked, where it is waived.
    #[must_use]
    pub fn skip(&self) -> Option<&Waiver> {
        self.waiver.as_ref()
    }

    /// Try for the first, every second.
    #[must_use]
    pub fn eventually(&self) -> Option<(Duration, Duration)> {
        self.eventually
    }

    /// After which its process is to be killed, where the check says so.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The user that it is asked as, where not the login user.
    #[must_use]
    pub fn sudo(&self) -> Option<&SudoUser> {
        self.sudo.as_ref()
    }

    /// Where it is asked: on the node, unless the check says otherwise.
    #[must_use]
    pub fn on(&self) -> On {
        self.on.unwrap_or(On::Node)
    }

    /// Whether the probe may wait for something else than the node's own files: a check of
    /// this kind in a batch holds up the others.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.probe.waits
    }

    /// What the probe is told, by name of the shell variable without `arg_`.
    #[must_use]
    pub fn arguments(&self) -> Vec<(String, Interpolated)> {
        self.arguments
            .iter()
            .map(|told| (told.name.replace('-', "_"), told.text.clone()))
            .collect()
    }

    /// Commands of the author: values are given to them as shell variables, and are never
    /// put into their text. The script must be given the variables that they mention; so it
    /// must those of arguments with a name that has no value yet, each as a command of its own.
    pub fn commands(&self) -> impl Iterator<Item = String> {
        self.arguments.iter().flat_map(|told| match told.kind {
            ArgumentKind::Shell => vec![told.text.to_string()],
            _ => told
                .text
                .names()
                .map(|name| format!("\"${{{name}}}\""))
                .collect(),
        })
    }

    /// Puts a node's values into what the probe is told, and into the name. A name that is
    /// left stays a variable of the script: a secret, which no text may hold.
    pub fn fill_arguments(&mut self, value: &mut dyn FnMut(&str) -> Option<String>) {
        self.resource.value = self.resource.value.fill(&mut *value);
        for told in &mut self.arguments {
            told.text = told.text.fill(&mut *value);
        }
    }

    /// What the probe is told and could never look at, now that values are put in.
    #[must_use]
    pub fn ill_formed(&self) -> Option<String> {
        self.arguments.iter().find_map(|told| {
            let text = told.text.known().filter(|text| !text.is_empty())?;
            form::wrong(told.kind, &text)
        })
    }

    /// The value of a variable that a command of the author mentions, for who looks by hand.
    pub fn tell(&mut self, name: &str, value: &str) {
        self.told_by_hand.push((name.to_owned(), value.to_owned()));
    }

    /// Puts a node's values into what is expected, and into the title.
    pub fn fill_expected(&mut self, value: &mut dyn FnMut(&str) -> Option<String>) {
        for expectation in &mut self.expected {
            expectation.matcher.fill(value);
        }
        if let Some(given) = &mut self.given {
            given.fill(value);
        }
        if let Some(title) = &mut self.title {
            *title = title.fill(value);
        }
    }

    /// Whether the facts are as expected, now.
    #[must_use]
    pub fn decide(&self, facts: &Facts) -> Decision {
        self.decide_at(facts, Timestamp::now())
    }

    /// Whether the facts are as expected; days are counted from `now`.
    #[must_use]
    pub fn decide_at(&self, facts: &Facts, now: Timestamp) -> Decision {
        let mut evidence = Vec::new();
        let mut unseen = None;
        for expectation in &self.expected {
            let found = match self.found(facts, expectation, now) {
                Ok(found) => found,
                Err(reason) => {
                    unseen = unseen.or(Some(reason));
                    if expectation.gate {
                        break;
                    }
                    continue;
                }
            };
            let result = expectation.matcher.matches(&found);
            if facts.is_cut(&expectation.fact) && !settled(&expectation.matcher, &result) {
                unseen = unseen.or(Some(format!(
                    "only the beginning of `{}` was read, and it does not decide",
                    expectation.fact
                )));
                continue;
            }
            let holds = result == Ok(true);
            if !holds {
                evidence.push(self.evidence(facts, expectation, &found, result.err()));
            }
            if expectation.gate && (!holds || found == Found::Bool(false)) {
                break;
            }
        }
        match (evidence.is_empty(), unseen) {
            (false, _) => Decision::Fails(evidence),
            (true, None) => Decision::Holds,
            (true, Some(reason)) => Decision::CannotLook(CannotLook {
                reason: facts.cannot_look().map_or(reason, str::to_owned),
                how: Some(self.by_hand(facts)),
            }),
        }
    }

    /// The command with which to look by hand.
    #[must_use]
    pub fn by_hand(&self, facts: &Facts) -> String {
        let form = facts.found_with().unwrap_or_default();
        let mut text = String::with_capacity(form.len());
        let mut rest = form;
        // In one pass: what was put in is not looked at again.
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let told = self.arguments.iter().find_map(|told| {
                let (raw, after) = match after.strip_prefix('=') {
                    Some(after) => (true, after),
                    None => (false, after),
                };
                let after = after.strip_prefix(told.name.as_str())?.strip_prefix('}')?;
                let value = told.text.to_string();
                Some((if raw { value } else { shell_word(&value) }, after))
            });
            rest = if let Some((value, after)) = told {
                text.push_str(&value);
                after
            } else {
                text.push('{');
                after
            };
        }
        text.push_str(rest);
        if self.told_by_hand.is_empty() {
            return text;
        }
        let values: Vec<String> = self
            .told_by_hand
            .iter()
            .map(|(name, value)| format!("{name}={}", shell_word(value)))
            .collect();
        format!("{} sh -c {}", values.join(" "), shell_word(&text))
    }

    pub(super) fn probe(&self) -> &Arc<Kind> {
        &self.probe
    }

    /// The facts that it needs, in order.
    pub(super) fn wants(&self) -> impl Iterator<Item = &str> {
        self.expected
            .iter()
            .map(|expectation| expectation.fact.as_str())
    }

    fn found(
        &self,
        facts: &Facts,
        expectation: &Expectation,
        now: Timestamp,
    ) -> Result<Found, String> {
        match (&self.given, expectation.kind) {
            (Some(given), FactKind::Given) => Ok(given.clone()),
            (None, FactKind::Given) => Ok(Found::Absent),
            (_, kind) => facts.get(&expectation.fact, kind, now),
        }
    }

    fn evidence(
        &self,
        facts: &Facts,
        expectation: &Expectation,
        found: &Found,
        error: Option<String>,
    ) -> Evidence {
        let expected = match &expectation.matcher {
            Matcher::Patterns(written) => match patterns::missing(written, &found.as_text()) {
                Ok(missing) => {
                    let missing = missing.into_iter().cloned().collect();
                    Matcher::Patterns(missing).to_string()
                }
                Err(_) => expectation.matcher.to_string(),
            },
            matcher => matcher.to_string(),
        };
        let nothing = matches!(found, Found::Absent | Found::Bool(false));
        let found = shorten(&found.to_string());
        let found = match (error, facts.note()) {
            // A command that ends otherwise than it should has as a rule said why.
            (_, Some(note)) if nothing || expectation.fact == "exit-status" => {
                format!("{found}: {note}")
            }
            (Some(error), _) if !nothing => format!("{found}: {error}"),
            _ => found,
        };
        Evidence {
            attribute: expectation.fact.clone(),
            expected: expected.into(),
            found: found.into(),
            how: Some(self.by_hand(facts)).filter(|how| !how.is_empty()),
            hint: None,
        }
    }
}

/// Whether the beginning of a text is enough to decide: a line that must be there is.
fn settled(matcher: &Matcher, result: &Result<bool, String>) -> bool {
    let Matcher::Patterns(written) = matcher else {
        return false;
    };
    *result == Ok(true)
        && !written
            .iter()
            .any(|pattern| pattern.strip_prefix('!').is_some())
}

/// Long texts end in an ellipsis: evidence is read by people.
fn shorten(text: &str) -> String {
    const LIMIT: usize = 400;
    if text.len() <= LIMIT {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LIMIT)])
}
