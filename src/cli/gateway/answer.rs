//! `opsbook answer`: shows and answers the questions of a run.

use std::io::Write;

use clap::Args;

use super::watch::shown;
use super::{At, speak};
use crate::cli::Streams;
use crate::cli::context::Chosen;
use crate::cli::error::Failure;
use crate::cli::form::{self, Form};
use crate::wire::{AnswerIn, Answered, QuestionView, RunView, endpoint};

/// Show the questions of a run, or answer one
#[derive(Args, Debug)]
pub(crate) struct AnswerArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// One of the answers that the question offers, or any text if it offers none; shows the
    /// questions if absent
    #[arg(value_name = "ANSWER")]
    answer: Option<String>,
    /// The node of the question, if several nodes ask
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// A note on the answer
    #[arg(long, value_name = "TEXT", requires = "answer")]
    note: Option<String>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    at: At,
}

pub(crate) fn answer(
    args: &AnswerArgs,
    dir: &Chosen,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let client = args.at.client(dir)?;
    let path = endpoint::of(endpoint::RUN, &[&args.run]);
    let view: RunView = speak(&client, streams, args.form.is_json(), async |client| {
        client.get(&path).await
    })?;
    let questions = view.questions.iter();
    let meant = |question: &&QuestionView| args.node.as_ref().is_none_or(|n| *n == question.node);
    let questions: Vec<&QuestionView> = questions.filter(meant).collect();
    let Some(answer) = &args.answer else {
        return show(&questions, args, streams);
    };
    let question = match questions[..] {
        [question] => question,
        [] => {
            let run = &args.run;
            return Err(Failure::Error(format!(
                "run {run} asks nothing at this moment"
            )));
        }
        _ => {
            let nodes: Vec<&str> = questions.iter().map(|asks| asks.node.as_str()).collect();
            return Err(Failure::Error(format!(
                "several nodes ask: `--node` names one of {}",
                nodes.join(", ")
            )));
        }
    };
    let given = AnswerIn {
        node: question.node.clone(),
        epoch: question.epoch,
        seq: question.seq,
        answer: answer.clone(),
        note: args.note.clone(),
    };
    let path = endpoint::of(endpoint::ANSWERS, &[&args.run]);
    let answered: Answered = speak(&client, streams, args.form.is_json(), async |client| {
        client.post(&path, &given).await
    })?;
    if args.form.is_json() {
        form::line(&answered, streams)?;
    } else {
        writeln!(streams.people(), "{}: {}", question.node, answered.answer)?;
    }
    Ok(0)
}

fn show(
    questions: &[&QuestionView],
    args: &AnswerArgs,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    for question in questions {
        if args.form.is_json() {
            form::line(question, streams)?;
        } else {
            writeln!(streams.people(), "{}", shown(question))?;
        }
    }
    if questions.is_empty() && !args.form.is_json() {
        writeln!(streams.talk, "run {} asks nothing at this moment", args.run)?;
    }
    Ok(0)
}
