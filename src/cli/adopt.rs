//! `opsbook adopt`: turns ordinary pages into pages that run, as a patch.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use opsbook_adopt::{ExaminedBlock, Suggestion, Tags};

use crate::cli::Streams;
use crate::cli::context::{self, Chosen};
use crate::cli::error::Failure;
use crate::outside;
use crate::project::{Project, git};
use crate::source::{Problem, counted};

/// The most bytes of a page.
const MOST_BYTES: u64 = 4 << 20;

/// Tag the blocks of existing pages: what only reads becomes a check, what changes something a step
///
/// Prints a patch for `git apply`; `--write` changes the pages. Tags only blocks whose kind is
/// certain, and changes no character of a command. Lists the remaining blocks with the reason. Exit
/// status 0 if none remains, 1 if some do.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  opsbook adopt                              all pages of this manual
  opsbook adopt docs/alerts/agent.md         one page, in a manual or not
  opsbook adopt docs --write                 change all pages below docs
  opsbook adopt | git apply                  the same as --write")]
pub(crate) struct Adopt {
    /// Pages, or folders of pages; all pages of the manual if absent
    #[arg(value_name = "PAGE")]
    pages: Vec<PathBuf>,
    /// Change the pages. A page with changes that git does not have is skipped
    #[arg(long)]
    write: bool,
    /// Write the tags into comments above the fences, for generators that allow no words on a
    /// fence. The default if there is a `mkdocs.yml`
    #[arg(long)]
    comments: bool,
}

struct Page {
    file: PathBuf,
    /// The name that its ids are derived from.
    name: String,
    text: String,
}

pub(crate) fn run(args: &Adopt, chosen: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let project = context::read(chosen).ok();
    let tags = if args.comments || has_mkdocs(project.as_ref()) {
        Tags::Comments
    } else {
        Tags::Words
    };
    let mut left = 0;
    let mut unsaid = Vec::new();
    let mut unsaved = Vec::new();
    let mut blocks = 0;
    let pages = pages(args, project.as_ref())?;
    let looked_at = pages.len();
    for page in pages {
        let adopted = opsbook_adopt::page(&page.name, &page.text, tags);
        let lines = adopted.unsaid.iter();
        unsaid.extend(lines.map(|line| format!("{}:{line}", page.name)));
        blocks += adopted.blocks.len();
        if adopted.blocks.is_empty() {
            continue;
        }
        left += account(&page, &adopted.blocks, streams)?;
        if adopted.text == page.text {
            continue;
        }
        if !args.write {
            patch(&page.file, &page.text, &adopted.text, streams)?;
        } else if is_clean(&page.file) {
            std::fs::write(&page.file, &adopted.text)?;
        } else {
            unsaved.push(page.file.display().to_string());
        }
    }
    if blocks == 0 && unsaid.is_empty() {
        let pages = counted(looked_at, "page");
        writeln!(streams.talk, "{pages}: no untagged shell block")?;
    }
    if let Some(first) = unsaid.first() {
        writeln!(
            streams.talk,
            "{} without a language, from {first} on: write `sh` after the fence of each that a shell \
             runs",
            counted(unsaid.len(), "block")
        )?;
    }
    if !unsaved.is_empty() {
        let message = format!(
            "not changed, because they have uncommitted changes: {}",
            unsaved.join(", ")
        );
        let problem = Problem::bare("not-clean", message);
        return Err(Failure::from(problem.hint(
            "commit them first, or apply the patch that `opsbook adopt` prints",
        )));
    }
    Ok(u8::from(left > 0))
}

/// MkDocs shows a fence with more than one word as text.
fn has_mkdocs(project: Option<&Project>) -> bool {
    let root = project.map_or(Path::new("."), |project| &project.root);
    ["mkdocs.yml", "mkdocs.yaml"]
        .iter()
        .any(|name| root.join(name).is_file())
}

