//! `opsbook sheet`: a procedure on paper, for given nodes.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::book;
use crate::cli::Streams;
use crate::cli::error::Failure;
use crate::plan::{Part, Request};
use crate::project::{Project, Who};
use crate::report::checklist;
use crate::source::Problem;

/// Make a checklist of a procedure on nodes, for work by hand
///
/// Each step has its values as in a real run, a box for it and for each of its checks, and room for
/// time and signature. No node is reached and nothing is run. Secrets, and values known only in a
/// run, appear by name.
#[derive(Args, Debug)]
pub(crate) struct Sheet {
    /// The procedure, as `opsbook list` names it
    #[arg(value_name = "PROCEDURE")]
    procedure: String,
    /// Nodes or selectors; for a procedure with roles: ROLE=NODE
    #[arg(value_name = "NODE")]
    nodes: Vec<String>,
    /// An argument of the procedure; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = crate::cli::show::name_and_value)]
    set: Vec<(String, String)>,
    /// Write it as a PDF, with an installed Chromium
    #[arg(long, value_name = "FILE", required_unless_present = "html")]
    pdf: Option<PathBuf>,
    /// Write it as an HTML page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(crate) fn run(args: &Sheet, project: &Project, streams: &mut Streams) -> Result<u8, Failure> {
    let request = Request {
        procedure: &args.procedure,
        nodes: &args.nodes,
        set: &args.set,
    };
    let plan = project.plan(&request)?;
    let who = Who::here(&project.root);
    let revision = who
        .revision()
        .map(|revision| format!("revision {revision}, "));
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    let foot = format!("{}made {now}", revision.unwrap_or_default());
    let page = checklist::html(&plan, Part::default(), &foot);
    let cannot = |error: std::io::Error| {
        Failure::from(Problem::bare(
            "write",
            format!("cannot write the sheet: {error}"),
        ))
    };
    if let Some(file) = &args.html {
        std::fs::write(file, &page).map_err(cannot)?;
        writeln!(streams.people(), "{}", file.display())?;
    }
    if let Some(file) = &args.pdf {
        let room = tempfile::tempdir().map_err(cannot)?;
        let html = room.path().join("sheet.html");
        std::fs::write(&html, &page).map_err(cannot)?;
        book::pdf(&html, file)?;
        writeln!(streams.people(), "{}", file.display())?;
    }
    Ok(0)
}
