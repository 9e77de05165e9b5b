//! Finds the fence around a place in the editor's text, which may be half typed.

/// A fenced block, open or closed.
#[derive(Debug, PartialEq, Eq)]
pub struct Fence<'t> {
    /// The text after the backquotes.
    pub info: &'t str,
    /// The offset of the info string.
    pub at: usize,
    /// The lines between the fences.
    pub body: std::ops::Range<usize>,
    /// The place is on the opening line.
    pub opening: bool,
}

impl<'t> Fence<'t> {
    /// The words of the info string.
    pub fn words(&self) -> impl Iterator<Item = &'t str> {
        self.info.split_whitespace()
    }

    /// The word with the kind of the block.
    pub fn kind(&self) -> &'t str {
        self.words().nth(1).unwrap_or_default()
    }
}

/// The fence that contains a byte of the text, its opening line included.
pub fn at(text: &str, byte: usize) -> Option<Fence<'_>> {
    let mut open: Option<(&str, usize, usize, &str)> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let bare = line.trim_start_matches([' ', '\t', '>']);
        let ticks = bare.len() - bare.trim_start_matches(['`', '~']).len();
        let mark = &bare[..ticks];
        match open {
            None if ticks >= 3 => {
                let info = bare[ticks..].trim_end_matches(['\n', '\r']);
                let at = start + (line.len() - bare.len()) + ticks;
                let opening = (start..end).contains(&byte) || (byte == end && end == text.len());
                if opening {
                    return Some(Fence {
                        info,
                        at,
                        body: end..end,
                        opening,
                    });
                }
                open = Some((info, at, end, mark));
            }
            Some((info, at, body, opened))
                if ticks >= opened.len()
                    && mark.starts_with(&opened[..1])
                    && bare[ticks..].trim().is_empty() =>
            {
                if byte < end {
                    return (byte >= body && byte < start).then_some(Fence {
                        info,
                        at,
                        body: body..start,
                        opening: false,
                    });
                }
                open = None;
            }
            _ => {}
        }
        start = end;
    }
    let (info, at, body, _) = open?;
    (byte >= body).then_some(Fence {
        info,
        at,
        body: body..text.len(),
        opening: false,
    })
}

/// All fenced blocks of a text, in one pass.
pub fn all(text: &str) -> Vec<Fence<'_>> {
    let mut found = Vec::new();
    let mut open: Option<(Fence<'_>, &str)> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let bare = line.trim_start_matches([' ', '\t', '>']);
        let ticks = bare.len() - bare.trim_start_matches(['`', '~']).len();
        match &mut open {
            None if ticks >= 3 => {
                let fence = Fence {
                    info: bare[ticks..].trim_end_matches(['\n', '\r']),
                    at: start + (line.len() - bare.len()) + ticks,
                    body: end..text.len(),
                    opening: false,
                };
                open = Some((fence, &bare[..ticks]));
            }
            Some((fence, mark))
                if ticks >= mark.len()
                    && bare[..ticks].starts_with(&mark[..1])
                    && bare[ticks..].trim().is_empty() =>
            {
                fence.body.end = start;
                found.extend(open.take().map(|(fence, _)| fence));
            }
            _ => {}
        }
        start = end;
    }
    found.extend(open.map(|(fence, _)| fence));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_fences_of_a_text_are_found_in_their_order() {
        let text = "a\n```sh step\nx\n```\n\n~~~\n~~~\n> ```yaml\n> y\n> ```\n```text\nopen";
        let all: Vec<(&str, &str)> = all(text)
            .iter()
            .map(|fence| (fence.info, &text[fence.body.clone()]))
            .collect();
        assert_eq!(
            all,
            [
                ("sh step", "x\n"),
                ("", ""),
                ("yaml", "> y\n"),
                ("text", "open")
            ]
        );
    }

    #[test]
    fn a_place_knows_its_fence() {
        let text = "a\n```sh step id=x\necho $po\n```\nb\n   ~~~yaml checks\n   id: x\n";
        let info = |byte| at(text, byte).map(|fence| (fence.info, fence.opening));
        assert_eq!(info(0), None);
        assert_eq!(info(8), Some(("sh step id=x", true)));
        assert_eq!(info(24), Some(("sh step id=x", false)));
        assert_eq!(info(text.find("\nb").unwrap() + 1), None);
        assert_eq!(info(text.len()), Some(("yaml checks", false)));
        let fence = at(text, 24).unwrap();
        assert_eq!(&text[fence.body.clone()], "echo $po\n");
        assert_eq!(
            (fence.kind(), &text[fence.at..fence.at + 2]),
            ("step", "sh")
        );
    }
}
