//! `opsbook lsp`: the language server, for an editor.

use clap::Args;

use crate::cli::error::Failure;
use crate::lsp;

/// Serve an editor: what `lint` says while you type, and what the names mean
///
/// An editor starts it, and speaks the Language Server Protocol with it over its standard input
/// and output. It runs nothing and reaches no node. `opsbook guide editors` has the settings for
/// Neovim, Helix, Emacs and VS Code.
#[derive(Args, Debug)]
pub(crate) struct Lsp {
    /// As editors say it: the only way there is
    #[arg(long)]
    stdio: bool,
}

pub(crate) fn run(_: &Lsp) -> Result<u8, Failure> {
    let (connection, threads) = lsp_server::Connection::stdio();
    let served = lsp::serve(&connection);
    drop(connection);
    served.map_err(|error| Failure::Error(error.to_string()))?;
    threads.join()?;
    Ok(0)
}
