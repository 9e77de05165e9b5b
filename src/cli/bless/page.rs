//! Expectations on their pages: written behind their blocks, or in the place of those that are
//! there, as a patch or into the files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::Streams;
use crate::cli::adopt::{is_clean, patch};
use crate::cli::error::Failure;
use crate::manual::{Kind, Manual};
use crate::source::Problem;

/// The pages of a manual, and what is to be changed in them.
pub(super) struct Pages<'a> {
    root: &'a Path,
    manual: &'a Manual,
    edits: BTreeMap<usize, Vec<Edit>>,
}

/// These lines, from 0, become others.
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

impl<'a> Pages<'a> {
    pub fn new(root: &'a Path, manual: &'a Manual) -> Pages<'a> {
        Pages {
            root,
            manual,
            edits: BTreeMap::new(),
        }
    }

    /// What a block must print. `known` says that an expectation stands behind it.
    pub fn expect(
        &mut self,
        page: usize,
        block: usize,
        known: bool,
        expected: &[String],
    ) -> Result<(), &'static str> {
        let own = &self.manual.pages[page];
        let at = block + usize::from(known);
        let behind = own.blocks.get(at);
        let block = behind.filter(|block| !known || block.kind == Some(Kind::Expect));
        let block = block.ok_or("its expectation is not where it was looked for")?;
        if block.span.path() != own.source.path {
            return Err("stands in an included file: yours to change");
        }
        let lines: Vec<&str> = own.source.text.split_inclusive('\n').collect();
        let line = (block.span.line() as usize).saturating_sub(1);
        let fence = fence(&lines, line).ok_or("its fence is not alone on its line")?;
        let mut text = String::new();
        if !known {
            let _ = writeln!(text, "{}{}text expect", fence.indent, fence.marks);
        }
        for line in expected {
            let line = format!("{}{line}", fence.indent);
            let _ = writeln!(text, "{}", line.trim_end());
        }
        if !known {
            let _ = writeln!(text, "{}{}", fence.indent, fence.marks);
        }
        if expected
            .iter()
            .any(|line| line.trim_start().starts_with(&fence.marks))
        {
            return Err("prints a fence itself: yours to write");
        }
        let lines = if known {
            fence.opening + 1..fence.closing
        } else {
            fence.closing + 1..fence.closing + 1
        };
        self.edits
            .entry(page)
            .or_default()
            .push(Edit { lines, text });
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
            "left alone, because git does not have them as they are now: {}",
            unsaved.join(", ")
        );
        let problem = Problem::bare("not-clean", message);
        Err(Failure::from(problem.hint(
            "commit them first, or take the patch that is printed without `--write`",
        )))
    }
}

/// What a link leads to may be no page.
fn is_plain(file: &Path) -> bool {
    std::fs::symlink_metadata(file).is_ok_and(|about| about.is_file())
}

/// The fence whose opening line, or the comment before it, is this one.
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
