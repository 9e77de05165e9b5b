//! The only place that asks the operator: on the terminal, even if the standard streams are
//! redirected. Output waits during a question, earlier input is discarded, and Ctrl-C works at each
//! question.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tokio::sync::{mpsc, watch};

use crate::cli::about::About;
use crate::cli::interrupts::count_interrupts;
use crate::cli::keys::{self, Does, Key};
use crate::cli::supervised::Supervisor;
use crate::cli::tty::{Answers, CTRL_C, Hidden, Line, show};
use crate::engine::{Answer, Asked, Question};
use crate::session::Secret;

/// How many nodes with a running step a question names.
const NAMED: usize = 12;

/// Answers the questions of a run.
#[derive(Debug)]
pub(crate) struct Terminal {
    interrupts: watch::Receiver<u32>,
    /// How often Ctrl-C was pressed before the current question.
    pressed: u32,
    about: About,
    answers: Answers,
    /// The journal's number of the current question.
    asked: Option<u64>,
    /// The supervisor's note on its last answer.
    note: Option<String>,
    /// Kinds of questions that are no longer asked, and on which node; `None`: on all.
    onward: BTreeSet<(Kind, Option<String>)>,
    of_ctrl_c: OfCtrlC,
}

/// Kinds of questions where one answer may settle the following ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Confirm,
    Menu,
}

/// What the operator wants with the steps that ran at the first Ctrl-C.
#[derive(Debug)]
enum OfCtrlC {
    NotAsked,
    AskEach,
    All(Answer),
}

/// A question, ready to be displayed.
struct Put<'q> {
    node: &'q str,
    /// The step, for `v` and other keys.
    step: &'q str,
    bundle: &'q str,
    /// Its subject, above the line with the question.
    about: String,
    /// The details that `v` shows, if there are more.
    whole: Option<&'q str>,
    asks: String,
    keys: Vec<Key>,
}

impl Terminal {
    /// A supervisor can answer instead of the person at the terminal.
    pub fn new(
        interrupts: watch::Receiver<u32>,
        about: About,
        supervisor: Option<Supervisor>,
    ) -> Terminal {
        Terminal {
            interrupts,
            pressed: 0,
            about,
            answers: supervisor.map_or_else(Answers::typed, Answers::Said),
            asked: None,
            note: None,
            onward: BTreeSet::new(),
            of_ctrl_c: OfCtrlC::NotAsked,
        }
    }

    /// Answers questions until nobody asks any more. At the end of the input, every answer is
    /// [`Answer::Nobody`].
    pub async fn answer(mut self, mut questions: mpsc::Receiver<Question>) {
        while let Some(question) = questions.recv().await {
            self.about.screen.hold();
            let answer = self.ask(&question).await;
            self.about.screen.go_on();
            // If the asker is gone, it needs no answer.
            let _ = question.reply.send(answer);
        }
    }

    async fn ask(&mut self, question: &Question) -> Answer {
        self.pressed = *self.interrupts.borrow();
        self.asked = question.asked;
        if let Asked::Interrupted { step } = &question.ask {
            return self.interrupted(&question.node, step).await;
        }
        // Somebody who has pressed Ctrl-C gets no other questions.
        if self.pressed > 0 {
            return Answer::Quit;
        }
        let node = question.node.as_str();
        match &question.ask {
            Asked::SudoPassword { user, of } => {
                let of = of.as_ref();
                let of = of.map_or(" of".to_owned(), |of| format!(" of `{}` for", of.line()));
                let prompt = format!("password{of} sudo as {user} on {node}: ");
                self.secret(prompt).await
            }
            Asked::Secret { prompt } => self.secret(format!("{prompt}: ")).await,
            Asked::Note { .. } if self.note.is_some() => {
                Answer::Note(self.note.take().unwrap_or_default())
            }
            Asked::Note { step } => {
                let prompt = format!("  note for the journal on {step}: ");
                let note = self.line(&prompt).await;
                note.map_or_else(|| self.gone(), Answer::Note)
            }
            Asked::Value { step, name } => {
                let prompt = format!(
                    "  value of `{name}`, which {step} captures and later steps need (empty: none): "
                );
                let value = self.line(&prompt).await;
                value.map_or_else(|| self.gone(), Answer::Note)
            }
            Asked::Confirm { .. } if self.is_onward(Kind::Confirm, node) => Answer::AsBefore,
            Asked::Menu { .. } if self.is_onward(Kind::Menu, node) => Answer::AsBefore,
            ask => {
                let put = self.put(node, ask);
                let answer = self.choice(put, kind(ask)).await;
                match (ask, &answer) {
                    (Asked::Manual { .. }, Answer::Yes) => {
                        self.note.take().map_or(answer, Answer::Note)
                    }
                    _ => answer,
                }
            }
        }
    }

