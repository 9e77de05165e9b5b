//! `opsbook watch`: shows the events of a run live, wherever it runs.

use std::io::Write;
use std::time::Duration;

use clap::Args;

use super::wish::Wish;
use super::{At, speak};
use crate::cli::Streams;
use crate::cli::context::Chosen;
use crate::cli::error::{Failure, exit};
use crate::cli::form::Form;
use crate::cli::screen::SharedOut;
use crate::client::{Client, ClientError};
use crate::event::{Event, Status, What};
use crate::report::human::Human;
use crate::wire::ask::Approvals;
use crate::wire::{Ended, Kind, QuestionView, RunState, RunView, endpoint};

/// The pause between two tries after the stream has broken off.
const NEXT_TRY: Duration = Duration::from_millis(500);
/// The most tries in a row without an event.
const TRIES: u32 = 40;

/// Show the events and questions of a run live, until it has ended or halted
///
/// The exit status is the run's, as for `opsbook run`.
#[derive(Args, Debug)]
pub(crate) struct WatchArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    at: At,
}

pub(crate) fn watch(args: &WatchArgs, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let client = args.at.client(dir)?;
    follow(&client, &args.run, None, args.form.is_json(), streams)
}

/// Prints the events of a run until it has ended or halted. If the gateway loses the run, repeats
/// the order. Returns the exit status.
pub(crate) fn follow(
    client: &Client,
    run: &str,
    wish: Option<&Wish>,
    json: bool,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let out = streams.take();
    let out = SharedOut::new(out);
    let mut printer = Printer {
        human: Human::new(out.clone()),
        out,
        json,
        nodes: Vec::new(),
        asked: Vec::new(),
        told: false,
    };
    let view = speak(client, streams, json, async |client| {
        until_end(client, run, wish, &mut printer).await
    })?;
    if !json {
        say_end(&view, &mut *streams.talk)?;
    }
    Ok(status(&view))
}

/// Waits until it has ended or halted; the stream may break off meanwhile.
async fn until_end(
    client: &Client,
    run: &str,
    wish: Option<&Wish>,
    printer: &mut Printer,
) -> Result<RunView, ClientError> {
    let path = endpoint::of(endpoint::EVENTS, &[run]);
    let view: RunView = client.get(&endpoint::of(endpoint::RUN, &[run])).await?;
    printer.nodes.clone_from(&view.summary.nodes);
    let (mut after, mut tries) = (None, 0);
    loop {
        match client.events(&path, after.as_deref()).await {
            Ok(mut lines) => {
                while let Some(event) = lines.next().await {
                    tries = 0;
                    after = event.id.or(after);
                    if event.name.as_deref() != Some("state") {
                        printer.line(&event.data);
                        continue;
                    }
                    let Ok(view) = serde_json::from_str::<RunView>(&event.data) else {
                        continue;
                    };
                    printer.questions(run, &view.questions);
                    printer.approval(&view);
                    if is_over(&view) {
                        return Ok(view);
                    }
                }
            }
            Err(error) if tries >= TRIES => return Err(error),
            Err(error) if error.may_pass() => {}
            Err(error) => match (error.kind(), wish) {
                (Some(Kind::NotFound), Some(wish)) => match wish.again(client, run).await {
                    Err(error) if !error.may_pass() => return Err(error),
                    _ => {}
                },
                // The gateway gets the line at which to continue from its runner again.
                (Some(Kind::Malformed), _) if after.is_some() => {}
                _ => return Err(error),
            },
        }
        tries += 1;
        tokio::time::sleep(NEXT_TRY).await;
    }
}

fn is_over(view: &RunView) -> bool {
    matches!(
        view.summary.state,
        RunState::Ended | RunState::Halted | RunState::Refused
    )
}

