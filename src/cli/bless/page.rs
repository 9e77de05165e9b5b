//! Writes expectations into their pages: after their blocks, or instead of existing ones; as a
//! patch or into the files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::Streams;
use crate::cli::adopt::{is_clean, patch};
use crate::cli::error::Failure;
use crate::manual::expect::bless::Blessed;
use crate::manual::{Block, Command, Expect, ExpectKind, Kind, Manual};
use crate::source::Problem;

/// The pages of a manual, and the changes to them.
pub(super) struct Pages<'a> {
    root: &'a Path,
    manual: &'a Manual,
    edits: BTreeMap<usize, Vec<Edit>>,
}

/// Lines to replace; numbers from 0.
struct Edit {
    lines: std::ops::Range<usize>,
    text: String,
}

/// A fence in the lines of a page.
struct Fence {
    opening: usize,
    closing: usize,
    indent: String,
    marks: String,
}

/// The place of an expectation: of a block, or of one command in a transcript.
pub(super) struct Place<'a> {
    pub page: usize,
    pub block: usize,
    pub command: Option<&'a Command>,
    /// The existing expectation.
    pub known: Option<&'a Expect>,
}

impl Fence {
    /// Lines of the block, with its indentation.
    fn within(&self, lines: &[String]) -> Result<String, &'static str> {
        let ends = |line: &String| line.trim_start().starts_with(&self.marks);
        if lines.iter().any(ends) {
            return Err("prints a fence: write its expectation yourself");
        }
        let mut text = String::new();
        for line in lines {
            let line = format!("{}{line}", self.indent);
            let _ = writeln!(text, "{}", line.trim_end());
        }
        Ok(text)
    }

    /// A separate block.
    fn fenced(&self, words: &str, lines: &[String]) -> Result<String, &'static str> {
        let (indent, marks, within) = (&self.indent, &self.marks, self.within(lines)?);
        Ok(format!("{indent}{marks}{words}\n{within}{indent}{marks}\n"))
    }
}

/// Output in a transcript, where some lines would have another meaning.
fn below_command(
    fence: &Fence,
    lines: std::ops::Range<usize>,
    expected: &[String],
) -> Result<Edit, &'static str> {
    let begins = |line: &String| {
        let marked = ["$ ", "# ", "> ", "exit "]
            .iter()
            .any(|mark| line.starts_with(mark));
        marked || line == ">"
    };
    if expected.iter().any(begins) {
        return Err(
            "prints what looks like a prompt, a title or a status of a transcript: write an \
             `expect` block",
        );
    }
    let text = fence.within(expected)?;
    Ok(Edit { lines, text })
}

impl<'a> Pages<'a> {
    pub fn new(root: &'a Path, manual: &'a Manual) -> Pages<'a> {
        Pages {
            root,
            manual,
            edits: BTreeMap::new(),
        }
    }

    /// Sets the expectation of a block or a command.
    pub fn expect(&mut self, place: &Place<'_>, blessed: &Blessed) -> Result<(), &'static str> {
        let own = &self.manual.pages[place.page];
        let block = own.blocks.get(place.block);
        let block = block.ok_or("its block was not found in the page")?;
        let lines: Vec<&str> = own.source.text.split_inclusive('\n').collect();
        let fence = |block: &Block| {
            if block.span.path() != own.source.path {
                return Err("is in an included file: change it yourself");
            }
            let line = (block.span.line() as usize).saturating_sub(1);
            fence(&lines, line).ok_or("its fence is not alone on its line")
        };
        let around = fence(block)?;
        let within = |line: &usize| around.opening < *line && *line < around.closing;
        let known = place.known.map(|known| known.span.line() as usize - 1);
        let edit = match (place.command, known) {
            (Some(command), None) => {
                let text = &command.text;
                let last = text.text.trim_end().len();
                let line = text.span(last.saturating_sub(1)..last).line() as usize;
                below_command(&around, line..line, &blessed.lines)?
            }
            (Some(_), Some(first)) if within(&first) => {
                let shown = place
                    .known
                    .map_or(0, |known| known.text.text.lines().count());
                below_command(&around, first..first + shown, &blessed.lines)?
            }
            (_, None) => {
                let words = match blessed.kind {
                    ExpectKind::Json => "json expect",
                    _ => "text expect",
                };
                let behind = around.closing + 1;
                Edit {
                    lines: behind..behind,
                    text: around.fenced(words, &blessed.lines)?,
                }
            }
            (_, Some(_)) => {
                let behind = own.blocks.get(place.block + 1);
                let behind = behind.filter(|block| block.kind == Some(Kind::Expect));
                let behind = fence(behind.ok_or("its expectation was not found in the page")?)?;
                Edit {
                    lines: behind.opening + 1..behind.closing,
                    text: behind.within(&blessed.lines)?,
                }
            }
        };
        self.edits.entry(place.page).or_default().push(edit);
        Ok(())
    }

    /// Prints the patch, or writes the pages.
    pub fn give(self, write: bool, streams: &mut Streams) -> Result<(), Failure> {
        let mut unsaved = Vec::new();
        for (page, mut edits) in self.edits {
            let source = &self.manual.pages[page].source;
            let file: PathBuf = self.root.join(&source.path);
            edits.sort_by_key(|edit| std::cmp::Reverse(edit.lines.start));
            let mut lines: Vec<String> = source
                .text
                .split_inclusive('\n')
                .map(str::to_owned)
                .collect();
            let crlf = source.text.contains("\r\n");
            for mut edit in edits {
                if crlf {
                    edit.text = edit.text.replace('\n', "\r\n");
                }
                lines.splice(edit.lines, [edit.text]);
            }
            let text = lines.concat();
            if !write {
                patch(&file, &source.text, &text, streams)?;
            } else if is_plain(&file) && is_clean(&file) {
                std::fs::write(&file, text)?;
            } else {
                unsaved.push(file.display().to_string());
            }
        }
        streams.people().flush()?;
        if unsaved.is_empty() {
            return Ok(());
        }
        let message = format!(
            "not changed, because they have uncommitted changes: {}",
            unsaved.join(", ")
        );
        let problem = Problem::bare("not-clean", message);
        Err(Failure::from(problem.hint(
            "commit them first, or apply the patch that is printed without `--write`",
        )))
    }
}

/// Whether it is a regular file: the target of a link may not be a page.
fn is_plain(file: &Path) -> bool {
    std::fs::symlink_metadata(file).is_ok_and(|about| about.is_file())
}

/// The fence whose opening line, or the comment before it, is at this line.
fn fence(lines: &[&str], from: usize) -> Option<Fence> {
    let is_opening = |line: &&str| line.trim_start().starts_with(['`', '~']);
    let opening = (from..lines.len().min(from + 3)).find(|at| is_opening(&lines[*at]))?;
    let line = lines[opening];
    let bare = line.trim_start_matches(' ');
    let indent = line[..line.len() - bare.len()].to_owned();
    let mark = bare.chars().next()?;
    let marks: String = bare.chars().take_while(|c| *c == mark).collect();
    if marks.len() < 3 {
        return None;
    }
    let closes = |line: &str| {
        let line = line.trim();
        line.len() >= marks.len() && line.chars().all(|c| c == mark)
    };
    let closing = (opening + 1..lines.len()).find(|at| closes(lines[*at]))?;
    Some(Fence {
        opening,
        closing,
        indent,
        marks,
    })
}
