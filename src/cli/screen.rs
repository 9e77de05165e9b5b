//! The screen of a run: prints events as they happen, but not into an open question. This holds
//! even if standard output goes elsewhere.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cli::progress::Progress;
use crate::engine::Watcher;
use crate::event::{Event, Site, What};
use crate::report::human::Human;
use crate::report::roles::Roles;

/// The most events that are kept during a question; further output is only counted.
const KEPT: usize = 10_000;

/// Cheap to clone; clones share the screen.
#[derive(Clone)]
pub(crate) struct Screen(Arc<Mutex<State>>);

struct State {
    progress: Progress,
    print: Option<Watcher>,
    question: Question,
    /// The nodes of each role.
    roles: Roles,
    /// The running step at each site, with its title. One node may serve two turns at once.
    running: BTreeMap<(String, Option<String>), (String, String)>,
}

/// What to do with an event now.
enum Question {
    None,
    Stands {
        waiting: Vec<Event>,
        not_kept: usize,
    },
}

/// A stream that two writers share.
#[derive(Clone)]
pub(crate) struct SharedOut(Arc<Mutex<Box<dyn Write + Send>>>);

impl SharedOut {
    pub fn new(out: Box<dyn Write + Send>) -> SharedOut {
        SharedOut(Arc::new(Mutex::new(out)))
    }

    pub fn lock(&self) -> MutexGuard<'_, Box<dyn Write + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for SharedOut {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.lock().flush()
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Screen")
    }
}

impl Screen {
    /// A screen for people.
    pub fn human(out: SharedOut, progress: Progress) -> Screen {
        let mut human = Human::new(out);
        // The run continues if nobody reads; the journal has everything.
        Screen::new(
            progress,
            Some(Box::new(move |event| drop(human.event(event)))),
        )
    }

    /// A screen that shows only questions.
    pub fn of_questions() -> Screen {
        Screen::new(Progress::new(&[], false), None)
    }

    fn new(progress: Progress, print: Option<Watcher>) -> Screen {
        Screen(Arc::new(Mutex::new(State {
            progress,
            print,
            question: Question::None,
            roles: Roles::default(),
            running: BTreeMap::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node begins.
    pub fn turn(&self, node: &str) {
        self.lock().progress.turn(node);
    }

    pub fn event(&self, event: &Event) {
        let mut state = self.lock();
        state.track(event);
        match &mut state.question {
            Question::None => state.print(event),
            Question::Stands { waiting, not_kept } => {
                if waiting.len() >= KEPT && matches!(event.what, What::Output { .. }) {
                    *not_kept += 1;
                } else {
                    waiting.push(event.clone());
                }
            }
        }
    }

    /// A question begins.
    pub fn hold(&self) {
        let mut state = self.lock();
        if let Question::None = state.question {
            state.progress.pause();
            state.question = Question::Stands {
                waiting: Vec::new(),
                not_kept: 0,
            };
        }
    }

    /// A question was answered: prints the events that happened meanwhile.
    pub fn go_on(&self) {
        let mut state = self.lock();
        let question = std::mem::replace(&mut state.question, Question::None);
        state.progress.go_on();
        let Question::Stands { waiting, not_kept } = question else {
            return;
        };
        for event in &waiting {
            state.print(event);
        }
        if not_kept > 0 {
            let text = format!(
                "  {not_kept} pieces of output came during the question; `opsbook log` shows them\n"
            );
            state.progress.above(|| crate::cli::tty::show(&text));
        }
    }

    /// Writes something above the lines of the nodes, even if another writer blocks.
    pub fn above(&self, write: impl FnOnce()) {
        match self.0.try_lock() {
            Ok(state) => state.progress.above(write),
            Err(_) => write(),
        }
    }

    /// The running steps: site, name, title.
    pub fn running(&self) -> Vec<(String, String, String)> {
        let state = self.lock();
        let running = state.running.iter();
        running
            .map(|((node, turn), (name, title))| {
                let turn = turn.as_deref();
                let place = state.roles.site(Site { node, turn });
                (place, name.clone(), title.clone())
            })
            .collect()
    }
}

impl State {
    fn track(&mut self, event: &Event) {
        if let What::RunStarted(started) = &event.what {
            self.roles = Roles::of(started);
        }
        let Some(node) = &event.node else { return };
        let place = (node.clone(), event.turn.clone());
        match &event.what {
            What::StepStarted { name, title, .. } | What::StepAttached { name, title } => {
                self.running.insert(place, (name.clone(), title.clone()));
            }
            What::StepEnded(_) | What::NodeEnded { .. } => drop(self.running.remove(&place)),
            _ => {}
        }
    }

    fn print(&mut self, event: &Event) {
        let State {
            progress, print, ..
        } = self;
        if let Some(print) = print {
            progress.above(|| print(event));
        }
        progress.event(event);
    }
}

/// Events as lines of JSON, for programs: they do not wait for questions.
pub(crate) fn json(out: SharedOut) -> Watcher {
    Box::new(move |event: &Event| {
        let mut out = out.lock();
        if let Ok(line) = serde_json::to_string(event) {
            // The run continues if nobody reads; the journal has everything.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    })
}
