//! How the nodes of a suite are reached, and who is asked for passwords.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::cli::about::About;
use crate::cli::error::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::test::arguments::Asking;
use crate::engine::{Operator, Passwords, Question, Secrets};
use crate::project::Project;
use crate::report::live::Live;
use crate::session::OpenOptions;
use crate::suite::Access;

/// How nodes are reached, and who is asked for passwords.
pub(super) async fn access(
    args: &Asking,
    project: &Project,
    live: &Arc<Live>,
) -> Result<(Access, Operator), Failure> {
    let (operator, questions) = Operator::new();
    if io::stdin().is_terminal() {
        // Checks only read: Ctrl-C may end everything at once.
        let (_, interrupts) = tokio::sync::watch::channel(0);
        let (hand_on, handed_on) = mpsc::channel(1);
        tokio::spawn(Terminal::new(interrupts, About::nothing(), None).answer(handed_on));
        tokio::spawn(between(questions, hand_on, Arc::clone(live)));
    }
    let password = args
        .sudo_password_file
        .as_deref()
        .map(crate::cli::password::password)
        .transpose()?;
    let passwords = Passwords::new(operator.clone(), password);
    if args.ask_sudo_password {
        passwords.get("every node", "root", None).await?;
    }
    let open = OpenOptions {
        timeout: args.connect_timeout,
        ..OpenOptions::default()
    };
    let access = Access {
        open,
        passwords,
        secrets: Secrets::new(project.origin.clone(), operator.clone()),
    };
    Ok((access, operator))
}

/// Passes questions on; during a question, no test is printed.
async fn between(
    mut questions: mpsc::Receiver<Question>,
    hand_on: mpsc::Sender<Question>,
    live: Arc<Live>,
) {
    while let Some(question) = questions.recv().await {
        let (tell, told) = oneshot::channel();
        live.asks();
        let asked = Question {
            reply: tell,
            ..question
        };
        if hand_on.send(asked).await.is_ok()
            && let Ok(answer) = told.await
        {
            // If the asker is gone, it needs no answer.
            let _ = question.reply.send(answer);
        }
        live.answered();
    }
}
