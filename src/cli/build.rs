//! `opsbook build`: builds the book and reports its problems.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::book::{self, BookError, Built, Options};
use crate::project::Place;

/// Build the book: a folder of pages that needs no network and no server.
///
/// The book is built next to its destination and moved there when it is complete. Problems of the
/// manual are listed and do not prevent the book, unless `--strict` is given: even with errors it
/// is built, the exit status is 0, and the last line gives their number.
#[derive(Args, Debug)]
pub struct Build {
    /// The folder of the book; `build-dir` of `book.toml`, or `book`, if absent.
    #[arg(short, long, value_name = "DIR")]
    dest: Option<PathBuf>,
    /// If there is any problem, even a warning, keep the old book and exit with 2.
    #[arg(long)]
    strict: bool,
    /// The manual is a stranger's, for example a pull request: run no command of its book.toml, use
    /// none of its HTML, theme, styles and scripts, read nothing outside its folder, and limit time
    /// and memory.
    #[arg(long)]
    untrusted: bool,
    /// Also write the book into one file, which contains all pages, pictures and values and needs
    /// no other file.
    #[arg(long, value_name = "FILE.html")]
    single: Option<PathBuf>,
    /// Also print the book into this PDF, with an installed Chromium.
    #[arg(long, value_name = "FILE", conflicts_with = "untrusted")]
    pdf: Option<PathBuf>,
    /// This process has the limits.
    #[arg(long, hide = true, requires = "untrusted")]
    bounded: bool,
    /// The place of the manual.
    #[arg(skip)]
    place: Option<Place>,
}

/// The limits for a stranger's manual: processor seconds, and bytes.
const SECONDS: u64 = 600;
const MEMORY: u64 = 4 << 30;

impl Build {
    /// Whether it is somebody else's manual.
    pub(crate) fn is_untrusted(&self) -> bool {
        self.untrusted
    }

    /// Sets what to build, and the default destination.
    pub(crate) fn of(mut self, place: Option<Place>, dest: Option<PathBuf>) -> Build {
        self.place = place;
        self.dest = self.dest.or(dest);
        self
    }
}

/// Builds the book of the manual in `root`. Writes problems to `talk` and the book's path to `out`.
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
    // If these streams are closed, nobody can read the messages.
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

/// Runs the same command in another process with limits.
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
        // If a lower limit is already set, it stays.
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
            "`allow-html` is on: pages can run scripts, and load and send anything"
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
