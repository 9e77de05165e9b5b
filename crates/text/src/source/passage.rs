//! Text assembled from ranges of sources; every byte knows its place.

use std::ops::Range;
use std::sync::Arc;

use super::passage_text::PassageText;
use super::{Source, Span};

/// Text from one or more sources, each byte of which knows its place: the content of a fence in a
/// list, or a page with its includes.
#[derive(Clone, Debug, Default)]
pub struct Passage {
    /// The assembled text.
    pub text: PassageText,
    /// Sorted by `at`; each segment ends at the next one.
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
struct Segment {
    at: u32,
    source: Arc<Source>,
    offset: u32,
}

impl Passage {
    /// The whole text of a source.
    #[must_use]
    pub fn whole(source: &Arc<Source>) -> Passage {
        let mut passage = Passage::default();
        passage.push(&source.text, source, 0);
        passage
    }

    /// Appends `text`, which is at `offset` of `source`. If the texts differ (a tab became spaces),
    /// only the start is exact.
    pub fn push(&mut self, text: &str, source: &Arc<Source>, offset: usize) {
        if text.is_empty() && !self.segments.is_empty() {
            return;
        }
        let at = super::offset(self.text.len());
        let offset = super::offset(offset);
        let continues = self.segments.last().is_some_and(|last| {
            Arc::ptr_eq(&last.source, source) && last.offset + (at - last.at) == offset
        });
        if !continues {
            if self.segments.is_empty() {
                // Most passages have only one segment.
                self.segments.reserve_exact(1);
            }
            self.segments.push(Segment {
                at,
                source: Arc::clone(source),
                offset,
            });
        }
        self.text.push(text, source, offset);
    }

    /// Whether anything, even empty text, was ever appended: then [`Passage::span`] works.
    #[must_use]
    pub fn has_place(&self) -> bool {
        !self.segments.is_empty()
    }

    /// Appends a range of another passage with its places.
    pub fn push_from(&mut self, other: &Passage, range: Range<usize>) {
        let mut from = range.start;
        while from < range.end {
            let index = other.segment(from);
            let segment = &other.segments[index];
            let until = other
                .segments
                .get(index + 1)
                .map_or(usize::MAX, |next| next.at as usize);
            let to = until.min(range.end);
            let offset = segment.offset as usize + (from - segment.at as usize);
            self.push(&other.text[from..to], &segment.source, offset);
            from = to;
        }
    }

    /// A range of this passage as a new passage.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Passage {
        let mut slice = Passage::default();
        slice.push_from(self, range.clone());
        if !slice.has_place() && self.has_place() {
            let here = self.span(range.start..range.start);
            slice.push("", &here.source, here.start as usize);
        }
        slice
    }

    /// The place of a range in the file that the author edits. A range over several sources ends at
    /// the end of the first one.
    ///
    /// # Panics
    /// If nothing was ever appended: an empty passage has no place.
    #[must_use]
    pub fn span(&self, range: Range<usize>) -> Span {
        let place = |at: usize| {
            let segment = &self.segments[self.segment(at)];
            (
                &segment.source,
                segment.offset as usize + (at - segment.at as usize),
            )
        };
        let (source, start) = place(range.start);
        let end = if range.end > range.start {
            let (last, end) = place(range.end - 1);
            if Arc::ptr_eq(last, source) {
                end + 1
            } else {
                start + 1
            }
        } else {
            start
        };
        let length = source.text.len();
        Span::new(source, start.min(length)..end.max(start).min(length))
    }

    /// Whether a place is within a range of this text.
    #[must_use]
    pub fn holds(&self, range: &Range<usize>, place: &Span) -> bool {
        if range.is_empty() && self.text.len() > range.end {
            return false;
        }
        let first = self.segment(range.start);
        let segments = self.segments.iter().enumerate().skip(first);
        let reached = segments.take_while(|(_, segment)| (segment.at as usize) < range.end.max(1));
        reached.into_iter().any(|(index, segment)| {
            let next = self.segments.get(index + 1);
            let until = next.map_or(usize::MAX, |next| next.at as usize);
            let (from, to) = (range.start.max(segment.at as usize), range.end.min(until));
            let start = segment.offset as usize + (from - segment.at as usize);
            let end = start + to.saturating_sub(from);
            segment.source.path == place.source.path
                && (start..=end).contains(&(place.start as usize))
        })
    }

    fn segment(&self, at: usize) -> usize {
        self.segments
            .partition_point(|segment| segment.at as usize <= at)
            .saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_keeps_the_places_of_its_sources() {
        let a = Source::new("a", "0123456789");
        let b = Source::new("b", "abcdef");
        let mut page = Passage::default();
        page.push("234", &a, 2);
        page.push("bcd", &b, 1);
        page.push("89", &a, 8);
        let block = page.slice(2..7);
        assert_eq!(block.text, "4bcd8");
        assert_eq!(format!("{:?}", block.span(0..1)), "a:1:5+1");
        assert_eq!(format!("{:?}", block.span(1..4)), "b:1:2+3");
        assert_eq!(format!("{:?}", block.span(4..5)), "a:1:9+1");
        assert_eq!(format!("{:?}", block.span(5..5)), "a:1:10+0");
    }
}
