//! `opsbook serve`: serves the book locally while it is written.

use std::io::Write;

use clap::Args;

use crate::cli::error::Failure;
use crate::cli::{Streams, block_on};
use crate::project::Place;
use crate::serve::Server;
use crate::source::Problem;

/// Preview the book, on an address of this machine only
///
/// A changed page is rendered when it is requested, with its problems at their places; the browser
/// reloads automatically. Nothing is run: no step, no check, no command of book.toml. The book is
/// written only into a temporary folder.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The port on 127.0.0.1; 0 takes any
    #[arg(short, long, value_name = "PORT", default_value_t = 3000)]
    port: u16,
}

pub(crate) fn run(args: &Serve, place: Place, streams: &mut Streams) -> Result<u8, Failure> {
    let cannot = |why: &dyn std::fmt::Display| {
        Failure::from(Problem::bare(
            "serve",
            format!("cannot serve the book: {why}"),
        ))
    };
    block_on(async {
        let server = Server::open(place, args.port).await;
        let server = server.map_err(|error| cannot(&error))?;
        writeln!(streams.people(), "http://{}/", server.address())?;
        streams.people().flush()?;
        let said = Box::new(|line: &str| {
            // If this stream is closed, nobody can read the message.
            let _ = writeln!(std::io::stderr(), "{line}");
        });
        server.run(said).await.map_err(|error| cannot(&error))?;
        Ok(0)
    })
}
