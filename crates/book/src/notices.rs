//! Turns mdBook's log messages into problems: mdBook exits with 0 on a broken include.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::manual::Page;
use crate::source::{Problem, Severity, Span};

use super::sanitise::Removed;

/// How many passages changed by another tool are searched for.
const MISSED: usize = 20;
/// How many passages of a page are named.
const NAMED: usize = 20;
/// The most lines kept from mdBook, and the most bytes of each: it may repeat each line of a page
/// for each error in it.
const MOST: usize = 200;
const LONGEST: usize = 600;

/// One line that mdBook logged with level WARN or ERROR.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    severity: Severity,
    message: String,
}

/// Runs code of mdBook and collects its log messages. Only for this thread.
pub(super) fn during<T>(work: impl FnOnce() -> T) -> (T, Vec<Notice>) {
    let listener = Listener::default();
    let said = Arc::clone(&listener.said);
    let subscriber = tracing_subscriber::registry().with(listener);
    let result = tracing::subscriber::with_default(subscriber, work);
    let said = said.lock().map(|mut said| std::mem::take(&mut *said));
    (result, said.unwrap_or_default())
}

/// As problems, without those that the manual reports with their places. `wanted` are the
/// preprocessors that must not be missing.
pub(super) fn problems(
    said: Vec<Notice>,
    known: &[Problem],
    wanted: &[(String, Span)],
) -> Vec<Problem> {
    let includes = known.iter().any(|problem| problem.code.contains("include"));
    said.into_iter()
        .filter(|notice| !(includes && is_about_an_include(&notice.message)))
        .map(|notice| {
            not_installed(&notice.message, wanted).unwrap_or_else(|| Problem {
                severity: notice.severity,
                ..Problem::bare("book", notice.message)
            })
        })
        .collect()
}

fn not_installed(message: &str, wanted: &[(String, Span)]) -> Option<Problem> {
    let (command, rest) = message
        .strip_prefix("The command `")?
        .split_once("` for preprocessor `")?;
    let name = rest.split('`').next()?;
    let (_, span) = wanted.iter().find(|(wanted, _)| wanted == name)?;
    let message = format!(
        "the book is built without the preprocessor `{name}`: there is no command \
         `{command}`"
    );
    let problem = Problem::error("no-preprocessor", span.clone(), message);
    Some(problem.hint("install it, or write `optional = true` under it"))
}

/// Unknown words of other generators, each once with its count.
pub(super) fn unknown(words: &std::collections::BTreeMap<String, usize>) -> Option<Problem> {
    if words.is_empty() {
        return None;
    }
    let mut all: Vec<(&String, &usize)> = words.iter().collect();
    all.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), *word));
    let more = all.len().saturating_sub(NAMED);
    let named = all.iter().take(NAMED).map(|(word, count)| match count {
        1 => format!("`{word}` once"),
        count => format!("`{word}` {count} times"),
    });
    let named: Vec<String> = named.collect();
    let more = (more > 0).then(|| format!(", and {more} more"));
    let message = format!(
        "the book shows directives of another generator as plain text: {}{}",
        named.join(", "),
        more.unwrap_or_default()
    );
    let problem = Problem::bare("foreign-words", message);
    let problem = Problem {
        severity: Severity::Warning,
        ..problem
    };
    Some(problem.hint(
        "`foreign-words = false` under `[preprocessor.opsbook]` of `book.toml` silences this",
    ))
}

/// The parts removed from a page, placed as exactly as possible in its source.
pub(super) fn removed(removed: &[Removed], chapter: &str, page: Option<&Page>) -> Vec<Problem> {
    let mut from = 0;
    let mut missed = 0;
    let problem = |Removed { what, written }: &Removed| {
        let message = format!("left out of the book: {}", what.join(", "));
        let place = page.filter(|_| missed < MISSED).and_then(|page| {
            let rest = page.text.text.get(from..)?;
            let at = from + memchr::memmem::find(rest.as_bytes(), written.as_bytes())?;
            from = at + written.len();
            Some(page.text.span(at..from))
        });
        missed += usize::from(place.is_none());
        let hint = "`allow-html = true` under `[preprocessor.opsbook]` keeps it";
        match place {
            Some(span) => Problem::warning("html-removed", span, message).hint(hint),
            None => Problem {
                severity: Severity::Warning,
                ..Problem::bare("html-removed", format!("`{chapter}`: {message}")).hint(hint)
            },
        }
    };
    let mut problems: Vec<Problem> = removed.iter().take(NAMED).map(problem).collect();
    if let Some(more) = removed.len().checked_sub(NAMED).filter(|more| *more > 0) {
        let message = format!("`{chapter}`: {more} more passages are left out of the book");
        problems.push(Problem {
            severity: Severity::Warning,
            ..Problem::bare("html-removed", message)
        });
    }
    problems
}

fn is_about_an_include(message: &str) -> bool {
    message.starts_with("Error updating \"{{#") || message.starts_with("Caused By:")
}

#[derive(Default)]
struct Listener {
    said: Arc<Mutex<Vec<Notice>>>,
}

impl<S: tracing::Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > tracing::Level::WARN || !event.metadata().target().starts_with("mdbook") {
            return;
        }
        let severity = if level == tracing::Level::ERROR {
            Severity::Error
        } else {
            Severity::Warning
        };
        let mut message = Message::default();
        event.record(&mut message);
        if let Ok(mut said) = self.said.lock()
            && said.len() < MOST
        {
            said.push(Notice {
                severity,
                message: message.0,
            });
        }
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            // Text beyond the limit is dropped.
            let _ = write!(self, "{value:?}");
        }
    }
}

impl std::fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = LONGEST.saturating_sub(self.0.len());
        let kept = &text[..text.floor_char_boundary(room)];
        self.0.push_str(kept);
        if kept.len() == text.len() {
            return Ok(());
        }
        self.0.push('…');
        Err(std::fmt::Error)
    }
}
