//! `opsbook access explain`: why a person may or may not do something at a gateway.

use std::io::Write;

use clap::{Args, Subcommand};

use super::runs::in_query;
use super::{At, speak};
use crate::cli::Streams;
use crate::cli::context::Chosen;
use crate::cli::error::Failure;
use crate::cli::form::{self, Form};
use crate::wire::ask::Explained;
use crate::wire::{Me, Verb, endpoint};

/// Show the permissions at a gateway
#[derive(Subcommand, Debug)]
pub(crate) enum Access {
    /// Say whether a person may do something, and which rule decides. Exit status 1 if not
    Explain(ExplainArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The procedure
    #[arg(value_name = "PROCEDURE")]
    procedure: String,
    /// The node
    #[arg(value_name = "NODE")]
    node: String,
    /// The permission: read, run, answer, stop, resume, approve
    #[arg(long, value_name = "VERB", default_value = "run", value_parser = verb)]
    verb: Verb,
    /// The person; you if absent
    #[arg(long, value_name = "PERSON")]
    person: Option<String>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    at: At,
}

fn verb(text: &str) -> Result<Verb, String> {
    Verb::of(text).ok_or_else(|| {
        let all: Vec<&str> = Verb::ALL.iter().map(|verb| verb.word()).collect();
        format!("`{text}` is none of {}", all.join(", "))
    })
}

pub(crate) fn run(args: &Access, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let Access::Explain(args) = args;
    let client = args.at.client(dir)?;
    let (person, explained) = speak(&client, streams, args.form.is_json(), async |client| {
        let person = match &args.person {
            Some(person) => person.clone(),
            None => client.get::<Me>(endpoint::ME).await?.person,
        };
        let path = format!(
            "{}?person={}&verb={}&procedure={}&node={}",
            endpoint::EXPLAIN,
            in_query(&person),
            args.verb.word(),
            in_query(&args.procedure),
            in_query(&args.node)
        );
        Ok((person, client.get::<Explained>(&path).await?))
    })?;
    if args.form.is_json() {
        form::line(&explained, streams)?;
    } else {
        say(args, &person, &explained, streams)?;
    }
    Ok(u8::from(!explained.granted))
}

fn say(
    args: &ExplainArgs,
    person: &str,
    explained: &Explained,
    streams: &mut Streams,
) -> Result<(), Failure> {
    let may = if explained.granted { "may" } else { "may not" };
    let verb = args.verb.word();
    let mut out = streams.people();
    writeln!(
        out,
        "{person} {may} {verb} `{}` on {}",
        args.procedure, args.node
    )?;
    if explained.rules.is_empty() {
        writeln!(out, "  there are no rules")?;
    }
    for rule in &explained.rules {
        let against = match rule.against.as_slice() {
            [] => "grants it".to_owned(),
            against => against.join("; "),
        };
        writeln!(out, "  {}: {against}", rule.place)?;
    }
    for need in &explained.approvals {
        let by = match need.by.as_slice() {
            [] => "whoever may approve it".to_owned(),
            by => by.join(", "),
        };
        writeln!(
            out,
            "  {}: approvals needed: {}, by {by}",
            need.place, need.count
        )?;
    }
    Ok(())
}
