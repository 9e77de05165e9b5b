//! `opsbook build`: makes the book and says what is wrong in it.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::book::{self, BookError, Built, Options};
use crate::project::Place;

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
    /// The manual is a stranger's, as in a pull request: run no command of its book.toml, use
    /// none of its HTML, theme, styles and scripts, read nothing outside its folder, and take
    /// bounded time and memory.
    #[arg(long)]
    untrusted: bool,
    /// Write the book into one file, too: it holds all pages, pictures and values, and needs
    /// nothing beside it.
    #[arg(long, value_name = "FILE.html")]
    single: Option<PathBuf>,
    /// Print the book into this PDF, too, with an installed Chromium.
    #[arg(long, value_name = "FILE", conflicts_with = "untrusted")]
    pdf: Option<PathBuf>,
    /// The process is the bounded one.
    #[arg(long, hide = true, requires = "untrusted")]
    bounded: bool,
    /// Where the manual comes from.
    #[arg(skip)]
    place: Option<Place>,
}

/// What the manual of a stranger may take: seconds of the processor, and bytes.
const SECONDS: u64 = 600;
const MEMORY: u64 = 4 << 30;

impl Build {
    /// Somebody else's manual.
    pub(crate) fn is_untrusted(&self) -> bool {
        self.untrusted
    }

    /// What is built, and where the book goes where nobody has said another place.
    pub(crate) fn of(mut self, place: Option<Place>, dest: Option<PathBuf>) -> Build {
        self.place = place;
        self.dest = self.dest.or(dest);
        self
    }
}

/// Builds the book of the manual in `root`. Problems go to `talk`, the book's place to `out`.
/// Returns the exit status.
pub fn run(
    args: &Build,
    root: &Path,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> Result<u8, BookError> {
    if args.untrusted && !args.bounded {
        return bounded(root, args.dest.as_deref());
    }
    if args.bounded {
        limit();
    }
    let options = Options {
        strict: args.strict,
        untrusted: args.untrusted,
        place: args.place.clone(),
        ..Options::default()
    };
    let built = book::build(root, args.dest.as_deref(), &options)?;
    // Nobody is left to tell where these streams are closed.
    let _ = tell(&built, out, talk);
    if built.published {
        if let Some(file) = &args.single {
            book::single(&built.destination, file)?;
            let _ = writeln!(out, "{}", file.display());
        }
        if let Some(file) = &args.pdf {
            book::pdf(&built.destination.join("print.html"), file)?;
            let _ = writeln!(out, "{}", file.display());
        }
    }
    Ok(if built.published { 0 } else { 2 })
}

/// Runs the same command in a process of its own, which ends where it takes too much.
fn bounded(root: &Path, dest: Option<&Path>) -> Result<u8, BookError> {
    let failed = |error: std::io::Error| BookError::Render(error.to_string());
    let program = std::env::current_exe().map_err(failed)?;
    let mut child = std::process::Command::new(program)
        .args(std::env::args_os().skip(1))
        .arg("--bounded")
        .stdin(std::process::Stdio::null())
        .spawn()
        .map_err(failed)?;
    let process = child.id();
    let status = child.wait().map_err(failed)?;
    if let Some(code) = status.code() {
        return Ok(u8::try_from(code).unwrap_or(2));
    }
    let beside = std::path::absolute(dest.unwrap_or(root)).unwrap_or_default();
    let beside = beside.parent().unwrap_or(root);
    book::clear_after(process, &[root, beside]);
    let (minutes, gigabytes) = (SECONDS / 60, MEMORY >> 30);
    Err(BookError::Render(format!(
        "it took more than {minutes} minutes of work, or {gigabytes} GiB of memory ({status})"
    )))
}

fn limit() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    for (resource, most) in [(Resource::Cpu, SECONDS), (Resource::As, MEMORY)] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        // Where a lower limit stands already, that one holds.
        let _ = setrlimit(resource, limit);
    }
}

fn tell(built: &Built, out: &mut dyn Write, talk: &mut dyn Write) -> std::io::Result<()> {
    for command in &built.commands {
        writeln!(talk, "`book.toml` ran the command `{command}`")?;
    }
    if built.allows_html {
        writeln!(
            talk,
            "`allow-html` is on: pages may run, load and send what they like"
        )?;
    }
    for problem in crate::source::first_of_each(&built.problems) {
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