/// The pages in order, each once.
fn pages(args: &Adopt, project: Option<&Project>) -> Result<Vec<Page>, Failure> {
    let mut files: Vec<PathBuf> = Vec::new();
    if args.pages.is_empty() {
        let Some(project) = project else {
            let problem = Problem::bare(
                "no-manual",
                "there is no manual here, and you named no page",
            );
            let folder = if Path::new("docs").is_dir() {
                "docs"
            } else {
                "."
            };
            return Err(Failure::from(problem.hint(format!(
                "`opsbook adopt {folder}` reads all pages below that folder"
            ))));
        };
        let own = project.manual.pages.iter();
        files.extend(own.map(|page| project.root.join(&page.source.path)));
    }
    for named in &args.pages {
        if named.is_dir() {
            below(named, &mut files)?;
        } else {
            files.push(named.clone());
        }
    }
    let mut pages = Vec::new();
    for file in files {
        // The target of a link may not be a page, and must not be written to.
        let about = std::fs::symlink_metadata(&file)?;
        if !about.is_file() || about.len() > MOST_BYTES {
            let message = format!(
                "`{}` is not a page: a page is a regular file, not a link, of at most \
                 {MOST_BYTES} bytes",
                file.display()
            );
            return Err(Failure::from(Problem::bare("no-page", message)));
        }
        let text = std::fs::read_to_string(&file)?;
        pages.push(Page {
            name: name(&file, project),
            file,
            text,
        });
    }
    Ok(pages)
}

/// All `*.md` files in a folder, sorted; skips hidden folders and links.
fn below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder)?.collect();
    let mut entries = entries?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (kind, path) = (entry.file_type()?, entry.path());
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if kind.is_dir() && !hidden {
            below(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "md") {
            files.push(path);
        }
    }
    Ok(())
}

/// The path relative to the manual's pages, or as given.
fn name(file: &Path, project: Option<&Project>) -> String {
    let inside = project.and_then(|project| {
        let source = project.root.join(&project.manual.settings.source);
        let source = source.canonicalize().ok()?;
        Some(
            file.canonicalize()
                .ok()?
                .strip_prefix(source)
                .ok()?
                .to_owned(),
        )
    });
    let name = inside.unwrap_or_else(|| file.to_owned());
    let parts = name.components().filter_map(|part| match part {
        std::path::Component::Normal(part) => part.to_str(),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Reports what was tagged and what remains; returns the number of remaining blocks.
fn account(page: &Page, blocks: &[ExaminedBlock], streams: &mut Streams) -> Result<usize, Failure> {
    let many = |wanted: fn(&Suggestion) -> bool| {
        blocks
            .iter()
            .filter(|block| wanted(&block.suggestion))
            .count()
    };
    let checks = many(|said| *said == Suggestion::Check);
    let steps = many(|said| *said == Suggestion::Step);
    let examples = many(|said| matches!(said, Suggestion::Example(_)));
    let left = many(|said| matches!(said, Suggestion::Left(_)));
    writeln!(
        streams.talk,
        "{}: {}: {}, {}, {}, {left} left",
        from_here(&page.file)?.display(),
        counted(blocks.len(), "shell block"),
        counted(checks, "check"),
        counted(steps, "step"),
        counted(examples, "example"),
    )?;
    for block in blocks {
        if let Suggestion::Left(left) = &block.suggestion {
            let (likely, why) = (left.likely.word(), outside::line(&left.why));
            writeln!(streams.talk, "  :{}  {likely}? {why}", block.line)?;
        }
    }
    Ok(left)
}

/// A path relative to the working folder, if it is below that.
fn from_here(page: &Path) -> std::io::Result<&Path> {
    let file = page.strip_prefix(std::env::current_dir()?).unwrap_or(page);
    Ok(file.strip_prefix(".").unwrap_or(file))
}

/// A patch for git, with paths relative to the working folder.
pub(crate) fn patch(
    page: &Path,
    old: &str,
    text: &str,
    streams: &mut Streams,
) -> Result<(), Failure> {
    let file = from_here(page)?.display();
    let diff = similar::TextDiff::from_lines(old, text);
    let mut diff = diff.unified_diff();
    diff.context_radius(3)
        .header(&format!("a/{file}"), &format!("b/{file}"));
    write!(streams.data(), "{diff}")?;
    Ok(())
}

/// Whether git has the current contents of the file, so that nothing can be lost.
pub(crate) fn is_clean(file: &Path) -> bool {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let asked = git(folder.unwrap_or(Path::new(".")))
        .args(["status", "--porcelain", "--ignored", "--"])
        .arg(file.file_name().unwrap_or_default())
        .stderr(std::process::Stdio::null())
        .output();
    asked.is_ok_and(|asked| asked.status.success() && asked.stdout.is_empty())
}
