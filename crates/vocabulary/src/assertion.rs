//! One typed assertion: the arguments of the probe, and the expected facts.

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

/// One parsed typed assertion: the probe to run, its arguments, and the expected facts.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The kind, such as `service`, and its place.
    pub kind: Spanned<String>,
    /// The name of the resource, such as `nginx`, and its place.
    pub resource: Spanned<Interpolated>,
    pub(super) probe: Arc<Kind>,
    pub(super) title: Option<Interpolated>,
    pub(super) waiver: Option<Waiver>,
    pub(super) eventually: Option<(Duration, Duration)>,
    pub(super) timeout: Option<Duration>,
    pub(super) sudo: Option<SudoUser>,
    pub(super) on: Option<On>,
    /// In the order of the header; only those with a value.
    pub(super) arguments: Vec<ArgumentText>,
    /// In the order of the header, so that gates come first.
    pub(super) expected: Vec<Expectation>,
    /// A value in the check itself: `content` of `matching`.
    pub(super) given: Option<Found>,
    /// The node's values in the author's commands, for a person who repeats them by hand.
    pub(super) told_by_hand: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct ArgumentText {
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

/// `skip`: the reason, and the last day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The author's reason.
    pub reason: String,
    /// The last day without evaluation; `None` if unlimited.
    pub until: Option<Date>,
}

/// The decision about an assertion.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// All expectations are met.
    Holds,
    /// It was evaluated, and something is wrong.
    Fails(Vec<Evidence>),
    /// The deciding facts were not available, and nothing else is wrong.
    CannotLook(CannotLook),
}

impl Assertion {
    /// `service/nginx`, in one line.
    #[must_use]
    pub fn name(&self) -> String {
        in_one_line(&format!("{}/{}", self.kind.value, self.resource.value))
    }

    /// Everything that decides it, with values, as one text: for comparison, never for display.
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

    /// The author's title, with values.
    #[must_use]
    pub fn title(&self) -> Option<String> {
        self.title.as_ref().map(ToString::to_string)
    }

    /// The waiver, if it is waived.
    #[must_use]
    pub fn skip(&self) -> Option<&Waiver> {
        self.waiver.as_ref()
    }

    /// How long to try, and how often.
    #[must_use]
    pub fn eventually(&self) -> Option<(Duration, Duration)> {
        self.eventually
    }

    /// The time after which to kill its process, if the check sets one.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The user that it runs as, if not the login user.
    #[must_use]
    pub fn sudo(&self) -> Option<&SudoUser> {
        self.sudo.as_ref()
    }

    /// Where it is evaluated: on the node, unless the check says otherwise.
    #[must_use]
    pub fn on(&self) -> On {
        self.on.unwrap_or(On::Node)
    }

    /// Whether the probe may wait for anything but the node's own files: in a batch, it would delay
    /// the other checks.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.probe.waits
    }

    /// The arguments of the probe, by the name of the shell variable without `arg_`.
    #[must_use]
    pub fn arguments(&self) -> Vec<(String, Interpolated)> {
        self.arguments
            .iter()
            .map(|told| (told.name.replace('-', "_"), told.text.clone()))
            .collect()
    }

    /// The author's commands. They get values as shell variables, never in their text. The script
    /// needs the variables that they mention; the same holds for arguments with an open name, each
    /// of which is a command here.
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

    /// Substitutes a node's values in the arguments and the name. A remaining name becomes a
    /// variable of the script: a secret, which no text may contain.
    pub fn fill_arguments(&mut self, value: &mut dyn FnMut(&str) -> Option<String>) {
        self.resource.value = self.resource.value.fill(&mut *value);
        for told in &mut self.arguments {
            told.text = told.text.fill(&mut *value);
        }
    }

    /// An argument that is invalid after substitution.
    #[must_use]
    pub fn ill_formed(&self) -> Option<String> {
        self.arguments.iter().find_map(|told| {
            let text = told.text.known().filter(|text| !text.is_empty())?;
            form::wrong(told.kind, &text)
        })
    }

    /// Stores the value of a variable in the author's commands, for a person who repeats them by
    /// hand.
    pub fn tell(&mut self, name: &str, value: &str) {
        self.told_by_hand.push((name.to_owned(), value.to_owned()));
    }

    /// Substitutes a node's values in the expectations and the title.
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

    /// Decides by the facts, now.
    #[must_use]
    pub fn decide(&self, facts: &Facts) -> Decision {
        self.decide_at(facts, Timestamp::now())
    }

    /// Decides by the facts; days are counted from `now`.
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
                    "opsbook read only the beginning of `{}`, which is not enough to decide",
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

    /// The command to look by hand.
    #[must_use]
    pub fn by_hand(&self, facts: &Facts) -> String {
        let form = facts.found_with().unwrap_or_default();
        let mut text = String::with_capacity(form.len());
        let mut rest = form;
        // In one pass: a substituted value is not parsed again.
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
            // A command with a wrong exit status usually has a message that explains it.
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

/// Whether the beginning of a text suffices to decide: a required line was found in it.
fn settled(matcher: &Matcher, result: &Result<bool, String>) -> bool {
    let Matcher::Patterns(written) = matcher else {
        return false;
    };
    *result == Ok(true)
        && !written
            .iter()
            .any(|pattern| pattern.strip_prefix('!').is_some())
}

/// Shortens long texts with an ellipsis: people read the evidence.
fn shorten(text: &str) -> String {
    const LIMIT: usize = 400;
    if text.len() <= LIMIT {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LIMIT)])
}
