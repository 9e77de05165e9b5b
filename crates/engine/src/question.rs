//! What an engine asks a person. Who answers, and how, is not its business.

use tokio::sync::{mpsc, oneshot};

use crate::session::Secret;

/// One question to the operator, answered once.
#[derive(Debug)]
pub struct Question {
    /// The node that it is about; in the turn of a node, the text of the site.
    pub node: String,
    /// What is asked.
    pub ask: Asked,
    /// `seq` of the event that tells of the question; none where there is no such event.
    pub asked: Option<u64>,
    /// Where the answer goes; dropped where nobody answers.
    pub reply: oneshot::Sender<Answer>,
}

/// What an operator can be asked.
#[derive(Clone, Debug)]
pub enum Asked {
    /// The password of `sudo` for this user on the node.
    SudoPassword {
        /// The user that it is for.
        user: String,
    },
    /// A secret that `nodes.yaml` leaves to the operator.
    Secret {
        /// The author's words.
        prompt: String,
    },
    /// Before a step that says `confirm`.
    Confirm {
        /// The step's label.
        step: String,
        /// Its title on the page.
        title: String,
    },
    /// A `manual` step: do it, then say so.
    Manual {
        /// The step's label.
        step: String,
        /// The author's text, with values put in.
        text: String,
    },
    /// Before each step under `--step`; `bundle` is its path on the node.
    Menu {
        /// The step's label.
        step: String,
        /// Its title on the page.
        title: String,
        /// The bundle's folder on the node.
        bundle: String,
    },
    /// A step was done by hand: what is to be noted?
    Note {
        /// The step's label.
        step: String,
    },
    /// A step was passed over whose output later steps need: what would it have captured?
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
    /// Before a step is run again that is not known to have failed.
    Again {
        /// The step's label.
        step: String,
        /// Why it is not known.
        because: String,
    },
    /// Before anything else that is to be sure: what it is about, all of that for who wants to
    /// see more, and the question.
    Sure {
        /// What the question is about, in a line.
        about: String,
        /// What there is to see for who wants to see all.
        whole: String,
        /// The question itself.
        asks: String,
    },
}

impl Asked {
    /// What a person must know to answer, where it is not the step itself.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        match self {
            Asked::Manual { text, .. } => Some(text.clone()),
            Asked::Again { because, .. } => Some(format!("it {because}")),
            Asked::Sure { about, .. } => Some(about.clone()),
            _ => None,
        }
    }

    /// The words that answer it, for who answers from elsewhere; none where any text does.
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

/// What an operator can answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Do it.
    Yes,
    /// Do not do it, and stop.
    No,
    /// Yes, and what follows is not asked any more.
    Onward,
    /// It was not asked: an earlier answer was [`Answer::Onward`].
    AsBefore,
    /// A password or a secret.
    Secret(Secret),
    /// Done, with a note on it.
    Note(String),
    /// Of the step menu: skip it.
    Skip,
    /// Of the step menu: it is done by hand.
    ByHand,
    /// Stop here; also what Ctrl-C answers to every question.
    Quit,
    /// Of an interruption: end the step.
    Stop,
    /// Of an interruption: go away, the step goes on by itself.
    Leave,
    /// Of an interruption: let the step end, then hold.
    Hold,
    /// There is nobody to ask.
    Nobody,
}

/// Where questions go.
#[derive(Clone, Debug)]
pub struct Operator(mpsc::Sender<Question>);

impl Operator {
    /// The receiving end answers; dropping it means that nobody is there.
    #[must_use]
    pub fn new() -> (Operator, mpsc::Receiver<Question>) {
        let (sender, receiver) = mpsc::channel(1);
        (Operator(sender), receiver)
    }

    /// Asks, and waits for the answer; [`Answer::Nobody`] where nobody is there.
    /// `asked` is the `seq` of the event that tells of the question.
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
