//! Foldable ranges: sections and fences.

use lsp_types::{FoldingRange, FoldingRangeKind};

use crate::fence;

pub fn of(text: &str) -> Vec<FoldingRange> {
    let fences = fence::all(text);
    let line_of = |byte: usize| text[..byte].matches('\n').count();
    let mut folds: Vec<FoldingRange> = Vec::new();
    let mut within: Vec<(usize, usize)> = Vec::new();
    for fence in &fences {
        let (first, last) = (line_of(fence.at), line_of(fence.body.end));
        within.push((first, last));
        folds.extend(fold(first, last));
    }
    // A heading's range ends at the next one of its level or a higher one.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut last = 0;
    for (number, line) in text.lines().enumerate() {
        let fenced = within
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&number));
        let level = line.len() - line.trim_start_matches('#').len();
        if !fenced && (1..=6).contains(&level) && line[level..].starts_with(' ') {
            while let Some((above, began)) = open.pop_if(|(above, _)| *above >= level) {
                let _ = above;
                folds.extend(fold(began, last));
            }
            open.push((level, number));
        }
        if !line.trim().is_empty() {
            last = number;
        }
    }
    folds.extend(open.into_iter().filter_map(|(_, began)| fold(began, last)));
    folds.sort_by_key(|fold| (fold.start_line, fold.end_line));
    folds
}

fn fold(first: usize, last: usize) -> Option<FoldingRange> {
    let (start_line, end_line) = (u32::try_from(first).ok()?, u32::try_from(last).ok()?);
    (end_line > start_line).then(|| FoldingRange {
        start_line,
        end_line,
        kind: Some(FoldingRangeKind::Region),
        ..FoldingRange::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_fences_are_folded() {
        let text = "# A\n\n```sh step\n# no heading\nb\n```\n\n## B\n\nwords\n\n# C\n";
        let folds: Vec<(u32, u32)> = of(text)
            .iter()
            .map(|fold| (fold.start_line, fold.end_line))
            .collect();
        assert_eq!(folds, [(0, 9), (2, 5), (7, 9)]);
    }
}
