//! The operator's terminal: questions asked and answered on it, whatever the standard streams
//! are, and Ctrl-C counted.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use tokio::sync::{mpsc, watch};

use crate::cli::progress::Progress;
use crate::engine::{Answer, Asked, Question};
use crate::event::What;
use crate::journal;
use crate::plan::{NodePlan, Plan};
use crate::report::dry_run;
use crate::session::Secret;

/// What a prompt needs to know of the run around it.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    interrupts: watch::Receiver<u32>,
    about: About,
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
        for event in record
            .events
            .iter()
            .filter(|event| event.node.as_deref() == Some(node))
        {
            if let What::Output { text: piece, .. } = &event.what {
                text.push_str(piece);
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
        let mut text = Vec::new();
        if dry_run::step(planned, step, &mut text).is_ok() {
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

fn show(text: &str) {
    // Whoever reads the terminal is gone if this fails; the next prompt finds out.
    let _ = Tty::open().write(text);
}

impl Terminal {
    pub fn new(interrupts: watch::Receiver<u32>, about: About) -> Terminal {
        Terminal { interrupts, about }
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
                self.choice(prompt, &[("y", Answer::Yes), ("n", Answer::No)])
                    .await
            }
            Asked::Manual { step, text } => {
                let text: String = text.lines().map(|line| format!("  {line}\n")).collect();
                let prompt =
                    format!("{node}: {step}: to be done by you:\n{text}  done? [y]es, [n]o > ");
                self.choice(prompt, &[("y", Answer::Yes), ("n", Answer::No)])
                    .await
            }
            Asked::Menu {
                step,
                title,
                bundle,
            } => {
                let mut prompt = format!(
                    "{node}: {step}: {title}\n  [r]un, [s]kip, [b]y hand, [o]utput so far, [!] shell, [q]uit > "
                );
                loop {
                    let Some(line) = self.line(prompt).await else {
                        return self.gone();
                    };
                    match line
                        .trim()
                        .chars()
                        .next()
                        .map(|key| key.to_ascii_lowercase())
                    {
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
            Asked::Note { step } => {
                let prompt = format!("  note for the journal on {step}: ");
                self.line(prompt).await.map_or(Answer::Quit, Answer::Note)
            }
            Asked::Interrupted { step } => {
                let prompt = format!(
                    "\n{node}: {step} is running: [s]top it, [l]eave it running and go, [h]old after it > "
                );
                let choices = [
                    ("s", Answer::Stop),
                    ("l", Answer::Leave),
                    ("h", Answer::Hold),
                ];
                self.choice(prompt, &choices).await
            }
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
            prompt = "  > ".to_owned();
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
        let read = tokio::task::spawn_blocking(move || Tty::open().read(&prompt));
        self.interrupts.mark_unchanged();
        tokio::select! {
            read = read => read.ok().flatten(),
            Ok(()) = self.interrupts.changed() => None,
        }
    }

    async fn secret(&mut self, prompt: String) -> Answer {
        let read = tokio::task::spawn_blocking(move || Tty::open().read_hidden(&prompt));
        self.interrupts.mark_unchanged();
        tokio::select! {
            read = read => read.ok().flatten().map_or(Answer::Nobody, Answer::Secret),
            Ok(()) = self.interrupts.changed() => Answer::Nobody,
        }
    }
}

/// Where one question is put: the controlling terminal, or, where there is none, standard
/// input, so that answers can be piped in.
enum Tty {
    Terminal(File),
    Input,
}

impl Tty {
    fn open() -> Tty {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
        terminal.map_or(Tty::Input, Tty::Terminal)
    }

    fn write(&mut self, text: &str) -> Option<()> {
        match self {
            Tty::Terminal(file) => file.write_all(text.as_bytes()).ok(),
            Tty::Input => std::io::stderr().write_all(text.as_bytes()).ok(),
        }
    }

    fn read(mut self, prompt: &str) -> Option<String> {
        self.write(prompt)?;
        let mut line = String::new();
        let read = match &self {
            Tty::Terminal(file) => BufReader::new(file).read_line(&mut line).ok()?,
            Tty::Input => {
                let read = std::io::stdin().read_line(&mut line).ok()?;
                self.write("\n")?;
                read
            }
        };
        (read > 0).then_some(line.trim_end_matches(['\n', '\r']).to_owned())
    }

    /// Without an echo; only a terminal can keep a secret.
    fn read_hidden(mut self, prompt: &str) -> Option<Secret> {
        self.write(prompt)?;
        let Tty::Terminal(file) = &mut self else {
            return None;
        };
        let before = tcgetattr(&*file).ok()?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&*file, OptionalActions::Flush, &hidden).ok()?;
        let mut line = Vec::new();
        let read = BufReader::new(&*file).read_until(b'\n', &mut line);
        let restored = tcsetattr(&*file, OptionalActions::Flush, &before);
        file.write_all(b"\n").ok()?;
        restored.ok()?;
        if read.ok()? == 0 {
            return None;
        }
        while line
            .last()
            .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
        {
            line.pop();
        }
        Some(Secret::new(line))
    }
}

/// Counts Ctrl-C and TERM. The third ends this process at once: what runs on nodes goes on
/// and can be resumed.
pub(crate) fn count_interrupts() -> watch::Receiver<u32> {
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
            if *sender.borrow() >= 3 {
                std::process::exit(i32::from(crate::cli::error::exit(
                    crate::event::Status::Stopped,
                )));
            }
        }
    });
    receiver
}
