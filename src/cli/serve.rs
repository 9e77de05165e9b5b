//! `opsbook serve`: the book on this machine while it is written.

use std::io::Write;

use clap::Args;

use crate::cli::error::Failure;
use crate::cli::{Streams, block_on};
use crate::project::Place;
use crate::serve::Server;
use crate::source::Problem;

/// Show the book while it is written, on an address of this machine alone
///
/// A changed page is rendered when it is asked for, with what is wrong in it at its place; the
/// browser reloads by itself. Nothing is run: no step, no check, no command of book.toml. The
/// book is not written anywhere but into a temporary folder.
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
            format!("the book is not served: {why}"),
        ))
    };
    block_on(async {
        let server = Server::open(place, args.port).await;
        let server = server.map_err(|error| cannot(&error))?;
        writeln!(streams.people(), "http://{}/", server.address())?;
        streams.people().flush()?;
        let said = Box::new(|line: &str| {
            // Nobody is left to tell where this stream is closed.
            let _ = writeln!(std::io::stderr(), "{line}");
        });
        server.run(said).await.map_err(|error| cannot(&error))?;
        Ok(0)
    })
}
