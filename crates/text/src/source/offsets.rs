//! Offsets in characters, in which some parsers count, to offsets in bytes; constant time
//! for each, after one look through the text.

/// Of one text.
pub enum Offsets {
    /// Each character is one byte, so that nothing has to be counted.
    Ascii,
    /// The byte offset of every so many characters (`STRIDE`).
    Samples(Vec<u32>),
}

const STRIDE: usize = 64;

impl Offsets {
    /// Counts the characters of a text once.
    #[must_use]
    pub fn of(text: &str) -> Offsets {
        if text.is_ascii() {
            return Offsets::Ascii;
        }
        Offsets::Samples(
            text.char_indices()
                .step_by(STRIDE)
                .map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX))
                .collect(),
        )
    }

    /// The byte at which a character begins; the text's length where it has no such character.
    #[must_use]
    pub fn byte(&self, index: usize, text: &str) -> usize {
        match self {
            Offsets::Ascii => index.min(text.len()),
            Offsets::Samples(samples) => {
                let Some(&sample) = samples.get(index / STRIDE) else {
                    return text.len();
                };
                let rest = &text[sample as usize..];
                rest.char_indices()
                    .nth(index % STRIDE)
                    .map_or(text.len(), |(at, _)| sample as usize + at)
            }
        }
    }
}
