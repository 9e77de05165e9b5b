//! `opsbook applications`: which version of each application runs where, as a gateway knows it.

use std::io::Write as _;

use clap::Args;

use super::runs::in_query;
use super::{At, speak};
use crate::cli::Streams;
use crate::cli::context::Chosen;
use crate::cli::error::Failure;
use crate::cli::form::{self, Form};
use crate::report::table::{self, Cell};
use crate::wire::application::ApplicationView;
use crate::wire::endpoint;

/// Show which version of each application runs where, as a gateway knows it
///
/// `[applications.NAME]` in `book.toml` defines its procedures and nodes, and the captured value
/// with its version. SEEN is the end of the run that captured it.
#[derive(Args, Debug)]
pub(crate) struct ApplicationsArgs {
    /// Only this one
    #[arg(value_name = "APPLICATION")]
    application: Option<String>,
    /// Only those of this manual, if the gateway has several
    #[arg(long, value_name = "MANUAL")]
    manual: Option<String>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    at: At,
}

pub(crate) fn applications(
    args: &ApplicationsArgs,
    dir: &Chosen,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let client = args.at.client(dir)?;
    let query = args.manual.as_ref();
    let query = query.map(|manual| format!("?manual={}", in_query(manual)));
    let query = query.unwrap_or_default();
    let all: Vec<ApplicationView> =
        speak(
            &client,
            streams,
            args.form.is_json(),
            async |client| match &args.application {
                Some(id) => {
                    let path = endpoint::of(endpoint::APPLICATION, &[&in_query(id)]);
                    Ok(vec![client.get(&format!("{path}{query}")).await?])
                }
                None => {
                    client
                        .get(&format!("{}{query}", endpoint::APPLICATIONS))
                        .await
                }
            },
        )?;
    if args.form.is_json() {
        for one in &all {
            form::line(one, streams)?;
        }
        return Ok(0);
    }
    if all.is_empty() {
        let message = "this manual has no applications: `[applications.NAME]` in `book.toml`";
        writeln!(streams.talk, "{message}")?;
        return Ok(0);
    }
    let rows = all.iter().flat_map(|one| {
        one.hosts.iter().map(|host| {
            let since = host.since.as_ref();
            let since = since.map(|run| format!("{run} has not ended OK since"));
            let cells: [&str; 6] = [
                &one.id,
                &host.id,
                host.version.as_deref().unwrap_or("not known"),
                host.seen.as_deref().unwrap_or_default(),
                host.run.as_deref().unwrap_or_default(),
                since.as_deref().unwrap_or_default(),
            ];
            cells.into_iter().map(Cell::from).collect::<Vec<_>>()
        })
    });
    let heading = ["APPLICATION", "NODE", "VERSION", "SEEN", "RUN", ""];
    table::write(&heading, rows.collect(), &mut streams.people())?;
    Ok(0)
}
