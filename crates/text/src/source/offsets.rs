//! Converts character offsets, which some parsers use, into byte offsets; in constant time after
//! one pass over the text.

/// The offsets of one text.
pub enum Offsets {
    /// Each character is one byte.
    Ascii,
    /// The byte offset of every `STRIDE`th character.
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

    /// The byte offset of a character; the text's length if it does not exist.
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
