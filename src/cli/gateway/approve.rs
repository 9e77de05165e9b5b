//! `opsbook approve`: shows exactly what a run will do, and signs it with the person's ssh key.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::{At, speak};
use crate::cli::context::Chosen;
use crate::cli::error::{Failure, exit};
use crate::cli::terminal::sure;
use crate::cli::tty::is_anybody_there;
use crate::cli::{Streams, block_on};
use crate::client::Client;
use crate::engine::Answer;
use crate::event::{PlanRecord, Status};
use crate::package::sign::sign_for;
use crate::project::approval::sha256;
use crate::source::Problem;
use crate::wire::approve::{ApprovedPart, Document, Statement, namespace};
use crate::wire::ask::PlanView;
use crate::wire::{About, Approve, Me, RunState, RunView, endpoint};

/// The most parts in one request.
const AT_ONCE: usize = 200;

/// Show exactly what a run will do, and approve it with your ssh key
///
/// What you see is what you sign: the texts, values and files of each node, who ordered the run,
/// and until when the approval is valid. The runner makes the plan again, and compares it with what
/// you have signed.
#[derive(Args, Debug)]
pub(crate) struct ApproveArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Only on these nodes
    #[arg(value_name = "NODE")]
    nodes: Vec<String>,
    /// The ssh key, or a public key whose private key an agent has [default: `id_ed25519`,
    /// `id_ecdsa` or `id_rsa` in ~/.ssh]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// How long the approval is valid: a part that has not begun by then needs a new one
    #[arg(long = "for", value_name = "TIME", default_value = "4h", value_parser = crate::manual::duration)]
    time: Duration,
    /// Only show what would be approved
    #[arg(long, conflicts_with = "yes")]
    show: bool,
    /// Approve without a question
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    at: At,
}

pub(crate) fn approve(
    args: &ApproveArgs,
    dir: &Chosen,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let client = args.at.client(dir)?;
    let (view, mut plan) = speak(&client, streams, false, async |client| {
        let view: RunView = client
            .get(&endpoint::of(endpoint::RUN, &[&args.run]))
            .await?;
        let plan: PlanView = client
            .get(&endpoint::of(endpoint::PLAN, &[&args.run]))
            .await?;
        Ok((view, plan))
    })?;
    let documents = chosen(args, &view, std::mem::take(&mut plan.documents))?;
    let shown = shown(&view, &plan, &documents)?;
    if args.show {
        write!(streams.people(), "{shown}")?;
        return Ok(0);
    }
    if !agreed(args, &view, &shown, streams)? {
        return Ok(exit(Status::Stopped));
    }
    let view = signed(args, &client, (&view, &plan), &documents, streams)?;
    let mut out = streams.people();
    writeln!(out, "run {}: {}", args.run, view.summary.state.word())?;
    if let (RunState::WaitingApproval, Some(wants)) = (view.summary.state, &view.wants) {
        writeln!(out, "{}", super::watch::waits_for(wants))?;
    }
    Ok(0)
}

