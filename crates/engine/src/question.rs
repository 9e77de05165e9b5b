//! The engine's questions to a person. Who answers, and how, is unknown here.

use tokio::sync::{mpsc, oneshot};

use crate::outside::Outside;
use crate::session::Secret;

/// One question to the operator, with one answer.
#[derive(Debug)]
pub struct Question {
    /// The node in question; in a turn, the text of the site.
    pub node: String,
    /// The question.
    pub ask: Asked,
    /// `seq` of the event about the question; `None` without an event.
    pub asked: Option<u64>,
    /// Channel for the answer; dropped if nobody answers.
    pub reply: oneshot::Sender<Answer>,
}

/// The possible questions.
#[derive(Clone, Debug)]
pub enum Asked {
    /// The password of `sudo` for this user on the node.
    SudoPassword {
        /// The user to become.
        user: String,
        /// Whose password it is, where that is not the login user's.
        of: Option<Outside>,
    },
    /// A secret that `nodes.yaml` leaves to the operator.
    Secret {
        /// The author's words.
        prompt: String,
    },
    /// Before a step with `confirm`.
    Confirm {
        /// The step's label.
        step: String,
        /// Its title on the page.
        title: String,
    },
    /// A `manual` step: the operator does it and confirms.
    Manual {
        /// The step's label.
        step: String,
        /// The author's text with values substituted.
        text: String,
    },
    /// Before each step with `--step`; `bundle` is its path on the node.
    Menu {
        /// The step's label.
        step: String,
        /// Its title on the page.
        title: String,
        /// The bundle's folder on the node.
        bundle: String,
    },
    /// A step was done by hand: asks for a note.
    Note {
        /// The step's label.
        step: String,
    },
    /// A skipped step has output that later steps need: asks for the value.
    Value {
        /// The step's label.
        step: String,
        /// The name that it captures.
        name: String,
    },
    /// Ctrl-C while a step runs.
    Interrupted {
        /// The step's label.
        step: String,
    },
    /// Before running a step again that may have succeeded.
    Again {
        /// The step's label.
        step: String,
        /// Why that is unknown.
        because: String,
    },
    /// Any other confirmation: its subject, all details for those who want more, and the question.
    Sure {
        /// The subject in one line.
        about: String,
        /// All details.
        whole: String,
        /// The question.
        asks: String,
    },
}

impl Asked {
    /// What a person must know to answer, other than the step itself.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        match self {
            Asked::Manual { text, .. } => Some(text.clone()),
            Asked::Again { because, .. } => Some(format!("it {because}")),
            Asked::Sure { about, .. } => Some(about.clone()),
            _ => None,
        }
    }

    /// The valid answers, for somebody who answers remotely; empty if any text is valid.
    #[must_use]
    pub fn choices(&self) -> Vec<String> {
        let words: &[&str] = match self {
            Asked::Confirm { .. } => &["yes", "no", "continue"],
            Asked::Manual { .. } | Asked::Sure { .. } => &["yes", "no"],
            Asked::Menu { .. } => &["run", "skip", "by hand", "continue", "quit"],
            Asked::Again { .. } => &["again", "done", "quit"],
            Asked::Interrupted { .. } => &["stop", "leave", "hold"],
            Asked::SudoPassword { .. }
            | Asked::Secret { .. }
            | Asked::Note { .. }
            | Asked::Value { .. } => &[],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}

/// The possible answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Do it.
    Yes,
    /// Do not do it, and stop.
    No,
    /// Yes, also to the following questions.
    Onward,
    /// Not asked: an earlier answer was [`Answer::Onward`].
    AsBefore,
    /// A password or a secret.
    Secret(Secret),
    /// Done, with a note on it.
    Note(String),
    /// In the step menu: skip the step.
    Skip,
    /// In the step menu: it is done by hand.
    ByHand,
    /// Stop here; also the meaning of Ctrl-C at every question.
    Quit,
    /// At an interruption: kill the step.
    Stop,
    /// At an interruption: leave; the step continues by itself.
    Leave,
    /// At an interruption: let the step end, then halt.
    Hold,
    /// Nobody can answer.
    Nobody,
}

/// The sending side of questions.
#[derive(Clone, Debug)]
pub struct Operator(mpsc::Sender<Question>);

impl Operator {
    /// The receiver answers; dropping it means that nobody can.
    #[must_use]
    pub fn new() -> (Operator, mpsc::Receiver<Question>) {
        let (sender, receiver) = mpsc::channel(1);
        (Operator(sender), receiver)
    }

    /// Asks and waits for the answer; [`Answer::Nobody`] if nobody can answer. `asked` is the `seq`
    /// of the event about the question.
    pub async fn ask(&self, node: &str, ask: Asked, asked: Option<u64>) -> Answer {
        let (reply, answer) = oneshot::channel();
        let question = Question {
            node: node.to_owned(),
            ask,
            asked,
            reply,
        };
        if self.0.send(question).await.is_err() {
            return Answer::Nobody;
        }
        answer.await.unwrap_or(Answer::Nobody)
    }
}
