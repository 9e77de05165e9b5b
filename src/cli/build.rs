//! `opsbook build`: makes the book and says what is wrong in it.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::book::{self, BookError, Built, Options};

/// Make the book: a folder of pages that needs no network and no server.
///
/// The book is built beside its place and put there when it is finished. Problems of the
/// manual are listed and do not keep the book back, unless `--strict` is given: with errors too
/// it is built, the exit status is 0, and the last line says how many there are.
#[derive(Args, Debug)]
pub struct Build {
    /// Where the book goes; `build-dir` of `book.toml`, or `book`, if absent.
    #[arg(short, long, value_name = "DIR")]
    dest: Option<PathBuf>,
    /// Leave the old book in its place if anything is wrong, warnings too, and exit with 2.
    #[arg(long)]
    strict: bool,
}

/// Builds the book of the manual in `root`. Problems go to `talk`, the book's place to `out`.
/// Returns the exit status.
pub fn run(
    args: &Build,
    root: &Path,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> Result<u8, BookError> {
    let options = Options {
        strict: args.strict,
    };
    let built = book::build(root, args.dest.as_deref(), &options)?;
    // Nobody is left to tell where these streams are closed.
    let _ = tell(&built, out, talk);
    Ok(if built.published { 0 } else { 2 })
}

fn tell(built: &Built, out: &mut dyn Write, talk: &mut dyn Write) -> std::io::Result<()> {
    for problem in &built.problems {
        writeln!(talk, "{problem}\n")?;
    }
    let errors = built.problems.iter().filter(|p| p.is_error()).count();
    let warnings = built.problems.len() - errors;
    if errors + warnings > 0 {
        writeln!(
            talk,
            "{}, {}",
            count(errors, "error"),
            count(warnings, "warning")
        )?;
    }
    if built.published {
        writeln!(talk, "{} in the book", count(built.pages, "page"))?;
        writeln!(out, "{}", built.index().display())?;
        if errors > 0 {
            writeln!(talk, "built with {}", count(errors, "error"))?;
        }
        Ok(())
    } else {
        writeln!(talk, "the book was not replaced")
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