/// The documents of the selected parts.
fn chosen(
    args: &ApproveArgs,
    view: &RunView,
    mut documents: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Failure> {
    if let Some(node) = args
        .nodes
        .iter()
        .find(|node| !documents.contains_key(*node))
    {
        let message = format!("nothing on `{node}` needs an approval");
        return Err(Failure::from(Problem::bare("approve", message)));
    }
    documents.retain(|node, _| args.nodes.is_empty() || args.nodes.contains(node));
    if documents.is_empty() {
        let message = format!("run {} needs no approval", view.summary.run);
        return Err(Failure::from(Problem::bare("approve", message)));
    }
    Ok(documents)
}

fn agreed(
    args: &ApproveArgs,
    view: &RunView,
    shown: &str,
    streams: &mut Streams,
) -> Result<bool, Failure> {
    write!(streams.people(), "{shown}")?;
    if args.yes {
        return Ok(true);
    }
    if !is_anybody_there() {
        let problem = Problem::bare("approve", "there is nobody to ask");
        return Err(Failure::from(
            problem.hint("`--yes` approves what was shown"),
        ));
    }
    let asks = format!("approve run {}?", view.summary.run);
    let whole = shown.to_owned();
    let answer = block_on(async { Ok(sure(String::new(), whole, &asks).await) })?;
    Ok(matches!(answer, Answer::Yes))
}

fn signed(
    args: &ApproveArgs,
    client: &Client,
    (view, plan): (&RunView, &PlanView),
    documents: &BTreeMap<String, String>,
    streams: &mut Streams,
) -> Result<RunView, Failure> {
    let key = match &args.key {
        Some(key) => key.clone(),
        None => usual_key()?,
    };
    let about: About = speak(client, streams, false, async |client| {
        let _: Me = client.get(endpoint::ME).await?;
        client.get(endpoint::ABOUT).await
    })?;
    let namespace = namespace(&about.name);
    let time = SignedDuration::try_from(args.time).unwrap_or(SignedDuration::MAX);
    let end = Timestamp::now().checked_add(time);
    let end = end.map_err(|_| Failure::Error("`--for` is too long".to_owned()))?;
    let not_after = end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut parts = Vec::new();
    for (node, document) in documents {
        let sum = sha256(document);
        let statement = Statement {
            run: &view.summary.run,
            node,
            sha256: &sum,
            asked_by: &view.summary.asked_by,
            manner: manner(plan, node),
            not_after: &not_after,
        };
        let signature = sign_for(&namespace, &statement.text(), &key).map_err(|why| {
            let message = format!("`{}` does not sign: {why}", key.display());
            Problem::bare("not-signed", message)
        })?;
        parts.push(ApprovedPart {
            node: node.clone(),
            sha256: sum,
            signature,
        });
    }
    let path = endpoint::of(endpoint::APPROVALS, &[&view.summary.run]);
    speak(client, streams, false, async |client| {
        let mut last = view.clone();
        for parts in parts.chunks(AT_ONCE) {
            let approve = Approve {
                not_after: not_after.clone(),
                parts: parts.to_vec(),
            };
            last = client.post(&path, &approve).await?;
        }
        Ok(last)
    })
}

/// The person's default key; an agent may have the private key.
fn usual_key() -> Result<PathBuf, Failure> {
    let home = std::env::home_dir().unwrap_or_default().join(".ssh");
    let names = ["id_ed25519", "id_ecdsa", "id_rsa"];
    let files = names
        .iter()
        .flat_map(|name| [home.join(name), home.join(format!("{name}.pub"))]);
    files
        .into_iter()
        .find(|file| file.is_file())
        .ok_or_else(|| {
            let message = format!("there is no key in `{}`", home.display());
            Failure::from(Problem::bare("no-key", message).hint("`--key FILE` names one"))
        })
}

/// The options of a part.
fn manner<'a>(plan: &'a PlanView, node: &str) -> &'a str {
    plan.manners.get(node).unwrap_or(&plan.manner)
}

/// Everything that will be signed, as text.
fn shown(
    view: &RunView,
    plan: &PlanView,
    documents: &BTreeMap<String, String>,
) -> Result<String, Failure> {
    let run = &view.summary;
    let mut text = format!(
        "run {}: `{}`, requested by {}{}\n",
        run.run,
        run.procedure,
        run.asked_by,
        run.reason
            .as_ref()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default()
    );
    for (node, document) in documents {
        let read: Result<Document, _> = serde_json::from_str(document);
        let read =
            read.map_err(|error| Failure::Error(format!("the plan of `{node}`: {error}")))?;
        if read.procedure != run.procedure {
            let message = format!(
                "the gateway shows another procedure for `{node}`: `{}`",
                read.procedure
            );
            return Err(Failure::Error(message));
        }
        let plans: Result<BTreeMap<String, PlanRecord>, _> = serde_json::from_value(read.plans);
        let plans =
            plans.map_err(|error| Failure::Error(format!("the plan of `{node}`: {error}")))?;
        text += &format!("\n{}\n", manner(plan, node));
        for (name, way) in &read.machines {
            text += &format!("{name}: {way}\n");
        }
        for (name, value) in &read.arguments {
            text += &format!("  --set {name}={value}\n");
        }
        for (site, plan) in &plans {
            if plans.len() > 1 {
                text += &format!("{site}:\n");
            }
            for (number, step) in plan.numbered() {
                of_step(&mut text, number, step);
            }
        }
        text += &format!("  checksum of the plan: {}\n", sha256(document));
    }
    Ok(text)
}

fn of_step(text: &mut String, number: usize, step: &crate::event::StepRecord) {
    *text += &format!("  {number} {} ({})\n", step.title, step.place);
    for line in step.text.lines() {
        *text += &format!("    | {line}\n");
    }
    for (name, value) in &step.values {
        *text += &format!("    {name} = {value}\n");
    }
    for file in &step.files {
        let sum = file.sha256.as_deref().unwrap_or("not known here");
        *text += &format!("    file {} {sum}\n", file.to);
        for line in file.text.iter().flat_map(|text| text.lines()) {
            *text += &format!("      | {line}\n");
        }
    }
}
