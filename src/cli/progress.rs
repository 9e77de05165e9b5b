//! Shows the current activity of each node at the bottom of a terminal. Only this file names
//! indicatif.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::{Event, Site, What};

/// The most nodes that get a line; others are counted.
const ROWS: usize = 12;

/// The lines currently on the terminal.
static DRAWN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Writes something to the terminal, above the lines if there are any.
pub(crate) fn above_all(write: impl FnOnce()) {
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match drawn {
        Some(all) => all.suspend(write),
        None => write(),
    }
}

/// Cheap to clone; clones share the lines.
#[derive(Clone)]
pub(crate) struct Progress(Option<Arc<Lines>>);

struct Lines {
    all: MultiProgress,
    /// While a node is being reached, with the elapsed time; and afterwards.
    reaching: ProgressStyle,
    reached: ProgressStyle,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Progress {
    /// Draws on standard error if that is a terminal and `wanted`.
    pub fn new(nodes: &[String], wanted: bool) -> Progress {
        if !wanted || !std::io::stderr().is_terminal() {
            return Progress(None);
        }
        // A secret's command may ask something on the terminal: begin with the first event.
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(all.clone());
        let width = nodes.iter().map(String::len).max().unwrap_or(0);
        let style = |message: &str| {
            let style = format!("{{spinner}} {{prefix:{width}}}  {message}");
            let style = ProgressStyle::with_template(&style);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            style.tick_chars("-\\|/ ")
        };
        let (style, reaching) = (style("{wide_msg}"), style("{msg} {elapsed}"));
        let mut bars = HashMap::new();
        for node in nodes.iter().take(ROWS) {
            let bar = all.add(
                ProgressBar::new_spinner()
                    .with_style(style.clone())
                    .with_prefix(node.clone()),
            );
            bar.set_message("waiting for its turn");
            bar.enable_steady_tick(Duration::from_millis(125));
            bars.insert(node.clone(), bar);
        }
        if nodes.len() > ROWS {
            let bar = all.add(ProgressBar::new_spinner().with_style(style.clone()));
            bar.set_message(format!("and {} more nodes", nodes.len() - ROWS));
            bars.insert(String::new(), bar);
        }
        Progress(Some(Arc::new(Lines {
            all,
            reaching,
            reached: style,
            bars: Mutex::new(bars),
        })))
    }

    /// Writes something above the lines.
    pub fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(lines) => lines.all.suspend(write),
            None => write(),
        }
    }

    /// Removes the lines during a question, and restores them.
    pub fn pause(&self) {
        if let Some(lines) = &self.0 {
            let _ = lines.all.clear();
            lines.all.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    pub fn go_on(&self) {
        if let Some(lines) = &self.0 {
            lines
                .all
                .set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        }
    }

    /// A node begins.
    pub fn turn(&self, node: &str) {
        let Some(lines) = &self.0 else { return };
        let bars = lines.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.get(node) {
            bar.set_style(lines.reaching.clone());
            bar.reset_elapsed();
            bar.set_message("connecting");
        }
    }

    pub fn event(&self, event: &Event) {
        if let What::RunStarted(_) | What::RunResumed { .. } = event.what {
            self.go_on();
        }
        let Some(lines) = &self.0 else { return };
        let mut bars = lines.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let What::RunEnded { .. } = event.what {
            for (_, bar) in bars.drain() {
                bar.finish_and_clear();
            }
            return;
        }
        let Some(node) = event.node.as_deref() else {
            return;
        };
        // A node that serves the turns of others does not end with one of them.
        if let (What::NodeEnded { .. }, None) = (&event.what, &event.turn) {
            if let Some(bar) = bars.remove(node) {
                bar.finish_and_clear();
            }
            return;
        }
        if let (Some(bar), Some(message)) = (bars.get(node), message(event)) {
            bar.set_style(lines.reached.clone());
            bar.set_message(message);
        }
    }
}

fn message(event: &Event) -> Option<String> {
    let site = Site {
        node: event.node.as_deref().unwrap_or_default(),
        turn: event.turn.as_deref(),
    };
    let turn = site.turn_of().filter(|turn| *turn != site.node);
    let turn = turn.map_or_else(String::new, |turn| format!("for {turn}: "));
    let step = event.step.map(|step| format!("step {step}, "));
    let step = format!("{turn}{}", step.unwrap_or_default());
    match &event.what {
        What::NodeReached { .. } => Some(format!("{turn}reached")),
        What::TurnEnded { status, .. } => Some(format!("its turn has ended {status}")),
        What::StepStarted { title, .. } | What::StepAttached { title, .. } => {
            Some(format!("{step}{title}"))
        }
        What::CheckHeld { check, .. } => Some(format!("{step}{check} holds")),
        What::ConnectionLost { .. } => Some(format!("{step}connection lost; reconnecting")),
        What::Reattached { .. } => Some(format!("{step}reconnected")),
        What::BundleOpened { .. } => Some(format!("{turn}bundle opened")),
        _ => None,
    }
}
