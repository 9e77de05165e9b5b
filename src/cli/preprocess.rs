//! `opsbook preprocess`: called by plain mdBook, so that it builds the same pages.

use std::io::{Read, Write};

use clap::{Args, Subcommand};

use crate::book::{self, BookError};

/// Add opsbook's marks to an mdBook book (called by mdBook itself).
///
/// Named in `book.toml` as `command = "opsbook preprocess"` under `[preprocessor.opsbook]`. Reads
/// the book as JSON from standard input and writes it to standard output.
#[derive(Args, Debug)]
pub struct Preprocess {
    #[command(subcommand)]
    question: Option<Question>,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Exits with 0 if this renderer gets marks, with 1 if not.
    Supports {
        /// The renderer, as mdBook names it
        renderer: String,
    },
}

/// Returns the exit status. mdBook shows the text written to `talk`.
pub fn run(
    args: &Preprocess,
    input: impl Read,
    out: impl Write,
    talk: &mut dyn Write,
) -> Result<u8, BookError> {
    if let Some(Question::Supports { renderer }) = &args.question {
        return Ok(u8::from(!book::supports(renderer)));
    }
    for problem in crate::source::first_of_each(&book::preprocess(input, out)?) {
        // The book is more important than this message.
        let _ = writeln!(talk, "{problem}\n");
    }
    Ok(0)
}
