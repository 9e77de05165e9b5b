//! `opsbook ask`: orders a run of a procedure at a gateway.

use std::io::Write;

use clap::Args;

use super::watch::{self, waits_for};
use super::wish::Wish;
use super::{At, speak};
use crate::cli::Streams;
use crate::cli::context::Chosen;
use crate::cli::error::Failure;
use crate::cli::form::{self, Form};
use crate::wire::{Ask, Asked, Confirm, RunState};

/// Order a run of a procedure at a gateway: a runner executes it
///
/// The gateway checks your permission, makes the plan and names the run. The order is placed once,
/// even if the connection breaks repeatedly.
#[derive(Args, Debug)]
pub(crate) struct AskArgs {
    /// The procedure
    #[arg(value_name = "PROCEDURE")]
    pub procedure: String,
    /// Nodes, selectors, or ROLE=NODE
    #[arg(value_name = "NODE")]
    pub nodes: Vec<String>,
    /// An argument of the procedure; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = crate::cli::show::name_and_value)]
    pub set: Vec<(String, String)>,
    /// The manual, if the gateway has several
    #[arg(long, value_name = "MANUAL")]
    manual: Option<String>,
    /// The reason for the run
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The ticket of the run
    #[arg(long, value_name = "TICKET")]
    ticket: Option<String>,
    /// Sizes of batches: 1,5,25%
    #[arg(long, value_name = "SIZES")]
    batch: Option<String>,
    /// Start no further batch once more nodes than this have failed
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_fail: u32,
    /// Number of the first step to run
    #[arg(long, value_name = "N")]
    start_at: Option<usize>,
    /// Number of the step after which it halts
    #[arg(long, value_name = "N")]
    stop_after: Option<usize>,
    /// Answer every confirmation with yes
    #[arg(long)]
    yes: bool,
    /// Show the events until the run has ended; the exit status is the run's
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    at: At,
}

impl AskArgs {
    /// The order of `opsbook run --via gateway`.
    pub fn of_run(
        (procedure, nodes, set): (&str, &[String], &[(String, String)]),
        yes: bool,
        form: Form,
    ) -> AskArgs {
        AskArgs {
            procedure: procedure.to_owned(),
            nodes: nodes.to_vec(),
            set: set.to_vec(),
            manual: None,
            reason: None,
            ticket: None,
            batch: None,
            max_fail: 0,
            start_at: None,
            stop_after: None,
            yes,
            wait: true,
            form,
            at: At::default(),
        }
    }

    fn ask(&self) -> Ask {
        Ask {
            manual: self.manual.clone(),
            procedure: self.procedure.clone(),
            nodes: self.nodes.clone(),
            arguments: self.set.iter().cloned().collect(),
            reason: self.reason.clone(),
            ticket: self.ticket.clone(),
            batch: self.batch.clone(),
            max_fail: self.max_fail,
            start_at: self.start_at,
            stop_after: self.stop_after,
            confirm: if self.yes { Confirm::Yes } else { Confirm::Ask },
            page_sha256: None,
        }
    }
}

pub(crate) fn ask(args: &AskArgs, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let client = args.at.client(dir)?;
    let wish = Wish::new(args.ask());
    let asked = speak(&client, streams, args.form.is_json(), async |client| {
        wish.once(client).await
    })?;
    if args.form.is_json() {
        form::line(&asked, streams)?;
    } else {
        say(&asked, streams)?;
    }
    if !args.wait {
        return Ok(0);
    }
    watch::follow(
        &client,
        &asked.run,
        Some(&wish),
        args.form.is_json(),
        streams,
    )
}

fn say(asked: &Asked, streams: &mut Streams) -> Result<(), Failure> {
    let nodes: Vec<&str> = asked.parts.iter().map(|part| part.node.as_str()).collect();
    let mut out = streams.people();
    writeln!(
        out,
        "run {} on {}: {}",
        asked.run,
        nodes.join(", "),
        asked.state.word()
    )?;
    if let (RunState::WaitingApproval, Some(wants)) = (asked.state, &asked.wants) {
        writeln!(out, "{}: `opsbook approve {}`", waits_for(wants), asked.run)?;
    }
    Ok(())
}