    /// The text of a question, and its keys.
    fn put<'q>(&self, node: &'q str, ask: &'q Asked) -> Put<'q> {
        let several = self.about.nodes() > 1;
        let place = self.about.place(node);
        let mut put = Put {
            node,
            step: "",
            bundle: "",
            about: String::new(),
            whole: None,
            asks: String::new(),
            keys: Vec::new(),
        };
        match ask {
            Asked::Confirm { step, title } => {
                put.step = step;
                put.about = format!("{place}: {step}: {title}\n{}", self.about.text(node, step));
                put.keys = keys::confirm(several);
                put.asks = "  go on? ".to_owned();
            }
            Asked::Manual { step, text } => {
                put.step = step;
                let text: String = text.lines().map(|line| format!("  {line}\n")).collect();
                put.about = format!("{place}: {step}: do this yourself:\n{text}");
                put.keys = keys::done();
                put.asks = "  done? ".to_owned();
            }
            Asked::Menu {
                step,
                title,
                bundle,
            } => {
                put.step = step;
                put.bundle = bundle;
                put.about = format!("{place}: {step}: {title}\n{}", self.about.text(node, step));
                put.keys = keys::menu(several);
                put.asks = "  ".to_owned();
            }
            Asked::Again { step, because } => {
                put.step = step;
                put.about = self.about.text(node, step);
                put.keys = keys::again();
                put.asks = format!("{place}: {step} {because}: ");
            }
            Asked::Sure { about, whole, asks } => {
                put.whole = Some(whole);
                put.about.clone_from(about);
                put.keys = keys::yes_or_no();
                put.asks = format!("{asks} ");
            }
            Asked::SudoPassword { .. }
            | Asked::Secret { .. }
            | Asked::Note { .. }
            | Asked::Value { .. }
            | Asked::Interrupted { .. } => {}
        }
        put
    }

    /// One question for all nodes whose step was running at the first Ctrl-C.
    async fn interrupted(&mut self, node: &str, step: &str) -> Answer {
        if let Answers::Said(supervisor) = &self.answers {
            return supervisor.of_running();
        }
        // Pressed again: do not ask.
        if self.pressed > 1 {
            return Answer::Stop;
        }
        if let OfCtrlC::All(answer) = &self.of_ctrl_c {
            return answer.clone();
        }
        let running = self.about.screen.running();
        if self.about.nodes() > 1 && matches!(self.of_ctrl_c, OfCtrlC::NotAsked) {
            let put = Put {
                node,
                step,
                bundle: "",
                about: all_of(&running),
                whole: None,
                asks: "  ".to_owned(),
                keys: keys::all_interrupted(),
            };
            let answer = self.choice(put, None).await;
            if matches!(self.of_ctrl_c, OfCtrlC::NotAsked) {
                self.of_ctrl_c = OfCtrlC::All(answer.clone());
                return answer;
            }
        }
        let put = Put {
            node,
            step,
            bundle: "",
            about: String::new(),
            whole: None,
            asks: format!("\n{}: {step} is running: ", self.about.place(node)),
            keys: keys::interrupted(),
        };
        self.choice(put, None).await
    }

    fn is_onward(&self, kind: Kind, node: &str) -> bool {
        self.onward.contains(&(kind, None)) || self.onward.contains(&(kind, Some(node.to_owned())))
    }

