//! The operator's terminal: questions asked and answered on it, whatever the standard streams
//! are, and Ctrl-C counted.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::cli::error::exit;
use crate::cli::progress::Progress;
use crate::cli::tty::{CTRL_C, Hidden, Line, Tty, show};
use crate::engine::{Answer, Asked, Question};
use crate::event::{Status, What};
use crate::journal;
use crate::plan::{NodePlan, Plan};
use crate::report::dry_run;
use crate::report::known::Known;
use crate::session::Secret;

/// What a prompt needs to know of the run around it.
#[derive(Debug)]
pub(crate) struct Terminal {
    interrupts: watch::Receiver<u32>,
    about: About,
    /// Of a question that Ctrl-C has answered: whoever asks next gets what is typed.
    reading: Option<JoinHandle<Option<Line>>>,
}

/// The run around a prompt.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub root: PathBuf,
    pub run: String,
    /// None where there are no steps to ask about.
    pub plan: Option<Arc<Plan>>,
    pub progress: Progress,
}

impl About {
    fn planned(&self, node: &str) -> Option<&NodePlan> {
        self.plan
            .as_ref()?
            .nodes
            .iter()
            .find(|planned| planned.node.name == node)
    }

    /// What the steps printed, from the journal.
    fn output(&self, node: &str) {
        let Ok(record) = journal::read(&self.root, &self.run) else {
            return;
        };
        let mut text = String::new();
        for event in record.of_node(node) {
            if let What::Output { text: piece, .. } = &event.what {
                text.extend(piece.lines().map(|line| format!("{line}\n")));
            }
        }
        show(if text.is_empty() {
            "  nothing yet\n"
        } else {
            &text
        });
    }

    /// What to do by hand, with this node's values.
    fn by_hand(&self, node: &str, step: &str) {
        let Some(planned) = self.planned(node) else {
            return;
        };
        let Some(step) = planned.steps.iter().find(|planned| planned.name == step) else {
            return;
        };
        let record = journal::read(&self.root, &self.run);
        let known = record.map_or_else(|_| Known::default(), |record| Known::of(&record, node));
        let mut text = Vec::new();
        if dry_run::step(planned, step, &known, &mut text).is_ok() {
            show(&String::from_utf8_lossy(&text));
        }
    }

    async fn shell(&self, node: &str, bundle: &str) {
        let Some(planned) = self.planned(node) else {
            return;
        };
        let mut command = crate::cli::bridge::shell_in(&planned.node, bundle);
        let ended = tokio::task::spawn_blocking(move || command.status()).await;
        if let Ok(Err(error)) = ended {
            show(&format!("  no shell: {error}\n"));
        }
    }
}

const YES_OR_NO: [(&str, Answer); 2] = [("y", Answer::Yes), ("n", Answer::No)];
const AGAIN_OR_DONE: [(&str, Answer); 3] = [
    ("a", Answer::Yes),
    ("d", Answer::ByHand),
    ("q", Answer::Quit),
];
const STOP_OR_LEAVE: [(&str, Answer); 3] = [
    ("s", Answer::Stop),
    ("l", Answer::Leave),
    ("h", Answer::Hold),
];

impl Terminal {
    pub fn new(interrupts: watch::Receiver<u32>, about: About) -> Terminal {
        Terminal {
            interrupts,
            about,
            reading: None,
        }
    }

    /// Answers questions until nobody asks any more. At the end of the input every answer is
    /// that nobody is there.
    pub async fn answer(mut self, mut questions: mpsc::Receiver<Question>) {
        while let Some(question) = questions.recv().await {
            self.about.progress.pause();
            let answer = self.ask(&question).await;
            self.about.progress.go_on();
            // An asker that went away needs no answer.
            let _ = question.reply.send(answer);
        }
    }

    async fn ask(&mut self, question: &Question) -> Answer {
        let node = &question.node;
        match &question.ask {
            Asked::SudoPassword { user } => {
                let prompt = format!("password of sudo as {user} on {node}: ");
                self.secret(prompt).await
            }
            Asked::Secret { prompt } => self.secret(format!("{prompt}: ")).await,
            Asked::Confirm { step, title } => {
                let prompt = format!("{node}: {step}: {title}\n  go on? [y]es, [n]o > ");
                self.choice(prompt, &YES_OR_NO).await
            }
            Asked::Manual { step, text } => {
                let text: String = text.lines().map(|line| format!("  {line}\n")).collect();
                let prompt =
                    format!("{node}: {step}: to be done by you:\n{text}  done? [y]es, [n]o > ");
                self.choice(prompt, &YES_OR_NO).await
            }
            Asked::Menu {
                step,
                title,
                bundle,
            } => self.menu(node, step, title, bundle).await,
            Asked::Note { step } => {
                let prompt = format!("  note for the journal on {step}: ");
                let note = self.line(prompt).await;
                note.map_or_else(|| self.gone(), Answer::Note)
            }
            Asked::Again { step, because } => {
                let prompt =
                    format!("{node}: {step} {because}: run it [a]gain, it is [d]one, [q]uit > ");
                self.choice(prompt, &AGAIN_OR_DONE).await
            }
            // Pressed once more while other nodes were asked about.
            Asked::Interrupted { .. } if *self.interrupts.borrow() > 1 => Answer::Stop,
            Asked::Interrupted { step } => {
                let prompt = format!(
                    "\n{node}: {step} is running: [s]top it, [l]eave it running and go, [h]old after it > "
                );
                self.choice(prompt, &STOP_OR_LEAVE).await
            }
        }
    }

