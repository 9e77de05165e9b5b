//! Selections that grow: the name, its line, the block's body, the block, each section around it,
//! the page.

use std::ops::Range;

use lsp_types::SelectionRange;

use crate::place::Columns;
use crate::{fence, folds, names};

pub fn of(text: &str, byte: usize, columns: Columns) -> SelectionRange {
    let mut selection = SelectionRange {
        range: columns.range(text, 0..text.len()),
        parent: None,
    };
    for range in around(text, byte).into_iter().rev() {
        selection = SelectionRange {
            range: columns.range(text, range),
            parent: Some(Box::new(selection)),
        };
    }
    selection
}

/// The ranges around a byte, smaller than the page, the smallest first: each lies in the next.
fn around(text: &str, byte: usize) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::new();
    all.extend(names::at(text, byte).map(|(_, range)| range));
    let line = text[..byte].matches('\n').count();
    all.extend(of_lines(text, line, line));
    if let Some(fence) = fence::at(text, byte).filter(|fence| !fence.opening) {
        let body = text[fence.body.clone()].trim_end_matches('\n');
        all.push(fence.body.start..fence.body.start + body.len());
    }
    let mut folds = folds::of(text);
    folds.sort_by_key(|fold| fold.end_line - fold.start_line);
    let lines = folds
        .iter()
        .map(|fold| (fold.start_line as usize, fold.end_line as usize))
        .filter(|(first, last)| (*first..=*last).contains(&line));
    all.extend(lines.filter_map(|(first, last)| of_lines(text, first, last)));
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for range in all {
        let before = ranges.last().cloned().unwrap_or(byte..byte);
        let holds = range.start <= before.start && before.end <= range.end;
        if holds && range.len() > before.len() && range != (0..text.len()) {
            ranges.push(range);
        }
    }
    ranges
}

/// The bytes of these lines, without the space before the first and the end of the last.
fn of_lines(text: &str, first: usize, last: usize) -> Option<Range<usize>> {
    let mut at = 0;
    let mut start = None;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if number == first {
            start = Some(at + line.len() - line.trim_start_matches([' ', '\t']).len());
        }
        if number == last {
            let end = at + line.trim_end().len();
            return start.filter(|start| *start < end).map(|start| start..end);
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_grows_from_the_name_to_the_page() {
        let text = "# A\n\n## B\n\n   ```sh step\n   echo $port x\n   true\n   ```\n\n# C\n";
        let at = |part: &str| {
            let ranges = around(text, text.find(part).unwrap() + 1);
            let ranges = ranges.into_iter().map(|range| &text[range]);
            ranges.map(str::to_owned).collect::<Vec<_>>()
        };
        let fence = "```sh step\n   echo $port x\n   true\n   ```";
        let body = "   echo $port x\n   true";
        let section = format!("## B\n\n   {fence}");
        assert_eq!(
            at("port"),
            [
                "port",
                "echo $port x",
                body,
                fence,
                &section,
                &format!("# A\n\n{section}")
            ]
        );
        assert_eq!(at("# C"), ["# C"]);
        assert_eq!(around("", 0), [] as [Range<usize>; 0]);
        // Wherever a cursor is, nothing panics.
        for (byte, _) in text.char_indices() {
            let _ = of(text, byte, Columns::Utf16);
        }
    }
}