    /// Asks until a valid key is pressed.
    async fn choice(&mut self, put: Put<'_>, kind: Option<Kind>) -> Answer {
        let line = keys::line(&put.keys);
        let mut question = format!("{}{}{line} > ", put.about, put.asks);
        loop {
            let Some(typed) = self.line(&question).await else {
                return self.gone();
            };
            question = format!("  {line} > ");
            let Some(key) = keys::meant(&put.keys, &typed) else {
                question = format!("{}{question}", keys::explained(&put.keys));
                continue;
            };
            match (&key.does, kind) {
                // A supervisor cannot use these keys.
                (Does::View | Does::Output | Does::Shell | Does::Explain | Does::Each, _)
                    if matches!(self.answers, Answers::Said(_)) => {}
                (Does::Answer(answer), _) => return answer.clone(),
                (Does::Onward, Some(kind)) => {
                    self.onward.insert((kind, Some(put.node.to_owned())));
                    return Answer::Onward;
                }
                (Does::OnwardEverywhere, Some(kind)) => {
                    self.onward.insert((kind, None));
                    return Answer::Onward;
                }
                (Does::Onward | Does::OnwardEverywhere, None) => return Answer::Yes,
                (Does::Each, _) => {
                    self.of_ctrl_c = OfCtrlC::AskEach;
                    return Answer::Hold;
                }
                (Does::View, _) => show(&self.viewed(&put)),
                (Does::Output, _) => self.about.output(put.node),
                (Does::Shell, _) => self.about.shell(put.node, put.bundle).await,
                (Does::Explain, _) => show(&keys::explained(&put.keys)),
            }
        }
    }

    fn viewed(&self, put: &Put<'_>) -> String {
        if let Some(whole) = put.whole {
            return whole.to_owned();
        }
        if put.about.is_empty() {
            return self.about.text(put.node, put.step);
        }
        let whole = self.about.whole_of(put.node, put.step);
        whole.unwrap_or_else(|| put.about.clone())
    }

    /// Without an answer: the operator wants to stop, or nobody can answer.
    fn gone(&self) -> Answer {
        if *self.interrupts.borrow() > 0 {
            Answer::Quit
        } else {
            Answer::Nobody
        }
    }

    /// `None` at the end of the terminal's input, and for Ctrl-C.
    async fn line(&mut self, question: &str) -> Option<String> {
        let line = self.typed(question).await?;
        Some(String::from_utf8_lossy(&line).into_owned())
    }

    async fn typed(&mut self, question: &str) -> Option<Line> {
        let pressed = self.pressed;
        let line = tokio::select! {
            biased;
            Ok(_) = self.interrupts.wait_for(|count| *count > pressed) => None,
            line = self.answers.ask(question, self.asked) => line,
        };
        let line = line.map(|(line, note)| {
            self.note = note;
            line
        });
        if line.is_none() && !matches!(self.answers, Answers::Said(_)) {
            show("\n");
        }
        line
    }

    /// Without echo; only a terminal can hide input.
    async fn secret(&mut self, prompt: String) -> Answer {
        if let Answers::Said(_) = self.answers {
            return Answer::Nobody;
        }
        let Some(hidden) = Hidden::begin() else {
            show(&prompt);
            return Answer::Nobody;
        };
        let line = self.typed(&prompt).await;
        drop(hidden);
        match line {
            Some(line) if line.ends_with(&[CTRL_C]) => {
                show("\n");
                // Send the signal on: other code waits for it as well.
                let this = rustix::process::getpid();
                let _ = rustix::process::kill_process(this, rustix::process::Signal::INT);
                Answer::Quit
            }
            Some(line) => {
                show("\n");
                Answer::Secret(Secret::new(line.to_vec()))
            }
            None => self.gone(),
        }
    }
}

fn kind(ask: &Asked) -> Option<Kind> {
    match ask {
        Asked::Confirm { .. } => Some(Kind::Confirm),
        Asked::Menu { .. } => Some(Kind::Menu),
        _ => None,
    }
}

/// The running steps, for one question about all of them.
fn all_of(running: &[(String, String, String)]) -> String {
    let mut text = String::from("\nrunning now:\n");
    for (node, step, title) in running.iter().take(NAMED) {
        let _ = writeln!(text, "  {node}: {step}: {title}");
    }
    if running.len() > NAMED {
        let _ = writeln!(text, "  and {} more", running.len() - NAMED);
    }
    text
}

/// Asks one question outside of a run: yes, or anything else. `v` shows `whole`.
pub(crate) async fn sure(about: String, whole: String, asks: &str) -> Answer {
    let nothing = About::nothing();
    let interrupts = count_interrupts(String::new(), nothing.screen.clone());
    let mut terminal = Terminal::new(interrupts.1, nothing, None);
    let ask = Asked::Sure {
        about,
        whole,
        asks: asks.to_owned(),
    };
    let put = terminal.put("", &ask);
    terminal.choice(put, None).await
}