    async fn menu(&mut self, node: &str, step: &str, title: &str, bundle: &str) -> Answer {
        let mut prompt = format!(
            "{node}: {step}: {title}\n  [r]un, [s]kip, [b]y hand, [o]utput so far, [!] shell, [q]uit > "
        );
        loop {
            let Some(line) = self.line(prompt).await else {
                return self.gone();
            };
            let key = line.trim().chars().next();
            match key.map(|key| key.to_ascii_lowercase()) {
                Some('r') => return Answer::Yes,
                Some('s') => return Answer::Skip,
                Some('b') => {
                    self.about.by_hand(node, step);
                    return Answer::ByHand;
                }
                Some('q') => return Answer::Quit,
                Some('o') => self.about.output(node),
                Some('!') => self.about.shell(node, bundle).await,
                _ => {}
            }
            prompt = "  r, s, b, o, ! or q > ".to_owned();
        }
    }

    async fn choice(&mut self, prompt: String, choices: &[(&str, Answer)]) -> Answer {
        let mut prompt = prompt;
        loop {
            let Some(line) = self.line(prompt.clone()).await else {
                return self.gone();
            };
            let line = line.trim().to_lowercase();
            let first: String = line.chars().take(1).collect();
            if let Some((_, answer)) = choices.iter().find(|(key, _)| *key == first) {
                return answer.clone();
            }
            let keys: Vec<&str> = choices.iter().map(|(key, _)| *key).collect();
            prompt = format!("  {} > ", keys.join(", "));
        }
    }

    /// No answer: the operator wants to stop, or there is none.
    fn gone(&self) -> Answer {
        if *self.interrupts.borrow() > 0 {
            Answer::Quit
        } else {
            Answer::Nobody
        }
    }

    /// `None` at the end of the terminal's input, and for Ctrl-C.
    async fn line(&mut self, prompt: String) -> Option<String> {
        let line = self.typed(&prompt).await?;
        Some(String::from_utf8_lossy(&line).into_owned())
    }

    async fn typed(&mut self, prompt: &str) -> Option<Line> {
        self.interrupts.mark_unchanged();
        Tty::open().write(prompt)?;
        let reading = self.reading.take();
        let mut reading =
            reading.unwrap_or_else(|| tokio::task::spawn_blocking(|| Tty::open().read()));
        let line = tokio::select! {
            line = &mut reading => line.ok().flatten(),
            Ok(()) = self.interrupts.changed() => {
                self.reading = Some(reading);
                None
            }
        };
        if line.is_none() {
            show("\n");
        }
        line
    }

    /// Without an echo; only a terminal can keep a secret.
    async fn secret(&mut self, prompt: String) -> Answer {
        let Some(hidden) = Hidden::begin() else {
            Tty::open().write(&prompt);
            return Answer::Nobody;
        };
        let line = self.typed(&prompt).await;
        drop(hidden);
        if line.is_some() {
            show("\n");
        }
        match line {
            Some(line) if line.ends_with(&[CTRL_C]) => {
                let this = rustix::process::getpid();
                let _ = rustix::process::kill_process(this, rustix::process::Signal::INT);
                Answer::Nobody
            }
            Some(line) => Answer::Secret(Secret::new(line.to_vec())),
            None => Answer::Nobody,
        }
    }
}

/// Counts Ctrl-C and TERM. Of the first, the operator is asked about each step that runs; the
/// second stops them all; the third ends this process at once, and what runs on nodes goes on.
pub(crate) fn count_interrupts(run: String, progress: Progress) -> watch::Receiver<u32> {
    let (sender, receiver) = watch::channel(0);
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            return;
        };
        loop {
            tokio::select! {
                Some(()) = interrupt.recv() => {}
                Some(()) = terminate.recv() => {}
                else => return,
            }
            sender.send_modify(|count| *count += 1);
            match *sender.borrow() {
                1 => {}
                2 => progress.above(|| show(STOPPING)),
                _ => {
                    progress.pause();
                    show(&left(&run));
                    std::process::exit(i32::from(exit(Status::Stopped)));
                }
            }
        }
    });
    receiver
}

const STOPPING: &str = "\nstopping what runs: TERM, and KILL ten seconds later; Ctrl-C once more goes away and leaves it running\n";

fn left(run: &str) -> String {
    format!(
        "\nleft: a step that still runs on a node goes on to its end, and its bundle is kept\n\n\
         hint: `opsbook resume {run}` reads how it ended and goes on; `opsbook handoff {run}` lists what is left\n"
    )
}