struct Printer {
    human: Human<SharedOut>,
    out: SharedOut,
    json: bool,
    /// All nodes of the run: each part's journal contains only its own.
    nodes: Vec<String>,
    /// Questions that were shown.
    asked: Vec<(String, u64, u64)>,
    /// Whether it was reported that the run waits for an approval.
    told: bool,
}

impl Printer {
    fn line(&mut self, line: &str) {
        if self.json {
            // The run continues if nobody reads.
            let _ = writeln!(self.out, "{line}");
            return;
        }
        let Ok(mut event) = serde_json::from_str::<Event>(line) else {
            return;
        };
        if let What::RunStarted(started) = &mut event.what
            && started.roles.is_empty()
        {
            started.nodes.clone_from(&self.nodes);
        }
        let _ = self.human.event(&event);
    }

    fn approval(&mut self, view: &RunView) {
        let wants = view.wants.as_ref().filter(|_| !self.json);
        let Some(wants) = wants else {
            self.told = false;
            return;
        };
        if !std::mem::replace(&mut self.told, true) {
            let mut net = crate::outside::Net::new(&mut self.out);
            // The run continues if nobody reads.
            let _ = writeln!(
                net,
                "{}: `opsbook approve {}`",
                waits_for(wants),
                view.summary.run
            );
        }
    }

    fn questions(&mut self, run: &str, questions: &[QuestionView]) {
        for question in questions {
            let key = (question.node.clone(), question.epoch, question.seq);
            if self.json || self.asked.contains(&key) {
                continue;
            }
            self.asked.push(key);
            let mut net = crate::outside::Net::new(&mut self.out);
            let _ = writeln!(net, "{}", shown(question))
                .and_then(|()| writeln!(net, "  opsbook answer {run} ANSWER"));
        }
    }
}

/// A question as text.
pub(crate) fn shown(question: &QuestionView) -> String {
    let mut text = format!("{} asks: {}", question.node, question.text);
    if !question.choices.is_empty() {
        text += &format!(" ({})", question.choices.join(", "));
    }
    for line in question.told.iter().flat_map(|told| told.lines()) {
        text += &format!("\n  {line}");
    }
    text
}

/// `it waits for 1 approval by @oncall`
pub(crate) fn waits_for(wants: &Approvals) -> String {
    let what = match wants.approvals {
        1 => "1 approval".to_owned(),
        more => format!("{more} approvals"),
    };
    match wants.by.as_str() {
        "" => format!("it waits for {what} by somebody else who may approve it"),
        by => format!("it waits for {what} by {by}"),
    }
}

fn say_end(view: &RunView, talk: &mut dyn Write) -> Result<(), Failure> {
    let run = &view.summary.run;
    match view.summary.state {
        RunState::Halted => {
            for part in &view.parts {
                let cause = part.cause.as_ref().map(|cause| format!(": {cause}"));
                let status = part.status.map_or("", Ended::word);
                let state = part.state.word();
                writeln!(
                    talk,
                    "{}: {state} {status}{}",
                    part.node,
                    cause.unwrap_or_default()
                )?;
            }
            writeln!(
                talk,
                "\nhint: `opsbook resume {run} --via gateway` continues it"
            )?;
        }
        RunState::Refused => writeln!(talk, "run {run} was refused")?,
        _ => {}
    }
    Ok(())
}

/// The exit status, as for `opsbook run`.
fn status(view: &RunView) -> u8 {
    let of_parts = view.parts.iter().filter_map(|part| part.status);
    let worst = view
        .summary
        .status
        .or_else(|| of_parts.reduce(Ended::worse));
    exit(match (worst, view.summary.state) {
        (Some(Ended::Failed), _) => Status::Failed,
        (Some(Ended::Error), _) => Status::Error,
        (Some(Ended::Blocked), _) => Status::Blocked,
        (Some(Ended::TimedOut), _) => Status::TimedOut,
        (Some(Ended::Stopped), _) | (_, RunState::Halted | RunState::Refused) => Status::Stopped,
        _ => Status::Ok,
    })
}
