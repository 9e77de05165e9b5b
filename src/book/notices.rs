//! What mdBook only logs, as problems: it exits 0 on a broken include.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::source::{Problem, Severity};

/// One line that mdBook logged at level WARN or ERROR.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    severity: Severity,
    message: String,
}

/// Runs something of mdBook's and gathers what it says on the way. For this thread only.
pub(super) fn during<T>(work: impl FnOnce() -> T) -> (T, Vec<Notice>) {
    let listener = Listener::default();
    let said = Arc::clone(&listener.said);
    let subscriber = tracing_subscriber::registry().with(listener);
    let result = tracing::subscriber::with_default(subscriber, work);
    let said = said.lock().map(|mut said| std::mem::take(&mut *said));
    (result, said.unwrap_or_default())
}

/// As problems, without those that the manual already reports with their place.
pub(super) fn problems(said: Vec<Notice>, known: &[Problem]) -> Vec<Problem> {
    let includes = known.iter().any(|problem| problem.code.contains("include"));
    said.into_iter()
        .filter(|notice| !(includes && is_about_an_include(&notice.message)))
        .map(|notice| Problem {
            severity: notice.severity,
            ..Problem::bare("book", notice.message)
        })
        .collect()
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
        if let Ok(mut said) = self.said.lock() {
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
            // Writing into a string cannot fail.
            let _ = write!(self.0, "{value:?}");
        }
    }
}
