//! `opsbook lsp`: the language server, for an editor.

use clap::Args;

use crate::cli::error::Failure;
use crate::lsp;

/// Serve an editor: lint while you type, and the meaning of names
///
/// An editor starts it, and uses the Language Server Protocol over standard input and output. It
/// runs nothing and reaches no node. `opsbook guide editors` has the settings for Neovim, Helix,
/// Emacs and VS Code.
#[derive(Args, Debug)]
pub(crate) struct Lsp {
    /// Accepted for editors; this is the only transport
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
